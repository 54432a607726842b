"""Rates that follow the clock: fixed, cosine, inverse time, or any other function of the step, as transformations."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.tree_util import Partial

from gansde_lib import _checks


class Clocked(NamedTuple):
    """The state of a rate that follows the clock: the `rate` of the next step, and how many `steps` were taken."""

    rate: Any
    steps: Any


def number(name, value, check, *, example):
    """Return a checked number with a definite type (so that nothing compiles twice), or what is being traced.

    >>> number("rate", 1, _checks.positive, example="fixed(0.1)")
    1.0
    """
    check(name, value, example=example)
    return float(value) if isinstance(value, int) else value


def _init(multiplier, rate, parameters, params):
    del params
    start = jnp.asarray(rate * multiplier(jnp.int32(0), *parameters), jnp.result_type(float))
    return Clocked(start, jnp.int32(0))


def _update(multiplier, rate, parameters, gradient, state, params=None, **extra):
    del params, extra
    steps = state.steps + 1
    following = jnp.asarray(rate * multiplier(steps, *parameters), state.rate.dtype)
    return descend(state.rate, gradient), Clocked(following, steps)


def descend(rate, gradient):
    """Return `-rate * gradient`, leaf by leaf, in the gradient's own type.

    >>> descend(0.5, {"bias": jnp.ones(2)})
    {'bias': Array([-0.5, -0.5], dtype=float32)}
    """
    return jax.tree.map(lambda g: -jnp.asarray(rate, jnp.asarray(g).dtype) * g, gradient)


def clocked(rate, multiplier, *parameters):
    r"""Return the transformation :math:`g \mapsto -\eta\, m(k)\, g` in step k = 0, 1, ...

    Args:
        rate: :math:`\eta`.
        multiplier: a JAX function of the step and the parameters.
        *parameters: numbers; changing them, or the rate, compiles nothing again.

    Returns:
        An `optax.GradientTransformationExtraArgs`. Its state is `Clocked`.

    >>> halving = clocked(0.1, lambda step, every: 0.5 ** (step // every), 100)
    >>> state = halving.init(jnp.zeros(2))
    >>> float(halving.update(jnp.ones(2), state)[0][0])
    -0.10000000149011612
    """
    rate = number("rate", rate, _checks.positive, example="clocked(0.1, lambda step: 0.99**step)")
    multiplier = multiplier if isinstance(multiplier, Partial) else Partial(multiplier)
    init, update = (Partial(f, multiplier, rate, parameters) for f in (_init, _update))
    return optax.GradientTransformationExtraArgs(init, update)


def fixed(rate):
    """Return the transformation with one rate throughout.

    >>> float(fixed(0.1).init(jnp.zeros(2)).rate)
    0.10000000149011612
    """
    return clocked(number("rate", rate, _checks.positive, example="fixed(0.1)"), _one)


def cosine(rate, steps):
    r"""Return the transformation whose rate falls to zero along half a cosine, by optax.

    .. math:: \eta_k = \tfrac{\eta}{2} \bigl(1 + \cos(\pi k / n)\bigr), \qquad k \le n .

    Args:
        rate: the rate at the start.
        steps: n.

    Source: Loshchilov and Hutter (2017).

    >>> decay = cosine(0.1, 100)
    >>> float(decay.init(jnp.zeros(2)).rate)
    0.10000000149011612
    """
    example = "cosine(0.1, 1000)"
    rate = number("rate", rate, _checks.positive, example=example)
    return clocked(rate, _cosine, number("steps", steps, _checks.positive, example=example))


def inverse_time(rate, *, after, decay):
    r"""Return the transformation whose rate is constant at first and then falls like the inverse of time.

    .. math:: \eta_k = \frac{\eta}{1 + a\,\eta\,(k - k^*)^+} .

    This is the best schedule for a quadratic loss of curvature a; see `optimal`.

    Args:
        rate: the rate at the start.
        after: :math:`k^*`, the steps that are taken at that rate.
        decay: a.

    >>> float(inverse_time(0.1, after=50, decay=1.0).init(jnp.zeros(2)).rate)
    0.10000000149011612
    """
    example = "inverse_time(0.1, after=100, decay=1.0)"
    rate = number("rate", rate, _checks.positive, example=example)
    after = number("after", after, _checks.non_negative, example=example)
    decay = number("decay", decay, _checks.non_negative, example=example)
    return clocked(rate, _inverse_time, rate * decay, after)


def _one(step):
    return jnp.ones_like(step, jnp.result_type(float))


def _cosine(step, steps):
    return optax.cosine_decay_schedule(1.0, 1)(step / steps)


def _inverse_time(step, decay, after):
    return 1 / (1 + decay * jnp.maximum(step - after, 0))
