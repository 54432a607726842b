"""The drift alone: its flow, and how far full-gradient training is from it (backward error analysis)."""

import functools

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from gansde_lib import _checks, gda, simulate
from gansde_lib.sde import schemes


def flow(equation, x0, *, steps, substeps=8):
    r"""Return the path of the ordinary differential equation :math:`\dot x = b(x)`, by the classical Runge-Kutta rule.

    Args:
        equation: an `Equation`; its covariance is ignored.
        x0: `Players`, the start.
        steps: number of updates.
        substeps: Runge-Kutta steps per update.

    Returns:
        `Players` with a leading axis of length `steps + 1`.

    Raises:
        ValueError: for negative steps, substeps below 1, a start that is not finite or does not fit the game.

    >>> from gansde_lib import games
    >>> from gansde_lib.sde import modified_equation
    >>> equation = modified_equation(games.bilinear(1.0), lr=0.1, batch=None, update="alternating")
    >>> path = flow(equation, games.Players(1.0, 0.0), steps=100)
    >>> path.theta.shape
    (101,)
    """
    x0 = equation.game.check(x0)
    _checks.whole("steps", steps, minimum=0, example="flow(equation, x0, steps=100)")
    _checks.whole("substeps", substeps, minimum=1, example="flow(equation, x0, steps=100, substeps=8)")
    return _flow(equation, x0, steps=int(steps), substeps=int(substeps))


@functools.partial(jax.jit, static_argnames=("steps", "substeps"))
def _flow(equation, x0, *, steps, substeps):
    flat, unravel = ravel_pytree(x0)

    def drift(x):
        return ravel_pytree(equation.drift(unravel(x)))[0]

    def step(x, _):
        return schemes.runge_kutta(drift, x, 1 / substeps)

    path = simulate.trajectory(step, flat, steps=steps * substeps, key=jax.random.key(0), every=substeps)
    return jax.vmap(unravel)(path)


def backward_error(equation, x0, *, steps=1, update=None, substeps=8):
    """Return the distance between full-gradient training and the flow of an equation's drift after `steps` updates.

    Args:
        equation: an `Equation` without noise (`batch=None`).
        x0: `Players`, the start.
        steps: number of updates: 1 for the local error, T / eta for the global one.
        update: the rule that trains, by default the equation's own; another one is a control that should fail.
        substeps: Runge-Kutta steps per update.

    Returns:
        A scalar. Use float64 (`jax.enable_x64`): local errors are small.

    Raises:
        ValueError: as `flow`; for an unknown rule; for an equation with minibatches.

    >>> from gansde_lib import games
    >>> from gansde_lib.sde import modified_equation
    >>> equation = modified_equation(games.bilinear(1.0), lr=0.1, batch=None, order=1)
    >>> round(float(backward_error(equation, games.Players(1.0, 0.0))), 4)  # eta^2 / 2
    0.005
    """
    if equation.batch is not None:
        raise ValueError(
            f"backward_error compares with full gradients, found batch={equation.batch}; for example "
            "modified_equation(game, lr=0.1, batch=None)"
        )
    x0, rule = equation.game.check(x0), gda.rule(equation.update if update is None else update)
    _checks.whole("steps", steps, minimum=1, example="backward_error(equation, x0, steps=1)")
    _checks.whole("substeps", substeps, minimum=1, example="backward_error(equation, x0, substeps=8)")
    return _backward_error(equation, x0, rule, jnp.asarray(steps), substeps=int(substeps))


@functools.partial(jax.jit, static_argnames="substeps")
def _backward_error(equation, x0, rule, steps, *, substeps):
    field = gda.stochastic_field(equation.game)

    def advance(_, state):
        (x, memory), y = state
        x, memory = rule.step(field, x, memory, lr=equation.lr, key=jax.random.key(0))
        end = jax.tree.map(lambda leaf: leaf[-1], _flow(equation, y, steps=1, substeps=substeps))
        return (x, memory), end

    (x, _), y = jax.lax.fori_loop(0, steps, advance, ((x0, rule.init(x0)), x0))
    return gda.plain.norm(jax.tree.map(jnp.subtract, x, y))
