"""Non-linear runs of a site: what is seen on them, and the stored studies, against theory and against one another."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

from gansde_lib import gda, kernel_gan, phases
from gansde_lib.phases import sweeps


@functools.cache
def stored():
    return sweeps.load()


@pytest.mark.parametrize("update", gda.ORDERS)
def test_run_is_descent_ascent_on_the_kernel_game(update):
    """Independent: the generic rules on the game over Fourier features, an under-filled site of two points."""
    site, start = phases.Site(1.0, 0.4, 2, 0.8, 0.5), np.array([[0.3], [-0.1]])
    with jax.enable_x64(True):
        features = kernel_gan.fourier_features(8.0, modes=13, bandwidth=0.8)
        game = kernel_gan.game(features, [[0.0]], [1.0], [0.4, 0.4], ridge=0.5)
        rest = np.asarray(features(jnp.zeros(1))[0]) * 0.2 / 0.5
        expected = gda.run(game, (start, rest), lr=(0.3, 0.2), steps=60, update=update).theta
        found = phases.run(site, lr=(0.3, 0.2), start=start, steps=60, update=update)
        np.testing.assert_allclose(found, expected, atol=1e-11)
        rest = np.zeros_like(rest)
        expected = gda.run(game, (start, rest), lr=(0.3, 0.2), steps=60, update=update).theta
        found = phases.run(site, lr=(0.3, 0.2), start=start, steps=60, update=update, rested=False)
        np.testing.assert_allclose(found, expected, atol=1e-11)


@pytest.mark.parametrize("update", gda.ORDERS)
def test_observed_regimes_are_those_of_the_theory(update):
    """400 random sites; where they differ the run is too short to tell."""
    rng = np.random.default_rng(61)
    q, width, ridge, eta_g, eta_d = (
        rng.uniform(low, high, 400) for low, high in ((0.6, 1), (0.3, 2), (0.1, 3), (0.02, 3), (0.05, 1.2))
    )

    @jax.jit
    @jax.vmap
    def both(q, width, ridge, eta_g, eta_d):
        site, options = phases.Site(1.0, q, 1, width, ridge), {"lr": (eta_g, eta_d), "update": update}
        theory = phases.regime(site, **options), phases.spectral_radius(site, **options)
        return *theory, phases.observe(site, steps=400, **options)

    with jax.enable_x64(True):
        expected, radius, found = jax.device_get(both(q, width, ridge, eta_g, eta_d))
    clear = np.abs(np.log(radius)) * 400 >= 5
    np.testing.assert_array_equal(found[clear], expected[clear])
    assert clear.mean() > 0.9 and np.bincount(found, minlength=3).min() > 20


@pytest.mark.parametrize(("update", "name"), [("simultaneous", "hopf"), ("alternating", "flip")])
def test_what_is_observed_grows_where_the_expansion_does(update, name):
    """The Fourier series against the exact kernel expansion, close to the lines."""
    site = phases.Site(1.0, 0.95, 1, 0.7, 0.8)

    @jax.jit
    @jax.vmap
    def both(factor):
        limit = getattr(phases.boundaries(site, eta_d=0.4, update=update), name)
        options = {"lr": (factor * limit, 0.4), "steps": 300, "update": update}
        points = jnp.abs(phases.run(site, start=jnp.full((1, 1), 1e-40), **options)[:, 0, 0])
        return points[225:].max() > points[150:225].max(), phases.observe(site, **options)

    with jax.enable_x64(True):
        grows, seen = jax.device_get(both(np.array([0.97, 1.03])))
    assert grows.tolist() == [False, True] == (seen == 2).tolist()


def test_the_limit_cycle_has_its_amplitude():
    """Near the line the next term is seen, a share of alpha / 2; another factor than 4/3 would be off by more."""

    @jax.jit
    @jax.vmap
    def both(width, ridge, eta_d, factor):
        site = phases.Site(1.0, 1.0, 1, width, ridge)
        lr = (factor * ridge * width**2, eta_d)
        amplitude = phases.cycle_amplitude(site, lr=lr)
        return amplitude, phases.settled_amplitude(site, lr=lr, steps=3000, start=1.1 * amplitude / width)

    with jax.enable_x64(True):
        rows = np.array([(1, 0.4, 0.1, 1.1), (1, 0.4, 0.1, 1.05), (0.5, 0.3, 0.1, 1.08), (2, 0.2, 0.1, 1.12)])
        predicted, measured = jax.device_get(both(*rows.T))
        np.testing.assert_allclose(measured / predicted, 1 + rows[:, 1] * rows[:, 2] / 2, atol=0.005)
        inside = phases.cycle_amplitude(phases.Site(1.0, 1.0, ridge=0.4), lr=(0.39, 0.1))
    assert np.isnan(inside)


def test_the_flip_is_subcritical_and_the_hopf_line_is_not():
    """Just inside the flip line a hundredth of a bandwidth is too much; just beyond the Hopf line no start is."""

    @functools.partial(jax.jit, static_argnames="update")
    def runs(ridge, eta_g, eta_d, starts, update):
        site = phases.Site(1.0, 1.0, 1, 1.0, ridge)
        one = lambda e: phases.run(site, lr=(eta_g, eta_d), start=e[None, None], steps=1500, update=update)  # noqa: E731
        return jnp.abs(jax.vmap(one)(starts)[:, :, 0, 0])

    with jax.enable_x64(True):
        limit = phases.stability_limit(phases.Site(1.0, 1.0, ridge=0.4), eta_d=0.2, update="alternating")
        assert float(limit) == pytest.approx(19.2)
        inside = jax.device_get(runs(0.4, 0.98 * limit, 0.2, np.array([1e-4, 1e-3, 0.01]), "alternating"))
        assert (inside[:2, -1] < 1e-20).all() and inside[2].max() > 10
        beyond = jax.device_get(runs(0.4, 0.44, 0.2, np.array([1e-4, 0.05, 0.5]), "simultaneous"))
        assert beyond.max() < 1 and np.allclose(beyond[1:, 1000:].max(1), 0.097, atol=0.01)


@pytest.mark.parametrize("name", sweeps.BISECTED)
def test_bisection_on_runs_finds_the_boundaries(name):
    exact, found = sweeps.bisected(name, phases.Settings(*(column[:6] for column in sweeps.boundary_settings(seed=9))))
    assert len(exact) >= 4
    np.testing.assert_allclose(found, exact, rtol=1e-4)
    kept = stored()
    np.testing.assert_allclose(kept[f"bisected_{name}"], kept[f"exact_{name}"], rtol=1e-4)


def verdicts(settings, found):
    """Predicted signs of growth, and places where the finer verdicts disagree."""
    roots, beta, radius = sweeps.study_theory(settings)
    growth = np.where(radius > 1 + 1e-9, 1, np.where(radius < 1 - 1e-9, -1, 0))
    manner = np.where(roots[:, 0].imag != 0, 1, np.where(roots[:, 0].real < 0, 2, 0))
    return growth, np.flatnonzero((growth < 1) & (found["manner"] != manner)), (roots, beta, radius)


def again(settings, group):
    """Run sixteen settings of a group: the same program whatever the settings."""
    places, update, kernel = list(sweeps.groups(settings))[group]
    part = phases.Settings(*(column[places[:16]] for column in settings))
    options = {"steps": sweeps.STEPS, "update": update, "kernel": kernel}
    points = phases.displacements(part, **options)
    return places[:16], phases.fit(part, points), phases.judge(part, points, phases.witness_deviations(part, **options))


@pytest.mark.parametrize("group", [0, 5])
def test_judgements_agree_with_the_theory_on_other_settings(group):
    """From a seed that no figure uses."""
    settings = phases.draw_settings(108, seed=77)
    places, fitted, judged = again(settings, group)
    roots, _, radius = sweeps.study_theory(settings)
    roots, radius = roots[places, 0], radius[places]
    growth = np.where(radius > 1 + 1e-9, 1, np.where(radius < 1 - 1e-9, -1, 0))
    np.testing.assert_array_equal(judged.growth, growth)
    assert set(growth) == {-1, 0, 1}
    manner = np.where(roots.imag != 0, 1, np.where(roots.real < 0, 2, 0))
    assert ((judged.manner != manner) & (growth < 1)).sum() <= 1
    np.testing.assert_allclose(fitted.radius, np.abs(roots), atol=1e-7)


def test_the_stored_study_agrees_with_the_theory():
    found, settings = stored(), phases.draw_settings(sweeps.SIZE, seed=sweeps.SEED)
    growth, wrong, (roots, beta, _) = verdicts(settings, found)
    assert len(found["growth"]) == 600
    np.testing.assert_array_equal(found["growth"], growth)
    assert len(wrong) <= 18
    np.testing.assert_allclose(found["radius"], np.abs(roots[:, 0]), atol=1e-6)
    np.testing.assert_allclose(found["argument"], np.abs(np.angle(roots[:, 0])), atol=1e-6)
    several = settings.count > 1
    np.testing.assert_allclose(found["difference"][several], (1 - beta)[several], atol=1e-6)


@pytest.mark.parametrize("group", [0, 5])
def test_the_stored_study_is_what_runs_do(group):
    found = stored()
    places, fitted, judged = again(phases.draw_settings(sweeps.SIZE, seed=sweeps.SEED), group)
    for name in ("radius", "argument"):
        np.testing.assert_allclose(getattr(fitted, name), found[name][places], atol=1e-6)
    for name in ("growth", "manner"):
        np.testing.assert_array_equal(getattr(judged, name), found[name][places])


@pytest.mark.parametrize("name", sweeps.PLANES)
@pytest.mark.parametrize("update", gda.ORDERS)
def test_the_stored_diagrams(name, update):
    """Disagreement only where |log rho| x steps < 5, which is at most 5 % of the cells; 12 x 12 cells run again."""
    plane, found = sweeps.PLANES[name], stored()[f"{name}_{update}"]
    assert found.shape == (512, 512)
    codes, radii = sweeps.predicted(plane, plane.grid(), update)
    slow = np.abs(np.log(radii)) * sweeps.CELL_STEPS < 5
    assert slow.mean() <= 0.05
    np.testing.assert_array_equal(found[~slow], codes[~slow])
    assert (found != codes).mean() < 0.02
    axes = [axis[20::43] for axis in plane.grid()]
    np.testing.assert_array_equal(sweeps.simulated(plane, axes, update), found[20::43, 20::43])


def test_linear_paths_are_off_by_the_square_of_the_start():
    """Errors of a hundredfold start grow by 10^4 where they are small; the stored ones are those of runs."""
    rows = phases.stable_settings(120, seed=sweeps.SEED)
    again = phases.reach(rows[:8], steps=200)
    np.testing.assert_allclose(again.error, stored()["error"][:8], rtol=1e-6)
    error = np.median(stored()["error"], axis=0)
    assert np.log10(error[1] / error[0]) == pytest.approx(2, abs=0.05)
    assert stored()["settled"][:, :4].all()


def neighbours(distance):
    points = np.array([[0.0, 0.0], [distance, 0.0]])
    return points, kernel_gan.problem(points, [0.5, 0.5], [0.5, 0.5], bandwidth=1.0, ridge=0.5)


@pytest.mark.parametrize("distance", [1.0, 1.5, 2.0, 3.0, 4.5])
def test_neighbours_lower_the_limit(distance):
    """Against bisection on the exact linearisation, and non-linear runs at 0.98 and 1.02 of the limit."""
    points, problem = neighbours(distance)
    site = phases.Site(0.5, 0.5, ridge=0.5)
    with jax.enable_x64(True):
        limit = float(phases.paired_limit(site, distance))

    def growth(eta_g):
        return np.abs(kernel_gan.linearised(problem, points, lr=(eta_g, 0.8)).eigenvalues[0]) - 1

    assert scipy.optimize.brentq(growth, 0.9 * limit, 1.1 * limit) == pytest.approx(limit, rel=1e-6)
    start = points + 1e-6 * np.array([[0.9, -0.7], [-0.8, 0.6]])
    with jax.enable_x64(True):
        for factor in (0.98, 1.02):
            run = kernel_gan.run(
                points, [0.5, 0.5], start, [0.5, 0.5], bandwidth=1.0, ridge=0.5, lr=(factor * limit, 0.8), steps=900
            )
            away = np.abs(np.asarray(run.points) - points).max((1, 2))
            assert (away[700:].max() > away[400:700].max()) == (factor > 1)


def test_a_pair_has_the_roots_of_isolated_sites():
    site = phases.Site(0.5, 0.5, ridge=0.5)
    points, problem = neighbours(1.5)
    found = np.linalg.eigvals(kernel_gan.linearised(problem, points, lr=(0.3, 0.2), update="alternating").matrix)
    with jax.enable_x64(True):
        expected = [
            np.asarray(re) + 1j * np.asarray(im)
            for sign in (1, -1)
            for across in (False, True)
            for re, im in [
                phases.mean_eigenvalues(
                    phases.paired(site, 1.5, sign=sign, across=across), lr=(0.3, 0.2), update="alternating"
                )
            ]
        ]
    np.testing.assert_allclose(np.poly(found).real, np.poly(np.concatenate(expected)).real, atol=1e-12)


@pytest.mark.parametrize("inner_steps", [2, 5, 12])
def test_runs_with_inner_steps_have_the_roots_of_the_theory(inner_steps):
    site, options = phases.Site(1.0, 0.9, 1, 0.8, 0.6), {"lr": (0.4, 0.15), "update": "alternating"}
    with jax.enable_x64(True):
        points = phases.run(site, start=[[1e-30]], steps=40, inner_steps=inner_steps, **options)
        real, imaginary = phases.mean_eigenvalues(site, inner_steps=inner_steps, **options)
        found = phases.roots(np.asarray(points[:, 0]))
        np.testing.assert_allclose(sorted(found.real), sorted(np.asarray(real)), atol=1e-9)
        np.testing.assert_allclose(np.abs(found.imag), np.abs(imaginary), atol=1e-9)


def test_five_of_the_published_36_runs_diverge():
    """As in the saved figure of the authors' code: alternating updates, from a witness of zero, 1000 updates."""
    rows = np.array([(sigma, ridge, *lr) for sigma, ridge, lr in phases.ROWS])

    @jax.jit
    @jax.vmap
    def farthest(row):
        site = phases.Site(1.0, 1.0, 1, row[0], row[1])
        options = {"lr": (row[2], row[3]), "update": "alternating"}
        points = phases.run(site, start=[[0.1]], steps=1000, rested=False, **options)
        simultaneous = phases.spectral_radius(site, lr=(row[2], row[3]))
        return jnp.abs(points).max() / row[0], phases.spectral_radius(site, **options), simultaneous

    with jax.enable_x64(True):
        reached, alternating, simultaneous = jax.device_get(farthest(rows))
    away = {(sigma, ridge, lr) for (sigma, ridge, lr), far in zip(phases.ROWS, reached, strict=True) if far > 2}
    assert away == {(0.1, ridge, (0.1, 1.0)) for ridge in (1, 0.1, 0.01)} | {
        (0.1, ridge, (0.1, 0.1)) for ridge in (0.1, 0.01)
    }
    assert (alternating > 1).sum() == 3  # the other two start a whole bandwidth away
    assert (simultaneous > 1 + 1e-12).sum() == 12


