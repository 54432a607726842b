r"""How well a film of training can be told from the same film run backwards: entropy production at a site."""

import jax.numpy as jnp

from gansde_lib import gda, phases
from gansde_lib.critical.linear import _kicks, covariance, noise_covariance


def entropy_production(site, *, lr, update="simultaneous", point_noise, witness_noise):
    r"""Return the entropy that the mean mode of a site produces per update, exactly at finite rates.

    It is the relative entropy of a stationary pair (x, x') to the pair (x', x): how much one update tells about the
    direction of time. For a Gaussian chain with map M, step covariance Q and stationary covariance :math:`\Sigma`

    .. math:: e = \operatorname{tr}\bigl[ Q^{-1} M\, (\Sigma M^\top - M \Sigma) \bigr] .

    Differences between points are chains of one dimension, which look the same backwards.

    Args:
        site, lr, update: as in `noise_covariance`.
        point_noise, witness_noise: both positive.

    Returns:
        The entropy; infinite where there is no stationary law.

    >>> site = phases.Site(1.0, 1.0, ridge=0.4)
    >>> [round(float(entropy_production(site, lr=(eta_g, 0.2), point_noise=1.0, witness_noise=1.0)), 2)
    ...  for eta_g in (0.2, 0.38)]
    [4.0, 84.1]
    """
    options = {"lr": lr, "update": update, "point_noise": point_noise, "witness_noise": witness_noise}
    matrix, kick = phases.mean_map(site, lr=lr, update=update), noise_covariance(site, **options)
    settled = covariance(site, **options)
    ahead = matrix @ settled
    turning = ahead[1, 0] - ahead[0, 1]  # the antisymmetric matrix has this number above its diagonal
    # tr(Q^-1 M J), J = [[0, 1], [-1, 0]], with the inverse of a symmetric 2 x 2 matrix written out.
    (a, b), (_, c) = kick
    (m, k), (answer, n) = matrix
    trace = (-c * k - b * (m - n) + a * answer) / (a * c - b**2)
    return jnp.where(jnp.isfinite(turning), trace * turning, jnp.inf)


def limit_entropy_production(site, *, lr, point_noise, witness_noise):
    r"""Return the entropy production for small rates, per update.

    With :math:`D_e = \eta_g^2 s^2 / n` and :math:`D_b = \eta_d^2 s_d^2 \gamma`

    .. math:: e = \frac{(\eta_d \gamma P D_e + \eta_g q D_b)^2}{D_e D_b\, (\alpha + \beta)} .

    It is never zero: the two players' couplings have opposite signs, whatever the noise.

    >>> site = phases.Site(1.0, 1.0, ridge=0.4)
    >>> limit_entropy_production(site, lr=0.1, point_noise=1.0, witness_noise=1.0).round(4)
    Array(1., dtype=float32)
    """
    points, witness = _kicks(site, lr, point_noise, witness_noise)
    eta_g, eta_d = gda.rates(lr)
    alpha, beta, _, _ = phases.numbers(site, lr=lr)
    turn = eta_d * site.gamma * site.generated_mass * points + eta_g * site.point_mass * witness
    return jnp.where(alpha + beta > 0, turn**2 / (points * witness * (alpha + beta)), jnp.inf)
