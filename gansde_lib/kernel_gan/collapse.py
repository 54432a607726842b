r"""Closed forms of what happens to too much mass at one place: split states, free points, and slow spreading.

All are for the Gaussian kernel and the limit of small rates with a fixed ratio :math:`\mu = \eta_g / \eta_d`; time is
counted in :math:`\eta_d` per update.
"""

import numpy as np
import scipy.integrate
import scipy.optimize

from gansde_lib import _checks
from gansde_lib.kernel_gan.equilibria import split_distance


def split_ridge(true_mass, point_mass, *, bandwidth=1.0, ratio=1.0, dimension=1):
    r"""Return the ridge above which the split state of `split_distance` is linearly stable.

    With :math:`\kappa = (p/2q)^{1/3} = e^{-\delta^2/2\sigma^2}`, in one dimension

    .. math:: \lambda_c = \frac q\sigma \sqrt{\mu \bigl(1 - (1 + 2\delta^2/\sigma^2)\, \kappa^4\bigr)},

    and in more, where the pair can also turn, :math:`\lambda_c = \frac q\sigma \sqrt{\mu (1 - \kappa^4)}`.

    Args:
        true_mass, point_mass: p and q, with 2 q > p.
        bandwidth: sigma.
        ratio: mu = eta_g / eta_d.
        dimension: that of the points.

    Raises:
        ValueError: as `split_distance`; for a pair as far as one bandwidth from its true point, which no ridge holds
            there; for a ratio or bandwidth that is not positive.

    >>> [round(float(split_ridge(0.5, 0.5, dimension=d)), 3) for d in (1, 2)]
    [0.243, 0.388]
    """
    example = "split_ridge(0.5, 0.5)"
    _checks.positive("bandwidth", bandwidth, example=example)
    _checks.positive("ratio", ratio, example=example)
    _checks.whole("dimension", dimension, minimum=1, example=example)
    squared = split_distance(true_mass, point_mass) ** 2
    if squared >= 1:
        raise ValueError(
            f"a pair {np.sqrt(squared):.4g} bandwidths from its true point leaves it at any ridge: expected 2q/p below "
            f"exp(3/2), found {2 * point_mass / true_mass}; for example {example}"
        )
    overlap = np.exp(-2 * squared)
    bend = 1 - (1 + 2 * squared) * overlap if dimension == 1 else 1 - overlap
    return point_mass / bandwidth * np.sqrt(ratio * bend)


def free_speed(point_mass, *, bandwidth=1.0, ridge, ratio=1.0):
    r"""Return the speed of one generated point of mass q that is alone, as distance per unit of time: zero at rest.

    It flees from the memory that the witness keeps of its earlier places, :math:`\dot x = \mu q\, \partial f`,
    :math:`\dot f = -\lambda f - q K(\cdot, x)`. At the speed v

    .. math:: 1 = \frac{\mu q^2}{\sigma^2} \int_0^\infty s\, e^{-\lambda s - v^2 s^2 / 2\sigma^2} \, ds,

    which has a solution v > 0 if and only if :math:`\lambda^2 < \mu q^2 / \sigma^2`.

    Raises:
        ValueError: for a mass, bandwidth, ridge or ratio that is not positive.

    >>> [round(float(free_speed(1.0, ridge=ridge)), 3) for ridge in (0.8, 1.2)]
    [0.389, 0.0]
    """
    example = "free_speed(1.0, ridge=0.5)"
    for name, value in (("point_mass", point_mass), ("bandwidth", bandwidth), ("ridge", ridge), ("ratio", ratio)):
        _checks.positive(name, value, example=example)
    pull = ratio * point_mass**2 / bandwidth**2
    if ridge**2 >= pull:
        return 0.0

    def excess(speed):
        def memory(s):
            return s * np.exp(-ridge * s - (speed * s / bandwidth) ** 2 / 2)

        return pull * scipy.integrate.quad(memory, 0, np.inf)[0] - 1

    # Without the ridge the integral is sigma^2 / v^2: no point is faster than that.
    return scipy.optimize.brentq(excess, 0, bandwidth * np.sqrt(pull))


def balanced_spread(start, steps, *, point_mass, count, bandwidth=1.0, ridge, lr):
    r"""Return the mean square distance W_k from their mean of balanced points on a line, after k updates.

    If the generated points on one true point have its mass together (n q = p), nothing linear brings them together;
    the witness's fourth derivative does, like

    .. math:: \frac1{W_k} = \frac1{W_0} + \frac{3 \eta_g q\, nq}{\lambda \sigma^4} k

    to leading order in W, for points that are symmetric about their mean.

    Args:
        start: W_0.
        steps: k, a number or an array.
        point_mass, count: q and n.
        bandwidth, ridge: sigma and lambda.
        lr: eta_g, the rate of the points.

    >>> float(balanced_spread(1.0, 0, point_mass=0.5, count=2, ridge=1.0, lr=0.1))
    1.0
    """
    return 1 / (1 / start + 3 * lr * point_mass**2 * count / (ridge * bandwidth**4) * np.asarray(steps))
