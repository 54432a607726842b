"""Exact moments against enumeration and simulation; the table chain x equation; stationary laws; epochs; flows."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
from examples import linear_quadratic

from gansde_lib import Game, Players, games, gda, noise, sde, simulate
from gansde_lib.sde import batches

TIME, BATCH, RATES = 2.0, 4, (0.04, 0.02, 0.01, 0.005)
X0 = Players(np.array([1.0, -0.5, 0.3]), np.array([0.7, -0.2]))


GAME = linear_quadratic(14)


def functions(moments):
    """|x|^2, theta_0 omega_0 and omega_0."""
    return np.array([np.trace(moments.second), moments.second[0, 3], moments.mean[3]])


def slope_of(update, shared, options, *, game=GAME, batch=BATCH, sampling="replacement", rates=RATES):
    errors = []
    for eta in rates:
        steps = round(TIME / eta) if sampling != "epochs" else 3 * round(TIME / eta / 3)
        draws = {"lr": eta, "batch": batch, "update": update, "shared_batch": shared}
        chain = sde.chain_moments(game, X0, steps=steps, **draws, sampling=sampling)
        equation = sde.modified_equation(game, **draws | options)
        errors.append(functions(sde.equation_moments(equation, X0, time=steps)) - functions(chain))
    return np.log2(np.abs(errors[-2]) / np.abs(errors[-1])), np.abs(errors)


TABLE = {
    "simultaneous, shared, no noise": ("simultaneous", True, {"order": 1, "covariance": "none"}, (1, 1, 1)),
    "simultaneous, shared, order 1, block": ("simultaneous", True, {"order": 1, "covariance": "block"}, (1, 1, 1)),
    "simultaneous, shared, order 1, full": ("simultaneous", True, {"order": 1}, (1, 1, 1)),
    "simultaneous, shared, order 2, block": ("simultaneous", True, {"covariance": "block"}, (None, 1, 2)),
    "simultaneous, shared, order 2, full": ("simultaneous", True, {}, (2, 2, 2)),
    "simultaneous, independent, order 2": ("simultaneous", False, {}, (2, 2, 2)),
    "alternating, independent, order 1": ("alternating", False, {"order": 1}, (1, 1, 1)),
    "alternating, independent, order 2": ("alternating", False, {}, (2, 2, 2)),
    "alternating, independent, wrong scheme": ("alternating", False, {"update": "simultaneous"}, (1, 1, 1)),
    "alternating, shared, as if independent": ("alternating", True, {"shared_batch": False}, (1, 1, None)),
    "alternating, shared, full, no extra drift": ("alternating", True, {"shared_drift": False}, (1, None, None)),
    "alternating, shared, order 2, full": ("alternating", True, {}, (2, 2, 2)),
}


@pytest.mark.parametrize(("update", "shared", "options", "expected"), TABLE.values(), ids=TABLE.keys())
def test_weak_orders(update, shared, options, expected):
    """Every row of the table; None where the first order of this one function happens to be small or zero.

    Between the rates 0.0025 and 0.00125: the slope of theta_0 omega_0 for the shared batch approaches 2 from below.
    """
    slopes, _ = slope_of(update, shared, options, rates=(0.0025, 0.00125))
    for slope, order in zip(slopes, expected, strict=True):
        assert order is None or abs(slope - order) < 0.15


def test_order_one_does_not_see_the_noise():
    """Without noise, with block and with full noise: all of order 1, and for the mean the very same error."""
    errors = [
        slope_of("simultaneous", True, {"order": 1, "covariance": kind}, rates=(0.02, 0.01))[1][-1]
        for kind in ("none", "block", "full")
    ]
    np.testing.assert_allclose([row[2] for row in errors], errors[0][2], rtol=1e-6)
    assert all((row > 1e-4).all() for row in errors)


def test_solver_error_is_below_a_tenth_of_the_weak_error():
    """One substep of `splitting` an takes E z z^T to exp(D/2) (1 + N) exp(D/2) of it, but for Runge-Kutta errors.

    D and N are what drift and noise do to the generator. Its error is of third order in the rate; that of `heun`, of
    second, is as large as the weak error itself.
    """
    solver, weak, heun = [], [], []
    z = np.concatenate([[1.0], *X0])
    for eta in (0.02, 0.01):
        steps, draws = round(TIME / eta), {"lr": eta, "batch": BATCH, "update": "alternating"}
        equation, silent = (sde.modified_equation(GAME, **draws, covariance=kind) for kind in ("full", "none"))
        exact, drift = sde.equation_moments(equation, X0, time=steps), sde.generator(silent, X0)
        half = scipy.linalg.expm(drift / 2)
        step = half @ (np.eye(36) + sde.generator(equation, X0) - drift) @ half
        moved = (np.linalg.matrix_power(step, steps) @ np.outer(z, z).ravel()).reshape(6, 6)
        solver.append(np.abs(moved[1:, 1:] - exact.second).max())
        weak.append(np.abs(sde.chain_moments(GAME, X0, steps=steps, **draws).second - exact.second).max())
        with jax.enable_x64(True):  # means of a linear equation are those of its drift
            ends = {
                scheme: sde.run(silent, X0, steps=steps, key=jax.random.key(0), scheme=scheme, every=steps)
                for scheme in ("heun", "splitting", "weak2")
            }
            errors = {k: np.abs(np.concatenate([e.theta[-1], e.omega[-1]]) - exact.mean).max() for k, e in ends.items()}
        assert errors["splitting"] < 1e-6 and errors["weak2"] < 1e-6
        heun.append(errors["heun"])
    assert np.max(np.divide(solver, weak)) < 0.1 < np.min(np.divide(heun, weak))
    np.testing.assert_allclose(
        np.log2([solver[0] / solver[1], weak[0] / weak[1], heun[0] / heun[1]]), [3, 2, 2], atol=0.1
    )


def by_enumeration(game, x, lr, batch, update, shared, replacement):
    """First and second moments of one update over all minibatches, by the game's own field."""
    weights, chances = batches.minibatches(game.size, batch, replacement=replacement)
    rate = np.array([lr[0]] * 3 + [lr[1]] * 2)
    fields = jax.jit(lambda y: noise.per_sample_field(game, y))
    is_theta = np.arange(5) < 3

    def end(own, others):
        y = np.concatenate(x)
        y = y + rate * ~is_theta * (others @ np.asarray(fields(x)))
        seen = Players(x.theta, y[3:]) if update == "alternating" else x
        return y + rate * is_theta * (own @ np.asarray(fields(seen)))

    pairs = [(w, w, p) for w, p in zip(weights, chances, strict=True)]
    if not shared:
        every = list(zip(weights, chances, strict=True))
        pairs = [(a, b, p * q) for (a, p), (b, q) in itertools.product(every, repeat=2)]
    ends, chances = np.array([end(a, b) for a, b, _ in pairs]), np.array([p for *_, p in pairs])
    return chances @ ends, (ends.T * chances) @ ends


