"""The stationary density on a small grid in pure JAX: for live figures, derivatives and maps over parameters."""

import jax
import jax.numpy as jnp
import numpy as np

from gansde_lib.games import Players
from gansde_lib.invariant import grid
from gansde_lib.invariant.density import Stationary

STEPS = ((0, 1), (1, -1), (1, 0), (1, 1))
"""Steps to half of the eight neighbours, in the order of the cells' numbers."""


def small_fokker_planck(drift, covariance, *, lower, upper, cells=40):
    r"""Return what `fokker_planck` returns, computed in pure JAX, in the precision of its arguments.

    The same fluxes between the eight neighbours, and Gaussian elimination in the form of Grassmann, Taksar and Heyman:
    cells are taken out of the chain one after the other, and what is left is watched while it is elsewhere. No number
    is subtracted, so that single precision gives every probability, however small, to a few parts in a million. All
    arguments but `cells` may be traced. It takes about 2 n^4 additions.

    In a live figure numbers below 1e-18 that a loop carries are zero: keep the density's logarithm from changing by
    more than about 40 from one cell to the next, by enough noise or cells.

    Args:
        drift: function of `Players` of two numbers with values in `Players`, for example `equation.drift`.
        covariance: function of `Players` with values of shape (2, 2), or such a matrix. Not checked here. Along
            diagonals it can only spread as much as along the axes: with sides h, :math:`|a_{12}| / (h_1 h_2)` is cut
            off at the smaller one of :math:`a_{11} / h_1^2` and :math:`a_{22} / h_2^2`; sides in proportion to the
            noises of the two players never cut.
        lower, upper: corners (theta, omega) of the box.
        cells: n, cells along each side, a Python integer.

    Returns:
        `Stationary`, of JAX arrays.

    Raises:
        ValueError: for a box without area or fewer than 4 cells.

    Source: Grassmann, Taksar and Heyman (1985) for the elimination.

    >>> found = small_fokker_planck(lambda x: Players(-x.theta, -x.omega), np.eye(2), lower=(-3, -3), upper=(3, 3))
    >>> found.covariance.shape, bool(abs(found.covariance[0, 0] - 0.5) < 1e-3)
    ((2, 2), True)
    """
    box = grid.make(lower, upper, cells, numpy=jnp)
    rates, slopes = _rates(drift, covariance, box, cells)
    logarithms = _logarithms(rates, cells)
    masses = jnp.exp(logarithms - jnp.max(logarithms))
    masses = (masses / jnp.sum(masses)).reshape(cells, cells)
    logarithms = logarithms.reshape(cells, cells)
    current = [jnp.zeros_like(masses), jnp.zeros_like(masses)]
    produced = 0.0
    for step, (forth, back), slope in zip(STEPS, rates, slopes, strict=True):
        there = _shift(masses, step)
        flux = forth * masses - back * there
        reached = (there > 0) & (masses > 0)
        produced += jnp.sum(jnp.where(reached, flux * (slope + logarithms - _shift(logarithms, step)), 0.0))
        both = flux + _shift(flux, (-step[0], -step[1]))
        for axis in (0, 1):
            if step[axis]:
                current[axis] = current[axis] + step[axis] * box.sides[axis] / (2 * box.area) * both
    return Stationary(box.theta, box.omega, masses / box.area, Players(*current), produced)


def _shift(values, step):
    """The values at cells one step further, zero outside the box."""
    n, m = values.shape
    down, right = step
    inside = values[max(down, 0) : n + min(down, 0), max(right, 0) : m + min(right, 0)]
    return jnp.pad(inside, ((max(-down, 0), max(down, 0)), (max(-right, 0), max(right, 0))))


