"""Closed forms of collapse against the exact Jacobian, runs, and each other; numbers that are traced."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

from gansde_lib import gda, kernel_gan


def growth(problem, points, ridge, lr):
    """The largest growth per unit of time at an equilibrium, free modes (eigenvalue 1) left out."""
    values = kernel_gan.linearised(problem._replace(ridge=ridge), points, lr=lr).eigenvalues
    moving = values[np.abs(values - 1) > 1e-10]
    return (np.abs(moving).max() - 1) / lr[1]


@pytest.mark.parametrize("dimension", [1, 2, 3])
@pytest.mark.parametrize(
    ("p", "q", "width", "ratio"), [(0.5, 0.5, 1.0, 1.0), (0.3, 0.5, 0.4, 3.0), (0.8, 0.5, 2.0, 0.2)]
)
def test_the_ridge_that_holds_a_split_pair(p, q, width, ratio, dimension):
    """The closed form, against the root of the exact Jacobian's growth at very small rates."""
    away = np.eye(dimension)[:1] * kernel_gan.split_distance(p, q, width)
    problem = kernel_gan.problem(np.zeros((1, dimension)), [p], [q, q], bandwidth=width, ridge=1.0)
    points = kernel_gan.equilibrium(problem, np.vstack([away, -away]) * 1.02)
    expected = kernel_gan.split_ridge(p, q, bandwidth=width, ratio=ratio, dimension=dimension)
    lr = (ratio * 1e-7, 1e-7)
    found = scipy.optimize.brentq(lambda r: growth(problem, points, r, lr), 0.7 * expected, 1.4 * expected, xtol=1e-9)
    assert found == pytest.approx(expected, rel=2e-5)


def test_a_pair_beyond_one_bandwidth_leaves():
    """The mean mode turns unstable where the distance passes one bandwidth, 2q/p = exp(3/2), whatever the ridge."""
    for share, held in ((np.exp(1.5) * 0.98, True), (np.exp(1.5) * 1.02, False)):
        q = 0.25 * share
        distance = kernel_gan.split_distance(0.5, q)
        assert (distance < 1) == held
        problem = kernel_gan.problem([[0.0]], [0.5], [q, q], bandwidth=1.0, ridge=3.0)
        rate = growth(problem, np.array([[distance], [-distance]]), 3.0, (1e-4, 1e-4))
        assert rate < -1e-4 if held else rate > 1e-4


@pytest.mark.parametrize(("bandwidth", "ratio"), [(1.0, 1.0), (0.5, 0.3)])
def test_a_free_point_flees_at_the_predicted_speed(bandwidth, ratio):
    """Runs at two rates, extrapolated to zero: the error of a run is linear in its rate."""
    critical = np.sqrt(ratio) / bandwidth
    for share in (0.8, 1.2):
        ridge, speeds = share * critical, []
        for eta in (0.04 / critical, 0.02 / critical):
            with jax.enable_x64(True):
                run = kernel_gan.run(
                    [[0.0]], [0.0], [[0.1 * bandwidth]], [1.0], witness=[-0.5], bandwidth=bandwidth, ridge=ridge,
                    lr=(ratio * eta, eta), steps=2000, update="alternating",
                )  # fmt: skip
            x = np.asarray(run.points)[:, 0, 0]
            speeds.append((x[2000] - x[1500]) / (500 * eta))
        predicted = kernel_gan.free_speed(1.0, bandwidth=bandwidth, ridge=ridge, ratio=ratio)
        assert (predicted > 0) == (share < 1)
        scale = bandwidth * critical
        assert 2 * speeds[1] - speeds[0] == pytest.approx(predicted, abs=2e-3 * scale)
        assert share > 1 or abs(speeds[0] - predicted) > 5e-3 * scale  # so the extrapolation is needed, and seen


def settled(ridge, masses, start, *, lr, steps):
    """Generated points (steps + 1, n) at one true point of mass one, with Gaussian features in float64."""
    with jax.enable_x64(True):
        features = kernel_gan.fourier_features(14.0, modes=18, bandwidth=1.0)
        game = kernel_gan.game(features, [[0.0]], [1.0], masses, ridge=ridge)
        start = np.asarray(start, float)[:, None]
        path = gda.run(game, (start, np.zeros(38)), lr=lr, steps=steps, update="alternating")
        return np.asarray(path.theta)[:, :, 0]


def test_balanced_points_come_together_like_one_over_k():
    """Two and three symmetric points. The prediction's error is of the next order in W."""
    for start, ridge, eta in (([0.4, -0.4], 1.0, 0.1), ([0.4, 0.0, -0.4], 0.6, 0.3)):
        count = len(start)
        path = settled(ridge, np.full(count, 1 / count), start, lr=eta, steps=20_000)
        spread = path.var(axis=1)
        k = np.array([2000, 8000, 20_000])
        options = {"point_mass": 1 / count, "count": count, "ridge": ridge, "lr": eta}
        rate = (1 / spread[20_000] - 1 / spread[10_000]) / 10_000
        predicted = kernel_gan.balanced_spread(1.0, 1, **options)
        assert rate == pytest.approx(1 / predicted - 1, rel=1e-3)
        np.testing.assert_allclose(spread[k], kernel_gan.balanced_spread(spread[0], k, **options), rtol=5e-3)


def test_rates_and_masses_may_be_traced():
    """What a slider moves is never compiled in: one trace serves all masses, widths, ridges and rates."""
    traces = []

    @jax.jit
    def both(mass, width, ridge, eta, start):
        traces.append(1)
        masses = jnp.stack([mass, 1 - mass])
        options = {"lr": (eta, 2 * eta), "steps": 50, "update": "alternating"}
        run = kernel_gan.run([[0.0]], [1.0], start, masses, bandwidth=width, ridge=ridge, **options)
        features = kernel_gan.fourier_features(14.0 * width, modes=18, bandwidth=width)
        game = kernel_gan.game(features, [[0.0]], [1.0], masses, ridge=ridge)
        return run.points, gda.run(game, (start, jnp.zeros(38)), **options).theta

    for numbers in ((0.3, 1.0, 0.5, 0.1), (0.6, 0.7, 1.0, 0.3)):
        start = np.array([[0.5], [-0.2]])
        exact, series = both(*map(jnp.float32, numbers), start.astype(np.float32))
        mass, width, ridge, eta = numbers
        plain = kernel_gan.run(
            [[0.0]], [1.0], start, [mass, 1 - mass], bandwidth=width, ridge=ridge, lr=(eta, 2 * eta), steps=50,
            update="alternating",
        )  # fmt: skip
        np.testing.assert_allclose(exact, plain.points, atol=2e-6)
        np.testing.assert_allclose(series, plain.points, atol=2e-5)
    assert len(traces) == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: kernel_gan.split_ridge(0.1, 0.5), "leaves it at any ridge"),
        (lambda: kernel_gan.split_ridge(1.0, 0.4), "split"),
        (lambda: kernel_gan.split_ridge(0.5, 0.5, dimension=0), "dimension"),
        (lambda: kernel_gan.free_speed(1.0, ridge=0.0), "ridge"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