@pytest.mark.parametrize("replacement", [True, False])
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("update", gda.ORDERS)
def test_one_update_is_the_mean_over_all_minibatches(update, shared, replacement):
    game, lr = linear_quadratic(4), (0.3, 0.2)
    with jax.enable_x64(True):
        mean, second = by_enumeration(game, games.as_players(X0), lr, 2, update, shared, replacement)
    sampling = "replacement" if replacement else "subsets"
    found = sde.chain_moments(game, X0, lr=lr, steps=1, batch=2, update=update, shared_batch=shared, sampling=sampling)
    np.testing.assert_allclose(found.mean, mean, rtol=1e-12)
    np.testing.assert_allclose(found.second, second, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("update", "shared"), [("simultaneous", False), ("alternating", True)])
def test_chain_moments_are_those_of_training(update, shared):
    """10,000 runs of 20 updates at a rate far from small, within four standard errors."""
    options = {"lr": (0.2, 0.1), "update": update, "shared_batch": shared, "batch": 2}
    exact = sde.chain_moments(GAME, X0, steps=20, **options)

    def end(key):
        return jax.tree.map(lambda leaf: leaf[-1], gda.run(GAME, X0, steps=20, every=20, key=key, **options))

    ends = jax.jit(lambda: simulate.ensemble(end, size=10_000, key=simulate.key(43), chunk=1000))()
    x = np.hstack(ends).astype(float)
    for found, expected in [(x, exact.mean), (x[:, :, None] * x[:, None], exact.second)]:
        error = found.std(0) / np.sqrt(len(x))
        assert (error < 0.02).all() and (np.abs(found.mean(0) - expected) < 4 * error).all()


