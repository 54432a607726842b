r"""Random numbers that are functions of a counter: the path, the step and the place in that step, under a key.

No number depends on what else is drawn, so that a path is the same however the work is cut into pieces. The generator
is Threefry-2x32 with 20 rounds, JAX's own, written out here so that XLA fuses it with what uses the numbers; the normal
numbers come from the Box-Muller formula with polynomials, which is several times faster on a CPU than the inverse error
function of `jax.random.normal`.

Source: Salmon, Moraes, Dror and Shaw (2011); the polynomials are those of Moshier's Cephes library.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
BITS = 32
"""How many two-point increments one word gives: those of 32 steps in a row."""

INCREMENTS = ("gaussian", "three-point", "two-point", "uniform")


def threefry(key, first, second):
    """Return the two words of Threefry-2x32 for the counter (first, second), arrays of one shape of uint32.

    Args:
        key: the two words of the key, see `words_of`.
        first, second: the counter.

    >>> from jax.extend.random import threefry_2x32
    >>> key = jnp.array([1, 2], jnp.uint32)
    >>> ours = threefry(key, jnp.uint32([3]), jnp.uint32([4]))
    >>> bool((jnp.concatenate(ours) == threefry_2x32((key[0], key[1]), jnp.uint32([3, 4]))).all())
    True
    """
    keys = (key[0], key[1], key[0] ^ key[1] ^ jnp.uint32(0x1BD11BDA))
    first, second = first + keys[0], second + keys[1]
    for group in range(5):
        for rotation in ROTATIONS[group % 2]:
            first = first + second
            second = (second << rotation | second >> (32 - rotation)) ^ first
        first = first + keys[(group + 1) % 3]
        second = second + keys[(group + 2) % 3] + jnp.uint32(group + 1)
    return first, second


def words_of(key):
    """Return the two words of a JAX key.

    Raises:
        ValueError: for a key of another generator, or several keys.

    >>> words_of(jax.random.key(7))
    Array([0, 7], dtype=uint32)
    """
    if not jnp.issubdtype(getattr(key, "dtype", None), jax.dtypes.prng_key) or jax.random.key_data(key).shape != (2,):
        raise ValueError(f"key must be one Threefry key, found {key!r}; for example key=jax.random.key(0)")
    return jax.random.key_data(key)


def _logarithm(x):
    """Natural logarithm of normal float32 numbers, to one unit in the last place."""
    bits = lax.bitcast_convert_type(x, jnp.int32)
    part = lax.bitcast_convert_type((bits & 0x007FFFFF) | 0x3F000000, jnp.float32)
    low = part < np.float32(np.sqrt(0.5))
    power = ((bits >> 23) - 126 - low).astype(jnp.float32)
    part = jnp.where(low, part + part, part) - 1
    value = jnp.float32(7.0376836292e-2)
    for coefficient in (
        -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1, 2.0000714765e-1,
        -2.4999993993e-1, 3.3333331174e-1,
    ):  # fmt: skip
        value = value * part + np.float32(coefficient)
    square = part * part
    value = value * part * square + power * np.float32(-2.12194440e-4) - square / 2
    return part + value + power * np.float32(0.693359375)


def _turn(word):
    """Cosine and sine of an angle that is uniform on the circle, from 32 random bits, in float32."""
    share = ((word << 2) >> 2).astype(jnp.int32).astype(jnp.float32) * np.float32(2.0**-30) - np.float32(0.5)
    angle = share * np.float32(np.pi / 2)  # a quarter of the circle; the two upper bits say which
    square = angle * angle
    sine = (np.float32(-1.9515295891e-4) * square + np.float32(8.3321608736e-3)) * square
    sine = (sine + np.float32(-1.6666654611e-1)) * square * angle + angle
    cosine = (np.float32(2.443315711809948e-5) * square + np.float32(-1.388731625493765e-3)) * square
    cosine = (cosine + np.float32(4.166664568298827e-2)) * square * square - square / 2 + 1
    swap = (word >> 30) & 1 == 1
    sign = lax.bitcast_convert_type(((word >> 31) << 31) | jnp.uint32(0x3F800000), jnp.float32)
    return sign * jnp.where(swap, sine, cosine), sign * jnp.where(swap, cosine, sine)


def box_muller(first, second):
    r"""Return the complex numbers :math:`\sqrt{-2 \ln u}\, e^{i\varphi}`: two independent normal numbers each.

    They are complex because XLA computes an array with one result once, and two arrays with two results twice.

    >>> words = threefry(words_of(jax.random.key(0)), jnp.arange(10**6, dtype=jnp.uint32), jnp.uint32(0))
    >>> z = box_muller(*words)
    >>> bool(abs((z.real**2).mean() - 1) < 0.005), bool(abs((z.real * z.imag).mean()) < 0.004)
    (True, True)
    """
    uniform = (first >> 1).astype(jnp.int32).astype(jnp.float32) * np.float32(2.0**-31) + np.float32(2.0**-32)
    radius = jnp.sqrt(-2 * _logarithm(uniform))
    cosine, sine = _turn(second)
    return lax.complex(radius * cosine, radius * sine)


def _uniform(word):
    """24 random bits in [0, 1), in float32."""
    return (word >> 8).astype(jnp.int32).astype(jnp.float32) * np.float32(2.0**-24)


def _uniform64(first, second):
    """53 random bits in [0, 1), from two words, in float64."""
    return (first >> 5).astype(float) * 2.0**-27 + (second >> 6).astype(float) * 2.0**-53


def _three_point(word, dtype):
    third = np.uint32(2**32 // 6)
    outer = np.asarray(np.sqrt(3.0), dtype)
    return jnp.where(word < third, -outer, jnp.where(word >= np.uint32(2**32 - 1) - third, outer, 0)).astype(dtype)


def pairs(kind, key, lanes, counters, dtype):
    """Return complex numbers whose two parts are independent increments.

    Args:
        kind: "gaussian", "three-point" or "uniform".
        key: two words.
        lanes, counters: the counter, arrays of uint32 of one shape.
        dtype: float32 or float64. In float64 normal and uniform numbers have 53 random bits, and are other numbers
            than in float32.

    >>> lanes = jnp.arange(3, dtype=jnp.uint32)
    >>> pairs("three-point", words_of(jax.random.key(0)), lanes, lanes, jnp.float32).dtype
    dtype('complex64')
    """
    words = threefry(key, lanes, counters)
    if kind == "three-point":
        return lax.complex(*(_three_point(word, dtype) for word in words))
    if dtype == jnp.float32:
        return box_muller(*words) if kind == "gaussian" else lax.complex(*map(_uniform, words))
    first, second = _uniform64(*words), _uniform64(*threefry(stream(key, 1), lanes, counters))
    if kind == "uniform":
        return lax.complex(first, second)
    radius, angle = jnp.sqrt(-2 * jnp.log(first + 2.0**-54)), 2 * np.pi * second
    return lax.complex(radius * jnp.cos(angle), radius * jnp.sin(angle))


def signs(word, bit, dtype):
    """Return plus or minus one, as bit number `bit` of the words says.

    >>> signs(jnp.uint32(1), 31, jnp.float32), signs(jnp.uint32(1), 0, jnp.float32)
    (Array(-1., dtype=float32), Array(1., dtype=float32))
    """
    if dtype == jnp.float32:  # the bit is put where a float keeps its sign
        return lax.bitcast_convert_type(((word << bit) & jnp.uint32(1 << 31)) | jnp.uint32(0x3F800000), jnp.float32)
    return jnp.where((word << bit) >> 31 == 1, -1.0, 1.0).astype(dtype)


def stream(key, number):
    """Return another key for each number but 0, which gives the key itself.

    >>> stream(words_of(jax.random.key(0)), 0), stream(words_of(jax.random.key(0)), 1).shape
    (Array([0, 0], dtype=uint32), (2,))
    """
    return jnp.stack(threefry(key, jnp.uint32(number), jnp.uint32(2**32 - 1))) if number else key


def halves(like):
    """Return how many pairs give as many numbers as a pytree holds.

    >>> halves((0.0, jnp.zeros(2)))
    2
    """
    return max(1, -(-sum(np.size(leaf) for leaf in jax.tree.leaves(like)) // 2))


def block(kind, key, lanes, first, together, like):
    """Return a function of t < together: the increments of all lanes at step first + t, drawn at once for all t.

    Args:
        kind: one of `INCREMENTS`.
        key: two words.
        lanes: numbers of the paths, of shape (n,), uint32.
        first: number of the first step, a multiple of `together`.
        together: how many steps; for "two-point" a power of two up to `BITS`.
        like: pytree of float arrays. The first half of all its numbers are real parts of `pairs`, the others
            imaginary ones: two players of one shape are one each, which saves putting them together.

    >>> draw = block("two-point", words_of(jax.random.key(0)), jnp.arange(3, dtype=jnp.uint32), 0, 32, jnp.zeros(4))
    >>> draw(5).shape
    (4, 3)
    """
    leaves, structure = jax.tree.flatten(like)
    dtype, half = jnp.result_type(float, *leaves), halves(like)
    places, first = jnp.arange(half, dtype=jnp.uint32)[:, None], jnp.asarray(first, jnp.uint32)

    def shaped(pair):
        made, begin = [], 0
        for leaf in leaves:
            end = begin + np.size(leaf)
            parts = [pair[0][begin : min(end, half)], pair[1][max(begin - half, 0) : max(end - half, 0)]]
            parts = [part for part in parts if len(part)]
            both = parts[0] if len(parts) == 1 else jnp.concatenate(parts)
            made.append(both.reshape(*np.shape(leaf), len(lanes)))
            begin = end
        return jax.tree.unflatten(structure, made)

    if kind == "two-point":
        words = threefry(key, *jnp.broadcast_arrays(lanes, first // BITS * half + places))
        return lambda t: shaped([signs(word, (first + jnp.asarray(t, jnp.uint32)) % BITS, dtype) for word in words])
    steps = first + jnp.arange(together, dtype=jnp.uint32)[:, None, None]
    drawn = pairs(kind, key, *jnp.broadcast_arrays(lanes, steps * half + places), dtype)
    return lambda t: shaped((drawn[t].real, drawn[t].imag))
