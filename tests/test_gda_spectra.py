"""Predicted rates against simulated ones: closed factors, all rules on four games, convergence maps, limiting radii."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gansde_lib import Players, games, gda

ORIGIN = Players(0.0, 0.0)
SMOOTH = [update for update in gda.RULES if update != "normalised"]
CLOSED = [*SMOOTH, gda.momentum(0.3, "simultaneous"), gda.consensus(0.4), gda.symplectic(0.7)]


def name(value):
    """A short name for a test's parameter."""
    return value if isinstance(value, str) else type(value).__name__


def without(values, gone):
    """Remove from an array, for each entry of `gone`, the value closest to it; also return the largest distance."""
    values, worst = list(values), 0.0
    for entry in gone:
        nearest = min(range(len(values)), key=lambda i: abs(values[i] - entry))
        worst = max(worst, abs(values.pop(nearest) - entry))
    return np.array(values), worst


@pytest.mark.parametrize("update", CLOSED, ids=name)
@pytest.mark.parametrize(("shape", "seed"), [((3, 2), 0), ((2, 4), 1)])
def test_bilinear_factors_against_autodiff(update, shape, seed):
    """Random rectangular couplings and rates; what is left over are directions that do not move, and their memory."""
    rng = np.random.default_rng(seed)
    coupling, lr = rng.normal(size=shape), tuple(rng.uniform(0.1, 0.6, 2))
    x = Players(np.zeros(shape[0]), np.zeros(shape[1]))
    with jax.enable_x64(True):
        found = gda.spectrum(games.bilinear(coupling), x, lr=lr, update=update)
    predicted = gda.bilinear_factors(coupling, lr=lr, update=update)
    assert predicted.shape == (min(shape), 4 if len(found) == 2 * sum(shape) else 2)
    rest, worst = without(found, predicted.ravel())
    assert worst < 1e-6
    idle = {0.0, 1.0, getattr(gda.rule(update), "beta", 0.0)}
    assert len(rest) in (1, 2, 4) and all(min(abs(value - i) for i in idle) < 1e-6 for value in rest)


@pytest.mark.parametrize("update", CLOSED, ids=name)
def test_damped_factors_against_autodiff(update):
    rng = np.random.default_rng(2)
    for _ in range(3):
        a, b, lr = rng.uniform(-1, 0.3), rng.uniform(0.5, 2), tuple(rng.uniform(0.1, 0.8, 2))
        with jax.enable_x64(True):
            found = gda.spectrum(games.quadratic(-a, b, -a), ORIGIN, lr=lr, update=update)
        rest, worst = without(found, gda.linear_factors(a + 1j * b, lr=lr, update=update))
        assert worst < 1e-6 and not rest.size


def test_the_closed_factors_of_the_page():
    """On i s: extragradient 1 - t^2 +- i t, implicit 1/(1 -+ i t), optimistic and momentum as roots of quadratics."""
    t, beta = 0.7, -0.4
    expect = {
        "extragradient": [1 - t**2 + 1j * t, 1 - t**2 - 1j * t],
        "implicit": [1 / (1 - 1j * t), 1 / (1 + 1j * t)],
        "consensus": [1 - t + 1j * t, 1 - t - 1j * t],  # gamma s^2 eta with s = 1
        "optimistic": np.concatenate([np.roots([1, -(1 + 2j * s), 1j * s]) for s in (t, -t)]),
        gda.momentum(beta, "simultaneous"): np.concatenate(
            [np.roots([1, -(1 + beta + 1j * s), beta]) for s in (t, -t)]
        ),
    }
    for update, factors in expect.items():
        rest, worst = without(gda.bilinear_factors(1.0, lr=t, update=update)[0], factors)
        assert worst < 1e-9 and not rest.size


@pytest.mark.parametrize("update", CLOSED, ids=name)
def test_simulated_rates_of_random_bilinear_games(update):
    """A square coupling, so that every direction turns; the radius of the factors against a run of 20,000 steps."""
    coupling = np.random.default_rng(3).normal(size=(3, 3))
    eta = 0.4 / np.linalg.norm(coupling, 2)
    with jax.enable_x64(True):
        x = Players(np.zeros(3), np.zeros(3))
        found = float(gda.simulated_rate(games.bilinear(coupling), x, lr=eta, update=update, steps=20_000))
    predicted = np.log(np.abs(gda.bilinear_factors(coupling, lr=eta, update=update)).max())
    assert abs(found - predicted) < 2e-4


