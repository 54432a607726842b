"""Ensembles and sweeps: the one place of the library with time loops, chunks and devices.

Random numbers are counter-based: path i of an ensemble uses `fold_in(key, i)` and step k of a path
`fold_in(key, k)`, so that results do not depend on how the work is cut into chunks.
"""

import jax
import jax.numpy as jnp
import numpy as np

from gansde_lib import _checks

BOOK_SEED = 2026
"""The one seed of the book; every figure folds its own number into it."""


def key(figure):
    """Return the random key of figure number `figure` of the book.

    >>> bool((jax.random.key_data(key(1)) == jax.random.key_data(key(2))).all())
    False
    """
    return jax.random.fold_in(jax.random.key(BOOK_SEED), figure)


def trajectory(step, start, *, steps, key):
    """Return all states of `state = step(state, key_k)`, k = 0, ..., steps - 1, the start included.

    Args:
        step: pure function of a state (any pytree) and a random key.
        start: the initial state.
        steps: number of steps, a Python integer.
        key: random key; step k receives `fold_in(key, k)`.

    Returns:
        The states, stacked along a leading axis of length `steps + 1`.

    >>> trajectory(lambda state, key: 2 * state, jnp.float32(1), steps=3, key=jax.random.key(0))
    Array([1., 2., 4., 8.], dtype=float32)
    """

    def advance(state, k):
        state = step(state, jax.random.fold_in(key, k))
        return state, state

    _, states = jax.lax.scan(advance, start, jnp.arange(steps))
    return jax.tree.map(lambda first, rest: jnp.concatenate([jnp.asarray(first)[None], rest]), start, states)


def ensemble(simulate, *, size, key, chunk=1024):
    """Return the results of `simulate(fold_in(key, i))` for i = 0, ..., size - 1, stacked along a leading axis.

    Args:
        simulate: pure function of a random key.
        size: number of paths.
        key: random key of the ensemble.
        chunk: how many paths run side by side; changes speed and memory, not the result.

    >>> means = ensemble(lambda key: jax.random.normal(key, (10,)).mean(), size=500, key=jax.random.key(0))
    >>> means.shape
    (500,)
    """
    _checks.whole("size", size, minimum=1, example="ensemble(simulate, size=1000, key=jax.random.key(0))")
    return jax.lax.map(lambda i: simulate(jax.random.fold_in(key, i)), jnp.arange(size), batch_size=min(chunk, size))


def sweep(function, *axes, chunk=4096):
    """Return `function(a, b, ...)` at all points of the grid spanned by `axes`.

    Args:
        function: pure function of as many scalars as there are axes.
        *axes: one-dimensional arrays of parameter values.
        chunk: how many grid points run side by side.

    Returns:
        The results, with leading axes of the lengths of `axes`.

    >>> sweep(lambda a, b: 10 * a + b, jnp.arange(2.0), jnp.arange(3.0))
    Array([[ 0.,  1.,  2.],
           [10., 11., 12.]], dtype=float32)
    """
    points = [grid.ravel() for grid in jnp.meshgrid(*(jnp.asarray(axis) for axis in axes), indexing="ij")]
    values = jax.lax.map(lambda point: function(*point), tuple(points), batch_size=min(chunk, points[0].size))
    shape = tuple(np.size(axis) for axis in axes)
    return jax.tree.map(lambda value: value.reshape(shape + value.shape[1:]), values)
