"""Distances of laws: a density and a sample, two samples, two Gaussian laws; and the rate at which one decays."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg
import scipy.stats
from jax.flatten_util import ravel_pytree

from gansde_lib import _checks, neural, sde, simulate

_HISTOGRAM = "histogram_distance(stationary, samples, bins=16)"


class HistogramDistance(NamedTuple):
    """A sample beside a density, both in bins.

    `distance`: half the sum over the bins of how far the share of the sample is from the probability; `expected` and
    `error`: its mean and standard deviation if the sample comes from that density; `chi_square` and `freedom`:
    Pearson's statistic and its degrees of freedom; `p_value`: the chance that it would be as large.
    """

    distance: float
    expected: float
    error: float
    chi_square: float
    freedom: int
    p_value: float

    @property
    def deviation(self):
        """How many standard deviations Pearson's statistic is above its mean."""
        return (self.chi_square - self.freedom) / np.sqrt(2 * self.freedom)


def histogram_distance(stationary, samples, *, bins=16, least=10.0):
    r"""Compare independent points with a stationary density on a grid, in bins.

    A bin with probability p holds a binomial number of n points: :math:`\mathbb E|\hat p - p| \approx
    \sqrt{2 p (1 - p) / (\pi n)}` if the density is the points' own law, so that even then the distance is not zero.
    The variance of the distance neglects that bins exclude one another, which makes it a little too large.

    Args:
        stationary: a `Stationary` law of NumPy arrays.
        samples: `Players` of arrays of shape (n,) or (n, 1), independent of one another.
        bins: along each side, a divisor of the number of cells.
        least: bins in which fewer points are expected are joined, with all that is outside the box.

    Returns:
        `HistogramDistance`.

    Raises:
        ValueError: for bins that do not divide the cells, or fewer than two bins with enough points.

    >>> from gansde_lib.invariant import fokker_planck
    >>> law = fokker_planck(lambda x: jax.tree.map(jnp.negative, x), np.eye(2), lower=(-3, -3), upper=(3, 3), cells=64)
    >>> points = np.random.default_rng(0).normal(size=(2, 4000)) * 0.5**0.5
    >>> histogram_distance(law, points).p_value > 0.001
    True
    """
    n = len(stationary.theta)
    _checks.whole("bins", bins, minimum=2, example=_HISTOGRAM)
    if n % bins:
        raise ValueError(f"bins must divide the {n} cells of a side, found {bins}; for example {_HISTOGRAM}")
    theta, omega = (np.asarray(part, np.float64).reshape(-1) for part in samples)
    chances = (np.asarray(stationary.density) * float(stationary.area)).reshape(bins, n // bins, bins, n // bins)
    chances = chances.sum((1, 3)).ravel()
    walls = []
    for centres in (stationary.theta, stationary.omega):
        side = float(centres[1] - centres[0])
        walls.append(np.linspace(float(centres[0]) - side / 2, float(centres[-1]) + side / 2, bins + 1))
    counts = np.histogram2d(theta, omega, bins=walls)[0].ravel()
    size, common = theta.size, chances * theta.size >= least
    chances = np.append(chances[common], max(1 - chances[common].sum(), 0.0))
    counts = np.append(counts[common], size - counts[common].sum())
    if chances[-1] * size < least and common.any():  # too few to stand alone: joined with the least likely bin
        smallest = np.argmin(chances[:-1])
        chances[smallest], counts[smallest] = chances[smallest] + chances[-1], counts[smallest] + counts[-1]
        chances, counts = chances[:-1], counts[:-1]
    if len(chances) < 2:
        raise ValueError(f"{size} points fill fewer than two of {bins}^2 bins; for example more points, or fewer bins")
    variance = chances * (1 - chances) / size
    pearson = float(((counts - size * chances) ** 2 / (size * chances)).sum())
    freedom = len(chances) - 1
    return HistogramDistance(
        distance=float(np.abs(counts / size - chances).sum() / 2),
        expected=float(np.sqrt(2 * variance / np.pi).sum() / 2),
        error=float(np.sqrt((1 - 2 / np.pi) * variance.sum()) / 2),
        chi_square=pearson,
        freedom=freedom,
        p_value=float(scipy.stats.chi2.sf(pearson, freedom)),
    )


def gaussian_wasserstein(mean, covariance, other_mean, other_covariance):
    r"""Return the Wasserstein-2 distance of two Gaussian laws.

    .. math:: W_2^2 = |\mu - \nu|^2 + \operatorname{tr}\bigl(\Gamma + \Delta
              - 2 (\Gamma^{1/2} \Delta\, \Gamma^{1/2})^{1/2}\bigr) .

    Source: Olkin and Pukelsheim (1982).

    >>> float(gaussian_wasserstein([0.0, 0.0], np.eye(2), [3.0, 0.0], 4 * np.eye(2)).round(6))  # sqrt(9 + 2)
    3.316625
    """
    mean, other_mean = np.atleast_1d(np.asarray(mean, float)), np.atleast_1d(np.asarray(other_mean, float))
    first, second = (np.atleast_2d(np.asarray(part, float)) for part in (covariance, other_covariance))
    root = np.real(scipy.linalg.sqrtm(first))
    middle = np.linalg.eigvalsh(root @ second @ root)
    rest = np.trace(first + second) - 2 * np.sqrt(np.maximum(middle, 0)).sum()
    return np.sqrt(np.sum((mean - other_mean) ** 2) + max(rest, 0.0))


def sliced_wasserstein(first, second, *, directions=64, key):
    r"""Return the Wasserstein-1 distance of two samples of one size, averaged over projections to random lines.

    On a line it is the mean distance of the sorted points. Two samples of one law still have a distance of about
    their spread divided by the root of their size.

    Args:
        first, second: arrays of one shape (n, d).
        directions: number of lines.
        key: random key of the lines.

    Raises:
        ValueError: if the shapes differ.

    >>> points = jnp.arange(6.0).reshape(3, 2)
    >>> float(sliced_wasserstein(points, points, key=jax.random.key(0)))
    0.0
    """
    first, second = jnp.asarray(first), jnp.asarray(second)
    if first.ndim != 2 or first.shape != second.shape:
        raise ValueError(
            f"two samples of one shape (n, d) are needed, found {first.shape} and {second.shape}; for example "
            "sliced_wasserstein(x, y, key=jax.random.key(0))"
        )
    lines = jax.random.normal(key, (first.shape[1], directions), first.dtype)
    lines = lines / jnp.linalg.norm(lines, axis=0)
    return jnp.abs(jnp.sort(first @ lines, axis=0) - jnp.sort(second @ lines, axis=0)).mean()


class Decay(NamedTuple):
    """A distance of two laws over time, in updates, with its standard error."""

    time: Any
    distance: Any
    error: Any


def mmd_decay(equation, x0, y0, *, steps, every, size, bandwidth, key, groups=8, **options):
    r"""Return the squared maximum mean discrepancy of the laws that start at two points, over time.

    The estimate is unbiased, so that it goes to zero and not to a floor; where one mode is left it decays at twice that
    mode's rate. Its error comes from `groups` independent groups of paths.

    Args:
        equation: an `sde.Equation`.
        x0, y0: `Players`, the two starts.
        steps, every: length of the paths and distance of the recorded times, in updates.
        size: paths of each group, from each of the two starts.
        bandwidth: of the kernel; see `neural.mmd`.
        key: random key.
        groups: number of groups, at least 2.
        options: scheme, substeps and so on, as in `sde.run`.

    Returns:
        `Decay`, arrays of length `steps // every + 1`.

    Raises:
        ValueError: as `sde.run`, `neural.mmd`, or for fewer than two groups.

    >>> from gansde_lib import games
    >>> from gansde_lib.games import Players
    >>> game = games.quadratic(1.0, 1.0, 1.0, samples={"a": np.array([1.0, -1.0]), "b": np.array([1.0, -1.0])})
    >>> equation = sde.modified_equation(game, lr=0.1, batch=1, order=1)
    >>> starts = Players(1.0, 0.0), Players(0.0, 0.0)
    >>> found = mmd_decay(equation, *starts, steps=4, every=2, size=8, bandwidth=0.5, key=jax.random.key(0))
    >>> found.distance.shape
    (3,)
    """
    call = "mmd_decay(equation, x0, y0, steps=100, every=10, size=500, bandwidth=0.5, key=jax.random.key(0))"
    _checks.whole("groups", groups, minimum=2, example=f"{call[:-1]}, groups=8)")
    _checks.whole("size", size, minimum=2, example=call)
    _checks.positive("bandwidth", bandwidth, example=call)
    fixed = {"steps": steps, "every": every, "size": size, "groups": groups}
    x0, y0 = equation.game.check(x0), equation.game.check(y0)
    values = _mmd_decay(equation, x0, y0, key, bandwidth, options=tuple(sorted(options.items())), **fixed)
    time = np.arange(0, steps + 1, every)
    return Decay(time, values.mean(0), values.std(0, ddof=1) / np.sqrt(groups))


@functools.partial(jax.jit, static_argnames=("steps", "every", "size", "groups", "options"))
def _mmd_decay(equation, x0, y0, key, bandwidth, *, steps, every, size, groups, options):
    def paths(start, key):
        def path(key):
            found = sde.run(equation, start, steps=steps, every=every, key=key, **dict(options))
            return jax.vmap(lambda x: ravel_pytree(x)[0])(found)

        return jnp.swapaxes(simulate.ensemble(path, size=size, key=key), 0, 1)

    def group(key):
        first, second = (paths(start, k) for start, k in zip((x0, y0), jax.random.split(key), strict=True))
        return jax.lax.map(lambda pair: neural.mmd(*pair, bandwidth=bandwidth), (first, second))

    return jax.lax.map(group, jax.random.split(key, groups))


class Rate(NamedTuple):
    """A rate of decay and its standard error."""

    rate: float
    error: float


def decay_rate(time, values, errors=None):
    r"""Return the rate r of values that decay like :math:`e^{-rt}`: minus the slope of their logarithms.

    A least-squares fit, weighted with the errors where there are any; the standard error is that of weighted least
    squares with these errors, else that from the residuals. Values at different times of the same paths are not
    independent, so that with errors it is a rough guide only.

    Args:
        time, values: arrays of one shape.
        errors: standard errors of the values.

    Raises:
        ValueError: for values that are not positive, or fewer than three.

    >>> decay_rate(np.arange(5.0), np.exp(-0.5 * np.arange(5.0))).rate.round(6)
    np.float64(0.5)
    """
    time, values = np.asarray(time, float), np.asarray(values, float)
    if time.shape != values.shape or time.size < 3 or not (values > 0).all():
        raise ValueError(
            f"a rate needs at least three positive values, found {values}; for example decay_rate(time[:10], "
            "values[:10]), before they are lost in noise"
        )
    weights = np.ones_like(values) if errors is None else (values / np.asarray(errors, float)) ** 2
    centred = time - np.average(time, weights=weights)
    below = (weights * centred**2).sum()
    slope = (weights * centred * np.log(values)).sum() / below
    if errors is not None:
        return Rate(-slope, 1 / np.sqrt(below))
    residuals = np.log(values) - np.log(values).mean() - slope * centred
    return Rate(-slope, np.sqrt((residuals**2).sum() / (time.size - 2) / below))
