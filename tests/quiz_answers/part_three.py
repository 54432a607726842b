"""Where training settles."""

import numpy as np
import scipy.linalg
import scipy.optimize

from gansde_lib import invariant
from quiz_answers.part_two import rotation


def bilinear_laws():
    """Follow the covariance: it grows without bound, for every start."""
    turn = np.array([[0.0, -1.0], [1.0, 0.0]])
    step = scipy.linalg.expm(turn)
    covariance = np.zeros((2, 2))
    for _ in range(1000):
        covariance = step @ covariance @ step.T + np.eye(2)
    return "None." if np.linalg.eigvalsh(covariance).min() > 999 else "One,"


def current(c, dampings, crossed, variances=(1.0, 1.0)):
    """Return the circulation of the equation with these dampings and this covariance of the noise."""
    matrix = np.array([[-dampings[0], -c], [c, -dampings[1]]])
    noises = np.array([[variances[0], crossed], [crossed, variances[1]]])
    settled = invariant.continuous_covariance(matrix, noises)
    return (matrix @ settled - settled @ matrix.T)[1, 0]


def complex_rates():
    found = [current(1.0, (0.2, 0.6), crossed) for crossed in np.linspace(-0.999, 0.999, 201)]
    return "None." if min(found) > 0.1 else "shared by the players"


def one_noise():
    matrix = np.array([[-0.3, -1.0], [1.0, -0.5]])
    settled = invariant.continuous_covariance(matrix, np.diag([0.0, 1.0]))
    assert np.linalg.eigvalsh(settled).min() > 0.1
    return "less than the discriminator" if settled[0, 0] < settled[1, 1] else "fluctuates more"


def gap():
    matrix = np.array([[-0.3, -1.0], [1.0, -0.5]])
    settled = [invariant.continuous_covariance(matrix, share * np.eye(2)) for share in (1.0, 0.5)]
    assert np.allclose(settled[1], settled[0] / 2)
    gaps = [
        invariant.spectral_gap(lambda x: (-x[0], -x[1]), share * np.eye(2), lower=(-4, -4), upper=(4, 4), cells=48)
        for share in (1.0, 0.5)
    ]
    return "the time stays the same" if np.allclose(gaps, 1.0, rtol=0.05) else "the time doubles"


NUMBERS = {
    "invariant-chain": lambda: rotation(0.4),
    "invariant-correlation": lambda: scipy.optimize.brentq(lambda d: current(0.5, (0.5, 2.5), d), -0.9, 0.9),
}
CHOICES = {
    "invariant-bilinear": bilinear_laws,
    "invariant-complex": complex_rates,
    "invariant-one-noise": one_noise,
    "invariant-gap": gap,
}
