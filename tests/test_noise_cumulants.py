"""Third cumulants and shapes against all minibatches listed one by one; stable laws; noise and curvature."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from test_noise import POINT, all_minibatches, numpy_fields, product, small

from gansde_lib import Players, games, neural, noise

EYE = np.eye(4)


@pytest.fixture
def double():
    with jax.enable_x64(True):
        yield


def third(rows):
    centred = rows - rows.mean(0)
    return np.einsum("na,nb,nc->abc", centred, centred, centred) / len(rows)


@pytest.mark.parametrize("game", [small(), product()], ids=["list", "product"])
@pytest.mark.parametrize("batch", [1, 2, 3])
def test_third_cumulant_of_all_minibatches(double, game, batch):
    fields = numpy_fields(game, POINT)
    np.testing.assert_allclose(noise.third_cumulant(game, POINT, chunk=3), third(fields), atol=1e-13)
    means = all_minibatches(game, fields, batch, True)
    found = noise.batch_third_cumulant(game, POINT, batch=batch, shared_batch=True)
    np.testing.assert_allclose(found, third(means), atol=1e-13)
    assert np.abs(found).max() > 1e-3
    if batch < 3 and len(means) < 100:
        pairs = np.array([[*a[:2], *b[2:]] for a in means for b in means])  # a draw for each player
        np.testing.assert_allclose(noise.batch_third_cumulant(game, POINT, batch=batch), third(pairs), atol=1e-13)


@pytest.mark.parametrize("batch", [1, 2, 3, 4])
def test_third_cumulant_without_replacement(double, batch):
    """It changes its sign at half of the samples: what is left out is as skewed as what is in, the other way."""
    game = small()
    means = all_minibatches(game, numpy_fields(game, POINT), batch, False)
    options = {"batch": batch, "shared_batch": True, "replacement": False}
    np.testing.assert_allclose(noise.batch_third_cumulant(game, POINT, **options), third(means), atol=1e-13)
    skewness, kurtosis = noise.batch_shape(game, POINT, EYE, batch=batch, replacement=False)
    np.testing.assert_allclose(skewness, noise.shape(means).skewness, atol=1e-12)
    assert kurtosis is None


@pytest.mark.parametrize("game", [small(), product()], ids=["list", "product"])
@pytest.mark.parametrize("batch", [1, 2, 3])
def test_shape_of_all_minibatches(double, game, batch):
    """Skewness falls like B^-1/2 and kurtosis like B^-1, exactly."""
    fields = numpy_fields(game, POINT)
    directions = np.concatenate([EYE, np.random.default_rng(0).normal(size=(2, 4))])
    means = all_minibatches(game, fields, batch, True) @ directions.T
    skewness, kurtosis = noise.batch_shape(game, POINT, directions, batch=batch)
    np.testing.assert_allclose(skewness, scipy.stats.skew(means), atol=1e-12)
    np.testing.assert_allclose(kurtosis, scipy.stats.kurtosis(means), atol=1e-12)
    found = noise.projections(game, POINT, directions, chunk=2)
    np.testing.assert_allclose(found, (fields - fields.mean(0)) @ directions.T, atol=1e-13)


def test_errors_of_a_shape():
    """The stated errors are the spread over 400 repetitions, for a law that is far from Gaussian; scipy's p-values."""
    rng = np.random.default_rng(5)
    rows = rng.gamma(4.0, size=(2000, 400))
    found = noise.shape(rows)
    for name, exact in (("skewness", 1.0), ("kurtosis", 1.5)):
        values, errors = getattr(found, name), getattr(found, f"{name}_error")
        # Kurtosis takes eighth moments: its errors scatter and are biased downwards, 25 % are allowed.
        assert abs(np.sqrt(np.mean(errors**2)) / values.std() - 1) < (0.15 if name == "skewness" else 0.25)
        assert abs(values.mean() - exact) < 0.05 * exact
    gaussian = noise.shape(rng.normal(size=(2000, 400)))
    np.testing.assert_allclose(gaussian.skewness_error.mean(), np.sqrt(6 / 2000), rtol=0.03)
    np.testing.assert_allclose(gaussian.kurtosis_error.mean(), np.sqrt(24 / 2000), rtol=0.05)
    one = rng.gamma(40.0, size=2000)
    np.testing.assert_allclose(noise.shape(one).p_value, scipy.stats.jarque_bera(one).pvalue, rtol=1e-10)
    assert 0.02 < np.mean(gaussian.p_value < 0.05) < 0.09  # 0.05, with an error of 0.011