def test_unknown_updates_are_named():
    site = phases.Site(1.0, 1.0)
    with pytest.raises(ValueError, match="update must be one of"):
        phases.run(site, lr=0.1, start=[[0.1]], steps=2, update="both")
    with pytest.raises(ValueError, match="update must be one of"):
        phases.observe(site, lr=0.1, steps=2, update="both")
    with pytest.raises(ValueError, match="learning rate"):
        phases.observe(site, lr=-0.1, steps=2)


def test_balanced_points_approach_each_other_like_one_over_the_updates():
    """W, the mean square displacement of two points at a balanced site: 1 / W grows by 3 q P gamma^2 eta_g / lambda."""
    site = phases.Site(1.0, 0.5, 2, 0.8, 0.5)
    with jax.enable_x64(True):
        points = phases.run(site, lr=(0.5, 0.5), start=[[0.3], [-0.3]], steps=3000)
    inverse = 1 / np.mean(np.square(points[:, :, 0]), axis=1)
    assert (inverse[3000] - inverse[2000]) / 1000 == pytest.approx(3 * 0.5 / 0.8**4 * 0.5 / 0.5, rel=0.01)


def test_inner_steps_are_one_step_at_another_rate():
    """k steps of the witness at rate eta_d are one at (1 - (1 - eta_d lambda)^k) / lambda, in the non-linear system."""
    site, start = phases.Site(1.0, 0.9, 1, 0.8, 0.6), [[0.7]]
    with jax.enable_x64(True):
        many = phases.run(site, lr=(0.4, 0.15), start=start, steps=60, update="alternating", inner_steps=5)
        rate = (1 - (1 - 0.15 * 0.6) ** 5) / 0.6
        one = phases.run(site, lr=(0.4, rate), start=start, steps=60, update="alternating")
        np.testing.assert_allclose(many, one, atol=1e-13)


@pytest.mark.parametrize("update", gda.ORDERS)
def test_runs_are_fastest_at_the_best_ridge(update):
    """Measured on runs: at the best ridge the root is 1 - omega, and a tenth away it is larger."""
    site = phases.Site(1.0, 1.0, 1, 0.8)
    with jax.enable_x64(True):
        best = float(phases.best_ridge(site, lr=(0.05, 0.2), update=update))
        ridges = best * np.array([0.9, 1.0, 1.1])

        @jax.jit
        @jax.vmap
        def points(ridge):
            here = phases.Site(1.0, 1.0, 1, 0.8, ridge)
            return phases.run(here, lr=(0.05, 0.2), start=jnp.full((1, 1), 1e-30), steps=40, update=update)[:, 0]

        found = [np.abs(phases.roots(np.asarray(series))[0]) for series in points(ridges)]
    assert found[1] == pytest.approx(1 - (0.05 * 0.2) ** 0.5 / 0.8, abs=1e-4)
    assert min(found[0], found[2]) > found[1] + 1e-3
