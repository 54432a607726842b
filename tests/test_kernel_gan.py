"""The kernel GAN: the expansion against a plain loop, the features against the expansion, equilibria against runs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

from gansde_lib import gda, kernel_gan

PROFILES = {
    "gaussian": lambda s: np.exp(-s / 2),
    "rational quadratic": lambda s: (1 + s) ** -0.5,
    "matern": lambda s: (1 + np.sqrt(5 * s) + 5 * s / 3) * np.exp(-np.sqrt(5 * s)),
    "laplacian": lambda s: np.exp(-np.sqrt(s)),
}


def plain_loop(profile, data, start, masses, *, bandwidth, ridge, lr, steps, update, inner_steps=1):
    """The updates written out with NumPy, slopes by central differences, the witness a growing list."""
    centers, weights = [], []

    def witness(x):
        return sum(w * profile(((x - c) ** 2).sum() / bandwidth**2) for c, w in zip(centers, weights, strict=True))

    def slope(x, h=1e-5):
        return np.array([(witness(x + h * e) - witness(x - h * e)) / (2 * h) for e in np.eye(x.size)])

    points, path = np.array(start), [np.array(start)]
    for _ in range(steps):
        before = [slope(x) for x in points]
        for _ in range(inner_steps):
            weights = [(1 - lr[1] * ridge) * w for w in weights]
            for (x, p), sign in [
                *[(pair, 1) for pair in zip(*data, strict=True)],
                *[(q, -1) for q in zip(points, masses, strict=True)],
            ]:
                centers.append(np.array(x))
                weights.append(sign * lr[1] * p)
        pull = [slope(x) for x in points] if update == "alternating" else before
        points = points + lr[0] * np.array(masses)[:, None] * np.array(pull)
        path.append(points)
    return np.array(path)


@pytest.mark.parametrize("kernel", kernel_gan.KERNELS)
@pytest.mark.parametrize("update", gda.ORDERS)
def test_the_expansion_is_the_loop_written_out(kernel, update):
    data = (np.array([[0.0, 0.0], [1.5, 0.5]]), np.array([0.6, 0.4]))
    start, masses = np.array([[0.3, -0.2], [1.0, 0.9], [0.1, 0.7]]), np.array([0.5, 0.3, 0.2])
    options = {"bandwidth": 0.8, "ridge": 0.4, "lr": (0.7, 0.9), "steps": 40, "update": update, "inner_steps": 2}
    with jax.enable_x64(True):
        run = kernel_gan.run(*data, start, masses, kernel=kernel, **options)
    expected = plain_loop(PROFILES[kernel], data, start, masses, **options)
    assert np.abs(expected[-1] - start).max() > 0.2
    # The Laplacian kernel's kink makes the paths chaotic: errors of the differences grow tenfold every four updates.
    kept = slice(8 if kernel == "laplacian" else None)
    np.testing.assert_allclose(run.points[kept], expected[kept], atol=3e-8)


def test_blocks_of_memory_join_without_a_seam():
    """A run that crosses several blocks is the same as one whose memory is summed at once."""
    options = {"bandwidth": 1.0, "ridge": 0.05, "lr": (0.3, 0.4)}
    with jax.enable_x64(True):
        run = kernel_gan.run([[0.0]], [1.0], [[0.9]], [1.0], steps=150, update="alternating", **options)
    points = np.asarray(run.points)[:, 0, 0]
    ages = np.arange(100, -1, -1)  # the witness after update 101 remembers states 0 to 100

    def slope(x):
        kept = 0.4 * (1 - 0.4 * 0.05) ** ages
        return (kept * (-x * np.exp(-(x**2) / 2) + (x - points[:101]) * np.exp(-((x - points[:101]) ** 2) / 2))).sum()

    np.testing.assert_allclose(points[101], points[100] + 0.3 * slope(points[100]), rtol=0, atol=1e-14)


def test_the_witness_is_the_kernel_sum():
    run = kernel_gan.run([[0.0]], [1.0], [[0.5]], [0.8], bandwidth=0.7, ridge=0.5, lr=0.2, steps=3, witness=[0.3])
    centers, weights = [0.0], [0.3]
    for x in np.asarray(run.points)[:3, 0, 0]:
        weights = [0.9 * w for w in weights] + [0.2, -0.2 * 0.8]
        centers += [0.0, x]
    x = np.linspace(-1, 1, 5)
    expected = sum(w * np.exp(-((x - c) ** 2) / 2 / 0.49) for c, w in zip(centers, weights, strict=True))
    np.testing.assert_allclose(kernel_gan.witness(run, x[:, None]), expected, atol=1e-6)
    np.testing.assert_allclose(kernel_gan.witness(run, x[:, None], step=0), 0.3 * np.exp(-(x**2) / 0.98), atol=1e-6)


@pytest.mark.parametrize("update", gda.ORDERS)
def test_fourier_features_are_the_gaussian_kernel(update):
    """Facts W4: 1.8e-15 with m = 18, box 14 bandwidths, in float64."""
    rng = np.random.default_rng(5)
    data, masses = (rng.normal(size=(6, 2)) / 2, np.full(6, 1 / 6)), np.full(5, 0.2)
    start, options = rng.normal(size=(5, 2)) / 2, {"lr": (0.8, 0.5), "steps": 40, "update": update}
    with jax.enable_x64(True):
        exact = kernel_gan.run(*data, start, masses, bandwidth=0.5, ridge=0.3, **options)
        features = kernel_gan.fourier_features(7.0, modes=18, bandwidth=0.5)
        game = kernel_gan.game(features, *data, masses, ridge=0.3)
        path = gda.run(game, (start, np.zeros((38, 38))), **options)
    assert np.abs(exact.points[-1] - start).max() > 0.3
    np.testing.assert_allclose(path.theta, exact.points, rtol=0, atol=1e-13)


def test_random_features_err_like_the_inverse_root_of_their_number():
    """Mean square error of K over pairs: (1 + K(2r) - 2 K(r)^2) / 2M for one frequency with cos and sin."""
    x, y = jnp.zeros((1, 1)), jnp.array([[0.8]])
    exact, counts = np.exp(-0.32), (50, 800)
    spread = []
    for count in counts:

        def estimate(key, count=count):
            features = kernel_gan.random_features(count, 1, bandwidth=1.0, key=key)
            a, b = (kernel_gan.embed(features, point, jnp.ones(1)) for point in (x, y))
            return jnp.vdot(a, b)

        values = np.asarray(jax.jit(jax.vmap(estimate))(jax.random.split(jax.random.key(1), 2000)))
        assert abs(values.mean() - exact) < 4 * values.std() / 2000**0.5
        spread.append(values.std())
    variance = (1 + np.exp(-2 * 0.64)) / 2 - exact**2  # of cos(w r)
    np.testing.assert_allclose(spread, np.sqrt(variance / np.array(counts)), rtol=4 / np.sqrt(2 * 2000))


@pytest.mark.parametrize("kernel", ["gaussian", "rational quadratic", "matern"])
def test_slopes_and_curvatures(kernel):
    with jax.enable_x64(True):
        s, h = np.array([0.0, 1e-9, 0.3, 2.0]), 1e-6
        expected = (PROFILES[kernel](s + 2 * h) - PROFILES[kernel](s)) / (2 * h)
        np.testing.assert_allclose(kernel_gan.slope(kernel, s), expected, atol=3e-3 if kernel == "matern" else 1e-5)
        gamma = {"gaussian": 1.0, "rational quadratic": 1.0, "matern": 5 / 3}[kernel] / 0.49
        assert float(kernel_gan.curvature(kernel, 0.7)) == pytest.approx(gamma, rel=1e-12)
        # the curvature is what the kernel bends by: second difference of K at its centre
        far = PROFILES[kernel](np.array([0.0, 1e-6]) / 0.49)
        assert 2 * (far[0] - far[1]) / 1e-6 == pytest.approx(gamma, rel=2e-3)


def test_a_multiscale_kernel_is_the_weighted_sum():
    kernel, s = kernel_gan.multiscale((0.1, 2.0)), np.array([0.0, 0.01, 3.0])
    expected = (10 * np.exp(-s / 0.02) + 0.5 * np.exp(-s / 8)) / 10.5
    np.testing.assert_allclose(kernel(s), expected, atol=1e-6)


@pytest.mark.parametrize("update", gda.ORDERS)
@pytest.mark.parametrize("inner_steps", [1, 3])
def test_the_linearisation_is_that_of_the_features_game(update, inner_steps):
    """An independent derivative: automatic differentiation of one whole update, all coefficients of the witness."""
    data, masses = (np.array([[0.0], [1.2]]), np.array([0.6, 0.5])), np.array([0.4, 0.35, 0.25])
    with jax.enable_x64(True):
        problem = kernel_gan.problem(*data, masses, bandwidth=0.6, ridge=0.7)
        points = kernel_gan.equilibrium(problem, [[-0.3], [0.3], [1.2]])
        features = kernel_gan.fourier_features(8.4, modes=18, bandwidth=0.6)
        game = kernel_gan.game(features, *data, masses, ridge=0.7)
        rest = sum(
            kernel_gan.embed(features, jnp.asarray(c), jnp.asarray(sign * m)) / 0.7
            for c, m, sign in ((*data, 1), (points, masses, -1))
        )
        x = (points, rest)
        assert max(np.abs(leaf).max() for leaf in game.field(x)) < 1e-12
        if update == "alternating":
            whole = gda.jacobian(game, x, lr=(0.9, 0.4), update=gda.alternating(inner_steps))
        elif inner_steps == 1:
            whole = gda.jacobian(game, x, lr=(0.9, 0.4))
        else:
            pytest.skip("descent-ascent has no simultaneous rule with inner steps to compare with")
        found = kernel_gan.linearised(problem, points, lr=(0.9, 0.4), update=update, inner_steps=inner_steps)
        values = np.linalg.eigvals(np.asarray(whole))
    for value in found.eigenvalues:
        assert np.abs(values - value).min() < 1e-9
    moving = values[np.abs(values - found.rest) > 1e-6]
    assert len(moving) == len(found.matrix)


@pytest.mark.parametrize(
    ("p", "q", "delta"), [(0.5, 0.5, 0.680), (0.5, 0.4, 0.560), (0.5, 0.3, 0.349), (0.3, 0.5, 0.896)]
)
def test_split_states(p, q, delta):
    """Facts section 2: distance and the ridge above which the split state is stable, in one and two dimensions."""
    assert kernel_gan.split_distance(p, q) == pytest.approx(delta, abs=5e-4)
    critical = {0.680: (0.243, 0.388), 0.560: (0.145, 0.273), 0.349: (0.048, 0.139), 0.896: (0.345, 0.447)}[delta]
    for dimension, expected in zip((1, 2), critical, strict=True):
        away = np.eye(dimension)[:1] * kernel_gan.split_distance(p, q)

        def growth(ridge, away=away, dimension=dimension):
            problem = kernel_gan.problem(np.zeros((1, dimension)), [p], [q, q], bandwidth=1.0, ridge=ridge)
            points = kernel_gan.equilibrium(problem, np.vstack([away, -away]) * 1.05)
            np.testing.assert_allclose(np.linalg.norm(points, axis=1), kernel_gan.split_distance(p, q), rtol=1e-9)
            lr = 1e-5  # the limit of small rates
            values = kernel_gan.linearised(problem, points, lr=lr).eigenvalues
            moving = values[np.abs(values - 1) > 1e-10]  # turning the pair around the true point costs nothing
            return (np.abs(moving).max() - 1) / lr

        found = scipy.optimize.brentq(growth, 0.5 * expected, 2 * expected, xtol=1e-4)
        assert found == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: kernel_gan.run([0.0], [1.0], [[0.1]], [1.0], bandwidth=1.0, ridge=0.5, lr=0.1, steps=1), "shape"),
        (
            lambda: kernel_gan.run([[0.0]], [1.0], [[0.1, 0.2]], [1.0], bandwidth=1.0, ridge=0.5, lr=0.1, steps=1),
            "shape",
        ),
        (lambda: kernel_gan.problem([[0.0]], [-1.0], [1.0], bandwidth=1.0, ridge=0.5), "masses"),
        (lambda: kernel_gan.problem([[0.0]], [1.0], [1.0], bandwidth=0.0, ridge=0.5), "bandwidth"),
        (lambda: kernel_gan.profile("sinc"), "kernel must be one of"),
        (lambda: kernel_gan.curvature("laplacian", 1.0), "no linear theory"),
        (lambda: kernel_gan.multiscale((1.0, -1.0)), "widths > 0"),
        (lambda: kernel_gan.split_distance(1.0, 0.4), "split"),
        (
            lambda: kernel_gan.equilibrium(
                kernel_gan.problem([[0.0]], [0.5], [0.5, 0.5], bandwidth=1.0, ridge=1.0), [[0.1], [1.0]], tolerance=0
            ),
            "no equilibrium",
        ),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
