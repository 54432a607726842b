r"""Rates read off the non-linear kernel GAN near its equilibrium, without the linear theory.

The run starts with the equilibrium's witness and points displaced by a tiny amount. Its mean displacement obeys a
recursion of second order whose roots are the eigenvalues of the mean mode; differences between points have one factor.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gansde_lib import gda, kernel_gan
from gansde_lib.kernel_gan import expansion

SMALL = 1e-4
"""Displacements above this many bandwidths are left out: non-linear terms are of relative order SMALL^2."""

DROWNED = 1e-5
"""A mode is left out once it is below this share of what is remembered: roundings of that are in it."""


class Settings(NamedTuple):
    """Many sites with their rates: arrays of shape (size,), float64; `masses` are those of each generated point."""

    true_mass: Any
    point_mass: Any
    count: Any
    bandwidth: Any
    ridge: Any
    eta_g: Any
    eta_d: Any
    dimension: Any


class Measured(NamedTuple):
    """What a run shows: arrays of shape (size,).

    radius, argument: of the mean mode's dominant root; difference: factor of differences between points (nan if there
    is one point only); updates: how many were looked at. Parts of the witness that no point feels need no measuring:
    they obey f' = (1 - eta_d ridge) f by themselves.
    """

    radius: Any
    argument: Any
    difference: Any
    updates: Any


def draw_settings(size, *, seed):
    """Return `Settings` drawn over the ranges of the chapter: a third each balanced, under-filled and over-filled.

    >>> settings = draw_settings(6, seed=1)
    >>> [round(float(1 - q * n), 2) for q, n in zip(settings.point_mass, settings.count)][::3]
    [0.0, 0.0]
    """
    rng = np.random.default_rng(seed)
    count, dimension = rng.integers(1, 5, size), rng.integers(1, 4, size)
    filled = np.choose(np.arange(size) % 3, [np.ones(size), rng.uniform(0.3, 0.95, size), rng.uniform(1.05, 1.6, size)])
    ranges = {"bandwidth": (0.3, 2), "ridge": (0.05, 3), "eta_g": (0.02, 3), "eta_d": (0.02, 1.2)}
    values = {name: rng.uniform(*bounds, size) for name, bounds in ranges.items()}
    return Settings(np.ones(size), filled / count, count, dimension=dimension, **values)


@functools.partial(jax.jit, static_argnames=("steps", "alternating"))
def _runs(kernel, settings, starts, off, *, steps, alternating):
    def one(parts):
        setting, start = parts
        masses = jnp.where(jnp.arange(len(start)) < setting.count, setting.point_mass, 0)
        problem = expansion.Problem(
            jnp.zeros((1, start.shape[1])), setting.true_mass[None], masses, setting.bandwidth, setting.ridge, kernel
        )
        rest = (setting.true_mass - setting.count * setting.point_mass) / setting.ridge
        points, coefficients = expansion._run(
            problem,
            start,
            rest[None] + off,
            gda.rates((setting.eta_g, setting.eta_d)),
            steps=steps,
            alternating=alternating,
            inner_steps=1,
        )
        return points, coefficients[:, 0]

    return jax.lax.map(one, (settings, starts), batch_size=16)


def displacements(settings, *, steps, update="simultaneous", kernel="gaussian", seed=0, size=1e-40):
    """Return the generated points (size, steps + 1, 4, 3) of runs displaced by `size` bandwidths, in float64.

    Absent points and coordinates stay at zero.

    >>> displacements(draw_settings(2, seed=1), steps=3).shape
    (2, 4, 4, 3)
    """
    settings = Settings(*(np.asarray(part, np.float64) for part in settings))
    rng = np.random.default_rng(seed)
    shape = (len(settings.count), 4, 3)
    starts = rng.uniform(0.5, 1, shape) * rng.choice([-1, 1], shape) * size * settings.bandwidth[:, None, None]
    starts *= np.arange(4)[:, None] < settings.count[:, None, None]
    starts *= np.arange(3) < settings.dimension[:, None, None]
    with jax.enable_x64(True):
        kernel, alternating = kernel_gan.profile(kernel), update == "alternating"
        return jax.device_get(_runs(kernel, settings, starts, 0.0, steps=steps, alternating=alternating)[0])


def witness_deviations(settings, *, steps, update="simultaneous", kernel="gaussian", off=1e-6):
    """Return how far the witness's value at the true point is from rest, (size, steps + 1), if it starts off by `off`.

    The generated points start at rest, where a witness that is symmetric about the true point leaves them: this is the
    part of the witness that no point feels.

    >>> found = witness_deviations(draw_settings(2, seed=1), steps=3)
    >>> bool(np.allclose(found[:, 0], 1e-6))
    True
    """
    settings = Settings(*(np.asarray(part, np.float64) for part in settings))
    with jax.enable_x64(True):
        kernel, alternating = kernel_gan.profile(kernel), update == "alternating"
        starts = np.zeros((len(settings.count), 4, 3))
        _, real = jax.device_get(_runs(kernel, settings, starts, off, steps=steps, alternating=alternating))
    generated, fading = np.zeros_like(real), 1 - settings.eta_d * settings.ridge
    for k in range(steps):  # what the generated points, all at the true one, have added to the witness there
        generated[:, k + 1] = fading * generated[:, k] + settings.eta_d * settings.count * settings.point_mass
    rest = (settings.true_mass - settings.count * settings.point_mass) / settings.ridge
    return real - generated - rest[:, None]


def roots(series):
    r"""Return the two roots of the recursion :math:`x_{k+2} = a x_{k+1} + b x_k` that fits a series best.

    Args:
        series: shape (K, m): m series with the same roots. Every equation is scaled to the size of its terms.

    >>> roots(np.array([[1.0], [0.5], [0.25], [0.125]]) + np.array([[1.0], [-0.2], [0.04], [-0.008]])).round(6)
    array([ 0.5+0.j, -0.2+0.j])
    """
    old, middle, new = series[:-2].ravel(), series[1:-1].ravel(), series[2:].ravel()
    weight = 1 / np.maximum(np.maximum(np.abs(old), np.abs(middle)), 1e-300)
    (a, b), *_ = np.linalg.lstsq(np.stack([middle * weight, old * weight], 1), new * weight, rcond=None)
    found = np.roots([1, -a, -b]).astype(complex)
    return found[np.argsort(-np.abs(found))]


def measure(settings, *, steps, update="simultaneous", kernel="gaussian", seed=0):
    """Run all settings and return what was `Measured`.

    >>> found = measure(draw_settings(2, seed=1), steps=200)
    >>> found.radius.shape
    (2,)
    """
    return fit(settings, displacements(settings, steps=steps, update=update, kernel=kernel, seed=seed))


def fit(settings, points):
    """Return what was `Measured` on given `displacements`.

    >>> settings = draw_settings(2, seed=1)
    >>> fit(settings, displacements(settings, steps=200)).radius.shape
    (2,)
    """
    rows = [_measure_one(Settings(*parts), run) for *parts, run in zip(*settings, points, strict=True)]
    return Measured(*(np.array(column) for column in zip(*rows, strict=True)))


def _measure_one(setting, points):
    moved = points[:, : int(setting.count), : int(setting.dimension)] / setting.bandwidth
    mean = moved.mean(1)
    apart = (moved - mean[:, None]).reshape(len(moved), -1)
    sizes = [np.abs(part).max(1) for part in (mean, apart)]
    largest = np.maximum(*sizes)
    # Linear only while small; a decaying run ends where float64 does. A mode ends where it drowns in roundings: of the
    # other mode, and of the larger displacements that the witness still remembers.
    fading, updates = np.log(np.abs(1 - setting.eta_d * setting.ridge)), np.arange(len(largest))
    # Where the witness itself is unstable its equilibrium's roundings, 1e-16, grow too.
    inside = (largest < SMALL) & (largest > 1e-280) & (updates * fading < np.log(1e6))
    remembered = _remembered(largest, updates * fading)
    dominant = roots(mean[: _length(inside & (sizes[0] > DROWNED * remembered))])[0]
    difference = np.nan
    if setting.count > 1:
        apart = apart[: _length(inside & (sizes[1] > DROWNED * remembered))]
        place = np.abs(apart[0]).argmax()
        ratio = apart[-1, place] / apart[0, place]
        sign = np.sign(apart[1, place] / apart[0, place])
        difference = sign * np.abs(ratio) ** (1 / (len(apart) - 1))
    return np.abs(dominant), np.abs(np.angle(dominant)), difference, _length(inside) - 1


def _remembered(sizes, fading):
    """The largest size so far as the witness remembers it; `fading`: logarithms of what is left of the first."""
    with np.errstate(divide="ignore"):
        return np.exp(np.maximum.accumulate(np.log(sizes) - fading) + fading)


def _length(inside):
    """How many leading entries are true."""
    return len(inside) if inside.all() else int(np.argmin(inside))
