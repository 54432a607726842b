r"""Games that stand in for a noisy site: its linear part as a quadratic game, and a site whose data are a cluster."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from gansde_lib import _checks, games, kernel_gan
from gansde_lib.critical.linear import _kicks
from gansde_lib.games import Game


def linear_game(site, *, point_noise, witness_noise=0.0):
    r"""Return the quadratic `Game` whose training with batch 1 is the linear theory of a noisy site.

    theta are the n displacements, omega is the deviation of the witness's slope over :math:`\sqrt\gamma`:

    .. math:: \Phi = \tfrac{q \gamma \Delta}{2 \lambda} |\theta|^2 - q \sqrt\gamma\, \omega \sum_j \theta_j
              - \tfrac\lambda2 \omega^2 .

    Its samples add linear terms whose covariances are :math:`s^2 I` and :math:`s_d^2`. So all that parts II to IV know
    about quadratic games applies: `sde.chain_stationary`, `fdr.exact`, `invariant.linearised`.

    Args:
        site: the `phases.Site`.
        point_noise, witness_noise: as in `noise_covariance`.

    >>> from gansde_lib import gda, phases
    >>> game = linear_game(phases.Site(1.0, 1.0, ridge=0.5), point_noise=0.1)
    >>> np.asarray(gda.jacobian(game, ([0.0], [0.0]), lr=(0.2, 0.1)), float).round(4)
    array([[ 1.  ,  0.2 ],
           [-0.1 ,  0.95]])
    """
    _kicks(site, 1.0, point_noise, witness_noise)  # checks them
    n, gamma, q = site.count, float(site.gamma), site.point_mass
    axes = np.sqrt(n + 1) * np.concatenate([np.eye(n + 1), -np.eye(n + 1)])
    samples = {"a": point_noise * axes[:, :n], "b": witness_noise * axes[:, n:]}
    pull = q * gamma * site.excess / site.ridge
    return games.quadratic(
        pull * np.eye(n), np.full((n, 1), -q * gamma**0.5), np.full((1, 1), site.ridge), samples=samples
    )


def _cluster_payoff(features, masses, ridge, true_mass, theta, omega, sample):
    real = kernel_gan.embed(features, sample[None].astype(theta.dtype), jnp.ones(1, theta.dtype))
    generated = kernel_gan.embed(features, theta, jnp.asarray(masses, theta.dtype))
    return jnp.vdot(true_mass * real - generated, omega) - ridge / 2 * jnp.vdot(omega, omega)


def cluster_game(features, data, generated_masses, *, ridge, true_mass=1.0):
    r"""Return the kernel GAN whose true law is a data set that minibatches are drawn from.

    theta are the generated points (n, d), omega the witness's coefficients, and a sample is one true point, of which
    all have the same share of `true_mass`.

    Args:
        features: a feature map of `kernel_gan`.
        data: true points, of shape (N, d).
        generated_masses: of shape (n,).
        ridge: lambda.
        true_mass: p, the mass of all data together.

    Raises:
        ValueError: for data that are not a matrix, or a ridge that is not positive.

    >>> features = kernel_gan.fourier_features(8.0, modes=9, bandwidth=1.0)
    >>> game = cluster_game(features, [[-0.1], [0.1]], [1.0], ridge=0.5)
    >>> game.size, float(abs(game.field((jnp.zeros((1, 1)), jnp.zeros(20))).theta).max())
    (2, 0.0)
    """
    data, masses = np.asarray(data, float), np.asarray(generated_masses, float)
    if data.ndim != 2 or masses.ndim != 1:
        raise ValueError(
            f"data must have shape (N, d) and masses (n,), found {data.shape} and {masses.shape}; for example "
            "cluster_game(features, [[-0.1], [0.1]], [1.0], ridge=0.5)"
        )
    _checks.positive("ridge", ridge, example="cluster_game(features, [[-0.1], [0.1]], [1.0], ridge=0.5)")
    return Game(Partial(_cluster_payoff, features, masses, ridge, true_mass), data)


class Cluster(NamedTuple):
    r"""What the spread of a cluster does to a generated point in its middle: see `cluster`.

    `softened`: :math:`\gamma_t`; `excess`: the effective :math:`\Delta`; `witness_noise`: the effective s_d.
    """

    softened: Any
    excess: Any
    witness_noise: Any


def cluster(site, data, *, batch):
    r"""Return the `Cluster` numbers of data in one dimension around a site's true point, Gaussian kernel.

    Averaged over the data, the kernel is less curved, :math:`\gamma_t = \operatorname{mean}[\gamma (1 - \gamma y^2)
    e^{-\gamma y^2/2}]`, so that :math:`\Delta` becomes :math:`(\gamma_t p - \gamma P) / \gamma`; and a minibatch of B
    of them tilts the witness by a slope of variance :math:`p^2 \operatorname{mean}[\gamma^2 y^2 e^{-\gamma y^2}] / B`
    per step, which is :math:`\gamma s_d^2`. For a normal cluster of variance v these are :math:`\gamma (1 + \gamma
    v)^{-3/2}` and :math:`\gamma^2 p^2 v (1 + 2 \gamma v)^{-3/2} / B`.

    Args:
        site: the `phases.Site`.
        data: the true points, of shape (N,), symmetric about zero.
        batch: B.

    >>> from gansde_lib import phases
    >>> found = cluster(phases.Site(1.0, 1.0), np.array([-0.1, 0.1]), batch=4)
    >>> round(float(found.excess), 4), round(float(found.witness_noise), 4)
    (-0.0149, 0.0498)
    """
    y, gamma = np.asarray(data, float), float(site.gamma)
    softened = np.mean(gamma * (1 - gamma * y**2) * np.exp(-gamma * y**2 / 2))
    tilt = np.mean(gamma * y**2 * np.exp(-gamma * y**2))
    excess = (softened * site.true_mass - gamma * site.generated_mass) / gamma
    return Cluster(softened, excess, site.true_mass * np.sqrt(tilt / batch))
