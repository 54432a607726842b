"""Descent-ascent: rules against hand-written loops, spectra and limits against closed forms, refusals."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gansde_lib import Players, games, gda, simulate

COUPLING = np.array([[1.0, 0.3], [-0.4, 0.8], [0.2, 0.5]])


def numpy_run(field, theta, omega, lr, steps, inner_steps=None):
    """Descent-ascent written out in NumPy; `inner_steps=None` means simultaneous."""
    path = [(theta, omega)]
    for _ in range(steps):
        if inner_steps is None:
            push = field(theta, omega)
            theta, omega = theta + lr[0] * push[0], omega + lr[1] * push[1]
        else:
            for _ in range(inner_steps):
                omega = omega + lr[1] * field(theta, omega)[1]
            theta = theta + lr[0] * field(theta, omega)[0]
        path.append((theta, omega))
    return [np.array(part) for part in zip(*path, strict=True)]


def dirac_field(theta, omega, penalty=0.3):
    slope = 1 / (1 + np.exp(theta * omega))
    return -omega * slope, theta * slope - penalty * omega


@pytest.mark.parametrize(
    ("update", "inner_steps"), [("simultaneous", None), ("alternating", 1), (gda.alternating(3), 3)]
)
def test_run_agrees_with_numpy(update, inner_steps):
    with jax.enable_x64(True):
        game = games.dirac(penalty=0.3)
        path = gda.run(game, Players(1.0, 0.5), lr=(0.3, 0.7), steps=50, update=update)
        expected = numpy_run(dirac_field, 1.0, 0.5, (0.3, 0.7), 50, inner_steps)
    assert path.theta.shape == path.omega.shape == (51,)
    np.testing.assert_allclose(path.theta, expected[0], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(path.omega, expected[1], rtol=1e-10, atol=1e-12)


def test_simultaneous_energy_grows_by_the_closed_form():
    """theta^2/eta_theta + omega^2/eta_omega grows by exactly 1 + eta_theta eta_omega c^2 a step."""
    lr, coupling = (0.1, 0.4), 1.7
    with jax.enable_x64(True):
        path = gda.run(games.bilinear(coupling), Players(1.0, 0.3), lr=lr, steps=200)
        energy = gda.simultaneous_energy(path, lr=lr)
    np.testing.assert_allclose(energy[1:] / energy[:-1], 1 + 0.1 * 0.4 * 1.7**2, rtol=1e-12)
    np.testing.assert_allclose(gda.bilinear_growth(coupling, lr=lr), [1 + 0.1 * 0.4 * 1.7**2], rtol=1e-12)


def test_matrix_coupling_grows_per_singular_value():
    """Started along a singular pair, the energy grows by that pair's own factor."""
    lr = (0.2, 0.3)
    left, singular, right = np.linalg.svd(COUPLING)
    with jax.enable_x64(True):
        for index, factor in enumerate(gda.bilinear_growth(COUPLING, lr=lr)):
            start = Players(left[:, index], 0.5 * right[index])
            energy = gda.simultaneous_energy(gda.run(games.bilinear(COUPLING), start, lr=lr, steps=50), lr=lr)
            np.testing.assert_allclose(energy[1:] / energy[:-1], factor, rtol=1e-11)
            np.testing.assert_allclose(factor, 1 + 0.06 * singular[index] ** 2, rtol=1e-12)


def test_alternating_keeps_its_energy_exactly():
    lr = (0.2, 0.9)
    with jax.enable_x64(True):
        start = Players(np.array([1.0, -0.5, 0.3]), np.array([0.2, 0.7]))
        path = gda.run(games.bilinear(COUPLING), start, lr=lr, steps=5000, update="alternating")
        energy = np.asarray(gda.alternating_energy(path, coupling=COUPLING, lr=lr))
        plain = np.asarray(gda.simultaneous_energy(path, lr=lr))
    np.testing.assert_allclose(energy, energy[0], rtol=1e-10)
    assert np.ptp(plain) > 0.1 * plain[0]  # the coupling term is needed: without it the energy swings