def _rates(drift, covariance, box, cells):
    """Rates forth and back along each of `STEPS`, zero where the step leaves the box, and slopes along them."""
    push, spread, divergence = jax.vmap(
        lambda theta: jax.vmap(lambda omega: grid.coefficients(drift, covariance, theta, omega))(box.omega)
    )(box.theta)
    needed = 2 * push - divergence
    a, b, c = spread[..., 0, 0], (spread[..., 0, 1] + spread[..., 1, 0]) / 2, spread[..., 1, 1]
    below = a * c - b * b
    slope = [(c * needed[..., 0] - b * needed[..., 1]) / below, (a * needed[..., 1] - b * needed[..., 0]) / below]
    first, cross, second = a / box.sides[0] ** 2, b / box.area, c / box.sides[1] ** 2
    cross = jnp.clip(cross, -jnp.minimum(first, second), jnp.minimum(first, second))
    weights = [second - jnp.abs(cross), jnp.maximum(-cross, 0), first - jnp.abs(cross), jnp.maximum(cross, 0)]
    rates, slopes = [], []
    for step, weight in zip(STEPS, weights, strict=True):
        inside = _stays(cells, step)
        along = sum(
            (part + _shift(part, step)) / 2 * (number * side)
            for part, number, side in zip(slope, step, box.sides, strict=True)
            if number
        )
        half = jnp.where(inside, (weight + _shift(weight, step)) / 4, 0.0)
        rates.append((half * grid.bernoulli(-along, jnp), half * grid.bernoulli(along, jnp)))
        slopes.append(along)
    return rates, slopes


def _stays(cells, step):
    """True where a step stays in the box."""
    rows, columns = np.indices((cells, cells))
    return (rows + step[0] < cells) & (columns + step[1] >= 0) & (columns + step[1] < cells)


def _logarithms(rates, cells):
    """Logarithms of the stationary masses, up to a constant, cells numbered along omega first.

    Cell k reaches down to cell k - band only, band = n + 1. The window holds the rates between the band cells from k
    down, all cells above k taken out; each cell has the place of its number modulo band, so that nothing moves when the
    next one enters. Cells of negative number are none and have rates zero.
    """
    size, band = cells * cells, cells + 1
    forth, back = (jnp.pad(jnp.stack([r[k].ravel() for r in rates], -1), ((band, 0), (0, 0))) for k in (0, 1))
    dtype = forth.dtype
    least, places = jnp.finfo(dtype).tiny, jnp.arange(band)
    reach = [row * cells + column for row, column in STEPS]  # the last one, band, is the place of the cell itself

    def take_out(number, state):
        window, columns = state
        k = size + band - 1 - number  # from the highest cell down; those beyond the last one are none, too
        place, entering = jnp.mod(k, band), k - band
        distance = jnp.mod(places - k, band)
        up, down = (
            sum(jnp.where(distance == by % band, part[entering + band, q], 0.0) for q, by in enumerate(reach))
            for part in (forth, back)
        )
        at_place = places == place
        row, column = jnp.where(at_place, down, window[place]), jnp.where(at_place, up, window[:, place])
        total = jnp.sum(row)
        column = jnp.where(total > 0, column / jnp.maximum(total, least), 0.0)
        entered = jnp.where(at_place[:, None], up, jnp.where(at_place, down[:, None], window))
        return entered + column[:, None] * row, jax.lax.dynamic_update_slice(columns, column[None], (k, 0))

    start = (jnp.zeros((band, band), dtype), jnp.zeros((size + band, band), dtype))
    _, columns = jax.lax.fori_loop(0, size + band - 1, take_out, start)

    def put_back(masses, k):
        recent, logarithm = masses
        new = jnp.sum(recent * columns[k])
        recent = jnp.where(places == jnp.mod(k, band), new, recent)
        largest = jnp.max(recent)  # keeps the window's masses near one: they span more than floats do
        scaled = logarithm + jnp.log(jnp.maximum(new, least))
        return (recent / largest, logarithm + jnp.log(largest)), scaled

    first = (jnp.where(places == 0, 1.0, 0.0).astype(dtype), jnp.zeros((), dtype))
    _, found = jax.lax.scan(put_back, first, jnp.arange(1, size))
    return jnp.concatenate([jnp.zeros(1, dtype), found])
