"""Losses against their definitions, Dirac-GANs with each of them against NumPy, and the Dirac systems of the field."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.optimize
from scipy.stats import norm
from test_games import finite_difference_field

from gansde_lib import Players, games, gda

ORIGIN = Players(0.0, 0.0)


def log_sigmoid(d):
    return -np.log1p(np.exp(-d))


def f_gan(activation, conjugate):
    """The pair of Nowozin et al.: T = g(d) at real points, -f*(T) at generated ones; composed as it stands."""
    return activation, lambda d: -conjugate(activation(d))


def least_squares(target):
    return lambda d: -((d - target) ** 2) / 2


NUMPY = {  # real, fake, generator
    "logistic": (log_sigmoid, lambda d: log_sigmoid(-d), None),
    "non-saturating": (log_sigmoid, lambda d: log_sigmoid(-d), lambda d: -log_sigmoid(d)),
    "wasserstein": (lambda d: d, lambda d: -d, None),
    "hinge": (lambda d: -max(0, 1 - d), lambda d: -max(0, 1 + d), lambda d: -d),
    "least-squares": (least_squares(1), least_squares(-1), lambda d: -least_squares(1)(d)),
    "kl": (*f_gan(lambda d: d, lambda t: np.exp(t - 1)), None),
    "reverse-kl": (*f_gan(lambda d: -np.exp(-d), lambda t: -1 - np.log(-t)), None),
    "chi-squared": (*f_gan(lambda d: d, lambda t: t**2 / 4 + t), None),
    "jensen-shannon": (*f_gan(lambda d: np.log(2) + log_sigmoid(d), lambda t: -np.log(2 - np.exp(t))), None),
}
DIVERGENCES = {  # of two densities p (data) and q (generated) at a point: what the best discriminator earns there
    "logistic": lambda p, q: p * np.log(p / (p + q)) + q * np.log(q / (p + q)),
    "hinge": lambda p, q: -2 * min(p, q),
    "least-squares": lambda p, q: -2 * p * q / (p + q),
    "kl": lambda p, q: p * np.log(p / q),
    "reverse-kl": lambda p, q: q * np.log(q / p),
    "chi-squared": lambda p, q: (p - q) ** 2 / q,
    "jensen-shannon": lambda p, q: p * np.log(2 * p / (p + q)) + q * np.log(2 * q / (p + q)),
}


@pytest.mark.parametrize("loss", games.LOSSES)
def test_losses_agree_with_their_definitions(loss):
    assert set(NUMPY) == set(games.LOSSES)
    with jax.enable_x64(True):
        for d in (-2.3, -0.4, 0.0, 0.7, 1.9):
            for found, expected in zip(games.LOSSES[loss], NUMPY[loss], strict=True):
                assert (found is None) == (expected is None)
                if found is not None:
                    np.testing.assert_allclose(found(d), expected(d), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("loss", DIVERGENCES)
def test_the_best_discriminator_earns_the_divergence(loss):
    """sup_d p r(d) + q s(d), found numerically, is the integrand of the divergence."""
    real, fake, _ = games.LOSSES[loss]
    with jax.enable_x64(True):
        for p, q in ((0.3, 0.3), (0.5, 0.2), (0.1, 0.8)):
            worst = scipy.optimize.minimize_scalar(
                lambda d, p=p, q=q: -float(p * real(d) + q * fake(d)), bracket=(-1, 1), tol=1e-12
            )
            np.testing.assert_allclose(-worst.fun, DIVERGENCES[loss](p, q), atol=1e-9)


def dirac_values(loss, penalty, regulariser):
    """What the discriminator maximises and what the generator minimises, as functions of (theta, omega)."""
    real, fake, generator = NUMPY[loss]

    def paid(omega):
        return penalty / 2 * ((abs(omega) - 1) ** 2 if regulariser == "wgan-gp" else omega**2)

    return (
        lambda theta, omega: real(0.0) + fake(-theta * omega) - paid(omega),
        lambda theta, omega: (generator or fake)(-theta * omega),
    )


@pytest.mark.parametrize("regulariser", games.REGULARISERS)
@pytest.mark.parametrize("loss", games.LOSSES)
def test_dirac_gan_agrees_with_numpy(loss, regulariser):
    game = games.dirac(loss, penalty=0.3, regulariser=regulariser)
    assert game.zero_sum == (NUMPY[loss][2] is None)
    payoff, generator = dirac_values(loss, 0.3, regulariser)
    with jax.enable_x64(True):
        for x in (Players(1.3, 0.9), Players(-0.7, 0.4), Players(0.5, -1.2)):
            x = Players(*map(np.float64, x))
            np.testing.assert_allclose(game.value(x), payoff(*x), rtol=1e-12)
            field = game.field(x)
            np.testing.assert_allclose(field.theta, finite_difference_field(generator, x)[0], rtol=1e-6, atol=1e-9)
            np.testing.assert_allclose(field.omega, finite_difference_field(payoff, x)[1], rtol=1e-6, atol=1e-9)


def eigenvalues(game, x=ORIGIN):
    """Eigenvalues of the field's derivative, by autodiff in float64, sorted by imaginary and real part."""
    with jax.enable_x64(True):
        found = np.linalg.eigvals(games.field_jacobian(game, jax.tree.map(np.float64, x)))
    return found[np.lexsort([found.real.round(9), found.imag.round(9)])]


