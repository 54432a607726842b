r"""Rates that fall when the fluctuations of a player balance: two scalars per step, checked now and then.

A player at x that descends along a minibatch gradient G at the rate :math:`\eta` has, in a stationary state and for
every fixed point c,

.. math:: \mathbb E\,\langle x - c, G \rangle = \tfrac{\eta}{2}\, \mathbb E |G|^2 ,

because :math:`|x - c|^2` does not change on average. Once both sides agree there is nothing more to be gained at this
rate. Here G is the gradient of what the player *minimises*, as optax has it: for the discriminator that of the
negative payoff.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.tree_util import Partial

from gansde_lib import _checks
from gansde_lib.gda.plain import dot
from gansde_lib.schedule.clocks import descend, number

MEMORY = 32
"""Sums of so many half periods are kept; of a longer record the last half is that of the last 2 * MEMORY of them."""


class Watched(NamedTuple):
    """The state of a rate that is watched.

    `rate`, that of the next step; `drops`, how often it fell; `steps` since then, the length of the record; `centre`,
    the mean position over the record, or (); `left` and `right`, of shape (MEMORY,), both sides of the relation added
    up over half periods, in turn; `ratio` of their sums at the last check, NaN before the first.
    """

    rate: Any
    drops: Any
    steps: Any
    centre: Any
    left: Any
    right: Any
    ratio: Any


class Settings(NamedTuple):
    """Numbers that a rule goes by, all of them leaves: changing them compiles nothing again."""

    rate: Any
    every: Any
    tolerance: Any
    drop: Any


@functools.cache  # one pair of functions for each kind, so that rules of one kind share what was compiled
def _kind(centred, scattered):
    def init(settings, params):
        real = jnp.result_type(float)
        sums, nothing = jnp.zeros(MEMORY, real), jnp.int32(0)
        centre = jax.tree.map(jnp.asarray, params) if centred else ()
        return Watched(
            jnp.asarray(settings.rate, real), nothing, nothing, centre, sums, sums, jnp.asarray(jnp.nan, real)
        )

    def update(settings, gradient, state, params=None, *, scatter=None, **extra):
        del extra
        _needed(params, scatter, scattered)
        place, centre = params, ()
        if centred:
            first = state.steps == 0
            centre = jax.tree.map(lambda c, p: jnp.where(first, p, c), state.centre, params)
            place = jax.tree.map(jnp.subtract, params, centre)
            centre = jax.tree.map(lambda c, d: c + d / (state.steps + 1), centre, place)
        left = dot(place, gradient)
        right = state.rate / 2 * (scatter if scattered else dot(gradient, gradient))
        return descend(state.rate, gradient), _check(settings, state, centre, left, right)

    return init, update


def _needed(params, scatter, scattered):
    if params is None:
        raise ValueError(
            "the relation needs the parameters, found params=None; for example rule.update(gradient, state, params)"
        )
    if scattered and scatter is None:
        raise ValueError(
            "the sum rule needs the trace of the covariance of the minibatch gradient, found scatter=None; for example "
            "rule.update(gradient, state, params, scatter=0.1), or scheduled(rule, halves=True), or exact_rule"
        )


def _check(settings, state, centre, left, right):
    """Add a step to the record; at the end of a period compare the sums over its last half, and drop or go on."""
    half = jnp.maximum(settings.every // 2, 1)
    slots = jnp.arange(MEMORY)
    slot = (state.steps // half) % MEMORY
    fresh = (state.steps % half == 0) & (slots == slot)

    def add(sums, term):
        return jnp.where(fresh, 0, sums) + jnp.where(slots == slot, term, 0)

    lefts, rights, steps = add(state.left, left), add(state.right, right), state.steps + 1
    # The record has 2m half periods: its last half are the m latest ones.
    latest = (slot - slots) % MEMORY < steps // (2 * half)
    ratio = jnp.where(latest, lefts, 0).sum() / jnp.where(latest, rights, 0).sum()
    due = steps % (2 * half) == 0
    falls = due & (jnp.abs(ratio - 1) < settings.tolerance)
    rate = jnp.where(falls, state.rate * (1 - settings.drop), state.rate).astype(state.rate.dtype)
    return Watched(
        rate,
        state.drops + falls,
        jnp.where(falls, 0, steps),
        centre,
        lefts.astype(state.left.dtype),
        rights.astype(state.right.dtype),
        jnp.where(due, ratio, state.ratio).astype(state.ratio.dtype),
    )


def _rule(name, centred, scattered, rate, every, tolerance, drop):
    example = f"{name}(0.1, every=1000, tolerance=0.05, drop=0.5)"
    rate = number("rate", rate, _checks.positive, example=example)
    tolerance = number("tolerance", tolerance, _checks.positive, example=example)
    drop = number("drop", drop, _checks.positive, example=example)
    if _checks.is_concrete(drop) and drop >= 1:
        raise ValueError(f"drop must lie between 0 and 1, found {drop!r}; for example {example}")
    if _checks.is_concrete(every) and (every != int(every) or every < 2 or every % 2):
        raise ValueError(f"every must be an even number of steps >= 2, found {every!r}; for example {example}")
    every = int(every) if _checks.is_concrete(every) else every
    functions = (Partial(f, Settings(rate, every, tolerance, drop)) for f in _kind(centred, scattered))
    return optax.GradientTransformationExtraArgs(*functions)


def exact_rule(rate, *, every=1000, tolerance=0.05, drop=0.5, centred=True):
    r"""Return the transformation that lowers its rate where the exact relation of the discrete chain holds.

    .. math:: L = \langle x - c, G \rangle, \qquad R = \tfrac{\eta}{2} |G|^2 .

    Every `every` steps, with sums over the last half of the record since the last drop, it checks whether
    :math:`|\sum L / \sum R - 1| < \varepsilon`. If so, :math:`\eta \leftarrow (1 - \delta)\,\eta` and the record is
    emptied. Nothing but the player's own gradient and position is used.

    Args:
        rate: :math:`\eta` at the start.
        every: steps between two checks, even.
        tolerance: :math:`\varepsilon`.
        drop: :math:`\delta`, between 0 and 1.
        centred: whether c is the mean of the positions since the last drop, up to the present step; otherwise c = 0.
            It is one more copy of the parameters. Without it the fluctuations of L are those about the origin, far
            larger if the equilibrium is far from there.

    Returns:
        An `optax.GradientTransformationExtraArgs` with state `Watched`: for `gda.optax_rule` with `lr=1`, which gives
        each player its own copy, or for a loop of your own. It may be jitted and mapped, over its numbers as well.

    Raises:
        ValueError: for a rate or a tolerance that is not positive, a drop outside (0, 1), an odd `every`; and, when
            updating, without `params`.

    Sources: Yaida (2019) for the relation of stochastic gradient descent and for checks of this form.

    >>> rule = exact_rule(0.1, every=2)
    >>> params = jnp.array([1.0])
    >>> state = rule.init(params)
    >>> for _ in range(2):
    ...     updates, state = rule.update(params, state, params)
    ...     params = optax.apply_updates(params, updates)
    >>> f"{params[0]:.2f}", int(state.steps), int(state.drops)
    ('0.81', 2, 0)
    """
    return _rule("exact_rule", bool(centred), False, rate, every, tolerance, drop)


def sum_rule(rate, *, every=1000, tolerance=0.05, drop=0.5, centred=False):
    r"""Return the transformation that lowers its rate where the relation of the continuous-time limit holds.

    .. math:: L = \langle x - c, G \rangle, \qquad R = \tfrac{\eta}{2} \operatorname{Tr} \hat S ,

    where :math:`\hat S` estimates the covariance of G. In discrete time the sides of this relation do *not* agree:
    it lacks :math:`\tfrac{\eta}{2} |\nabla|^2`, the square of the mean gradient. Checks and drops are those of
    `exact_rule`. This is the rule for learning rates in the literature on GAN training as SDEs, as we understand it,
    there for both players together: apply it to the joint gradients of both (`scheduled` with `joint=True`).

    Args:
        rate, every, tolerance, drop, centred: as in `exact_rule`.

    Returns:
        An `optax.GradientTransformationExtraArgs`. Each update needs `scatter=`, the trace of :math:`\hat S`: of B
        gradients of single samples, the mean of their squared distances from their mean, divided by B - 1; or of two
        halves of a minibatch, a quarter of the squared distance of their gradients, as in `scheduled(halves=True)`.

    Source: Cao and Guo (2023) for the idea.

    >>> rule = sum_rule(0.1, every=2)
    >>> state = rule.init(jnp.zeros(3))
    >>> updates, state = rule.update(jnp.ones(3), state, jnp.zeros(3), scatter=2.0)
    >>> float(state.right[0])
    0.10000000149011612
    """
    return _rule("sum_rule", bool(centred), True, rate, every, tolerance, drop)
