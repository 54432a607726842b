"""How fast an equation with two parameters forgets its start: the slowest modes of its generator."""

import jax
import numpy as np
import scipy.sparse

from gansde_lib import _checks
from gansde_lib.games import Players
from gansde_lib.invariant import density, grid


def slow_modes(drift, covariance=None, *, lower, upper, cells, count=8):
    r"""Return the eigenvalues of the discretised generator with the largest real parts, that of the constants first.

    A mode with eigenvalue :math:`\lambda` decays like :math:`e^{\lambda t}`. For a linear equation with the eigenvalues
    :math:`\mu_1, \mu_2` of its drift they are :math:`n_1 \mu_1 + n_2 \mu_2`, n = 0, 1, 2, ... (Metafune, Pallara and
    Priola 2002).

    Eigenvalues are sought near zero and near the frequencies at which the drift turns at the most likely point, by
    inverse iteration (ARPACK) on sparse factors.

    Args:
        drift, covariance, lower, upper, cells: as in `fokker_planck`.
        count: how many eigenvalues to look for near each of these places.

    Returns:
        A complex array, sorted by real parts, the largest first; the first is 0 up to roundings.

    Raises:
        ValueError: as `fokker_planck`, or for a count below 2.

    >>> drift = lambda x: Players(-x.theta - 2 * x.omega, 2 * x.theta - x.omega)
    >>> slow_modes(drift, np.eye(2), lower=(-4, -4), upper=(4, 4), cells=48)[1:3].real.round(1)
    array([-1., -1.])
    """
    _checks.whole("count", count, minimum=2, example="slow_modes(equation, lower=(-2, -2), upper=(2, 2), cells=96)")
    box = grid.make(lower, upper, cells)
    joined = density.edges(drift, covariance, box)
    matrix = density.generator_of(joined, cells**2).tocsc()
    # Near zero, not at it: 0 is an eigenvalue. A cell's rate of leaving is about n^2 times the rates looked for.
    near = 1e-6 * np.abs(matrix.diagonal()).max()
    masses = density.eliminated(matrix, density.factorised(matrix, density.likely(joined, cells**2)))
    row, column = np.divmod(int(np.argmax(masses)), cells)
    turns = np.abs(_turning(drift, covariance, float(box.theta[row]), float(box.omega[column])))
    found = _near(matrix, near, count)
    if turns.max() > near:
        above = _near(matrix.astype(complex), near + 1j * turns.max(), count)
        found = np.concatenate([found, above, above.conj()])
    found = found[np.argsort(-found.real.round(12))]
    kept = []
    for value in found:
        if all(abs(value - other) > 1e-7 * max(abs(value), near) for other in kept):
            kept.append(value)
    return np.array(kept)


def _turning(drift, covariance, theta, omega):
    """Imaginary parts of the eigenvalues of the drift's derivative at a point."""
    push, _ = grid.fresh(grid.as_pair(drift, covariance))
    with jax.enable_x64(True):
        return np.linalg.eigvals(np.asarray(_derivative(push, np.array([theta, omega])))).imag


@jax.jit
def _derivative(drift, point):
    def flat(point):
        return jax.numpy.stack([part.reshape(()) for part in drift(Players(point[0], point[1]))])

    return jax.jacfwd(flat)(point)


def _near(matrix, shift, count):
    solver = density.lu(matrix - shift * scipy.sparse.eye_array(matrix.shape[0], format="csc"))
    inverse = scipy.sparse.linalg.LinearOperator(matrix.shape, matvec=solver.solve, dtype=matrix.dtype)
    start = np.cos(1.0 + np.arange(matrix.shape[0]))  # no random start: the same eigenvalues every time
    values = scipy.sparse.linalg.eigs(inverse, k=count, v0=start.astype(matrix.dtype), return_eigenvectors=False)
    return shift + 1 / values


def spectral_gap(drift, covariance=None, *, lower, upper, cells, count=8):
    r"""Return the rate at which the slowest mode of an equation with two parameters decays.

    Args:
        drift, covariance, lower, upper, cells, count: as in `slow_modes`, which also gives the frequency.

    Returns:
        :math:`-\max \operatorname{Re} \lambda` over the eigenvalues but that of the constants, per unit of time.

    Raises:
        ValueError: as `slow_modes`.

    >>> drift = lambda x: Players(-x.theta - 2 * x.omega, 2 * x.theta - x.omega)
    >>> round(spectral_gap(drift, np.eye(2), lower=(-4, -4), upper=(4, 4), cells=48), 1)
    1.0
    """
    modes = slow_modes(drift, covariance, lower=lower, upper=upper, cells=cells, count=count)
    return float(-modes[1].real)
