"""The Fourier form of the kernel GAN: against the whole memory, the game of its features, and itself one by one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gansde_lib import gda, kernel_gan
from gansde_lib.kernel_gan import series

OPTIONS = {"bandwidth": 0.5, "ridge": 0.3, "lr": (0.8, 0.5), "steps": 40}


def clouds(dimension, count=5, true_count=6, seed=5):
    """Some true and some generated points, with masses that are not equal."""
    rng = np.random.default_rng(seed)
    true, start = rng.normal(size=(true_count, dimension)) / 2, rng.normal(size=(count, dimension)) / 2
    return true, rng.dirichlet(np.ones(true_count)), start, rng.dirichlet(np.ones(count))


@pytest.mark.parametrize(
    ("dimension", "count", "true_count", "update", "inner_steps"),
    [
        (1, 5, 6, "simultaneous", 1),
        (2, 5, 6, "alternating", 3),
        (2, 5, 2 * series.FEW, "alternating", 1),
        (2, 2 * series.FEW, 6, "simultaneous", 2),
        (3, 3, 6, "alternating", 1),
        (3, 2 * series.FEW, 6, "simultaneous", 1),
    ],
)
def test_it_is_the_whole_memory(dimension, count, true_count, update, inner_steps):
    """Facts W4: 7e-7 in float32 and 2e-15 in float64 after 40 updates; a start with a witness that is not zero."""
    data, first = clouds(dimension, count, true_count), np.linspace(-0.3, 0.5, true_count)
    options = OPTIONS | {"update": update, "inner_steps": inner_steps, "witness": first}
    with jax.enable_x64(True):
        exact = kernel_gan.run(*data, **options)
        double = kernel_gan.run_fourier(*data, **options, keep_witness=True)
        x = np.random.default_rng(1).normal(size=(7, dimension)) / 2
        for step in (0, 17, 40):
            values = kernel_gan.fourier_witness(double, x)[step]
            expected = np.asarray(kernel_gan.witness(exact, x, step))
            np.testing.assert_allclose(values, expected, rtol=0, atol=1e-13)
    single = kernel_gan.run_fourier(*data, **options, every=20)
    path = np.asarray(exact.points)
    assert np.abs(path[-1] - path[0]).max() > 0.2
    assert double.inside and single.inside
    assert single.points.dtype == np.float32 and double.points.dtype == np.float64
    np.testing.assert_allclose(double.points, path, rtol=0, atol=1e-13)
    np.testing.assert_allclose(single.points, path[::20], rtol=0, atol=3e-6)
    np.testing.assert_allclose(kernel_gan.fourier_witness(single, x), expected, rtol=0, atol=5e-6)
    places = np.concatenate([path.reshape(-1, dimension), data[0]])
    expected = (places.max(0) - places.min(0)).max() / 0.5
    assert [float(run.spread) for run in (double, single)] == pytest.approx([expected] * 2, rel=1e-5)


def test_its_coefficients_are_those_of_the_game():
    data, features = clouds(2), kernel_gan.fourier_features(7.0, modes=18, bandwidth=0.5)
    with jax.enable_x64(True):
        game = kernel_gan.game(features, *data[:2], data[3], ridge=0.3)
        path = gda.run(game, (data[2], np.zeros((38, 38))), lr=(0.8, 0.5), steps=40, update="alternating")
        run = kernel_gan.run_fourier(*data, **OPTIONS, update="alternating", box=14.0, modes=18, keep_witness=True)
    np.testing.assert_allclose(run.coefficients, path.omega, rtol=0, atol=1e-14)
    np.testing.assert_allclose(run.points, path.theta, rtol=0, atol=1e-14)
    assert np.abs(run.coefficients[-1]).max() > 0.01


def test_many_systems_are_each_of_them_alone():
    """More systems than fit into a unit, with two axes; every number differs between systems, or is broadcast."""
    rng = np.random.default_rng(2)
    bandwidths, ridges = rng.uniform(0.4, 0.8, 3), rng.uniform(0.1, 1.0, (15, 1))
    starts, masses = rng.normal(size=(15, 1, 2, 1)) / 4, rng.dirichlet(np.ones(2), 3)
    rates = rng.uniform(0.2, 0.8, (15, 1)), rng.uniform(0.2, 0.8, 3)
    first = rng.normal(size=(15, 3, 1)) / 10
    assert 15 * 3 % series.LANES

    def run(starts, masses, bandwidth, ridge, lr, first, **how):
        given = {"bandwidth": bandwidth, "ridge": ridge, "lr": lr, "witness": first, "steps": 60, "every": 30}
        return kernel_gan.run_fourier([[0.1]], [1.0], starts, masses, **given, update="alternating", **how)

    found = run(starts, masses, bandwidths, ridges, rates, first)
    assert found.points.shape == (15, 3, 3, 2, 1) and found.coefficients.shape == (15, 3, 24)
    assert found.inside.shape == (15, 3) and found.inside.all()
    for i, j in ((0, 0), (3, 2), (14, 1), (14, 2)):
        lr = rates[0][i, 0], rates[1][j]
        alone = run(starts[i, 0], masses[j], bandwidths[j], ridges[i, 0], lr, first[i, j])
        for part in ("points", "coefficients", "spread"):
            np.testing.assert_allclose(getattr(found, part)[i, j], getattr(alone, part), rtol=0, atol=2e-6)
        assert np.abs(alone.points[-1] - alone.points[0]).max() > 0.02
    in_one_thread = run(starts, masses, bandwidths, ridges, rates, first, workers=1)
    assert (in_one_thread.points == found.points).all()


def test_systems_of_many_points():
    """Systems too large to lie side by side."""
    true, weights, starts, masses = clouds(2, 2 * series.FEW)
    ridges = np.array([0.1, 0.3, 0.9])
    options = OPTIONS | {"ridge": ridges, "every": 40}
    found = kernel_gan.run_fourier(true, weights, starts, masses, **options)
    for ridge, points in zip(ridges, found.points, strict=True):
        exact = kernel_gan.run(true, weights, starts, masses, **OPTIONS | {"ridge": ridge}).points
        np.testing.assert_allclose(points[-1], exact[-1], rtol=0, atol=5e-6)


def test_points_too_far_apart_are_told():
    """A lone point is driven away. Within `reach` the series is exact; beyond, the run says so."""
    given = ([[0.0]], [0.1], [[0.2]], [1.0])
    options = {"bandwidth": 1.0, "ridge": 0.3, "lr": 0.2, "update": "alternating"}
    exact = np.asarray(kernel_gan.run(*given, **options, steps=240).points)[:, 0, 0]
    beyond = int(np.argmax(np.abs(exact) > kernel_gan.reach(12.0)))
    assert 20 < beyond < 200
    before, after = (10 * (beyond // 10), 10 * (beyond // 10) + 10)
    run = kernel_gan.run_fourier(*given, **options, steps=before, every=before)
    assert run.inside
    np.testing.assert_allclose(run.points[-1, 0, 0], exact[before], rtol=0, atol=2e-5)
    assert not kernel_gan.run_fourier(*given, **options, steps=after, every=after).inside
    wide = kernel_gan.run_fourier(*given, **options, steps=240, box=2 * np.abs(exact).max())
    assert wide.inside
    np.testing.assert_allclose(wide.points[:, 0, 0], exact, rtol=0, atol=1e-4)


def test_a_diverged_run_is_not_inside():
    run = kernel_gan.run_fourier([[0.0]], [1.0], [[0.2]], [1.0], bandwidth=1.0, ridge=30.0, lr=0.1, steps=400)
    assert not run.inside


@pytest.mark.parametrize("double", [False, True])
def test_the_kernel_is_exact_to_rounding_within_reach(double):
    with jax.enable_x64(double):
        box, eps = (14.0 if double else 12.0), float(jnp.finfo(jnp.result_type(float)).eps)
        modes, widest = kernel_gan.enough_modes(box), kernel_gan.reach(box)

    def error(modes, apart):
        k = np.arange(modes + 1)
        weights = np.where(k, 2, 1) * np.sqrt(2 * np.pi) / box * np.exp(-2 * (np.pi * k / box) ** 2)
        series = np.cos(2 * np.pi * apart[:, None] * k / box) @ weights
        return np.abs(series - np.exp(-(apart**2) / 2)).max()

    apart = np.linspace(0, widest, 200)
    assert error(modes, apart) < 3 * eps
    assert error(modes - 2, apart) > 3 * eps
    assert error(modes, np.array([widest + 1.0])) > 10 * eps


def test_all_numbers_may_be_traced():
    """Inside another program nothing is compiled for new numbers, and the result is the same."""
    traced = []

    @jax.jit
    def ends(start, masses, bandwidth, ridge, lr):
        traced.append(None)
        run = kernel_gan.run_fourier(
            [[0.0], [1.0]], [0.5, 0.5], start, masses, bandwidth=bandwidth, ridge=ridge, lr=lr, steps=50, every=50
        )
        return run.points[-1], run.inside

    for bandwidth, ridge in ((0.5, 0.3), (0.7, 0.6)):
        numbers = np.array([[0.2], [0.9]]), np.array([0.4, 0.6]), bandwidth, ridge, (0.3, 0.4)
        points, inside = ends(*numbers)
        start, masses, *_ = numbers
        options = {"bandwidth": bandwidth, "ridge": ridge, "lr": (0.3, 0.4), "steps": 50}
        exact = kernel_gan.run([[0.0], [1.0]], [0.5, 0.5], start, masses, **options).points[-1]
        np.testing.assert_allclose(points, exact, rtol=0, atol=2e-6)
        assert inside
    assert len(traced) == 1


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"start_points": [[0.1, 0.2]]}, "shapes do not fit"),
        ({"ridge": [0.1, 0.2, 0.3], "bandwidth": [1.0, 2.0]}, "shapes do not fit"),
        ({"true_points": [0.0]}, "shapes do not fit"),
        ({"generated_masses": [-1.0]}, "generated_masses must be finite and >= 0"),
        ({"bandwidth": [1.0, 0.0]}, "bandwidth must be finite and > 0"),
        ({"start_points": [[np.nan]]}, "start_points must be finite"),
        ({"start_points": [[7.0]]}, "7 bandwidths apart.*box="),
        ({"lr": (0.1, 0.1, 0.1)}, "eta_g, eta_d"),
        ({"update": "both"}, "update must be one of"),
        ({"steps": 10, "every": 3}, "every must divide steps"),
        ({"modes": 0}, "modes must be an integer"),
    ],
)
def test_bad_input_is_named(changed, message):
    given = {"true_points": [[0.0]], "true_masses": [1.0], "start_points": [[0.1]], "generated_masses": [1.0]}
    options = {"bandwidth": 1.0, "ridge": 0.5, "lr": 0.1, "steps": 10}
    with pytest.raises(ValueError, match=message):
        kernel_gan.run_fourier(**given | options | changed)
