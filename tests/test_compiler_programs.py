"""Random programs from the supported operations: each compiled one gives what `jax.jit` gives."""

import os

import jax
import jax.numpy as jnp
import numpy as np
from compiled import compare
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jax import lax

EXAMPLES = int(os.environ.get("COMPILER_EXAMPLES", "50"))
INPUTS = {
    "vector": np.sin(np.arange(7, dtype=np.float32)),
    "table": np.cos(np.arange(36, dtype=np.float32)).reshape(6, 6)[:, :5],
    "state": np.array([0.3, -0.6], np.float32),
    "batch": np.sin(0.7 * np.arange(18, dtype=np.float32)).reshape(9, 2),
    "cube": np.cos(0.3 * np.arange(24, dtype=np.float32)).reshape(3, 4, 2),
    "scalar": np.float32(0.37),
    "whole": np.int32(2),
}


def fit(y, x):
    """y, made to broadcast against x."""
    try:
        if jnp.broadcast_shapes(x.shape, y.shape) == x.shape:
            return y
    except ValueError:
        pass
    return jnp.mean(y)


def matrix(x):
    return x.reshape(x.shape[0], -1) if x.ndim else x.reshape(1, 1)


def line(x):
    return x.reshape(-1)


def loop(x, y, k):
    """What is carried has the shape of x; the entries of y come one by one, and the path is kept."""
    y = fit(y, x)

    def step(state, entry):
        a, b, count = state
        new = jnp.tanh(a + 0.3 * y * entry - 0.2 * (b if k % 2 else a.mean()))
        return (new, a if k % 3 else b, count + 1), (a if k % 5 else new * count)

    (a, b, count), path = lax.scan(
        step, (x, 0.5 * x, 0), line(y)[:5] if y.ndim else jnp.arange(4.0), reverse=k % 7 == 0
    )
    return a + b + count if k % 4 else path


def repeat(x, y, k):
    y = fit(y, x)
    return lax.while_loop(lambda s: s[1] < 3 + k % 3, lambda s: (jnp.sin(s[0] + y), s[1] + 1), (x, 0))[0]


def branch(x, y, k):
    y = fit(y, x)
    return lax.cond(jnp.sum(y) * 1e3 > k, lambda: jnp.cos(x) + y, lambda: x - 0.5)


def update(x, y, k):
    flat = line(x)
    index = (jnp.arange(3) * (k + 1) + k) % flat.size
    if k % 3 == 0:
        return flat.at[index].add(jnp.mean(y))
    if k % 3 == 1:
        return flat.at[k % flat.size].set(jnp.sum(y))
    return lax.dynamic_update_slice(flat, line(y)[:1], (k % 4,))


def lookup(x, y, k):
    index = jnp.clip(jnp.floor(3.1 * line(y) + 0.123).astype(jnp.int32) + k, 0, line(x).size - 1)
    return line(x)[index] if k % 2 else lax.dynamic_slice(line(x), (index[0],), (min(2, line(x).size),))


OPERATIONS = [
    lambda x, y, k: [jnp.sin, jnp.tanh, jnp.negative, jnp.abs, lambda x: jnp.exp(-jnp.abs(x)), jax.nn.softplus][k % 6](
        x
    ),
    lambda x, y, k: [jnp.add, jnp.multiply, jnp.maximum, jnp.subtract, jnp.minimum][k % 5](x, fit(y, x)),
    lambda x, y, k: jnp.where(x > fit(y, x) + 1e-3, x, 0.5 * fit(y, x)),
    lambda x, y, k: [jnp.sum, jnp.mean, jnp.max, jnp.min][k % 4](x, axis=k % x.ndim) * 0.5 if x.ndim else x * 2,
    lambda x, y, k: [lambda x: x.T, line, matrix, lambda x: x[::-1] if x.ndim else x, lambda x: x[..., None]][k % 5](x),
    lambda x, y, k: jnp.roll(x, k) if k % 2 else jnp.concatenate([line(x), line(y)])[: 5 + k],
    lambda x, y, k: line(x)[k % 2 : k % 2 + 6 : 1 + k % 2] if x.size > 2 else jnp.stack([x, x]),
    lambda x, y, k: jnp.cumsum(line(x)) * 0.3,
    lambda x, y, k: matrix(x) @ matrix(x).T * 0.2 if k % 2 else line(x)[:6, None] - line(y)[None, :6],
    lambda x, y, k: jax.vmap(lambda row: jnp.sum(jnp.tanh(row)) * row)(matrix(x)),
    lambda x, y, k: jax.grad(lambda z: jnp.sum(jnp.sin(z * fit(y, x)) ** 2))(x),
    lambda x, y, k: jnp.sort(line(x)) if k % 2 else line(x)[jnp.argmax(line(x))],
    lambda x, y, k: jnp.pad(x, 1 + k % 2, constant_values=0.25) if x.ndim and x.size < 80 else x + 1,
    lambda x, y, k: x + 0.1 * jax.random.normal(jax.random.fold_in(jax.random.key(k), 3), x.shape),
    loop,
    repeat,
    branch,
    update,
    lookup,
    lambda x, y, k: jax.vmap(lambda row: [loop, repeat, branch, update, lookup][k % 5](row, y, k + 3))(matrix(x)),
    lambda x, y, k: jax.grad(lambda z: jnp.sum(loop(z, y, k)))(x),
    lambda x, y, k: jax.vmap(lambda a: jnp.where(a > 0, line(x)[:4].sum() * a, jnp.arange(4.0)))(line(y)[:6]),
]
STEP = st.tuples(st.integers(0, len(OPERATIONS) - 1), st.integers(0, 99), st.integers(0, 99), st.integers(0, 9))


@settings(
    max_examples=EXAMPLES, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)
@given(program=st.lists(STEP, min_size=3, max_size=9))
def test_random_programs(program):
    def function(whole, **arrays):
        values = [arrays[name] for name in sorted(arrays)]
        for operation, a, b, k in program:
            # mostly recent values, so that programs are deep
            x, y = values[-1 - a % min(3, len(values))], values[-1 - b % len(values)]
            result = OPERATIONS[operation](x, y, k)
            values.append(result if result.size <= 200 else line(result)[:200])
        return values[len(arrays) :], whole + len(program)

    compare(function, INPUTS, name="program", scale=0.1)
