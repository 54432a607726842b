"""The linear theory of a site: against the general linearisation, the non-linear runs, bisection and grid search."""

import functools

import jax
import numpy as np
import pytest
import scipy.optimize

from gansde_lib import gda, kernel_gan, phases

KERNELS = ("gaussian", "rational quadratic", "matern")


def random_sites(count, seed):
    """Yield (site, lr) with the ranges of the chapter's study."""
    settings = phases.draw_settings(count, seed=seed)
    for i, (p, q, n, width, ridge, eta_g, eta_d, _) in enumerate(zip(*settings, strict=True)):
        site = phases.Site(float(p), float(q), int(n), float(width), float(ridge), KERNELS[i % 3])
        yield site, (float(eta_g), float(eta_d))


@functools.partial(jax.jit, static_argnames=("update", "inner_steps"))
def _theory(site, lr, update, inner_steps):
    options = {"lr": lr, "update": update, "inner_steps": inner_steps}
    numbers = phases.numbers(site, lr=lr, inner_steps=inner_steps)
    return phases.mean_eigenvalues(site, **options), numbers, phases.spectral_radius(site, **options)


def theory(site, lr, update="simultaneous", inner_steps=1):
    """The eigenvalues of the mean map, the numbers and the spectral radius of a site, in float64."""
    with jax.enable_x64(True):
        (real, imaginary), numbers, radius = jax.device_get(_theory(site, lr, update, inner_steps))
    return real + 1j * imaginary, numbers, radius


def general(site, lr, update, inner_steps=1, dimension=1):
    """The eigenvalues of `kernel_gan.linearised` with all generated points on the true one."""
    masses = np.full(site.count, site.point_mass)
    problem = kernel_gan.problem(
        np.zeros((1, dimension)),
        [site.true_mass],
        masses,
        bandwidth=site.bandwidth,
        ridge=site.ridge,
        kernel=site.kernel,
    )
    points = np.zeros((site.count, dimension))
    return kernel_gan.linearised(problem, points, lr=lr, update=update, inner_steps=inner_steps)


@pytest.mark.parametrize("update", gda.ORDERS)
@pytest.mark.parametrize("inner_steps", [1, 4])
def test_the_modes_are_those_of_the_general_linearisation(update, inner_steps):
    for site, lr in random_sites(30, seed=11):
        linear = general(site, lr, update, inner_steps)
        mean, (alpha, beta, *_), radius = theory(site, lr, update, inner_steps)
        # The general form counts the witness's slope once for each point; the points share it here.
        expected = np.append(mean, [1 - beta, 1 - alpha] * (site.count - 1))
        found = np.linalg.eigvals(linear.matrix)
        # A root of a double eigenvalue is known to the root of the rounding only.
        np.testing.assert_allclose(
            np.poly(found).real, np.poly(expected).real, atol=1e-11 * np.abs(np.poly(found)).max()
        )
        assert radius == pytest.approx(np.abs(linear.eigenvalues).max(), abs=2e-7)


@pytest.mark.parametrize("update", gda.ORDERS)
@pytest.mark.parametrize("kernel", KERNELS)
def test_non_linear_runs_have_these_rates(update, kernel):
    """The full system near equilibrium, its fitted without the theory; a curvature off by 1e-4 shows."""
    settings = phases.draw_settings(48, seed=21)
    found = phases.measure(settings, steps=300, update=update, kernel=kernel)
    for i, (p, q, n, width, ridge, eta_g, eta_d, _) in enumerate(zip(*settings, strict=True)):
        site = phases.Site(float(p), float(q), int(n), float(width), float(ridge), kernel)
        mean, expected, _ = theory(site, (float(eta_g), float(eta_d)), update)
        assert found.radius[i] == pytest.approx(np.abs(mean[0]), abs=1e-6)
        assert found.argument[i] == pytest.approx(abs(np.angle(mean[0])), abs=1e-6)
        if n > 1:
            assert found.difference[i] == pytest.approx(1 - expected.beta, abs=1e-7)


@pytest.mark.parametrize("update", gda.ORDERS)
def test_boundaries_are_where_the_eigenvalues_change(update):
    """Independent: bisection on the spectrum of the general linearisation."""
    jitted = jax.jit(lambda site, eta_d: phases.boundaries(site, eta_d=eta_d, update=update))
    checked = {"oscillation": 0, "hopf": 0, "flip": 0, "difference": 0}
    for site, (_, eta_d) in random_sites(40, seed=31):
        with jax.enable_x64(True):
            found = jax.device_get(jitted(site, eta_d))

        def matrix(eta_g, site=site, eta_d=eta_d):
            one = phases.Site(site.true_mass, site.generated_mass, 1, site.bandwidth, site.ridge, site.kernel)
            # n points of mass q move together like one of mass P with its rate divided by n
            return general(one, (eta_g / site.count, eta_d), update).matrix

        tests = {
            "oscillation": lambda eta_g: np.trace(matrix(eta_g)) ** 2 - 4 * np.linalg.det(matrix(eta_g)),
            "hopf": lambda eta_g: np.linalg.det(matrix(eta_g)) - 1,
            "flip": lambda eta_g: np.linalg.det(np.eye(2) + matrix(eta_g)),
            "difference": lambda eta_g, site=site, eta_d=eta_d: (
                (general(site, (eta_g, eta_d), update).matrix @ np.eye(2 * site.count)[0])[:2] @ [1, -1] + 1
            ),
        }
        for name, test in tests.items():
            rate = float(getattr(found, name))
            if np.isfinite(rate):
                root = scipy.optimize.brentq(test, 0.9999 * rate, 1.0001 * rate, xtol=1e-12 * rate)
                assert rate == pytest.approx(root, rel=1e-6)
                checked[name] += 1
    assert min(checked["oscillation"], checked["hopf"], checked["difference"]) > 3
    assert checked["flip"] > 20 or update == "simultaneous"


