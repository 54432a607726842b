"""Whole training runs, with full or minibatch gradients."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from gansde_lib import _checks, simulate
from gansde_lib.games import Players
from gansde_lib.gda.rules import rates, rule


def stochastic_field(game, *, batch=None, shared_batch=False):
    """Return `field(x, key)`: the game's field on a minibatch drawn from `key` (`batch=None`: on all samples).

    With `shared_batch=False` the two players' gradients use independent draws.

    >>> from gansde_lib import games
    >>> field = stochastic_field(games.toy_gan(), batch=4)
    >>> field(Players(jnp.zeros(2), jnp.ones(2)), jax.random.key(0)).theta.shape
    (2,)
    """
    choose, field = _minibatches(game, batch, shared_batch)
    return lambda x, key: field(x, choose(key))


def _minibatches(game, batch, shared_batch):
    """The numbers of the samples in a step's batches as a function of its key, and the field on them."""
    if batch is None:
        return lambda key: key, lambda x, chosen: game.field(x)
    _checks.whole("batch", batch, minimum=1, example="batch=32, or batch=None for full gradients")
    if batch > game.size:
        raise ValueError(f"batch={batch} exceeds the game's {game.size} samples; for example batch=None uses them all")
    if shared_batch:
        return lambda key: game.choose(key, batch), lambda x, chosen: game.field(x, game.take(chosen))

    def choose(key):
        return Players(*(game.choose(player_key, batch) for player_key in jax.random.split(key)))

    def field(x, chosen):
        theta_field, omega_field = (game.field(x, game.take(part)) for part in chosen)
        return Players(theta_field.theta, omega_field.omega)

    return choose, field


def run(game, x0, *, lr, steps, update="simultaneous", batch=None, shared_batch=False, key=None, every=1, record=None):
    """Train from `x0` and return the whole trajectory.

    Args:
        game: the game.
        x0: `Players`, the start.
        lr: learning rate, or (eta_theta, eta_omega).
        steps: number of updates.
        update: name of a rule, or a rule object such as `alternating(5)`.
        batch: minibatch size, drawn with replacement; None for full gradients.
        shared_batch: whether both players see the same draw.
        key: random key, needed if `batch` is given.
        every: distance of the recorded steps, a divisor of `steps`; more than 1 saves memory for networks.
        record: function of players and the rule's memory, what to keep of each recorded state; by default the rule's
            own `read(x, memory)` (see `averaged`), or the players.

    Returns:
        `Players` (or what `record` returns) with a leading axis of length `steps + 1` (`steps // every + 1`). A
        diverging run is returned as it is, with infinities; see `diverged_at`.

    Raises:
        ValueError: for rates that are not positive, negative steps, an unknown rule, a batch below 1 or above the
            number of samples, a missing key, an `every` that does not divide the steps, a start that is not finite or
            does not fit the game.

    >>> from gansde_lib import games
    >>> path = run(games.bilinear(1.0), games.Players(1.0, 0.0), lr=0.1, steps=100, update="alternating")
    >>> path.theta.shape
    (101,)
    """
    x0, lr, chosen = game.check(x0), rates(lr), rule(update)
    _checks.whole("steps", steps, minimum=0, example="steps=1000")
    if batch is not None and key is None:
        raise ValueError("minibatches need a random key, found key=None; for example key=jax.random.key(0)")
    stochastic_field(game, batch=batch)  # checks the batch before anything is traced
    key = jax.random.key(0) if key is None else key  # full gradients never look at it
    lr = Players(*(jnp.asarray(rate, jnp.result_type(float)) for rate in lr))
    sizes = {"steps": int(steps), "every": every, "batch": batch, "shared_batch": bool(shared_batch)}
    return _run(game, x0, lr, chosen, key, record=record, **sizes)


@functools.partial(jax.jit, static_argnames=("steps", "every", "batch", "shared_batch", "record"))
def _run(game, x0, lr, rule, key, *, steps, every, batch, shared_batch, record):
    if getattr(rule, "one_draw", False):
        choose, field = _minibatches(game, batch, shared_batch)
    else:  # the rule may make keys of its own
        choose, field = None, stochastic_field(game, batch=batch, shared_batch=shared_batch)

    def step(state, drawn):
        return rule.step(field, *state, lr=lr, key=drawn)

    states = simulate.trajectory(step, (x0, rule.init(x0)), steps=steps, key=key, every=every, draw=choose)
    read = record or getattr(rule, "read", None)
    return jax.vmap(read)(*states) if read else states[0]


def diverged_at(path, *, bound=1e6):
    """Return the first step at which a trajectory is not finite or exceeds `bound`, or None if it never does.

    >>> diverged_at(Players(jnp.array([1.0, 1e3, 1e9, jnp.nan]), jnp.zeros(4)))
    2
    """
    leaves = [np.reshape(leaf, (np.shape(leaf)[0], -1)) for leaf in jax.tree.leaves(path)]
    inside = np.all([np.all(np.abs(leaf) <= bound, axis=1) for leaf in leaves], axis=0)  # NaN compares as False
    return None if inside.all() else int(np.argmin(inside))
