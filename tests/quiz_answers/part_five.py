"""Kernel discriminators, Phase transitions, Noise at a phase boundary."""

import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize
import scipy.spatial

from gansde_lib import critical, invariant, kernel_gan, neural, phases

BOTH = ("simultaneous", "alternating")


def radius(site, lr, update="simultaneous"):
    """Return the spectral radius of the mean mode, from its matrix."""
    return abs(np.linalg.eigvals(np.asarray(phases.mean_map(site, lr=lr, update=update), float))).max()


def last_stable(measure, low, high):
    """Return where a radius passes one, by bisection."""
    return scipy.optimize.brentq(lambda value: measure(value) - 1, low, high, xtol=1e-9)


# --- kernel_gan ------------------------------------------------------------------------------------------------------


def free_point():
    """Run a lone point whose witness is at rest, nudged by a hundredth of a bandwidth."""
    site = phases.Site(1e-9, 0.5, ridge=0.3)
    path = np.asarray(phases.run(site, lr=0.1, start=[[0.01]], steps=1500)).ravel()
    speeds = np.diff(path[[-601, -301, -1]])
    return "constant speed" if path[-1] > 5 and abs(speeds[1] / speeds[0] - 1) < 0.01 else "returns"


def split():
    """Find where the slope of the witness at rest vanishes."""

    def slope(y):
        def witness(x):
            bump = 0.5 * np.exp(-(x**2) / 8)
            return bump - 0.5 * np.exp(-((x - y) ** 2) / 8) - 0.5 * np.exp(-((x + y) ** 2) / 8)

        return (witness(y + 1e-5) - witness(y - 1e-5)) / 2e-5

    return scipy.optimize.brentq(slope, 0.5, 3.0)


def overfilled():
    rate = 1e-4
    return last_stable(lambda ridge: radius(phases.Site(0.6, 0.8, ridge=ridge), rate), 0.1, 1.0)


def balanced():
    """Run a balanced pair, and compare the times at which it has come to two distances of one to two."""
    run = kernel_gan.run(
        [[0.0]], [1.0], [[0.3], [-0.3]], [0.5, 0.5], bandwidth=1.0, ridge=1.0, lr=0.3, steps=1500, update="alternating"
    )
    apart = np.ptp(np.asarray(run.points)[:, :, 0], axis=1)
    inverse = 1 / apart[[500, 1000, 1500]] ** 2
    assert np.allclose(np.diff(inverse), np.diff(inverse)[0], rtol=0.05)
    return 2.0**2


def collapse():
    """Linearise a pair far above and far below the critical ridge, beside an empty point ten bandwidths away."""
    half = float(kernel_gan.split_distance(0.5, 0.5))
    stable = {}
    with jax.enable_x64(True):
        for ridge in (0.15, 1.0):
            problem = kernel_gan.problem([[0.0], [10.0]], [0.5, 0.5], [0.5, 0.5], bandwidth=1.0, ridge=ridge)
            matrix = kernel_gan.linearised(problem, np.array([[half], [-half]]), lr=1e-3).matrix
            stable[ridge] = abs(np.linalg.eigvals(matrix)).max() < 1 + 1e-9
    return "A weaker ridge" if stable[1.0] and not stable[0.15] else "stronger"


def isolation():
    """Compare the nearest two of the ten digits with the best bandwidth of the chapter, 0.7 medians."""
    labels = neural.labels()
    ten = neural.digits()[[np.flatnonzero(labels == digit)[0] for digit in range(10)]]
    apart = scipy.spatial.distance.pdist(ten)
    return "many bandwidths apart" if apart.min() < 0.7 * np.median(apart) else "smooth"


# --- phases ----------------------------------------------------------------------------------------------------------

BALANCED = phases.Site(1.0, 1.0, bandwidth=0.5, ridge=0.5)
SITE = phases.Site(1.0, 1.0, ridge=0.4)  # alpha = 0.08 at the rate 0.2


def hopf():
    return last_stable(lambda eta_g: radius(BALANCED, (eta_g, 0.05)), 0.05, 1.0)


def slower():
    found = [radius(BALANCED, (0.2, eta_d)) - 1 for eta_d in (0.2, 0.02)]
    assert found[0] > 0
    return "still diverges" if 0 < found[1] < found[0] else "converges, because"


def phase_gain():
    site = phases.Site(1.0, 1.0, ridge=0.5)  # alpha = 0.2 at the rate 0.4
    limits = [last_stable(lambda eta, how=how: radius(site, (eta, 0.4), how), 0.3, 20.0) for how in BOTH]
    return limits[1] / limits[0]


