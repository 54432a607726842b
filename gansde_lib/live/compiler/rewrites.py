"""Primitives that are not compiled but said in simpler ones, each by a line or two of JAX.

`RULES[name](*operands, **params)` returns the list of results. `KEY_RULES` do the same for random keys, which stand
as a pair of uint32 arrays, `Key`: whatever slices or stacks keys does the same to both.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.random import threefry2x32_p


class Key(NamedTuple):
    """The two words of each random key of an array of keys."""

    first: Any
    second: Any


def _integer_pow(x, *, y):
    power, result = x, None
    for bit in reversed(bin(abs(y))[2:]):
        if bit == "1":
            result = power if result is None else result * power
        power = power * power
    result = jnp.ones_like(x) if result is None else result
    return [lax.div(jnp.ones_like(result), result) if y < 0 else result]


def _dot_general(left, right, *, dimension_numbers, **_):
    """Broadcast both sides to (batch, left rows, right rows, contracted) and sum the products."""
    (left_contracted, right_contracted), (left_batch, right_batch) = dimension_numbers

    def arrange(x, contracted, batch, before, after):
        rows = [axis for axis in range(x.ndim) if axis not in (*contracted, *batch)]
        x = lax.transpose(x, (*batch, *rows, *contracted))
        sizes = [
            x.shape[: len(batch)],
            x.shape[len(batch) : x.ndim - len(contracted)],
            x.shape[x.ndim - len(contracted) :],
        ]
        return lax.reshape(x, (*sizes[0], *[1] * before, *sizes[1], *[1] * after, *sizes[2]))

    left_rows = left.ndim - len(left_contracted) - len(left_batch)
    right_rows = right.ndim - len(right_contracted) - len(right_batch)
    left = arrange(left, left_contracted, left_batch, 0, right_rows)
    right = arrange(right, right_contracted, right_batch, left_rows, 0)
    return [lax.reduce_sum(left * right, range(left.ndim - len(left_contracted), left.ndim))]


def _running(combine):
    def rule(x, *, axis, reverse):
        moved = jnp.moveaxis(x, axis, 0)
        first, rest = (moved[-1], moved[:-1]) if reverse else (moved[0], moved[1:])

        def step(total, entry):
            return (combine(total, entry),) * 2

        _, totals = lax.scan(step, first, rest, reverse=reverse)
        pieces = (totals, first[None]) if reverse else (first[None], totals)
        return [jnp.moveaxis(lax.concatenate(pieces, 0), 0, axis)]

    return rule


def _arg(best):
    """The first index at which the extreme value, or a NaN, stands."""

    def rule(x, *, axes, index_dtype):
        (axis,) = axes
        extreme = best(x, axis=axis, keepdims=True)
        index = lax.broadcasted_iota(index_dtype, x.shape, axis)
        return [jnp.min(jnp.where((x == extreme) | (x != x), index, x.shape[axis]), axis=axis)]

    return rule


def _comes_before(a, b):
    """The order of lax.sort: NaNs last."""
    return (a < b) | ((b != b) & (a == a)) if jnp.issubdtype(a.dtype, jnp.floating) else a < b


def _sort(*operands, dimension, num_keys, **_):
    """Count how many entries come before each one: n^2 comparisons without a branch, which suits SIMD."""
    size = operands[0].shape[dimension]
    operands = [jnp.moveaxis(x, dimension, -1) for x in operands]
    shape = (*operands[0].shape, size)
    position, other = (lax.broadcasted_iota(jnp.int32, shape, len(shape) - k) for k in (2, 1))
    before = other < position  # entries that compare equal keep their order
    for x in reversed(operands[:num_keys]):
        mine, theirs = x[..., :, None], x[..., None, :]
        before = _comes_before(theirs, mine) | (~_comes_before(mine, theirs) & before)
    rank = jnp.sum(before.astype(jnp.int32), axis=-1)
    source = jnp.sum(jnp.where(rank[..., None, :] == position, other, 0), axis=-1)
    return [jnp.moveaxis(_take(x, source), -1, dimension) for x in operands]


def _take(x, index):
    """x[..., index[..., k]] along the last axis."""
    take = lambda row, places: row.at[places].get(mode="promise_in_bounds")  # noqa: E731
    for _ in range(x.ndim - 1):
        take = jax.vmap(take)
    return take(x, index)


def _top_k(x, *, k, **_):
    index = lax.broadcasted_iota(jnp.int32, x.shape, x.ndim - 1)
    backwards = lax.rev(x, (x.ndim - 1,))  # an ascending stable sort, read backwards, keeps ties in their order
    values, index = _sort(backwards, lax.rev(index, (x.ndim - 1,)), dimension=x.ndim - 1, num_keys=1)
    return [lax.rev(y, (x.ndim - 1,))[..., :k] for y in (values, index)]


def _total(x):
    """An integer that is ordered as the floats are, with -NaN < -inf and inf < NaN."""
    if not jnp.issubdtype(x.dtype, jnp.floating):
        return x
    bits = lax.bitcast_convert_type(x, jnp.int32)
    return bits ^ ((bits >> 31) & 0x7FFFFFFF)


def _same(x, **_):
    return [x]


def applies(name, params):
    """True if there is a rule for this primitive; a `pad` without gaps is compiled as it is."""
    return name in RULES and (name != "pad" or any(gap for _, _, gap in params["padding_config"]))


def _pad(x, value, *, padding_config):
    """Gaps between entries are entries of a new short axis."""
    for axis, (_, _, gap) in enumerate(padding_config):
        if gap:
            n = x.shape[axis]
            wide = lax.pad(
                lax.expand_dims(x, [axis + 1]), value, [(0, gap * (a == axis + 1), 0) for a in range(x.ndim + 1)]
            )
            wide = lax.reshape(wide, (*x.shape[:axis], n * (gap + 1), *x.shape[axis + 1 :]))
            x = lax.slice_in_dim(wide, 0, n * (gap + 1) - gap, axis=axis)
    return [lax.pad(x, value, [(low, high, 0) for low, high, _ in padding_config])]


def _split(x, *, sizes, axis):
    ends = [sum(sizes[: k + 1]) for k in range(len(sizes))]
    return [lax.slice_in_dim(x, end - size, end, axis=axis) for size, end in zip(sizes, ends, strict=True)]


def _tile(x, *, reps):
    repeated = lax.broadcast_in_dim(
        x, [n for pair in zip(reps, x.shape, strict=True) for n in pair], range(1, 2 * x.ndim, 2)
    )
    return [lax.reshape(repeated, [r * n for r, n in zip(reps, x.shape, strict=True)])]


RULES = {
    **dict.fromkeys(["copy", "copy_p", "stop_gradient", "device_put", "sharding_constraint", "pvary"], _same),
    "optimization_barrier": lambda *xs: list(xs),
    "square": lambda x: [x * x],
    "integer_pow": _integer_pow,
    "logistic": lambda x, **_: [1 / (1 + lax.exp(-x))],
    "dot_general": _dot_general,
    "lt_to": lambda a, b: [_total(a) < _total(b)],
    "le_to": lambda a, b: [_total(a) <= _total(b)],
    "cumsum": _running(lax.add),
    "cumprod": _running(lax.mul),
    "cummax": _running(lax.max),
    "cummin": _running(lax.min),
    "cumlogsumexp": _running(jnp.logaddexp),
    "argmax": _arg(jnp.max),
    "argmin": _arg(jnp.min),
    "sort": _sort,
    "top_k": _top_k,
    "pad": _pad,
    "split": _split,
    "tile": _tile,
    "unstack": lambda x, *, axis: [lax.index_in_dim(x, k, axis, keepdims=False) for k in range(x.shape[axis])],
    "empty2": lambda *, dtype, **_: [jnp.zeros((), dtype)],  # residuals of the branches of a switch that are not taken
    "stack": lambda *xs, axis: [lax.concatenate([lax.expand_dims(x, [axis]) for x in xs], axis)],
}


def _threefry(key, counter):
    """Encrypt a 64-bit counter below 2^32 with each key; the counter's shape is that of the keys and more."""
    axes = range(key.first.ndim)
    words = [lax.broadcast_in_dim(word, counter.shape, axes) for word in key]
    return Key(*threefry2x32_p.bind(*words, jnp.zeros_like(counter), counter))