@pytest.mark.parametrize("update", gda.ORDERS)
def test_the_stability_limit_parts_runs_that_decay_from_runs_that_grow(update):
    """Non-linear runs two per mille inside and outside the limit, for under-filled sites and single points."""
    sites = [
        phases.Site(1.0, 1.0, 1, 0.8, 0.5),
        phases.Site(1.0, 0.7, 1, 1.3, 0.9),
        phases.Site(1.0, 0.25, 3, 0.6, 1.2),
    ]
    for site in sites:
        with jax.enable_x64(True):
            limit = float(phases.stability_limit(site, eta_d=0.3, update=update))
        assert np.isfinite(limit)
        for factor, grows in ((0.998, False), (1.002, True)):
            columns = (site.true_mass, site.point_mass, site.count, site.bandwidth, site.ridge, factor * limit, 0.3, 1)
            settings = phases.Settings(*(np.array([value]) for value in columns))
            found = phases.measure(settings, steps=600, update=update)
            assert (max(found.radius[0], np.nan_to_num(abs(found.difference[0]))) > 1) == grows


def test_closed_forms_of_a_balanced_site():
    """The table of the facts: lambda = .5, sigma = p = q = 1."""
    site = phases.Site(1.0, 1.0, ridge=0.5)
    rows = {
        0.1: (6.25e-3, 0.5, 6.41e-3, 38.99, 39.0),
        0.5: (0.0313, 0.5, 0.0359, 6.96, 7.0),
        1.0: (0.0625, 0.5, 0.0858, 2.91, 3.0),
    }
    for eta_d, expected in rows.items():
        simultaneous, alternating = (phases.boundaries(site, eta_d=eta_d, update=update) for update in gda.ORDERS)
        found = (
            simultaneous.oscillation,
            simultaneous.hopf,
            alternating.oscillation,
            alternating.end_of_oscillation,
            alternating.flip,
        )
        np.testing.assert_allclose(found, expected, rtol=5e-3)
        assert not np.isfinite(alternating.hopf)


@pytest.mark.parametrize(
    ("site", "lr", "update", "expected"),
    [
        (phases.Site(1.0, 1.0, ridge=0.5), (0.006, 0.1), "simultaneous", "monotone"),
        (phases.Site(1.0, 1.0, ridge=0.5), (0.4, 0.1), "simultaneous", "oscillating"),
        (phases.Site(1.0, 1.0, ridge=0.5), (0.5, 0.1), "simultaneous", "marginal"),
        (phases.Site(1.0, 1.0, ridge=0.5), (0.6, 0.1), "simultaneous", "diverging"),
        (phases.Site(1.0, 1.0, ridge=0.5), (0.6, 0.1), "alternating", "oscillating"),
        (phases.Site(1.0, 1.0, ridge=0.5), (38.995, 0.1), "alternating", "oscillating"),  # a negative eigenvalue
        (phases.Site(1.0, 1.0, ridge=0.5), (39.1, 0.1), "alternating", "diverging"),
        (phases.Site(1.0, 0.5, 2, ridge=0.5), (0.006, 0.1), "simultaneous", "marginal"),  # differences stand still
        (phases.Site(1.0, 0.6, 2, ridge=0.5), (0.006, 0.1), "simultaneous", "diverging"),  # points repel
        (phases.Site(0.0, 1.0, ridge=2.0), (0.1, 0.1), "simultaneous", "marginal"),  # a free point
        (phases.Site(1.0, 1.0, ridge=0.5), (0.001, 4.1), "alternating", "diverging"),  # the witness itself: alpha > 2
    ],
)
def test_classify(site, lr, update, expected):
    assert phases.classify(site, lr=lr, update=update) == expected


def test_regimes_map_over_sites():
    rates = np.linspace(0.01, 0.9, 40)
    codes = jax.vmap(lambda eta_g: phases.regime(phases.Site(1.0, 1.0, ridge=0.5), lr=(eta_g, 0.1), margin=1e-6))(rates)
    expected = [phases.classify(phases.Site(1.0, 1.0, ridge=0.5), lr=(float(rate), 0.1)) for rate in rates]
    assert [phases.REGIMES[code] for code in codes] == expected
    assert set(expected) == {"oscillating", "diverging"}


