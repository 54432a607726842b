"""From a JAX function to a small program of simple operations.

The function is traced with `jax.make_jaxpr` and the jaxpr is interpreted once more under a second trace. On the way
calls are inlined, random keys become pairs of words, equal operations are shared, what a loop repeats needlessly
moves out of it, and rich primitives are rewritten in simple ones (`rewrites`). What remains is converted into
`Block`s, without the operations whose results nobody needs.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend import core

from . import primitives
from .rewrites import KEY_RULES, RULES, Key, applies


class Unsupported(NotImplementedError):
    """A figure uses something that cannot be compiled."""


class Var:
    """The result of an operation."""

    def __init__(self, shape, dtype):
        self.shape, self.dtype = tuple(shape), np.dtype(dtype)
        self.size = math.prod(self.shape)


class Constant(Var):
    """An array that is known at build time."""

    def __init__(self, value):
        self.value = np.asarray(value)
        super().__init__(self.value.shape, self.value.dtype)


class Equation(NamedTuple):
    """`outputs = op(inputs)`. Loops keep what they carry in `params`, as pairs of outer and inner variables."""

    op: str
    inputs: list
    outputs: list
    params: dict[str, Any]


class Block(NamedTuple):
    """A straight list of operations; `outputs` are variables, or None where a result is not needed."""

    inputs: list
    equations: list
    outputs: list


CALLS = {
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "closed_call": "call_jaxpr",
    "core_call": "call_jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "custom_vjp_call_jaxpr": "fun_jaxpr",
    "custom_lin": "call_jaxpr",
    "checkpoint": "jaxpr",
    "remat2": "jaxpr",
}


def trace(function, arguments, *, name):
    """Trace `function(**arguments)`; return its Block, with inputs as in `arguments`, and the shapes of its results."""
    names = list(arguments)
    examples = [x if hasattr(x, "dtype") else jnp.asarray(x) for x in arguments.values()]
    specs = [jax.ShapeDtypeStruct(x.shape, x.dtype) for x in examples]
    for argument, spec in zip(names, specs, strict=True):
        _check_dtype(spec.dtype, f"figure {name!r}, argument {argument!r}")

    def positional(*values):
        return function(**dict(zip(names, values, strict=True)))

    first, tree = jax.make_jaxpr(positional, return_shape=True)(*specs)
    try:
        simple = jax.make_jaxpr(lambda *values: _interpret(first.jaxpr, first.consts, values, {}))(*specs)
        block = _convert(simple.jaxpr, simple.consts, [True] * len(simple.jaxpr.outvars))
    except NotImplementedError as error:
        raise Unsupported(f"figure {name!r} cannot be compiled: {error}") from error
    return block, tree


def _check_dtype(dtype, where):
    if dtype not in primitives.C_TYPES:
        known = ", ".join(str(known) for known in primitives.C_TYPES)
        raise Unsupported(f"{where}: expected one of {known}, found {dtype}")


def _interpret(jaxpr, consts, values, shared, known=None):
    """Run a jaxpr on tracers; `shared` remembers operations already done, `known` variables already computed."""
    consts = [_words(value) for value in consts]
    env = {
        **dict(zip(jaxpr.constvars, consts, strict=True)),
        **dict(zip(jaxpr.invars, values, strict=True)),
        **(known or {}),
    }
    for equation in jaxpr.eqns:
        if not all(out in env for out in equation.outvars):
            results = _apply(equation, [_read(env, atom) for atom in equation.invars], shared)
            env.update(zip(equation.outvars, results, strict=True))
    return [_read(env, atom) for atom in jaxpr.outvars]


def _words(value):
    if not jax.dtypes.issubdtype(value.dtype, jax.dtypes.prng_key):
        return value
    words = jax.random.key_data(value)
    return Key(words[..., 0], words[..., 1])


def _read(env, atom):
    return np.asarray(atom.val, atom.aval.dtype)[()] if isinstance(atom, core.Literal) else env[atom]


def _apply(equation, values, shared):
    name, params = equation.primitive.name, equation.params
    if name in CALLS:
        inner = params[CALLS[name]]
        jaxpr, consts = (inner.jaxpr, inner.consts) if isinstance(inner, core.ClosedJaxpr) else (inner, [])
        return _interpret(jaxpr, consts, values, shared)
    if name in LOOPS:
        return LOOPS[name](values, **params)
    # Scalars that are equal are the same constant; everything else is the same only if it is the same tracer.
    same = tuple(repr(v) if isinstance(v, np.generic) else id(v) for v in jax.tree.leaves(values))
    signature = (name, same, repr(params))
    if signature not in shared:
        shared[signature] = (_simple(equation, values), values)  # the values are kept, so that their ids stay theirs
    return shared[signature][0]


def _simple(equation, values):
    name, params = equation.primitive.name, equation.params
    if name in KEY_RULES:
        return KEY_RULES[name](*values, **params)
    if any(isinstance(value, Key) for value in values):  # the same to both words
        words = [[v[k] if isinstance(v, Key) else v for v in values] for k in (0, 1)]
        return [Key(*both) for both in zip(*(_simple(equation, word) for word in words), strict=True)]
    if name == "convert_element_type" and values[0].dtype == params["new_dtype"]:
        return [values[0]]
    if applies(name, params):  # a rule may call functions that are jitted themselves
        rule = jax.make_jaxpr(lambda *xs: RULES[name](*xs, **params))(*values)
        return _interpret(rule.jaxpr, rule.consts, values, {})
    if name not in primitives.SUPPORTED:
        raise NotImplementedError(f"primitive {name!r} is not supported")
    if name in primitives.ELEMENTWISE and all(isinstance(value, np.generic) for value in values):
        with jax.ensure_compile_time_eval():
            return [np.asarray(equation.primitive.bind(*values, **params))[()]]
    results = equation.primitive.bind(*values, **params)
    return list(results) if equation.primitive.multiple_results else [results]


def _invariants(jaxpr, env):
    """Compute here what a loop's body computes from its constants `env` alone; return it with `env`."""
    env, shared = dict(env), {}
    for equation in jaxpr.eqns:
        inputs = [atom for atom in equation.invars if not isinstance(atom, core.Literal)]
        if inputs and equation.primitive.name not in {*LOOPS, *CALLS} and all(atom in env for atom in inputs):
            values = [_read(env, atom) for atom in equation.invars]
            env.update(zip(equation.outvars, _apply(equation, values, shared), strict=True))
    return env


