"""Losses of a GAN: what the discriminator's score of a real and of a generated point is worth to each player."""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp


class Loss(NamedTuple):
    r"""The terms of a GAN's payoff, each a function of one score y = D(x), which is positive where D believes x real.

    .. math:: \Phi = \operatorname{mean} r(D(\xi)) + \operatorname{mean} s(D(G(z)))

    is what the discriminator maximises, where r is `real` and s is `fake`. The generator minimises the same payoff, or
    the mean of `generator` at D(G(z)) if that is given: the game is then not zero-sum.
    """

    real: Callable
    fake: Callable
    generator: Callable | None = None


_log_sigmoid = jax.nn.log_sigmoid

LOSSES = {
    "logistic": Loss(_log_sigmoid, lambda y: _log_sigmoid(-y)),
    "non-saturating": Loss(_log_sigmoid, lambda y: _log_sigmoid(-y), lambda y: -_log_sigmoid(y)),
    "wasserstein": Loss(lambda y: y, lambda y: -y),
    "hinge": Loss(lambda y: jnp.minimum(y - 1, 0.0), lambda y: jnp.minimum(-y - 1, 0.0), lambda y: -y),
    "least-squares": Loss(lambda y: -((y - 1) ** 2) / 2, lambda y: -((y + 1) ** 2) / 2, lambda y: (y - 1) ** 2 / 2),
    # The f-GANs: r(y) = T and s(y) = -f*(T) with T = a(y), written so that nothing overflows on the way.
    "kl": Loss(lambda y: y, lambda y: -jnp.exp(y - 1)),
    "reverse-kl": Loss(lambda y: -jnp.exp(-y), lambda y: 1 - y),
    "chi-squared": Loss(lambda y: y, lambda y: -y - y**2 / 4),
    "jensen-shannon": Loss(lambda y: _log_sigmoid(y) + math.log(2), lambda y: _log_sigmoid(-y) + math.log(2)),
}
r"""The losses by name.

=================  =====================  ==========================  =========================
name               real, r(y)             fake, s(y)                  generator (default: s)
=================  =====================  ==========================  =========================
logistic           log sigma(y)           log sigma(-y)
non-saturating     log sigma(y)           log sigma(-y)               -log sigma(y)
wasserstein        y                      -y
hinge              min(0, y - 1)          min(0, -y - 1)              -y
least-squares      -(y - 1)^2 / 2         -(y + 1)^2 / 2              (y - 1)^2 / 2
kl                 y                      -exp(y - 1)
reverse-kl         -exp(-y)               1 - y
chi-squared        y                      -y - y^2 / 4
jensen-shannon     log sigma(y) + log 2   log sigma(-y) + log 2
=================  =====================  ==========================  =========================

The labels of the least-squares loss are +1 (real) and -1 (generated); the generator wants +1. Labels 1 and 0 are the
same game up to a factor 1/4, with 1/2 added to the score. The last four maximise to the divergence
:math:`D_f(P \| Q)` of the data P from the generated law Q. Their output activations T = a(y) and conjugates f*(T) are
y and exp(T - 1); -exp(-y) and -1 - log(-T); y and T + T^2/4; log 2 - log(1 + exp(-y)) and -log(2 - exp(T)).

Sources: Goodfellow et al. (2014); Arjovsky, Chintala and Bottou (2017); Lim and Ye (2017); Mao et al. (2017); Nowozin,
Cseke and Tomioka (2016) for the f-GANs.
"""