@pytest.mark.parametrize(("update", "shared"), [("simultaneous", True), ("alternating", False)])
def test_epoch_moments_are_those_of_training_in_epochs(update, shared):
    """6 samples in batches of 2, two epochs, 20,000 runs of `noise.run_epochs`, within four standard errors."""
    game = linear_quadratic(6)
    options = {"lr": (0.3, 0.2), "update": update, "shared_batch": shared, "batch": 2}
    exact = sde.chain_moments(game, X0, steps=6, sampling="epochs", **options)

    def end(key):
        path = noise.run_epochs(game, X0, epochs=2, key=key, every=6, **options)
        return jax.tree.map(lambda leaf: leaf[-1], path)

    ends = jax.jit(lambda: simulate.ensemble(end, size=20_000, key=simulate.key(44), chunk=2000))()
    x = np.hstack(ends).astype(float)
    for found, expected in [(x, exact.mean), (x[:, :, None] * x[:, None], exact.second)]:
        error = found.std(0) / np.sqrt(len(x))
        assert (error < 0.01).all() and (np.abs(found.mean(0) - expected) < 4 * error + 1e-6).all()


SMALL = linear_quadratic(6)
EPOCHS = {
    "noise Sigma / B": ({}, 1),
    "noise of distinct samples": ({"sampling": "subsets"}, 1),
    "no noise": ({"covariance": "none"}, 1),
    "no noise, drift of the epochs": ({"sampling": "epochs"}, 2),
}


@pytest.mark.parametrize(("options", "expected"), EPOCHS.values(), ids=EPOCHS.keys())
@pytest.mark.parametrize(("update", "shared"), [("simultaneous", True), ("alternating", False)])
def test_weak_orders_of_epochs(update, shared, options, expected):
    """Without replacement the noise of an epoch sums to zero: what restores order 2 is a drift, not a covariance."""
    slopes, errors = slope_of(update, shared, options, game=SMALL, batch=2, sampling="epochs", rates=(0.005, 0.0025))
    worst = 0 if "covariance" not in options else 2  # the function in which the first order is largest
    worst = 1 if expected == 2 else worst  # |x|^2 has two second orders that nearly cancel here
    assert abs(slopes[worst] - expected) < 0.15
    if expected == 2:
        assert (errors[-1] < 0.2 * slope_of(update, shared, {"covariance": "none"}, game=SMALL, batch=2,
                                            sampling="epochs", rates=(0.005, 0.0025))[1][-1]).all()  # fmt: skip


@pytest.mark.parametrize(("update", "shared"), list(itertools.product(gda.ORDERS, (True, False))))
def test_the_covariance_of_epochs_is_of_third_order(update, shared):
    traces = [
        np.trace(
            sde.chain_moments(
                SMALL, X0, lr=eta, steps=3 * round(TIME / eta / 3), batch=2, update=update, shared_batch=shared,
                sampling="epochs",
            ).covariance
        )
        for eta in (0.02, 0.01)
    ]  # fmt: skip
    assert abs(np.log2(traces[0] / traces[1]) - 3) < 0.1


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("update", gda.ORDERS)
def test_weak_order_of_distinct_samples(update, shared):
    """The finite-population factor is part of the covariance: with it order 2, without it order 1."""
    options = {"game": SMALL, "batch": 2, "sampling": "subsets", "rates": (0.005, 0.0025)}
    assert abs(slope_of(update, shared, {"sampling": "subsets"}, **options)[0][0] - 2) < 0.1
    assert abs(slope_of(update, shared, {}, **options)[0][0] - 1) < 0.1


