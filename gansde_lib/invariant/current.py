r"""The current that flows in a stationary Gaussian law, and the entropy it produces.

The stationary law of :math:`dX = A X\,dt + D^{1/2}\,dW` is Gaussian with the covariance :math:`\Gamma` of
`continuous_covariance`. Its probability current is :math:`J(x) = K x\, p(x)` with the matrix K of `circulation`.
"""

import numpy as np

from gansde_lib.invariant.lyapunov import _pair, _symmetric, continuous_covariance


def circulation(drift_matrix, covariance):
    r"""Return the matrix K of the stationary current :math:`J(x) = K x\, p(x)`.

    .. math:: K = A + \tfrac12 D \Gamma^{-1}, \qquad K \Gamma + \Gamma K^\top = 0 .

    Detailed balance holds if and only if K vanishes, which is the case if and only if AD is symmetric.

    Args:
        drift_matrix: A, of shape (d, d).
        covariance: D, of shape (d, d), positive definite (or such that :math:`\Gamma` is).

    Returns:
        A NumPy array of float64, of shape (d, d).

    Raises:
        ValueError: as `continuous_covariance`, or if the stationary covariance is singular.

    >>> circulation([[-1.0, -2.0], [2.0, -1.0]], np.eye(2))  # the rotation alone
    array([[ 0., -2.],
           [ 2.,  0.]])
    """
    matrix, noise = _pair(drift_matrix, covariance, "covariance", "circulation([[-1.0, -2.0], [2.0, -1.0]], np.eye(2))")
    settled = _definite(continuous_covariance(matrix, noise), "the stationary covariance")
    return matrix + noise @ np.linalg.inv(settled) / 2


def entropy_production(drift_matrix, covariance):
    r"""Return the entropy that the stationary current of a linear equation produces per unit of time.

    With the velocity :math:`v(x) = K x` of the current,

    .. math:: e = \mathbb E\bigl[v^\top (D/2)^{-1} v\bigr] = 2 \operatorname{tr}(K^\top D^{-1} K \Gamma) .

    It is zero if and only if the law is in detailed balance.

    Args:
        drift_matrix: A, of shape (d, d).
        covariance: D, of shape (d, d), positive definite.

    Raises:
        ValueError: as `continuous_covariance`, or for a singular D, where the production is infinite or undefined.

    >>> entropy_production([[-1.0, -2.0], [2.0, -1.0]], np.eye(2))  # 2 c^2 / m for a damped rotation
    8.0
    """
    call = "entropy_production([[-1.0, -2.0], [2.0, -1.0]], np.eye(2))"
    matrix, noise = _pair(drift_matrix, covariance, "covariance", call)
    _definite(noise, "the noise covariance")
    settled, turning = continuous_covariance(matrix, noise), circulation(matrix, noise)
    return float(2 * np.trace(turning.T @ np.linalg.solve(noise, turning) @ settled))


def reversible_correlation(drift_matrix, covariance):
    r"""Return the off-diagonal entry of the noise covariance at which a two-dimensional law stops circulating.

    In two dimensions :math:`AD` is symmetric if and only if :math:`D_{12} (a_{11} - a_{22}) = a_{21} D_{11} - a_{12}
    D_{22}`. For :math:`\Phi = \tfrac a2 \theta^2 + c\, \theta\omega - \tfrac b2 \omega^2` that is :math:`D_{12}
    (b - a) = c\, (D_{11} + D_{22})`.

    Args:
        drift_matrix: A, of shape (2, 2).
        covariance: D, of shape (2, 2), of which only the diagonal counts.

    Returns:
        The entry, or None if none makes D positive definite.

    Raises:
        ValueError: for other shapes.

    >>> reversible_correlation([[-1.0, -0.5], [0.5, -3.0]], np.eye(2))
    0.5
    """
    call = "reversible_correlation([[-1.0, -0.5], [0.5, -3.0]], np.eye(2))"
    matrix, noise = _pair(drift_matrix, covariance, "covariance", call)
    if matrix.shape != (2, 2):
        raise ValueError(f"the closed form is for two dimensions, found {len(matrix)}; for example {call}")
    needed, spread = matrix[1, 0] * noise[0, 0] - matrix[0, 1] * noise[1, 1], matrix[0, 0] - matrix[1, 1]
    if needed == 0:
        return 0.0
    if spread == 0 or (needed / spread) ** 2 >= noise[0, 0] * noise[1, 1]:
        return None
    return float(needed / spread)


def _definite(matrix, name):
    values = np.linalg.eigvalsh(_symmetric(matrix))
    if not values.min() > 1e-12 * np.abs(values).max():
        raise ValueError(
            f"{name} must be positive definite, found eigenvalues {values}; for example a noise that reaches both "
            "players, np.eye(2)"
        )
    return matrix
