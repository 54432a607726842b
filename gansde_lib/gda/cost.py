"""What a step of a rule costs, counted in the compiled program."""

import jax
import jax.numpy as jnp

from gansde_lib.games import Players
from gansde_lib.gda.implicit import Implicit
from gansde_lib.gda.plain import move_both
from gansde_lib.gda.rules import rates, rule


def cost(update, *, size=64):
    r"""Return how many evaluations of the field the floating-point operations of one step amount to.

    Counted by XLA in the compiled step of a quadratic game with `size` parameters a side, where products with matrices
    dominate, and divided by the count of one field. Evaluations that are shared or thrown away do not count: the
    alternating rule asks for the field twice and uses half of each.

    Args:
        update: a rule or its name; not the implicit rule, whose cost depends on the game: one evaluation of the field
            for each Newton iteration and one before, and in each as many products with its derivative as GMRES takes.
        size: parameters of each player.

    Raises:
        ValueError: for the implicit rule.

    >>> round(cost("extragradient"), 1)
    2.0
    """
    chosen = rule(update)
    if isinstance(chosen, Implicit):
        raise ValueError(
            "the cost of an implicit step depends on the game: its solver stops when it is done; "
            'for example cost("extragradient")'
        )
    key = jax.random.key(0)
    x = Players(jnp.ones(size), jnp.ones(size))
    matrices = [jax.random.normal(jax.random.fold_in(key, k), (size, size)) for k in range(3)]

    def field_of(P, C, Q):
        return lambda x, key: Players(-(P @ x.theta + C @ x.omega), C.T @ x.theta - Q @ x.omega)

    def step(x, memory, *matrices):
        return chosen.step(field_of(*matrices), x, memory, lr=rates(0.1), key=key)

    def operations(function, *arguments):
        return jax.jit(function).lower(*arguments).compile().cost_analysis()["flops"]

    once = operations(lambda x, *matrices: move_both(x, rates(0.1), field_of(*matrices)(x, key)), x, *matrices)
    return operations(step, x, chosen.init(x), *matrices) / once
