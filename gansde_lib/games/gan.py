"""GANs as games: a generator, a discriminator, samples, a loss and a regulariser; the Dirac-GAN is the smallest."""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import scipy.special
from jax.flatten_util import ravel_pytree
from jax.tree_util import Partial

from gansde_lib import _checks
from gansde_lib.games.game import Game, Product, Sample
from gansde_lib.games.losses import LOSSES, Loss


def _r1(discriminator, omega, real, fake):
    return _squared_slope(discriminator, omega, real)


def _r2(discriminator, omega, real, fake):
    return _squared_slope(discriminator, omega, fake)


def _wgan_gp(discriminator, omega, real, fake):
    # The mean over the segment from the generated to the real point, by the Gauss rule with three nodes: no draws.
    nodes, weights = np.polynomial.legendre.leggauss(3)
    squares = [_squared_slope(discriminator, omega, fake + (1 + node) / 2 * (real - fake)) for node in nodes]
    return sum(w / 2 * (_root(square) - 1) ** 2 for w, square in zip(weights, squares, strict=True))


def _weight_decay(discriminator, omega, real, fake):
    flat = ravel_pytree(omega)[0]
    return jnp.vdot(flat, flat)


REGULARISERS = {"r1": _r1, "r2": _r2, "wgan-gp": _wgan_gp, "weight-decay": _weight_decay}
r"""What a regulariser takes from the discriminator, up to the factor penalty / 2:

* "r1": :math:`|\nabla_x D(\xi)|^2` at the real points, "r2": the same at the generated points G(z);
* "wgan-gp": :math:`(|\nabla_x D(\hat x)| - 1)^2`, averaged over the segment from G(z) to :math:`\xi`;
* "weight-decay": :math:`|\omega|^2`.

Sources: Mescheder, Geiger and Nowozin (2018); Gulrajani et al. (2017).
"""


def _squared_slope(discriminator, omega, point):
    slope = jax.grad(discriminator, argnums=1)(omega, point)
    return jnp.sum(slope**2)


def _root(square):
    """Return the square root, with derivative 0 instead of infinity at 0."""
    positive = square > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, square, 1.0)), 0.0)


# Payoffs are compared by their fields, so that two games of the same kind share one compiled program.
@dataclass(frozen=True)
class _Payoff:
    generator: Callable
    discriminator: Callable
    loss: Loss
    regulariser: Callable

    def __call__(self, penalty, theta, omega, sample):
        fake = self.generator(theta, sample.latent)
        scores = [self.discriminator(omega, point) for point in (sample.real, fake)]
        paid = self.regulariser(self.discriminator, omega, sample.real, fake)
        return self.loss.real(scores[0]) + self.loss.fake(scores[1]) - penalty / 2 * paid


@dataclass(frozen=True)
class _GeneratorPayoff:
    generator: Callable
    discriminator: Callable
    term: Callable

    def __call__(self, theta, omega, sample):
        return self.term(self.discriminator(omega, self.generator(theta, sample.latent)))


@dataclass(frozen=True)
class _Blurred:
    generator: Callable

    def __call__(self, theta, latent):
        point, blur = latent
        return self.generator(theta, point) + blur


