r"""Where the regimes of a site meet, in closed form.

With :math:`\Omega = \omega^2 + \alpha\beta` Jury's conditions for the mean map are :math:`\det M < 1`,
:math:`1 + \operatorname{tr} M + \det M > 0` and :math:`\Omega > 0`. At given eta_d both beta and omega^2 grow in
proportion to eta_g, so that every boundary is a root of a linear or quadratic equation for eta_g.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp

from gansde_lib import _checks, gda
from gansde_lib.phases.site import numbers


class Boundaries(NamedTuple):
    """The generator rates eta_g at which the regime changes; infinite where there is no such rate.

    `oscillation`: the mean mode begins to turn; `end_of_oscillation`: it stops; `hopf`: a turning mean mode begins to
    grow; `flip`: an eigenvalue of the mean mode passes -1; `difference`: differences between generated points do.
    """

    oscillation: Any
    end_of_oscillation: Any
    hopf: Any
    flip: Any
    difference: Any


def residuals(site, *, lr, update="simultaneous", inner_steps=1):
    r"""Return functions that vanish on the boundaries, for contours in any plane: a tuple (turning, hopf, flip).

    "turning" is the discriminant of the mean map, negative where its eigenvalues are complex; "hopf" is 1 - det M, and
    "flip" 1 + tr M + det M, both negative beyond the boundary.

    >>> from gansde_lib import phases
    >>> _, hopf, _ = residuals(phases.Site(1.0, 1.0, ridge=0.5), lr=(0.5, 0.1))
    >>> abs(round(float(hopf), 6))  # eta_g = lambda sigma^2 / (q p)
    0.0
    """
    alpha, beta, turn, hold = numbers(site, lr=lr, inner_steps=inner_steps)
    if update == "alternating":
        trace = 2 - alpha - beta - turn
        return trace**2 - 4 * (1 - alpha) * (1 - beta), alpha + beta - alpha * beta, (2 - alpha) * (2 - beta) - turn
    return (alpha - beta) ** 2 - 4 * turn, alpha + beta - hold, (2 - alpha) * (2 - beta) + turn


def _first(*candidates):
    """The smallest positive candidate, or infinity."""
    values = jnp.stack([jnp.asarray(value, float) for value in candidates])
    return jnp.where(values > 0, values, jnp.inf).min()


def boundaries(site, *, eta_d, update="simultaneous", inner_steps=1):
    r"""Return the `Boundaries` of a site at the discriminator rate eta_d.

    For a balanced site, p = P, simultaneous updates diverge beyond :math:`\eta_g = \lambda / \gamma q p` whatever
    eta_d, alternating ones beyond :math:`\eta_g = 2 (2 - \eta_d \lambda) / \eta_d \gamma q p`.

    Args:
        site: the `Site`.
        eta_d: the rate of the discriminator.
        update, inner_steps: as in `mean_map`.

    >>> from gansde_lib import phases
    >>> found = boundaries(phases.Site(1.0, 1.0, ridge=0.5), eta_d=0.1)
    >>> round(float(found.oscillation), 5), round(float(found.hopf), 5)
    (0.00625, 0.5)
    >>> round(float(boundaries(phases.Site(1.0, 1.0, ridge=0.5), eta_d=0.1, update="alternating").flip), 4)
    39.0
    """
    _checks.choice("update", update, gda.ORDERS, example='update="alternating"')
    alpha, beta, turn, hold = numbers(site, lr=(1.0, eta_d), inner_steps=inner_steps)  # per unit of eta_g
    if update == "alternating":
        # (2 - alpha - s eta_g)^2 = 4 (1 - alpha)(1 - beta eta_g), s = beta + omega^2
        both = beta + turn
        onset = _quadratic(both**2, 4 * (1 - alpha) * beta - 2 * (2 - alpha) * both, alpha**2)
        hopf, flip = _first(-alpha / ((1 - alpha) * beta)), _first(2 * (2 - alpha) / (turn + (2 - alpha) * beta))
    else:
        onset = _quadratic(beta**2, -2 * alpha * beta - 4 * turn, alpha**2)
        hopf, flip = _first(alpha / (hold - beta)), _first(2 * (2 - alpha) / ((2 - alpha) * beta - turn))
    difference = jnp.where(jnp.asarray(site.count) > 1, _first(2 / beta), jnp.inf)
    return Boundaries(*onset, hopf, flip, difference)


def _quadratic(a, b, c):
    """The positive roots of a x^2 + b x + c = 0, the smaller first, infinite if there are none; a may vanish."""
    discriminant = b**2 - 4 * a * c
    middle = -(b - jnp.sqrt(jnp.maximum(discriminant, 0))) / 2  # b < 0 wherever there are positive roots
    smaller, larger = _first(c / middle), _first(middle / a)
    real = discriminant >= 0
    return jnp.where(real, smaller, jnp.inf), jnp.where(real, larger, jnp.inf)


def stability_limit(site, *, eta_d, update="simultaneous", inner_steps=1):
    r"""Return the generator rate at which the equilibrium loses its stability; 0 if no rate is stable.

    >>> from gansde_lib import phases
    >>> round(float(stability_limit(phases.Site(1.0, 1.0, ridge=0.5, bandwidth=2.0), eta_d=0.1)), 4)
    2.0
    """
    found = boundaries(site, eta_d=eta_d, update=update, inner_steps=inner_steps)
    limit = jnp.minimum(found.hopf, jnp.minimum(found.flip, found.difference))
    alpha = numbers(site, lr=(1.0, eta_d), inner_steps=inner_steps).alpha
    # For eta_g -> 0 the mean mode is stable unless p = 0; differences between points need Delta > 0.
    stable = (site.true_mass > 0) & ((jnp.asarray(site.count) == 1) | (site.excess > 0)) & (alpha < 2)
    return jnp.where(stable, limit, 0.0)


def best_ridge(site, *, lr, update="simultaneous"):
    r"""Return the ridge at which a balanced site with one generated point converges fastest, at the rate 1 - omega.

    .. math:: \lambda = \frac{2 \omega}{\eta_d} \text{ (simultaneous)}, \qquad
              \lambda = \frac{1 - (1 - \omega)^2}{\eta_d} \text{ (alternating)}, \qquad
              \omega = \sqrt{\eta_d \eta_g \gamma q p}.

    >>> from gansde_lib import phases
    >>> round(float(best_ridge(phases.Site(1.0, 1.0), lr=0.1)), 4)
    2.0
    """
    _checks.choice("update", update, gda.ORDERS, example='update="alternating"')
    eta_g, eta_d = gda.rates(lr)
    omega = jnp.sqrt(eta_d * eta_g * site.gamma * site.point_mass * site.true_mass)
    return (2 * omega if update == "simultaneous" else 1 - (1 - omega) ** 2) / eta_d


def best_bandwidth(site, *, lr):
    r"""Return the bandwidth at which the mean mode of a balanced site stops turning, at simultaneous updates.

    .. math:: \sigma = \tfrac{2}{\lambda} \sqrt{\tfrac{\eta_g}{\eta_d} q p} \; \sqrt{-2\phi'(0)}.

    There the rate is :math:`1 - \eta_d\lambda/2`. A smaller bandwidth is slower again, until the site diverges.

    >>> from gansde_lib import phases
    >>> round(float(best_bandwidth(phases.Site(0.1, 0.1, ridge=0.01), lr=1.0)), 4)
    20.0
    """
    eta_g, eta_d = gda.rates(lr)
    unit = site.gamma * site.bandwidth**2
    return 2 / site.ridge * jnp.sqrt(eta_g / eta_d * site.point_mass * site.true_mass * unit)
