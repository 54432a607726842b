"""Stationary densities, currents and slow modes of equations with two parameters, on a grid, in float64."""

from typing import Any, NamedTuple

import jax
import numpy as np
import scipy.sparse

from gansde_lib.games import Players
from gansde_lib.invariant import grid


class Stationary(NamedTuple):
    """The stationary law of an equation on a box whose walls reflect.

    `theta`, `omega`: cell centres, each of shape (n,); `density`: (n, n), theta first, of integral one; `current`:
    `Players` of the two components, each (n, n), at the centres; `entropy_production`: per unit of time.
    """

    theta: Any
    omega: Any
    density: Any
    current: Players
    entropy_production: Any

    @property
    def area(self):
        """The area of a cell."""
        return (self.theta[1] - self.theta[0]) * (self.omega[1] - self.omega[0])

    @property
    def marginal_theta(self):
        """The density of theta, of shape (n,)."""
        return self.density.sum(1) * (self.omega[1] - self.omega[0])

    @property
    def marginal_omega(self):
        """The density of omega, of shape (n,)."""
        return self.density.sum(0) * (self.theta[1] - self.theta[0])

    def expectation(self, values):
        """Return the mean of a function given by its values at the centres, of shape (n, n)."""
        return (self.density * values).sum() * self.area

    @property
    def mean(self):
        """The mean, as `Players` of numbers."""
        return Players(self.expectation(self.theta[:, None]), self.expectation(self.omega[None, :]))

    @property
    def covariance(self):
        """The covariance matrix, of shape (2, 2)."""
        mean = self.mean
        theta, omega = self.theta[:, None] - mean.theta, self.omega[None, :] - mean.omega
        cross = self.expectation(theta * omega)
        rows = [[self.expectation(theta**2), cross], [cross, self.expectation(omega**2)]]
        return (np if isinstance(self.density, np.ndarray) else jax.numpy).array(rows)

    @property
    def wall(self):
        """The probability of the outermost cells: if it is not tiny, the walls shape the law."""
        return (self.density.sum() - self.density[1:-1, 1:-1].sum()) * self.area


class Edges(NamedTuple):
    """Jumps between cells: numbers of two cells, the step between them, the weight, the slope of log p along the step.

    The chain jumps from `first` to `second` at the rate weight B(-slope) / 2 and back at weight B(slope) / 2.
    """

    first: Any
    second: Any
    step: Any
    weight: Any
    slope: Any

    @property
    def forth(self):
        """Rates from `first` to `second`."""
        return self.weight / 2 * grid.bernoulli(-self.slope)

    @property
    def back(self):
        """Rates from `second` to `first`."""
        return self.weight / 2 * grid.bernoulli(self.slope)


