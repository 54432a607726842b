"""Minibatches without replacement: which samples they hold, what an epoch cancels, and what is left of the noise."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gansde_lib import Game, Players, games, gda, noise

ORIGIN = Players(0.0, 0.0)
COUNT, BATCH = 12, 3


def recorder(size=COUNT):
    """A game whose players count, in coordinate i, how often they have seen sample i (times rate / batch)."""
    ones = np.eye(size)
    return games.quadratic(0.0, 0.0, 0.0, samples={"a": -ones, "b": -ones}), Players(np.zeros(size), np.zeros(size))


def seen(path, epochs):
    """How often each update saw each sample, along axes (epoch, update, sample)."""
    return [np.rint(np.diff(part, axis=0)).astype(int).reshape(epochs, -1, part.shape[1]) for part in path]


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("update", ["simultaneous", "alternating"])
def test_every_sample_once_an_epoch(update, shared):
    game, x0 = recorder()
    options = {"update": update, "shared_batch": shared, "key": jax.random.key(0)}
    path = noise.run_epochs(game, x0, lr=float(BATCH), epochs=5, batch=BATCH, **options)
    theta, omega = seen(path, 5)
    for player in (theta, omega):
        assert np.all(player.sum(axis=1) == 1) and np.all(player.sum(axis=2) == BATCH)
        assert len({epoch.tobytes() for epoch in player}) == 5  # a new order each time
    assert np.array_equal(theta, omega) == shared


def test_a_remainder_is_left_out():
    """Of 12 samples in batches of 5 an epoch sees ten, others each time, and all of them in the long run."""
    game, x0 = recorder()
    path = noise.run_epochs(game, x0, lr=5.0, epochs=40, batch=5, key=jax.random.key(1))
    assert path.theta.shape == (81, COUNT)
    theta = seen(path, 40)[0].sum(axis=1)
    assert np.all(theta.sum(axis=1) == 10) and theta.max() == 1
    assert theta.sum(axis=0).min() > 20


def test_pairs_of_a_product_are_drawn_by_factor():
    """Real and latent numbers each come once an epoch, in orders of their own; the smaller factor ends the epoch."""

    def payoff(theta, omega, sample):
        return jnp.vdot(omega, sample.real) - jnp.vdot(theta, sample.latent)

    game = Game(payoff, games.Product(np.eye(8), np.eye(6)))
    x0 = Players(np.zeros(6), np.zeros(8))
    path = noise.run_epochs(game, x0, lr=2.0, epochs=4, batch=2, shared_batch=True, key=jax.random.key(2))
    assert path.omega.shape == (13, 8)
    latent, real = seen(path, 4)
    assert np.all(latent.sum(axis=1) == 1)
    assert np.all(real.sum(axis=(1, 2)) == 6) and real.sum(axis=1).max() == 1
    assert not np.array_equal(latent, real[..., :6])
    numbers = noise.epoch_order(game, batch=2, key=jax.random.key(0))
    assert numbers.shape == (2, 3, 2)
    assert sorted(np.ravel(numbers[1])) == list(range(6))


def test_updates_follow_the_rule():
    """The path of alternating updates at two rates, by a loop over the minibatches that the path itself reveals."""
    rng = np.random.default_rng(0)
    with jax.enable_x64(True):
        slopes = rng.normal(size=(COUNT, 2))
        game = games.quadratic(0.3, 1.0, 0.2, samples={"a": slopes[:, :1], "b": slopes[:, 1:]})
        lr = (0.1, 0.25)
        options = {"batch": BATCH, "update": "alternating", "shared_batch": True, "key": jax.random.key(5)}
        path = noise.run_epochs(game, Players(np.ones(1), np.zeros(1)), lr=lr, epochs=2, **options)
        theta, omega = (np.asarray(part)[:, 0] for part in path)
        # Undo the step: what is left over is the mean slope of the minibatch.
        b = theta[:-1] - 0.2 * omega[:-1] - np.diff(omega) / lr[1] * 1.0
        a = -np.diff(theta) / lr[0] - 0.3 * theta[:-1] - omega[1:]
    means = {tuple(draw): slopes[list(draw)].mean(0) for draw in itertools.combinations(range(COUNT), BATCH)}
    table = np.array(list(means.values()))
    for epoch in np.stack([a, -b], axis=1).reshape(2, -1, 2) * [1, -1]:
        distances = np.linalg.norm(table[None] - epoch[:, None], axis=2)
        assert distances.min(axis=1).max() < 1e-12  # each pair (a, b) is the mean of one and the same triple
        found = [list(means)[k] for k in distances.argmin(axis=1)]
        assert sorted(sum(found, ())) == list(range(COUNT))


def test_records_can_be_thinned():
    game, x0 = recorder()
    options = {"lr": 0.1, "epochs": 6, "batch": BATCH, "key": jax.random.key(0)}
    every = noise.run_epochs(game, x0, **options)
    ends = noise.run_epochs(game, x0, every=4, **options)
    np.testing.assert_array_equal(ends.theta, every.theta[::4])


def test_minibatches_of_an_epoch_are_negatively_correlated():
    """Over all orders of six samples: variance Sigma/B (N - B)/(N - 1), correlation -1/(n - 1), sum zero."""
    values = np.random.default_rng(4).normal(size=6)
    values -= values.mean()
    epochs = np.array([values[list(order)].reshape(3, 2).mean(1) for order in itertools.permutations(range(6))])
    covariance = epochs.T @ epochs / len(epochs)
    one = (values**2).mean() / 2 * noise.finite_population(6, 2)
    np.testing.assert_allclose(covariance, one * noise.epoch_correlation(3), atol=1e-14)
    np.testing.assert_allclose(epochs.sum(1), 0, atol=1e-14)


def test_orders_are_uniform():
    """Two orders of the library: over 20,000 epochs each sample is as often in each minibatch (chi-squared, 4 x 3)."""
    game, _ = recorder()
    keys = jax.random.split(jax.random.key(9), 20_000)
    orders = jax.vmap(lambda key: noise.epoch_order(game, batch=BATCH, key=key))(keys)[:, 0]
    counts = np.stack([(orders == i).any(axis=2).sum(axis=0) for i in range(COUNT)])
    expected = 20_000 / (COUNT // BATCH)
    statistic = ((counts - expected) ** 2 / expected).sum() * (COUNT - 1) / COUNT
    freedom = (COUNT - 1) * (COUNT // BATCH - 1)
    assert abs(statistic - freedom) < 4.5 * np.sqrt(2 * freedom)


def test_an_epoch_cancels_its_noise():
    """The variance at the ends of epochs is that of the formula, far below the one with replacement.

    12,000 ends of epochs of one player of a linear game with 64 samples in batches of 8, after 100 that are left out;
    error of the variance from 40 groups.
    """
    eta, damping, size, batch = 0.1, 0.5, 64, 8
    slopes = np.random.default_rng(1).normal(size=size)
    slopes -= slopes.mean()
    game = games.quadratic(damping, 0.0, damping, samples={"a": slopes, "b": slopes})
    options = {"lr": eta, "batch": batch, "key": jax.random.key(3)}
    shuffled = noise.run_epochs(game, ORIGIN, epochs=12_100, every=size // batch, **options).theta[101:]
    drawn = gda.run(game, ORIGIN, steps=12_100 * 8, every=8, **options).theta[101:]
    single = (slopes**2).mean() / batch
    shrunk = single * noise.finite_population(size, batch)
    expected = (
        noise.stationary_variance(eta, damping=damping, variance=shrunk, count=8),
        noise.stationary_variance(eta, damping=damping, variance=single, count=8, replacement=True),
    )
    np.testing.assert_allclose(expected[1], eta * single / (damping * (2 - eta * damping)), rtol=1e-12)
    assert expected[0] < 0.05 * expected[1]
    for values, wanted in zip((shuffled, drawn), expected, strict=True):
        groups = np.square(np.asarray(values, float)).reshape(40, -1).mean(1)
        assert abs(groups.mean() - wanted) < 4 * groups.std(ddof=1) / np.sqrt(40)
        assert groups.std(ddof=1) / np.sqrt(40) < 0.05 * wanted


def test_refusals():
    game, x0 = recorder()
    options = {"lr": 0.1, "key": jax.random.key(0)}
    for changed, words in (
        ({"epochs": 2, "batch": 13}, "batch=13 exceeds the game's 12 samples to be drawn without replacement"),
        ({"epochs": 0, "batch": 3}, "epochs must be an integer >= 1"),
        ({"epochs": 2, "batch": 3, "every": 3}, "every must divide the 8 updates"),
        ({"epochs": 2, "batch": 3, "update": "sideways"}, "update must be one of"),
    ):
        with pytest.raises(ValueError, match=words):
            noise.run_epochs(game, x0, **options, **changed)
    with pytest.raises(ValueError, match="lr times damping must lie between 0 and 2"):
        noise.stationary_variance(1.0, damping=2.5, variance=1.0, count=8)
    with pytest.raises(ValueError, match="integer >= 2"):
        noise.epoch_correlation(1)
