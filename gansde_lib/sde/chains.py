r"""Exact first and second moments of training, for linear-quadratic games.

In such a game the field of every sample is affine, :math:`F_i(x) = A_i x + a_i`. One update is then a random affine map
of x, and :math:`\mathbb E[z z^\top]` of :math:`z = (1, x)` goes to a linear function of itself: no Monte Carlo, no
truncation, the dependence of the noise on x included.
"""

import functools

import jax
import numpy as np
from jax.flatten_util import ravel_pytree

from gansde_lib import _checks, gda, noise
from gansde_lib.games import Product, as_players
from gansde_lib.sde import batches, moments
from gansde_lib.sde.equation import SAMPLINGS


def affine_samples(game, x):
    r"""Return the affine fields :math:`F_i(x) = A_i x + a_i` of the samples of a linear-quadratic game.

    Args:
        game: the game.
        x: `Players` of the right shapes.

    Returns:
        A NumPy array of shape (N, d, d + 1), which holds :math:`(a_i, A_i)`; the pairs of a `Product` row by row.

    Raises:
        ValueError: if the fields are not affine.

    >>> from gansde_lib import games
    >>> affine_samples(games.quadratic(1.0, 2.0, 3.0), games.Players(0.0, 0.0))[0] + 0.0
    array([[ 0., -1., -2.],
           [ 0.,  2., -3.]])
    """
    with jax.enable_x64(True):
        x = moments.as_double(x)
        size = ravel_pytree(x)[0].size
        points, trial = moments.points(size)[: size + 1], np.cos(1 + np.arange(size))
        values = np.asarray(_fields(game, x, np.vstack([points, trial])))
    values, tried = values[:-1], values[-1]
    found = np.concatenate([values[:1], values[1:] - values[0]]).transpose(1, 2, 0)
    if not np.allclose(found @ np.concatenate([[1.0], trial]), tried, rtol=1e-9, atol=1e-9 * np.abs(values).max()):
        raise ValueError(
            "moments close for linear-quadratic games only, found a field that is not affine; for example "
            f"{moments.GAME}"
        )
    return found


@jax.jit
def _fields(game, x, points):
    unravel = ravel_pytree(x)[1]
    return jax.vmap(lambda point: noise.per_sample_field(game, unravel(point)))(points)


def _embed(fields, scale, mask):
    """Matrices (..., d + 1, d + 1) that act on (1, x): rows of the affine fields times rates, of one player."""
    rows = fields * (scale * mask)[:, None]
    return np.concatenate([np.zeros_like(rows[..., :1, :]), rows], axis=-2)


def _square(left):
    """The matrix that takes Z, raveled, to the mean of L Z L^T over the leading axis of L."""
    size = left.shape[-1]
    return np.einsum("nab,ncd->acbd", left, left, optimize=True).reshape(size**2, size**2) / len(left)


def transition(game, x, *, lr, batch, update="simultaneous", shared_batch=False, sampling="replacement"):
    r"""Return the matrix that one update, or one epoch, applies to :math:`\mathbb E[z z^\top]`, raveled, z = (1, x).

    Args:
        game: a linear-quadratic game.
        x: `Players` of the right shapes.
        lr, batch, update, shared_batch, sampling: as in `modified_equation`. With "epochs" the matrix is that of one
            epoch of N / B updates.

    Returns:
        A NumPy array of shape ((d + 1)^2, (d + 1)^2).

    Raises:
        ValueError: for a game that is not linear-quadratic; for alternating updates with a shared batch and for epochs,
            where minibatches are written out, if there are too many of them; for a `Product` without replacement.

    >>> from gansde_lib import games
    >>> transition(games.bilinear(1.0), games.Players(0.0, 0.0), lr=0.1, batch=None).shape
    (9, 9)
    """
    _checks.choice("update", update, gda.ORDERS, example='update="alternating"')
    _checks.choice("sampling", sampling, SAMPLINGS, example='sampling="epochs"')
    if sampling != "replacement" and isinstance(game.samples, Product):
        raise ValueError(
            f"sampling={sampling!r} needs samples that are drawn as one, found a Product; for example {moments.GAME}"
        )
    if batch is not None:
        batch = noise.samples.check_batch(game, batch, replacement=sampling == "replacement")
    fields, lr, x = affine_samples(game, x), gda.rates(lr), as_players(x)
    size, count = fields.shape[1], noise.samples.count_theta(x)
    is_theta = np.arange(size) < count
    scale = np.where(is_theta, float(lr.theta), float(lr.omega))
    pieces = [_embed(fields, scale, mask) for mask in (is_theta, ~is_theta)]  # theta's rows and omega's rows
    one, means = np.eye(size + 1), [piece.mean(0) for piece in pieces]

    def chain(theta, omega):  # the matrices of one update
        return (one + theta) @ (one + omega) if update == "alternating" else one + theta + omega

    if batch is None:
        return _square(chain(*means)[None])
    if sampling == "epochs":
        return _epoch(pieces, batch, chain, shared_batch)
    if update == "alternating" and shared_batch:
        weights, chances = batches.minibatches(len(fields), batch, replacement=sampling == "replacement")
        maps = chain(*(np.tensordot(weights, piece, 1) for piece in pieces))
        return _square(maps * np.sqrt(len(maps) * chances)[:, None, None])
    share = 1 / batch
    if sampling == "subsets":
        share *= noise.finite_population(len(fields), batch)
    spreads = [piece - mean for piece, mean in zip(pieces, means, strict=True)]
    if update == "alternating":
        halves = [_square((one + m)[None]) + share * _square(s) for m, s in zip(means, spreads, strict=True)]
        return halves[0] @ halves[1]
    noises = [sum(spreads)] if shared_batch else spreads
    return _square(chain(*means)[None]) + share * sum(map(_square, noises))


