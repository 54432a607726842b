"""Rules that rescale the gradient: normalised steps, and any gradient transformation of optax, Adam first."""

import functools
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import optax
from jax.tree_util import Partial

from gansde_lib.games import Players
from gansde_lib.gda.plain import check_order, dot, move, register, take_turns


@register
@dataclass(frozen=True)
class Normalised:
    r"""Each player's force is divided by its own Euclidean norm: steps of lengths :math:`\eta_\theta, \eta_\omega`.

    .. math:: \theta' = \theta + \eta_\theta F_\theta / |F_\theta|, \qquad \omega' = \omega + \eta_\omega F_\omega /
              |F_\omega|.

    A player whose force is exactly zero stays. The steps do not shrink near an equilibrium, so there is nothing to
    linearise: see `limiting_radius`.
    """

    order: str = field(default="alternating", metadata={"static": True})
    linearises = False

    def init(self, x):
        """Return the empty memory, one for each player."""
        return Players((), ())

    def step(self, field, x, memory, *, lr, key):
        """Move each player by its rate in the direction of its force."""

        def advance(player, position, force, memory):
            square = dot(force, force)
            inverse = jnp.where(square > 0, 1 / jnp.sqrt(jnp.where(square > 0, square, 1)), 0)
            return move(position, lr[player] * inverse, force), memory

        return take_turns(self.order, advance, field, x, memory, key)


def normalised(order="alternating"):
    """Return the rule that takes steps of fixed length; "alternating" (the default) or "simultaneous".

    >>> normalised()
    Normalised(order='alternating')
    """
    return Normalised(check_order(order))


@register
@dataclass(frozen=True)
class Optax:
    r"""A gradient transformation of optax, one copy for each player.

    .. math:: \theta' = \theta + \eta_\theta T(-F_\theta), \qquad \omega' = \omega + \eta_\omega T(-F_\omega),

    where T maps the gradient of what a player minimises to its update; it is built for the learning rate 1, and the
    player's rate scales what it returns. `transformation` holds one T for each player. Its functions are part of the
    structure; numbers that they carry, as those of `jax.tree_util.Partial` do, are leaves.
    """

    transformation: Players
    order: str = field(default="simultaneous", metadata={"static": True})

    def init(self, x):
        """Return the state of the transformation for each player."""
        return Players(*(own.init(part) for own, part in zip(self.transformation, x, strict=True)))

    def step(self, field, x, memory, *, lr, key):
        """Let the transformation turn each player's gradient into its update."""

        def advance(player, position, force, memory):
            gradient = jax.tree.map(jnp.negative, force)
            update, memory = self.transformation[player].update(gradient, memory, position)
            return move(position, lr[player], update), memory

        return take_turns(self.order, advance, field, x, memory, key)


def optax_rule(transformation, order="simultaneous"):
    """Return the rule that gives each player its own copy of an `optax.GradientTransformation`.

    Args:
        transformation: built for the learning rate 1, such as `optax.rmsprop(1.0)`: `lr` of the run scales it. Or
            `Players` of two. Keep the object: a run with another one, even an equal one, compiles again, unless its
            init and update are `jax.tree_util.Partial` of the same functions, as those of `schedule` are.
        order: "simultaneous", or "alternating" with omega first.

    Raises:
        ValueError: for an unknown order, or an object without init and update.

    >>> from gansde_lib import games, gda
    >>> options = {"lr": 0.1, "steps": 3}
    >>> path = gda.run(games.bilinear(1.0), Players(1.0, 0.0), update=optax_rule(optax.sgd(1.0)), **options)
    >>> bool((path.theta == gda.run(games.bilinear(1.0), Players(1.0, 0.0), **options).theta).all())
    True
    """
    return Optax(as_pair(transformation), check_order(order))


def as_pair(transformation):
    """Return `Players` of two transformations, from two or from one for both, as pytrees.

    >>> as_pair(optax.sgd(1.0)).theta.update == as_pair(optax.sgd(1.0)).omega.update  # other functions
    False
    """

    def as_tree(one):
        if not (hasattr(one, "init") and hasattr(one, "update")):
            raise ValueError(
                f"transformation must be an optax.GradientTransformation, found {one!r}; "
                "for example optax_rule(optax.rmsprop(1.0))"
            )
        functions = (f if isinstance(f, Partial) else Partial(f) for f in (one.init, one.update))
        return optax.GradientTransformationExtraArgs(*functions)

    both = transformation if isinstance(transformation, Players) else (transformation, transformation)
    return Players(*map(as_tree, both))


@functools.cache  # equal settings give the same object, so that runs with them share what was compiled
def adam(beta1=0.9, beta2=0.999, epsilon=1e-8, order="simultaneous"):
    r"""Return Adam for both players, by optax.

    .. math:: m' = \beta_1 m + (1 - \beta_1) g, \quad v' = \beta_2 v + (1 - \beta_2) g^2, \quad
              x' = x - \eta\, \hat m' / (\sqrt{\hat v'} + \varepsilon),

    where the hats divide by :math:`1 - \beta^k` in step k. GANs are often trained with `beta1=0.5` or 0.

    The steps of Adam depend on the clock k, so it has no single one-step map to linearise. What becomes of it close
    to an equilibrium, where the gradients are far below epsilon, is `momentum(beta1)` at the rate
    :math:`\eta (1 - \beta_1) / \varepsilon`: with the usual epsilon far beyond any limit, so that it does not come
    to rest there. See `limiting_radius`.

    >>> from gansde_lib import games, gda
    >>> path = gda.run(games.dirac(penalty=0.3), Players(1.0, 0.5), lr=0.01, steps=1, update=adam())
    >>> (path.theta[1] - path.theta[0]).round(4)  # the first step has the length of the rate
    Array(-0.01, dtype=float32)
    """
    return optax_rule(optax.adam(1.0, beta1, beta2, epsilon), order)