def best():
    def slowest(ridge):
        return float(phases.spectral_radius(phases.Site(1.0, 1.0, ridge=ridge), lr=(0.4, 0.1)))

    least = scipy.optimize.minimize_scalar(slowest, bounds=(0.5, 12.0), method="bounded")
    return least.fun


def past_the_lines():
    """Start close to the equilibrium, two per cent beyond each line; the theory's cycle has the amplitude 0.046."""
    sizes = {}
    for update, limit in (("simultaneous", 0.4), ("alternating", 2 * (2 - 0.08) / 0.2)):
        path = np.asarray(phases.run(SITE, lr=(1.02 * limit, 0.2), start=[[0.04]], steps=2000, update=update))
        sizes[update] = np.abs(path[-500:]).max() if np.isfinite(path).all() else np.inf
    return "nothing to stay on" if 0.02 < sizes["simultaneous"] < 0.1 and sizes["alternating"] > 1 else "is lost"


def inner():
    site = phases.Site(1.0, 1.0, ridge=0.5)
    limits = [
        float(phases.boundaries(site, eta_d=0.1, update="alternating", inner_steps=count).flip)
        for count in (1, 5, 50, 500)
    ]
    assert np.all(np.diff(limits) < 0)
    return "towards $2\\lambda" if np.isclose(limits[-1], 2 * 0.5, rtol=1e-3) else "falls to zero"


# --- critical --------------------------------------------------------------------------------------------------------


def variance(epsilon, update):
    """Return the variance in units of a kick, at a relative distance from the boundary, and the spectral radius."""
    limit = {"simultaneous": 0.4, "alternating": 2 * (2 - 0.08) / 0.2}[update]
    with jax.enable_x64(True):
        matrix = np.asarray(phases.mean_map(SITE, lr=(limit * (1 - epsilon), 0.2), update=update))
    return invariant.covariance(matrix, np.diag([1.0, 0.0]))[0, 0], abs(np.linalg.eigvals(matrix)).max()


def exponent():
    growth = [variance(0.002, update)[0] / variance(0.01, update)[0] for update in BOTH]
    assert np.allclose(growth, growth[0], rtol=0.02)
    return growth[0]


def warning():
    (far, before), (near, after) = variance(0.5, "alternating"), variance(0.01, "alternating")
    return "variance of the point" if np.isclose(before, after) and near > 10 * far else "spectral radius"


def rounded():
    loud, quiet = (critical.rounding(SITE, lr=(0.4, 0.2), point_noise=s).variance for s in (1e-3, 5e-4))
    return quiet / loud


def minibatch():
    """The slope of the kernel at each of three isolated points, as seen from each."""
    places = jnp.array([-10.0, 0.0, 10.0])
    slopes = jax.vmap(jax.vmap(jax.grad(lambda y, x: jnp.exp(-((x - y) ** 2) / 2)), (0, None)), (None, 0))(
        places, places
    )
    return "There is none" if np.abs(slopes).max() < 1e-18 else "A Gaussian one"


def free_differences():
    """The mean squared gradient along a difference, beta^2 Var / eta^2 in units of the noise, at a small excess."""
    shares, spreads = [], []
    for excess in (0.1, 0.01, 0.001):
        site = phases.Site(1.0, (1 - excess) / 2, 2, ridge=0.4)
        beta = float(phases.numbers(site, lr=0.2).beta)
        spreads.append(float(critical.difference_variance(site, lr=0.2, point_noise=1.0)))
        shares.append(beta**2 * spreads[-1] / 0.2**2)
    assert spreads[-1] > 50 * spreads[0]
    return "stays finite" if max(shares) < 0.1 else "diverges"


def cluster():
    found = critical.cluster(SITE, np.linspace(-0.5, 0.5, 21), batch=4)
    return "over-filled" if found.excess < 0 else "under-filled"


NUMBERS = {
    "kernel-split": split,
    "kernel-overfilled": overfilled,
    "kernel-balanced": balanced,
    "phases-hopf": hopf,
    "phases-gain": phase_gain,
    "phases-best": best,
    "critical-exponent": exponent,
    "critical-rounded": rounded,
}
CHOICES = {
    "kernel-free-point": free_point,
    "kernel-collapse": collapse,
    "kernel-isolation": isolation,
    "phases-slower": slower,
    "phases-beyond": past_the_lines,
    "phases-inner": inner,
    "critical-warning": warning,
    "critical-minibatch": minibatch,
    "critical-relation": free_differences,
    "critical-cluster": cluster,
}
