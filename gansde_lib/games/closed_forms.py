"""Eigenvalues of the field at the equilibrium of the small GANs, derived by hand: the oracle of tests and figures."""

import numpy as np

from gansde_lib import _checks
from gansde_lib.games.losses import LOSSES

_SLOPES = {
    # loss: -s'(0), -g'(0), -(r''(0) + s''(0)), where g is the generator's own term, or s
    "logistic": (1 / 2, 1 / 2, 1 / 2),
    "non-saturating": (1 / 2, 1 / 2, 1 / 2),
    "wasserstein": (1, 1, 0),
    "hinge": (1, 1, 0),
    "least-squares": (1, 1, 2),
    "kl": (1 / np.e, 1 / np.e, 1 / np.e),
    "reverse-kl": (1, 1, 1),
    "chi-squared": (1, 1, 1 / 2),
    "jensen-shannon": (1 / 2, 1 / 2, 1 / 2),
}


def slopes_at_zero(loss):
    r"""Return :math:`(-s'(0), -g'(0), -r''(0) - s''(0))` of a named loss: all that the linear theory sees of it.

    The first two are the pulls of the generated point on the discriminator and of the discriminator on the generator
    (whose term g is s unless the loss names another); the third is the concavity in the score.

    >>> slopes_at_zero("logistic")
    (0.5, 0.5, 0.5)
    """
    _checks.choice("loss", loss, LOSSES, example='slopes_at_zero("logistic")')
    return _SLOPES[loss]


def dirac_eigenvalues(loss="logistic", *, penalty=0.0, noise=0.0):
    r"""Return the pair of eigenvalues of the field of the Dirac-GAN at the origin, with R1, R2 or weight decay.

    .. math:: \lambda_\pm = -\frac{\bar\gamma}{2} \pm \sqrt{\frac{\bar\gamma^2}{4} - s'(0)\, g'(0)}, \qquad
              \bar\gamma = \gamma - \tau^2 (r''(0) + s''(0)),

    where gamma is the penalty and tau the instance noise. With "wgan-gp" there is no linearisation.

    >>> dirac_eigenvalues("wasserstein", penalty=2.5)
    array([-0.5+0.j, -2. +0.j])
    """
    pull, push, concavity = slopes_at_zero(loss)
    damping = penalty + noise**2 * concavity
    root = np.emath.sqrt(damping**2 / 4 - pull * push)
    return np.array([-damping / 2 + root, -damping / 2 - root], dtype=complex)


def linear_quadratic_eigenvalues(covariance, *, penalty=0.0):
    r"""Return the eigenvalues that are not 0 of the field of `linear_quadratic` at any of its equilibria.

    .. math:: \lambda = -\gamma\, (v_i + v_j) \pm \sqrt{\gamma^2 (v_i + v_j)^2 - 2 (v_i + v_j)}, \qquad i \le j,

    with the eigenvalues v of the covariance of the data and the penalty gamma of R1: d(d + 1) of 2 d^2.

    >>> linear_quadratic_eigenvalues(np.eye(1), penalty=1.25)
    array([-1.+0.j, -4.+0.j])
    """
    variances = np.linalg.eigvalsh(covariance)
    i, j = np.triu_indices(len(variances))
    pairs = variances[i] + variances[j]
    root = np.emath.sqrt(penalty**2 * pairs**2 - 2 * pairs)
    return np.concatenate([-penalty * pairs + root, -penalty * pairs - root]).astype(complex)