def test_drawn_minibatches_have_the_predicted_shape():
    """A skewed bank at B = 4 and 16: each measured number within 4.5 errors of the exact one, Gaussian ruled out."""
    points = np.random.default_rng(3).exponential(size=200)
    game, x = games.quadratic(1.0, 1.0, 1.0, samples={"a": points, "b": points**2}), Players(0.0, 0.0)
    directions = np.eye(2)
    for batch in (4, 16):
        options = {"batch": batch, "draws": 40_000, "key": jax.random.key(batch)}
        found, values = noise.gaussianity(game, x, directions, **options)
        skewness, kurtosis = noise.batch_shape(game, x, directions, batch=batch)
        assert np.all(np.abs(found.skewness - skewness) < 4.5 * found.skewness_error)
        assert np.all(np.abs(found.kurtosis - kurtosis) < 4.5 * found.kurtosis_error)
        assert np.all(np.abs(skewness) > 10 * found.skewness_error)
        assert np.all(found.p_value < 1e-6)
        variances = np.diag(noise.batch_covariance(game, x, batch=batch))
        np.testing.assert_allclose(np.square(values).mean(0), variances, rtol=0.05)
    found, values = noise.gaussianity(game, x, directions, **(options | {"batch": 100, "replacement": False}))
    assert np.all(np.abs(found.skewness) < 4.5 * found.skewness_error)  # half of the samples: symmetric
    variances = np.diag(noise.batch_covariance(game, x, batch=100, replacement=False))
    np.testing.assert_allclose(np.square(values).mean(0), variances, rtol=0.04)


@pytest.mark.parametrize("alpha", [0.6, 1.0, 1.5, 2.0])
def test_stable_law_has_its_characteristic_function(double, alpha):
    """E cos tX = exp(-|t|^alpha), E sin tX = 0, within 4.5 errors of 200,000 draws; they do not depend on moments."""
    draws = np.asarray(noise.stable(alpha, (200_000,), key=jax.random.key(11)))
    assert np.all(np.isfinite(draws))
    for t in (0.3, 1.0, 2.5):
        waves = np.cos(t * draws), np.sin(t * draws)
        for wave, expected in zip(waves, (np.exp(-(t**alpha)), 0.0), strict=True):
            assert abs(wave.mean() - expected) < 4.5 * wave.std() / np.sqrt(len(draws))
    if alpha == 1.0:
        assert abs(noise.spread(draws) - 1) < 4.5 * noise.spread_error(draws)  # the quartiles of the Cauchy law are +-1


@pytest.mark.parametrize("alpha", [1.2, 1.5, 2.0])
def test_spread_of_heavy_tailed_means(double, alpha):
    """Half the distance of the quartiles falls like B^(1/alpha - 1), not B^(-1/2), by a fit with its error."""
    batches, repetitions = 4 ** np.arange(5), 8000
    spreads, errors = [], []
    for batch in batches:
        key = jax.random.fold_in(jax.random.key(1), int(batch))
        means = np.asarray(noise.stable(alpha, (repetitions, int(batch)), key=key)).mean(1)
        spreads.append(noise.spread(means))
        errors.append(noise.spread_error(means) / spreads[-1])
    design = np.stack([np.log(batches), np.ones(len(batches))], axis=1) / np.array(errors)[:, None]
    fit = np.linalg.lstsq(design, np.log(spreads) / errors, rcond=None)[0]
    error = np.sqrt(np.linalg.inv(design.T @ design)[0, 0])
    assert error < 0.012
    assert abs(fit[0] - (1 / alpha - 1)) < 4.5 * error
    assert alpha == 2.0 or fit[0] + 0.5 > 10 * error