def pair(damping, frequency):
    """The roots of l^2 + 2 damping l + frequency^2, sorted as `eigenvalues` does."""
    found = np.roots([1, 2 * damping, frequency**2]).astype(complex)
    return found[np.lexsort([found.real.round(9), found.imag.round(9)])]


# Of Mescheder, Geiger and Nowozin (2018), by hand: f'(0) = 1/2 and f''(0) = -1/4. The eighth is consensus, below; the
# ninth, WGAN-GP, has no derivative at its equilibrium.
SYSTEMS = {
    "GAN": (games.dirac(), pair(0, 1 / 2)),
    "NSGAN": (games.dirac("non-saturating"), pair(0, 1 / 2)),
    "WGAN": (games.dirac("wasserstein"), pair(0, 1)),
    "instance noise 0.7": (games.dirac(noise=0.7), pair(0.7**2 / 4, 1 / 2)),
    "R1 0.3": (games.dirac(penalty=0.3), pair(0.15, 1 / 2)),
    "R1 1.0": (games.dirac(penalty=1.0), pair(0.5, 1 / 2)),
    "NSGAN R1 0.3": (games.dirac("non-saturating", penalty=0.3), pair(0.15, 1 / 2)),
}


@pytest.mark.parametrize("name", SYSTEMS)
def test_dirac_systems_have_their_eigenvalues(name):
    game, expected = SYSTEMS[name]
    np.testing.assert_allclose(
        eigenvalues(game), expected, atol=2e-7
    )  # a double root, at R1 1.0, costs half the digits


@pytest.mark.parametrize("noise", [0.0, 0.7])
@pytest.mark.parametrize("penalty", [0.0, 0.3, 2.5])
@pytest.mark.parametrize("loss", games.LOSSES)
def test_dirac_eigenvalues_by_slopes_at_zero(loss, penalty, noise):
    """The table of slopes against autodiff; for all losses at once, so also those without a name in the nine."""
    found = np.sort_complex(eigenvalues(games.dirac(loss, penalty=penalty, noise=noise)).round(9))
    expected = np.sort_complex(games.dirac_eigenvalues(loss, penalty=penalty, noise=noise).round(9))
    np.testing.assert_allclose(found, expected, atol=1e-7)


def consensus_energy(game, x):
    return sum(part**2 for part in game.field(x)) / 2


def test_consensus_energy():
    """The gradient of |F|^2 / 2 of the Dirac-GAN: by autodiff, by finite differences, and by the product rule.

    L = (theta^2 + omega^2) f'(t)^2 / 2 at t = theta omega, so that dL/dtheta = theta f'^2 + omega (theta^2 + omega^2)
    f' f''. Half of the second term gives the right eigenvalues at the origin, -gamma/4 +- i/2, and a wrong field.
    """
    theta, omega = 1.3, 0.9
    slope = 1 / (1 + np.exp(theta * omega))
    curvature = -slope * (1 - slope)
    square = theta**2 + omega**2
    expected = [
        theta * slope**2 + omega * square * slope * curvature,
        omega * slope**2 + theta * square * slope * curvature,
    ]
    np.testing.assert_allclose(expected, (-0.02340, -0.08865), atol=5e-6)
    with jax.enable_x64(True):
        x = Players(np.float64(theta), np.float64(omega))
        found = jax.grad(lambda x: consensus_energy(games.dirac(), x))(x)
        np.testing.assert_allclose(found, expected, rtol=1e-10)
        minus_theta, plus_omega = finite_difference_field(lambda *x: consensus_energy(games.dirac(), Players(*x)), x)
        np.testing.assert_allclose(found, (-minus_theta, plus_omega), rtol=1e-7)
        jacobian = jax.jacfwd(
            lambda y: (
                jnp.stack(games.dirac().field(Players(*y)))
                - 0.8 * jax.grad(lambda y: consensus_energy(games.dirac(), Players(*y)))(y)
            )
        )(jnp.zeros(2))
        np.testing.assert_allclose(np.sort_complex(np.linalg.eigvals(jacobian)), [-0.2 - 0.5j, -0.2 + 0.5j], atol=1e-9)


