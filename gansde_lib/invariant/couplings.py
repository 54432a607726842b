"""Two paths of one equation with related noise: how fast they meet bounds how fast laws do."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from gansde_lib import _checks, sde, simulate

KINDS = ("synchronous", "reflection")
"""How the noises of two coupled paths are related: see `coupling`."""

_CALL = 'coupling(equation, x0, y0, steps=1000, size=1000, key=jax.random.key(0), kind="reflection")'


class Coupling(NamedTuple):
    """Two paths over time, averaged over pairs; arrays over the recorded times.

    `time`: in updates; `distance`: the mean distance of a pair, an upper bound of the laws' Wasserstein distance;
    `apart`: the share of pairs that have not met, an upper bound of half the L1 distance of their densities. Each with
    its standard error.
    """

    time: Any
    distance: Any
    distance_error: Any
    apart: Any
    apart_error: Any


def coupling(equation, x0, y0, *, steps, size, key, kind="synchronous", every=1, substeps=1, chunk=1024):
    r"""Run pairs of paths of an equation from two starts, the noise of one following from that of the other.

    One Euler step of length h, with :math:`m = x + h\,b(x)` and :math:`L L^\top = h\,a`, takes x to
    :math:`m_x + L_x \xi` and y to :math:`m_y + L_y \xi'`, where

    * "synchronous": :math:`\xi' = \xi`; distances then contract as the drift makes them;
    * "reflection": with :math:`z = L^{-1}(m_x - m_y)` and :math:`e = z / |z|`, :math:`\xi' = \xi + z`, so that the two
      meet, with probability :math:`\min(1, \varphi(e \cdot \xi + |z|) / \varphi(e \cdot \xi))`, and else
      :math:`\xi' = \xi - 2 (e \cdot \xi)\, e`. Both paths have the law of an Euler path, whatever the drift; what has
      met stays together. The covariance must not depend on the point.

    Args:
        equation: an `sde.Equation`.
        x0, y0: `Players`, the two starts.
        steps: number of updates.
        size: number of pairs.
        key: random key.
        kind: one of `KINDS`.
        every: distance of the recorded times, a divisor of `steps`.
        substeps: Euler steps per update.
        chunk: how many pairs run side by side.

    Returns:
        `Coupling`, arrays of length `steps // every + 1`.

    Raises:
        ValueError: for an unknown kind, starts that do not fit, or for "reflection" a covariance that depends on the
            point or is not positive definite.

    Source: Lindvall and Rogers (1986); for the discrete form Bou-Rabee, Eberle and Zimmer (2020).

    >>> from gansde_lib import games
    >>> game = games.quadratic(1.0, 1.0, 1.0, samples={"a": np.array([1.0, -1.0]), "b": np.array([1.0, -1.0])})
    >>> equation = sde.modified_equation(game, lr=0.1, batch=1, order=1)
    >>> far, rest = games.Players(2.0, 0.0), games.Players(0.0, 0.0)
    >>> found = coupling(equation, far, rest, steps=20, size=8, key=jax.random.key(0))
    >>> bool(abs(found.distance[-1] - 2 * (0.9**2 + 0.1**2) ** 10) < 1e-5)  # (1 + J / 10)^20, no noise in it
    True
    """
    _checks.choice("kind", kind, KINDS, example=_CALL)
    _checks.whole("steps", steps, minimum=0, example=_CALL)
    _checks.whole("size", size, minimum=2, example=_CALL)
    _checks.whole("substeps", substeps, minimum=1, example=f"{_CALL[:-1]}, substeps=4)")
    x0, y0 = equation.game.check(x0), equation.game.check(y0)
    if jax.tree.map(jnp.shape, x0) != jax.tree.map(jnp.shape, y0):
        raise ValueError(f"the two starts must have the same shapes, found {x0} and {y0}; for example {_CALL}")
    if kind == "reflection":
        middle = jax.tree.map(lambda a, b: (a + 2 * b) / 3, x0, y0)
        matrices = np.array([equation.covariance(x) for x in (x0, y0, middle)])
        lowest = np.linalg.eigvalsh(matrices[0])[0]
        varies = np.abs(matrices - matrices[0]).max() > 1e-4 * np.abs(matrices).max()
        if varies or not lowest > 1e-6 * np.trace(matrices[0]):
            what = "one that depends on the point" if varies else f"one with the eigenvalue {lowest:.3g}"
            raise ValueError(
                f'"reflection" needs a positive definite covariance that is the same everywhere, found {what}; for '
                f'example kind="synchronous", or noise in the linear terms of the payoff only'
            )
    mean, variance = _coupling(
        equation, x0, y0, key, steps=int(steps), size=int(size), kind=kind, every=int(every), substeps=int(substeps),
        chunk=int(chunk),
    )  # fmt: skip
    errors = jnp.sqrt(variance / size)
    return Coupling(np.arange(0, steps + 1, every), mean[:, 0], errors[:, 0], mean[:, 1], errors[:, 1])


def reflected(root, gap, key):
    r"""Return two noises, each normal with covariance :math:`L L^\top`, that close a gap as often as is possible.

    Args:
        root: L, lower triangular, of shape (d, d).
        gap: what the second noise must exceed the first by for the two to meet, of shape (d,).
        key: random key.

    Returns:
        Two arrays of shape (d,); the second is the first plus the gap to the last bit if the two meet.

    >>> first, second = reflected(jnp.eye(2), jnp.zeros(2), jax.random.key(0))
    >>> bool((first == second).all())
    True
    """
    draw, accept = jax.random.split(key)
    xi = jax.random.normal(draw, gap.shape, gap.dtype)
    white = jax.scipy.linalg.solve_triangular(root, gap, lower=True)
    far = jnp.linalg.norm(white)
    unit = jnp.where(far > 0, white / jnp.where(far > 0, far, 1), 0)
    along = unit @ xi
    meets = jnp.log(jax.random.uniform(accept, (), gap.dtype)) < (along**2 - (along + far) ** 2) / 2
    first = root @ xi
    return first, jnp.where(meets | (far == 0), first + gap, root @ (xi - 2 * along * unit))


@functools.partial(jax.jit, static_argnames=("steps", "size", "kind", "every", "substeps", "chunk"))
def _coupling(equation, x0, y0, key, *, steps, size, kind, every, substeps, chunk):
    start, unravel = ravel_pytree(x0)
    other = ravel_pytree(y0)[0]
    length = jnp.asarray(1 / substeps, start.dtype)

    def moved(x):
        return x + length * ravel_pytree(equation.drift(unravel(x)))[0]

    def step(pair, key):
        x, y = pair
        from_x, from_y = moved(x), moved(y)
        root = sde.factor(equation.covariance(unravel(x)) * length)
        if kind == "synchronous":
            xi = jax.random.normal(key, x.shape, x.dtype)
            return from_x + root @ xi, from_y + sde.factor(equation.covariance(unravel(y)) * length) @ xi
        first, second = reflected(root, from_x - from_y, key)
        x, y = from_x + first, from_y + second
        # What has met is made equal to the last bit.
        return x, jnp.where(jnp.all(second == first + (from_x - from_y)), x, y)

    def path(key):
        ends = simulate.trajectory(step, (start, other), steps=steps * substeps, key=key, every=every * substeps)
        distance = jnp.linalg.norm(ends[0] - ends[1], axis=-1)
        return jnp.stack([distance, (distance > 0).astype(distance.dtype)], -1)

    return simulate.moments(path, size=size, key=key, chunk=chunk)
