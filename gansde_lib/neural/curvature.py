"""How steeply the payoff bends under the discriminator, which limits the learning rate."""

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from gansde_lib import _checks
from gansde_lib.games import Players, as_players


def sharpness(game, x, *, iterations=40):
    r"""Return the eigenvalue of largest modulus of :math:`-\Phi_{\omega\omega}`, by power iteration.

    Descent-ascent at rate eta multiplies deviations along its eigenvector by 1 - eta s: they grow once eta s > 2.

    Args:
        game, x: the game and the point.
        iterations: number of products of the Hessian with a vector; the matrix is never formed. The error falls by
            the ratio of the second modulus to the first at each of them.

    >>> from gansde_lib import games
    >>> sharpness(games.quadratic(1.0, 2.0, 3.0), games.Players(0.0, 0.0))
    Array(3., dtype=float32)
    """
    _checks.whole("iterations", iterations, minimum=1, example="sharpness(game, x, iterations=40)")
    x = as_players(x)
    omega, unravel = ravel_pytree(x.omega)

    def ascent(flat):
        return ravel_pytree(game.field(Players(x.theta, unravel(flat))).omega)[0]

    def iterate(_, state):
        direction = state[0] / jnp.linalg.norm(state[0])
        image = -jax.jvp(ascent, (omega,), (direction,))[1]
        return image, direction @ image

    start = jax.random.normal(jax.random.key(0), omega.shape, omega.dtype), jnp.zeros((), omega.dtype)
    return jax.lax.fori_loop(0, iterations, iterate, start)[1]
