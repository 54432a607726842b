"""A function at all points of a grid of parameters."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gansde_lib.simulate import engine, work


def sweep(function, *axes, chunk=None, **how):
    """Return `function(a, b, ...)` at all points of the grid spanned by `axes`.

    Args:
        function: pure function of as many scalars as there are axes. A `jax.tree_util.Partial` of a function and its
            parameters compiles nothing again when these change.
        *axes: one-dimensional arrays of parameter values.
        chunk: how many grid points run side by side; changes speed and memory, not the result.
        **how: `workers`, `progress` and `store`, see `work.pieces`.

    Returns:
        The results, with leading axes of the lengths of `axes`.

    >>> sweep(lambda a, b: 10 * a + b, jnp.arange(2.0), jnp.arange(3.0))
    Array([[ 0.,  1.,  2.],
           [10., 11., 12.]], dtype=float32)
    """
    shape = tuple(np.size(axis) for axis in axes)
    axes = tuple(map(jnp.asarray, axes))
    count = int(np.prod(shape))
    if work.inside_a_program():
        points = tuple(grid.ravel() for grid in jnp.meshgrid(*axes, indexing="ij"))
        batch = min(chunk or 4 * engine.UNIT, count)
        values = jax.lax.map(lambda point: function(*point), points, batch_size=batch)
        return jax.tree.map(lambda value: value.reshape(shape + value.shape[1:]), values)
    lanes = min(chunk or engine.UNIT, count)
    static = (("lanes", lanes), ("shape", shape))
    job = Grid(engine.as_partial(function), axes)
    found = list(work.pieces(_values, job, count=-(-count // lanes), static=static, **how))

    def on_grid(*parts):
        values = engine.lanes_first(parts)[:count]
        return jnp.asarray(values.reshape(shape + values.shape[1:]))

    return jax.tree.map(on_grid, *found)


class Grid(NamedTuple):
    """What a sweep is made of."""

    function: Any
    axes: Any


def _values(job, number, *, lanes, shape):
    """The values at one chunk of points, which come last."""
    points = jnp.minimum(number * lanes + jnp.arange(lanes, dtype=jnp.uint32), np.prod(shape, dtype=np.uint32) - 1)
    places = jnp.unravel_index(points.astype(jnp.int32), shape)
    values = [axis[place] for axis, place in zip(job.axes, places, strict=True)]
    return jax.vmap(job.function, out_axes=-1)(*values)
