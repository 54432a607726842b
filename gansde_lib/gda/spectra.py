"""Derivatives of one-step maps, their eigenvalues, and the learning rate at which they leave the unit circle."""

import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize
from jax.flatten_util import ravel_pytree

from gansde_lib.games import as_players
from gansde_lib.gda.rules import rates, rule
from gansde_lib.gda.training import stochastic_field


def jacobian(game, x, *, lr, update="simultaneous"):
    """Return the derivative of the full-gradient one-step map at `x`, for rules with memory of the augmented state.

    Args:
        game, x: the game and the point, usually an equilibrium.
        lr, update: as in `run`.

    Returns:
        A (d, d) matrix in raveled coordinates: theta, then omega, then the rule's memory, which starts as `init(x)`.

    Raises:
        ValueError: for a rule without a linearisation: normalised steps, or a rule with a clock, such as Adam.

    >>> from gansde_lib import games
    >>> jacobian(games.bilinear(1.0), games.Players(0.0, 0.0), lr=0.5)
    Array([[ 1. , -0.5],
           [ 0.5,  1. ]], dtype=float32)
    """
    x, chosen = game.check(x), rule(update)
    check_linearises(chosen, x)
    return _jacobian(game, x, rates(lr), chosen)


def check_linearises(rule, x):
    """Raise `ValueError` if a rule has no one-step map with a derivative at an equilibrium.

    >>> from gansde_lib import games, gda
    >>> check_linearises(gda.normalised(), games.Players(0.0, 0.0))
    Traceback (most recent call last):
    ...
    ValueError: Normalised has no linearisation: its steps do not shrink near an equilibrium; ...
    """
    reason = None
    if not getattr(rule, "linearises", True):
        reason = "its steps do not shrink near an equilibrium"
    elif any(not jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in jax.tree.leaves(jax.eval_shape(rule.init, x))):
        reason = "its memory counts the steps, so that no two of them are the same map"
    if reason:
        raise ValueError(
            f"{type(rule).__name__} has no linearisation: {reason}; for example "
            "gda.limiting_radius(game, x, lr=0.01, update=rule) measures how far from x a run stays"
        )


@jax.jit
def _jacobian(game, x, lr, rule):
    field = stochastic_field(game)
    flat, unravel = ravel_pytree((x, rule.init(x)))

    def one_step(state):
        return ravel_pytree(rule.step(field, *unravel(state), lr=lr, key=jax.random.key(0)))[0]

    return jax.jacfwd(one_step)(flat)


def spectrum(game, x, *, lr, update="simultaneous"):
    """Return the eigenvalues of `jacobian`, largest modulus first.

    >>> from gansde_lib import games
    >>> spectrum(games.quadratic(1.0, 0.0, 0.5), games.Players(0.0, 0.0), lr=0.5)
    array([0.75, 0.5 ], dtype=float32)
    """
    values = np.linalg.eigvals(np.asarray(jacobian(game, x, lr=lr, update=update)))
    return values[np.argsort(-np.abs(values))]


def eigenvalue_pair(matrix):
    """Return the two eigenvalues of a 2 x 2 matrix as (real parts, imaginary parts), in closed form.

    Unlike `spectrum` it is pure JAX and uses no complex numbers, so it can be differentiated and shown live.

    >>> eigenvalue_pair(jnp.array([[0.0, -2.0], [2.0, 0.0]]))
    (Array([0., 0.], dtype=float32), Array([ 2., -2.], dtype=float32))
    """
    centre = (matrix[0, 0] + matrix[1, 1]) / 2
    # ((a - d)/2)^2 + bc rather than centre^2 - det: no cancellation when the two eigenvalues nearly agree.
    discriminant = ((matrix[0, 0] - matrix[1, 1]) / 2) ** 2 + matrix[0, 1] * matrix[1, 0]
    width, turn = jnp.sqrt(jnp.maximum(discriminant, 0)), jnp.sqrt(jnp.maximum(-discriminant, 0))
    return jnp.stack([centre + width, centre - width]), jnp.stack([turn, -turn])


def log_radius(matrix, *, squarings=24):
    r"""Return the logarithm of the spectral radius of a matrix, by repeated squaring.

    .. math:: \log\rho(J) = \lim_n \tfrac1n \log \|J^n\|, \qquad n = 2^{\text{squarings}}.

    Pure JAX without eigenvalues: it can be mapped over large grids, run on a GPU and shown live. The norm is rescaled
    after each squaring. The error is about log(condition number of the eigenvectors) / n, for Jordan blocks log(n) / n,
    and roundings of the matrix. A nilpotent matrix gives -inf.

    >>> bool(abs(log_radius(jnp.array([[0.0, -2.0], [2.0, 0.0]])) - jnp.log(2.0)) < 1e-6)
    True
    """

    def square(k, state):
        matrix, logarithm = state
        matrix = matrix @ matrix
        size = jnp.linalg.norm(matrix)
        return matrix / jnp.where(size > 0, size, 1), logarithm + jnp.log(size) * 0.5 ** (k + 1)

    size = jnp.linalg.norm(matrix)
    start = (matrix / jnp.where(size > 0, size, 1), jnp.log(size))
    return jax.lax.fori_loop(0, squarings, square, start)[1]


def spectral_radius(game, x, *, lr, update="simultaneous"):
    """Return the largest modulus of `spectrum`: below 1, the rule converges to `x` from nearby.

    >>> from gansde_lib import games
    >>> round(float(spectral_radius(games.bilinear(1.0), games.Players(0.0, 0.0), lr=0.5)), 4)
    1.118
    """
    return np.abs(spectrum(game, x, lr=lr, update=update))[0]


def stability_limit(game, x, *, update="simultaneous", lower=1e-6, upper=10.0, tolerance=1e-9):
    """Return the learning rate, equal for both players, at which the spectral radius at `x` crosses 1.

    Found by bisection between a stable rate `lower` and an unstable rate `upper`, in float64.

    Raises:
        ValueError: if the two ends do not bracket the limit.

    >>> from gansde_lib import games
    >>> round(stability_limit(games.quadratic(0.2, 1.0, 0.2), games.Players(0.0, 0.0)), 6)
    0.384615
    """
    with jax.enable_x64(True):
        x = as_players(jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), x))

        def excess(eta):
            return spectral_radius(game, x, lr=eta, update=update) - 1

        ends = (excess(lower), excess(upper))
        if not ends[0] < 0 < ends[1]:
            raise ValueError(
                f"lower={lower} must be stable and upper={upper} unstable, found spectral radii 1 + {ends[0]:.3g} and "
                f"1 + {ends[1]:.3g}; for example stability_limit(games.quadratic(0.2, 1.0, 0.2), Players(0.0, 0.0))"
            )
        return scipy.optimize.bisect(excess, lower, upper, xtol=tolerance)
