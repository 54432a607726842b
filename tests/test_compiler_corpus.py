"""A corpus of typical functions: each compiled one gives what `jax.jit` gives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiled import compare
from jax import lax

F = np.float32
DATA = np.random.default_rng(0)
VECTOR, OTHER = DATA.normal(size=(2, 37)).astype(F)
MATRIX, SQUARE = DATA.normal(size=(6, 9)).astype(F), DATA.normal(size=(8, 8)).astype(F)
SMALL = np.array([[2.0, 0.3], [-0.4, 1.5]], F)
POINTS = DATA.normal(size=(12, 2)).astype(F)
WHOLE = DATA.integers(-50, 50, size=23).astype(np.int32)


def maths(x):
    positive = jnp.abs(x) + 0.1
    inside = jnp.tanh(x) * 0.99
    return {
        "exp": [jnp.exp(x), jnp.expm1(x), jnp.exp2(x), jnp.sinh(x), jnp.cosh(x), jnp.tanh(x)],
        "log": [jnp.log(positive), jnp.log1p(positive), jnp.sqrt(positive), lax.rsqrt(positive), jnp.cbrt(x)],
        "angle": [jnp.sin(x), jnp.cos(x), jnp.tan(inside), jnp.arctan(x), jnp.arctan2(x, positive - 1)],
        "inverse": [
            jnp.arcsin(inside),
            jnp.arccos(inside),
            jnp.arcsinh(x),
            jnp.arccosh(1 + positive),
            jnp.arctanh(inside),
        ],
        "erf": [lax.erf(x), lax.erfc(x), lax.erf_inv(inside)],
        "power": [positive**2.5, x**3, positive**-2, x**0, jnp.power(positive, x)],
        "round": [
            jnp.floor(x),
            jnp.ceil(x),
            jnp.round(x),
            lax.round(x, lax.RoundingMethod.AWAY_FROM_ZERO),
            jnp.sign(x),
        ],
        "remainder": [jnp.mod(x, 0.7), jnp.fmod(x, 0.7), x // 0.7],
    }


def activations(x):
    return [
        f(x)
        for f in (jax.nn.relu, jax.nn.sigmoid, jax.nn.softplus, jax.nn.silu, jax.nn.gelu, jax.nn.elu, jax.nn.leaky_relu)
    ]


def integers(n):
    u = n.astype(jnp.uint32)
    a = [
        n // 7,
        n % 7,
        n // -3,
        n % -3,
        lax.div(n, 7),
        lax.rem(n, 7),
        abs(n),
        jnp.sign(n),
        n * n,
        -n,
        jnp.clip(n, -5, 9),
    ]
    b = [
        u >> 3,
        u << 5,
        n >> 2,
        u ^ 77,
        u | 5,
        u & 12,
        ~n,
        lax.population_count(u),
        lax.clz(u),
        u // 3,
        lax.shift_left(n, 40),
    ]
    c = [n < 3, n == 4, (n > 2) & (n < 9), ~(n > 2), (n > 2) ^ (n > 5), lax.bitcast_convert_type(u, jnp.float32) * 0]
    return (
        a,
        b,
        c,
        jnp.minimum(n, 3),
        jnp.maximum(u, 3),
        n.astype(jnp.float32),
        (n + 0.5).astype(jnp.int32),
        n.astype(bool),
    )


def shapes(x):
    a = [
        x.T,
        x.reshape(9, 6),
        x.reshape(-1),
        x.reshape(2, 3, 3, 3),
        x[::-1],
        x[:, ::2],
        x[1:4, 2:],
        jnp.flip(x),
        x[None, :, None],
    ]
    b = [
        jnp.roll(x, 2, 1),
        jnp.roll(x, 1),
        jnp.pad(x, 2),
        jnp.pad(x, ((0, 3), (2, 0)), constant_values=1.5),
        jnp.tile(x, (2, 3)),
    ]
    c = [
        jnp.repeat(x, 3, axis=0),
        jnp.concatenate([x, x + 1], 1),
        jnp.stack([x, -x], 1),
        jnp.stack([x, x, -x]),
        jnp.split(x, 3),
    ]
    d = [jnp.broadcast_to(x[:, :1], (6, 9)), lax.pad(x, F(0.5), [(1, 1, 2), (0, -2, 1)]), jnp.moveaxis(x[None], 0, 2)]
    return a, b, c, d, jnp.triu(jnp.outer(x[0], x[1])), jnp.eye(9), jnp.diag(x[0]), jnp.meshgrid(x[0], x[:, 0])


def reductions(x):
    a = [f(x, axis=axis) for f in (jnp.sum, jnp.mean, jnp.max, jnp.min, jnp.prod) for axis in (None, 0, 1)]
    b = [jnp.std(x, axis=0), jnp.var(x), jnp.linalg.norm(x), jnp.any(x > 2, axis=1), jnp.all(x > -1), jnp.median(x[0])]
    return a, b, jnp.sum(x > 0, axis=1), jax.nn.logsumexp(x, axis=1), jax.nn.softmax(x), jnp.sum(x[:, :3], axis=1)


def running(x):
    return (
        jnp.cumsum(x),
        jnp.cumprod(1 + 0.1 * x),
        lax.cummax(x),
        lax.cummin(x, reverse=True),
        jnp.cumsum(x[:36].reshape(6, 6), 1),
        jnp.diff(x),
    )


def products(a, b):
    c = jnp.concatenate([b, b], 1)
    return (
        a @ b,
        b.T @ b @ b[0],
        jnp.einsum("ij,jk,lk->il", a, b, a),
        jnp.tensordot(a, b, 1),
        jnp.kron(a[:2, :2], b[:3, :2]),
        jnp.vdot(a, a),
        a @ c,
        jnp.outer(a[0], b[1]),
    )


def batched_products(x):
    y = x[:54].reshape(6, 3, 3)
    return jax.vmap(lambda m: m @ m.T)(y), jnp.einsum("bij,bj->bi", y, y[:, 0])


def linear_algebra(a):
    """Of 2 x 2 and 3 x 3 matrices, in closed form."""
    det = jnp.linalg.det(a)
    inverse = jnp.array([[a[1, 1], -a[0, 1]], [-a[1, 0], a[0, 0]]]) / det
    larger = jnp.zeros((3, 3)).at[:2, :2].set(a).at[2, 2].set(2.0)
    return det, inverse, inverse @ a, jnp.linalg.det(larger), jnp.trace(larger), jnp.cross(larger[0], larger[1])


def lookups(x, n):
    a = [
        x[n],
        x[-1],
        x[n % 5 + 2],
        jnp.take(x, jnp.arange(40), mode="clip"),
        jnp.take(x, jnp.arange(40), fill_value=9.0),
        x[jnp.array([3, 1, 3])],
    ]
    b = [
        lax.dynamic_slice(x, (n,), (7,)),
        lax.dynamic_index_in_dim(x[:36].reshape(4, 9), n % 4),
        jnp.take_along_axis(x[:36].reshape(4, 9), jnp.argsort(x[:36].reshape(4, 9)), 1),
    ]
    return a, b, jnp.array([x[0], x[1], x[2]])[n % 3], x[:3][n % 3]


def updates(x, n):
    y = x[:36].reshape(6, 6)
    a = [
        x.at[n].set(5.0),
        x.at[3:9].add(1.0),
        x.at[jnp.array([2, 2, 5])].add(1.5),
        x.at[jnp.array([2, 99])].set(7.0, mode="drop"),
        x.at[-2].mul(3.0),
    ]
    b = [
        lax.dynamic_update_slice(x, x[:5] * 2, (n,)),
        y.at[n % 6].set(0.0),
        y.at[:, 1].min(0.0),
        y.at[jnp.arange(6), jnp.arange(6)].max(1.0),
        x[:3].at[1].set(n * 1.0),
    ]
    return (
        a,
        b,
        jnp.zeros(10).at[jnp.clip(WHOLE, 0, 9)].add(1.0),
        jnp.zeros((3, 2)).at[n % 3, 1].set(2.0),
        x[:2].at[n % 2].add(1.0),
        jnp.zeros(5).at[0].set(n * 1.0),  # a constant place among zeros
    )


def order(x, n):
    a = [
        jnp.sort(x),
        jnp.argsort(x),
        jnp.sort(n),
        jnp.argsort(n),
        jnp.sort(x[:36].reshape(6, 6), axis=0),
        lax.top_k(x, 5),
    ]
    return (
        a,
        jnp.argmax(x),
        jnp.argmin(x[:36].reshape(6, 6), axis=1),
        jnp.argmax(n),
        lax.sort((n, jnp.arange(23)), num_keys=1),
        jnp.searchsorted(jnp.sort(x), 0.3),
        jnp.unique(n, size=23),
        jnp.nanmax(x),
    )


def interpolation(x):
    return (
        jnp.interp(x, jnp.linspace(-2, 2, 9), jnp.sin(jnp.linspace(-2, 2, 9))),
        jnp.where(x > 0, x, -2 * x),
        jnp.select([x > 1, x > 0], [x, 2 * x], -x),
        jnp.polyval(jnp.array([1.0, 2, 3]), x),
    )


def branches(x, n):
    a = lax.cond(x > 0, lambda x: (x, jnp.full(6, x)), lambda x: (-2 * x, jnp.arange(6.0) * x), x)
    b = lax.switch(n, [lambda x: x, lambda x: x * x, lambda x: x + 5], x)
    return (
        a,
        b,
        jax.vmap(lambda y: lax.cond(y > x, jnp.sin, jnp.cos, y))(VECTOR),
        lax.cond(n > 1, lambda: VECTOR, lambda: OTHER),
    )


def while_loops(x, n):
    newton = lax.while_loop(lambda s: jnp.abs(s * s - x) > 1e-4, lambda s: 0.5 * (s + x / s), x)
    collatz = lax.while_loop(
        lambda s: s[0] != 1, lambda s: (jnp.where(s[0] % 2 == 0, s[0] // 2, 3 * s[0] + 1), s[1] + 1), (n + 5, 0)
    )
    many = jax.vmap(lambda a: lax.while_loop(lambda s: s < 10, lambda s: s * a, 1.0))(jnp.linspace(1.5, 3, 11))
    return (
        newton,
        collatz,
        many,
        lax.fori_loop(0, n, lambda k, s: s + k * x, jnp.zeros(7)),
        lax.fori_loop(0, n, lambda k, s: s.at[k].set(x * k), jnp.zeros(9)),
    )


def scans(x, lr):
    def step(carry, entry):
        position, count, swap = carry
        return (position - lr * jnp.sin(position) + 0.1 * entry, count + 1, (swap[1], swap[0] * 1.01)), (
            position,
            entry * count,
        )

    return lax.scan(step, (lr, 0, (lr, 2.0)), x), lax.scan(step, (x[:9], 0, (x[:6], x[6:12])), x, reverse=True)


def history(x):
    def step(memory, k):
        memory = memory.at[k % 8].set(jnp.sum(memory) * 0.5 + x)
        return lax.dynamic_update_slice(memory, memory[:2] * 0.9, (k % 5,)), memory[0]

    def keep(buffer, k):
        return buffer.at[k].set(jnp.sin(x * k)), None

    return lax.scan(step, jnp.ones(8), jnp.arange(20)), lax.scan(keep, jnp.zeros(30), jnp.arange(30))[0]


def nested_scans(x, lr):
    def inner(z, k):
        return z - lr * z**3 + 0.01 * k, z

    def outer(z, y):
        z, path = lax.scan(inner, z + y, jnp.arange(6.0))
        return z, (path, z.sum())

    return lax.scan(outer, jnp.zeros(7), x), lax.scan(outer, 0.0, x)


def shift_register(x):
    def step(window, entry):
        window = jnp.concatenate([window[1:], entry[None]])
        return window, window.mean()

    return lax.scan(step, jnp.zeros(6), x), lax.scan(step, jnp.zeros(3), x)


def associative(x):
    return lax.associative_scan(jnp.add, x), lax.associative_scan(jnp.maximum, x)


def uniform_bits(seed):
    key = jax.random.key(seed)
    a, b = jax.random.split(key)
    bits = [
        jax.random.bits(key, (5,)),
        jax.random.bits(b, (3, 7)),
        jax.random.key_data(jax.random.fold_in(a, 7)),
        jax.random.key_data(jax.random.split(b, 9)),
    ]
    return (
        bits,
        jax.random.randint(a, (40,), -3, 17),
        jax.random.bernoulli(b, 0.3, (33,)),
        jax.random.permutation(a, 20),
        jax.random.rademacher(a, (9,), dtype=jnp.int32),
        jax.random.choice(a, 11, (6,)),
        jax.random.categorical(key, jnp.zeros(5), shape=(9,)),
    )


def random_floats(seed):
    key = jax.random.key(seed)
    return (
        jax.random.uniform(key, (50,), minval=-2.0),
        jax.random.normal(key, (41, 2)),
        jax.random.exponential(key, (17,)),
        jax.random.normal(key),
        jax.random.cauchy(key, (9,)),
        jax.random.laplace(key, (6,)),
        jax.random.gumbel(key, (8,)),
    )


def random_walks(seed, lr):
    def walk(key):
        def step(x, k):
            return x - lr * x + jnp.sqrt(lr) * jax.random.normal(jax.random.fold_in(key, k), (2,)), x

        return lax.scan(step, jnp.zeros(2), jnp.arange(15))

    def carried(state, _):
        key, x = state
        key, now = jax.random.split(key)
        return (key, x + jax.random.rademacher(now, dtype=jnp.int32)), x

    keys = jax.random.split(jax.random.key(seed), 21)
    return jax.vmap(walk)(keys), lax.scan(carried, (keys[3], 0), None, length=12)[1]


def derivatives(x):
    def loss(w):
        return jnp.sum(jnp.tanh(w) ** 2 * jnp.arange(1.0, 4.0)) + jnp.prod(w)

    w = x[:3]
    return (
        jax.grad(loss)(w),
        jax.hessian(loss)(w),
        jax.jacfwd(jnp.sin)(x[:6]),
        jax.jvp(loss, (w,), (w,)),
        jax.vmap(jax.grad(jnp.arctan))(x),
        jax.grad(lambda y: jnp.sort(y)[3])(x[:7]),
    )


def gradient_through_a_choice(x, n):
    def value(y):
        chosen = lax.switch(n, [jnp.sin, jnp.cos, lambda z: z * z], y)
        return (jnp.stack([y, y * y, chosen]) * jnp.arange(1.0, 4.0)).sum()

    return jax.grad(value)(x)


def gradient_through_a_loop(lr, start):
    def final(lr):
        return jnp.sum(lax.scan(lambda z, _: (z - lr * jnp.sin(z), None), start, None, length=20)[0] ** 2)

    return jax.value_and_grad(final)(lr), jax.jvp(final, (lr,), (1.0,)), jax.grad(jax.checkpoint(final))(lr)


@jax.custom_vjp
def clipped(x):
    return x * 2


clipped.defvjp(lambda x: (clipped(x), x), lambda x, g: (jnp.clip(g * x, -1, 1),))


@jax.custom_jvp
def safe_log(x):
    return jnp.log(x)


safe_log.defjvp(lambda p, t: (safe_log(p[0]), t[0] / jnp.maximum(p[0], 1e-3)))


def custom_rules(x):
    return clipped(x), jax.vmap(jax.grad(clipped))(x), jax.vmap(jax.grad(safe_log))(jnp.abs(x) + 0.1)


def network(x, lr):
    key = jax.random.key(3)
    params = [0.5 * jax.random.normal(k, s) for k, s in zip(jax.random.split(key, 2), [(2, 8), (8, 1)], strict=True)]

    def loss(params):
        return jnp.mean((jnp.tanh(x @ params[0]) @ params[1] - jnp.sin(x[:, :1])) ** 2)

    def adam(state, k):
        params, m, v = state
        value, g = jax.value_and_grad(loss)(params)
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, g)
        v = jax.tree.map(lambda v, g: 0.99 * v + 0.01 * g * g, v, g)
        change = jax.tree.map(
            lambda m, v: m / (1 - 0.9 ** (k + 1)) / (jnp.sqrt(v / (1 - 0.99 ** (k + 1))) + 1e-6), m, v
        )
        return (jax.tree.map(lambda p, c: p - lr * c, params, change), m, v), value

    zeros = jax.tree.map(jnp.zeros_like, params)
    return lax.scan(adam, (params, zeros, zeros), jnp.arange(40.0))


def lorenz(start):
    def field(z):
        x, y, w = z
        return jnp.array([10 * (y - x), x * (28 - w) - y, x * y - 8 / 3 * w])

    def step(z, _):
        a = field(z)
        b = field(z + 0.005 * a)
        c = field(z + 0.005 * b)
        d = field(z + 0.01 * c)
        return z + 0.01 / 6 * (a + 2 * b + 2 * c + d), z

    return lax.scan(step, start, None, length=100)


def heat_equation(x, rate):
    def step(u, _):
        neighbours = jnp.roll(u, 1, 0) + jnp.roll(u, -1, 0) + jnp.roll(u, 1, 1) + jnp.roll(u, -1, 1)
        return u + rate * (neighbours - 4 * u), u.max()

    return lax.scan(step, x, None, length=30)


def sinkhorn(x, width):
    cost = jnp.sum((x[:, None] - x[None] - 0.5) ** 2, -1)
    f, g = lax.fori_loop(
        0,
        25,
        lambda _, s: (
            -width * jax.nn.logsumexp((s[1][None] - cost) / width, 1),
            -width * jax.nn.logsumexp((s[0][:, None] - cost) / width, 0),
        ),
        (jnp.zeros(12), jnp.zeros(12)),
    )
    return f, g, jnp.exp((f[:, None] + g[None] - cost) / width)


def particles(x, bandwidth, lr):
    def kernel(a, b):
        return jnp.exp(-jnp.sum((a - b) ** 2) / (2 * bandwidth**2))

    def witness(y, generated):
        mean = lambda points: jax.vmap(lambda p: kernel(y, p))(points).mean()  # noqa: E731
        return mean(x) - mean(generated)

    def step(points, _):
        return points + lr * jax.vmap(jax.grad(witness), in_axes=(0, None))(points, points), points

    return lax.scan(step, 0.3 * x[::-1] + 0.1, None, length=25)


def svgd(x, bandwidth, lr):
    def kernel(a, b):
        return jnp.exp(-jnp.sum((a - b) ** 2) / bandwidth)

    def velocity(points):
        force = lambda a: jax.vmap(lambda b: -b * kernel(b, a) + jax.grad(kernel)(b, a))(points).mean(0)  # noqa: E731
        return jax.vmap(force)(points)

    return lax.scan(lambda p, _: (p + lr * velocity(p), p.std()), x, None, length=20)


def eigenvalues_of_a_step(a, lr):
    """Of a 2 x 2 matrix, in closed form, on a grid of learning rates."""

    def radius(rate):
        step = jnp.eye(2) + rate * jnp.array([[-a[0, 0], -a[0, 1]], [a[1, 0], -a[1, 1]]])
        half, det = jnp.trace(step) / 2, jnp.linalg.det(step)
        root = half**2 - det
        real = jnp.abs(half) + jnp.sqrt(jnp.maximum(root, 0))
        return jnp.where(root < 0, jnp.sqrt(det), real), root < 0

    return jax.vmap(radius)(jnp.linspace(0, 1, 50) * lr), jax.vmap(
        jax.vmap(lambda r, s: radius(r * s)[0], (None, 0)), (0, None)
    )(jnp.arange(7.0), jnp.arange(5.0))


def momentum(start, lr, beta):
    def loss(z):
        return z[0] * z[1] + 0.05 * z[0] ** 2 - 0.05 * z[1] ** 2

    def step(state, _):
        z, velocity = state
        g = jax.grad(loss)(z) * jnp.array([-1.0, 1.0])
        velocity = beta * velocity + lr * g
        return (z + velocity, velocity), (z, jnp.linalg.norm(z))

    return jax.vmap(lambda z: lax.scan(step, (z, jnp.zeros(2)), None, length=50)[1])(start)


def statistics(seed, scale):
    """An ensemble in chunks, a remainder, moments and a histogram."""

    def final(i):
        key = jax.random.fold_in(jax.random.key(seed), i)
        return lax.scan(
            lambda z, k: (0.9 * z + scale * jax.random.normal(jax.random.fold_in(key, k)), None), 0.0, jnp.arange(30)
        )[0]

    z = lax.map(final, jnp.arange(150), batch_size=64)
    counts = jnp.zeros(12, jnp.int32).at[jnp.clip(jnp.floor(z).astype(int) + 6, 0, 11)].add(1)
    return z, z.mean(), z.std(), jnp.mean(z**4), counts, jnp.quantile(z, jnp.array([0.1, 0.5, 0.9]))


def mixed_outputs(x, n):
    return {
        "same": (x, x),
        "constant": jnp.arange(7),
        "scalar": 3.0,
        "flag": n > 2,
        "unsigned": jnp.uint32(7) * n.astype(jnp.uint32),
        "input": n,
    }


def fixed_size(x):
    return (
        jnp.linspace(0.0, 1.0, 11) * x,
        jnp.arange(5) + x,
        jnp.full((3, 5), x),
        jnp.zeros((5, 2)),
        jnp.histogram(VECTOR * x, bins=6, range=(-2, 2))[0],
    )


CORPUS = [
    (maths, dict(x=VECTOR)),
    (activations, dict(x=VECTOR)),
    (integers, dict(n=WHOLE)),
    (shapes, dict(x=MATRIX)),
    (reductions, dict(x=MATRIX)),
    (running, dict(x=VECTOR)),
    (products, dict(a=MATRIX[:, :8], b=SQUARE)),
    (batched_products, dict(x=np.concatenate([VECTOR, OTHER]))),
    (linear_algebra, dict(a=SMALL)),
    (lookups, dict(x=VECTOR, n=np.int32(4))),
    (updates, dict(x=VECTOR, n=np.int32(4))),
    (order, dict(x=VECTOR, n=WHOLE)),
    (interpolation, dict(x=VECTOR)),
    (branches, dict(x=F(0.7), n=np.int32(1)), dict(x=F(-0.7), n=np.int32(7))),
    (while_loops, dict(x=F(2.5), n=np.int32(6)), dict(x=F(9.5), n=np.int32(0))),
    (scans, dict(x=VECTOR, lr=F(0.2))),
    (history, dict(x=F(0.3))),
    (nested_scans, dict(x=VECTOR[:11], lr=F(0.2))),
    (shift_register, dict(x=VECTOR)),
    (associative, dict(x=VECTOR)),
    (uniform_bits, dict(seed=np.int32(5)), dict(seed=np.int32(-1))),
    (random_floats, dict(seed=np.int32(5))),
    (random_walks, dict(seed=np.int32(5), lr=F(0.1))),
    (derivatives, dict(x=VECTOR)),
    (gradient_through_a_choice, dict(x=F(0.7), n=np.int32(1)), dict(x=F(-0.4), n=np.int32(5))),
    (gradient_through_a_loop, dict(lr=F(0.1), start=VECTOR[:9]), dict(lr=F(0.3), start=VECTOR[:9])),
    (custom_rules, dict(x=VECTOR)),
    (network, dict(x=POINTS, lr=F(0.02))),
    (lorenz, dict(start=np.array([1.0, 1.5, 20.0], F))),
    (heat_equation, dict(x=SQUARE, rate=F(0.2))),
    (sinkhorn, dict(x=POINTS, width=F(0.5))),
    (particles, dict(x=POINTS, bandwidth=F(0.8), lr=F(0.5))),
    (svgd, dict(x=POINTS, bandwidth=F(0.8), lr=F(0.1))),
    (eigenvalues_of_a_step, dict(a=SMALL, lr=F(0.9))),
    (momentum, dict(start=POINTS, lr=F(0.1), beta=F(-0.3))),
    (statistics, dict(seed=np.int32(3), scale=F(0.7))),
    (mixed_outputs, dict(x=VECTOR, n=np.int32(3))),
    (fixed_size, dict(x=F(0.7))),
]


@pytest.mark.parametrize("case", CORPUS, ids=lambda case: case[0].__name__)
def test_corpus(case):
    function, *points = case
    compare(function, *points, name=function.__name__)


def test_special_values():
    """NaN, infinities, zeros, overflow and underflow, where a loop of one entry and of many give the same."""
    numbers = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5, 1e-30, -1e-30, 1e30, -1e30]
    numbers += [88.5, 89.0, 100.0, -86.0, -100.0, 3e4, -3e4]

    def special(x):
        functions = [
            jnp.exp,
            jnp.expm1,
            jnp.log,
            jnp.log1p,
            jnp.tanh,
            jnp.sqrt,
            lax.rsqrt,
            jnp.arctan,
            jnp.abs,
            jnp.sign,
        ]
        functions += [
            jnp.floor,
            jnp.ceil,
            jnp.round,
            jnp.isfinite,
            jnp.isnan,
            lax.erf,
            lax.erfc,
            lax.erf_inv,
            jnp.square,
        ]
        functions += [
            jax.nn.softplus,
            jax.nn.sigmoid,
            jnp.arcsin,
            jnp.arccos,
            lambda x: jnp.arctan2(x, 2.0),
            jnp.reciprocal,
        ]
        functions += [
            lambda x: jnp.maximum(x, 1.0),
            lambda x: jnp.minimum(1.0, x),
            lambda x: jnp.clip(x, -1, 1),
            lambda x: x**3,
        ]
        functions += [
            lambda x: jnp.power(2.0, x),
            lambda x: jnp.power(jnp.abs(x), 0.5),
            lambda x: jnp.fmod(x, 3.0),
            jnp.max,
        ]
        finite = jnp.clip(jnp.nan_to_num(x), -1e4, 1e4)
        return [f(x) for f in functions], [jnp.sin(finite), jnp.cos(finite)], jnp.sum(x > 0), x.astype(jnp.int32)

    compare(special, dict(x=np.array(numbers, F)), dict(x=np.array(numbers[::-1], F)), name="special values")