def test_instance_noise_stands_for_the_normal_law():
    """64 fixed points against scipy's integral over the normal law: within 3e-3 up to |omega| sigma = 1.6."""
    game = games.dirac(noise=0.8)
    points = np.asarray(game.samples.real)
    np.testing.assert_allclose([points.mean(), points.std()], [0.0, 0.8], atol=1e-12)
    for theta, omega in ((0.5, 0.3), (1.3, 0.9), (-0.7, 2.0)):
        exact = scipy.integrate.quad(
            lambda e, t=theta, o=omega: norm.pdf(e, scale=0.8) * (log_sigmoid(-o * e) + log_sigmoid(o * (t + e))), -8, 8
        )[0]
        np.testing.assert_allclose(game.value(Players(theta, omega)), exact, atol=3e-3)


def test_wgan_gp_has_no_linearisation():
    """The field of omega jumps from -penalty to +penalty across omega = 0, whatever the loss."""
    for loss in ("wasserstein", "logistic"):
        game = games.dirac(loss, penalty=0.3, regulariser="wgan-gp")
        below, above = (float(game.field(Players(0.0, omega)).omega) for omega in (-1e-6, 1e-6))
        np.testing.assert_allclose([below, above], [-0.3, 0.3], rtol=1e-5)


@pytest.mark.parametrize("penalty", [0.3, 1.0])
def test_wgan_gp_ends_on_a_cycle(penalty):
    """Half a turn about -gamma, half a turn about +gamma: the cycle crosses omega = 0 at gamma coth(pi gamma / 4 b).

    Here b = sqrt(1 - gamma^2 / 4), from the two linear fields glued at omega = 0; measured by tiny steps from inside
    and from outside.
    """
    crossing = penalty / np.tanh(np.pi * penalty / 4 / np.sqrt(1 - penalty**2 / 4))
    game = games.dirac("wasserstein", penalty=penalty, regulariser="wgan-gp")
    for start in (0.5 * crossing + penalty, 3.0):
        path = gda.run(game, Players(start, 0.1), lr=1e-3, steps=100_000, update="alternating")
        theta, omega = (np.asarray(part)[-20_000:] for part in path)
        crossed = np.abs(theta[:-1][omega[:-1] * omega[1:] < 0])
        assert len(crossed) >= 4
        np.testing.assert_allclose(crossed, crossing, rtol=1e-3)


@pytest.mark.parametrize(("loss", "constant"), [("least-squares", 2.0), ("non-saturating", 8.0)])
def test_concave_losses_attract_at_second_order(loss, constant):
    """Where the terms are concave, |x|^2 falls like 4 / (k t), k = g''(0) - s''(0): 2 / t and 8 / t."""
    options = {"steps": 400_000, "every": 200_000, "update": "alternating"}  # which adds no drift of its own
    with jax.enable_x64(True):
        path = gda.run(games.dirac(loss), Players(np.float64(1.0), np.float64(0.0)), lr=2e-3, **options)
        squares = (np.asarray(path.theta) ** 2 + np.asarray(path.omega) ** 2)[1:]
    np.testing.assert_allclose(400 / (1 / squares[1] - 1 / squares[0]), constant, rtol=0.02)


def test_hinge_settles_on_a_circle():
    """Where theta omega > 1 the discriminator rests: paths from outside end on the circle of radius sqrt(2)."""
    for start, radius in ((Players(3.0, 0.0), np.sqrt(2)), (Players(1.2, 0.0), 1.2)):
        path = gda.run(games.dirac("hinge"), start, lr=1e-4, steps=300_000, every=1000)
        np.testing.assert_allclose(np.hypot(*path)[-50:], radius, rtol=2e-3)
