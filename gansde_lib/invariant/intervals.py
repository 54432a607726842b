r"""Bounds of JAX functions over boxes that no point of the box can exceed: interval arithmetic on their programs.

The function is traced once; its operations are then carried out on pairs (low, high) of NumPy arrays of float64. Each
result is widened outward by more than its rounding error: 4 units in the last place for arithmetic, roots and
comparisons, 16 for exponentials, logarithms and hyperbolic functions, and for sums and products of n terms n + 4 units
of the sum of the terms' sizes. What is assumed is thus that NumPy's elementary functions are right to 16 units in the
last place (the libraries it is built on promise 4 or fewer), and that its sums are not worse than term by term.
"""

from typing import Any, NamedTuple

import jax
import numpy as np
from jax.extend import core

UNIT = 2.0**-52
TINY = 1e-300


class Interval(NamedTuple):
    """Two arrays of one shape, low <= high."""

    low: Any
    high: Any


def _wider(low, high, units=4):
    return Interval(low - units * UNIT * np.abs(low) - TINY, high + units * UNIT * np.abs(high) + TINY)


def _exact(value):
    value = np.asarray(value)
    return Interval(value, value)


def _add(x, y):
    return _wider(x.low + y.low, x.high + y.high)


def _sub(x, y):
    return _wider(x.low - y.high, x.high - y.low)


def _mul(x, y):
    ends = [x.low * y.low, x.low * y.high, x.high * y.low, x.high * y.high]
    return _wider(np.minimum.reduce(ends), np.maximum.reduce(ends))


def _div(x, y):
    if np.any((y.low <= 0) & (y.high >= 0)):
        raise ValueError("a divisor may be zero in the box; for example smaller boxes, or a box further out")
    return _mul(x, _wider(1 / y.high, 1 / y.low))


def _power(x, y):
    if y == 0:
        return _exact(np.ones_like(x.low))
    if y < 0:
        return _div(_exact(np.ones_like(x.low)), _power(x, -y))
    ends = x.low**y, x.high**y
    low, high = np.minimum(*ends), np.maximum(*ends)
    if y % 2 == 0:
        low = np.where((x.low <= 0) & (x.high >= 0), 0.0, low)
        found = _wider(low, high, 4 * y)
        return Interval(np.maximum(found.low, 0.0), found.high)
    return _wider(low, high, 4 * y)


def _rising(function, units=16):
    return lambda x: _wider(function(x.low), function(x.high), units)


def _within(function, lowest, highest):
    def bounded(x):
        found = _wider(function(x.low), function(x.high), 16)
        return Interval(np.maximum(found.low, lowest), np.minimum(found.high, highest))

    return bounded


def _abs(x):
    ends = np.abs(x.low), np.abs(x.high)
    return Interval(np.where((x.low <= 0) & (x.high >= 0), 0.0, np.minimum(*ends)), np.maximum(*ends))


def _logistic(x):
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-x))


def _cosh(x):
    sizes = _abs(x)
    return _wider(np.cosh(sizes.low), np.cosh(sizes.high), 16)


def _sum(x, axes):
    count = np.prod([x.low.shape[axis] for axis in axes])
    slack = (count + 4) * UNIT * np.maximum(np.abs(x.low), np.abs(x.high)).sum(axes) + TINY
    return Interval(x.low.sum(axes) - slack, x.high.sum(axes) + slack)


def _dot(x, y, dimensions):
    """A contraction as a product and a sum: boxes, then the free axes of both."""
    (ours, theirs), (batch, other) = dimensions
    free = [k for k in range(x.low.ndim) if k not in ours and k not in batch]
    rest = [k for k in range(y.low.ndim) if k not in theirs and k not in other]

    def left(part):
        part = part.transpose(*batch, *free, *ours)
        return part.reshape(
            *part.shape[: len(batch) + len(free)], *[1] * len(rest), *part.shape[len(batch) + len(free) :]
        )

    def right(part):
        part = part.transpose(*other, *rest, *theirs)
        return part.reshape(*part.shape[: len(other)], *[1] * len(free), *part.shape[len(other) :])

    product = _mul(Interval(*map(left, x)), Interval(*map(right, y)))
    last = tuple(range(product.low.ndim - len(ours), product.low.ndim))
    return _sum(product, last) if last else product


