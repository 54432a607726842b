"""Training runs that keep every k-th step only, with payoff and gradient norms, and if wanted averaged players."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from gansde_lib import gda
from gansde_lib.games import Players
from gansde_lib.gda.plain import norm


class Run(NamedTuple):
    """A recorded run; every array has a leading axis over the recorded steps.

    `steps`; `players`; `payoff`, the mean payoff on all samples; `gradients`, the Euclidean norms of the two players'
    full gradients, as `Players`; `average`, the players' exponential moving averages, or None.
    """

    steps: Any
    players: Players
    payoff: Any
    gradients: Players
    average: Players | None = None


def train(game, x0, *, lr, steps, every=100, update="simultaneous", ema=None, **options):
    """Train as `gda.run` does, recording every `every`-th step with payoff and gradient norms on all samples.

    Args:
        game, x0, lr, steps, every: as in `gda.run`.
        update: a rule or its name, such as "alternating" or `gda.adam(0.5, order="alternating")`.
        ema: weight of the past in an exponential moving average of the players, in [0, 1), for example 0.99. The
            average is recorded beside the players and does not change the run.
        **options: `batch`, `shared_batch` and `key`, as in `gda.run`.

    Returns:
        A `Run` with `steps // every + 1` records. A diverging run is returned as it is.

    Raises:
        ValueError: as `gda.run` and `gda.averaged`.

    It may be mapped over starts, keys, rates and penalties by `jax.vmap`; changing these compiles nothing again.

    >>> from gansde_lib import neural
    >>> game, x0 = neural.digits_gan(key=jax.random.key(0))
    >>> train(game, x0, lr=0.1, steps=20, every=10, batch=32, key=jax.random.key(1)).payoff.shape
    (3,)
    """
    options = {"lr": lr, "steps": steps, "every": every} | options
    if ema is None:
        players, average = gda.run(game, x0, update=update, **options), None
    else:
        players, average = gda.run(game, x0, update=gda.averaged(update, ema), record=_both, **options)
    return Run(every * jnp.arange(steps // every + 1), players, *_measure(game, players), average)


def _both(x, memory):
    return x, memory.average


@jax.jit
def _measure(game, players):
    """Payoff and gradient norms along recorded players, one record at a time to keep memory small."""

    def measure(x):
        return game.value(x), Players(*map(norm, game.field(x)))

    return jax.lax.map(measure, players)
