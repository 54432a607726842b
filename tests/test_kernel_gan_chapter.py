"""Claims of the chapter on kernel discriminators, in smaller runs of their own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
from scipy.spatial.distance import cdist, pdist

from gansde_lib import gda, kernel_gan, neural, phases

OPTIONS = {"bandwidth": 1.0, "update": "alternating"}


def positions(true, start, masses, **options):
    """Positions (steps + 1, n) of generated points on a line, in float64."""
    points, weights = np.transpose(true)
    with jax.enable_x64(True):
        run = kernel_gan.run(points[:, None], weights, np.asarray(start)[:, None], masses, **OPTIONS | options)
    return np.asarray(run.points)[:, :, 0]


def growth(x, first, last):
    """Factor per update of a sequence with two modes, by the products of their moduli."""
    turned = x[1:-1] ** 2 - x[:-2] * x[2:]
    return (turned[last] / turned[first]) ** (1 / (last - first))


def test_sites_behave_as_classified():
    """Rates of each kind of site, from runs, against the theorem and against the exact Jacobian."""
    lr, steps = 0.1, 400
    under = positions([(0, 1.0)], [0.02, -0.012], [0.4, 0.4], witness=[0.2], ridge=1.0, lr=lr, steps=steps)
    one = positions([(0, 1.0)], [1e-3], [1.0], ridge=0.5, lr=lr, steps=steps)
    over = positions([(0, 0.5)], [1e-6, -1e-6], [0.5, 0.5], witness=[-0.5], ridge=1.0, lr=lr, steps=steps)
    gaps = [np.abs(np.diff(path, axis=1))[:, 0] for path in (under, over)]
    found = (
        (gaps[0][400] / gaps[0][200]) ** (1 / 200),
        growth(one[:, 0], 100, 200) ** 0.5,
        (gaps[1][300] / gaps[1][100]) ** (1 / 200),
    )
    expected = (1 - lr * 0.4 * 0.2, (1 - lr * 0.5) ** 0.5, 1 + lr * 0.5 * 0.5)
    np.testing.assert_allclose(found, expected, atol=2e-5)
    for true, masses, ridge, value in zip(
        (1, 1, 0.5), ((0.4, 0.4), (1,), (0.5, 0.5)), (1, 0.5, 1), expected, strict=True
    ):
        problem = kernel_gan.problem([[0.0]], [true], masses, bandwidth=1.0, ridge=ridge)
        moduli = np.abs(
            kernel_gan.linearised(problem, np.zeros((len(masses), 1)), lr=lr, update="alternating").eigenvalues
        )
        assert np.abs(moduli - value).min() < 1e-12
        assert (moduli.max() < 1) == (value < 1)


def test_one_heavy_point_needs_a_ridge():
    """lambda^2 = mu q gamma |Delta| from the exact Jacobian, and squared moduli in runs on both sides of it."""
    p, q, ratio, width = 0.5, 0.8, 2.0, 0.7
    threshold = np.sqrt(ratio * q * (q - p)) / width

    def unstable(ridge):
        problem = kernel_gan.problem([[0.0]], [p], [q], bandwidth=width, ridge=ridge)
        values = kernel_gan.linearised(problem, [[0.0]], lr=(ratio * 1e-6, 1e-6)).eigenvalues
        return np.abs(values[0]) - 1

    assert scipy.optimize.brentq(unstable, 0.5 * threshold, 2 * threshold) == pytest.approx(threshold, rel=1e-5)
    threshold, lr = np.sqrt(q * (q - p)), 0.1
    for share in (0.9, 1.1):
        ridge = share * threshold
        x = positions([(0, p)], [1e-4], [q], witness=[(p - q) / ridge], ridge=ridge, lr=lr, steps=400)[:, 0]
        product = (1 - lr * ridge) * (1 + lr * q * (q - p) / ridge)
        assert growth(x, 100, 300) == pytest.approx(product, abs=1e-5)
        assert (product > 1) == (share < 1)


def test_a_pair_is_trapped_or_thrown_out():
    """An empty true point ten bandwidths away: for ever at ridges 1 and 3; at 0.2 the sign of the start decides."""
    true = [(0, 0.5), (10, 0.5)]
    for ridge in (3.0, 1.0, 0.2):
        for side in (1, -1):
            start = np.array([-0.3, 0.2]) * side
            x = positions(true, start, [0.5, 0.5], ridge=ridge, lr=0.1, steps=2000)
            if ridge > 0.5:
                np.testing.assert_allclose(np.sort(x[-1]), np.array([-1, 1]) * 0.679778, atol=1e-4)
                continue
            assert np.abs(x[-1]).min() < 0.01
            if side == 1:
                assert x[-1].max() == pytest.approx(10, abs=0.01)
            else:
                assert x[-1].min() < -50
                speed = (x[1000] - x[2000]).max() / (1000 * 0.1)
                assert speed == pytest.approx(kernel_gan.free_speed(0.5, ridge=ridge), rel=0.03)


def test_a_laplacian_kernel_never_settles():
    """What remains of the motion is proportional to the rate; the Gaussian kernel leaves nothing."""
    left = []
    etas = np.array([0.2, 0.1, 0.05])
    for eta in etas:
        x = positions([(0, 1.0)], [0.3], [1.0], ridge=1.0, lr=eta, steps=600, kernel="laplacian")
        left.append(np.abs(x[-150:]).max())
    assert np.polyfit(np.log(etas), np.log(left), 1)[0] == pytest.approx(1, abs=0.2)
    assert np.abs(positions([(0, 1.0)], [0.3], [1.0], ridge=1.0, lr=0.1, steps=600)[-150:]).max() < 1e-10


def test_balanced_neighbours_decouple():
    """The moduli of the exact Jacobian of four images are those of isolated sites with the couplings as curvatures."""
    points, width, ridge, q = neural.digits()[:4, 20:24], 1.3, 0.06, 0.25
    apart = points[:, None] - points
    gamma, (n, d) = width**-2, points.shape
    blocks = gamma * np.eye(d) - gamma**2 * apart[..., :, None] * apart[..., None, :]
    blocks *= np.exp(-gamma * (apart**2).sum(-1) / 2)[..., None, None]
    couplings = np.linalg.eigvalsh(blocks.transpose(0, 2, 1, 3).reshape(n * d, n * d))
    assert couplings.min() > 0 and couplings.mean() == pytest.approx(gamma)
    assert couplings.max() > 1.2 * gamma  # the images are not isolated
    problem = kernel_gan.problem(points, np.full(n, q), np.full(n, q), bandwidth=width, ridge=ridge)
    found = kernel_gan.linearised(problem, points, lr=1.0, update="alternating").eigenvalues
    sites = [phases.Site(q, q, 1, coupling**-0.5, ridge) for coupling in couplings]
    with jax.enable_x64(True):
        maps = [np.asarray(phases.mean_map(site, lr=1.0, update="alternating")) for site in sites]
    expected = np.concatenate([np.linalg.eigvals(matrix) for matrix in maps])
    for value in expected:
        assert np.abs(found - value).min() < 1e-9
    assert len(found) == len(expected) + 1


def test_ten_digits_prefer_one_bandwidth():
    """Between 0.5 and one median distance at both ridges; three widths do better; the span of the images is enough."""
    labels = neural.labels()
    ten = neural.digits()[[np.flatnonzero(labels == digit)[0] for digit in range(10)]]
    start = np.random.default_rng(0).uniform(-1, 1, (10, 64))
    both = np.vstack([ten, start])
    span = np.linalg.svd(both - both.mean(axis=0), full_matrices=False)[2][:19]
    inside, begin = ((x - both.mean(axis=0)) @ span.T for x in (ten, start))
    tenth, median = np.full(10, 0.1), np.median(pdist(ten))

    def left(share, ridge, real=inside, begin=begin, steps=400, kernel="gaussian"):
        run = kernel_gan.run(
            real, tenth, begin, tenth, bandwidth=share * median, ridge=ridge, lr=1.0, steps=steps, update="alternating",
            kernel=kernel,
        )  # fmt: skip
        costs = cdist(np.asarray(run.points[-1]), real, "sqeuclidean")
        return costs[scipy.optimize.linear_sum_assignment(costs)].mean()

    assert left(0.7, 0.06, steps=32) == pytest.approx(left(0.7, 0.06, ten, start, steps=32), rel=1e-4)
    for ridge in (0.015, 0.06):
        narrow, middle, broad = (left(share, ridge) for share in (0.5, 0.7, 1.0))
        assert middle < 0.9 * min(narrow, broad)
        if ridge == 0.015:
            assert middle < 0.1 * left(0.7, ridge, steps=0)
            assert left(1.0, ridge, kernel=kernel_gan.multiscale((0.4, 0.7, 1.4))) < 0.2 * middle


def test_a_cloud_beats_sampling():
    """60 trained points represent 400 digits in the plane better than 60 drawn ones do, which err as predicted."""
    images = neural.digits()[:400] - neural.digits()[:400].mean(axis=0)
    plane, size = images @ np.linalg.svd(images, full_matrices=False)[2][:2].T, 60
    features = kernel_gan.fourier_features(14.0, modes=18, bandwidth=1.0)
    game = kernel_gan.game(features, plane, np.full(400, 1 / 400), np.full(size, 1 / size), ridge=0.1)
    begin = np.random.default_rng(1).normal(size=(size, 2)) / 2
    path = gda.run(game, (begin, np.zeros((38, 38))), lr=(0.5 * size, 0.5), steps=200, update="alternating")
    assert np.abs(path.theta).max() < 7

    def gram(x, y):
        return np.exp(-cdist(x, y, "sqeuclidean") / 2).mean()

    def discrepancy(points):
        return gram(points, points) - 2 * gram(points, plane) + gram(plane, plane)

    floor = (1 - gram(plane, plane)) / size
    draws = np.random.default_rng(2).integers(0, 400, (400, size))
    drawn = np.array([discrepancy(plane[draw]) for draw in draws])
    assert abs(drawn.mean() / floor - 1) < 4 * drawn.std() / 20 / floor < 0.15
    assert discrepancy(np.asarray(path.theta[-1], float)) < 0.1 * floor
    assert discrepancy(begin) > 10 * floor
    # the series and the kernel agree on the discrepancy
    mean = sum(
        kernel_gan.embed(features, jnp.asarray(x), jnp.full(len(x), sign / len(x)))
        for x, sign in ((begin, 1), (plane, -1))
    )
    assert float((mean**2).sum()) == pytest.approx(discrepancy(begin), rel=1e-3)
