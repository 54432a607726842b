"""Exact first and second moments of an equation of a linear-quadratic game: affine drift, quadratic covariance."""

import jax
import numpy as np
import scipy.linalg
from jax.flatten_util import ravel_pytree

from gansde_lib import _checks
from gansde_lib.sde import moments


def generator(equation, x):
    r"""Return the matrix G of :math:`\frac{d}{dt} \mathbb E[z z^\top] = G\, \mathbb E[z z^\top]`, z = (1, x), raveled.

    Args:
        equation: an `Equation` of a linear-quadratic game, with any of its options.
        x: `Players` of the right shapes.

    Returns:
        A NumPy array of shape ((d + 1)^2, (d + 1)^2).

    Raises:
        ValueError: if the drift is not affine or the covariance not quadratic.

    >>> from gansde_lib import games
    >>> from gansde_lib.sde import modified_equation
    >>> equation = modified_equation(games.bilinear(1.0), lr=0.1, batch=None)
    >>> generator(equation, games.Players(0.0, 0.0)).shape
    (9, 9)
    """
    with jax.enable_x64(True):
        x = moments.as_double(x)
        size = ravel_pytree(x)[0].size
        points, trial = moments.points(size), np.cos(1 + np.arange(size))
        drifts, spreads = (np.asarray(part) for part in _coefficients(equation, x, np.vstack([points, trial])))
    basis = np.array([_pairs(point) for point in points])
    drift = np.concatenate([drifts[:1], drifts[1 : size + 1] - drifts[0]]).T  # affine: (d, d + 1)
    upper = np.triu_indices(size + 1)
    spread = np.linalg.solve(basis, spreads[:-1].reshape(len(points), -1)).T  # quadratic: (d^2, pairs)
    fits = np.allclose(drift @ np.concatenate([[1.0], trial]), drifts[-1], rtol=1e-8, atol=1e-8 * np.abs(drifts).max())
    expected = (spread @ _pairs(trial)).reshape(size, size)
    if not (fits and np.allclose(expected, spreads[-1], rtol=1e-8, atol=1e-8 * np.abs(spreads).max())):
        raise ValueError(
            f"moments close for linear-quadratic games only, found a drift that is not affine or a covariance that is "
            f"not quadratic; for example {moments.GAME}"
        )
    affine = np.zeros((size + 1, size + 1))
    affine[1:] = drift
    one = np.eye(size + 1)
    result = (np.einsum("ab,cd->acbd", affine, one) + np.einsum("ab,cd->acbd", one, affine)).reshape((size + 1,) * 4)
    result[1:, 1:, upper[0], upper[1]] += spread.reshape(size, size, -1)
    return result.reshape((size + 1) ** 2, -1)


def _pairs(point):
    z = np.concatenate([[1.0], point])
    return np.outer(z, z)[np.triu_indices(z.size)]


@jax.jit
def _coefficients(equation, x, points):
    unravel = ravel_pytree(x)[1]
    return jax.vmap(
        lambda point: (ravel_pytree(equation.drift(unravel(point)))[0], equation.covariance(unravel(point)))
    )(points)


def equation_moments(equation, x0, *, time):
    """Return the exact moments of an equation of a linear-quadratic game, by the exponential of its generator.

    Args:
        equation: an `Equation`, with any of its options.
        x0: `Players`, the start.
        time: in updates.

    Returns:
        `Moments`.

    Raises:
        ValueError: as `generator`, or for a negative time.

    >>> from gansde_lib import games
    >>> from gansde_lib.sde import modified_equation
    >>> equation = modified_equation(games.quadratic(1.0, 0.0, 1.0), lr=0.1, batch=None, order=1)
    >>> equation_moments(equation, games.Players(1.0, 0.0), time=10).mean.round(4)
    array([0.3679, 0.    ])
    """
    _checks.non_negative("time", time, example="equation_moments(equation, x0, time=100)")
    z = np.concatenate([[1.0], moments.flat(x0)])
    moved = scipy.linalg.expm(time * generator(equation, x0)) @ np.outer(z, z).ravel()
    return moments.read(moved.reshape(z.size, z.size))


def equation_stationary(equation, x):
    """Return the moments that an equation of a linear-quadratic game settles at.

    Raises:
        ValueError: as `generator`, or if the second moments grow.

    >>> from gansde_lib import games
    >>> from gansde_lib.sde import modified_equation
    >>> game = games.quadratic(1.0, 0.0, 1.0, samples={"a": np.array([1.0, -1.0])})
    >>> equation = modified_equation(game, lr=0.1, batch=1, order=1)
    >>> equation_stationary(equation, games.Players(0.0, 0.0)).covariance[0, 0].round(6)  # eta / 2
    np.float64(0.05)
    """
    return moments.fixed_point(generator(equation, x), lambda value: value.real)