def _epoch(pieces, batch, chain, shared_batch):
    weights = batches.epochs(len(pieces[0]), batch)
    drawn = [np.tensordot(weights, piece, 1) for piece in pieces]  # (order, step, d + 1, d + 1)
    if not shared_batch:
        batches._refuse(len(weights) ** 2, "pairs of orders", len(pieces[0]), batch)
        drawn = [np.repeat(drawn[0], len(weights), axis=0), np.tile(drawn[1], (len(weights), 1, 1, 1))]
    return _square(
        functools.reduce(
            lambda past, k: chain(*(d[:, k] for d in drawn)) @ past,
            range(weights.shape[1]),
            np.eye(pieces[0].shape[-1]),
        )
    )


def chain_moments(game, x0, *, lr, steps, batch, update="simultaneous", shared_batch=False, sampling="replacement"):
    """Return the exact moments of training after `steps` updates of a linear-quadratic game.

    Args:
        game, lr, batch, update, shared_batch, sampling: as in `transition`.
        x0: `Players`, the start.
        steps: number of updates; with epochs a multiple of N / B.

    Returns:
        `Moments`.

    Raises:
        ValueError: as `transition`, or if the updates do not fill whole epochs.

    >>> from gansde_lib import games
    >>> game = games.quadratic(1.0, 0.0, 1.0, samples={"a": np.array([1.0, -1.0])})
    >>> chain_moments(game, games.Players(0.0, 0.0), lr=0.1, steps=1, batch=1).second[0, 0].round(6)
    np.float64(0.01)
    """
    _checks.whole("steps", steps, minimum=0, example="chain_moments(game, x0, lr=0.1, steps=20, batch=4)")
    matrix = transition(game, x0, lr=lr, batch=batch, update=update, shared_batch=shared_batch, sampling=sampling)
    if sampling == "epochs" and batch is not None:
        steps, rest = divmod(steps, game.size // batch)
        if rest:
            raise ValueError(
                f"steps must fill whole epochs of {game.size // batch} updates, {rest} are left over; for example "
                f"steps={(steps + 1) * (game.size // batch)}"
            )
    z = np.concatenate([[1.0], moments.flat(x0)])
    return moments.read((np.linalg.matrix_power(matrix, steps) @ np.outer(z, z).ravel()).reshape(z.size, z.size))


def chain_stationary(game, x, *, lr, batch, update="simultaneous", shared_batch=False):
    """Return the moments that training of a linear-quadratic game settles at.

    Args:
        game, lr, batch, update, shared_batch: as in `transition`.
        x: `Players` of the right shapes.

    Raises:
        ValueError: as `transition`, or if the second moments grow.

    >>> from gansde_lib import games
    >>> game = games.quadratic(1.0, 0.0, 1.0, samples={"a": np.array([1.0, -1.0])})
    >>> chain_stationary(game, games.Players(0.0, 0.0), lr=0.1, batch=1).covariance[0, 0].round(6)  # eta / (2 - eta)
    np.float64(0.052632)
    """
    matrix = transition(game, x, lr=lr, batch=batch, update=update, shared_batch=shared_batch)
    return moments.fixed_point(matrix - np.eye(len(matrix)), lambda value: np.log(np.abs(value + 1)))
