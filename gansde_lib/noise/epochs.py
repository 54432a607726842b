"""Minibatches without replacement: each epoch goes through all samples in a new order."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from gansde_lib import _checks, gda, simulate
from gansde_lib.games import Players, Product
from gansde_lib.noise.samples import check_batch, pair, sizes, take


def epoch_order(game, *, batch, key):
    """Return the minibatches of one epoch as sample numbers: every sample once, in random order.

    Args:
        game: the game.
        batch: size of a minibatch. If it does not divide the number of samples, the last few of the order are left
            out, as data loaders do that drop the last batch.
        key: random key.

    Returns:
        An integer array of shape (n, batch), n being the number of minibatches, along a leading axis for each factor
        of the samples: (1, n, batch), or for a `Product` (2, n, batch), the real and the latent numbers, where the
        smaller factor sets n.

    Raises:
        ValueError: for a batch below 1 or above the number of samples (for a `Product`, of either factor).

    >>> from gansde_lib import games
    >>> epoch_order(games.toy_gan(), batch=10, key=jax.random.key(0)).shape
    (2, 3, 10)
    """
    batch = check_batch(game, batch, replacement=False)
    count = min(sizes(game)) // batch
    orders = [
        jax.random.permutation(jax.random.fold_in(key, factor), size)[: count * batch].reshape(count, batch)
        for factor, size in enumerate(sizes(game))
    ]
    return jnp.stack(orders)


def run_epochs(game, x0, *, lr, epochs, batch, update="simultaneous", shared_batch=False, key, every=1):
    """Train with minibatches drawn without replacement and return every update.

    Args:
        game, x0, lr: as in `gda.run`.
        epochs: how often to go through all samples, each time in a new random order.
        batch: size of a minibatch; see `epoch_order` for one that does not divide the number of samples.
        update: a rule or its name. Each update uses one minibatch for each player; a rule that looks at the field more
            than once sees the same one again.
        shared_batch: whether both players see the same minibatches. If not, each player has an order of its own.
        key: random key.
        every: distance of the recorded updates, a divisor of their number.

    Returns:
        `Players` with a leading axis of length epochs * (N // batch) + 1.

    Raises:
        ValueError: as `gda.run`, and for a batch above the number of samples.

    >>> from gansde_lib import games
    >>> start = Players(jnp.zeros(2), jnp.ones(2))
    >>> run_epochs(games.toy_gan(), start, lr=0.1, epochs=5, batch=8, key=jax.random.key(0)).theta.shape
    (21, 2)
    """
    x0, lr, chosen = game.check(x0), gda.rates(lr), gda.rule(update)
    _checks.whole("epochs", epochs, minimum=1, example="run_epochs(game, x0, lr=0.1, epochs=5, batch=32, key=key)")
    batch = check_batch(game, batch, replacement=False)
    steps = epochs * (min(sizes(game)) // batch)
    _checks.whole("every", every, minimum=1, example="every=1")
    if steps % every:
        raise ValueError(f"every must divide the {steps} updates, found {every}; for example every=1")
    lr = Players(*(jnp.asarray(rate, jnp.result_type(float)) for rate in lr))
    fixed = {"epochs": int(epochs), "batch": int(batch), "shared_batch": bool(shared_batch), "every": every}
    return _run_epochs(game, x0, lr, chosen, key, **fixed)


@functools.partial(jax.jit, static_argnames=("epochs", "batch", "shared_batch", "every"))
def _run_epochs(game, x0, lr, rule, key, *, epochs, batch, shared_batch, every):
    order_key, rule_key = jax.random.split(key)

    def orders(number):
        keys = jax.random.split(jax.random.fold_in(order_key, number))
        return jnp.stack([epoch_order(game, batch=batch, key=k) for k in keys], axis=2)

    # (epoch, factor, minibatch, player, sample) -> (update, player, factor, sample)
    numbers = jnp.moveaxis(jax.vmap(orders)(jnp.arange(epochs)), 1, 3)
    numbers = numbers.reshape(-1, *numbers.shape[2:])

    def step(state, key):
        players, memory, k = state

        def field(y, _):
            if shared_batch:
                return game.field(y, _minibatch(game, numbers[k, 0]))
            theta, omega = (_minibatch(game, numbers[k, player]) for player in (0, 1))
            return Players(game.field(y, theta).theta, game.field(y, omega).omega)

        return *rule.step(field, players, memory, lr=lr, key=key), k + 1

    steps = numbers.shape[0]
    start = (x0, rule.init(x0), jnp.int32(0))
    return simulate.trajectory(step, start, steps=steps, key=rule_key, every=every)[0]


def _minibatch(game, numbers):
    """The samples of one minibatch, from their numbers along an axis for each factor."""
    return pair(game, *numbers) if isinstance(game.samples, Product) else take(game, numbers[0])


def epoch_correlation(count):
    r"""Return the correlation matrix of the minibatch means of one epoch, of which there are `count`.

    They add up to the full mean, so that any two of them have the correlation :math:`-1/(n - 1)`:

    .. math:: C_{jk} = \frac{n\,\delta_{jk} - 1}{n - 1}.

    >>> epoch_correlation(3)
    array([[ 1. , -0.5, -0.5],
           [-0.5,  1. , -0.5],
           [-0.5, -0.5,  1. ]])
    """
    _checks.whole("count", count, minimum=2, example="epoch_correlation(10)")
    return (count * np.eye(count) - 1) / (count - 1)


def stationary_variance(lr, *, damping, variance, count=1, replacement=False):
    r"""Return the variance of a damped coordinate at the ends of epochs of `count` updates, in the stationary state.

    For :math:`u' = (1 - \eta m) u + \eta\,\xi_k` with the noise of minibatches and :math:`p_k = (1 - \eta m)^{n-1-k}`,

    .. math:: \operatorname{Var} u = \frac{\eta^2 s\; p^\top C p}{1 - (1 - \eta m)^{2n}},

    where C is `epoch_correlation`, or the identity with replacement (and then n does not matter).

    Args:
        lr: eta, one rate.
        damping: m, with 0 < eta m < 2.
        variance: s, the variance of the noise of one minibatch.
        count: n, the number of updates in an epoch; at least 2 without replacement.
        replacement: whether minibatches are drawn with replacement.

    Raises:
        ValueError: if eta m is not between 0 and 2.

    >>> stationary_variance(0.1, damping=1.0, variance=1.0, replacement=True).round(5)  # eta s / (m (2 - eta m))
    np.float64(0.05263)
    """
    if not 0 < lr * damping < 2:
        raise ValueError(
            f"lr times damping must lie between 0 and 2, found {lr} and {damping}; "
            "for example stationary_variance(0.1, damping=1.0, variance=1.0, count=8)"
        )
    powers = (1 - lr * damping) ** np.arange(count)[::-1]
    correlation = np.eye(count) if replacement else epoch_correlation(count)
    return lr**2 * variance * (powers @ correlation @ powers) / (1 - (1 - lr * damping) ** (2 * count))
