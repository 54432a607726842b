"""Closed forms for bilinear games, the damped rotation and the Dirac-GAN: the oracle of figures and tests."""

import jax
import jax.numpy as jnp
import numpy as np

from gansde_lib import _checks
from gansde_lib.gda.plain import ORDERS
from gansde_lib.gda.rules import rates


def bilinear_growth(coupling, *, lr):
    r"""Return the factor by which simultaneous steps multiply `simultaneous_energy` in a bilinear game.

    .. math:: 1 + \eta_\theta \eta_\omega \sigma_i^2

    for each singular value of the coupling, largest first (a scalar coupling is its own singular value).

    >>> bilinear_growth(2.0, lr=(0.1, 0.2)).round(6)
    array([1.08])
    """
    lr = rates(lr)
    singular = np.linalg.svd(np.atleast_2d(np.asarray(coupling, dtype=float)), compute_uv=False)
    return 1 + lr.theta * lr.omega * singular**2


def simultaneous_energy(x, *, lr):
    r"""Return :math:`|\theta|^2/\eta_\theta + |\omega|^2/\eta_\omega` along a trajectory.

    >>> from gansde_lib.games import Players
    >>> simultaneous_energy(Players(jnp.array([1.0]), jnp.array([2.0])), lr=0.5)
    Array([10.], dtype=float32)
    """
    lr = rates(lr)
    return _rows_dot(x.theta, x.theta) / lr.theta + _rows_dot(x.omega, x.omega) / lr.omega


def alternating_energy(x, *, coupling, lr):
    r"""Return :math:`|\theta|^2/\eta_\theta + |\omega|^2/\eta_\omega + \theta^\top C \omega` along a trajectory.

    Alternating steps of a bilinear game keep it exactly. It is positive definite, and the orbits are bounded, if and
    only if :math:`\sqrt{\eta_\theta\eta_\omega}\,\sigma_{\max} < 2`.

    >>> from gansde_lib.games import Players
    >>> alternating_energy(Players(jnp.array([1.0]), jnp.array([2.0])), coupling=3.0, lr=0.5)
    Array([16.], dtype=float32)
    """
    coupled = x.omega * coupling if jnp.ndim(coupling) == 0 else x.omega @ jnp.asarray(coupling).T
    return simultaneous_energy(x, lr=lr) + _rows_dot(x.theta, coupled)


def _rows_dot(left, right):
    """Dot product of two arrays of vectors (or of scalars) with a leading time axis."""
    return jax.vmap(jnp.vdot)(left, right)


def rotation_limit(damping, coupling, *, update="simultaneous"):
    r"""Return the largest stable learning rate of :math:`\Phi = \tfrac m2\theta^2 + c\,\theta\omega -
    \tfrac m2\omega^2`, equal for both players.

    .. math:: \eta_{\max} = \frac{2m}{m^2 + c^2} \text{ (simultaneous)}, \qquad
              \eta_{\max} = \frac{2}{m + |c|} \text{ (alternating)}.

    >>> [round(rotation_limit(0.2, 1.0, update=update), 4) for update in ("simultaneous", "alternating")]
    [0.3846, 1.6667]
    """
    _checks.positive("damping", damping, example="rotation_limit(0.2, 1.0)")
    _checks.choice("update", update, ORDERS, example='update="alternating"')
    if update == "simultaneous":
        return 2 * damping / (damping**2 + coupling**2)
    return 2 / (damping + abs(coupling))


def dirac_limit(penalty, *, update="simultaneous"):
    r"""Return the largest learning rate, equal for both players, that is linearly stable in the Dirac-GAN with penalty.

    .. math:: \eta_{\max} = \begin{cases} 4\gamma & \gamma \le 1 \\ 4(\gamma - \sqrt{\gamma^2 - 1}) & \gamma \ge 1
              \end{cases} \text{ (simultaneous)}, \qquad
              \eta_{\max} = 4(\sqrt{\gamma^2 + 1} - \gamma) \text{ (alternating)}.

    >>> [round(float(dirac_limit(0.3, update=update)), 4) for update in ("simultaneous", "alternating")]
    [1.2, 2.9761]
    """
    _checks.positive("penalty", penalty, example="dirac_limit(0.3)")
    _checks.choice("update", update, ORDERS, example='update="alternating"')
    if update == "alternating":
        return 4 * (np.sqrt(penalty**2 + 1) - penalty)
    return 4 * penalty if penalty <= 1 else 4 * (penalty - np.sqrt(penalty**2 - 1))
