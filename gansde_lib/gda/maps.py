"""Rates that are simulated: of one setting beside the prediction, over maps of settings, of steps that never shrink."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from gansde_lib import _checks, simulate
from gansde_lib.games import as_players
from gansde_lib.gda.rules import rates, rule
from gansde_lib.gda.spectra import _jacobian, check_linearises, log_radius
from gansde_lib.gda.training import stochastic_field

UNDECIDED = 5.0
"""A cell is undecided where the logarithm of the predicted distance changes by less than this over the whole run."""


def simulated_rate(game, x, *, lr, update="simultaneous", steps=1000, distance=1e-5):
    r"""Return the rate at which a run near `x` moves away from it, a step: the slope of :math:`\log|x_k - x|` over k.

    The slope is a least-squares fit to the second half of the steps, summed up on the way: no path is stored. A run
    that has left the neighbourhood of `x`, or has come so near that only roundings are left, says nothing about `x`:
    whenever the distance has changed a thousandfold, deviation and memory are brought back to where the distance was at
    the start, and the factor enters the logarithm.

    Args:
        game, x: the game and an equilibrium of it.
        lr, update: as in `run`.
        steps: length of the run.
        distance: of the start from `x`, in the direction (1, cos 1, cos 2, ...).

    Returns:
        A scalar, to be compared with the logarithm of `spectral_radius`; pure JAX, in the precision of `x`.

    Raises:
        ValueError: as `jacobian`, or for fewer than 4 steps.

    >>> from gansde_lib import games
    >>> from gansde_lib.games import Players
    >>> rate = simulated_rate(games.quadratic(1.0, 0.0, 0.5), Players(0.0, 0.0), lr=0.5, steps=200)
    >>> bool(abs(rate - jnp.log(0.75)) < 1e-4)
    True
    """
    x, chosen = game.check(x), rule(update)
    check_linearises(chosen, x)
    _checks.whole("steps", steps, minimum=4, example="steps=1000")
    _checks.positive("distance", distance, example="distance=1e-5")
    return _simulated_rate(game, x, rates(lr), chosen, distance, steps=int(steps))


@functools.partial(jax.jit, static_argnames="steps")
def _simulated_rate(game, x, lr, rule, distance, *, steps):
    field = stochastic_field(game)
    rest, unravel = ravel_pytree((x, rule.init(x)))
    size = ravel_pytree(x)[0].size  # the players come first, then the memory
    direction = jnp.where(jnp.arange(rest.size) < size, jnp.cos(jnp.arange(rest.size)), 0).astype(rest.dtype)
    centre = (steps + steps // 2 + 1) / 2  # of the second half, k = steps // 2 + 1, ..., steps

    def step(k, state):
        deviation, logarithm, slope = state
        state = rule.step(field, *unravel(rest + deviation), lr=lr, key=jax.random.key(0))
        deviation = ravel_pytree(state)[0] - rest
        ratio = jnp.linalg.norm(deviation[:size]) / distance
        slope += jnp.where(2 * (k + 1) > steps, (k + 1 - centre) * (logarithm + jnp.log(ratio)), 0)
        outside = (ratio > 1e3) | (ratio < 1e-3)
        scale = jnp.where(outside & (ratio > 0), ratio, 1)
        return deviation / scale, logarithm + jnp.log(scale), slope

    start = (distance * direction / jnp.linalg.norm(direction), jnp.zeros((), rest.dtype), jnp.zeros((), rest.dtype))
    half = steps - steps // 2
    return jax.lax.fori_loop(0, steps, step, start)[2] * (12 / (half * (half**2 - 1)))


class ConvergenceMap(NamedTuple):
    """Rates over two settings; arrays of the lengths of the two axes.

    `predicted`: logarithm of the spectral radius; `simulated`: the rate found by runs; `undecided`: where the
    predicted distance changes by less than a factor of exp(5) over a run, so that the run cannot tell.
    """

    predicted: Any
    simulated: Any
    undecided: Any

    @property
    def disagree(self):
        """Where a decided cell converges in one of the two and diverges in the other."""
        return ((self.predicted < 0) != (self.simulated < 0)) & ~self.undecided


def convergence_map(setting, first, second, *, x, update="simultaneous", steps=1000):
    r"""Return predicted and simulated rates over a grid of settings.

    Args:
        setting: function of two numbers that returns `(game, lr)`.
        first, second: the values of the two numbers.
        x: an equilibrium of all these games.
        update: as in `run`.
        steps: length of the simulated runs.

    Returns:
        A `ConvergenceMap` of NumPy arrays. The computation is in float64.

    Raises:
        ValueError: as `simulated_rate`.

    >>> from gansde_lib import games
    >>> from gansde_lib.games import Players
    >>> rates = np.linspace(0.1, 2.0, 5)
    >>> found = convergence_map(
    ...     lambda eta_theta, eta_omega: (games.quadratic(0.2, 1.0, 0.2), (eta_theta, eta_omega)),
    ...     rates, rates, x=Players(0.0, 0.0), update="alternating", steps=200,
    ... )
    >>> (found.simulated < 0).sum(), found.disagree.sum()
    (np.int64(22), np.int64(0))
    """
    chosen = rule(update)
    with jax.enable_x64(True):
        x = as_players(jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), x))
        check_linearises(chosen, x)

        def both(a, b):
            game, lr = setting(a, b)
            lr = rates(lr)
            return (
                log_radius(_jacobian(game, x, lr, chosen)),
                _simulated_rate(game, x, lr, chosen, 1e-5, steps=int(steps)),
            )

        axes = [np.asarray(axis, np.float64) for axis in (first, second)]
        predicted, simulated = (np.asarray(rate) for rate in jax.jit(lambda a, b: simulate.sweep(both, a, b))(*axes))
    return ConvergenceMap(predicted, simulated, np.abs(predicted) * steps < UNDECIDED)


def limiting_radius(game, x, *, lr, update="normalised", x0=None, steps=10_000):
    r"""Return how far from `x` a run stays in the end: :math:`\limsup_k |x_k - x|`, measured.

    For rules whose steps do not shrink at an equilibrium. In a quadratic game normalised steps commute with scaling, so
    the radius is proportional to the rates.

    Args:
        game, x: the game and an equilibrium of it.
        lr, update: as in `run`.
        x0: the start; by default ten steps of the larger rate from `x`, in the direction (1, cos 1, cos 2, ...).
        steps: length of the run.

    Returns:
        The largest distance over the last quarter of the steps; infinity if that exceeds the quarter before it by more
        than a tenth, as it does when the run still grows.

    Raises:
        ValueError: for fewer than 8 steps, rates that are not positive, an unknown rule.

    >>> from gansde_lib import games
    >>> from gansde_lib.games import Players
    >>> limiting_radius(games.quadratic(1.0, 0.0, 1.0), Players(0.0, 0.0), lr=0.01) < 0.0142
    Array(True, dtype=bool)
    """
    x, lr, chosen = game.check(x), rates(lr), rule(update)
    _checks.whole("steps", steps, minimum=8, example="steps=10_000")
    if x0 is None:
        flat, unravel = ravel_pytree(x)
        direction = jnp.cos(jnp.arange(flat.size)).astype(flat.dtype)
        x0 = unravel(flat + 10 * jnp.maximum(*lr) * direction / jnp.linalg.norm(direction))
    return _limiting_radius(game, x, lr, chosen, game.check(x0), steps=int(steps))


@functools.partial(jax.jit, static_argnames="steps")
def _limiting_radius(game, x, lr, rule, x0, *, steps):
    field, centre = stochastic_field(game), ravel_pytree(x)[0]

    def step(k, state):
        state, largest = state
        state = rule.step(field, *state, lr=lr, key=jax.random.key(0))
        seen = jnp.linalg.norm(ravel_pytree(state[0])[0] - centre)
        return state, largest.at[4 * k // steps].max(seen)

    start = ((x0, rule.init(x0)), jnp.zeros(4, centre.dtype))
    _, largest = jax.lax.fori_loop(0, steps, step, start)
    return jnp.where(largest[3] <= 1.1 * largest[2], largest[3], jnp.inf)
