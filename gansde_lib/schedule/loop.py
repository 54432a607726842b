"""A rule of `gda` for scheduled players: each by itself or both together, and with the scatter of two half batches."""

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp

from gansde_lib.games import Players
from gansde_lib.gda.adaptive import as_pair
from gansde_lib.gda.plain import check_order, dot, move, move_both, register, take_turns


@register
@dataclass(frozen=True)
class Scheduled:
    """Players whose steps are those of two transformations, or of one for both; see `scheduled`."""

    transformation: Players
    order: str = field(default="simultaneous", metadata={"static": True})
    joint: bool = field(default=False, metadata={"static": True})
    halves: bool = field(default=False, metadata={"static": True})

    def init(self, x):
        """Return the state of each player's transformation, or that of the joint one."""
        if self.joint:
            return self.transformation.theta.init(x)
        return Players(*(own.init(part) for own, part in zip(self.transformation, x, strict=True)))

    def step(self, field, x, memory, *, lr, key):
        """Move both players as their transformations say."""

        def measure(x, key):
            """For each player the gradient of what it minimises, and its scatter, or None."""
            if not self.halves:
                return Players(*((jax.tree.map(jnp.negative, force), None) for force in field(x, key)))
            first, second = (field(x, half) for half in jax.random.split(key))
            mean = jax.tree.map(lambda a, b: -(a + b) / 2, first, second)
            gap = jax.tree.map(jnp.subtract, first, second)
            return Players(*((g, dot(d, d) / 4) for g, d in zip(mean, gap, strict=True)))

        if self.joint:
            gradient, scatter = (Players(*part) for part in zip(*measure(x, key), strict=True))
            extra = {"scatter": sum(scatter)} if self.halves else {}
            update, memory = self.transformation.theta.update(gradient, memory, x, **extra)
            return move_both(x, lr, update), memory

        def advance(player, position, force, memory):
            gradient, scatter = force
            extra = {} if scatter is None else {"scatter": scatter}
            update, memory = self.transformation[player].update(gradient, memory, position, **extra)
            return move(position, lr[player], update), memory

        return take_turns(self.order, advance, measure, x, memory, key)


def scheduled(transformation, order="simultaneous", *, joint=False, halves=False):
    """Return the rule in which transformations with rates of their own move the players; run it with `lr=1`.

    Args:
        transformation: as in `gda.optax_rule`: one for both players, of which each has a copy, or `Players` of two.
        order: "simultaneous", or "alternating" with omega first.
        joint: whether one transformation moves both players together, as if they were one, with one rate and one
            record. Simultaneous updates only.
        halves: whether each step draws *two* minibatches of the run's size, moves by the mean of their gradients, and
            hands over `scatter`, a quarter of the squared distance of the two. Its mean is the trace of the covariance
            of the mean gradient, without a gradient of any single sample.

    Raises:
        ValueError: for an unknown order, an object without init and update, or two transformations or alternating
            updates with `joint`.

    >>> from gansde_lib import games, gda, schedule
    >>> game, rule = games.toy_gan(), scheduled(schedule.sum_rule(0.05, every=10), joint=True, halves=True)
    >>> options = {"lr": 1.0, "steps": 30, "batch": 2, "key": jax.random.key(0)}
    >>> start = Players(jnp.zeros(2), jnp.zeros(2))
    >>> rates = gda.run(game, start, update=rule, record=lambda x, memory: memory.rate, **options)
    >>> rates.shape
    (31,)
    """
    if joint and (order != "simultaneous" or isinstance(transformation, Players)):
        raise ValueError(
            "joint needs one transformation and simultaneous updates, found "
            f"{'two transformations' if isinstance(transformation, Players) else f'order={order!r}'}; for example "
            "scheduled(exact_rule(0.1), joint=True)"
        )
    return Scheduled(as_pair(transformation), check_order(order), bool(joint), bool(halves))
