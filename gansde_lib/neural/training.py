"""Training runs that keep every k-th step only, with payoff and gradient norms."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from gansde_lib import gda
from gansde_lib.games import Players


class Run(NamedTuple):
    """A recorded run; every array has a leading axis over the recorded steps.

    `steps`; `players`; `payoff`, the mean payoff on all samples; `gradients`, the Euclidean norms of the two players'
    full gradients, as `Players`.
    """

    steps: Any
    players: Players
    payoff: Any
    gradients: Players


def train(game, x0, *, lr, steps, every=100, **options):
    """Train as `gda.run` does, recording every `every`-th step with payoff and gradient norms on all samples.

    Args:
        game, x0, lr, steps, every: as in `gda.run`.
        **options: `update`, `batch`, `shared_batch` and `key`, as in `gda.run`.

    Returns:
        A `Run` with `steps // every + 1` records. A diverging run is returned as it is.

    Raises:
        ValueError: as `gda.run`.

    It may be mapped over starts, keys, rates and penalties by `jax.vmap`; changing these compiles nothing again.

    >>> from gansde_lib import neural
    >>> game, x0 = neural.digits_gan(key=jax.random.key(0))
    >>> train(game, x0, lr=0.1, steps=20, every=10, batch=32, key=jax.random.key(1)).payoff.shape
    (3,)
    """
    players = gda.run(game, x0, lr=lr, steps=steps, every=every, **options)
    return Run(every * jnp.arange(steps // every + 1), players, *_measure(game, players))


@jax.jit
def _measure(game, players):
    """Payoff and gradient norms along recorded players, one record at a time to keep memory small."""

    def measure(x):
        return game.value(x), Players(*map(_norm, game.field(x)))

    return jax.lax.map(measure, players)


def _norm(parameters):
    return jnp.sqrt(sum(jnp.vdot(leaf, leaf) for leaf in jax.tree.leaves(parameters)))