STATIONARY = [("simultaneous", True), ("simultaneous", False), ("alternating", False), ("alternating", True)]


@pytest.mark.parametrize(("update", "shared"), STATIONARY)
def test_stationary_covariance_needs_the_correction(update, shared):
    """Relative errors of the stationary trace: first order without S1, second with it.

    For alternating updates the drift of order 2 alone is about twice as far off as that of order 1.
    """
    rows = []
    for eta in (0.04, 0.02):
        draws = {"lr": eta, "batch": BATCH, "update": update, "shared_batch": shared}
        exact = np.trace(sde.chain_stationary(GAME, X0, **draws).covariance)
        rows.append(
            [
                np.trace(sde.equation_stationary(sde.modified_equation(GAME, **draws, **options), X0).covariance)
                / exact
                - 1
                for options in ({"order": 1}, {}, {"covariance_correction": True})
            ]
        )
    np.testing.assert_allclose(np.log2(np.divide(*rows)), [1, 1, 2], atol=0.1)
    first, second, corrected = rows[1]
    assert first < 0 and second < 0 and abs(corrected) < abs(second) / 40
    if update == "alternating":
        assert 1.8 < second / first < 2.5


def test_stationary_covariance_of_the_damped_rotation():
    """All closed forms at m = 0.2, c = 1, half the stability limit: 1.923, 0.962, 1.786 and 1.854 for E|x|^2."""
    m, c = 0.2, 1.0
    eta, x = 0.5 * 2 * m / (m**2 + c**2), Players(0.0, 0.0)
    game = games.quadratic(m, c, m, samples={"a": np.array([1.0, 1.0, -1.0, -1.0]), "b": np.array([1.0, -1.0] * 2)})
    chain = np.trace(sde.chain_stationary(game, x, lr=eta, batch=1).second)
    np.testing.assert_allclose(chain, 2 * eta / (2 * m - eta * (m**2 + c**2)), rtol=1e-10)
    expected = [
        eta / m,
        2 * eta / (2 * m + eta * (m**2 - c**2)),
        2 * eta * (1 + eta * m) / (2 * m + eta * (m**2 - c**2)),
    ]
    found = [
        np.trace(sde.equation_stationary(sde.modified_equation(game, lr=eta, batch=1, **options), x).second)
        for options in ({"order": 1}, {}, {"covariance_correction": True})
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    np.testing.assert_allclose([chain, *found], [1.923, 0.962, 1.786, 1.854], atol=6e-4)
    alternating = np.trace(sde.chain_stationary(game, x, lr=eta, batch=1, update="alternating").second)
    np.testing.assert_allclose(alternating, 0.990, atol=6e-4)
    with pytest.raises(ValueError, match="there is no stationary law with finite second moments"):
        sde.chain_stationary(game, x, lr=2.1 * eta, batch=1)
    beyond = sde.equation_stationary(sde.modified_equation(game, lr=2.1 * eta, batch=1, order=1), x)
    np.testing.assert_allclose(np.trace(beyond.second), 2.1 * eta / m, rtol=1e-10)  # the equation settles anyway


def test_moments_of_one_dimension_in_closed_form():
    """x' = (1 - eta a) x + noise s: eta s / 2a times (1 + eta a/2), 1, (1 - eta a/2), (1 + eta a/2) to first order."""
    a, s, eta = 0.8, 1.7, 0.05
    game = games.quadratic(a, 0.0, a, samples={"a": np.sqrt(s) * np.array([1.0, -1.0])})
    base, x = eta * s / (2 * a), Players(0.0, 0.0)
    exact = sde.chain_stationary(game, x, lr=eta, batch=1).covariance[0, 0]
    np.testing.assert_allclose(exact, base / (1 - eta * a / 2), rtol=1e-12)
    for options, expected in [
        ({"order": 1}, 1),
        ({}, 1 - eta * a / 2),
        ({"covariance_correction": True}, 1 + eta * a / 2),
    ]:
        found = sde.equation_stationary(sde.modified_equation(game, lr=eta, batch=1, **options), x).covariance[0, 0]
        np.testing.assert_allclose(found / base, expected, atol=2 * (eta * a) ** 2)


def hamiltonian_like(theta, omega, sample):
    t, w = theta, omega
    return (
        jnp.sin(t[0] * w[0]) + jnp.cos(t[1]) * w[1] + 0.3 * t[0] ** 2 * t[1] * w[0] + 0.4 * (t @ t)
        - 0.3 * w[0] ** 2 - 0.2 * w[1] ** 4 + 0.1 * t[1] * w[0] * w[1]
    )  # fmt: skip


SMOOTH, SMOOTH_X0 = Game(hamiltonian_like, np.zeros(1)), Players(np.array([0.7, -0.4]), np.array([0.9, 0.5]))


@pytest.mark.parametrize("ratio", [1.0, 0.35])
@pytest.mark.parametrize("update", gda.ORDERS)
def test_backward_error(update, ratio):
    """Local slopes 2 and 3, global 1 and 2 at T = 1, and 2 again with the other scheme's correction."""
    other = next(name for name in gda.ORDERS if name != update)
    rows = []
    with jax.enable_x64(True):
        for eta in (0.01, 0.005):
            lr, steps = (eta, ratio * eta), round(1 / eta)
            first, second = (
                sde.modified_equation(SMOOTH, lr=lr, batch=None, update=update, order=order) for order in (1, 2)
            )
            rows.append(
                [
                    sde.backward_error(first, SMOOTH_X0),
                    sde.backward_error(second, SMOOTH_X0),
                    sde.backward_error(second, SMOOTH_X0, update=other),
                    sde.backward_error(first, SMOOTH_X0, steps=steps),
                    sde.backward_error(second, SMOOTH_X0, steps=steps),
                    sde.backward_error(second, SMOOTH_X0, steps=steps, update=other),
                ]
            )
        sharper = sde.backward_error(second, SMOOTH_X0, substeps=16)
    np.testing.assert_allclose(np.log2(np.divide(*rows)), [2, 3, 2, 1, 2, 1], atol=0.06)
    np.testing.assert_allclose(rows[1][1], sharper, rtol=1e-3)  # the Runge-Kutta error does not count


def test_refusals():
    cases = [
        (lambda: sde.affine_samples(games.dirac(), Players(0.5, 0.5)), "found a field that is not affine"),
        (
            lambda: sde.generator(sde.modified_equation(games.dirac(), lr=0.1, batch=None), Players(0.0, 0.0)),
            "found a drift that is not affine",
        ),
        (lambda: sde.chain_moments(GAME, X0, lr=0.1, steps=-1, batch=2), "steps must be an integer >= 0"),
        (
            lambda: sde.chain_moments(SMALL, X0, lr=0.1, steps=4, batch=2, sampling="epochs"),
            "whole epochs of 3 updates",
        ),
        (lambda: sde.chain_moments(GAME, X0, lr=0.1, steps=4, batch=15), "batch=15 exceeds the game's 14 samples"),
        (
            lambda: sde.chain_moments(GAME, X0, lr=0.1, steps=1, batch=10, update="alternating", shared_batch=True),
            "to be written out",
        ),
        (lambda: sde.transition(GAME, X0, lr=0.1, batch=2, update="both"), "update must be one of"),
        (lambda: sde.transition(GAME, X0, lr=0.1, batch=2, sampling="both"), "sampling must be one of"),
        (
            lambda: sde.transition(games.toy_gan(size=4), X0, lr=0.1, batch=2, sampling="epochs"),
            "needs samples that are drawn as one, found a Product",
        ),
        (
            lambda: sde.equation_moments(sde.modified_equation(GAME, lr=0.1, batch=2), X0, time=-1.0),
            "time must be a finite number >= 0",
        ),
    ]
    for call, message in cases:
        with pytest.raises(ValueError) as refusal:
            call()
        assert message in str(refusal.value) and "for example" in str(refusal.value), str(refusal.value)