def edges(drift, covariance, box):
    """Return the `Edges` of an equation on a `grid.Grid`.

    The weight of an edge is the mean of what the covariances at its two ends give it, its slope the step times the mean
    of the slopes at its ends: exact if log p is quadratic and nothing circulates. Steps that leave the box are left
    out, so that its walls reflect.
    """
    n = len(box.theta)
    with jax.enable_x64(True):
        points = [np.ascontiguousarray(part.ravel()) for part in np.meshgrid(box.theta, box.omega, indexing="ij")]
        push, spread, divergence = map(np.asarray, grid.sample(*grid.fresh(grid.as_pair(drift, covariance)), *points))
    if not (np.isfinite(push).all() and np.isfinite(spread).all()):
        raise ValueError(
            f"drift and covariance must be finite in the box, found NaN or infinity; for example {grid.CALL}"
        )
    # Written out: for 2 x 2 matrices the routines of linear algebra take longer to call than to compute.
    (a, b), (c, d) = spread.transpose(1, 2, 0)
    lowest = (a + d - np.hypot(a - d, b + c)) / 2
    worst = np.argmin(lowest)
    if not lowest[worst] > 1e-9 * np.trace(spread[worst]):
        raise ValueError(
            f"the covariance must be positive definite in the whole box, found {spread[worst].tolist()} at theta = "
            f"{points[0][worst]:.4g}, omega = {points[1][worst]:.4g}; for example {grid.CALL} with noise for both"
        )
    first, second = (2 * push - divergence).T
    slope = np.stack([d * first - b * second, a * second - c * first], -1) / (a * d - b * c)[:, None]
    weights, steps = grid.selling(spread / (box.sides[:, None] * box.sides))
    row, column = (part[:, None] for part in np.divmod(np.arange(n * n), n))
    pairs = []
    for sign in (1, -1):
        there_row, there_column = row + sign * steps[..., 0], column + sign * steps[..., 1]
        fits = (there_row >= 0) & (there_row < n) & (there_column >= 0) & (there_column < n) & (weights > 0)
        there = there_row * n + there_column
        here = np.broadcast_to(row * n + column, there.shape)
        pairs.append([np.minimum(here, there)[fits], np.maximum(here, there)[fits], weights[fits] / 2])
    first, second, halves = (np.concatenate(part) for part in zip(*pairs, strict=True))
    joined = scipy.sparse.coo_array((halves, (first, second)), shape=(n * n, n * n)).tocsr().tocoo()
    first, second = joined.row, joined.col
    step = np.stack([second // n - first // n, second % n - first % n], -1) * box.sides
    return Edges(first, second, step, joined.data, ((slope[first] + slope[second]) / 2 * step).sum(1))


def generator_of(joined, size):
    """Return the generator with these `Edges`: rates of jumps, and what leaves a cell on the diagonal."""
    rows, columns = np.concatenate([[joined.first, joined.second], [joined.second, joined.first]], 1)
    rates = np.concatenate([joined.forth, joined.back])
    jumps = scipy.sparse.coo_array((rates, (rows, columns)), shape=(size, size)).tocsr()
    return jumps - scipy.sparse.diags_array(jumps.sum(1))


def generator_matrix(drift, covariance=None, *, lower, upper, cells):
    r"""Return the generator L of the chain between cells, which stands for that of the equation.

    Its entries off the diagonal are rates of jumps, non-negative for any drift and any grid; its rows sum to zero.
    :math:`L f` approximates :math:`b \cdot \nabla f + \tfrac12 a : \nabla^2 f`, and the transpose moves probabilities.

    Args:
        drift, covariance, lower, upper, cells: as in `fokker_planck`.

    Returns:
        A sparse array of shape (n^2, n^2), cells numbered along omega first.

    Raises:
        ValueError: as `fokker_planck`.

    >>> drift = lambda x: Players(-x.theta, -x.omega)
    >>> matrix = generator_matrix(drift, np.eye(2), lower=(-2, -2), upper=(2, 2), cells=8)
    >>> matrix.shape, bool(abs(matrix.sum(1)).max() < 1e-12)
    ((64, 64), True)
    """
    return generator_of(edges(drift, covariance, grid.make(lower, upper, cells)), cells**2)


def fokker_planck(drift, covariance=None, *, lower, upper, cells):
    r"""Return the stationary density of an equation with two parameters, its current and its entropy production.

    .. math:: 0 = -\nabla \cdot J, \qquad J = b\,p - \tfrac12 \nabla \cdot (a\,p), \qquad J \cdot n = 0
              \text{ on the walls.}

    Conservative finite volumes with exponential fitting (Scharfetter and Gummel), in as many directions as the
    covariance needs (`grid.selling`): probabilities stay positive for any drift, and the errors are of second order in
    the sides of a cell where these resolve the drift. The entropy production is that of the chain between cells.

    Args:
        drift: an `sde.Equation`, or a function of `Players` of two numbers with values in `Players`.
        covariance: a function of `Players` with values of shape (2, 2), or one such matrix; not for an equation. It
            must be positive definite, and may depend on the point and have correlations.
        lower, upper: corners (theta, omega) of the box. It should hold all but a negligible part of the law: see
            `Stationary.wall`.
        cells: cells along each side.

    Returns:
        `Stationary`, of NumPy arrays of float64.

    Raises:
        ValueError: for a box without area, a covariance that is not positive definite or coefficients not finite.

    Source: Scharfetter and Gummel (1969).

    >>> found = fokker_planck(lambda x: Players(-x.theta, -x.omega), np.eye(2), lower=(-4, -4), upper=(4, 4), cells=64)
    >>> np.diag(found.covariance).round(3)
    array([0.5, 0.5])
    """
    box = grid.make(lower, upper, cells)
    joined = edges(drift, covariance, box)
    generator = generator_of(joined, cells**2)
    return read(box, joined, eliminated(generator, factorised(generator, likely(joined, cells**2))))


def likely(joined, size):
    """Return a likely cell, to be given mass one: where the slopes of all edges, followed uphill, are smallest."""
    steepness = np.zeros(size)
    np.maximum.at(steepness, joined.first, np.abs(joined.slope))
    np.maximum.at(steepness, joined.second, np.abs(joined.slope))
    return int(np.argmin(steepness))


def grounded(generator, start):
    """Return matrix and right side of the equations for the masses of all cells but one, whose mass is one."""
    others = np.delete(np.arange(generator.shape[0]), start)
    flow = -generator.T.tocsr()[others]
    return flow[:, others], -flow[:, [start]].toarray().ravel()


class Factors(NamedTuple):
    """The cell whose mass is one, and the factors of the equations for the others."""

    start: int
    others: Any


def factorised(generator, start):
    """Return the `Factors` of a generator.

    An M-matrix needs no pivots: elimination on the diagonal subtracts no two numbers of one sign.
    """
    return Factors(start, lu(grounded(generator, start)[0]))


def lu(matrix):
    """Return the factors of a sparse matrix with a symmetric pattern, by elimination without pivoting."""
    return scipy.sparse.linalg.splu(
        matrix.tocsc(), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True}
    )


def eliminated(generator, factors):
    """Return the stationary masses from the factors of this very generator."""
    _, right = grounded(generator, factors.start)
    return normalised(np.insert(factors.others.solve(right), factors.start, 1.0))


def normalised(masses):
    """Return masses that add up to one, none of them negative: zero where one is below the smallest float."""
    masses = np.maximum(masses, 0.0)
    return masses / masses.sum()


def read(box, joined, masses):
    """Return the `Stationary` law of given masses: density, current and entropy production."""
    n = len(box.theta)
    flux = joined.forth * masses[joined.first] - joined.back * masses[joined.second]
    current = np.zeros((n * n, 2))
    carried = flux[:, None] * joined.step / (2 * box.area)
    np.add.at(current, joined.first, carried)
    np.add.at(current, joined.second, carried)
    return Stationary(
        box.theta,
        box.omega,
        masses.reshape(n, n) / box.area,
        Players(*current.T.reshape(2, n, n)),
        entropy(joined, masses, flux),
    )


def entropy(joined, masses, flux):
    """Return the entropy production of the chain: each net flux times the logarithm of what drives it."""
    there = (masses[joined.first] > 0) & (masses[joined.second] > 0)
    logarithms = np.log(np.where(masses > 0, masses, 1.0))
    force = joined.slope + logarithms[joined.first] - logarithms[joined.second]
    return float((flux * force)[there].sum())
