"""Third cumulants, and how far from Gaussian minibatch fields are along given directions."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gansde_lib import _checks, simulate
from gansde_lib.games import Product
from gansde_lib.noise.samples import CHUNK, check, check_batch, count_theta, field_of, fold, in_chunks

_CALL = "noise.gaussianity(game, x, directions=np.eye(d), batch=32, draws=10_000, key=key)"


def third_cumulant(game, x, *, chunk=CHUNK):
    r"""Return the third cumulant of the field of one sample, a tensor of shape (d, d, d); for few parameters.

    .. math:: \kappa_3 = \frac1N \sum_i (F_i - F) \otimes (F_i - F) \otimes (F_i - F) .

    For many parameters take the third moments of `projections`.

    >>> from gansde_lib import games
    >>> game = games.quadratic(1.0, 1.0, 1.0, samples={"b": np.array([1.0, 1.0, -2.0])})
    >>> third_cumulant(game, games.Players(0.0, 0.0))[1, 1, 1]
    Array(2., dtype=float32)
    """
    return _third_cumulant(game, check(game, x, chunk), chunk=chunk)


@functools.partial(jax.jit, static_argnames="chunk")
def _third_cumulant(game, x, *, chunk):
    return fold(game, x, lambda rows: jnp.einsum("ia,ib,ic->abc", rows, rows, rows), chunk=chunk) / game.size


def batch_third_cumulant(game, x, *, batch, shared_batch=False, replacement=True, chunk=CHUNK):
    r"""Return the exact third cumulant of the field of one minibatch.

    With replacement it is :math:`\kappa_3 / B^2`; without,
    :math:`\frac{\kappa_3}{B^2}\,\frac{(N - B)(N - 2B)}{(N - 1)(N - 2)}`, which changes its sign at half of the samples.

    Args:
        game, x: the game and the point.
        batch: B; may be a slider's value.
        shared_batch: whether both players see the same draw. If not, entries that mix the players are zero.
        replacement: whether samples are drawn with replacement.
        chunk: as in `third_cumulant`.

    Raises:
        ValueError: for a batch below 1 or above the number of samples, and for a `Product` without replacement, whose
            interaction has no such factor, or fewer than three samples without replacement.

    >>> from gansde_lib import games
    >>> game = games.quadratic(1.0, 1.0, 1.0, samples={"b": np.array([1.0, 1.0, -2.0])})
    >>> batch_third_cumulant(game, games.Players(0.0, 0.0), batch=2)[1, 1, 1]
    Array(0.5, dtype=float32)
    """
    batch, size = check_batch(game, batch, replacement=replacement), game.size
    found = third_cumulant(game, x, chunk=chunk) / batch**2
    if not replacement:
        if isinstance(game.samples, Product) or size < 3:
            raise ValueError(
                f"without replacement there is a factor for three or more samples in one list, found {size} samples of "
                f"type {type(game.samples).__name__}; for example Game(payoff, np.zeros((100, 2)))"
            )
        found = found * (size - batch) * (size - 2 * batch) / ((size - 1) * (size - 2))
    if shared_batch:
        return found
    mine = jnp.arange(found.shape[0]) < count_theta(x)
    same = mine[:, None] == mine
    return jnp.where(same[:, :, None] & same[:, None, :], found, 0.0)


def projections(game, x, directions, *, chunk=CHUNK):
    """Return the components of every sample's centred field along directions.

    The field of a minibatch is a mean of fields, so that its components are means of rows of this matrix: everything
    about minibatches along a direction follows without another gradient.

    Args:
        game, x: the game and the point.
        directions: array of shape (n, d), raveled coordinates, theta then omega; zeros for the player left out.
        chunk: how many samples are differentiated side by side.

    Returns:
        A matrix of shape (N, n); (N M, n) for a `Product`.

    Raises:
        ValueError: if the directions do not fit.

    >>> from gansde_lib import games
    >>> game = games.quadratic(1.0, 1.0, 1.0, samples={"a": np.array([1.0, -1.0]), "b": np.array([2.0, -2.0])})
    >>> projections(game, games.Players(0.0, 0.0), np.array([[0.0, 1.0]]))
    Array([[-2.],
           [ 2.]], dtype=float32)
    """
    x = check(game, x, chunk)
    size = sum(np.size(leaf) for leaf in jax.tree.leaves(x))
    if jnp.ndim(directions) != 2 or jnp.shape(directions)[1] != size:
        raise ValueError(
            f"directions must have shape (n, {size}), found {jnp.shape(directions)}; for example np.eye({size})[:3]"
        )
    return _projections(game, x, jnp.asarray(directions, jnp.result_type(*jax.tree.leaves(x))), chunk=chunk)


@functools.partial(jax.jit, static_argnames="chunk")
def _projections(game, x, directions, *, chunk):
    # Each chunk of fields is projected at once, so that N times d numbers never exist together.
    rows = in_chunks(lambda number: directions @ field_of(game, x, number), game.size, chunk)
    return rows - rows.mean(0)


class Shape(NamedTuple):
    """Skewness and excess kurtosis of one or several columns of numbers, and their standard errors.

    For a Gaussian law both are 0. `p_value` is the chance that as many Gaussian draws look at least as far from it, by
    the test of Jarque and Bera, whose statistic is chi-squared with two degrees of freedom for many draws.
    """

    skewness: Any
    kurtosis: Any
    skewness_error: Any
    kurtosis_error: Any
    draws: int

    @property
    def p_value(self):
        """Chance of a Gaussian sample that is at least as skewed and heavy-tailed, for each column."""
        return np.exp(-self.draws * (np.square(self.skewness) / 12 + np.square(self.kurtosis) / 48))


def shape(values):
    r"""Return the skewness and the excess kurtosis of each column, with standard errors from their influence functions.

    .. math:: \gamma_1 = \overline{u^3}, \qquad \gamma_2 = \overline{u^4} - 3, \qquad u = (v - \bar v) / s .

    Args:
        values: array of shape (n,) or (n, m). If it lists a whole population, such as `projections` with their N
            samples, the numbers are exact and the errors have no meaning.

    Returns:
        `Shape`, with entries of shape () or (m,); NaN for a column that does not vary.

    >>> shape(np.array([1.0, 1.0, -2.0])).skewness.round(4)
    np.float64(-0.7071)
    """
    values = np.asarray(values, float)
    centred = values - values.mean(0)
    with np.errstate(invalid="ignore"):
        u = centred / np.sqrt((centred**2).mean(0))
    third, fourth = (u**3).mean(0), (u**4).mean(0)
    # How one draw moves the two numbers: their spread over the draws is the error, whatever the law.
    moves = (u**3 - 3 * u - 1.5 * third * (u**2 - 1) - third, u**4 - 4 * third * u - 2 * fourth * (u**2 - 1) - fourth)
    errors = (move.std(0) / np.sqrt(len(values)) for move in moves)
    return Shape(third, fourth - 3, *errors, len(values))


def batch_shape(game, x, directions, *, batch, replacement=True, chunk=CHUNK):
    r"""Return the exact skewness and excess kurtosis of minibatch fields along directions.

    With replacement :math:`\gamma_1 / \sqrt B` and :math:`\gamma_2 / B`: the law of the minibatch is as far from
    Gaussian as one sample's, divided by these. Without replacement the skewness is

    .. math:: \gamma_1\, \frac{N - 2B}{N - 2} \sqrt{\frac{N - 1}{B\,(N - B)}},

    and the kurtosis is not returned.

    Returns:
        `(skewness, kurtosis)`, each of shape (n,), or `(skewness, None)`.

    Raises:
        ValueError: as `projections` and `batch_third_cumulant`.

    >>> from gansde_lib import games
    >>> game = games.quadratic(1.0, 1.0, 1.0, samples={"b": np.array([1.0, 1.0, -2.0])})
    >>> skewness, kurtosis = batch_shape(game, games.Players(0.0, 0.0), np.array([[0.0, 1.0]]), batch=2)
    >>> skewness.round(4), kurtosis
    (array([0.5]), array([-0.75]))
    """
    batch, size = check_batch(game, batch, replacement=replacement), game.size
    found = shape(projections(game, x, directions, chunk=chunk))
    if replacement:
        return found.skewness / np.sqrt(batch), found.kurtosis / batch
    if isinstance(game.samples, Product) or size < 3 or batch == size:
        raise ValueError(
            f"without replacement the skewness needs three or more samples in one list, not all of them in a batch; "
            f"found {size} of type {type(game.samples).__name__} and batch={batch}; for example replacement=True"
        )
    return found.skewness * (size - 2 * batch) / (size - 2) * np.sqrt((size - 1) / (batch * (size - batch))), None


def gaussianity(game, x, directions, *, batch, draws, key, replacement=True, chunk=CHUNK):
    """Draw minibatches and return how far from Gaussian their fields are along directions.

    Args:
        game, x: the game and the point.
        directions: array of shape (n, d), as for `projections`.
        batch: size of a minibatch.
        draws: how many minibatches.
        key: random key.
        replacement: whether samples are drawn with replacement. Without, not for a `Product`.
        chunk: how many samples are differentiated side by side.

    Returns:
        `(shape, values)`: a `Shape` with entries of shape (n,), and the components themselves, of shape (draws, n),
        with the exact mean zero.

    Raises:
        ValueError: as `projections`; for fewer than 8 draws, or a batch below 1 or above the number of samples.

    >>> from gansde_lib import games
    >>> start = games.Players(jnp.zeros(2), jnp.ones(2))
    >>> found, _ = gaussianity(games.toy_gan(), start, np.eye(4), batch=8, draws=1000, key=jax.random.key(0))
    >>> found.skewness.shape
    (4,)
    """
    batch = check_batch(game, batch, replacement=replacement)
    _checks.whole("draws", draws, minimum=8, example=_CALL)
    if not replacement and isinstance(game.samples, Product):
        raise ValueError(f"a Product is drawn with replacement here, found replacement=False; for example {_CALL}")
    rows = projections(game, x, directions, chunk=chunk)
    if replacement:
        values = np.asarray(_drawn_means(rows, key, int(batch), draws=draws))
    else:
        values = np.asarray(_shuffled_means(rows, key, batch=int(batch), draws=draws))
    return shape(values), values


@functools.partial(jax.jit, static_argnames="draws")
def _drawn_means(rows, key, batch, *, draws):
    """Means of rows drawn with replacement, one draw of each minibatch after the other: one program for all sizes."""

    def add(k, total):
        return total + rows[jax.random.randint(jax.random.fold_in(key, k), (draws,), 0, len(rows))]

    zero = jnp.zeros((draws, rows.shape[1]), rows.dtype)
    return jax.lax.fori_loop(0, batch, add, zero) / batch


@functools.partial(jax.jit, static_argnames=("batch", "draws"))
def _shuffled_means(rows, key, *, batch, draws):
    def mean(key):
        return rows[jax.random.permutation(key, len(rows))[:batch]].mean(0)

    return simulate.ensemble(mean, size=draws, key=key)
