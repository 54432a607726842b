"""Where the noise points: its share along given directions, and along those in which the payoff bends most."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse.linalg
from jax.flatten_util import ravel_pytree

from gansde_lib import _checks
from gansde_lib.games import Players
from gansde_lib.noise.covariance import trace
from gansde_lib.noise.cumulants import projections
from gansde_lib.noise.samples import CHUNK, check, count_theta


class Alignment(NamedTuple):
    """Curvatures of one player's payoff, largest modulus first, the variance of the noise along each of these
    directions, their `share` of all of that player's noise, and the share they would have of white noise."""

    curvatures: Any
    variances: Any
    share: Any
    white: Any
    directions: Any


def share(game, x, directions, *, player=None, chunk=CHUNK):
    r"""Return the part of the noise, :math:`\operatorname{Tr}(V \Sigma V^\top) / \operatorname{Tr}\Sigma`, in the span
    of directions.

    Args:
        game, x: the game and the point.
        directions: array of shape (n, d) of raveled coordinates; their span counts, they need not be orthogonal.
        player: whose noise: "theta", "omega" or None for both together.
        chunk: as in `covariance`.

    >>> from gansde_lib import games
    >>> game = games.quadratic(1.0, 1.0, 1.0, samples={"a": np.array([1.0, -1.0]), "b": np.array([2.0, -2.0])})
    >>> round(share(game, Players(0.0, 0.0), np.array([[0.0, 2.0]])), 6)
    0.8
    """
    _checks.choice("player", player, (None, *Players._fields), example='player="omega"')
    x = check(game, x, chunk)
    directions = np.array(directions, float)
    if player is not None:
        mine = np.arange(directions.shape[1]) < count_theta(x)
        directions *= mine if player == "theta" else ~mine
    _, sizes, basis = np.linalg.svd(directions, full_matrices=False)
    basis = basis[sizes > 1e-6 * max(sizes[0], 1e-300)]
    inside = np.square(np.asarray(projections(game, x, basis, chunk=chunk), float)).mean(0).sum()
    total = trace(game, x, chunk=chunk)
    return float(inside / (sum(total) if player is None else getattr(total, player)))


def curvature_alignment(game, x, player, *, count=10, chunk=CHUNK):
    r"""Return how much of a player's noise lies in the `count` directions in which that player's own payoff bends most.

    Args:
        game, x: the game and the point.
        player: "theta", whose curvature is :math:`\Phi_{\theta\theta}` (of its own payoff, if the game is not
            zero-sum), or "omega", with :math:`-\Phi_{\omega\omega}`: positive where a player's step is damped.
        count: how many directions, those of largest modulus, by Lanczos iteration with products of the Hessian.
        chunk: as in `covariance`.

    Returns:
        `Alignment`; `white` is count / p, the share of noise without a preferred direction. Its directions have
        raveled coordinates of both players.

    Raises:
        ValueError: for an unknown player, a count below 1, or one that is not below the player's number of parameters.

    >>> from gansde_lib import games
    >>> game = games.quadratic(1.0, 1.0, np.diag([5.0, 1.0, 0.1]), samples={"b": np.array([[3.0, 0, 1], [-3, 0, -1]])})
    >>> found = curvature_alignment(game, Players(jnp.zeros(3), jnp.zeros(3)), "omega", count=1)
    >>> [round(float(value), 3) for value in (found.curvatures[0], found.share, found.white)]
    [5.0, 0.9, 0.333]
    """
    call = 'noise.curvature_alignment(game, x, "omega", count=10)'
    _checks.choice("player", player, Players._fields, example=call)
    _checks.whole("count", count, minimum=1, example=call)
    x = check(game, x, chunk)
    before, size = count_theta(x), sum(leaf.size for leaf in jax.tree.leaves(getattr(x, player)))
    if count >= size:
        raise ValueError(f"count must be below the {size} parameters of {player}, found {count}; for example {call}")
    product = functools.partial(_bend, game, x, player=player)
    operator = scipy.sparse.linalg.LinearOperator((size, size), product, dtype=jnp.result_type(*jax.tree.leaves(x)))
    start = np.random.default_rng(0).normal(size=size)  # the same start, the same digits
    options = {"which": "LM", "ncv": min(size, 4 * count + 20), "v0": start, "tol": 1e-4}
    values, vectors = scipy.sparse.linalg.eigsh(operator, count, **options)
    order = np.argsort(-np.abs(values))
    total = sum(np.size(leaf) for leaf in jax.tree.leaves(x))
    directions = np.zeros((count, total))
    place = slice(before) if player == "theta" else slice(before, None)
    directions[:, place] = vectors[:, order].T
    variances = np.square(np.asarray(projections(game, x, directions, chunk=chunk), float)).mean(0)
    part = variances.sum() / float(getattr(trace(game, x, chunk=chunk), player))
    return Alignment(values[order], variances, part, count / size, directions)


@functools.partial(jax.jit, static_argnames="player")
def _bend(game, x, direction, *, player):
    """Minus the derivative of a player's own field along a direction: its Hessian, positive where steps are damped."""
    flat, unravel = ravel_pytree(getattr(x, player))

    def field(part):
        return ravel_pytree(getattr(game.field(x._replace(**{player: unravel(part)})), player))[0]

    return -jax.jvp(field, (flat,), (jnp.asarray(direction.ravel(), flat.dtype),))[1]
