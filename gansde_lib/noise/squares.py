r"""Variances of single parameters' gradients, without the gradients of single samples where layers are dense.

The gradient of one sample's payoff with respect to the weight of a dense layer is a sum of few outer products,
:math:`G_i = \sum_k a_{ik} d_{ik}^\top`, one for each use of the layer: at the real point, at the generated one, in the
slope of a penalty. The squares of its entries add up over samples to products of matrices,

.. math:: \sum_i (G_i)_{nm}^2 = \sum_{kl} \bigl[(A_k \circ A_l)^\top (D_k \circ D_l)\bigr]_{nm},

so that no array has N times d entries. The outer products are found in the program that JAX makes of the derivative,
whatever the payoff; a parameter that enters in another way has its gradients written out, squared and added.
"""

import functools
import itertools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.core import Literal, jaxpr_as_fun

from gansde_lib.games import Players
from gansde_lib.noise.samples import CHUNK, take

MOST = 4
"""With more uses of a layer than this, the pairs of outer products cost more than they save."""


@functools.partial(jax.jit, static_argnames="chunk")
def variances(game, x, *, chunk=CHUNK):
    r"""Return the variance over samples of the gradient of every parameter.

    .. math:: \frac1N \sum_i (G_i - G)^2, \qquad \text{for dense layers as } \frac1N \sum_i G_i^2 - G^2,

    whose rounding errors are those of :math:`G^2`: visible only where the mean exceeds the deviations by far.

    Args:
        game: the game, zero-sum or not.
        x: `Players` of arrays, as `game.check` returns them.
        chunk: how many samples are differentiated side by side.

    Returns:
        `Players` shaped like x.

    >>> from gansde_lib import games
    >>> game = games.quadratic(1.0, 1.0, 1.0, samples={"a": jnp.array([1.0, -1.0]), "b": jnp.array([2.0, -2.0])})
    >>> variances(game, Players(jnp.zeros(()), jnp.zeros(())))
    Players(theta=Array(1., dtype=float32), omega=Array(4., dtype=float32))
    """
    size, chunk = game.size, min(chunk, game.size)
    means, structure = jax.tree.flatten(game.field(x))
    payoffs, one = (game.payoff, game.generator_payoff), take(game, jnp.asarray(0))
    program, uses = traced(payoffs, x, one)
    # The same program, which returns the vectors in place of the gradients that are sums of their products.
    wanted = [
        [name] if found is None else [use.left for use in found] + [use.right for use in found]
        for name, found in zip(program.jaxpr.outvars, uses, strict=True)
    ]
    narrowed = jaxpr_as_fun(program.replace(jaxpr=program.jaxpr.replace(outvars=[*itertools.chain(*wanted)])))
    given = jax.tree.leaves((payoffs, x))
    of_samples = jax.vmap(narrowed, in_axes=[None] * len(given) + [0] * len(jax.tree.leaves(one)))

    def add(totals, first):
        numbers = first + jnp.arange(chunk)
        inside = numbers < size
        values = iter(of_samples(*given, *jax.tree.leaves(take(game, jnp.minimum(numbers, size - 1)))))
        parts = [[next(values) for _ in names] for names in wanted]
        sums = [
            _deviations(*part, mean, inside) if found is None else _products(part, found, mean, inside)
            for part, found, mean in zip(parts, uses, means, strict=True)
        ]
        return jax.tree.map(jnp.add, totals, sums), None

    zero = [(jnp.zeros_like(mean), jnp.zeros_like(mean)) for mean in means]
    totals, _ = jax.lax.scan(add, zero, jnp.arange(0, size, chunk))
    return structure.unflatten([jnp.maximum(square / size - (mean / size) ** 2, 0.0) for mean, square in totals])


def traced(payoffs, x, sample):
    """Return the program of the field of one sample, and of each of its results the outer products it consists of.

    None for a result that is made in another way, or has more than `MOST`. What all samples share is left out.

    >>> from gansde_lib import neural
    >>> game, x = neural.digits_gan(key=jax.random.key(0), regulariser="weight-decay")
    >>> program, uses = traced((game.payoff, None), x, take(game, jnp.asarray(0)))
    >>> [found and len(found) for found in uses]  # weight, bias, ... of the generator, used once, and of the other
    [1, None, 1, None, 2, None, 2, None]
    """
    program = jax.make_jaxpr(_field)(payoffs, x, sample)
    jaxpr, varying = program.jaxpr, set(program.jaxpr.invars[-len(jax.tree.leaves(sample)) :])
    for equation in jaxpr.eqns:
        if any(name in varying for name in equation.invars if not isinstance(name, Literal)):
            varying.update(equation.outvars)
    made = {name: equation for equation in jaxpr.eqns for name in equation.outvars}
    uses = [_uses(name, made, varying) for name in jaxpr.outvars]
    return program, [None if found is None or len(found) > MOST else found for found in uses]


def _field(payoffs, x, sample):
    """The field of one sample."""
    payoff, own = payoffs
    gradient = jax.grad(lambda y: payoff(*y, sample))(x)
    descent = gradient.theta if own is None else jax.grad(lambda theta: own(theta, x.omega, sample))(x.theta)
    return Players(jax.tree.map(jnp.negative, descent), gradient.omega)


class Use(NamedTuple):
    """One outer product in a program: the names of its two vectors, and its sign."""

    left: Any
    right: Any
    sign: float


def _uses(name, made, varying, *, sign=1.0, turned=False):
    """The outer products that add up to a value of a program, but for a constant; None if it is made in another way.

    `made` has the equation of each name, `varying` the names that depend on the sample. Sums, signs and transposes are
    what the derivative of a dense layer consists of.
    """
    if isinstance(name, Literal) or name not in varying:
        return []
    if name not in made:
        return None
    kind, inputs = made[name].primitive.name, made[name].invars
    if kind in ("add", "add_any"):
        parts = [_uses(part, made, varying, sign=sign, turned=turned) for part in inputs]
        return None if None in parts else [*itertools.chain(*parts)]
    if kind == "neg":
        return _uses(inputs[0], made, varying, sign=-sign, turned=turned)
    if kind == "transpose" and made[name].params["permutation"] == (1, 0):
        return _uses(inputs[0], made, varying, sign=sign, turned=not turned)
    if kind == "dot_general" and [len(part.aval.shape) for part in (*inputs, name)] == [1, 1, 2]:
        return [Use(*(reversed(inputs) if turned else inputs), sign)]
    return None


def _products(parts, uses, mean, inside):
    """Sums over samples, those that are `inside`, of sums of outer products and of their squares."""
    left, right = parts[: len(uses)], parts[len(uses) :]
    right = [use.sign * part * inside[:, None] for use, part in zip(uses, right, strict=True)]
    multiply = functools.partial(jnp.matmul, precision="highest")  # accelerators would round to fewer digits
    first = sum((multiply(a.T, d) for a, d in zip(left, right, strict=True)), jnp.zeros_like(mean))
    second = sum(
        (
            (1 if k == other else 2) * multiply((left[k] * left[other]).T, right[k] * right[other])
            for k in range(len(uses))
            for other in range(k + 1)
        ),
        jnp.zeros_like(mean),
    )
    return first, second


def _deviations(rows, mean, inside):
    """Sums over samples, those that are `inside`, of deviations from the mean and of their squares, written out."""
    rows = jnp.where(inside.reshape(-1, *[1] * mean.ndim), rows - mean, 0.0)
    return jnp.sum(rows, 0), jnp.sum(rows**2, 0)