def gan(generator, discriminator, samples, *, loss="logistic", penalty=0.0, regulariser="r1", noise=0.0, key=None):
    r"""The game of a generator G and a discriminator D, any two differentiable functions.

    .. math:: \varphi = r(D_\omega(\xi)) + s(D_\omega(G_\theta(z))) - \tfrac{\gamma}{2} R(D_\omega),

    with the terms r, s of the loss. The generator minimises the mean of s, or of the loss's own generator term; it
    never sees the regulariser. The game is zero-sum if that makes no difference: if the loss has no generator
    term and R does not look at generated points.

    Args:
        generator: `generator(theta, z)`, a point of the shape of one real point.
        discriminator: `discriminator(omega, x)`, a scalar score of one point, positive for "real".
        samples: `Sample(real, latent)`, which are paired, or `Product(real, latent)`, where every pair counts.
        loss: a name in `LOSSES`, or a `Loss`.
        penalty: gamma >= 0, the weight of the regulariser.
        regulariser: a name in `REGULARISERS`.
        noise: standard deviation of instance noise, added to real and generated points. It is drawn here, once for
            each real and each latent sample, so that the game and its field are deterministic.
        key: random key of the noise, needed if `noise` is not 0.

    Raises:
        ValueError: for an unknown loss or regulariser, a negative penalty or noise, a missing key, other samples.

    >>> from gansde_lib.games import Players, Sample
    >>> samples = Sample(real=np.array([[1.0, 0.0], [3.0, 0.0]]), latent=np.zeros((2, 2)))
    >>> gan(lambda theta, z: theta + z, jnp.dot, samples, loss="wasserstein").field(Players(np.zeros(2), np.ones(2)))
    Players(theta=Array([1., 1.], dtype=float32), omega=Array([2., 0.], dtype=float32))
    """
    if not isinstance(samples, Sample | Product):
        raise ValueError(
            f"samples must be Sample(real, latent) or Product(real, latent), found {type(samples).__name__}; "
            "for example gan(generator, discriminator, Sample(real=np.zeros((100, 2)), latent=np.zeros((100, 2))))"
        )
    if not isinstance(loss, Loss):
        _checks.choice("loss", loss, LOSSES, example='loss="non-saturating"')
        loss = LOSSES[loss]
    _checks.choice("regulariser", regulariser, REGULARISERS, example='penalty=0.5, regulariser="r1"')
    _checks.non_negative("penalty", penalty, example="penalty=0.5")
    _checks.non_negative("noise", noise, example="noise=0.5, key=jax.random.key(0)")
    if not _is_zero(noise):
        if key is None:
            raise ValueError("noise needs a random key, found key=None; for example noise=0.5, key=jax.random.key(0)")
        real, latent = (jnp.asarray(points) for points in samples)
        real_key, fake_key = jax.random.split(key)
        fake_shape = (latent.shape[0], *real.shape[1:])
        blurs = (noise * jax.random.normal(k, shape) for k, shape in ((real_key, real.shape), (fake_key, fake_shape)))
        samples = type(samples)(real + next(blurs), (latent, next(blurs)))
        generator = _Blurred(generator)
    term = loss.generator or (loss.fake if regulariser in ("r2", "wgan-gp") and not _is_zero(penalty) else None)
    return Game(
        Partial(_Payoff(generator, discriminator, loss, REGULARISERS[regulariser]), penalty),
        samples,
        generator_payoff=term and Partial(_GeneratorPayoff(generator, discriminator, term)),
    )


def _is_zero(value):
    return _checks.is_concrete(value) and value == 0


def _shift(theta, latent):
    return theta + latent


def _linear(omega, point):
    return -jnp.vdot(omega, point)


def dirac(loss="logistic", *, penalty=0.0, regulariser="r1", noise=0.0):
    r"""Dirac-GAN: the data are a point mass at 0, the generator a point mass at theta; both players are numbers.

    The discriminator's score :math:`\theta\omega` of the generated point is large where it believes it to be
    *generated*, so that :math:`D(x) = -\omega x` in the terms r, s of the loss:

    .. math:: \Phi = r(0) + s(-\theta\omega) - \tfrac{\gamma}{2} R(\omega), \qquad
              R = \omega^2, \text{ or } (|\omega| - 1)^2 \text{ for "wgan-gp"} .

    For the logistic loss this is :math:`f(\theta\omega) + f(0) - \tfrac{\gamma}{2}\omega^2`, f(t) = -log(1 + exp(-t)).

    Args:
        loss: a name in `LOSSES`, or a `Loss`. Losses with a generator term are not zero-sum.
        penalty: gamma >= 0.
        regulariser: a name in `REGULARISERS`. The slope of D is the same everywhere and its square is omega squared:
            "r1", "r2" and "weight-decay" coincide here, and no regulariser depends on theta.
        noise: standard deviation of instance noise on both points. The samples are then 64 fixed points that stand
            for the normal law: the midpoints of 64 equally likely intervals, scaled to that variance.

    Raises:
        ValueError: for an unknown loss or regulariser, a negative penalty or noise.

    Source: Mescheder, Geiger and Nowozin (2018), whose psi is our omega.

    >>> from gansde_lib import games
    >>> games.dirac(penalty=0.5).field(games.Players(0.0, 1.0))
    Players(theta=Array(-0.5, dtype=float32), omega=Array(-0.5, dtype=float32))
    """
    _checks.non_negative("noise", noise, example="dirac(noise=0.5)")
    points = np.zeros(1) if _is_zero(noise) else noise * _normal_points(64)
    game = gan(_shift, _linear, Sample(points, points), loss=loss, penalty=penalty, regulariser=regulariser)
    own_goal = LOSSES.get(loss, loss).generator is not None
    return Game(game.payoff, game.samples, generator_payoff=game.generator_payoff if own_goal else None)


def _normal_points(count):
    """Return the midpoints of `count` equally likely intervals of the normal law, scaled to variance one."""
    points = scipy.special.ndtri((np.arange(count) + 0.5) / count)
    return points / points.std()