def _count(key, shape):
    """0, 1, 2, ... in `shape`, for each key."""
    count = lax.reshape(lax.iota(jnp.uint32, math.prod(shape)), shape)
    return lax.broadcast_in_dim(
        count, key.first.shape + tuple(shape), range(key.first.ndim, key.first.ndim + len(shape))
    )


def _seed(seeds, *, impl):
    if impl.name != "threefry2x32":
        raise NotImplementedError(f"random keys of {impl.name}; use jax.random.key, which is threefry2x32")
    return [Key(jnp.zeros(seeds.shape, jnp.uint32), lax.convert_element_type(seeds, jnp.uint32))]


def _fold_in(key, data):
    shape = jnp.broadcast_shapes(key.first.shape, data.shape)
    key = Key(*(jnp.broadcast_to(word, shape) for word in key))
    return [_threefry(key, jnp.broadcast_to(lax.convert_element_type(data, jnp.uint32), shape))]


def _bits(key, *, bit_width, shape):
    if bit_width != 32 or not jax.config.jax_threefry_partitionable:
        raise NotImplementedError("random bits other than 32 wide, or without jax_threefry_partitionable")
    first, second = _threefry(key, _count(key, shape))
    return [first ^ second]


KEY_RULES = {
    "random_seed": _seed,
    "random_wrap": lambda data, *, impl: [
        Key(*(lax.index_in_dim(data, k, data.ndim - 1, keepdims=False) for k in (0, 1)))
    ],
    "random_unwrap": lambda key: RULES["stack"](*key, axis=key.first.ndim),
    "random_fold_in": _fold_in,
    "random_split": lambda key, *, shape: [_threefry(key, _count(key, shape))],
    "random_bits": _bits,
    "random_clone": lambda key: [key],
}
