"""Gaussian noise with exactly the covariance of a minibatch, without ever forming that covariance."""

import functools

import jax
import jax.numpy as jnp

from gansde_lib.games import Players
from gansde_lib.games.game import values
from gansde_lib.noise.samples import check_batch, sizes


def sample(game, x, *, batch, shared_batch=False, key):
    r"""Return one Gaussian vector with mean zero and the covariance of a minibatch field.

    .. math:: \frac{1}{\sqrt{NB}} \sum_i (\xi_i - \bar\xi)\, F_i, \qquad \xi_i \sim \mathcal N(0, 1),

    has covariance :math:`\Sigma / B` exactly, because :math:`\operatorname{Cov}(\xi_i - \bar\xi, \xi_j - \bar\xi) =
    \delta_{ij} - 1/N`. It costs one gradient of a weighted payoff, as much as a full gradient, and no matrix.

    Args:
        game, x: the game and the point.
        batch: B; may be a slider's value.
        shared_batch: whether both players use the same weights. If not, each has its own and the cross block is zero.
        key: random key.

    Returns:
        `Players` shaped like x.

    Raises:
        ValueError: if x does not fit the game, or for a batch below 1 or above the number of samples.

    >>> from gansde_lib import games
    >>> sample(games.toy_gan(), Players(jnp.zeros(2), jnp.ones(2)), batch=4, key=jax.random.key(0)).omega.shape
    (2,)
    """
    return _sample(game, game.check(x), check_batch(game, batch), key, shared_batch=bool(shared_batch))


@functools.partial(jax.jit, static_argnames="shared_batch")
def _sample(game, x, batch, key, *, shared_batch):
    dtype = jnp.result_type(*jax.tree.leaves(x))

    def weights(key):
        draws = jax.random.normal(key, sizes(game), dtype)
        return (draws - draws.mean()) / jnp.sqrt(jnp.asarray(game.size * batch, dtype))

    both = (weights(key),) * 2 if shared_batch else tuple(map(weights, jax.random.split(key)))
    generator_payoff = game.payoff if game.zero_sum else game.generator_payoff

    def weighted(payoff, weight, y):
        return jnp.sum(weight * values(payoff, y, game.samples))

    descent = jax.grad(lambda theta: weighted(generator_payoff, both[0], Players(theta, x.omega)))(x.theta)
    ascent = jax.grad(lambda omega: weighted(game.payoff, both[1], Players(x.theta, omega)))(x.omega)
    return Players(jax.tree.map(jnp.negative, descent), ascent)
