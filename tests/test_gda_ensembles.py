"""Many training runs at once: exact moments of the chain, and agreement with single runs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from examples import linear_quadratic

from gansde_lib import Game, Players, games, gda, sde, simulate

GAME = linear_quadratic(6)
START = Players(np.array([1.0, -0.5, 0.3]), np.array([0.7, -0.2]))
SIZE = 20_000


@pytest.mark.parametrize("shared_batch", [False, True])
@pytest.mark.parametrize("update", ["simultaneous", "alternating"])
def test_ensembles_have_the_exact_moments_of_the_chain(update, shared_batch):
    """Rates of 0.2, batches of 2, 12 updates: all moments within 4 of their standard errors, which are below 0.03."""
    how = {"lr": 0.2, "batch": 2, "update": update, "shared_batch": shared_batch}
    exact = sde.chain_moments(GAME, START, steps=12, **how)
    ends = gda.ensemble(GAME, START, steps=12, size=SIZE, key=simulate.key(31), **how)
    x = np.hstack(ends).astype(float)
    products = x[:, :, None] * x[:, None, :]
    for found, expected in [(x, exact.mean), (products, exact.second)]:
        error = found.std(0) / np.sqrt(SIZE)
        assert (error < 0.03).all()
        assert (np.abs(found.mean(0) - expected) < 4 * error).all()


def test_several_discriminator_steps_and_a_product_of_samples():
    """Against single runs, which draw otherwise: means of 4,000 within 4 standard errors, on the nonlinear toy GAN."""
    game, start = games.toy_gan(), Players(np.array([0.9, -0.1]), np.array([-0.4, 0.4]))
    how = {"lr": (0.1, 0.2), "steps": 15, "batch": 3, "update": gda.alternating(2)}
    ends = gda.ensemble(game, start, size=4000, key=simulate.key(32), **how)

    def end(key):
        return jax.tree.map(lambda leaf: leaf[-1], gda.run(game, start, key=key, **how))

    runs = jax.jit(lambda key: simulate.ensemble(end, size=4000, key=key))(simulate.key(33))
    for found, expected in zip(map(np.asarray, ends), map(np.asarray, runs), strict=True):
        error = np.sqrt((found.var(0) + expected.var(0)) / 4000)
        assert (np.abs(found.mean(0) - expected.mean(0)) < 4 * error).all()
        assert (np.abs(found.var(0) / expected.var(0) - 1) < 4 * np.sqrt(4 / 4000)).all()


def test_all_samples_are_drawn_equally_often():
    counts = Game(lambda theta, omega, sample: theta @ sample, np.eye(5))
    ends = gda.ensemble(counts, Players(np.zeros(5), 0.0), lr=1.0, steps=1, batch=1, size=50_000, key=simulate.key(34))
    drawn = -np.asarray(ends.theta)
    assert (drawn.sum(1) == 1).all()
    assert (np.abs(drawn.mean(0) - 0.2) < 4 * np.sqrt(0.16 / 50_000)).all()


def test_observed_on_the_way():
    how = {"lr": 0.1, "steps": 20, "batch": 2, "size": 3000, "key": simulate.key(35)}
    seen = gda.ensemble(GAME, START, observe=GAME.value, every=5, **how)
    ends = gda.ensemble(GAME, START, **how)
    assert seen.mean.shape == (5,)
    np.testing.assert_allclose(seen.mean[0], GAME.value(START), rtol=1e-5)
    np.testing.assert_allclose(seen.mean[-1], np.mean(jax.vmap(GAME.value)(ends)), atol=1e-4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"update": "optimistic"}, "an ensemble needs a plain rule, found Optimistic"),
        ({"batch": None}, "batch must be an integer >= 1, found None"),
        ({"batch": 99}, "batch=99 exceeds the game's 6 samples"),
        ({"size": 0}, "size must be an integer >= 1"),
        ({"steps": 10, "observe": jnp.sum, "every": 3}, "every must divide steps, found 3 and 10"),
    ],
)
def test_bad_input_is_named(changes, message):
    how = {"lr": 0.1, "steps": 2, "batch": 2, "size": 5, "key": jax.random.key(0)} | changes
    with pytest.raises(ValueError, match=message):
        gda.ensemble(GAME, START, **how)
