r"""One isolated true point and the generated points on it: the setting of the phase diagram.

Far from its neighbours, a true point of mass p with n generated points of mass q each on it is at equilibrium. Near it
a training step moves the mean displacement of the generated points together with the deviation b of the witness's
slope, and it shrinks or stretches their differences. Three numbers decide (sigma enters through the kernel's curvature
gamma only):

.. math:: \alpha = \eta_d \lambda, \qquad \beta = \eta_g q \gamma \Delta / \lambda, \qquad
          \omega^2 = \eta_d \eta_g \gamma q P, \qquad P = n q, \quad \Delta = p - P .
"""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from gansde_lib import _checks, gda, kernel_gan

_CALL = "phases.Site(true_mass=1.0, point_mass=1.0, count=1, bandwidth=1.0, ridge=0.5)"


@gda.plain.register
@dataclass(frozen=True)
class Site:
    """A true point with its generated points: masses, number, bandwidth, ridge, kernel.

    Args:
        true_mass: p, the mass of the true point, >= 0.
        point_mass: q, the mass of each generated point.
        count: n, how many generated points there are.
        bandwidth: sigma.
        ridge: lambda.
        kernel: a name or a profile of `kernel_gan`.

    A site is a pytree of its numbers: maps over them go through `jax.vmap`.

    Raises:
        ValueError: for masses, a bandwidth or a ridge out of range, a count below one, a kernel without linear theory.

    >>> site = Site(true_mass=1.0, point_mass=0.5, count=2, bandwidth=2.0)
    >>> float(site.gamma), float(site.excess)
    (0.25, 0.0)
    """

    true_mass: Any
    point_mass: Any
    count: Any = 1
    bandwidth: Any = 1.0
    ridge: Any = 1.0
    kernel: Any = field(default="gaussian", metadata={"static": True})

    def __post_init__(self):
        """Check what is not being traced."""
        if any(isinstance(value, jax.core.Tracer) or not jnp.isscalar(value) for value in self.numbers):
            return
        _checks.non_negative("true_mass", self.true_mass, example=_CALL)
        for name in ("point_mass", "bandwidth", "ridge"):
            _checks.positive(name, getattr(self, name), example=_CALL)
        _checks.whole("count", self.count, minimum=1, example=_CALL)
        kernel_gan.curvature(self.kernel, 1.0)

    @property
    def numbers(self):
        """The numeric fields, as a tuple."""
        return self.true_mass, self.point_mass, self.count, self.bandwidth, self.ridge

    @property
    def gamma(self):
        """The kernel's curvature at its centre; 1 / bandwidth^2 for the Gaussian kernel."""
        return kernel_gan.curvature(self.kernel, self.bandwidth)

    @property
    def generated_mass(self):
        """P = n q."""
        return self.count * self.point_mass

    @property
    def excess(self):
        """Delta = p - P: positive if the true point is under-filled; zero where only roundings are left of it."""
        difference = self.true_mass - self.generated_mass
        rounding = 4 * jnp.finfo(jnp.result_type(float)).eps * self.generated_mass
        return jnp.where(jnp.abs(difference) > rounding, difference, 0)


class Numbers(NamedTuple):
    """alpha, beta, omega^2 of a site at given rates, and Omega = omega^2 + alpha beta = eta_d eta_g gamma q p."""

    alpha: Any
    beta: Any
    turn: Any
    hold: Any


def numbers(site, *, lr, inner_steps=1):
    r"""Return the `Numbers` of a site at rates `lr` = (eta_g, eta_d).

    With k steps of the witness per step of the points, alpha becomes :math:`1 - (1 - \alpha)^k` and omega^2 becomes
    :math:`\eta_g q \gamma P` times that over the ridge.

    >>> numbers(Site(1.0, 1.0, ridge=0.5), lr=(0.2, 0.1)).turn.round(6)
    Array(0.02, dtype=float32)
    """
    eta_g, eta_d = gda.rates(lr)
    alpha = 1 - (1 - eta_d * site.ridge) ** inner_steps
    pull = eta_g * site.point_mass * site.gamma / site.ridge
    beta, turn = pull * site.excess, alpha * pull * site.generated_mass
    return Numbers(alpha, beta, turn, turn + alpha * beta)
