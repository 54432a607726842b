r"""Closed forms for the damped rotation :math:`\frac m2\theta^2 + c\,\theta\omega - \frac m2\omega^2` with noise of one
variance on each player's gradient, and equal rates."""

import numpy as np
import scipy.special

from gansde_lib import _checks, gda

POINTS = ("seen", "start")
"""Where theta's gradient is taken: where training takes it, or where the update starts."""


def rotation_ratio(damping, coupling, *, lr, update="simultaneous", point="seen"):
    r"""Return what the sum relation of the continuous form gives for the stationary chain, left over right side.

    .. math:: \frac1{1 - \eta/\eta_{\max}} \quad\text{(simultaneous)}, \qquad
              \frac{2\,(2m + \eta c^2 - \eta m^2)}{m\,(a^2 - \eta^2c^2)} \quad\text{(alternating)},

    with :math:`a = 2 - \eta m`; for alternating updates with theta's gradient where the update starts it is
    :math:`2a / (a^2 - \eta^2c^2)`.

    Args:
        damping, coupling: m > 0 and c.
        lr: eta, one rate for both players; may be an array.
        update: "simultaneous" or "alternating".
        point: "seen" or "start".

    Returns:
        The ratio; infinite where the chain has no stationary law.

    >>> float(rotation_ratio(0.2, 1.0, lr=gda.rotation_limit(0.2, 1.0) / 2))
    2.0
    """
    _checks.positive("damping", damping, example="rotation_ratio(0.2, 1.0, lr=0.1)")
    _checks.choice("update", update, gda.ORDERS, example='update="alternating"')
    _checks.choice("point", point, POINTS, example='point="start"')
    eta, m, c = np.asarray(lr, float), damping, coupling
    with np.errstate(divide="ignore", invalid="ignore"):
        found = ratio(m, c, eta, alternating=update == "alternating", at_start=point == "start")
    return np.where(eta < gda.rotation_limit(m, c, update=update), found, np.inf)[()]


def ratio(m, c, eta, *, alternating, at_start):
    """The formulas of `rotation_ratio` as they stand, without a check: for numbers that JAX traces.

    >>> ratio(1.0, 0.0, 0.5, alternating=False, at_start=False)
    1.3333333333333333
    """
    if not alternating:
        return 2 * m / (2 * m - eta * (m**2 + c**2))
    a = 2 - eta * m
    above = 2 * a if at_start else 2 * (2 * m + eta * c**2 - eta * m**2) / m
    return above / (a**2 - (eta * c) ** 2)


def centring_bias(damping, coupling, *, lr, steps):
    r"""Return by how much centring at a chain's own running mean lowers the ratio of the sum relation, for small rates.

    The mean of the first t units of time is correlated with the gradient that follows:

    .. math:: \frac{1}{mT} \operatorname{Re} \operatorname{Ein}((m + \mathrm ic)\,T) \approx
              \frac{\ln(|m + \mathrm ic|\,T) + \gamma}{mT}, \qquad T = \eta n,

    with :math:`\operatorname{Ein}(z) = \int_0^z (1 - e^{-u})/u\,\mathrm du` and Euler's constant gamma.

    Args:
        damping, coupling: m > 0 and c.
        lr: eta.
        steps: n, the number of updates averaged over, the mean being started with them.

    >>> float(centring_bias(1.0, 1.0, lr=0.02, steps=20_000).round(4))
    0.0173
    """
    _checks.positive("damping", damping, example="centring_bias(1.0, 1.0, lr=0.02, steps=2000)")
    time = np.asarray(lr, float) * steps
    z = (damping + 1j * coupling) * time
    entire = np.euler_gamma + np.log(z) + scipy.special.exp1(z)
    return entire.real / (damping * time)
