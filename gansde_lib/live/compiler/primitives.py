"""What each operation is in C: templates for numbers, index maps for views."""

import numpy as np

from .indices import Index, ravel, unravel

_TYPES = {"float32": "float", "int32": "int", "uint32": "uint", "bool": "int"}
C_TYPES = {np.dtype(name): c_type for name, c_type in _TYPES.items()}
words = str.split

# C of elementwise operations; {t} is the C type. First those that read the same for all types, then by type.
_SAME = {
    **{name: f"({{0}} {sign} {{1}})" for name, sign in zip(["add", "add_any", "sub", "mul"], "++-*", strict=True)},
    **{name: f"({{0}} {sign} {{1}})" for name, sign in zip(["and", "or", "xor"], "&|^", strict=True)},
    **{
        name: f"({{0}} {sign} {{1}})" for name, sign in dict(eq="==", ne="!=", lt="<", le="<=", gt=">", ge=">=").items()
    },
    "neg": "(-{0})",
    "is_finite": "(m_abs({0}) < INF)",
    "threefry2x32": "threefry({0}, {1}, {2}, {3})",
    "population_count": "__builtin_popcount({0})",
    "clz": "({0} ? __builtin_clz({0}) : 32)",
}
_COSTLY = words(
    "exp exp2 log log1p expm1 sin cos tan tanh sinh cosh asin acos atan asinh acosh atanh rsqrt cbrt erf erfc erf_inv"
)
_FLOAT = {
    **{name: f"m_{name}({{0}})" for name in [*_COSTLY, "sqrt", "floor", "ceil", "sign", "abs"]},
    **{name: f"m_{name}({{0}}, {{1}})" for name in ["pow", "atan2", "max", "min", "rem"]},
    "div": "({0} / {1})",
    "clamp": "m_min(m_max({1}, {0}), {2})",
}
_INTEGER = {
    **{name: f"{name}_{{t}}({{0}}, {{1}})" for name in ["div", "rem", "max", "min"]},
    "clamp": "min_{t}(max_{t}({1}, {0}), {2})",
    "abs": "({0} < 0 ? -{0} : {0})",
    "sign": "(({0} > 0) - ({0} < 0))",
    "not": "(~{0})",
}
_BOOL = {**_INTEGER, "not": "(!{0})"}
_SPECIAL = words(
    "select_n round convert_element_type bitcast_convert_type shift_left shift_right_logical shift_right_arithmetic"
)
ELEMENTWISE = {*_SAME, *_FLOAT, *_INTEGER, *_SPECIAL} - {"threefry2x32"}
VIEWS = {"broadcast_in_dim", "reshape", "squeeze", "transpose", "slice", "rev"}
REDUCTIONS = {"reduce_" + name for name in ("sum", "prod", "max", "min", "and", "or", "xor")}
SCATTERS = {"scatter", "scatter_add", "scatter_sub", "scatter_mul", "scatter_min", "scatter_max"}
LAZY = {"iota", "concatenate", "pad", "gather", "dynamic_slice", "threefry2x32"}
SUPPORTED = ELEMENTWISE | VIEWS | REDUCTIONS | LAZY | SCATTERS | {"dynamic_update_slice"}
SUPPORTED |= {name.replace("scatter_", "scatter-") for name in SCATTERS}  # as JAX spells them

# What an operation costs compared with a memory access: decides what is stored and what is computed again.
COSTS = {**dict.fromkeys([*_COSTLY, "pow", "atan2"], 8), "sqrt": 3, "threefry2x32": 60, "rem": 6, "div": 2}


def literal(value):
    """One entry of a constant array as C."""
    if isinstance(value, np.floating):
        if not np.isfinite(value):
            return "NOT_A_NUMBER" if np.isnan(value) else "INF" if value > 0 else "-INF"
        short = 1e-4 <= abs(value) < 1e7 or value == 0
        text = np.format_float_positional(value, unique=True, trim="0") if short else f"{value:.9g}"
        return text + "f" if "." in text or "e" in text else text + ".0f"
    if isinstance(value, np.unsignedinteger):
        return f"{value}u"
    return str(int(value)) if int(value) > -(2**31) else "(-2147483647 - 1)"


def elementwise(equation, xs):
    """Return the C expression of an elementwise operation on the texts of its arguments."""
    op, dtype = equation.op, equation.inputs[0 if equation.op == "pow" else -1].dtype
    if op in _SPECIAL:
        return _special(op, xs, dtype, equation.params)
    return _template(op, dtype).format(*xs, t=C_TYPES[dtype])


