"""Covariance of the fields of single samples, and of minibatches with and without replacement."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gansde_lib import _checks
from gansde_lib.games import Players, Product
from gansde_lib.noise import squares
from gansde_lib.noise.samples import (
    CHUNK,
    check,
    check_batch,
    count_theta,
    fold,
    per_sample_field,
    sizes,
    split,
)


def covariance(game, x, *, chunk=CHUNK):
    r"""Return the covariance of the field of one sample, cross block included.

    .. math:: \Sigma = \frac1N \sum_i (F_i - F)(F_i - F)^\top .

    Args:
        game, x: the game and the point; zero-sum or not.
        chunk: how many samples are differentiated side by side; changes memory, not the result.

    Returns:
        A matrix of shape (d, d) in raveled coordinates, theta then omega. It divides by N, the samples being all
        there are, and for a `Product` averages over all pairs.

    >>> from gansde_lib import games
    >>> game = games.quadratic(1.0, 1.0, 1.0, samples={"a": np.array([1.0, -1.0]), "b": np.array([2.0, -2.0])})
    >>> covariance(game, Players(0.0, 0.0))
    Array([[1., 2.],
           [2., 4.]], dtype=float32)
    """
    return _covariance(game, check(game, x, chunk), chunk=chunk)


@functools.partial(jax.jit, static_argnames="chunk")
def _covariance(game, x, *, chunk):
    return fold(game, x, lambda rows: rows.T @ rows, chunk=chunk) / game.size


def blocks(game, x, *, chunk=CHUNK):
    """Return the covariances of the two players alone, as `Players` of matrices of shapes (p, p) and (q, q).

    >>> from gansde_lib import games
    >>> game = games.quadratic(1.0, 1.0, 1.0, samples={"a": np.array([1.0, -1.0]), "b": np.array([2.0, -2.0])})
    >>> blocks(game, Players(0.0, 0.0)).omega
    Array([[4.]], dtype=float32)
    """
    return _blocks(game, check(game, x, chunk), chunk=chunk)


@functools.partial(jax.jit, static_argnames="chunk")
def _blocks(game, x, *, chunk):
    total = fold(game, x, lambda rows: Players(*(part.T @ part for part in split(x, rows))), chunk=chunk)
    return jax.tree.map(lambda block: block / game.size, total)


def diagonal(game, x, *, chunk=CHUNK):
    """Return the variance of every parameter's gradient, as `Players` shaped like x.

    No matrix is formed, and for the weights of dense layers no gradients of single samples either: see `squares`.

    >>> from gansde_lib import games
    >>> diagonal(games.quadratic(1.0, 1.0, 1.0, samples={"a": np.array([1.0, -1.0])}), Players(0.0, 0.0))
    Players(theta=Array(1., dtype=float32), omega=Array(0., dtype=float32))
    """
    return squares.variances(game, check(game, x, chunk), chunk=chunk)


def trace(game, x, *, chunk=CHUNK):
    r"""Return :math:`\operatorname{Tr}\Sigma_\theta` and :math:`\operatorname{Tr}\Sigma_\omega`, as `Players`.

    >>> from gansde_lib import games
    >>> trace(games.toy_gan(), Players(jnp.array([0.8665, -0.14]), jnp.array([-0.3735, 0.3962]))).omega.round(3)
    Array(0.171, dtype=float32)
    """
    variances = diagonal(game, x, chunk=chunk)
    return Players(*(sum(jnp.sum(leaf) for leaf in jax.tree.leaves(part)) for part in variances))


def batch_covariance(game, x, *, batch, shared_batch=False, replacement=True, chunk=CHUNK):
    r"""Return the exact covariance of the field of one minibatch.

    With replacement it is :math:`\Sigma / B`; without, :math:`\frac{\Sigma}{B} \frac{N - B}{N - 1}`. For a
    `Product` without replacement each factor is drawn without replacement and the two are paired; the parts of
    `parts` then shrink separately,

    .. math:: \frac{\Sigma^{\mathrm r}}{B}\frac{N - B}{N - 1} + \frac{\Sigma^{\mathrm z}}{B}\frac{M - B}{M - 1}
              + \frac{\Sigma^{\mathrm{rz}}}{B}\Bigl(1 + \frac{B - 1}{(N - 1)(M - 1)}\Bigr).

    Args:
        game, x: the game and the point.
        batch: B; may be a slider's value.
        shared_batch: whether both players see the same draw. If not, the cross block is zero.
        replacement: whether samples are drawn with replacement.
        chunk: as in `covariance`.

    Returns:
        A matrix of shape (d, d).

    Raises:
        ValueError: for a batch below 1 or above the number of samples.

    >>> from gansde_lib import games
    >>> game = games.quadratic(1.0, 1.0, 1.0, samples={"a": np.array([1.0, -1.0]), "b": np.array([2.0, -2.0])})
    >>> batch_covariance(game, Players(0.0, 0.0), batch=2)
    Array([[0.5, 0. ],
           [0. , 2. ]], dtype=float32)
    """
    x, batch = check(game, x, chunk), check_batch(game, batch, replacement=replacement)
    if replacement:
        found = covariance(game, x, chunk=chunk) / batch
    elif isinstance(game.samples, Product):
        (real_count, latent_count), (real, latent, interaction) = sizes(game), parts(game, x, chunk=chunk)
        pairs = max((real_count - 1) * (latent_count - 1), 1)  # with one point on a side nothing interacts
        found = (
            real * finite_population(real_count, batch)
            + latent * finite_population(latent_count, batch)
            + interaction * (1 + (batch - 1) / pairs)
        ) / batch
    else:
        found = covariance(game, x, chunk=chunk) / batch * finite_population(game.size, batch)
    return found if shared_batch else without_cross_block(found, x)


def finite_population(size, batch):
    """Return (N - B) / (N - 1), by which variances shrink if a minibatch is drawn without replacement.

    >>> finite_population(100, 10)
    0.9090909090909091
    """
    return (size - batch) / max(size - 1, 1)


def without_cross_block(matrix, x):
    """Return the matrix with its cross blocks between theta and omega set to zero.

    >>> without_cross_block(jnp.ones((2, 2)), Players(0.0, 0.0))
    Array([[1., 0.],
           [0., 1.]], dtype=float32)
    """
    first = jnp.arange(matrix.shape[0]) < count_theta(x)
    return jnp.where(first[:, None] == first, matrix, 0.0)


class Parts(NamedTuple):
    """Covariances of the three parts of the field of one pair: `real`, `latent` and `interaction`."""

    real: Any
    latent: Any
    interaction: Any


def parts(game, x, *, chunk=CHUNK):
    r"""Return what real points, latent points and their interaction contribute to the covariance of a `Product` game.

    Write :math:`F_{ij} = F + a_i + b_j + c_{ij}`, where a is the mean over j less F, b the mean over i less F. The
    three have mean zero over each index and are uncorrelated, so that the covariances of a, b and c add up to
    `covariance`. A GAN whose payoff is :math:`r(D(\xi)) + s(D(G(z)))` has no interaction.

    Returns:
        `Parts` of three matrices of shape (d, d).

    Raises:
        ValueError: for a game whose samples are not a `Product`.

    >>> from gansde_lib import games
    >>> found = parts(games.toy_gan(), Players(jnp.zeros(2), jnp.ones(2)))
    >>> bool(jnp.abs(found.interaction).max() < 1e-6)
    True
    """
    if not isinstance(game.samples, Product):
        raise ValueError(
            f"parts needs samples that are drawn in two factors, found {type(game.samples).__name__}; "
            "for example Game(payoff, games.Product(real, latent))"
        )
    fields = per_sample_field(game, x, chunk=chunk)
    fields = (fields - fields.mean(0)).reshape(*sizes(game), -1)
    real, latent = fields.mean(1), fields.mean(0)
    rest = (fields - real[:, None] - latent).reshape(-1, fields.shape[-1])
    return Parts(*(rows.T @ rows / len(rows) for rows in (real, latent, rest)))


class Spectrum(NamedTuple):
    """Eigenvalues of a noise covariance, largest first, and its leading eigenvectors as the rows of `directions`."""

    values: Any
    directions: Any

    @property
    def effective_rank(self):
        r""":math:`(\operatorname{Tr}\Sigma)^2 / \operatorname{Tr}\Sigma^2`: d for white noise, 1 on a line."""
        return self.values.sum() ** 2 / (self.values**2).sum()


def principal(game, x, *, count, player=None, chunk=CHUNK):
    r"""Return the spectrum of the covariance together with its `count` leading directions.

    The eigenvalues are those of the N x N matrix of inner products of centred fields, or of the d x d matrix, whichever
    is smaller, in NumPy's float64.

    Args:
        game, x: the game and the point.
        count: how many directions; more than the rank are returned as zeros.
        player: "theta" or "omega" for the covariance of that player alone; None for both together.
        chunk: as in `covariance`.

    Returns:
        `Spectrum` with min(N, d) values and directions of shape (count, d) in raveled coordinates of both players.

    Raises:
        ValueError: for an unknown player or a count below 0.

    >>> from gansde_lib import games
    >>> game = games.quadratic(1.0, 1.0, 1.0, samples={"a": np.array([1.0, -1.0]), "b": np.array([2.0, -2.0])})
    >>> principal(game, Players(0.0, 0.0), count=1).values
    array([5., 0.])
    """
    _checks.whole("count", count, minimum=0, example="noise.principal(game, x, count=5)")
    _checks.choice("player", player, (None, *Players._fields), example='player="omega"')
    x = check(game, x, chunk)
    fields = np.asarray(per_sample_field(game, x, chunk=chunk), float)
    fields = fields - fields.mean(0)
    if player is not None:
        mine = np.arange(fields.shape[1]) < count_theta(x)
        fields = fields * (mine if player == "theta" else ~mine)
    wide = fields.shape[0] < fields.shape[1]
    values, vectors = np.linalg.eigh((fields @ fields.T if wide else fields.T @ fields) / len(fields))
    values, vectors = np.maximum(values[::-1], 0.0), vectors[:, ::-1].T
    directions = np.zeros((count, fields.shape[1]))
    found = vectors[:count] @ fields if wide else vectors[:count]
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    above = values[:count, None] > 1e-12 * max(values[0], 1e-300)  # beyond the rank there is no direction to name
    directions[: len(found)] = np.where(above, found / np.where(lengths > 0, lengths, 1.0), 0.0)
    return Spectrum(values, directions)


def spectrum(game, x, player=None, *, chunk=CHUNK):
    """Return the eigenvalues of the covariance, largest first, in NumPy's float64; see `principal`.

    >>> from gansde_lib import games
    >>> spectrum(games.toy_gan(), Players(jnp.zeros(2), jnp.ones(2)), "omega").shape
    (4,)
    """
    return principal(game, x, count=0, player=player, chunk=chunk).values
