r"""Noise at a site in the linear theory: one step's covariance, and the stationary one in closed form.

In every step the gradient of each coordinate of each generated point is off by a number of standard deviation s
(`point_noise`), and that of the witness by a vector of the kernel's space whose component in any direction has the
standard deviation s_d (`witness_noise`). Matrices act on (mean displacement, deviation of the witness's slope), as in
`phases.mean_map`; both are per coordinate.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp

from gansde_lib import _checks, gda, phases

CALL = "mean_variance(phases.Site(1.0, 1.0, ridge=0.4), lr=(0.3, 0.2), point_noise=0.01)"


class Distances(NamedTuple):
    """The three factors of the determinant that vanish on the boundaries of the mean mode: see `distances`."""

    hopf: Any
    hold: Any
    flip: Any

    @property
    def stable(self):
        """True where all three are positive: Jury's conditions."""
        return (self.hopf > 0) & (self.hold > 0) & (self.flip > 0)


def distances(site, *, lr, update="simultaneous"):
    r"""Return :math:`1 - D`, :math:`1 - T + D` and :math:`1 + T + D`, with T, D the trace and determinant of the map.

    The first vanishes where a turning mode begins to grow, the second (it is :math:`\Omega = \eta_d\eta_g\gamma q p`)
    where nothing holds the points, the third where an eigenvalue passes -1.

    >>> distances(phases.Site(1.0, 1.0, ridge=0.5), lr=(0.5, 0.1)).hopf.round(6)  # on the boundary
    Array(0., dtype=float32)
    """
    _, hopf, flip = phases.residuals(site, lr=lr, update=update)
    return Distances(hopf, phases.numbers(site, lr=lr).hold, flip)


def _kicks(site, lr, point_noise, witness_noise):
    """Variances, per step, of the mean displacement by the points' noise and of the slope by the witness's."""
    for name, value in (("point_noise", point_noise), ("witness_noise", witness_noise)):
        _checks.non_negative(name, value, example=CALL)
    eta_g, eta_d = gda.rates(lr)
    return (eta_g * point_noise) ** 2 / site.count, (eta_d * witness_noise) ** 2 * site.gamma


def noise_covariance(site, *, lr, update="simultaneous", point_noise, witness_noise=0.0):
    r"""Return the 2 x 2 covariance that one step adds.

    .. math:: Q_{\mathrm{sim}} = \begin{pmatrix} \eta_g^2 s^2 / n & 0 \\ 0 & \eta_d^2 s_d^2 \gamma \end{pmatrix},
              \qquad
              Q_{\mathrm{alt}} = G\, Q_{\mathrm{sim}}\, G^\top, \quad
              G = \begin{pmatrix} 1 & \eta_g q \\ 0 & 1 \end{pmatrix},

    because alternating points see the witness that has just been kicked.

    Args:
        site: the `phases.Site`.
        lr: learning rate, or (eta_g, eta_d).
        update: "simultaneous" or "alternating" (the witness first).
        point_noise: s, the standard deviation of the noise in each coordinate of each point's gradient.
        witness_noise: s_d, that of the noise in the witness's gradient, in any direction of the kernel's space.

    Raises:
        ValueError: for bad rates, an unknown update or a negative noise.

    >>> site = phases.Site(1.0, 0.5, count=2, ridge=0.4)
    >>> noise_covariance(site, lr=(0.2, 0.1), point_noise=1.0, witness_noise=1.0).round(4)
    Array([[0.02, 0.  ],
           [0.  , 0.01]], dtype=float32)
    """
    _checks.choice("update", update, gda.ORDERS, example='update="alternating"')
    points, witness = _kicks(site, lr, point_noise, witness_noise)
    seen = gda.rates(lr).theta * site.point_mass if update == "alternating" else 0 * points
    crossed = seen * witness
    return jnp.stack([jnp.stack([points + seen * crossed, crossed]), jnp.stack([crossed, witness + 0 * crossed])])


def covariance(site, *, lr, update="simultaneous", point_noise, witness_noise=0.0):
    r"""Return the stationary 2 x 2 covariance in closed form; infinite where there is none.

    With the adjugate :math:`\bar M = T I - M` of the map,

    .. math:: \Sigma = \frac{(1 + D) (Q + \bar M Q \bar M^\top) - T (\bar M Q + Q \bar M^\top)}
                            {(1 - D) (1 - T + D) (1 + T + D)} .

    It holds for every stable 2 x 2 matrix; `invariant.covariance` solves the same equation numerically.

    Args:
        site, lr, update, point_noise, witness_noise: as in `noise_covariance`.

    Raises:
        ValueError: as `noise_covariance`.

    >>> site = phases.Site(1.0, 1.0, ridge=0.4)
    >>> round(float(covariance(site, lr=(0.3, 0.2), point_noise=0.01)[0, 0]), 8)
    0.00023668
    """
    matrix = phases.mean_map(site, lr=lr, update=update)
    kick = noise_covariance(site, lr=lr, update=update, point_noise=point_noise, witness_noise=witness_noise)
    away = distances(site, lr=lr, update=update)
    trace = jnp.trace(matrix)
    adjugate = trace * jnp.eye(2, dtype=matrix.dtype) - matrix
    lagged = adjugate @ kick
    numerator = (2 - away.hopf) * (kick + lagged @ adjugate.T) - trace * (lagged + lagged.T)
    return jnp.where(away.stable, numerator / (away.hopf * away.hold * away.flip), jnp.inf)