@pytest.mark.parametrize(("scaled_rate", "bounded"), [(1.99, True), (2.01, False)])
def test_alternating_is_bounded_below_two(scaled_rate, bounded):
    """The boundary is sqrt(eta_theta eta_omega) sigma_max = 2; unequal rates whose product is right count."""
    sigma = np.linalg.norm(COUPLING, 2)
    lr = (0.5 * scaled_rate / sigma, 2.0 * scaled_rate / sigma)
    with jax.enable_x64(True):
        start = Players(np.array([1.0, -0.5, 0.3]), np.array([0.2, 0.7]))
        path = gda.run(games.bilinear(COUPLING), start, lr=lr, steps=4000, update="alternating")
    assert (gda.diverged_at(path) is None) == bounded


def test_alternating_grows_linearly_on_the_boundary():
    """At sqrt(eta_theta eta_omega) c = 2 the map has a Jordan block at -1: growth is linear, not exponential."""
    with jax.enable_x64(True):
        path = gda.run(games.bilinear(1.0), Players(1.0, 0.0), lr=2.0, steps=1000, update="alternating")
    np.testing.assert_allclose(np.abs(path.theta), 1 + 2 * np.arange(1001), rtol=1e-9)


@pytest.mark.parametrize("update", ["simultaneous", "alternating"])
@pytest.mark.parametrize(("damping", "coupling"), [(0.2, 1.0), (1.0, 1.0), (0.05, 3.0), (1.5, -0.4)])
def test_rotation_limit_by_bisection(update, damping, coupling):
    game = games.quadratic(damping, coupling, damping)
    found = gda.stability_limit(game, Players(0.0, 0.0), update=update, upper=40.0)
    assert abs(found - gda.rotation_limit(damping, coupling, update=update)) < 1e-6


@pytest.mark.parametrize("update", ["simultaneous", "alternating"])
@pytest.mark.parametrize("penalty", [0.1, 0.3, 0.9, 1.3, 2.0])
def test_dirac_limit_by_bisection(update, penalty):
    found = gda.stability_limit(games.dirac(penalty=penalty), Players(0.0, 0.0), update=update)
    assert abs(found - gda.dirac_limit(penalty, update=update)) < 1e-6


def test_simultaneous_dirac_steps_grow_by_an_identity():
    """Without penalty |x'|^2 = |x|^2 (1 + eta^2 f'(theta omega)^2) at every step, near the equilibrium or far."""
    with jax.enable_x64(True):
        path = gda.run(games.dirac(), Players(1.0, 0.5), lr=0.3, steps=500)
        square = np.asarray(path.theta**2 + path.omega**2)
        slope = np.asarray(1 / (1 + np.exp(path.theta * path.omega)))
    np.testing.assert_allclose(square[1:] / square[:-1], (1 + 0.09 * slope**2)[:-1], rtol=1e-12)


def test_alternating_dirac_steps_drift_at_a_much_higher_order():
    """Without penalty the mean radius grows by ~eta^4 a step (eta^2 for simultaneous): doubling eta, 12 to 40 times."""
    with jax.enable_x64(True):
        drift = []
        for eta in (0.08, 0.16):
            path = gda.run(games.dirac(), Players(1.0, 0.5), lr=eta, steps=100_000, update="alternating")
            logarithm = np.log(np.hypot(path.theta, path.omega))
            drift.append(logarithm[-20_000:].mean() - logarithm[:20_000].mean())
    assert drift[0] > 0 and 12 < drift[1] / drift[0] < 40


