"""GANs on Gaussian data: one that learns the mean, one that learns the covariance."""

import jax.numpy as jnp
import numpy as np

from gansde_lib import _checks
from gansde_lib.games.game import Sample
from gansde_lib.games.gan import gan


def _standard_points(generator, size, dimension):
    """Return normal draws, shifted and mixed so that their mean is 0 and their covariance the identity, exactly."""
    points = generator.normal(size=(size, dimension))
    points -= points.mean(axis=0)
    return points @ np.linalg.inv(np.linalg.cholesky(points.T @ points / size)).T


def _shift(theta, latent):
    return theta + latent


def _linear(omega, point):
    return jnp.vdot(omega, point)


def gaussian_mean(mean=(0.0, 0.0), *, size=64, seed=3, **options):
    r"""The data have mean m and covariance I; the generator shifts, G(z) = theta + z; the discriminator is linear,
    :math:`D(x) = \omega \cdot x`.

    With the Wasserstein loss this is the bilinear game :math:`\Phi = \omega \cdot (m - \theta)`. Its equilibrium,
    theta = m and omega = 0, is one of every loss with r'(0) = -s'(0): of all the named ones but "kl", which has
    theta = e m instead.
    At m = 0 the spread of the data acts on the linear theory like instance noise of standard deviation 1 on a
    Dirac-GAN: the eigenvalues are those of `dirac_eigenvalues(loss, penalty=penalty, noise=1)`, once per dimension.

    Args:
        mean: m, of shape (d,).
        size: number of real points, each paired with a latent one. Both sets are shifted and mixed so that their
            means and covariances are exact; this needs size > d.
        seed: seed of the samples (NumPy's generator).
        **options: `loss`, `penalty`, `regulariser`, `noise`, `key` of `gan`.

    >>> from gansde_lib import games
    >>> game = games.gaussian_mean((1.0, -1.0), loss="wasserstein")
    >>> games.field_jacobian(game, games.Players(np.zeros(2), np.zeros(2))).round(3) + 0.0
    Array([[ 0.,  0.,  1.,  0.],
           [ 0.,  0.,  0.,  1.],
           [-1.,  0.,  0.,  0.],
           [ 0., -1.,  0.,  0.]], dtype=float32)
    """
    mean = np.asarray(mean, dtype=float)
    if mean.ndim != 1 or mean.size == 0:
        raise ValueError(f"mean must be a vector, found shape {mean.shape}; for example gaussian_mean((0.0, 0.0))")
    _checks.whole("size", size, minimum=mean.size + 1, example="gaussian_mean((0.0, 0.0), size=64)")
    generator = np.random.default_rng(seed)
    real, latent = (_standard_points(generator, size, mean.size) for _ in range(2))
    return gan(_shift, _linear, Sample(mean + real, latent), **options)


def _mix(theta, latent):
    return theta @ latent


def _quadratic_form(omega, point):
    return point @ omega @ point


def linear_quadratic(covariance=((1.0, 0.0), (0.0, 0.25)), *, size=64, seed=3, **options):
    r"""The data have mean 0 and covariance S; the generator is linear, G(z) = A z with A = theta; the discriminator is
    quadratic, :math:`D(x) = x^\top W x` with W = omega. The loss is "wasserstein" unless another is named:

    .. math:: \Phi = \operatorname{Tr}\, W (S - A A^\top), \qquad F = \bigl((W + W^\top) A,\; S - A A^\top\bigr).

    The equilibria are :math:`A A^\top = S` with W antisymmetric. They are degenerate: for any orthogonal U,
    :math:`A U` generates the same law as A, and an antisymmetric W scores every point 0. These are d(d - 1)/2 twice,
    as many eigenvalues 0; the others are in `linear_quadratic_eigenvalues`.

    Args:
        covariance: S, a symmetric positive definite matrix.
        size, seed, options: as for `gaussian_mean`; the latent points have covariance I, exactly.

    >>> from gansde_lib import games
    >>> game = games.linear_quadratic(np.diag([4.0, 1.0]))
    >>> np.asarray(game.field(games.Players(np.eye(2), np.zeros((2, 2)))).omega).round(3) + 0.0
    array([[3., 0.],
           [0., 0.]], dtype=float32)
    """
    covariance = np.asarray(covariance, dtype=float)
    square = covariance.ndim == 2 and len(set(covariance.shape)) == 1 and np.allclose(covariance, covariance.T)
    if not (square and np.linalg.eigvalsh(covariance).min() > 0):
        raise ValueError(
            f"covariance must be a symmetric positive definite matrix, found {covariance.tolist()}; "
            "for example linear_quadratic(np.diag([1.0, 0.25]))"
        )
    _checks.whole("size", size, minimum=len(covariance) + 1, example="linear_quadratic(size=64)")
    generator = np.random.default_rng(seed)
    real, latent = (_standard_points(generator, size, len(covariance)) for _ in range(2))
    samples = Sample(real @ np.linalg.cholesky(covariance).T, latent)
    return gan(_mix, _quadratic_form, samples, **{"loss": "wasserstein", **options})