def _echo(site, lr, update, point_noise, witness_noise):
    """The numerator of `mean_variance`, which is positive on the boundaries too."""
    points, witness = _kicks(site, lr, point_noise, witness_noise)
    alpha, beta, turn, _ = phases.numbers(site, lr=lr)
    returned = 2 * (1 - alpha) if update == "alternating" else 1 + (1 - alpha) ** 2
    own = alpha * (2 - alpha) * (alpha + beta - alpha * beta) + returned * turn
    push = (gda.rates(lr).theta * site.point_mass) ** 2 * witness
    return own * points + (2 - distances(site, lr=lr, update=update).hopf) * push


def mean_variance(site, *, lr, update="simultaneous", point_noise, witness_noise=0.0):
    r"""Return the stationary variance of the mean displacement in closed form; infinite where there is none.

    .. math::
       \operatorname{Var}(\bar e) = \frac{\tfrac{\eta_g^2 s^2}{n}\, [\alpha (2 - \alpha) (\alpha + \beta - \alpha\beta)
       + r\, \omega^2] + (1 + D)\, (\eta_g q\, \eta_d s_d)^2 \gamma}{(1 - D) (1 - T + D) (1 + T + D)}

    with :math:`r = 1 + (1 - \alpha)^2` for simultaneous and :math:`r = 2 (1 - \alpha)` for alternating updates.

    Args:
        site, lr, update, point_noise, witness_noise: as in `noise_covariance`.

    Raises:
        ValueError: as `noise_covariance`.

    >>> site = phases.Site(1.0, 1.0, ridge=0.4)
    >>> [round(float(mean_variance(site, lr=(rate, 0.2), point_noise=0.01)), 6) for rate in (0.2, 0.39, 0.4)]
    [5.6e-05, 0.00389, inf]
    """
    away = distances(site, lr=lr, update=update)
    echo = _echo(site, lr, update, point_noise, witness_noise)
    # In float32 a distance of the size of its own rounding is none.
    return jnp.where(
        away.stable & (away.hopf > 4 * jnp.finfo(echo.dtype).eps), echo / (away.hopf * away.hold * away.flip), jnp.inf
    )


def difference_variance(site, *, lr, point_noise):
    r"""Return the stationary variance of a difference mode, :math:`\eta_g^2 s^2 / (1 - (1 - \beta)^2)`.

    A difference mode is a combination of the points' displacements by a unit vector orthogonal to (1, ..., 1); the
    variance of :math:`e_j - e_l` is twice this number. It is the same in both orders of the updates, and infinite
    unless :math:`0 < \beta < 2`.

    >>> site = phases.Site(1.0, 0.25, count=2, ridge=0.5)  # beta = 0.25 eta_g
    >>> round(float(difference_variance(site, lr=(0.4, 0.1), point_noise=1.0)), 4)
    0.8421
    """
    beta = phases.numbers(site, lr=lr).beta
    kick = _kicks(site, lr, point_noise, 0.0)[0] * site.count
    return jnp.where((beta > 0) & (beta < 2), kick / (beta * (2 - beta)), jnp.inf)


def limit_variance(site, *, lr, point_noise, witness_noise=0.0):
    r"""Return what `mean_variance` becomes for small rates, that of an Ornstein-Uhlenbeck process.

    .. math:: \operatorname{Var}(\bar e) \approx
              \frac{\tfrac{\eta_g^2 s^2}{n} (\Omega + \alpha^2) + (\eta_g q\, \eta_d s_d)^2 \gamma}
                   {2 (\alpha + \beta)\, \Omega} .

    >>> site = phases.Site(1.0, 1.0, ridge=0.4)
    >>> options = {"lr": (0.0003, 0.0002), "point_noise": 1.0}
    >>> round(float(limit_variance(site, **options) / mean_variance(site, **options)), 2)
    1.0
    """
    points, witness = _kicks(site, lr, point_noise, witness_noise)
    alpha, beta, _, hold = phases.numbers(site, lr=lr)
    push = (gda.rates(lr).theta * site.point_mass) ** 2 * witness
    value = (points * (hold + alpha**2) + push) / (2 * (alpha + beta) * hold)
    return jnp.where((alpha + beta > 0) & (hold > 0), value, jnp.inf)
