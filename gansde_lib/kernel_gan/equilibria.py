r"""Equilibria of the kernel GAN and their linear stability, neighbours included.

At rest the witness is :math:`f^* = \tfrac1\lambda \bigl(\sum_i p_i K(\cdot, x_i) - \sum_j \tilde p_j
K(\cdot, \tilde x_j)\bigr)` and its slope vanishes at every generated point that has mass.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize

from gansde_lib import _checks, gda
from gansde_lib.kernel_gan import kernels
from gansde_lib.kernel_gan.expansion import check_points, memory


def rest_witness(problem, points, x):
    """Return the witness at rest with generated points `points`, at places x of shape (m, d).

    >>> from gansde_lib import kernel_gan
    >>> problem = kernel_gan.problem([[0.0]], [1.0], [0.8], bandwidth=1.0, ridge=0.5)
    >>> round(float(rest_witness(problem, jnp.zeros((1, 1)), jnp.zeros((1, 1)))[0]), 4)  # (1 - 0.8) / 0.5
    0.4
    """
    real, generated = (
        kernels.evaluate(problem.kernel, problem.bandwidth, x, jnp.asarray(centers, x.dtype)) @ jnp.asarray(m, x.dtype)
        for centers, m in ((problem.true_points, problem.true_masses), (points, problem.generated_masses))
    )
    return (real - generated) / problem.ridge


def rest_force(problem, points):
    """Return the slope of that witness at each generated point, of shape (n, d): zero at an equilibrium.

    >>> from gansde_lib import kernel_gan
    >>> problem = kernel_gan.problem([[0.0]], [1.0], [1.0], bandwidth=1.0, ridge=1.0)
    >>> round(float(rest_force(problem, jnp.array([[1.0]]))[0, 0]), 4)
    -0.6065
    """
    real, generated = (
        kernels.force(
            problem.kernel, problem.bandwidth, points, jnp.asarray(c, points.dtype), jnp.asarray(m, points.dtype)
        )
        for c, m in ((problem.true_points, problem.true_masses), (points, problem.generated_masses))
    )
    return (real - generated) / problem.ridge


@jax.jit
def _force_and_slope(problem, points):
    return rest_force(problem, points), jax.jacfwd(rest_force, argnums=1)(problem, points)


def equilibrium(problem, start_points, *, tolerance=1e-10):
    """Return the generated points (n, d), float64, of the equilibrium that a root finder reaches from `start_points`.

    A point far from all others feels no force, and counts as being at rest wherever it is.

    Raises:
        ValueError: for start points of another shape, a ridge of zero, or if the root finder stops with a slope above
            `tolerance`.

    >>> from gansde_lib import kernel_gan
    >>> problem = kernel_gan.problem([[0.0]], [0.5], [0.5, 0.5], bandwidth=1.0, ridge=1.0)
    >>> equilibrium(problem, [[0.5], [-0.4]]).ravel().round(4)  # plus and minus `split_distance`
    array([ 0.6798, -0.6798])
    """
    start = check_points(problem, start_points)
    _checks.positive("ridge", problem.ridge, example="kernel_gan.problem(..., ridge=0.5)")
    shape = start.shape
    with jax.enable_x64(True):
        problem = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), problem)

        def force(flat):
            value, slope = jax.device_get(_force_and_slope(problem, jnp.asarray(flat.reshape(shape))))
            return value.ravel(), slope.reshape(flat.size, -1)

        found = scipy.optimize.root(force, start.ravel(), jac=True, tol=1e-14)
        left = np.abs(force(found.x)[0]).max()
    if not left <= tolerance:
        raise ValueError(
            f"no equilibrium found from these start points: a slope of {left:.2g} is left, expected at most "
            f"{tolerance}; for example start where a simulation has settled"
        )
    return found.x.reshape(shape)


def split_distance(true_mass, point_mass, bandwidth=1.0):
    r"""Return how far from a true point of mass p two generated points of mass q > p / 2 rest, on opposite sides.

    .. math:: \delta = \sigma \sqrt{\tfrac23 \ln \tfrac{2q}{p}}

    for the Gaussian kernel: :math:`p e^{-\delta^2/2\sigma^2} = 2 q e^{-2\delta^2/\sigma^2}`.

    >>> round(float(split_distance(0.5, 0.5)), 4)
    0.6798
    """
    if not 2 * point_mass > true_mass > 0:
        raise ValueError(
            f"two points split around a true point only if their mass exceeds its own, found 2 * {point_mass} against "
            f"{true_mass}; for example split_distance(0.5, 0.5)"
        )
    return bandwidth * np.sqrt(2 / 3 * np.log(2 * point_mass / true_mass))


class Linear(NamedTuple):
    """One update near an equilibrium: a matrix on (displacements, deviations of the witness's slope), both (n, d)
    raveled, and the factor 1 - eta_d ridge (to the power of the inner steps) of everything else in the witness."""

    matrix: Any
    rest: Any

    @property
    def eigenvalues(self):
        """All eigenvalues, of the largest modulus first, `rest` included."""
        values = np.append(np.linalg.eigvals(self.matrix), self.rest)
        return values[np.argsort(-np.abs(values))]


def linearised(problem, points, *, lr, update="simultaneous", inner_steps=1):
    r"""Return one update near the equilibrium `points`, exactly.

    With :math:`e_j` the displacements, :math:`b_j` the deviation of the witness's slope at point j,
    :math:`G_{ij} = \nabla_1 \nabla_2^\top K(\tilde x_i, \tilde x_j)` and :math:`H_j = \nabla^2 f^*(\tilde x_j)`,

    .. math:: b_i' = (1 - \eta_d\lambda) b_i - \eta_d \sum_j \tilde p_j G_{ij} e_j, \qquad
              e_i' = e_i + \eta_g \tilde p_i (b_i^{(\prime)} + H_i e_i),

    where the prime at b is for alternating updates.

    Args:
        problem: the `Problem`.
        points: an equilibrium, as `equilibrium` returns it.
        lr, update, inner_steps: as in `run`.

    Raises:
        ValueError: as `check_points`; for a Laplacian kernel, which has no linear theory.

    >>> from gansde_lib import kernel_gan
    >>> problem = kernel_gan.problem([[0.0]], [1.0], [1.0], bandwidth=1.0, ridge=0.5)
    >>> linearised(problem, [[0.0]], lr=0.1).matrix
    array([[ 1.  ,  0.1 ],
           [-0.1 ,  0.95]])
    """
    points, lr = check_points(problem, points), gda.rates(lr)
    _checks.choice("update", update, gda.ORDERS, example='update="alternating"')
    kernels.curvature(problem.kernel, problem.bandwidth)
    with jax.enable_x64(True):
        problem = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), problem)
        coupling, bend = (np.asarray(part) for part in _second_derivatives(problem, jnp.asarray(points)))
    n, d = points.shape
    gain, decay = memory(float(lr.omega), float(problem.ridge), inner_steps)
    masses = np.repeat(problem.generated_masses, d)
    push = float(lr.theta) * masses[:, None]
    still, bend = np.eye(n * d), np.einsum("ij,iab->iajb", np.eye(n), bend).reshape(n * d, n * d)
    answer = -gain * coupling.transpose(0, 2, 1, 3).reshape(n * d, n * d) * masses
    slopes = np.hstack([answer, decay * still])
    seen = slopes if update == "alternating" else np.hstack([0 * still, still])
    moves = np.hstack([still, 0 * still]) + push * (seen + np.hstack([bend, 0 * still]))
    return Linear(np.vstack([moves, slopes]), decay)


@jax.jit
def _second_derivatives(problem, points):
    """G, of shape (n, n, d, d), and H, of shape (n, d, d)."""

    def kernel(x, y):
        return kernels.evaluate(problem.kernel, problem.bandwidth, x[None], y[None])[0, 0]

    mixed = jax.jacfwd(jax.grad(kernel), argnums=1)
    coupling = jax.vmap(lambda x: jax.vmap(lambda y: mixed(x, y))(points))(points)
    bend = jax.vmap(jax.hessian(lambda x: rest_witness(problem, points, x[None])[0]))(points)
    return coupling, bend
