"""Ensembles and sweeps: the one place of the library with time loops, chunks and devices.

Random numbers are counter-based: path i of an ensemble uses `fold_in(key, i)` and step k of a path
`fold_in(key, k)`, so that results do not depend on how the work is cut into chunks.
"""

import math

import jax
import jax.numpy as jnp

from gansde_lib import _checks

BOOK_SEED = 2026
"""The one seed of the book; every figure folds its own number into it."""


DRAWN = 1000
"""For so many steps at most, or a divisor, random numbers are drawn together."""


def key(figure):
    """Return the random key of figure number `figure` of the book.

    >>> bool((jax.random.key_data(key(1)) == jax.random.key_data(key(2))).all())
    False
    """
    return jax.random.fold_in(jax.random.key(BOOK_SEED), figure)


def check_every(every, steps):
    """Raise `ValueError` unless `every` divides the number of steps.

    >>> check_every(10, 1000)
    """
    _checks.whole("every", every, minimum=1, example="steps=1000, every=10")
    if steps % every:
        raise ValueError(f"every must divide steps, found {every} and {steps}; for example steps=1000, every=10")


def trajectory(step, start, *, steps, key, every=1, draw=None):
    """Return every `every`-th state of `state = step(state, key_k)`, k = 0, ..., steps - 1, the start included.

    Args:
        step: pure function of a state (any pytree) and a random key.
        start: the initial state.
        steps: number of steps, a Python integer.
        key: random key; step k receives `fold_in(key, k)`.
        every: distance of the recorded steps, a divisor of `steps`.
        draw: function of a random key; step k then receives `draw(fold_in(key, k))`, which is done for many steps at
            once: drawing a step's few numbers takes as long as drawing those of hundreds.

    Returns:
        The states, stacked along a leading axis of length `steps // every + 1`.

    Raises:
        ValueError: if `every` is below 1 or does not divide `steps`.

    >>> trajectory(lambda state, key: 2 * state, jnp.float32(1), steps=6, key=jax.random.key(0), every=2)
    Array([ 1.,  4., 16., 64.], dtype=float32)
    """
    check_every(every, steps)

    together = math.gcd(every, DRAWN)

    def drawn(k):
        own = jax.random.fold_in(key, k)
        return own if draw is None else draw(own)

    def advance(state, first):
        numbers = first + jnp.arange(together)
        return jax.lax.scan(lambda state, given: (step(state, given), None), state, jax.vmap(drawn)(numbers))[0], None

    def record(state, first):
        if every == 1:
            state = step(state, drawn(first))
        else:
            state, _ = jax.lax.scan(advance, state, first + jnp.arange(0, every, together))
        return state, state

    _, states = jax.lax.scan(record, start, jnp.arange(0, steps, every))
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


def moments(simulate, *, size, key, chunk=1024):
    """Return mean and variance over the paths that `ensemble` would return, without storing them.

    Args:
        simulate, size, key: as in `ensemble`; the paths are the same.
        chunk: how many paths run side by side, and are added up before the next ones start.

    Returns:
        The mean and the variance (divided by size - 1), each with the structure of one result.

    >>> mean, variance = moments(lambda key: jax.random.normal(key, (10,)), size=500, key=jax.random.key(0))
    >>> mean.shape, bool(abs(variance.mean() - 1) < 0.1)
    ((10,), True)
    """
    _checks.whole("size", size, minimum=1, example="moments(simulate, size=1000, key=jax.random.key(0))")
    chunk = min(chunk, size)

    def add(state, first):
        numbers = first + jnp.arange(chunk)
        values = jax.vmap(lambda i: simulate(jax.random.fold_in(key, i)))(numbers)
        counts = jnp.minimum(size - first, chunk)

        def merge(mean, spread, value):
            # Means and sums of squared deviations of two groups give those of their union, without cancellation.
            inside = (numbers < size).reshape((chunk,) + (1,) * (value.ndim - 1))
            middle = jnp.where(inside, value, 0).sum(0) / counts
            own = jnp.where(inside, (value - middle) ** 2, 0).sum(0)
            shift, share = middle - mean, counts / (first + counts)
            return mean + share * shift, spread + own + first * share * shift**2

        pairs = jax.tree.map(merge, *state, values)
        return jax.tree.transpose(jax.tree.structure(values), jax.tree.structure((0, 0)), pairs), None

    zero = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(simulate, key))
    (mean, spread), _ = jax.lax.scan(add, (zero, zero), jnp.arange(0, size, chunk))
    return mean, jax.tree.map(lambda leaf: leaf / max(size - 1, 1), spread)
