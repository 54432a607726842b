r"""The linear theory of a site: its modes, its spectral radius, and the regime that they make.

The witness's deviations that no generated point feels fade like :math:`1 - \alpha`; each of the n - 1 differences
between generated points goes like :math:`1 - \beta`; the mean displacement and the deviation b of the witness's slope
go together, by a 2 x 2 matrix.
"""

import functools

import jax
import jax.numpy as jnp

from gansde_lib import _checks, gda
from gansde_lib.phases.site import numbers

REGIMES = ("monotone", "oscillating", "diverging", "marginal")
"""The regimes, in the order of the codes that `regime` returns."""

MARGIN = 1e-9
"""How far from 1 a spectral radius must be for a verdict."""


def mean_map(site, *, lr, update="simultaneous", inner_steps=1):
    r"""Return the 2 x 2 map of (mean displacement, deviation of the witness's slope).

    .. math:: M_{\mathrm{sim}} = \begin{pmatrix} 1 - \beta & \eta_g q \\ -\eta_d \gamma P & 1 - \alpha \end{pmatrix},
              \qquad
              M_{\mathrm{alt}} = \begin{pmatrix} 1 - \beta - \omega^2 & \eta_g q (1 - \alpha) \\
              -\eta_d \gamma P & 1 - \alpha \end{pmatrix}.

    Args:
        site: the `Site`.
        lr: learning rate, or (eta_g, eta_d).
        update: "simultaneous" or "alternating" (the witness first).
        inner_steps: steps of the witness per step of the points.

    Raises:
        ValueError: for bad rates or an unknown update.

    >>> from gansde_lib import phases
    >>> import numpy as np
    >>> np.asarray(mean_map(phases.Site(1.0, 1.0, ridge=0.5), lr=(0.2, 0.1)), float).round(4)
    array([[ 1.  ,  0.2 ],
           [-0.1 ,  0.95]])
    """
    _checks.choice("update", update, gda.ORDERS, example='update="alternating"')
    alpha, beta, turn, _ = numbers(site, lr=lr, inner_steps=inner_steps)
    push = gda.rates(lr).theta * site.point_mass
    answer = -alpha / site.ridge * site.gamma * site.generated_mass
    if update == "alternating":
        beta, push = beta + turn, push * (1 - alpha)
    return jnp.stack([jnp.stack([1 - beta, push]), jnp.stack([answer, 1 - alpha])])


def mean_eigenvalues(site, *, lr, update="simultaneous", inner_steps=1):
    r"""Return the eigenvalues of `mean_map` as (real parts, imaginary parts), the larger modulus first.

    >>> from gansde_lib import phases
    >>> import numpy as np
    >>> real, imaginary = mean_eigenvalues(phases.Site(1.0, 1.0, ridge=0.5), lr=(0.2, 0.1))
    >>> np.asarray(real, float).round(4), np.asarray(imaginary, float).round(4)
    (array([0.975, 0.975]), array([ 0.1392, -0.1392]))
    """
    real, imaginary = gda.eigenvalue_pair(mean_map(site, lr=lr, update=update, inner_steps=inner_steps))
    flipped = jnp.abs(real[1]) > jnp.abs(real[0])
    return jnp.where(flipped, real[::-1], real), imaginary


def spectral_radius(site, *, lr, update="simultaneous", inner_steps=1):
    """Return the largest modulus over all modes of the site.

    >>> from gansde_lib import phases
    >>> float(spectral_radius(phases.Site(1.0, 0.5, count=2), lr=0.1))  # balanced: differences neither grow nor shrink
    1.0
    """
    alpha, beta, _, _ = numbers(site, lr=lr, inner_steps=inner_steps)
    mean = jnp.hypot(*mean_eigenvalues(site, lr=lr, update=update, inner_steps=inner_steps)).max()
    spread = jnp.where(jnp.asarray(site.count) > 1, jnp.abs(1 - beta), 0)
    return jnp.maximum(mean, jnp.maximum(jnp.abs(1 - alpha), spread))


def regime(site, *, lr, update="simultaneous", inner_steps=1, margin=MARGIN):
    """Return the place of the regime in `REGIMES`, as an integer: `classify` for maps, in the precision of its input.

    >>> from gansde_lib import phases
    >>> int(regime(phases.Site(1.0, 1.0, ridge=0.5), lr=0.1))
    1
    """
    radius = spectral_radius(site, lr=lr, update=update, inner_steps=inner_steps)
    real, imaginary = mean_eigenvalues(site, lr=lr, update=update, inner_steps=inner_steps)
    turning = (imaginary[0] != 0) | (real[0] < 0)
    settled = jnp.where(radius > 1 + margin, 2, 3)
    return jnp.where(radius < 1 - margin, turning.astype(int), settled)


@functools.partial(jax.jit, static_argnames=("update", "inner_steps"))
def _regime(site, lr, *, update, inner_steps):
    return regime(site, lr=lr, update=update, inner_steps=inner_steps)


def classify(site, *, lr, update="simultaneous", inner_steps=1):
    """Return the regime near the equilibrium of a site, in float64: one of `REGIMES`.

    "diverging" if the largest modulus over all modes exceeds 1 + 1e-9 (the equilibrium is linearly unstable),
    "marginal" within 1e-9 of 1; otherwise "oscillating" if the larger eigenvalue of `mean_map` is complex or negative,
    and "monotone" if not.

    Args:
        site, lr, update, inner_steps: as in `mean_map`.

    >>> from gansde_lib import phases
    >>> site = phases.Site(1.0, 1.0, ridge=0.5)
    >>> [classify(site, lr=(rate, 0.1)) for rate in (0.006, 0.4, 0.6)]
    ['monotone', 'oscillating', 'diverging']
    """
    lr = gda.rates(lr)
    _checks.choice("update", update, gda.ORDERS, example='update="alternating"')
    with jax.enable_x64(True):
        return REGIMES[int(_regime(site, lr, update=update, inner_steps=inner_steps))]
