"""GANs put together from parts against NumPy and SciPy; GANs on Gaussian data against closed forms; the ring."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
from test_games import finite_difference_field
from test_games_losses import ORIGIN, eigenvalues

from gansde_lib import Players, games, gda, simulate


def curved_score(omega, x):
    return omega[0] * x[0] + omega[1] * x[0] * x[1] + omega[2] * x[1] ** 2


def curved_slope(omega, x):
    return np.array([omega[0] + omega[1] * x[1], omega[1] * x[0] + 2 * omega[2] * x[1]])


def scaled(theta, z):
    return theta * z


REAL, LATENT = (np.random.default_rng(seed).normal(size=(5, 2)) for seed in (6, 7))


def segment_mean(omega, real, fake):
    def excess(u):
        return (np.linalg.norm(curved_slope(omega, fake + u * (real - fake))) - 1) ** 2

    return scipy.integrate.quad(excess, 0, 1)[0]


PAID = {
    "r1": lambda omega, real, fake: np.sum(curved_slope(omega, real) ** 2),
    "r2": lambda omega, real, fake: np.sum(curved_slope(omega, fake) ** 2),
    "wgan-gp": segment_mean,
    "weight-decay": lambda omega, real, fake: np.sum(omega**2),
}


@pytest.mark.parametrize("samples", [games.Sample, games.Product])
@pytest.mark.parametrize("regulariser", games.REGULARISERS)
def test_gan_agrees_with_numpy(regulariser, samples):
    """Payoff by hand-written slopes; the integral along the segment by scipy, to the error of three Gauss nodes."""
    game = games.gan(
        scaled, curved_score, samples(REAL, LATENT), loss="wasserstein", penalty=0.4, regulariser=regulariser
    )
    theta, omega = np.array([0.8, -0.5]), np.array([1.5, -0.3, 0.2])
    pairs = list(zip(REAL, LATENT, strict=True) if samples is games.Sample else itertools.product(REAL, LATENT))

    def value(theta, omega):
        return np.mean(
            [
                curved_score(omega, real)
                - curved_score(omega, theta * z)
                - 0.2 * PAID[regulariser](omega, real, theta * z)
                for real, z in pairs
            ]
        )

    tolerance = 1e-4 if regulariser == "wgan-gp" else 1e-7
    with jax.enable_x64(True):
        np.testing.assert_allclose(game.value(Players(theta, omega)), value(theta, omega), rtol=tolerance)
        field = game.field(Players(theta, omega))
        expected = finite_difference_field(value, (theta, omega))[1]
        np.testing.assert_allclose(field.omega, expected, rtol=10 * tolerance, atol=tolerance)


@pytest.mark.parametrize("loss", ["logistic", "non-saturating"])
@pytest.mark.parametrize("regulariser", games.REGULARISERS)
def test_the_generator_does_not_see_the_regulariser(loss, regulariser):
    options = {"loss": loss, "regulariser": regulariser}
    without, with_it = (
        games.gan(scaled, curved_score, games.Sample(REAL, LATENT), penalty=penalty, **options)
        for penalty in (0.0, 0.9)
    )
    x = Players(np.array([0.8, -0.5]), np.array([0.6, -0.9, 0.5]))
    np.testing.assert_allclose(with_it.field(x).theta, without.field(x).theta, rtol=1e-5)
    assert np.abs(with_it.field(x).omega - without.field(x).omega).max() > 0.1
    assert without.zero_sum == (loss == "logistic")
    assert with_it.zero_sum == (loss == "logistic" and regulariser in ("r1", "weight-decay"))


def test_wgan_gp_survives_a_flat_discriminator():
    game = games.gan(
        scaled, curved_score, games.Sample(REAL, LATENT), loss="wasserstein", penalty=1.0, regulariser="wgan-gp"
    )
    assert np.all(np.isfinite(game.field(Players(np.ones(2), np.zeros(3))).omega))


def test_instance_noise_of_a_gan():
    """D(x) = |x|^2 sees the noise as d sigma^2 at real and at generated points, within 4 s.e. of 4,000 draws each."""
    samples = games.Sample(np.zeros((4000, 2)), np.zeros((4000, 3)))
    found = {}
    for name, loss in {"real": games.Loss(lambda d: d, lambda d: 0 * d), "fake": games.LOSSES["wasserstein"]}.items():
        game = games.gan(
            lambda theta, z: jnp.zeros(2),
            lambda omega, x: jnp.dot(x, x),
            samples,
            loss=loss,
            noise=0.6,
            key=jax.random.key(1),
        )
        found[name] = float(game.value(ORIGIN))
        assert found[name] == float(game.value(ORIGIN))
    error = 0.6**2 * np.sqrt(2 * 2 / 4000)  # of a mean of 4,000 draws of sigma^2 chi^2 with two degrees of freedom
    assert abs(found["real"] - 2 * 0.6**2) < 4 * error
    assert 0 < abs(found["fake"]) < 4 * np.sqrt(2) * error


@pytest.mark.parametrize("loss", games.LOSSES)
def test_gaussian_mean(loss):
    """Its equilibrium, and at m = 0 the eigenvalues of a Dirac-GAN with instance noise 1, once per dimension."""
    mean = np.array([0.5, -0.2, 0.1])
    origin = Players(np.zeros(3), np.zeros(3))
    with jax.enable_x64(True):
        x = Players((np.e if loss == "kl" else 1.0) * mean, np.zeros(3))
        np.testing.assert_allclose(np.concatenate(games.gaussian_mean(mean, loss=loss).field(x)), 0, atol=1e-12)
    found = np.sort_complex(eigenvalues(games.gaussian_mean(np.zeros(3), loss=loss, penalty=0.2), origin).round(7))
    expected = np.repeat(games.dirac_eigenvalues(loss, penalty=0.2, noise=1.0), 3)
    np.testing.assert_allclose(found, np.sort_complex(expected.round(7)), atol=1e-6)


@pytest.mark.parametrize("penalty", [0.0, 0.3, 2.0])
def test_linear_quadratic(penalty):
    """At A = S^(1/2) U for random orthogonal U: a critical point, the closed eigenvalues, and d(d - 1) zeros."""
    rng = np.random.default_rng(4)
    root = rng.normal(size=(3, 3))
    covariance = root @ root.T + 0.1 * np.eye(3)
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    x = Players(np.linalg.cholesky(covariance) @ rotation, np.zeros((3, 3)))
    game = games.linear_quadratic(covariance, penalty=penalty)
    with jax.enable_x64(True):
        np.testing.assert_allclose(np.ravel(np.concatenate(game.field(x))), 0, atol=1e-12)
    found = eigenvalues(game, x)
    zero = np.abs(found) < 1e-6
    assert zero.sum() == 6
    expected = games.linear_quadratic_eigenvalues(covariance, penalty=penalty)
    np.testing.assert_allclose(np.sort_complex(found[~zero].round(7)), np.sort_complex(expected.round(7)), atol=1e-6)


def test_ring():
    points = games.ring(4000, count=5, radius=2.0, spread=0.1, seed=1)
    centres = 2 * np.exp(2j * np.pi * np.arange(5) / 5)
    offsets = points.view(complex)[:, 0].reshape(-1, 5) - centres
    assert np.all(np.abs(offsets.mean(axis=0)) < 5 * 0.1 / np.sqrt(800))  # 1.4 s.e. of a complex mean is 1 / sqrt(800)
    np.testing.assert_allclose(np.std(offsets.view(float)), 0.1, rtol=4 / np.sqrt(2 * 8000))
    shares = games.ring_shares(points, count=5, radius=2.0, spread=0.1)
    np.testing.assert_allclose(shares.sum(), 1 - np.exp(-8), atol=4 * np.sqrt(np.exp(-8) / 4000))
    np.testing.assert_allclose(shares, 0.2, atol=0.005)
    np.testing.assert_allclose(games.ring_shares(np.repeat([[1.0, 0.0], [0.0, 0.0]], 5, axis=0)), [0.5] + 7 * [0])


def test_ring_needs_a_penalty():
    """The share of points on the data after 10,000 steps, with R1 and without, from three starts: 3 s.e. apart."""

    def made(penalty, seed):
        key = jax.random.fold_in(jax.random.key(0), seed)
        game, x0 = games.ring_gan(loss="non-saturating", penalty=penalty, hidden=(16, 16), key=key)
        path = gda.run(game, x0, lr=0.1, steps=10_000, update="alternating", batch=32, key=key, every=10_000)
        theta = jax.tree.map(lambda leaf: leaf[-1], path.theta)
        return game.payoff.func.generator(theta, jax.random.normal(jax.random.key(2), (1000, 2)))

    points = np.asarray(simulate.sweep(made, jnp.array([0.0, 0.1]), jnp.arange(3)))
    shares = np.array([[games.ring_shares(run).sum() for run in runs] for runs in points])
    error = np.sqrt(shares.var(axis=1, ddof=1).sum() / 3)
    assert shares[1].mean() - shares[0].mean() > 3 * error
    assert shares[1].mean() > 0.3


def test_a_gan_compiles_once_for_all_penalties_and_samples():
    traces = []

    @jax.jit
    def value(game, x):
        traces.append(1)
        return game.value(x)

    x = games.as_players(Players(np.ones(2), np.ones(3)))
    for seed, penalty in enumerate((0.1, 0.2, 0.9)):
        samples = games.Sample(np.random.default_rng(seed).normal(size=(5, 2)), LATENT)
        value(games.gan(scaled, curved_score, samples, penalty=penalty), x)
    assert len(traces) == 1


GAN = (scaled, curved_score, games.Sample(REAL, LATENT))
REFUSALS = {
    "samples": (lambda: games.gan(scaled, curved_score, REAL), "samples must be Sample(real, latent) or Product"),
    "loss": (lambda: games.gan(*GAN, loss="hinges"), "loss must be one of 'logistic'"),
    "regulariser": (lambda: games.dirac(regulariser="r3"), "regulariser must be one of 'r1', 'r2'"),
    "negative penalty": (lambda: games.gan(*GAN, penalty=-1.0), "penalty must be a finite number >= 0, found -1.0"),
    "negative noise": (lambda: games.dirac(noise=-0.1), "noise must be a finite number >= 0, found -0.1"),
    "noise without key": (lambda: games.gan(*GAN, noise=0.1), "noise needs a random key"),
    "uneven pairs": (lambda: games.gan(*GAN[:2], games.Sample(REAL, LATENT[:3])), "share a leading axis"),
    "unknown slopes": (lambda: games.slopes_at_zero("r1"), "loss must be one of 'logistic'"),
    "flat mean": (lambda: games.gaussian_mean(1.0), "mean must be a vector, found shape ()"),
    "few points": (lambda: games.gaussian_mean(np.zeros(5), size=5), "size must be an integer >= 6"),
    "indefinite": (lambda: games.linear_quadratic(np.diag([1.0, -1.0])), "symmetric positive definite"),
    "oblong": (lambda: games.linear_quadratic(np.ones((2, 3))), "symmetric positive definite"),
    "empty ring": (lambda: games.ring(0), "size must be an integer >= 1"),
    "points on a line": (lambda: games.ring_shares(np.zeros(5)), "points must have shape (n, 2)"),
    "data in space": (
        lambda: games.ring_gan(real=np.zeros((5, 3)), key=jax.random.key(0)),
        "real must have shape (N, 2)",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals_name_what_was_found_and_expected(name):
    call, message = REFUSALS[name]
    with pytest.raises(ValueError) as refusal:
        call()
    assert message in str(refusal.value)
    assert "for example" in str(refusal.value)
