r"""Neighbours: two sites closer than the isolated theory allows.

Two balanced sites of equal masses at a distance r bandwidths feel each other's witness. The motion of their generated
points towards and away from each other, or with each other, is that of one site with the curvature
:math:`\gamma (1 \pm g)`.
"""

import jax.numpy as jnp

from gansde_lib.phases.site import Site


def coupling(distance):
    r"""Return g along the line that joins two sites, and across it, at a distance in bandwidths; Gaussian kernel.

    .. math:: g_{\mathrm{along}} = (1 - r^2) e^{-r^2/2}, \qquad g_{\mathrm{across}} = e^{-r^2/2}.

    >>> [round(float(g), 4) for g in coupling(2.0)]
    [-0.406, 0.1353]
    """
    fading = jnp.exp(-(jnp.asarray(distance, float) ** 2) / 2)
    return (1 - jnp.asarray(distance, float) ** 2) * fading, fading


def paired(site, distance, *, sign=1, across=False):
    r"""Return the isolated site whose mean map is that of two such balanced sites at this distance.

    Args:
        site: the `Site` at both ends, balanced, with a Gaussian kernel.
        distance: their distance in bandwidths.
        sign: +1 where both move the same way, -1 where they move oppositely.
        across: whether they move across the line that joins them, and not along it.

    >>> from gansde_lib import phases
    >>> site = phases.Site(0.5, 0.5, ridge=0.5)
    >>> round(float(phases.stability_limit(paired(site, 2.0, sign=-1), eta_d=0.1)), 4)  # 2 / 1.406
    1.4225
    """
    share = 1 + sign * coupling(distance)[int(across)]
    return Site(site.true_mass, site.point_mass, site.count, site.bandwidth / jnp.sqrt(share), site.ridge, site.kernel)


def paired_limit(site, distance, *, dimension=2):
    r"""Return the largest stable eta_g of two balanced sites at this distance, simultaneous updates.

    .. math:: \eta_g^* = \frac{\lambda \sigma^2}{q p\, (1 + \max |g|)} .

    >>> from gansde_lib import phases
    >>> round(float(paired_limit(phases.Site(0.5, 0.5, ridge=0.5), 1.0)), 4)  # 2 / 1.607
    1.2449
    """
    largest = jnp.abs(jnp.stack(coupling(distance)))[: min(dimension, 2)].max()
    return site.ridge / (site.gamma * site.point_mass * site.true_mass * (1 + largest))