def test_inner_steps_multiply_the_discriminators_rate_in_a_bilinear_game():
    with jax.enable_x64(True):
        start = Players(1.0, 0.3)
        inner = gda.run(games.bilinear(1.0), start, lr=(0.3, 0.1), steps=50, update=gda.alternating(4))
        scaled = gda.run(games.bilinear(1.0), start, lr=(0.3, 0.4), steps=50, update="alternating")
    np.testing.assert_allclose(inner.theta, scaled.theta, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_eigenvalue_pair_agrees_with_numpy(seed):
    matrix = np.random.default_rng(seed).normal(size=(2, 2))
    real, imaginary = gda.eigenvalue_pair(jnp.asarray(matrix, dtype=jnp.float32))
    found, expected = np.sort_complex(np.asarray(real) + 1j * np.asarray(imaginary)), np.linalg.eigvals(matrix)
    np.testing.assert_allclose(found, np.sort_complex(expected), atol=1e-5)


def test_toy_gan_limit():
    """Simultaneous steps are stable below min of -2 Re(lambda)/|lambda|^2 over the field's eigenvalues: 0.14381."""
    with jax.enable_x64(True):
        x = Players(np.array([0.8665215, -0.1399556]), np.array([-0.3735222, 0.3961957]))
        flow = np.linalg.eigvals(games.field_jacobian(games.toy_gan(), x))
    predicted = np.min(-2 * flow.real / np.abs(flow) ** 2)
    assert abs(predicted - 0.14381) < 5e-6
    assert abs(gda.stability_limit(games.toy_gan(), x) - predicted) < 1e-6


def test_jacobian_agrees_with_finite_differences():
    game, x, lr = games.toy_gan(), Players(np.array([0.6, -0.1]), np.array([-0.3, 0.5])), (0.1, 0.3)
    with jax.enable_x64(True):
        for update in ("simultaneous", gda.alternating(2)):
            found = gda.jacobian(game, x, lr=lr, update=update)
            flat, columns = np.concatenate(x), []
            for direction in 1e-5 * np.eye(4):
                ends = []
                for moved in (flat + direction, flat - direction):
                    end = gda.run(game, Players(moved[:2], moved[2:]), lr=lr, steps=1, update=update)
                    ends.append(np.concatenate([end.theta[1], end.omega[1]]))
                columns.append((ends[0] - ends[1]) / 2e-5)
            np.testing.assert_allclose(found, np.stack(columns, axis=1), atol=1e-8)


@pytest.mark.parametrize("penalty", [0.0, 0.3, 2.0])
def test_dirac_spectrum(penalty):
    """Simultaneous: 1 + eta * flow eigenvalues. Alternating: product and sum of the roots of the 2 x 2 map."""
    with jax.enable_x64(True):
        game, origin, eta = games.dirac(penalty=penalty), Players(0.0, 0.0), 0.4
        flow = games.dirac_eigenvalues(penalty=penalty)
        found = gda.spectrum(game, origin, lr=eta)
        np.testing.assert_allclose(np.sort_complex(found), np.sort_complex(1 + eta * flow), atol=1e-12)
        found = gda.spectrum(game, origin, lr=eta, update="alternating")
        np.testing.assert_allclose(np.prod(found), 1 - eta * penalty, atol=1e-12)
        np.testing.assert_allclose(np.sum(found), 2 - eta * penalty - eta**2 / 4, atol=1e-12)


@pytest.mark.parametrize("penalty", [0.5, 1.5])
def test_measured_decay_is_the_spectral_radius(penalty):
    """Near the equilibrium log-distance falls by log(radius) a step, in a rotating and in a real case."""
    game, eta = games.dirac(penalty=penalty), 0.3
    with jax.enable_x64(True):
        path = gda.run(game, Players(1e-3, 1e-3), lr=eta, steps=400)
        radius = gda.spectral_radius(game, Players(0.0, 0.0), lr=eta)
    slope = np.polyfit(np.arange(100, 401), np.log(np.hypot(path.theta, path.omega))[100:], 1)[0]
    assert abs(slope / np.log(radius) - 1) < 2e-3


def test_minibatch_noise_has_the_right_variance():
    """One step with B = 4 of additive noise of variance 1: variance eta^2/B for theta, within 4 standard errors."""
    samples = {"a": np.array([1.0, -1.0, 1.0, -1.0]), "b": np.array([1.0, 1.0, -1.0, -1.0])}
    game, lr, batch, count = games.quadratic(0.0, 0.0, 0.0, samples=samples), (0.5, 0.25), 4, 20_000

    def one_step(key):
        return gda.run(game, Players(0.0, 0.0), lr=lr, steps=1, batch=batch, key=key)

    path = jax.vmap(one_step)(jax.random.split(jax.random.key(3), count))
    for player, rate in zip(path, lr, strict=True):
        variance, expected = np.var(player[:, 1]), rate**2 / batch
        assert abs(variance - expected) < 4 * expected * np.sqrt(2 / count)


@pytest.mark.parametrize("update", ["simultaneous", "alternating"])
@pytest.mark.parametrize("shared", [True, False])
def test_shared_batches_correlate_the_players(update, shared):
    """With a = b the players' draws are equal if shared (correlation 1) and uncorrelated (0 +- 4 s.e.) if not."""
    draws = np.array([1.0, -1.0, 1.0, -1.0])
    game, count = games.quadratic(0.0, 0.0, 0.0, samples={"a": draws, "b": draws}), 20_000

    def one_step(key):
        options = {"lr": 0.1, "steps": 1, "batch": 1, "update": update, "shared_batch": shared}
        return gda.run(game, Players(0.0, 0.0), key=key, **options)

    path = jax.vmap(one_step)(jax.random.split(jax.random.key(4), count))
    correlation = np.corrcoef(path.theta[:, 1], path.omega[:, 1])[0, 1]
    assert abs(correlation - shared) < 4 / np.sqrt(count)


def test_alternating_clouds_are_smaller():
    """E|x - x*|^2 of the toy GAN at eta = 0.1, B = 4, against an independent long-run value for simultaneous updates.

    0.1067 came from 128 chains of 100,000 steps. Here 256 chains, averaged over 2,000 steps each, give a standard
    error of about 5 %.
    """
    saddle = Players(np.array([0.8665215, -0.1399556], "f4"), np.array([-0.3735222, 0.3961957], "f4"))

    def square(key, update):
        path = gda.run(games.toy_gan(), saddle, lr=0.1, steps=4000, batch=4, update=update, key=key)
        return jnp.mean(
            sum(jnp.sum((part - centre) ** 2, axis=1) for part, centre in zip(path, saddle, strict=True))[2000:]
        )

    together, apart = (
        np.asarray(simulate.ensemble(lambda key, u=u: square(key, u), size=256, key=jax.random.key(8), chunk=128))
        for u in gda.ORDERS
    )
    assert abs(together.mean() - 0.1067) < 3 * together.std() / np.sqrt(256)
    ratio = apart.mean() / together.mean()
    relative_error = np.hypot(together.std() / together.mean(), apart.std() / apart.mean()) / np.sqrt(256)
    assert ratio * (1 + 3 * relative_error) < 0.5


def test_recording_every_tenth_step():
    options = {"lr": 0.1, "steps": 50, "batch": 4, "key": jax.random.key(5)}
    start = Players([0.5, 0.1], [0.2, 0.0])
    dense, sparse = (gda.run(games.toy_gan(), start, every=every, **options) for every in (1, 10))
    np.testing.assert_allclose(sparse.theta, dense.theta[::10], rtol=1e-5)


def test_a_full_batch_run_ignores_the_key():
    paths = [gda.run(games.dirac(), Players(1.0, 1.0), lr=0.1, steps=5, key=key) for key in (None, jax.random.key(9))]
    np.testing.assert_array_equal(paths[0].theta, paths[1].theta)


def test_changing_numbers_does_not_compile_again():
    """Rates, starts, penalties and keys are data: a run with other numbers reuses the compiled one."""
    from gansde_lib.gda.training import _run

    before = _run._cache_size()
    for index in range(4):
        game = games.dirac(penalty=0.1 * index)
        gda.run(game, Players(1.0 + index, 0), lr=(0.1, 0.2 + index), steps=7, key=jax.random.key(index))
    assert _run._cache_size() == before + 1


@dataclass(frozen=True)
class HeavyBall:
    """A rule with memory, as a reader might write one: velocity v' = beta v + F, x' = x + eta v'."""

    beta: float = -0.3

    def init(self, x):
        return jax.tree.map(jnp.zeros_like, x)

    def step(self, field, x, memory, *, lr, key):
        velocity = jax.tree.map(lambda v, f: self.beta * v + f, memory, field(x, key))
        return Players(x.theta + lr.theta * velocity.theta, x.omega + lr.omega * velocity.omega), velocity


jax.tree_util.register_static(HeavyBall)


def test_rules_with_memory_fit_the_idiom():
    """The augmented Jacobian of heavy-ball steps on a bilinear game, against its 4 x 4 block matrix."""
    rule, eta, c = HeavyBall(), 0.2, 1.5
    field = np.array([[0.0, -c], [c, 0.0]])
    expected = np.block([[np.eye(2) + eta * field, eta * rule.beta * np.eye(2)], [field, rule.beta * np.eye(2)]])
    with jax.enable_x64(True):
        found = gda.jacobian(games.bilinear(c), Players(0.0, 0.0), lr=eta, update=rule)
        path = gda.run(games.bilinear(c), Players(1.0, 0.0), lr=eta, steps=30, update=rule)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    expected_end = np.linalg.matrix_power(expected, 30) @ [1.0, 0.0, 0.0, 0.0]
    np.testing.assert_allclose([path.theta[-1], path.omega[-1]], expected_end[:2], rtol=1e-9)


def test_a_diverging_run_is_a_result():
    path = gda.run(games.quadratic(-1.0, 0.0, 1.0), Players(1.0, 0.0), lr=1.0, steps=300)
    assert path.theta.shape == (301,) and not np.isfinite(path.theta[-1])
    assert gda.diverged_at(path, bound=1e3) == 10  # 2^10 is the first power of two above 1000
    assert gda.diverged_at(gda.run(games.dirac(), Players(1.0, 0.0), lr=0.1, steps=0)) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lr": 0.0}, "eta_theta must be a positive, finite number, found 0.0"),
        ({"lr": (0.1, -1)}, "eta_omega must be a positive, finite number, found -1"),
        ({"lr": float("nan")}, "eta_theta must be a positive"),
        ({"lr": (0.1, 0.2, 0.3)}, "lr must be one rate or (eta_theta, eta_omega)"),
        ({"steps": -1}, "steps must be an integer >= 0, found -1"),
        ({"steps": 2.5}, "steps must be an integer >= 0, found 2.5"),
        ({"update": "adversarial"}, "'momentum', 'normalised', found 'adversarial'"),
        ({"update": 3}, "or a rule with methods init and step, found 3"),
        ({"batch": 0, "key": jax.random.key(0)}, "batch must be an integer >= 1, found 0"),
        ({"batch": 2, "key": jax.random.key(0)}, "batch=2 exceeds the game's 1 samples"),
        ({"batch": 1}, "minibatches need a random key"),
        ({"every": 0}, "every must be an integer >= 1, found 0"),
        ({"every": 3}, "every must divide steps, found 3 and 10"),
        ({"x0": Players(np.inf, 0.0)}, "theta must start finite"),
        ({"x0": Players(np.ones(2), np.ones(3))}, "cannot stand between"),
    ],
)
def test_refusals_name_what_was_found_and_expected(change, message):
    arguments = {"x0": Players(1.0, 0.0), "lr": 0.1, "steps": 10} | change
    with pytest.raises(ValueError) as refusal:
        gda.run(games.bilinear(1.0), **arguments)
    assert message in str(refusal.value) and "for example" in str(refusal.value)


def test_more_refusals():
    with pytest.raises(ValueError, match="inner_steps must be an integer >= 1, found 0"):
        gda.alternating(0)
    with pytest.raises(ValueError, match=r"upper=0\.01 unstable"):
        gda.stability_limit(games.quadratic(1.0, 1.0, 1.0), Players(0.0, 0.0), upper=0.01)
    with pytest.raises(ValueError, match="damping must be a positive"):
        gda.rotation_limit(0.0, 1.0)
