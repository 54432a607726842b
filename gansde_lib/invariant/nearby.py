"""Stationary densities of neighbouring equations, as along a parameter: one factorisation serves several of them."""

import numpy as np
import scipy.sparse.linalg

from gansde_lib import _checks
from gansde_lib.invariant import density, grid

TOLERANCE = 1e-12
"""What is left of the current out of a cell, against that out of the most likely one: as after elimination."""

_CALL = "Solver(lower=(-2.0, -2.0), upper=(2.0, 2.0), cells=128)(equation)"


class Solver:
    r"""Stationary densities on one grid, one equation after the other.

    The first is solved by elimination, as in `fokker_planck`. The next ones are solved by GMRES, which starts from the
    last density and is preconditioned by the factors at hand: for generators :math:`L` and :math:`L_0` it solves

    .. math:: L^\top L_0^{-\top} y = r, \qquad p = p_0 + L_0^{-\top} y,

    in few steps if the two are close. If it needs more than `iterations`, this equation is factorised, and serves the
    ones after it. The order of the equations therefore changes the time, and of the results only rounding.

    Args:
        lower, upper, cells: the grid, as in `fokker_planck`.
        iterations: at how many steps a new factorisation is cheaper.

    `factorisations` counts them.

    >>> solver = Solver(lower=(-4, -4), upper=(4, 4), cells=64)
    >>> laws = [solver(lambda x, rate=rate: (-rate * x.theta, -x.omega), np.eye(2)) for rate in (1.0, 1.02, 1.05)]
    >>> [round(float(law.covariance[0, 0]), 3) for law in laws], solver.factorisations
    ([0.5, 0.49, 0.476], 1)
    """

    def __init__(self, *, lower, upper, cells, iterations=20):
        _checks.whole("iterations", iterations, minimum=0, example=_CALL)
        self._grid = grid.make(lower, upper, cells)
        self._iterations = iterations
        self._factors = self._masses = None
        self.factorisations = 0

    def __call__(self, drift, covariance=None):
        """Return the `Stationary` law of an equation, or of a drift and a covariance, as `fokker_planck` does."""
        joined = density.edges(drift, covariance, self._grid)
        generator = density.generator_of(joined, len(self._grid.theta) ** 2)
        masses = None if self._factors is None else self._updated(generator)
        if masses is None:
            self._factors = density.factorised(generator, density.likely(joined, generator.shape[0]))
            self.factorisations += 1
            masses = density.eliminated(generator, self._factors)
        self._masses = masses
        return density.read(self._grid, joined, masses)

    def _updated(self, generator):
        """The masses by GMRES from the last ones; None if they are not found in time."""
        start, factors = self._factors
        matrix, right = density.grounded(generator, start)
        if not self._masses[start] > 0:
            return None
        others, left = np.delete(self._masses, start) / self._masses[start], []
        found, _ = scipy.sparse.linalg.gmres(
            matrix,
            right,
            x0=others,
            M=scipy.sparse.linalg.LinearOperator(matrix.shape, factors.solve),
            rtol=TOLERANCE,
            restart=max(self._iterations, 1),
            maxiter=1,
            callback=left.append,
            callback_type="pr_norm",
        )
        # Judged by what is left of the equation itself, not by what GMRES thinks of it.
        if not np.linalg.norm(right - matrix @ found) <= 2 * TOLERANCE * np.linalg.norm(right):
            return None
        return density.normalised(np.insert(found, start, 1.0))


def densities(equations, *, lower, upper, cells):
    """Yield the `Stationary` law of each equation of a sweep, each from the one before it; see `Solver`.

    Args:
        equations: equations, or pairs of a drift and a covariance, in an order in which neighbours are alike.
        lower, upper, cells: as in `fokker_planck`.

    >>> pairs = [(lambda x, c=c: (-x.theta - c * x.omega, c * x.theta - x.omega), np.eye(2)) for c in (0.5, 0.6, 0.7)]
    >>> [round(law.entropy_production, 2) for law in densities(pairs, lower=(-4, -4), upper=(4, 4), cells=64)]
    [0.5, 0.72, 0.98]
    """
    solver = Solver(lower=lower, upper=upper, cells=cells)
    for equation in equations:
        yield solver(*equation) if isinstance(equation, tuple) else solver(equation)
