"""The implicit (proximal) step, solved by Newton's method with matrix-free GMRES."""

from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy.sparse.linalg import gmres

from gansde_lib import _checks
from gansde_lib.gda.plain import move_both, norm, register


@register
@dataclass(frozen=True)
class Implicit:
    r"""Both players move by the field at the point they will reach.

    .. math:: x' = x + \eta F(x').

    Newton's method starts at x and stops when the residual :math:`|x' - x - \eta F(x')|` is at most `tolerance` times
    its value there, the length of the explicit step, or ten roundings of :math:`|x| + |\eta F(x)|`. If that takes more
    than `iterations`, the new point is NaN: a run shows where the solver failed instead of going on with something
    that is not the rule. The derivative of a step comes from the implicit function theorem.
    """

    tolerance: Any = 1e-4
    iterations: int = field(default=20, metadata={"static": True})

    def init(self, x):
        """Return the empty memory."""
        return ()

    def step(self, field, x, memory, *, lr, key):
        """Solve for the new point."""

        def residual(y):
            return jax.tree.map(jnp.subtract, y, move_both(x, lr, field(y, key)))

        def solve(residual, start):
            first = norm(residual(start))
            rounding = 10 * jnp.finfo(first.dtype).eps * (norm(start) + first)
            y, reached, _ = self.newton(residual, start, jnp.maximum(self.tolerance * first, rounding))
            return jax.tree.map(lambda leaf: jnp.where(reached, leaf, jnp.nan), y)

        return jax.lax.custom_root(residual, x, solve, _solve_linear), memory

    def newton(self, residual, start, target):
        """Return `(y, reached, iterations)`: Newton's method until the norm of the residual is at most `target`."""

        def unfinished(state):
            _, error, iteration = state
            return (error > target) & (iteration < self.iterations)

        def improve(state):
            y, _, iteration = state
            value, push = jax.linearize(residual, y)
            y = jax.tree.map(jnp.subtract, y, _solve_linear(push, value))
            return y, norm(residual(y)), iteration + 1

        y, error, count = jax.lax.while_loop(unfinished, improve, (start, norm(residual(start)), jnp.int32(0)))
        return y, error <= target, count


def _solve_linear(matrix, right):
    """Solve a linear system given by products with its matrix; to about six digits, or nine in float64."""
    precision = 1e-6 if norm(right).dtype == jnp.float32 else 1e-9
    return gmres(matrix, right, tol=precision)[0]


def implicit(tolerance=1e-4, iterations=20):
    """Return the implicit rule: no limit on the rate in a convex-concave game, a nonlinear solve in every step.

    Args:
        tolerance: largest residual, relative to the length of the explicit step.
        iterations: most Newton steps; a step that needs more returns NaN.

    Raises:
        ValueError: for a tolerance that is not positive, or fewer than one iteration.

    Source: Rockafellar (1976) for proximal steps of saddle problems.

    >>> from gansde_lib import games, gda
    >>> path = gda.run(games.bilinear(1.0), games.Players(1.0, 0.0), lr=1.0, steps=1, update=implicit())
    >>> path.theta[1].round(4), path.omega[1].round(4)
    (Array(0.5, dtype=float32), Array(0.5, dtype=float32))
    """
    _checks.positive("tolerance", tolerance, example="implicit(tolerance=1e-4)")
    _checks.whole("iterations", iterations, minimum=1, example="implicit(iterations=20)")
    return Implicit(tolerance, int(iterations))
