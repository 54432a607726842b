"""Many training runs with minibatches, side by side."""

import functools

import jax.numpy as jnp
from jax.tree_util import Partial

from gansde_lib import _checks, simulate
from gansde_lib.games import Players, Product
from gansde_lib.gda.plain import Alternating, Simultaneous, move
from gansde_lib.gda.rules import rates, rule

CALL = "ensemble(game, x0, lr=0.1, steps=1000, batch=4, size=1000, key=jax.random.key(0))"


def ensemble(
    game, x0, *, lr, steps, batch, size, key, update="simultaneous", shared_batch=False, observe=None, every=None, **how
):
    """Train `size` times from `x0` with independent minibatches; return the final players, or averages on the way.

    The engine of `simulate.paths` for plain rules: many times as fast as as many `run`s, which draw their minibatches
    otherwise. Other rules go through `simulate.ensemble`.

    Args:
        game, x0, lr, steps, batch, shared_batch: as in `run`.
        size: number of runs.
        key: random key of the ensemble.
        update: "simultaneous", "alternating", or `alternating(inner_steps)`.
        observe: pure function of the players; with it, `simulate.Averages` of its values over the runs are returned,
            and no run is stored.
        every: distance of the updates at which to observe, a divisor of `steps`; by default the start and the end.
        **how: `workers`, `progress` and `store`, see `simulate.work.pieces`.

    Returns:
        `Players` with a leading axis of length `size`, or `simulate.Averages` along an axis of times.

    Raises:
        ValueError: as `run`, for a rule with memory, and without a batch.

    >>> import jax, numpy as np
    >>> from gansde_lib import games
    >>> game = games.quadratic(1.0, 1.0, 1.0, samples={"a": np.array([1.0, -1.0]), "b": np.array([1.0, -1.0])})
    >>> ends = ensemble(game, Players(0.0, 0.0), lr=0.1, steps=100, batch=1, size=4000, key=jax.random.key(0))
    >>> bool(abs(ends.theta.var() / (0.1 / (2 - 0.1 * 2)) - 1) < 0.09)  # 4 standard errors
    True
    """
    x0, lr, chosen = game.check(x0), rates(lr), rule(update)
    if type(chosen) not in (Simultaneous, Alternating):
        raise ValueError(
            f'an ensemble needs a plain rule, found {chosen!r}; for example update="alternating", or run(...) inside '
            "simulate.ensemble"
        )
    _checks.whole("batch", batch, minimum=1, example=CALL)
    if batch > game.size:
        raise ValueError(f"batch={batch} exceeds the game's {game.size} samples; for example batch={game.size}")
    draws = (2, batch) if isinstance(game.samples, Product) else (batch,)
    rounds = getattr(chosen, "inner_steps", 1) + (not shared_batch)
    lr = Players(*(jnp.asarray(rate, jnp.result_type(float)) for rate in lr))
    step = Partial(_update(chosen, bool(shared_batch)), (game, lr))
    noise = [jnp.zeros(draws)] * rounds
    work = {"steps": steps, "size": size, "key": key, "increments": "uniform", "noise": noise, **how}
    if observe is None:
        return simulate.paths(step, x0, **work)
    return simulate.averages(step, x0, observe=observe, every=every, **work)


@functools.cache
def _update(rule, shared_batch):
    """One update of a plain rule as a step of `simulate.paths`: one function for each, so that nothing compiles twice.

    The last minibatch is theta's own, unless it is shared.
    """

    def update(parameters, x, uniform):
        game, lr = parameters
        draws = list(map(game.pick, uniform))
        omega = x.omega
        for draw in draws if shared_batch else draws[:-1]:
            omega = move(omega, lr.omega, game.field(Players(x.theta, omega), draw).omega)
        seen = omega if type(rule) is Alternating else x.omega
        theta = move(x.theta, lr.theta, game.field(Players(x.theta, seen), draws[-1]).theta)
        return Players(theta, omega)

    return update
