"""The kernel GAN with its witness kept as a Fourier series: as exact as its whole memory, at a constant cost."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gansde_lib import _checks, gda, simulate
from gansde_lib.kernel_gan import series
from gansde_lib.kernel_gan.expansion import _numbers
from gansde_lib.kernel_gan.features import fourier_features
from gansde_lib.simulate import engine, work

CALL = (
    "run_fourier([[0.0]], [1.0], [[0.1]], [1.0], bandwidth=1.0, ridge=0.5, lr=(0.1, 0.1), steps=100): points of shape "
    "(n, d), masses of shape (n,), and before these shapes the axes of many systems"
)


class FourierRun(NamedTuple):
    """A run, or many, whose axes then come first.

    `points` (steps // every + 1, n, d); `coefficients` of the last witness, (2 modes + 2,) * d, or of all witnesses
    that belong to `points`; `spread`: the largest distance in one coordinate, in bandwidths, between any points at any
    time; `inside`: whether the series was the kernel at that distance. Where it is False, the run is one of a periodic
    kernel, or diverged. `features` are those of points in units of the `bandwidth`.
    """

    points: Any
    coefficients: Any
    spread: Any
    inside: Any
    features: Any
    bandwidth: Any


def run_fourier(
    true_points,
    true_masses,
    start_points,
    generated_masses,
    *,
    bandwidth,
    ridge,
    lr,
    steps,
    update="simultaneous",
    inner_steps=1,
    witness=None,
    box=None,
    modes=None,
    every=1,
    keep_witness=False,
    **how,
):
    r"""Train from `start_points` as `run` does with the Gaussian kernel, and return a `FourierRun`.

    All arguments up to `lr`, and `witness`, may have axes in front that stand for many systems; these are broadcast
    against each other. A map over bandwidths and ridges is `bandwidth=b[:, None], ridge=r`.

    Args:
        true_points, true_masses, start_points, generated_masses, bandwidth, ridge, lr: as in `run`.
        steps, update, inner_steps, witness: as in `run`.
        box: the length of the box, in bandwidths: 12 by default, 14 in float64. No two points may be farther apart in a
            coordinate than `reach` of it: 6.4 of 12 and 5.5 of 14.
        modes: the highest mode; by default as many as the precision asks for (`enough_modes`).
        every: distance of the updates whose points are kept, a divisor of `steps`.
        keep_witness: whether to keep the witness's coefficients as often as the points.
        **how: `workers`, `progress` and `store` for many systems, see `simulate.work.pieces`.

    Raises:
        ValueError: for shapes that do not fit, masses or a ridge below zero, a bandwidth or rates that are not
            positive, unknown updates, or points that are too far apart from the start.

    >>> run = run_fourier([[0.0]], [1.0], [[0.1]], [1.0], bandwidth=1.0, ridge=0.5, lr=(0.1, 0.1), steps=400, every=100)
    >>> run.points.shape, bool(abs(run.points[-1]) < 1e-4), bool(run.inside)
    ((5, 1, 1), True, True)
    >>> ridges = np.array([0.1, 0.5, 2.0])  # three systems
    >>> run_fourier([[0.0]], [1.0], [[0.1]], [1.0], bandwidth=1.0, ridge=ridges, lr=0.1, steps=400).points.shape
    (3, 401, 1, 1)
    """
    _checks.choice("update", update, gda.ORDERS, example='update="alternating"')
    _checks.whole("steps", steps, minimum=0, example=CALL)
    _checks.whole("inner_steps", inner_steps, minimum=1, example="inner_steps=5")
    simulate.check_every(every, steps)
    pair = tuple(lr) if isinstance(lr, tuple | list) else (lr, lr)
    if len(pair) != 2:
        raise ValueError(f"lr must be one rate or (eta_g, eta_d), found {lr!r}; for example lr=(0.1, 0.05)")
    first = np.zeros(np.shape(true_masses)[-1:]) if witness is None else witness
    given = series.System(true_points, true_masses, start_points, generated_masses, first, bandwidth, ridge, *pair)
    given = series.System(*map(_numbers, given))
    axes = _check_shapes(given)
    single = jnp.finfo(jnp.result_type(float)).bits == 32
    box = (12.0 if single else 14.0) if box is None else box
    _checks.positive("box", box, example="box=12.0, in bandwidths")
    modes = enough_modes(box) if modes is None else modes
    _checks.whole("modes", modes, minimum=1, example="modes=11")
    _check_values(given, box)
    job, count, lanes = series.side_by_side(given, axes)
    static = {
        "modes": int(modes), "alternating": update == "alternating", "inner_steps": int(inner_steps),
        "steps": int(steps), "every": int(every), "keep_witness": bool(keep_witness),
    }  # fmt: skip
    units = -(-count // lanes)
    found = list(work.pieces(series.unit, (job, _numbers(box)), count=units, static=tuple(static.items()), **how))
    points, coefficients, spread = jax.tree.map(lambda *parts: _systems_first(parts, count, axes), *found)
    features = fourier_features(box, modes=modes, bandwidth=1.0)
    return FourierRun(points, coefficients, spread, spread <= reach(box), features, given.bandwidth)


def reach(box):
    r"""Return how far apart, in bandwidths, points may be for the images of the kernel to be below rounding.

    .. math:: r = L - \sqrt{-2 \ln \varepsilon}.

    >>> round(float(reach(12.0)), 2)
    6.35
    """
    return box - math.sqrt(-2 * math.log(jnp.finfo(jnp.result_type(float)).eps))


def enough_modes(box):
    r"""Return the mode m of a box of L bandwidths above which the weights :math:`e^{-2(\pi m/L)^2}` are below rounding.

    >>> enough_modes(12.0)
    11
    """
    if not _checks.is_concrete(box):
        raise ValueError("the number of modes cannot depend on a traced box; for example modes=24")
    return math.ceil(float(box) / math.pi * math.sqrt(-math.log(jnp.finfo(jnp.result_type(float)).eps) / 2))


def fourier_witness(run, x):
    r"""Return the witness of one `FourierRun` at places x of shape (m, d): the last one, or all that it kept.

    >>> run = run_fourier([[0.0]], [1.0], [[0.1]], [1.0], bandwidth=1.0, ridge=0.5, lr=(0.1, 0.1), steps=1)
    >>> fourier_witness(run, [[0.0]]).round(6)  # 0.1 (1 - exp(-0.005))
    Array([0.000499], dtype=float32)
    """
    x = jnp.asarray(x, jnp.result_type(float)) / jnp.asarray(run.bandwidth, jnp.result_type(float))
    value, *shapes = jnp.asarray(run.coefficients)[..., None], *jax.vmap(run.features)(x)
    for shape in reversed(shapes):  # the last axis but one of `value` belongs to this coordinate, the last to places
        value = jnp.einsum("...am,ma->...m", jnp.broadcast_to(value, (*value.shape[:-1], len(x))), shape)
    return value


def _check_shapes(given):
    """The shape of the axes in front of those of a single system."""
    own = [leaf.shape[leaf.ndim - axes :] for leaf, axes in zip(given, series.AXES, strict=True)]
    front = [leaf.shape[: leaf.ndim - axes] for leaf, axes in zip(given, series.AXES, strict=True) if leaf.ndim >= axes]
    try:
        systems = np.broadcast_shapes(*front)
    except ValueError:
        systems = None
    (true, generated), d = (own[0][:-1], own[2][:-1]), own[0][-1:]
    expected = [(*true, *d), true, (*generated, *d), generated, true, (), (), (), ()]
    if systems is None or len(front) < len(series.AXES) or own != expected:
        found = ", ".join(f"{name} {leaf.shape}" for name, leaf in zip(series.System._fields, given, strict=True))
        raise ValueError(f"shapes do not fit: found {found}; for example {CALL}")
    return systems


def _check_values(given, box):
    """Refuse numbers that cannot be meant, as far as they are not being traced."""
    for name, values in zip(series.System._fields, given, strict=True):
        if not _checks.is_concrete(values):
            continue
        low = values.min(initial=np.inf)
        positive = name in ("bandwidth", "point_rate", "witness_rate")
        least = "> 0" if positive else ">= 0" if name.endswith("masses") or name == "ridge" else None
        if not np.isfinite(values).all() or (least and (low < 0 or (positive and low == 0))):
            raise ValueError(
                f"{name} must be finite{f' and {least}' if least else ''}, found {values}; for example {CALL}"
            )
    places = given.true_points, given.start_points, given.bandwidth
    if all(map(_checks.is_concrete, (*places, box))):
        low = np.minimum(*(part.min(-2) for part in places[:2]))
        high = np.maximum(*(part.max(-2) for part in places[:2]))
        spread = ((high - low).max(-1) / places[2]).max()
        if not spread <= reach(box):
            raise ValueError(
                f"points are {spread:.3g} bandwidths apart, and a box of {float(box):.3g} holds {reach(box):.3g}; for "
                f"example box={math.ceil(spread - reach(0.0)) + 2:.1f}"
            )


def _systems_first(parts, count, axes):
    """Units after units, with systems along the last axis, as one array with the axes of the systems first."""
    systems = engine.lanes_first(parts)[:count]
    return systems.reshape((*axes, *systems.shape[1:]))