@pytest.mark.parametrize(
    ("update", "limit"),
    [
        ("extragradient", 1.0),
        ("optimistic", 1 / np.sqrt(3)),
        ("consensus", 1.0),  # 2 gamma / (1 + gamma^2) at gamma = 1
        (gda.consensus(0.5), 0.8),
        (gda.symplectic(0.5), 0.8),
        ("momentum", 1.0),
        (gda.momentum(-0.2), 1.6),
        (gda.momentum(-0.8), 0.4),
    ],
    ids=name,
)
def test_limits_on_the_bilinear_game(update, limit):
    found = gda.stability_limit(games.bilinear(1.0), ORIGIN, update=update, lower=0.02, upper=4.0)
    assert abs(found - limit) < 1e-6


@pytest.mark.parametrize("beta", [-0.9, -0.5, 0.0, 0.5, 0.9])
def test_simultaneous_momentum_never_converges_on_the_bilinear_game(beta):
    for eta in np.geomspace(0.02, 4, 30):
        assert np.abs(gda.linear_factors(1j, lr=eta, update=gda.momentum(beta, "simultaneous"))).max() > 1 + 1e-6


@pytest.mark.parametrize("eta", [0.1, 1.0, 10.0, 1000.0])
def test_implicit_steps_converge_at_every_rate(eta):
    with jax.enable_x64(True):
        radius = gda.spectral_radius(games.bilinear(1.0), ORIGIN, lr=eta, update="implicit")
    assert abs(radius - (1 + eta**2) ** -0.5) < 1e-6


FOUR = {
    "bilinear": (games.bilinear(1.0), ORIGIN, 0.4),
    "damped rotation": (games.quadratic(0.2, 1.0, 0.2), ORIGIN, 0.3),
    "dirac": (games.dirac(penalty=0.3), ORIGIN, 0.5),
    "toy": (games.toy_gan(), Players([0.8665215, -0.1399556], [-0.3735222, 0.3961957]), 0.2),
}


@pytest.mark.parametrize("update", SMOOTH)
@pytest.mark.parametrize("where", FOUR)
def test_all_rules_on_four_games(update, where):
    """The spectral radius by autodiff is the rate of a run near the equilibrium."""
    game, x, lr = FOUR[where]
    with jax.enable_x64(True):
        x = sharpen(game, Players(*(np.asarray(part, np.float64) for part in x)))
        predicted = np.log(gda.spectral_radius(game, x, lr=lr, update=update))
        measured = float(gda.simulated_rate(game, x, lr=lr, update=update, steps=4000))
    assert abs(measured - predicted) < 1e-4


def sharpen(game, x):
    """Newton's method on the field: an equilibrium to the last digits."""
    from jax.flatten_util import ravel_pytree

    flat, unravel = ravel_pytree(x)
    for _ in range(3):
        flat = flat - jnp.linalg.solve(
            games.field_jacobian(game, unravel(flat)), ravel_pytree(game.field(unravel(flat)))[0]
        )
    return unravel(flat)


def test_averages_do_not_change_the_spectrum():
    """EMA adds its decay as an eigenvalue, once for each parameter."""
    game, options = games.dirac(penalty=0.3), {"lr": 0.5}
    inner = gda.spectrum(game, ORIGIN, update="momentum", **options)
    found = gda.spectrum(game, ORIGIN, update=gda.averaged("momentum", 0.9), **options)
    rest, worst = without(found, inner)
    assert worst < 1e-5
    np.testing.assert_allclose(rest, 0.9, atol=1e-5)


@pytest.mark.parametrize(
    "update", ["normalised", gda.adam(), gda.averaged("normalised", 0.9), gda.averaged("momentum")]
)
def test_rules_without_a_linearisation_say_so(update):
    for call in (gda.jacobian, gda.spectrum, gda.simulated_rate, gda.stability_limit):
        with pytest.raises(ValueError, match=r"has no linearisation.*for example gda\.limiting_radius"):
            call(games.bilinear(1.0), ORIGIN, update=update, **({} if call is gda.stability_limit else {"lr": 0.1}))


def test_optax_rules_without_a_clock_have_a_spectrum():
    import optax

    game, beta = games.dirac(penalty=0.3), 0.4
    found = gda.spectrum(game, ORIGIN, lr=0.3, update=gda.optax_rule(optax.sgd(1.0, beta)))
    expected = gda.spectrum(game, ORIGIN, lr=0.3, update=gda.momentum(beta, "simultaneous"))
    np.testing.assert_allclose(np.sort(np.abs(found)), np.sort(np.abs(expected)), rtol=1e-5)


def test_log_radius():
    """Against NumPy's eigenvalues: random, a Jordan block, a triangular and a nilpotent matrix, overflow included."""
    rng = np.random.default_rng(4)
    jordan = np.array([[0.5, 1.0], [0.0, 0.5]])
    with jax.enable_x64(True):
        for matrix in (*rng.normal(size=(5, 4, 4)), 1e80 * rng.normal(size=(6, 6)), np.triu(rng.normal(size=(3, 3)))):
            expected = np.log(np.abs(np.linalg.eigvals(matrix)).max())
            np.testing.assert_allclose(gda.log_radius(jnp.asarray(matrix)), expected, atol=1e-5)
        assert abs(gda.log_radius(jnp.asarray(jordan)) - np.log(0.5)) < 2e-6  # log(n) / n with n = 2^24
    assert gda.log_radius(jnp.array([[0.0, 1.0], [0.0, 0.0]])) == -np.inf


