r"""The ensemble engine: many paths of one random recursion, chunk by chunk, with the time loop inside.

A path is :math:`x_{k+1} = \text{step}(x_k, w_k)` with random increments w. Paths are worked on in units of `UNIT`,
whose state stays in a core's cache from the first step to the last; the increments of a few steps are drawn together.
A unit looks at nothing but its number, so that states do not depend on how units are spread over threads, devices or
hosts.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.tree_util import Partial

from gansde_lib import _checks
from gansde_lib.simulate import counters, work

UNIT = 1024
"""Paths that are worked on side by side, and summed up together, where a state is `NUMBERS` numbers."""

NUMBERS = 8
"""So many numbers of each of a unit's paths stay in the nearest cache."""

DRAWN = 2**15
"""How many pairs of increments are drawn together: 256 kB in float32, a part of a core's cache."""

LANES = 16
"""Numbers in the widest vector of a CPU, in float32."""

CALL = "paths(lambda x, w: 0.9 * x + w, jnp.float32(0), steps=100, size=1000, key=jax.random.key(0))"


def paths(step, start, *, steps, size, key, increments="gaussian", noise=None, batched=False, **how):
    """Return the states of `size` paths after `steps` steps, along a leading axis.

    Args:
        step: pure function `step(x, w)` of one path's state and its increments. A `jax.tree_util.Partial` of a
            function and its parameters compiles nothing again when these change.
        start: the state from which all paths start: a pytree of float scalars or arrays, such as `Players`.
        steps: number of steps; another number compiles nothing again.
        size: number of paths.
        key: random key; increment number i of step k of path j is a function of the key, i, k and j.
        increments: "gaussian", "three-point" (plus or minus the root of 3 with probability 1/6 each, else 0),
            "two-point" (plus or minus 1), or "uniform" (between 0 and 1, to draw samples with). A tuple of names gives
            a tuple of increments, each of its own kind.
        noise: pytree of arrays that w is shaped like; the start by default. A tuple for a tuple of increments.
        batched: whether `step` takes many paths at once, along the last axis of all its arrays. By default it takes
            one, and `jax.vmap` does the rest, which costs two or three times as much where players are vectors.
        **how: `workers`, `progress` and `store`, see `work.pieces`.

    Returns:
        The states. A diverged path is infinite or NaN.

    Raises:
        ValueError: for unknown increments, negative steps, a size below 1, or a key that is none.

    Two players' scalars (or arrays of equal size) are the fastest state: stacking them is what costs.

    >>> ends = paths(lambda x, w: 0.5 * x + w, jnp.float32(0), steps=20, size=20_000, key=jax.random.key(0))
    >>> ends.shape, bool(abs(ends.var() - 4 / 3) < 0.04)
    ((20000,), True)
    """
    job = job_of(step, start, steps, size, key, increments, noise)
    layout = layout_of(job, size, increments, batched)
    found = list(work.pieces(_states, job, count=-(-size // layout.lanes), static=(("layout", layout),), **how))
    return jax.tree.map(lambda *parts: lanes_first(parts)[:size], *found)


class Job(NamedTuple):
    """What a unit needs: a pytree, so that only functions and shapes are compiled in."""

    step: Partial
    start: Any
    noise: Any
    key: Any
    steps: Any
    observe: Any = None
    size: Any = None


def as_partial(function):
    """The function as a pytree, whose parameters are leaves."""
    return function if isinstance(function, Partial) else Partial(function)


def job_of(step, start, steps, size, key, increments, noise):
    """The checked work of an ensemble."""
    _checks.whole("steps", steps, minimum=0, example=CALL)
    _checks.whole("size", size, minimum=1, example=CALL)
    for kind in increments if isinstance(increments, tuple) else (increments,):
        _checks.choice("increments", kind, counters.INCREMENTS, example='increments="gaussian"')
    start = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.result_type(float, leaf)), start)
    noise = start if noise is None else jax.tree.map(jnp.asarray, noise)
    return Job(as_partial(step), start, noise, counters.words_of(key), np.int32(steps))


class Layout(NamedTuple):
    """How a unit is worked on: of which kinds its increments are, how many paths it has, whether `step` takes them all.

    `packed`: two players alike are one array of complex numbers, so that one loop over paths draws, steps and writes.
    XLA computes one result of an expression once, and would draw for each of two anew.
    """

    increments: Any
    lanes: int
    batched: bool
    packed: bool


def layout_of(job, size, increments, batched):
    """The layout for an ensemble; a small one is a single unit of whole vectors.

    >>> job = job_of(max, (0.0, 0.0), 10, 10**6, jax.random.key(0), "gaussian", None)
    >>> layout_of(job, 10**6, "gaussian", False)
    Layout(increments='gaussian', lanes=2048, batched=False, packed=True)
    """
    shapes = [leaf.shape for leaf in jax.tree.leaves(job.start)]
    alike = all(len(kinds) == 2 and kinds[0] == kinds[1] for kinds in map(_kinds, (job.start, job.noise)))
    # With `jax.vmap` vectors are transposed within the step, and the one loop would draw once for each sum.
    packed = alike and increments in counters.INCREMENTS and increments != "two-point" and (batched or not any(shapes))
    numbers = max(NUMBERS // 2 if packed else NUMBERS, sum(math.prod(shape) for shape in shapes))
    unit = max(4 * LANES, 2 ** int(math.log2(UNIT * NUMBERS / numbers)))
    return Layout(increments, min(unit, -(-size // LANES) * LANES), batched, packed)


def _kinds(tree):
    return [(leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(tree)]


def lanes_first(parts):
    """Pieces of units, whose lanes are the last axis, as one array with all lanes along the first."""
    numbers = np if all(isinstance(part, np.ndarray) for part in parts) else jnp
    whole = numbers.concatenate(parts)
    return numbers.moveaxis(whole, -1, 1).reshape(-1, *whole.shape[1:-1])


def _states(job, number, *, layout):
    """The last states of one unit, its paths along the last axis."""
    return advance(job, number, lambda after, x, seen: seen, (), layout)[0]


def path_numbers(number, lanes):
    """The numbers of the paths of a unit."""
    return number * lanes + jnp.arange(lanes, dtype=jnp.uint32)


def side_by_side(tree, lanes):
    """The same state in all lanes, which come last."""
    return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf[..., None], (*leaf.shape, lanes)), tree)


def advance(job, number, keep, seen, layout):
    """The states of a unit after all steps, and what `keep(steps done, states, seen)` has made of them on the way."""
    increments, lanes, batched, packed = layout
    step = job.step if batched else jax.vmap(job.step, in_axes=-1, out_axes=-1)
    numbers = path_numbers(number, lanes)
    several = isinstance(increments, tuple)
    groups = list(zip(increments, job.noise, strict=True)) if several else [(increments, job.noise)]
    begin = side_by_side(job.start, lanes)

    def drawn(first, together):
        return [
            counters.block(kind, counters.stream(job.key, group), numbers, first, together, noise)
            for group, (kind, noise) in enumerate(groups)
        ]

    def moved(x, draws, t):
        w = tuple(draw(t) for draw in draws)
        return step(x, w if several else w[0])

    if packed:
        structure = jax.tree.structure(job.start)

        def pair(z):
            return jax.tree.unflatten(structure, (z.real, z.imag))

        def packed_step(k, carry):
            x = lax.complex(*jax.tree.leaves(moved(pair(carry[0]), drawn(k, 1), 0)))
            x = lax.optimization_barrier(x)  # else what is kept would be computed from the draws again
            return x, keep(k + 1, pair(x), carry[1])

        last, seen = lax.fori_loop(0, job.steps, packed_step, (lax.complex(*jax.tree.leaves(begin)), seen))
        return pair(last), seen

    largest = max((counters.halves(noise) for kind, noise in groups if kind != "two-point"), default=1)
    # A power of two, so that a block never ends inside the bits of a word for two-point increments.
    together = 2 ** int(np.log2(np.clip(DRAWN // (largest * lanes), 1, counters.BITS)))

    def block(k, carry):
        draws = drawn(k * together, together)

        def one(t, carry):
            x = moved(carry[0], draws, t)
            return x, keep(k * together + t + 1, x, carry[1])

        return lax.fori_loop(0, jnp.minimum(together, job.steps - k * together), one, carry)

    return lax.fori_loop(0, (job.steps + together - 1) // together, block, (begin, seen))
