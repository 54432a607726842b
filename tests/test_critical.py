"""Noise at a site: closed forms against Lyapunov solvers, quadrature, brute force and the non-linear kernel GAN."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from conftest import ROOT
from gansde_lib import critical, fdr, gda, invariant, kernel_gan, phases, sde, simulate
from gansde_lib.games import Players

HOPF = phases.Site(1.0, 1.0, ridge=0.4)  # at eta_d = 0.2: Hopf at eta_g = 0.4, flip (alternating) at 19.2


def stable_sites(count, seed, update, radius=0.999, alone=False):
    """Yield (site, lr, noises) drawn over the ranges of the chapter whose mean mode is stable; alone: of one point."""
    rng = np.random.default_rng(seed)
    found = 0
    for block in range(100):
        for p, q, n, width, ridge, eta_g, eta_d, _ in zip(
            *phases.draw_settings(3 * count, seed=seed + block), strict=True
        ):
            site = phases.Site(float(p), float(q), 1 if alone else int(n), float(width), float(ridge))
            lr = (float(eta_g), float(eta_d))
            with jax.enable_x64(True):
                largest, settles = jax.device_get(_stability(site, lr, update=update))
            if largest < radius and settles:
                yield (
                    site,
                    lr,
                    dict(zip(("point_noise", "witness_noise"), rng.uniform(0.1, 2, 2).tolist(), strict=True)),
                )
                found += 1
                if found == count:
                    return


@functools.partial(jax.jit, static_argnames="update")
def _stability(site, lr, update):
    real, imaginary = phases.mean_eigenvalues(site, lr=lr, update=update)
    return jnp.hypot(real, imaginary).max(), critical.distances(site, lr=lr, update=update).stable


@functools.partial(jax.jit, static_argnames="update")
def _closed(site, lr, noises, update):
    options = {"lr": lr, "update": update} | noises
    return {
        "map": phases.mean_map(site, lr=lr, update=update),
        "kick": critical.noise_covariance(site, **options),
        "covariance": critical.covariance(site, **options),
        "mean": critical.mean_variance(site, **options),
        "difference": critical.difference_variance(site, lr=lr, point_noise=noises["point_noise"]),
        "limit": critical.limit_variance(site, lr=lr, **noises),
        "entropy": critical.entropy_production(site, **options),
        "entropy_limit": critical.limit_entropy_production(site, lr=lr, **noises),
        "numbers": phases.numbers(site, lr=lr),
    }


def closed(site, lr, noises, update="simultaneous"):
    """All closed forms of a site, in float64, compiled once."""
    with jax.enable_x64(True):
        return jax.device_get(_closed(site, lr, noises, update=update))


@pytest.mark.parametrize("update", gda.ORDERS)
def test_closed_form_solves_the_lyapunov_equation(update):
    count = 0
    for site, lr, noises in stable_sites(300, 31, update):
        found = closed(site, lr, noises, update)
        expected = invariant.covariance(found["map"], found["kick"])
        np.testing.assert_allclose(found["covariance"], expected, rtol=1e-10, atol=1e-10 * np.abs(expected).max())
        np.testing.assert_allclose(found["mean"], expected[0, 0], rtol=1e-10)
        if site.count > 1 and 1e-6 < found["numbers"].beta < 2:
            chain = [[1 - found["numbers"].beta]], [[(lr[0] * noises["point_noise"]) ** 2]]
            np.testing.assert_allclose(found["difference"], invariant.covariance(*chain)[0, 0], rtol=1e-9)
            count += 1
    assert count > 30


@jax.jit
def _slope(game):
    return jax.jacfwd(lambda x: game.payoff.args[0](x)[0])(jnp.zeros(1))[:, 0]


@jax.jit
def _derivatives(game, lr, alternating, rest, slope):
    """Derivatives of (mean displacement, slope) after one step, by the state and by the noise."""

    def after(x, kick):
        x = critical.step(game, lr, alternating, x, kick)
        return jnp.stack([x.theta.mean(), slope @ (x.omega - rest.omega)])

    return jax.jacfwd(after, argnums=(0, 1))(rest, jax.tree.map(jnp.zeros_like, rest))


@pytest.mark.parametrize("update", gda.ORDERS)
def test_linear_theory_is_the_derivative_of_the_nonlinear_step(update):
    """Map and noise covariance, from the Jacobian of one step of the kernel GAN with respect to state and noise."""
    for site, lr, noises in stable_sites(6, 41, update):
        with jax.enable_x64(True):
            game, rest = critical.start(site)
            slope = np.asarray(_slope(game))
            options = (game, gda.rates(lr), update == "alternating", rest, slope)
            by_state, by_kick = jax.device_get(_derivatives(*options))
        found = closed(site, lr, noises, update)
        # A unit slope is the deviation of the witness along the features' derivative.
        matrix = np.stack([by_state.theta[:, :, 0].sum(1), by_state.omega @ slope / (slope @ slope)], 1)
        np.testing.assert_allclose(matrix, found["map"], rtol=1e-6, atol=1e-6)
        kick = noises["point_noise"] ** 2 * np.einsum("ijk,ljk->il", by_kick.theta, by_kick.theta)
        kick += noises["witness_noise"] ** 2 * by_kick.omega @ by_kick.omega.T
        np.testing.assert_allclose(kick, found["kick"], rtol=1e-6, atol=1e-8)


def test_small_rates_reach_the_ornstein_uhlenbeck_process():
    """Second-order theory in eta: the relative difference halves with the rates; the limit solves its own equation."""
    for site, lr, noises in stable_sites(20, 51, "simultaneous"):
        misses = []
        for scale in (1e-3, 5e-4):
            small = (lr[0] * scale, lr[1] * scale)
            found = closed(site, small, noises)
            misses.append(found["mean"] / found["limit"] - 1)
        if found["numbers"].alpha + found["numbers"].beta > 0:
            np.testing.assert_allclose(misses[0] / misses[1], 2, rtol=0.05)
            drift, spread = found["map"] - np.eye(2), found["kick"]
            np.testing.assert_allclose(found["limit"], invariant.continuous_covariance(drift, spread)[0, 0], rtol=1e-8)
            np.testing.assert_allclose(found["entropy_limit"], invariant.entropy_production(drift, spread), rtol=1e-7)


def pair_entropy(matrix, kick, settled):
    """Relative entropy of (x, x') to (x', x) for a stationary Gaussian chain, from the general formula."""
    joint = np.block([[settled, settled @ matrix.T], [matrix @ settled, settled]])
    swapped = np.block([[settled, matrix @ settled], [settled @ matrix.T, settled]])
    return (np.trace(np.linalg.solve(swapped, joint)) - len(joint)) / 2


@pytest.mark.parametrize("update", gda.ORDERS)
def test_entropy_production_is_the_relative_entropy_of_reversed_pairs(update):
    for site, lr, noises in stable_sites(60, 61, update):
        found = closed(site, lr, noises, update)
        expected = pair_entropy(found["map"], found["kick"], found["covariance"])
        np.testing.assert_allclose(found["entropy"], expected, rtol=1e-6)
        assert found["entropy"] > 0
    for site, lr, noises in stable_sites(10, 62, update):
        found = closed(site, (lr[0] * 1e-4, lr[1] * 1e-4), noises, update)
        if np.isfinite(found["entropy_limit"]):
            np.testing.assert_allclose(found["entropy"], found["entropy_limit"], rtol=5e-3)


BOUNDARIES = {
    "hopf": (HOPF, "simultaneous", lambda e: (0.4 * (1 - e), 0.2)),
    "flip": (HOPF, "alternating", lambda e: (19.2 * (1 - e), 0.2)),
}


@pytest.mark.parametrize("name", BOUNDARIES)
def test_exponents_and_what_each_diagnostic_sees(name):
    """Variances grow like 1 / distance at both, the entropy production at Hopf only, and the radius sees Hopf only."""
    site, update, rates = BOUNDARIES[name]
    noises = {"point_noise": 1.0, "witness_noise": 1.0}
    eps = np.array([1e-3, 5e-4, 2.5e-4])
    found = [closed(site, rates(e), noises, update) for e in eps]
    assert abs(sde.order(eps, [one["mean"] for one in found]).slope + 1) < 0.01
    entropy = np.array([one["entropy"] for one in found])
    ratios = [fdr_ratio(site, rates(e), update) for e in eps]
    assert abs(sde.order(eps, ratios).slope + 1) < 0.02
    if name == "hopf":
        assert abs(sde.order(eps, entropy).slope + 1) < 0.01
    else:
        assert np.ptp(entropy) < 0.01 * entropy[0]
        radii = [
            np.abs(np.linalg.eigvals(closed(site, rates(e), noises, update)["map"])).max() for e in (0.3, 0.1, 5e-4)
        ]
        np.testing.assert_allclose(radii, np.sqrt(1 - 0.08), rtol=1e-6)


def fdr_ratio(site, lr, update, point_noise=1.0, witness_noise=1.0):
    """Left over right side of the generator's continuous-time relation, for the linear theory."""
    game = critical.linear_game(site, point_noise=point_noise, witness_noise=witness_noise)
    x = Players(np.zeros(site.count), np.zeros(1))
    both = fdr.exact(game, x, lr=lr, batch=1, update=update)
    assert abs(both.theta.ratio.mean - 1) < 1e-6
    return both.continuous.theta.ratio.mean