def test_unequal_masses_obey_the_secular_equation():
    """Growth rates z: (z + lambda) + gamma mu sum_j q_j^2 / (z + mu kappa q_j) = 0, at small rates."""
    masses, ridge, width, step = np.array([0.1, 0.25, 0.4]), 0.6, 0.7, 1e-6
    problem = kernel_gan.problem([[0.0]], [1.0], masses, bandwidth=width, ridge=ridge)
    values = np.linalg.eigvals(kernel_gan.linearised(problem, np.zeros((3, 1)), lr=(2 * step, step)).matrix)
    z, gamma = (values - 1) / step, 1 / width**2
    z = z[np.abs(z + ridge) > 1e-6]  # the slope of the witness is counted three times
    assert len(z) == 4
    kappa = gamma * (1 - masses.sum()) / ridge
    left = z + ridge + 2 * gamma * (masses**2 / (z[:, None] + 2 * kappa * masses)).sum(1)
    slope = 1 - 2 * gamma * (masses**2 / (z[:, None] + 2 * kappa * masses) ** 2).sum(1)
    assert np.abs(left / slope).max() < 1e-4  # the distance of z from a root


def test_many_inner_steps_become_a_gradient_flow():
    """With a witness that has settled, rho = 1 - eta_g q gamma p / lambda."""
    site = phases.Site(1.0, 0.8, 1, 0.9, 0.5)
    real, imaginary = phases.mean_eigenvalues(site, lr=(0.2, 0.4), update="alternating", inner_steps=200)
    assert imaginary[0] == 0
    assert float(real[0]) == pytest.approx(1 - 0.2 * 0.8 / 0.81 / 0.5, abs=1e-5)


@pytest.mark.parametrize("update", gda.ORDERS)
def test_the_best_ridge_is_that_of_a_grid_search(update):
    for eta_g, eta_d, width in ((0.1, 0.2, 1.0), (0.5, 0.05, 2.0)):

        def radius(ridge, eta_g=eta_g, eta_d=eta_d, width=width):
            return float(theory(phases.Site(1.0, 1.0, 1, width, ridge), (eta_g, eta_d), update)[2])

        best = float(phases.best_ridge(phases.Site(1.0, 1.0, 1, width), lr=(eta_g, eta_d), update=update))
        grid = best * np.exp(np.linspace(-0.5, 0.5, 201))
        assert grid[np.argmin([radius(ridge) for ridge in grid])] == pytest.approx(best, rel=0.006)
        omega = np.sqrt(eta_d * eta_g) / width
        assert radius(best) == pytest.approx(1 - omega, abs=2e-3)


def test_the_best_bandwidth_is_where_the_mean_mode_stops_turning():
    site = phases.Site(0.1, 0.1, ridge=0.01)
    best = float(phases.best_bandwidth(site, lr=1.0))
    for factor, turning in ((0.99, True), (1.01, False)):
        near = phases.Site(0.1, 0.1, 1, factor * best, 0.01)
        assert bool(phases.mean_eigenvalues(near, lr=1.0)[1][0] != 0) == turning


@pytest.mark.parametrize(
    ("distance", "along", "across"), [(4.0, -5.0e-3, 3e-4), (2.0, -0.406, 0.135), (1.0, 0.0, 0.607)]
)
def test_neighbours_bend_the_curvature(distance, along, across):
    """Two balanced pairs: gamma (1 +- g), g = (1 - r^2) e^(-r^2/2) along their axis and e^(-r^2/2) across it."""
    points = np.array([[0.0, 0.0], [distance, 0.0]])
    problem = kernel_gan.problem(points, [0.5, 0.5], [0.5, 0.5], bandwidth=1.0, ridge=0.5)
    found = np.sort_complex(np.linalg.eigvals(kernel_gan.linearised(problem, points, lr=(0.2, 0.1)).matrix))
    g = ((1 - distance**2) * np.exp(-(distance**2) / 2), np.exp(-(distance**2) / 2))
    np.testing.assert_allclose(g, (along, across), atol=6e-4)
    expected = []
    for share in (1 + g[0], 1 - g[0], 1 + g[1], 1 - g[1]):
        site = phases.Site(0.5, 0.5, 1, share**-0.5, 0.5)  # a curvature of `share`
        expected += list(theory(site, (0.2, 0.1))[0])
    np.testing.assert_allclose(np.poly(found).real, np.poly(np.array(expected)).real, atol=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: phases.Site(-1.0, 1.0), "true_mass"),
        (lambda: phases.Site(1.0, 0.0), "point_mass"),
        (lambda: phases.Site(1.0, 1.0, 0), "count"),
        (lambda: phases.Site(1.0, 1.0, bandwidth=-1.0), "bandwidth"),
        (lambda: phases.Site(1.0, 1.0, kernel="laplacian"), "no linear theory"),
        (lambda: phases.classify(phases.Site(1.0, 1.0), lr=0.1, update="both"), "update must be one of"),
        (lambda: phases.classify(phases.Site(1.0, 1.0), lr=(0.1, -0.1)), "learning rate"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