def _select(which, *cases):
    """The hull of the cases that are possible: `which` holds what is certainly true and what may be."""
    if len(cases) != 2 or which.low.dtype != bool:
        raise ValueError("a choice among more than two cases has no bounds; for example the field of games.toy_gan()")
    first, second = cases
    sure, possible = (np.broadcast_to(part, np.broadcast_shapes(part.shape, first.low.shape)) for part in which)
    low = np.where(sure, second.low, np.where(possible, np.minimum(first.low, second.low), first.low))
    return Interval(
        low, np.where(sure, second.high, np.where(possible, np.maximum(first.high, second.high), first.high))
    )


def _equal(x, y):
    return Interval((x.low == y.high) & (x.high == y.low), (x.low <= y.high) & (y.low <= x.high))


def _not(x):
    return Interval(~x.high, ~x.low)


TRUTHS = {
    "lt": lambda x, y: Interval(x.high < y.low, x.low < y.high),
    "le": lambda x, y: Interval(x.high <= y.low, x.low <= y.high),
    "gt": lambda x, y: Interval(x.low > y.high, x.high > y.low),
    "ge": lambda x, y: Interval(x.low >= y.high, x.high >= y.low),
    "eq": _equal,
    "ne": lambda x, y: _not(_equal(x, y)),
    "not": _not,
    "and": lambda x, y: Interval(x.low & y.low, x.high & y.high),
    "or": lambda x, y: Interval(x.low | y.low, x.high | y.high),
}
"""Statements: the ends of an interval are what is true at every point of the box, and what may be true at some."""


RULES = {
    "add": _add,
    "add_any": _add,
    "sub": _sub,
    "mul": _mul,
    "div": _div,
    "neg": lambda x: Interval(-x.high, -x.low),
    "exp": _rising(np.exp),
    "log": _rising(np.log),
    "log1p": _rising(np.log1p),
    "expm1": _rising(np.expm1),
    "sqrt": _rising(np.sqrt, 4),
    "sinh": _rising(np.sinh),
    "cosh": _cosh,
    "tanh": _within(np.tanh, -1.0, 1.0),
    "logistic": _within(_logistic, 0.0, 1.0),
    "abs": _abs,
    "sign": lambda x: Interval(np.sign(x.low), np.sign(x.high)),
    "square": lambda x: _power(x, 2),
    "max": lambda x, y: Interval(np.maximum(x.low, y.low), np.maximum(x.high, y.high)),
    "min": lambda x, y: Interval(np.minimum(x.low, y.low), np.minimum(x.high, y.high)),
}
"""Operations on intervals, each result a set that holds all values of the operation."""


def _broadcast(x, params):
    shape = np.ones(len(params["shape"]), int)
    shape[list(params["broadcast_dimensions"])] = x.shape
    return np.broadcast_to(x.reshape(shape), params["shape"])


def _slice(x, params):
    strides = params["strides"] or [1] * x.ndim
    return x[tuple(map(slice, params["start_indices"], params["limit_indices"], strides))]


def _pad(x, value, params):
    if any(step for *_, step in params["padding_config"]):
        raise ValueError("no bounds are known for padding between entries; for example the field of games.toy_gan()")
    ends = zip(x.shape, params["padding_config"], strict=True)
    cut = tuple(slice(max(-int(a), 0), n - max(-int(b), 0)) for n, (a, b, _) in ends)
    margins = [(max(int(a), 0), max(int(b), 0)) for a, b, _ in params["padding_config"]]
    return np.pad(x[cut], margins, constant_values=value)


MOVES = {
    "reshape": lambda x, params: x.reshape(params["new_sizes"]),
    "squeeze": lambda x, params: x.squeeze(tuple(params["dimensions"])),
    "transpose": lambda x, params: x.transpose(params["permutation"]),
    "broadcast_in_dim": _broadcast,
    "slice": _slice,
    "pad": _pad,
    "rev": lambda x, params: np.flip(x, params["dimensions"]),
    "copy": lambda x, params: x,
    "concatenate": lambda *xs: np.concatenate(xs[:-1], xs[-1]["dimension"]),
    "stack": lambda *xs: np.stack(xs[:-1], xs[-1]["axis"]),
    "unstack": lambda x, params: list(np.moveaxis(x, params["axis"], 0)),
    "split": lambda x, params: np.split(x, np.cumsum(params["sizes"])[:-1], params["axis"]),
}
"""Operations that move numbers only: carried out on both ends."""


