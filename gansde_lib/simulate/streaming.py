"""Averages over the paths of an ensemble, without storing one.

They are summed up unit by unit, always in the same order, so that they do not depend on how units are spread over
threads, devices or hosts: not by a bit.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from gansde_lib.simulate import engine, work
from gansde_lib.simulate.loops import check_every


class Averages(NamedTuple):
    """Means over paths, and variances over paths (divided by size - 1) or None, along a leading axis of times."""

    mean: Any
    variance: Any
    size: Any

    @property
    def error(self):
        """Standard errors of the means."""
        return jax.tree.map(lambda variance: np.sqrt(variance / self.size), self.variance)


def averages(
    step,
    start,
    *,
    steps,
    size,
    key,
    observe,
    every=None,
    variance=True,
    increments="gaussian",
    noise=None,
    batched=False,
    **how,
):
    """Return means and variances over paths of what `observe` sees, without storing a path.

    Args:
        step, start, steps, size, key, increments, noise, batched: as in `paths`; equal keys give equal paths.
        observe: pure function of one path's state (of many with `batched`) with values in any pytree: moments, test
            functions, or the bins of a histogram (`inside`).
        every: distance of the steps at which states are observed; by default only the start and the end.
        variance: False leaves out variances and standard errors, which take half of the time of averaging.
        **how: as in `paths`.

    Returns:
        `Averages`, whose entries have a leading axis of length `steps // every + 1`.

    Raises:
        ValueError: as `paths`, and if `every` does not divide the steps.

    >>> square = averages(lambda x, w: 0.5 * x + w, jnp.float32(0), steps=20, size=5000, key=jax.random.key(0),
    ...                   observe=lambda x: x**2, every=5)
    >>> square.mean.shape, bool(abs(square.mean[-1] - 4 / 3) < 4 * square.error[-1])
    ((5,), True)
    """
    every = max(steps, 1) if every is None else every
    check_every(every, steps)
    job = engine.job_of(step, start, steps, size, key, increments, noise)
    job = job._replace(observe=engine.as_partial(observe), size=np.uint32(size))
    layout = engine.layout_of(job, size, increments, batched)
    static = (
        ("layout", layout),
        ("every", every),
        ("records", steps // every + 1),
        ("variance", bool(variance)),
    )
    total = None
    for sums in work.pieces(_sums, job, count=-(-size // layout.lanes), static=static, **how):
        if total is None:
            zero = jax.tree.map(lambda leaf: 0 * leaf[0], sums.first)
            total = (0 * sums.count[0], zero, zero)
        total = _merged(total, sums)
    spread = jax.tree.map(lambda leaf: leaf / max(size - 1, 1), total[2])
    return Averages(total[1], spread if variance else None, size)


def inside(edges):
    """Return a function of a number that says in which bin between the edges it lies: averaged, a histogram.

    >>> inside([0.0, 1.0, 2.0])(jnp.float32(1.5))
    Array([0., 1.], dtype=float32)
    """
    edges = np.asarray(edges, float)

    def one_of_bins(value):
        lower, upper = (jnp.asarray(ends, value.dtype) for ends in (edges[:-1], edges[1:]))
        return ((value >= lower) & (value < upper)).astype(value.dtype)

    return one_of_bins


class Sums(NamedTuple):
    """What a unit adds to the averages; `shift`, `first` and `second` as what is observed, after an axis of times.

    `first` and `second` are sums of deviations from `shift`, which is near their mean, and of their squares.
    """

    shift: Any
    first: Any
    second: Any
    count: Any


def _sums(job, number, *, layout, every, records, variance):
    """What one unit adds to the averages."""
    valid = engine.path_numbers(number, layout.lanes) < job.size
    see = job.observe if layout.batched else jax.vmap(job.observe, in_axes=-1, out_axes=-1)

    def summed(values):
        shift = values[..., :1]
        apart = jnp.where(valid, values - shift, 0)
        first = _sum(apart)
        return Sums(shift[..., 0], first, _sum(apart * apart) if variance else jnp.zeros_like(first), None)

    def observed(x):
        values = see(x)
        sums = jax.tree.map(summed, values)
        return jax.tree.transpose(jax.tree.structure(values), jax.tree.structure(Sums(0, 0, 0, None)), sums)

    def keep(after, x, seen):
        def put(seen):
            return jax.tree.map(lambda leaf, value: leaf.at[after // every].set(value), seen, observed(x))

        return put(seen) if every == 1 else lax.cond(after % every == 0, put, lambda seen: seen, seen)

    begin = observed(engine.side_by_side(job.start, layout.lanes))
    empty = jax.tree.map(lambda leaf: jnp.zeros((records, *leaf.shape), leaf.dtype).at[0].set(leaf), begin)
    _, sums = engine.advance(job, number, keep, empty, layout)
    return sums._replace(count=valid.sum(dtype=jnp.int32))


def _sum(values):
    """The sum along the last axis, by adding halves: whole vectors at a time, unlike XLA's own sum."""
    while values.shape[-1] > engine.LANES and values.shape[-1] % 2 == 0:
        half = values.shape[-1] // 2
        values = values[..., :half] + values[..., half:]
    return values.sum(-1)


def _merged(total, sums):
    """Count, means and sums of squared deviations of all units so far and a piece more, one unit after the other."""

    def merge(total, sums):
        (count, mean, spread), more = total, sums.count
        share = more / (count + more)

        def one(mean, spread, shift, first, second):
            apart = shift + first / more - mean
            return mean + share * apart, spread + second - first**2 / more + count * share * apart**2

        pairs = jax.tree.map(one, mean, spread, sums.shift, sums.first, sums.second)
        outer = jax.tree.structure(mean)
        return count + more, *jax.tree.transpose(outer, jax.tree.structure((0, 0)), pairs)

    if isinstance(sums.count, jax.Array):
        return lax.scan(lambda total, unit: (merge(total, unit), None), total, sums)[0]
    for unit in range(len(sums.count)):
        total = merge(total, jax.tree.map(lambda leaf: leaf[unit].astype(float), sums))  # noqa: B023
    return total