def _template(op, dtype):
    template = _SAME.get(op) or {"f": _FLOAT, "b": _BOOL}.get(dtype.kind, _INTEGER).get(op)
    if template is None:
        raise NotImplementedError(f"primitive {op!r} of {dtype}")
    return template


def _special(op, xs, dtype, params):
    x, c_type = xs[0], C_TYPES[dtype]
    if op == "select_n":
        if len(xs) == 3:
            return f"({x} ? {xs[2]} : {xs[1]})"
        tests = "".join(f"{x} == {k} ? {case} : " for k, case in enumerate(xs[1:-1]))
        return f"({tests}{xs[-1]})"
    if op == "round":
        return f"m_round({x})" if int(params["rounding_method"]) == 0 else f"m_nearest({x})"
    if op in ("convert_element_type", "bitcast_convert_type"):
        new = np.dtype(params["new_dtype"])
        if op == "convert_element_type":
            return f"({x} != 0)" if new.kind == "b" else f"({C_TYPES[new]}){x}"
        if "f" not in (dtype.kind, new.kind):
            return f"({C_TYPES[new]}){x}"
        return f"bits_to_float({x})" if new.kind == "f" else f"({C_TYPES[new]})float_to_bits({x})"
    # In C a shift is only defined for fewer bits than there are, which a literal shows at once.
    known = xs[1].rstrip("u").isdigit() and int(xs[1].rstrip("u")) < 32
    left = f"({'int' if op == 'shift_right_arithmetic' else 'uint'}){x}"
    shifted = f"{left} {'<<' if op == 'shift_left' else '>>'} {xs[1]}" if known else f"{op}({left}, {xs[1]})"
    return f"({c_type})({shifted})"


def combine(op, dtype, a, b):
    """C of `a op b` for the operations of reductions and scatters: sum, add, sub, prod, mul, max, min, and, or, xor."""
    op = {"sum": "add", "prod": "mul"}.get(op, op)
    return bare(_template(op, dtype).format(a, b, t=C_TYPES[dtype]))


def identity(op, dtype):
    """The value that `combine` with `op` leaves unchanged, as C."""
    if dtype.kind == "f":
        return {"max": "-INF", "min": "INF", "prod": "1.0f"}.get(op, "0.0f")
    least, greatest = {"i": (-(2**31), 2**31 - 1), "u": (0, 2**32 - 1), "b": (0, 1)}[dtype.kind]
    every_bit = -1 if dtype.kind == "i" else greatest
    value = {"max": least, "min": greatest, "prod": 1, "and": every_bit}.get(op, 0)
    return literal(dtype.type(value))


def bare(text):
    """Without parentheses around the whole, for reading."""
    if not (text.startswith("(") and text.endswith(")")):
        return text
    level = 0
    for k, letter in enumerate(text):
        level += (letter == "(") - (letter == ")")
        if level == 0 and k < len(text) - 1:
            return text
    return text[1:-1]


def view(equation):
    """Return the function from an index of the result to the index of the operand that stands there."""
    params, operand, (result,) = equation.params, equation.inputs[0], equation.outputs
    if equation.op == "broadcast_in_dim":
        axes = [(axis, size == 1) for axis, size in zip(params["broadcast_dimensions"], operand.shape, strict=True)]
        return lambda index: tuple(Index() if single else index[axis] for axis, single in axes)
    if equation.op in ("reshape", "squeeze"):
        return lambda index: unravel(ravel(index, result.shape), operand.shape)
    if equation.op == "transpose":
        back = np.argsort(params["permutation"])
        return lambda index: tuple(index[axis] for axis in back)
    if equation.op == "slice":
        strides = params["strides"] or [1] * len(operand.shape)
        return lambda index: tuple(
            i * int(s) + int(a) for i, s, a in zip(index, strides, params["start_indices"], strict=True)
        )
    return lambda index: tuple(
        i * -1 + (n - 1) if axis in params["dimensions"] else i
        for axis, (i, n) in enumerate(zip(index, operand.shape, strict=True))
    )


def inverse(equation):
    """Return the function from an index of the operand to where it stands in the result, or None if it is nowhere
    or in several places: lets an operand be computed in place."""
    params, operand, (result,) = equation.params, equation.inputs[0], equation.outputs
    if equation.op == "transpose":
        return lambda index: tuple(index[axis] for axis in params["permutation"])
    if operand.size == result.size and equation.op in ("reshape", "squeeze", "broadcast_in_dim"):
        return lambda index: unravel(ravel(index, operand.shape), result.shape)
    return None