def test_share_of_directions(double):
    game = small()
    matrix = np.asarray(noise.covariance(game, POINT))
    some = np.random.default_rng(0).normal(size=(2, 4))
    basis = np.linalg.qr(some.T)[0]
    np.testing.assert_allclose(
        noise.share(game, POINT, some), np.trace(basis.T @ matrix @ basis) / np.trace(matrix), rtol=1e-10
    )
    # A repeated direction adds nothing, all directions hold everything, and a player's share is its own.
    np.testing.assert_allclose(
        noise.share(game, POINT, np.concatenate([some, some])), noise.share(game, POINT, some), rtol=1e-10
    )
    np.testing.assert_allclose(noise.share(game, POINT, np.eye(4)), 1.0, rtol=1e-12)
    np.testing.assert_allclose(
        noise.share(game, POINT, np.ones((1, 4)), player="theta"),
        matrix[:2, :2].sum() / 2 / np.trace(matrix[:2, :2]),
        rtol=1e-10,
    )


@pytest.mark.parametrize("player", ["theta", "omega"])
def test_curvature_alignment_agrees_with_dense_matrices(double, player):
    game, x = neural.digits_gan(
        hidden=(3, 3), latent=2, real=neural.digits()[:40, 16:24], penalty=0.5, key=jax.random.key(0)
    )
    x = jax.tree.map(lambda leaf: leaf.astype("float64"), x)
    found = noise.curvature_alignment(game, x, player, count=4)
    derivative = np.asarray(games.field_jacobian(game, x))
    first = noise.samples.count_theta(x)
    mine = slice(first) if player == "theta" else slice(first, None)
    values, vectors = np.linalg.eigh(-derivative[mine, mine])
    order = np.argsort(-np.abs(values))[:4]
    np.testing.assert_allclose(found.curvatures, values[order], rtol=1e-3)
    sigma = np.asarray(noise.covariance(game, x))[mine, mine]
    top = vectors[:, order]
    np.testing.assert_allclose(found.variances, np.diag(top.T @ sigma @ top), rtol=2e-2, atol=1e-6 * np.trace(sigma))
    np.testing.assert_allclose(found.share, np.trace(top.T @ sigma @ top) / np.trace(sigma), rtol=1e-2)
    assert found.white == 4 / len(values)
    outside = np.delete(found.directions, np.arange(len(derivative))[mine], axis=1)
    assert np.all(outside == 0)


def test_refusals():
    game = small()
    key = jax.random.key(0)
    for call, words in (
        (lambda: noise.projections(game, POINT, np.eye(3)), r"directions must have shape \(n, 4\)"),
        (lambda: noise.gaussianity(game, POINT, EYE, batch=2, draws=3, key=key), "draws must be an integer >= 8"),
        (lambda: noise.gaussianity(game, POINT, EYE, batch=9, draws=30, key=key), "batch=9 exceeds"),
        (
            lambda: noise.gaussianity(product(), POINT, EYE, batch=2, draws=30, key=key, replacement=False),
            "a Product is drawn with replacement here",
        ),
        (lambda: noise.batch_third_cumulant(product(), POINT, batch=2, replacement=False), "in one list"),
        (lambda: noise.batch_shape(product(), POINT, EYE, batch=2, replacement=False), "in one list"),
        (lambda: noise.stable(2.5, key=key), "alpha must be at most 2"),
        (lambda: noise.stable(0.0, key=key), "alpha must be a positive"),
        (lambda: noise.curvature_alignment(game, POINT, "theta", count=2), "count must be below the 2 parameters"),
        (lambda: noise.share(game, POINT, EYE, player="both"), "player must be one of"),
    ):
        with pytest.raises(ValueError, match=words):
            call()


def test_half_of_the_samples_is_symmetric():
    """All halves of six numbers: the law of the mean is its own mirror image."""
    values = np.random.default_rng(4).exponential(size=6)
    means = np.sort([values[list(half)].mean() - values.mean() for half in itertools.combinations(range(6), 3)])
    np.testing.assert_allclose(means, -means[::-1], atol=1e-14)
    game = games.quadratic(1.0, 1.0, 1.0, samples={"b": values})
    found = noise.batch_third_cumulant(game, Players(0.0, 0.0), batch=3, replacement=False, shared_batch=True)
    assert float(jnp.abs(found).max()) == 0.0