def test_differences_diverge_where_their_pull_vanishes_and_the_relations_stay_silent():
    eps = np.array([0.01, 0.005, 0.0025])
    values, ratios = [], []
    for excess in eps:
        site = phases.Site(1.0, (1 - excess) / 2, 2, ridge=0.5)
        values.append(closed(site, (0.3, 0.2), {"point_noise": 1.0, "witness_noise": 1.0})["difference"])
        ratios.append(fdr_ratio(site, (0.3, 0.2), "simultaneous"))
    assert abs(sde.order(eps, values).slope + 1) < 0.01
    assert np.ptp(ratios) < 0.02 * ratios[0]


@pytest.mark.parametrize("update", gda.ORDERS)
def test_linear_game_has_the_same_stationary_law(update):
    for site, lr, noises in stable_sites(8, 71, update, radius=0.99):
        found = closed(site, lr, noises, update)
        if site.count > 1 and not 1e-6 < found["numbers"].beta < 2:
            continue
        game = critical.linear_game(site, **noises)
        chain = sde.chain_stationary(game, Players(np.zeros(site.count), np.zeros(1)), lr=lr, batch=1, update=update)
        n, root = site.count, float(site.gamma) ** 0.5
        average = np.zeros((2, n + 1))
        average[0, :n], average[1, n] = 1 / n, root
        expected = average @ chain.covariance @ average.T
        np.testing.assert_allclose(found["covariance"], expected, rtol=2e-6, atol=2e-6 * np.abs(expected).max())


