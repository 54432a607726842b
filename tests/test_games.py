"""Games: payoffs against NumPy, fields against finite differences, minibatches, equilibria, refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gansde_lib import Game, Players, games


def finite_difference_field(value, x, step=1e-6):
    """Central differences of `value(theta, omega)`, as (-d/dtheta, +d/domega), in float64."""
    flat = [np.array(part, dtype=np.float64) for part in x]
    field = []
    for player, sign in enumerate((-1, 1)):
        gradient = np.zeros_like(flat[player])
        for index in np.ndindex(gradient.shape):
            ends = []
            for direction in (1, -1):
                moved = [part.copy() for part in flat]
                moved[player][index] += direction * step
                ends.append(value(*moved))
            gradient[index] = (ends[0] - ends[1]) / (2 * step)
        field.append(sign * gradient)
    return field


def numpy_softplus(t):
    return np.log1p(np.exp(t))


def toy_value(theta, omega):
    samples = games.toy_gan().samples

    def score(point):
        return omega[0] * np.tanh(point) + omega[1] * np.tanh(point) ** 2

    fake = theta[0] + theta[1] * samples.latent
    return score(samples.real).mean() - score(fake).mean() + 0.05 * (theta @ theta - omega @ omega)


def dirac_value(loss, penalty):
    def value(theta, omega):
        score = theta * omega
        f = score if loss == "wasserstein" else -numpy_softplus(-score) - np.log(2)
        return f - penalty / 2 * omega**2

    return value


PER_SAMPLE = {
    name: np.random.default_rng(5).normal(size=(7, *shape))
    for name, shape in {"P": (2, 2), "C": (2, 3), "Q": (3, 3), "a": (2,), "b": (3,)}.items()
}


def quadratic_value(theta, omega):
    P, C, Q, a, b = (PER_SAMPLE[name].mean(axis=0) for name in "PCQab")
    return (
        theta @ (np.eye(2) + P) @ theta / 2
        + theta @ (2 * np.ones((2, 3)) + C) @ omega
        - omega @ (3 * np.eye(3) + Q) @ omega / 2
        + a @ theta
        - b @ omega
    )


CATALOGUE = {
    "bilinear": (games.bilinear(1.7), Players(0.4, -1.1), lambda t, o: 1.7 * t * o),
    "bilinear matrix": (
        games.bilinear([[1.0, 2.0, 0.5], [0.0, -1.0, 3.0]]),
        Players([0.3, -0.4], [1.0, 0.2, -0.7]),
        lambda t, o: t @ np.array([[1.0, 2.0, 0.5], [0.0, -1.0, 3.0]]) @ o,
    ),
    "quadratic": (
        games.quadratic(1.0, 2.0 * np.ones((2, 3)), 3.0, samples=PER_SAMPLE),
        Players([0.3, -0.4], [1.0, 0.2, -0.7]),
        quadratic_value,
    ),
    "dirac logistic": (games.dirac(penalty=0.3), Players(1.3, 0.9), dirac_value("logistic", 0.3)),
    "dirac wasserstein": (
        games.dirac("wasserstein", penalty=0.3),
        Players(1.3, 0.9),
        dirac_value("wasserstein", 0.3),
    ),
    "toy gan": (games.toy_gan(), Players([0.5, -0.3], [0.2, 0.6]), toy_value),
}


@pytest.mark.parametrize("name", CATALOGUE)
def test_value_and_field_agree_with_numpy(name):
    game, x, value = CATALOGUE[name]
    with jax.enable_x64(True):
        x = Players(*(np.asarray(part, dtype=np.float64) for part in x))
        np.testing.assert_allclose(game.value(x), value(*x), rtol=1e-12)
        for found, expected in zip(game.field(x), finite_difference_field(value, x), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-8)


def test_non_saturating_field():
    """The generator descends -f(-theta omega) - f(0), the discriminator ascends f(theta omega) + f(0)."""
    game, theta, omega = games.dirac("non-saturating"), 1.3, 0.9
    with jax.enable_x64(True):
        field = game.field(Players(np.float64(theta), np.float64(omega)))
        step = 1e-6
        generator = [numpy_softplus((theta + s) * omega) for s in (step, -step)]
        discriminator = [-numpy_softplus(-theta * (omega + s)) for s in (step, -step)]
    np.testing.assert_allclose(field.theta, -(generator[0] - generator[1]) / (2 * step), rtol=1e-8)
    np.testing.assert_allclose(field.omega, (discriminator[0] - discriminator[1]) / (2 * step), rtol=1e-8)
    assert not game.zero_sum and games.dirac().zero_sum


def test_penalty_is_r1_of_the_linear_discriminator():
    """R1 subtracts penalty/2 |grad_x D|^2 and D(x) = omega x: the field of omega loses exactly penalty * omega."""
    x = Players(0.0, 1.5)
    difference = games.dirac(penalty=0.4).field(x).omega - games.dirac().field(x).omega
    np.testing.assert_allclose(difference, -0.4 * 1.5, rtol=1e-6)


def test_dirac_flow_moves_on_circles():
    """Without penalty x . F(x) = 0 everywhere; with it, x . F(x) = -penalty omega^2."""
    points = np.random.default_rng(2).normal(size=(50, 2))
    with jax.enable_x64(True):
        for penalty in (0.0, 0.7):
            inner = [np.dot(x, games.dirac(penalty=penalty).field(Players(*x))) for x in points]
            np.testing.assert_allclose(inner, -penalty * points[:, 1] ** 2, atol=1e-12)


def test_toy_gan_equilibrium():
    """The saddle and the eigenvalues of the field there, to the digits of the reference computation."""
    game = games.toy_gan()
    with jax.enable_x64(True):
        x = Players(np.array([0.8665215, -0.1399556]), np.array([-0.3735222, 0.3961957]))
        assert games.equilibrium(game, x).critical
        eigenvalues = np.linalg.eigvals(games.field_jacobian(game, x))
    expected = [-0.0529 + 0.8563j, -0.0529 - 0.8563j, -0.0965 + 0.0324j, -0.0965 - 0.0324j]
    np.testing.assert_allclose(np.sort_complex(eigenvalues), np.sort_complex(expected), atol=5e-5)


def test_product_averages_over_all_pairs():
    real, latent = np.array([1.0, 2.0, 4.0]), np.array([0.5, -1.0])
    game = Game(lambda theta, omega, s: theta * s.real * s.latent + omega, games.Product(real, latent))
    assert game.size == 6
    np.testing.assert_allclose(game.value(Players(2.0, 0.1)), 2 * np.outer(real, latent).mean() + 0.1, rtol=1e-6)


@pytest.mark.parametrize("name", ["quadratic", "toy gan"])
def test_minibatch_field_is_unbiased(name):
    """The mean of the field over 40,000 drawn batches is the full field, within 4 standard errors."""
    game, x, _ = CATALOGUE[name]
    x = game.check(Players(*(np.asarray(part) for part in x)))
    keys = jax.random.split(jax.random.key(1), 40_000)
    draws = jax.vmap(lambda key: game.field(x, game.draw(key, 3)))(keys)
    for found, expected in zip(draws, game.field(x), strict=True):
        error = np.std(found, axis=0) / np.sqrt(len(keys))
        assert np.all(error > 0) and np.all(error < 0.05)
        assert np.all(np.abs(np.mean(found, axis=0) - expected) < 4 * error)


def test_draws_of_a_product_are_independent_pairs():
    """Real and latent indices are drawn independently: all 9 pairs appear, each within 4.5 s.e. of 1/9."""
    game = Game(lambda theta, omega, s: theta * omega, games.Product(np.arange(3.0), np.arange(3.0)))
    batch = game.draw(jax.random.key(0), 90_000)
    counts = np.bincount((3 * batch.real + batch.latent).astype(int), minlength=9)
    assert np.all(np.abs(counts - 10_000) < 4.5 * np.sqrt(90_000 / 9 * 8 / 9))


def test_lists_of_unequal_layers_stay_lists():
    """A list of numbers is a vector; a list of layers is a pytree, concrete or traced."""
    layers = [(np.ones((2, 3)), np.ones(3)), {"weight": np.ones((3, 1))}]
    for convert in (games.as_players, jax.jit(games.as_players)):
        found = convert(Players(layers, [1, 2.5]))
        assert jax.tree.map(jnp.shape, found.theta) == [((2, 3), (3,)), {"weight": (3, 1)}]
        assert jax.tree.leaves(found)[0].dtype == jnp.float32
    np.testing.assert_array_equal(games.as_players(Players(layers, [1, 2.5])).omega, [1.0, 2.5])
    traced = jax.jit(lambda a, b: games.as_players(Players([a, b], 0.0)).theta)(1.0, 2.0)
    np.testing.assert_array_equal(traced, [1.0, 2.0])


def test_players_may_be_pytrees():
    game = Game(lambda theta, omega, s: s * theta["w"] @ omega[0] + omega[1] ** 2, [1.0, 3.0])
    field = game.field(Players({"w": np.array([1.0, 2.0])}, [np.array([3.0, 4.0]), 0.5]))
    np.testing.assert_allclose(field.theta["w"], [-6.0, -8.0])
    np.testing.assert_allclose(field.omega[0], [2.0, 4.0])
    np.testing.assert_allclose(field.omega[1], 1.0)


@pytest.mark.parametrize(
    ("P", "C", "Q", "nash", "minimax", "stable"),
    [
        (1, 1, 1, True, True, True),
        (-1, 2, 2, False, True, True),
        (-3, 2, 1, False, True, False),
        (2, 2, -1, False, False, True),
        (0, 1, 0, False, False, False),
        (-2, 1, 1, False, False, False),  # eigenvalues of both signs
    ],
)
def test_equilibrium_notions(P, C, Q, nash, minimax, stable):
    """Against the scalar criteria: P > 0 < Q; Q > 0 and P + C^2/Q > 0; P + Q > 0 and P Q + C^2 > 0."""
    assert nash == (P > 0 and Q > 0)
    assert minimax == (Q > 0 and P * Q + C**2 > 0)
    assert stable == (P + Q > 0 and P * Q + C**2 > 0)
    found = games.equilibrium(games.quadratic(P, C, Q), Players(0.0, 0.0))
    assert found == games.Equilibrium(True, nash, minimax, stable)


def test_equilibrium_away_from_a_critical_point():
    assert games.equilibrium(games.quadratic(1.0, 1.0, 1.0), Players(1.0, 0.0)) == (False, False, False, False)
    assert games.equilibrium(games.dirac("non-saturating", penalty=0.5), Players(0.0, 0.0)).minimax is None


def test_field_jacobian_of_a_quadratic_game():
    P, C, Q = np.diag([1.0, 2.0]), np.array([[1.0], [3.0]]), np.array([[4.0]])
    found = games.field_jacobian(games.quadratic(P, C, Q), Players([0.0, 0.0], [0.0]))
    np.testing.assert_allclose(found, np.block([[-P, -C], [C.T, -Q]]), rtol=1e-6)


def test_a_game_passes_through_jit_without_tracing_twice():
    traces = []

    @jax.jit
    def value(game, x):
        traces.append(1)
        return game.value(x)

    for penalty in (0.1, 0.2, 0.9):
        value(games.dirac(penalty=penalty), games.as_players(Players(1.0, 1.0)))
    assert len(traces) == 1


REFUSALS = {
    "unknown loss": (lambda: games.dirac("hinge-ish"), "loss must be one of 'logistic'"),
    "negative penalty": (lambda: games.dirac(penalty=-1.0), "penalty must be a finite number >= 0, found -1.0"),
    "no samples": (lambda: Game(lambda t, o, s: t * o, np.zeros((0, 2))), "leading axis of at least 1"),
    "empty list": (lambda: Game(lambda t, o, s: t * o, []), "leading axis of at least 1"),
    "scalar sample": (lambda: Game(lambda t, o, s: t * o, 1.0), "leading axis of at least 1"),
    "uneven samples": (
        lambda: Game(lambda t, o, s: t * o, {"a": np.zeros(3), "b": np.zeros(4)}),
        "share a leading axis",
    ),
    "unknown term": (lambda: games.quadratic(1.0, 1.0, 1.0, samples={"R": np.ones(3)}), "a key of samples"),
    "flat matrix": (lambda: games.quadratic(np.ones(2), 1.0, 1.0), "P must be a scalar or a square matrix"),
    "oblong Q": (lambda: games.quadratic(1.0, 1.0, np.ones((2, 3))), "Q must be a scalar or a square matrix"),
    "zero size": (lambda: games.toy_gan(size=0), "size must be an integer >= 1, found 0"),
    "wrong shapes": (
        lambda: games.bilinear(np.ones((2, 3))).check(Players(np.ones(3), np.ones(2))),
        "C of shape (2, 3) cannot stand between",
    ),
    "unequal scalars": (lambda: games.bilinear(1.0).check(Players(np.ones(3), np.ones(2))), "two equal shapes"),
    "nan start": (lambda: games.bilinear(1.0).check(Players(np.nan, 1.0)), "theta must start finite"),
    "not players": (lambda: games.as_players(3.0), "x must be Players(theta, omega), found 3.0"),
    "vector payoff": (
        lambda: Game(lambda t, o, s: t * o, [1.0]).check(Players(np.ones(2), np.ones(2))),
        "the payoff of one sample must be a scalar, found 1 axes",
    ),
    "does not fit": (
        lambda: Game(lambda t, o, s: jnp.dot(t, o), [1.0]).check(Players(np.ones(2), np.ones(3))),
        "cannot be evaluated",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals_name_what_was_found_and_expected(name):
    call, message = REFUSALS[name]
    with pytest.raises(ValueError) as refusal:
        call()
    assert message in str(refusal.value)
    assert "for example" in str(refusal.value)
