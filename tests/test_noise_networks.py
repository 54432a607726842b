"""The noise of a small GAN on the digits: its size, where it points, and which player is further from Gaussian."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gansde_lib import Players, gda, neural, noise, simulate
from gansde_lib.noise.squares import traced

KEY = jax.random.key(4)


@pytest.fixture(scope="module")
def trained():
    """Two seeds of the chapter's game after 900 steps."""

    def one(seed):
        key = jax.random.fold_in(KEY, seed)
        game, x0 = neural.digits_gan(penalty=0.3, hidden=(12, 10), real=neural.digits()[::6], key=key)
        options = {"batch": 32, "update": "alternating", "key": jax.random.fold_in(key, 1)}
        run = neural.train(game, x0, lr=0.2, steps=900, every=900, **options)
        return game, jax.tree.map(lambda leaf: leaf[-1], run.players)

    return [one(seed) for seed in range(2)]


def test_noise_of_minibatches_on_the_digits(trained):
    """512 minibatches of 32: their mean squared distance from the full field is Tr Sigma / 32."""
    game, x = trained[0]
    field, full = gda.stochastic_field(game, batch=32), game.field(x)

    def squared(key):
        differences = jax.tree.map(jnp.subtract, field(x, key), full)
        return Players(*(sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(part)) for part in differences))

    found = jax.jit(lambda key: simulate.ensemble(squared, size=512, key=key, chunk=128))(jax.random.key(0))
    for squares, trace in zip(found, noise.trace(game, x), strict=True):
        squares = 32 * np.asarray(squares) / float(trace)
        error = squares.std() / np.sqrt(512)
        assert error < 0.02 and abs(squares.mean() - 1) < 4 * error


def test_diagonal_and_spectrum_have_one_trace(trained):
    """1,625 parameters, no matrix: variances of single parameters, the Gram matrix and its directions agree."""
    game, x = trained[0]
    traces = noise.trace(game, x)
    for player, trace in zip(Players._fields, traces, strict=True):
        found = noise.principal(game, x, count=3, player=player)
        np.testing.assert_allclose(found.values.sum(), trace, rtol=1e-4)
        assert len(found.values) == 300 and 5 < found.effective_rank < 200
        along = np.square(noise.projections(game, x, found.directions)).mean(0)
        np.testing.assert_allclose(along, found.values[:3], rtol=1e-3)
        whole = noise.share(game, x, found.directions, player=player)
        np.testing.assert_allclose(whole, found.values[:3].sum() / found.values.sum(), rtol=1e-3)


def test_noise_points_where_the_payoff_bends(trained):
    """More than ten times as much of it as of white noise lies in ten directions, for both players and seeds; and in
    ten random directions it does not."""
    for game, x in trained:
        for player in Players._fields:
            found = noise.curvature_alignment(game, x, player, count=10)
            assert found.share > 10 * found.white
            size = found.directions.shape[1]
            random = np.random.default_rng(0).normal(size=(10, size))
            assert noise.share(game, x, random, player=player) < 4 * found.white


def test_generator_is_further_from_gaussian(trained):
    """Along its leading noise direction; and minibatches of 4 and 64 are as far as 1/B says, by 40,000 draws."""
    for game, x in trained:
        directions = [noise.principal(game, x, count=3, player=player).directions for player in Players._fields]
        one = noise.shape(noise.projections(game, x, np.concatenate(directions)))
        assert np.abs(one.kurtosis[:3]).max() > 2 * np.abs(one.kurtosis[3:]).max()
        heavy = int(np.argmax(one.kurtosis[:3]))
        for batch in (4, 64):
            options = {"batch": batch, "draws": 40_000, "key": jax.random.key(batch)}
            found, _ = noise.gaussianity(game, x, directions[0][heavy : heavy + 1], **options)
            assert abs(found.kurtosis[0] - one.kurtosis[heavy] / batch) < 4.5 * found.kurtosis_error[0]
            assert batch > 4 or found.kurtosis[0] > 5 * found.kurtosis_error[0]


@pytest.mark.parametrize(
    ("options", "used"),
    [
        ({}, [1, None, 1, None, 4, None, 3, None]),  # the slope of the penalty uses the discriminator twice more
        ({"regulariser": "weight-decay"}, [1, None, 1, None, 2, None, 2, None]),
        ({"loss": "non-saturating", "regulariser": "wgan-gp"}, None),
        ({"networks": "convolutional", "hidden": (2, 2)}, None),
    ],
    ids=["r1", "weight decay", "wgan-gp", "convolutional"],
)
def test_variances_agree_with_gradients_of_single_samples(options, used):
    """Dense layers by products of matrices, the others written out; a last chunk that is not full; both precisions."""
    options = {"penalty": 0.3, "hidden": (4, 3), "latent": 3, "real": neural.digits()[:50], "key": KEY} | options
    for double, tolerance in ((False, 1e-5), (True, 1e-12)):
        with jax.enable_x64(double):
            game, x = neural.digits_gan(**options)
            rows = np.asarray(noise.per_sample_field(game, x), float)
            expected = rows.var(0)
            found = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(noise.diagonal(game, x, chunk=16))])
            assert found.dtype == ("float64" if double else "float32")
            np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance * expected.max())
            assert expected.max() > 1e-6 and found.min() >= 0
            _, uses = traced((game.payoff, game.generator_payoff), x, noise.samples.take(game, jnp.asarray(0)))
            assert used is None or [found and len(found) for found in uses] == used