@pytest.mark.parametrize("update", gda.ORDERS)
def test_nonlinear_ensemble_has_the_predicted_variances(update):
    """Three standard errors, of one or two per cent; the ensemble knows nothing of the linear theory."""
    scores = []
    for k, (site, lr, noises) in enumerate(stable_sites(5, 81, update, radius=0.98, alone=True)):
        unit = closed(site, lr, noises, update)["mean"]
        scale = 0.004 * site.bandwidth / np.sqrt(unit)
        noises = {name: value * scale for name, value in noises.items()}
        runs = critical.ensemble(
            site, lr=lr, update=update, **noises, steps=800, burn_in=300, size=256, key=jax.random.key(k)
        )
        theory = closed(site, lr, noises, update)
        for measured, expected in (
            (runs.mean_square, theory["mean"]),
            (runs.slope_square, theory["covariance"][1, 1]),
        ):
            values = np.asarray(measured, float)
            error = values.std(ddof=1) / np.sqrt(len(values))
            assert error < 0.03 * expected
            scores.append((values.mean() - expected) / error)
    assert np.abs(scores).max() < 3.5, scores


@jax.jit
def _law(law, energy, amplitude):
    return law.place, law.variance, law.density(energy), law.amplitude_density(amplitude)


def test_scaling_function_and_densities():
    """Against the scaled complementary error function, moments by quadrature, and the three limits."""
    x = np.array([-1e3, -30, -6, -5.6, -1, 2, 30])
    expected = x + 2 / np.sqrt(np.pi) / scipy.special.erfcx(-x / 2)
    with jax.enable_x64(True):
        np.testing.assert_allclose(jax.jit(critical.scaling)(x), expected, rtol=1e-9)
    np.testing.assert_allclose(jax.jit(critical.scaling)(x), expected, rtol=1e-4)
    energy, amplitude = np.linspace(0, 0.6, 60001), np.linspace(0, 0.75, 60001)
    for place in (-4.0, 0.0, 4.0):
        with jax.enable_x64(True):
            law = critical.Rounding(place * np.sqrt(1e-4), 0.5, 2e-4)
            found = jax.device_get(_law(law, energy, amplitude))
        _, variance, density, swings = found
        moments = [np.trapezoid(energy**n * density, energy) for n in (0, 1)]
        moments += [np.trapezoid(amplitude**n * swings, amplitude) for n in (0, 2)]
        np.testing.assert_allclose(moments, [1, 2 * variance, 1, 2 * variance], rtol=1e-5)
        np.testing.assert_allclose(found[0], place, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(critical.scaling(0.0), 2 / np.sqrt(np.pi), rtol=1e-6)
    # Far on the stable side the law is the linear one, and far on the other the limit cycle, 2 Var = a^2.
    law = critical.rounding(HOPF, lr=(0.3, 0.2), point_noise=1e-4)
    np.testing.assert_allclose(law.variance, critical.mean_variance(HOPF, lr=(0.3, 0.2), point_noise=1e-4), rtol=1e-4)
    law = critical.rounding(HOPF, lr=(0.42, 0.2), point_noise=1e-5)
    np.testing.assert_allclose(2 * law.variance, law.ring, rtol=1e-4)


def test_rounding_at_the_boundary():
    """The non-linear ensemble at the Hopf point, where the linear theory has no number: leading order in alpha."""
    ratios = []
    for ridge, noise in ((0.4, 4e-3), (0.2, 4e-3)):
        site, lr = phases.Site(1.0, 1.0, ridge=ridge), (ridge, 0.2)
        law = critical.rounding(site, lr=lr, point_noise=noise)
        runs = critical.ensemble(
            site, lr=lr, point_noise=noise, steps=5000, burn_in=1500, size=256, key=jax.random.key(5)
        )
        values = np.asarray(runs.mean_square)
        assert values.std() / 16 < 0.03 * values.mean()
        ratios.append(values.mean() / law.variance)
    np.testing.assert_allclose(ratios, 1, atol=0.12)


def test_ring_beyond_the_boundary():
    """Noise-free swing beyond the Hopf line: a^2 = distance / bend, for small alpha."""
    site = phases.Site(1.0, 1.0, ridge=0.1)
    lr = (0.1 * 1.1, 0.2)  # alpha = 0.02
    law = critical.rounding(site, lr=lr, point_noise=1e-5)
    runs = critical.ensemble(site, lr=lr, point_noise=1e-5, steps=12000, burn_in=9000, size=1, key=jax.random.key(1))
    np.testing.assert_allclose(2 * runs.mean_square[0], law.ring, rtol=0.05)


def test_pair_law():
    balanced = phases.Site(1.0, 0.5, 2, ridge=0.5)
    law = critical.pair(balanced, lr=(0.2, 0.2), point_noise=0.01)
    gamma = scipy.special.gamma
    np.testing.assert_allclose(law.variance, gamma(0.75) / gamma(0.25) / np.sqrt(float(law.quartic)), rtol=1e-6)
    v = np.linspace(-1, 1, 4001)
    np.testing.assert_allclose(np.trapezoid(law.density(v) * v**2, v), law.variance, rtol=1e-5)
    # Under-filled, the quartic term fades: half the variance of the difference mode, n = 2.
    site = phases.Site(1.0, 0.4, 2, ridge=0.5)
    law = critical.pair(site, lr=(0.01, 0.2), point_noise=1e-3)
    linear = critical.difference_variance(site, lr=(0.01, 0.2), point_noise=1e-3) / 2
    np.testing.assert_allclose(law.variance, linear, rtol=3e-3)


def test_balanced_pair_is_rounded():
    site = phases.Site(1.0, 0.5, 2, ridge=0.5)
    options = {"lr": (0.5, 0.5), "point_noise": 0.016}
    runs = critical.ensemble(site, **options, steps=6000, burn_in=2000, size=64, key=jax.random.key(3))
    squares = np.asarray(runs.difference_square) / 2  # v^2 is half of the sum of squared deviations
    assert squares.std() / 8 < 0.03 * squares.mean()
    np.testing.assert_allclose(squares.mean(), critical.pair(site, **options).variance, rtol=0.12)


def test_isolated_points_in_a_batch_make_no_noise_at_rest():
    """The minibatch's noise at rest leaves every slope as it is; a cluster's does not."""
    features = kernel_gan.fourier_features(24.0, modes=30, bandwidth=1.0)
    apart = np.array([[-8.0], [0.0], [8.0]])
    with jax.enable_x64(True):
        game = critical.cluster_game(features, apart, np.full(3, 1 / 3), ridge=0.5)
        slope = np.asarray(jax.vmap(jax.jacfwd(lambda x: features(x)[0]))(jnp.asarray(apart)))[:, :, 0]
        rest = Players(jnp.asarray(apart), jnp.zeros(62))
        fields = jax.device_get(jax.jit(jax.vmap(lambda y: game.field(rest, y[None]).omega))(apart))
    assert np.abs(np.cov(fields.T)).max() > 0.001
    assert np.abs((fields - fields.mean(0)) @ slope.T).max() < 1e-9


def test_spread_data_act_as_witness_noise_and_negative_excess():
    rng = np.random.default_rng(1)
    for variance, batch in ((0.0025, 4), (0.01, 8)):
        half = rng.normal(0, np.sqrt(variance), 200)
        data = np.concatenate([half, -half])
        site = phases.Site(1.0, 1.0, ridge=0.5)
        numbers = critical.cluster(site, data, batch=batch)
        v = data.var()
        np.testing.assert_allclose(numbers.softened, (1 + v) ** -1.5, rtol=0.01)
        np.testing.assert_allclose(numbers.witness_noise**2, v / batch * (1 + 2 * v) ** -1.5, rtol=0.01)
        # The linearised mean field around the cluster's middle has this excess.
        with jax.enable_x64(True):
            features = kernel_gan.fourier_features(8.0, modes=9, bandwidth=1.0)
            game = critical.cluster_game(features, data[:, None], [1.0], ridge=0.5)
            middle = Players(jnp.zeros((1, 1)), jnp.zeros(20))
            bend, tilts = jax.device_get(_middle(game, middle, jnp.asarray(data)[:, None]))
            np.testing.assert_allclose(bend, -numbers.excess / 0.5, rtol=1e-6)
            np.testing.assert_allclose(tilts.var() / batch, numbers.witness_noise**2, rtol=1e-6)


@jax.jit
def _middle(game, middle, data):
    """How the generator's field bends at rest, and the slopes of each sample's field of the witness, ridge 1/2."""
    rest = Players(middle.theta, game.field(middle).omega / 0.5)
    bend = jax.jacfwd(lambda t: game.field(Players(t, rest.omega)).theta)(rest.theta)
    slope = jax.jacfwd(lambda x: game.payoff.args[0](x)[0])(jnp.zeros(1))[:, 0]
    return bend.ravel()[0], jax.vmap(lambda y: slope @ game.field(rest, y[None]).omega)(data)


def test_errors_name_what_was_found():
    with pytest.raises(ValueError, match="point_noise must be a finite number >= 0, found -1"):
        critical.mean_variance(HOPF, lr=0.1, point_noise=-1.0)
    with pytest.raises(ValueError, match="update must be one of"):
        critical.noise_covariance(HOPF, lr=0.1, update="both", point_noise=1.0)
    matern = phases.Site(1.0, 1.0, ridge=0.4, kernel="matern")
    for call in (
        lambda: critical.rounding(matern, lr=0.1, point_noise=0.1),
        lambda: critical.start(matern),
        lambda: critical.pair(matern, lr=0.1, point_noise=0.1),
    ):
        with pytest.raises(ValueError, match="matern"):
            call()
    with pytest.raises(ValueError, match="steps must be an integer >= 11"):
        critical.ensemble(HOPF, lr=0.1, point_noise=0.1, steps=10, burn_in=10, size=2, key=jax.random.key(0))
    with pytest.raises(ValueError, match="shape"):
        critical.cluster_game(None, [0.0], [1.0], ridge=0.5)


def test_stored_sweeps_agree_with_the_closed_forms():
    """What benchmarks/critical_data.py has stored: one row computed again, all against the theory."""
    sweeps = np.load(ROOT / "book" / "data" / "critical.npz")
    distance, noise, mean, error = sweeps["flip"][1]
    site, update, rates = BOUNDARIES["flip"]
    runs = critical.ensemble(
        site, lr=rates(distance), update=update, point_noise=noise, steps=4000, burn_in=1000, size=512,
        key=simulate.key(901),
    )  # fmt: skip
    np.testing.assert_allclose(np.mean(runs.mean_square), mean, rtol=1e-3)
    for name in BOUNDARIES:
        site, update, rates = BOUNDARIES[name]
        distance, noise, mean, error = sweeps[name].T
        noises = [{"point_noise": float(s), "witness_noise": 0.0} for s in noise]
        theory = [closed(site, rates(float(d)), s, update)["mean"] for d, s in zip(distance, noises, strict=True)]
        assert np.abs((mean - theory) / error).max() < 3.5
    distance, noise, mean, error = sweeps["difference"].T
    places = [phases.Site(1.0, (1 - float(d)) / 2, 2, ridge=0.4) for d in distance]
    noises = [{"point_noise": float(s), "witness_noise": 0.0} for s in noise]
    theory = [closed(one, (0.3, 0.2), s)["difference"] for one, s in zip(places, noises, strict=True)]
    assert np.abs((mean - theory) / error).max() < 3.5
    _, noise, mean, error = sweeps["balanced"].T
    site = phases.Site(1.0, 0.5, 2, ridge=0.5)
    theory = [critical.pair(site, lr=(0.5, 0.5), point_noise=float(s)).variance for s in noise]
    np.testing.assert_allclose(mean, theory, rtol=0.05)
    place, noise, mean, error = sweeps["rounded"].T
    slope = sde.order(noise[place == 0], mean[place == 0], error[place == 0])
    assert abs(slope.slope - 1) < 3 * slope.error
