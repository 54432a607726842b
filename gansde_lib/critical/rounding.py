r"""What becomes of the divergence: the kernel is no parabola, and holds what the linear theory lets go.

Both laws are of leading order for small :math:`\alpha`, Gaussian kernel.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import scipy.integrate
from jax.scipy.special import log_ndtr

from gansde_lib import gda, phases
from gansde_lib.critical.linear import _echo, _kicks, distances

CANCELS = 4.0
"""Standard deviations below zero from which on `scaling` is computed without cancellation."""


class Rounding(NamedTuple):
    r"""The law of the squared amplitude :math:`E = a^2` of the mean mode near its Hopf boundary.

    .. math:: p(E) \propto \exp \frac{\epsilon E - k E^2 / 2}{2 N}, \qquad E \ge 0 .

    `distance`: :math:`\epsilon = D - 1`, negative on the stable side; `bend`: k; `noise`: N, the limit of
    :math:`(1 - D) \operatorname{Var}(\bar e)`.
    """

    distance: Any
    bend: Any
    noise: Any

    @property
    def place(self):
        r""":math:`x = \epsilon / \sqrt{k N}`: where in the rounded region the site is."""
        return self.distance / jnp.sqrt(self.bend * self.noise)

    @property
    def variance(self):
        r"""The variance of the mean displacement.

        .. math:: \tfrac12 \sqrt{N/k}\, \bigl[x + \sqrt2\, \phi(x/\sqrt2) / \Phi(x/\sqrt2)\bigr] .
        """
        return jnp.sqrt(self.noise / self.bend) / 2 * scaling(self.place)

    @property
    def ring(self):
        """The squared amplitude of the limit cycle without noise: zero on the stable side."""
        return jnp.maximum(self.distance, 0) / self.bend

    def density(self, energy):
        """Return the density of E = a^2 at values >= 0."""
        x = self.place / np.sqrt(2)
        spread = jnp.sqrt(2 * self.noise / self.bend)
        far = (energy - self.distance / self.bend) / spread
        return jnp.exp(-(far**2) / 2 - log_ndtr(x)) / (spread * np.sqrt(2 * np.pi))

    def amplitude_density(self, amplitude):
        """Return the density of the amplitude a at values >= 0."""
        return 2 * amplitude * self.density(amplitude**2)


def scaling(place):
    r"""Return :math:`x + \sqrt2\, \phi(x/\sqrt2) / \Phi(x/\sqrt2)`: the variance near a Hopf boundary, in its units.

    Far on the stable side it is :math:`2/|x|`, the linear theory; far on the other x, the limit cycle; at x = 0 it is
    :math:`2 / \sqrt\pi`.

    >>> [round(float(scaling(x)), 3) for x in (-20.0, 0.0, 20.0)]
    [0.099, 1.128, 20.0]
    """
    place = jnp.asarray(place, float)
    x = place / np.sqrt(2)
    # On the stable side the sum cancels; Laplace's continued fraction of the normal tail is what is left of it.
    z = jnp.maximum(-x, CANCELS)
    tail = z
    for level in range(24, 1, -1):
        tail = z + level / tail
    near = jnp.maximum(x, -CANCELS)
    whole = place + jnp.exp(-(near**2) / 2 - log_ndtr(near)) / np.sqrt(np.pi)
    return jnp.where(x < -CANCELS, np.sqrt(2) / tail, whole)


def rounding(site, *, lr, point_noise, witness_noise=0.0):
    r"""Return the `Rounding` of a site with simultaneous updates.

    :math:`k = \tfrac34 \gamma \omega^2 / \alpha`: points that swing with amplitude a leave a witness behind whose
    curvature, :math:`\tfrac34 \gamma^2 P a^2 / \lambda`, pulls them back.

    Args:
        site: the `phases.Site`, with a Gaussian kernel.
        lr: learning rate, or (eta_g, eta_d); on either side of the boundary.
        point_noise, witness_noise: as in `noise_covariance`.

    Raises:
        ValueError: for another kernel, whose fourth derivative enters.

    >>> site = phases.Site(1.0, 1.0, ridge=0.4)
    >>> at = rounding(site, lr=(0.4, 0.2), point_noise=0.001)
    >>> round(float(at.variance / 0.001), 3)
    0.186
    """
    if site.kernel != "gaussian":
        raise ValueError(
            f"the rounding law is for the Gaussian kernel, found {site.kernel!r}; for example Site(1.0, 1.0)"
        )
    alpha, _, turn, _ = phases.numbers(site, lr=lr)
    away = distances(site, lr=lr)
    noise = _echo(site, lr, "simultaneous", point_noise, witness_noise) / (away.hold * away.flip)
    return Rounding(-away.hopf, 0.75 * site.gamma * turn / alpha, noise)


class Pair(NamedTuple):
    r"""The law of half the distance v of two generated points on one true point, :math:`p(v) \propto e^{-bv^2 - cv^4}`.

    `quadratic`: b, negative if the site is over-filled; `quartic`: c.
    """

    quadratic: Any
    quartic: Any

    def density(self, v):
        """Return the density at half distances v, from minus to plus infinity."""
        return np.exp(-self.quadratic * np.square(v) - self.quartic * np.square(np.square(v))) / self._moment(0)

    @property
    def variance(self):
        r"""The mean of v^2; without the quadratic term :math:`c^{-1/2}\, \Gamma(3/4) / \Gamma(1/4)`."""
        return self._moment(2) / self._moment(0)

    def _moment(self, power):
        scale = float(self.quartic) ** -0.25
        b = float(self.quadratic) * scale**2

        def weight(u):
            return u**power * np.exp(-b * u**2 - u**4)

        return 2 * scale ** (power + 1) * scipy.integrate.quad(weight, 0, np.inf)[0]


def pair(site, *, lr, point_noise):
    r"""Return the `Pair` law of a site with two generated points, for small rates, one dimension.

    .. math:: b = \frac{2\beta}{\eta_g^2 s^2}, \qquad c = \frac{3\, q P \gamma^2}{2\, \lambda\, \eta_g s^2} .

    Raises:
        ValueError: for another number of points, or another kernel.

    >>> balanced = pair(phases.Site(1.0, 0.5, count=2, ridge=0.5), lr=(0.1, 0.1), point_noise=0.01)
    >>> round(float(balanced.variance * balanced.quartic**0.5), 4)
    0.338
    """
    if site.kernel != "gaussian" or site.count != 2:
        raise ValueError(
            f"this law is for two generated points and the Gaussian kernel, found {site.count} and {site.kernel!r}; "
            "for example pair(phases.Site(1.0, 0.5, count=2), lr=0.1, point_noise=0.01)"
        )
    beta = phases.numbers(site, lr=lr).beta
    kick = _kicks(site, lr, point_noise, 0.0)[0] * site.count
    fade = 1.5 * gda.rates(lr).theta * site.point_mass * site.gamma**2 * site.generated_mass / site.ridge
    return Pair(2 * beta / kick, fade / kick)