MAPS = {
    "rates": (lambda eta_theta, eta_omega: (games.dirac(penalty=0.3), (eta_theta, eta_omega)), "alternating"),
    "penalty": (lambda eta, penalty: (games.dirac(penalty=penalty), eta), "simultaneous"),
    "momentum": (lambda eta, penalty: (games.dirac(penalty=penalty), eta), "momentum"),
    "optimistic": (lambda eta, penalty: (games.dirac(penalty=penalty), eta), "optimistic"),
}


@pytest.mark.parametrize("which", MAPS)
def test_convergence_maps_agree(which):
    """Prediction and simulation agree in every decided cell; the rates differ by less than 8 over the steps."""
    setting, update = MAPS[which]
    steps = 2000
    found = gda.convergence_map(
        setting, np.linspace(0.02, 5.0, 48), np.linspace(0.02, 3.0, 40), x=ORIGIN, update=update, steps=steps
    )
    assert found.predicted.shape == found.simulated.shape == (48, 40)
    assert 0.05 < (found.predicted < 0).mean() < 0.95  # both sides are on the map
    assert not found.disagree.any() and found.undecided.mean() < 0.05
    assert np.abs(found.simulated - found.predicted).max() * steps < 8


def test_a_wrong_prediction_is_found():
    """The map of one rule does not agree with the runs of the other."""
    axis = np.linspace(0.05, 3.0, 16)
    one, other = (gda.convergence_map(MAPS["penalty"][0], axis, axis, x=ORIGIN, update=update) for update in gda.ORDERS)
    assert one._replace(simulated=other.simulated).disagree.mean() > 0.05


def test_simulated_rate_needs_no_path():
    """A run that would overflow, and one that would underflow: 5,000 steps of a factor of 3 and of 0.1."""
    for factor in (3.0, 0.1):
        rate = gda.simulated_rate(games.quadratic(1 - factor, 0.0, 1 - factor), ORIGIN, lr=1.0, steps=5000)
        assert abs(rate - np.log(factor)) < 1e-4


def test_one_normalised_player_ends_within_one_step():
    """|theta| falls by eta until it jumps between r and eta - r: the limiting radius is max(r, eta - r)."""
    game = games.quadratic(1.0, 0.0, 1.0)
    with jax.enable_x64(True):
        x0 = Players(np.array([1.0, 0.0]), np.zeros(2))
        x = Players(np.zeros(2), np.zeros(2))
        found = float(gda.limiting_radius(game, x, lr=0.3, x0=x0, steps=100))
    assert abs(found - 0.2) < 1e-9  # 1 - 3 * 0.3 = 0.1 and 0.2


def test_limiting_radius_is_proportional_to_the_rates():
    """Normalised steps of a quadratic game commute with scaling: exactly, for a power of two."""
    coupling = np.array([[1.0, 0.3], [-0.4, 0.8]])
    game, x = games.quadratic(0.2, coupling, 0.2), Players(np.zeros(2), np.zeros(2))
    one, two = (gda.limiting_radius(game, x, lr=(k * 0.01, k * 0.02)) for k in (1, 2))
    assert np.isfinite(one) and two == 2 * one
    assert gda.limiting_radius(game, x, lr=0.01) > 0.005  # and it does not converge


def test_a_growing_run_has_no_limiting_radius():
    assert gda.limiting_radius(games.bilinear(1.0), ORIGIN, lr=0.1, update="simultaneous") == np.inf
    assert gda.limiting_radius(games.bilinear(1.0), ORIGIN, lr=0.1, update=gda.normalised("simultaneous")) == np.inf


def test_refusals():
    game = games.bilinear(1.0)
    cases = [
        (lambda: gda.simulated_rate(game, ORIGIN, lr=0.1, steps=3), "steps must be an integer >= 4, found 3"),
        (lambda: gda.simulated_rate(game, ORIGIN, lr=0.1, distance=0.0), "distance must be a positive"),
        (lambda: gda.limiting_radius(game, ORIGIN, lr=0.1, steps=4), "steps must be an integer >= 8, found 4"),
        (lambda: gda.linear_factors(1j, update="normalised"), "no closed form here"),
        (lambda: gda.linear_factors(1j, update=gda.alternating(3)), "no closed form here"),
        (lambda: gda.linear_factors(1j, lr=-1.0, update="optimistic"), "eta_theta must be a positive"),
    ]
    for call, message in cases:
        with pytest.raises(ValueError) as refusal:
            call()
        assert message in str(refusal.value) and "for example" in str(refusal.value)