def _scan(values, *, jaxpr, num_consts, num_carry, length, reverse, **_):
    body, counts = jaxpr.jaxpr, (num_consts, num_consts + num_carry)
    consts, init, xs = values[: counts[0]], values[counts[0] : counts[1]], values[counts[1] :]
    outer = {
        **dict(zip(body.constvars, map(_words, jaxpr.consts), strict=True)),
        **dict(zip(body.invars, consts, strict=False)),
    }
    outer = _invariants(body, outer)

    def step(carry, x):
        inputs = {**outer, **dict(zip(body.invars[num_consts:], [*carry, *x], strict=True))}
        results = _interpret(body, jaxpr.consts, [inputs[v] for v in body.invars], {}, inputs)
        return results[:num_carry], results[num_carry:]

    if length == 1:  # no loop at all
        carry, ys = step(init, jax.tree.map(lambda x: lax.squeeze(x, [0]), xs))
        return [*carry, *jax.tree.map(lambda y: lax.expand_dims(y, [0]), ys)]
    carry, ys = lax.scan(step, init, xs, length=length, reverse=reverse)
    return [*carry, *ys]


def _while(values, *, cond_jaxpr, cond_nconsts, body_jaxpr, body_nconsts, **_):
    cond_consts, values = values[:cond_nconsts], values[cond_nconsts:]
    body_consts, init = values[:body_nconsts], values[body_nconsts:]

    def run(closed, consts):
        return lambda carry: _interpret(closed.jaxpr, closed.consts, [*consts, *carry], {})

    def goes_on(carry):
        return run(cond_jaxpr, cond_consts)(carry)[0]

    def step(carry):
        going, new = goes_on(carry), run(body_jaxpr, body_consts)(carry)
        if going.ndim == 0:
            return new
        return jax.tree.map(
            lambda a, b: lax.select(lax.broadcast_in_dim(going, a.shape, range(going.ndim)), a, b), new, carry
        )

    return lax.while_loop(lambda carry: goes_on(carry).any(), step, init)  # under vmap, until the last one is done


def _cond(values, *, branches, **_):
    index, *operands = values

    def run(closed):
        return lambda *xs: _interpret(closed.jaxpr, closed.consts, xs, {})

    return lax.switch(lax.convert_element_type(index, np.int32), [run(branch) for branch in branches], *operands)


