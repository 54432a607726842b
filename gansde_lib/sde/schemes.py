r"""One substep of an equation: schemes and increments.

Every scheme is a function `step(equation, x, h, draws)` of the players x; h is the substep, 1 / substeps of an update,
and `draws` holds what is random in it.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from gansde_lib import _checks

INCREMENTS = {"gaussian": 2, "three-point": 2, "two-point": 1}
r"""The increments by name, and the highest weak order for which they have enough moments.

With W of variance h: "three-point" is :math:`\pm\sqrt{3h}` with probability 1/6 each and 0 otherwise, "two-point" is
:math:`\pm\sqrt h`. Order 2 needs :math:`\mathbb E W^4 = 3 h^2`, which the two-point increment misses.
"""


def increment(kind, key, shape, dtype):
    """Return independent increments of mean zero and variance one.

    >>> bool((abs(increment("two-point", jax.random.key(0), (4,), jnp.float32)) == 1).all())
    True
    """
    if kind == "gaussian":
        return jax.random.normal(key, shape, dtype)
    draw = jax.random.uniform(key, shape, dtype)
    if kind == "two-point":
        return jnp.where(draw < 0.5, -1.0, 1.0).astype(dtype)
    outer = jnp.sqrt(jnp.asarray(3.0, dtype))
    return jnp.where(draw < 1 / 6, -outer, jnp.where(draw < 1 / 3, outer, 0.0)).astype(dtype)


class Draws(NamedTuple):
    """What is random in a substep.

    `w`: increments of variance one, as `Players`; `signs`: plus or minus one, an (d, d) matrix, for `weak2` alone; or
    `key`, with which the equation draws its noise without a matrix.
    """

    w: Any = None
    signs: Any = None
    key: Any = None


def draws(x, key, *, scheme, increments="gaussian", source="matrix"):
    """Return the `Draws` of a substep at the players x from a random key.

    >>> from gansde_lib.games import Players
    >>> draws(Players(0.0, 0.0), jax.random.key(0), scheme="weak2").signs.shape
    (2, 2)
    """
    if source == "samples":
        return Draws(key=key)
    flat, unravel = ravel_pytree(x)
    draw_key, sign_key = jax.random.split(key) if scheme == "weak2" else (key, None)
    w = unravel(increment(increments, draw_key, flat.shape, flat.dtype))
    if scheme != "weak2":
        return Draws(w)
    return Draws(w, increment("two-point", sign_key, (flat.size, flat.size), flat.dtype))


def _push(equation, x, draws):
    """A noise vector of the equation at x, for a substep of length one."""
    return equation.push(x, draws.w) if draws.key is None else equation.noise(x, draws.key)


def _plus(x, *terms):
    """x with multiples added, given as pairs of a number and a tree."""
    for factor, tree in terms:
        x = jax.tree.map(lambda old, more, factor=factor: old + factor * more, x, tree)
    return x


def euler(equation, x, h, draws):
    r"""Euler-Maruyama, of weak order 1: :math:`x' = x + b(x) h + a(x)^{1/2} W`.

    With one substep an update, Gaussian increments and the drift of order 1 this is a training step whose minibatch
    noise has been replaced by a Gaussian of the same covariance: it says nothing about the equation.
    """
    return _plus(x, (h, equation.drift(x)), (jnp.sqrt(h), _push(equation, x, draws)))


def heun(equation, x, h, draws):
    r"""Heun's rule for the drift, the noise frozen at the middle of the noiseless step.

    .. math:: \eta = a\bigl(x + \tfrac h2 b\bigr)^{1/2} W, \qquad
              x' = x + \tfrac h2 \bigl(b(x) + b(x + h b(x) + \eta)\bigr) + \eta .

    Weak order 2 if the covariance does not depend on x, otherwise order 1. It is the cheapest scheme with the drift to
    second order: two drifts and one noise vector, no matrix. But with one substep an update its own error is of second
    order in the rates, as large as that of an equation of order 2: to measure that, halve the substeps, or take
    `splitting`.
    """
    force = equation.drift(x)
    push = _push(equation, _plus(x, (h / 2, force)), draws)
    x, ahead = (_plus(x, (step, force), (jnp.sqrt(h), push)) for step in (h / 2, h))
    return _plus(x, (h / 2, equation.drift(ahead)))


def runge_kutta(drift, x, h):
    """One step of the classical Runge-Kutta rule for the drift alone.

    >>> runge_kutta(lambda x: x, jnp.ones(1), 0.1).round(6)
    Array([1.105171], dtype=float32)
    """

    def stage(state, weights):  # a loop, so that the drift is compiled once
        slope, total = state
        ahead, share = weights
        slope = drift(_plus(x, (ahead * h, slope)))
        return (slope, _plus(total, (share, slope))), None

    dtype, zero = jnp.result_type(*jax.tree.leaves(x)), jax.tree.map(jnp.zeros_like, x)
    weights = (jnp.array([0, 0.5, 0.5, 1], dtype), jnp.array([1, 2, 2, 1], dtype) / 6)
    (_, total), _ = jax.lax.scan(stage, (zero, zero), weights)
    return _plus(x, (h, total))


def between(drift, kick, x, h):
    """Return x after half a step of the drift, the noise `kick(x)`, and the other half step (Strang splitting).

    >>> between(lambda x: x, lambda x: 2 * x, jnp.ones(1), 0.1).round(5)
    Array([2.21034], dtype=float32)
    """
    return runge_kutta(drift, kick(runge_kutta(drift, x, h / 2)), h / 2)


def splitting(equation, x, h, draws):
    r"""Half a step of the drift, the noise frozen where that leads, and the other half step.

    Weak order 2 if the covariance does not depend on x, otherwise order 1. What is missed is small for a modified
    equation: its drift is of first and its covariance of second order in the rates, the splitting errs by brackets of
    the two, of fourth order a step, and so do the terms that only `weak2` has. So with one substep an update the
    solver's error is of third order in the rates over a fixed number of time constants, below that of the equation.
    It needs one noise vector a substep, and no matrix.

    Source: Milstein and Tretyakov (1997) treat schemes for small noise.
    """

    def kick(y):
        return _plus(y, (jnp.sqrt(h), _push(equation, y, draws)))

    return between(equation.drift, kick, x, h)


def platen(root, x, h, w, signs):
    r"""The noise of `weak2`, from given increments: one step of :math:`dX = G(X)\,dW`.

    Args:
        root: G with :math:`G G^\top = a`, a function of x with values of shape (d, m).
        x: the state, of shape (d,).
        h: the step.
        w: increments of variance one, of shape (m,).
        signs: plus or minus one above the diagonal of an (m, m) matrix; the rest is not looked at.

    >>> platen(lambda x: x[:, None], jnp.ones(1), 0.01, jnp.ones(1), jnp.ones((1, 1))).round(4)
    Array([1.1], dtype=float32)
    """
    scale, base = jnp.sqrt(h), root(x)
    ahead, behind = (jax.vmap(lambda column, s=s: root(x + s * scale * column))(base.T) for s in (1, -1))
    above = jnp.triu(signs, 1)
    products = jnp.outer(w, w) + above - above.T - jnp.eye(w.size, dtype=x.dtype)
    # Axis 0 of `ahead` is r, axis 2 is j.
    bend = ((ahead + behind - 2 * base).sum(0) / 4) @ w
    twist = ((ahead - behind) * products[:, None, :]).sum((0, 2)) / 4
    return x + scale * (base @ w + bend + twist)


def weak2(equation, x, h, draws):
    r"""`splitting` with the terms that a covariance depending on x needs: weak order 2 for any noise, commuting or not.

    With G a factor of a at the middle m, where half a step of the drift leads, and
    :math:`G^{\pm r} = G(m \pm \sqrt h\, G_r(m))`, the noise is

    .. math:: \eta = \sum_j \Bigl[G_j + \tfrac14 \sum_r (G_j^{+r} + G_j^{-r} - 2 G_j)\Bigr] W_j
              + \frac{1}{4\sqrt h} \sum_{r,j} (G_j^{+r} - G_j^{-r}) (W_r W_j + V_{rj}),

    where :math:`V_{rj} = -V_{jr} = \pm h` with equal probabilities and :math:`V_{jj} = -h`: the noise terms of
    Platen's explicit scheme, which needs no derivative of G, only 2 d + 1 factors. Drift and noise being done apart,
    the drift can be solved to fourth order, and with small noise the error is that of `splitting`.

    Source: Kloeden and Platen (1992), section 15.1, for the noise.
    """
    w, unravel = ravel_pytree(draws.w)

    def kick(y):
        return unravel(platen(lambda z: equation.root(unravel(z)), ravel_pytree(y)[0], h, w, draws.signs))

    return between(equation.drift, kick, x, h)


SCHEMES = {"weak2": weak2, "splitting": splitting, "heun": heun, "euler": euler}
"""The schemes by name."""


def check(scheme, increments, source):
    """Return the scheme; `ValueError` for unknown names and for combinations that would lose an order.

    >>> check("euler", "two-point", "matrix").__name__
    'euler'
    """
    call = 'scheme="weak2", increments="three-point"'
    _checks.choice("scheme", scheme, SCHEMES, example=call)
    _checks.choice("increments", increments, INCREMENTS, example=call)
    _checks.choice("noise", source, ("matrix", "samples"), example='scheme="splitting", noise="samples"')
    if scheme != "euler" and INCREMENTS[increments] < 2:
        raise ValueError(
            f"two-point increments have the wrong fourth moment for scheme={scheme!r}; for example {call}, "
            'or scheme="euler", increments="two-point"'
        )
    if source == "samples" and (scheme == "weak2" or increments != "gaussian"):
        raise ValueError(
            f'noise="samples" draws Gaussian vectors without a matrix, found scheme={scheme!r} with '
            f'increments={increments!r}; for example scheme="splitting", increments="gaussian", noise="samples"'
        )
    return SCHEMES[scheme]
