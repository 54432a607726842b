r"""Beyond the Hopf line: the cycle on which a site with a turning mean mode settles.

A displacement e on a circle of radius a bends the witness: its curvature at the true point falls short of the
equilibrium's by :math:`\tfrac34 \gamma^2 P a^2 / \lambda` on average, which pulls the points back in.
"""

import jax.numpy as jnp
import numpy as np

from gansde_lib.phases.simulated import run
from gansde_lib.phases.site import numbers


def cycle_amplitude(site, *, lr):
    r"""Return the amplitude of the limit cycle of simultaneous updates, in the leading order; nan where there is none.

    .. math:: a^2 = \tfrac43 \sigma^2 \frac{(\Omega - \alpha - \beta)\, \alpha}{\omega^2}

    for the Gaussian kernel, in one coordinate, near the line and for small alpha.

    >>> from gansde_lib import phases
    >>> site = phases.Site(1.0, 1.0, ridge=0.4)
    >>> cycle_amplitude(site, lr=(0.44, 0.1)).round(4)  # the line is at eta_g = 0.4
    Array(0.0696, dtype=float32)
    """
    alpha, beta, turn, hold = numbers(site, lr=lr)
    square = 4 / 3 * site.bandwidth**2 * (hold - alpha - beta) * alpha / turn
    return jnp.where(square > 0, jnp.sqrt(jnp.maximum(square, 0)), jnp.nan)


def settled_amplitude(site, *, lr, steps, start, update="simultaneous"):
    r"""Return the amplitude on which a non-linear run of one generated point, in one coordinate, settles.

    It is :math:`\sqrt{2 \langle e^2 \rangle}` over the last half of the run, from `start` bandwidths.

    >>> from gansde_lib import phases
    >>> site = phases.Site(1.0, 1.0, ridge=0.4)
    >>> bool(settled_amplitude(site, lr=(0.1, 0.1), steps=800, start=0.1) < 1e-3)  # inside the line: none
    True
    """
    start = np.reshape(start, (1, 1)) * site.bandwidth
    points = run(site, lr=lr, start=start, steps=steps, update=update)[:, 0, 0]
    return jnp.sqrt(2 * (points[steps // 2 :] ** 2).mean())