def program(function, shape):
    """Return a function's program on a stack of points of that shape (count, d), for `evaluate`."""
    with jax.enable_x64(True):
        return jax.make_jaxpr(jax.vmap(function))(np.zeros(shape))


def evaluate(traced, low, high):
    """Return bounds of all results of a `program` over boxes, a list of `Interval`."""
    with jax.enable_x64(True), np.errstate(over="ignore"):
        return _run(traced.jaxpr, traced.consts, [Interval(np.asarray(low, float), np.asarray(high, float))])


def interval(function, low, high):
    r"""Return bounds of a function over boxes: every value of the function at a point of a box lies between them.

    Args:
        function: of one array of shape (d,), made of the operations in `RULES`, sums, products and moves, such as the
            field of a game.
        low, high: corners of the boxes, of shape (count, d).

    Returns:
        `Interval`, of arrays of shape (count, ...).

    Raises:
        ValueError: for an operation without a rule, naming it; for a divisor that may be zero.

    Source: Moore (1966).

    >>> interval(lambda x: x[0] * jax.numpy.tanh(x[1]), np.array([[-1.0, 0.0]]), np.array([[2.0, 9.9]])).high.round(6)
    array([2.])
    """
    return evaluate(program(function, np.shape(low)), low, high)[0]


def _run(jaxpr, constants, arguments):
    known = dict(zip(jaxpr.constvars, map(_as_interval, constants), strict=True))
    known.update(zip(jaxpr.invars, arguments, strict=True))

    def read(atom):
        return _exact(atom.val) if isinstance(atom, core.Literal) else known[atom]

    for equation in jaxpr.eqns:
        known.update(zip(equation.outvars, _apply(equation, [read(atom) for atom in equation.invars]), strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def _as_interval(value):
    return value if isinstance(value, Interval) else _exact(value)


def _apply(equation, inputs):
    name, params = equation.primitive.name, equation.params
    inner = params.get("jaxpr") or params.get("call_jaxpr")
    if inner is not None:  # a function within the function
        return _run(*((inner.jaxpr, inner.consts) if hasattr(inner, "consts") else (inner, [])), inputs)
    is_float = equation.outvars[0].aval.dtype == np.float64
    if is_float and name in RULES:
        return [RULES[name](*inputs)]
    if is_float and name == "integer_pow":
        return [_power(inputs[0], params["y"])]
    if is_float and name == "reduce_sum":
        return [_sum(inputs[0], tuple(params["axes"]))]
    if is_float and name == "dot_general":
        return [_dot(*inputs, params["dimension_numbers"])]
    if is_float and name == "select_n":
        return [_select(*inputs)]
    if is_float and name == "convert_element_type":
        return [Interval(*(np.asarray(end, np.float64) for end in inputs[0]))]
    if is_float and name in MOVES:
        lows, highs = (MOVES[name](*(x[end] for x in inputs), params) for end in (0, 1))
        several = isinstance(lows, list)
        return list(map(Interval, lows, highs)) if several else [Interval(lows, highs)]
    if name == "ne" and len(set(equation.invars)) == 1:  # the usual test for NaN, which no bounds hold
        return [_exact(np.zeros(equation.outvars[0].aval.shape, bool))]
    if name in TRUTHS and equation.outvars[0].aval.dtype == bool:
        return [TRUTHS[name](*inputs)]
    if name in MOVES and equation.outvars[0].aval.dtype == bool:
        return [Interval(*(MOVES[name](*(x[end] for x in inputs), params) for end in (0, 1)))]
    if all(x.low is x.high for x in inputs):  # whole numbers, truth values: the same in every box
        values = equation.primitive.bind(*(jax.numpy.asarray(x.low) for x in inputs), **params)
        values = map(np.asarray, values if equation.primitive.multiple_results else [values])
        return [_wider(v, v, 16) if v.dtype.kind == "f" else _exact(v) for v in values]
    raise ValueError(
        f"no bounds are known for the operation {name!r} of numbers that depend on the box; known are "
        f"{', '.join(sorted({*RULES, *MOVES}))}, integer powers, sums and products; for example the field of "
        "games.toy_gan()"
    )
