"""Stationary covariances of linear chains and linear equations: the two Lyapunov equations."""

import numpy as np
import scipy.linalg


def covariance(step_matrix, step_covariance):
    r"""Return the stationary covariance of the chain :math:`x' = A x + \xi`, the noise having mean zero.

    .. math:: \Gamma = A \Gamma A^\top + Q, \qquad \Gamma = \sum_{k \ge 0} A^k Q (A^\top)^k .

    Args:
        step_matrix: A, of shape (d, d).
        step_covariance: Q, the covariance of one step's noise, of shape (d, d), symmetric.

    Returns:
        A NumPy array of float64, of shape (d, d).

    Raises:
        ValueError: if the spectral radius of A is not below 1, or for shapes that do not fit.

    >>> covariance([[0.5]], [[3.0]])
    array([[4.]])
    """
    call = "covariance([[0.5]], [[1.0]])"
    matrix, noise = _pair(step_matrix, step_covariance, "step_covariance", call)
    radius = np.abs(np.linalg.eigvals(matrix)).max()
    if not radius < 1:
        raise ValueError(
            f"a stationary law needs a step matrix of spectral radius below 1, found {radius:.6g}: the chain does not "
            f"settle; for example a smaller learning rate, or {call}"
        )
    return _symmetric(scipy.linalg.solve_discrete_lyapunov(matrix, noise))


def continuous_covariance(drift_matrix, covariance):
    r"""Return the stationary covariance of the equation :math:`dX = A X\,dt + D^{1/2}\,dW`.

    .. math:: A \Gamma + \Gamma A^\top + D = 0, \qquad \Gamma = \int_0^\infty e^{At} D\, e^{A^\top t}\, dt .

    Args:
        drift_matrix: A, of shape (d, d).
        covariance: D, the covariance per unit of time, of shape (d, d), symmetric.

    Returns:
        A NumPy array of float64, of shape (d, d).

    Raises:
        ValueError: if an eigenvalue of A has a real part that is not negative, or for shapes that do not fit.

    >>> continuous_covariance([[-0.5]], [[3.0]])
    array([[3.]])
    """
    call = "continuous_covariance([[-0.5]], [[1.0]])"
    matrix, noise = _pair(drift_matrix, covariance, "covariance", call)
    abscissa = np.linalg.eigvals(matrix).real.max()
    if not abscissa < 0:
        raise ValueError(
            "a stationary law needs a drift matrix whose eigenvalues have negative real parts, found a largest real "
            f"part of {abscissa:.6g}: the equation does not settle; for example {call}"
        )
    return _symmetric(scipy.linalg.solve_continuous_lyapunov(matrix, -noise))


def _pair(matrix, noise, name, call):
    """Both as square float64 arrays of one size, the second symmetric."""
    matrix, noise = (np.atleast_2d(np.asarray(part, np.float64)) for part in (matrix, noise))
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or noise.shape != matrix.shape:
        raise ValueError(
            f"two square matrices of one size are needed, found shapes {matrix.shape} and {noise.shape}; for example "
            f"{call}"
        )
    if not (np.isfinite(matrix).all() and np.isfinite(noise).all()):
        raise ValueError(f"matrices must be finite, found {matrix} and {noise}; for example {call}")
    if np.abs(noise - noise.T).max() > 1e-6 * np.abs(noise).max():
        raise ValueError(f"{name} must be symmetric, found {noise}; for example {call}")
    return matrix, _symmetric(noise)


def _symmetric(matrix):
    return (matrix + matrix.T) / 2