LOOPS = {"scan": _scan, "while": _while, "cond": _cond}


def _convert(jaxpr, consts, wanted, env=None):
    """Convert into a Block that computes only the `wanted` outputs."""
    env = dict(zip(jaxpr.constvars, map(Constant, consts), strict=True)) if env is None else env

    def atom(x):
        if isinstance(x, core.Literal):
            return Constant(np.asarray(x.val, x.aval.dtype))
        if x not in env:
            _check_dtype(x.aval.dtype, "a value")
            env[x] = Var(x.aval.shape, x.aval.dtype)
        return env[x]

    inputs = [atom(x) for x in jaxpr.invars]
    outputs = [atom(x) if want else None for x, want in zip(jaxpr.outvars, wanted, strict=True)]
    live, equations = set(outputs) - {None}, []
    for equation in reversed(jaxpr.eqns):
        results = [env.get(out) if env.get(out) in live else None for out in equation.outvars]
        if any(results):
            name, operands = equation.primitive.name, [atom(x) for x in equation.invars]
            converted = CONVERT.get(name, _plain)(name, operands, results, equation)
            equations.append(converted)
            live.update(converted.inputs)
    return Block(inputs, equations[::-1], outputs)


def _plain(name, operands, results, equation):
    outputs = [r or Var(x.aval.shape, x.aval.dtype) for r, x in zip(results, equation.outvars, strict=True)]
    return Equation(name.replace("-", "_"), operands, outputs, dict(equation.params))


def _inner(closed, wanted):
    return _convert(closed.jaxpr, closed.consts, wanted)


def _used(block):
    return {x for equation in block.equations for x in equation.inputs} | set(block.outputs)


def _convert_scan(name, operands, results, equation):
    params = equation.params
    start, count = params["num_consts"], params["num_carry"]
    stop = start + count
    wanted = [result is not None for result in results]
    while True:  # a carry that is only needed later in the loop is needed too
        body = _inner(params["jaxpr"], wanted)
        used = _used(body)
        needed = [w or body.inputs[start + k] in used for k, w in enumerate(wanted[:count])]
        if needed == wanted[:count]:
            break
        wanted[:count] = needed
    pairs = list(zip(operands, body.inputs, strict=True))
    carries = [(*pairs[start + k], body.outputs[k], results[k]) for k, w in enumerate(needed) if w]
    consts = [pair for pair in pairs[:start] if pair[1] in used]
    xs = [pair for pair in pairs[stop:] if pair[1] in used]
    ys = [(inner, outer) for inner, outer in zip(body.outputs[count:], results[count:], strict=True) if outer]
    body = body._replace(outputs=[carry[2] for carry in carries] + [inner for inner, _ in ys])
    inputs = [pair[0] for pair in consts + xs] + [carry[0] for carry in carries]
    parts = {"body": body, "consts": consts, "carries": carries, "xs": xs, "ys": ys}
    return Equation("scan", inputs, [r for r in results if r], parts | {k: params[k] for k in ("length", "reverse")})


def _convert_while(name, operands, results, equation):
    params = equation.params
    a, b = params["cond_nconsts"], params["cond_nconsts"] + params["body_nconsts"]
    test, body = _inner(params["cond_jaxpr"], [True]), _inner(params["body_jaxpr"], [True] * len(results))
    consts = list(zip(operands[:a], test.inputs, strict=False)) + list(zip(operands[a:b], body.inputs, strict=False))
    # one carry has two names inside: the test's and the body's
    carries = list(zip(operands[b:], body.inputs[b - a :], body.outputs, results, strict=True))
    aliases = list(zip(test.inputs[a:], body.inputs[b - a :], strict=True))
    parts = {"test": test, "body": body, "consts": consts, "carries": carries, "aliases": aliases}
    return Equation("while", operands, [r for r in results if r], parts)


def _convert_cond(name, operands, results, equation):
    branches = [_inner(branch, [r is not None for r in results]) for branch in equation.params["branches"]]
    branches = [branch._replace(outputs=[x for x in branch.outputs if x]) for branch in branches]
    return Equation("cond", operands, [r for r in results if r], {"branches": branches})


CONVERT = {"scan": _convert_scan, "while": _convert_while, "cond": _convert_cond}
