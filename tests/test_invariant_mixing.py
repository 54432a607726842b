"""Spectral gaps, couplings, distances of laws and rates at which they decay."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
import scipy.stats

from gansde_lib import Players, games, invariant, sde, simulate
from gansde_lib.invariant import couplings

COINS = {"a": np.array([1.0, 1.0, -1.0, -1.0]), "b": np.array([1.0, -1.0, 1.0, -1.0])}
GAME = games.quadratic(0.8, 1.0, 1.2, samples=COINS)
EQUATION = sde.modified_equation(GAME, lr=0.05, batch=1, order=1)
MATRIX = 0.05 * np.array([[-0.8, -1.0], [1.0, -1.2]])
FAR, NEAR = Players(1.5, 0.5), Players(-0.5, 0.0)


def drift_of(matrix):
    return lambda x: Players(
        matrix[0][0] * x.theta + matrix[0][1] * x.omega, matrix[1][0] * x.theta + matrix[1][1] * x.omega
    )


@pytest.mark.parametrize("matrix", [[[-1.0, -2.0], [2.0, -1.0]], [[-1.0, -0.3], [0.4, -2.5]]])
def test_modes_of_a_linear_equation(matrix):
    """The slowest eigenvalues are the sums n_1 mu_1 + n_2 mu_2, approached at second order in the cells."""
    first = np.linalg.eigvals(matrix).astype(complex)
    sums = np.array([i * first[0] + j * first[1] for i, j in itertools.product(range(4), repeat=2)])
    sums = sums[np.argsort(-sums.real)][:4]
    box, errors = {"lower": (-4.5, -4.5), "upper": (4.5, 4.5)}, []
    for cells in (32, 64):
        found = invariant.slow_modes(drift_of(matrix), np.eye(2), **box, cells=cells)
        assert abs(found[0]) < 1e-9
        errors.append([np.abs(found - value).min() / max(abs(value), 1) for value in sums[1:]])
        assert (np.diff(found.real) < 1e-9).all()
    assert np.max(errors[-1]) < 0.05
    order = np.log2(np.divide(*errors))
    assert (order > 1.6).all() and (order < 2.4).all(), order
    gap = invariant.spectral_gap(drift_of(matrix), np.eye(2), **box, cells=64)
    np.testing.assert_allclose(gap, -first.real.max(), rtol=0.02)
    with pytest.raises(ValueError, match="count must be an integer >= 2"):
        invariant.slow_modes(drift_of(matrix), np.eye(2), **box, cells=16, count=1)


def test_fast_rotation_does_not_hide_the_slowest_mode():
    """Eigenvalues -1 +- 10i lie farther from zero than others with larger decay; they are found all the same."""
    box = {"lower": (-4, -4), "upper": (4, 4), "cells": 48, "count": 3}
    gap = invariant.slow_modes(drift_of([[-1, -10], [10, -1]]), np.eye(2), **box)[1]
    assert abs(abs(gap.imag) - 10) < 0.1 and abs(gap.real + 1) < 0.1


def test_two_wells_forget_slowly():
    """The gap of a tilted saddle with two wells falls like the chance of the pass: by e^2 per unit of 2 U / s."""
    saddle, gaps = invariant.tilted_saddle(lambda s: s**4 / 4 - s**2 / 2, lambda s: s**2 / 2, coupling=0.5), []
    for batch in (2, 3):
        equation = sde.modified_equation(saddle.game, lr=0.1, batch=batch, order=1)
        gaps.append(invariant.spectral_gap(equation, lower=(-1.9, -1.9), upper=(1.9, 1.9), cells=64))
    # A barrier of 1/4: exponents 2 * 0.25 * B / 0.1 = 10 and 15.
    np.testing.assert_allclose(np.log(gaps[0] / gaps[1]), 5, atol=0.5)


def test_synchronous_coupling_contracts_like_the_drift():
    """With noise that is the same everywhere the difference has none: x - y = (1 + A / n)^(n k) (x0 - y0)."""
    found = invariant.coupling(
        EQUATION, FAR, NEAR, steps=60, size=4, every=20, substeps=4, key=simulate.key(510), kind="synchronous"
    )
    gap = np.array([2.0, 0.5])
    expected = [np.linalg.norm(np.linalg.matrix_power(np.eye(2) + MATRIX / 4, 4 * k) @ gap) for k in found.time]
    np.testing.assert_allclose(found.distance, expected, rtol=2e-4)
    assert (np.asarray(found.distance_error) < 1e-5).all() and (np.asarray(found.apart) == 1).all()
    rate = invariant.decay_rate(found.time[1:], found.distance[1:])
    np.testing.assert_allclose(rate.rate, 0.05, rtol=0.35)  # of the slowest eigenvalue, but for oscillation
    # A law at rest is reached at least this fast: the bound holds for the Wasserstein distance of the two laws.
    for k, time in enumerate(found.time):
        moments = [sde.equation_moments(EQUATION, x, time=float(time)) for x in (FAR, NEAR)]
        assert np.linalg.norm(moments[0].mean - moments[1].mean) <= found.distance[k] * 1.01  # Euler's error


def test_reflection_coupling_is_a_coupling_and_bounds_total_variation():
    """Both paths keep their laws, and the pairs that are apart are at least half the L1 distance of two Gaussians."""
    steps, size = 40, 4000
    found = invariant.coupling(
        EQUATION, FAR, NEAR, steps=steps, size=size, every=4, key=simulate.key(511), kind="reflection"
    )
    apart = np.asarray(found.apart, float)
    assert (np.diff(apart) <= 0).all() and apart[0] == 1 and apart[-1] < 0.7
    step, noise = np.eye(2) + MATRIX, 0.05**2 * np.eye(2)
    spread, gap = np.zeros((2, 2)), np.array([2.0, 0.5])
    for k in range(1, steps + 1):
        spread, gap = step @ spread @ step.T + noise, step @ gap
        if k % 4 == 0:  # two Gaussians of one covariance: half the L1 distance is 2 Phi(d / 2) - 1
            far = np.sqrt(gap @ np.linalg.solve(spread, gap))
            least = 2 * scipy.stats.norm.cdf(far / 2) - 1
            assert apart[k // 4] > least - 4 * np.sqrt(least * (1 - least) / size) - 1e-9
            assert apart[k // 4] < least + 0.25  # and it is not far from the best of all couplings


def test_reflection_coupling_leaves_both_paths_their_laws():
    """One step's two noises: both normal with the covariance L L^T, and equal up to the gap as often as is possible."""
    pairs = invariant.coupling(
        EQUATION, FAR, FAR, steps=10, size=50, every=10, key=simulate.key(512), kind="reflection"
    )
    assert (np.asarray(pairs.distance) == 0).all()  # what has met stays together
    keys = jax.random.split(simulate.key(513), 20_000)
    root, gap = jnp.array([[0.3, 0.0], [0.2, 0.5]]), jnp.array([0.4, -0.3])
    first, second = jax.vmap(lambda key: couplings.reflected(root, gap, key))(keys)
    for noise in (np.asarray(first, float), np.asarray(second, float)):
        np.testing.assert_allclose(noise.mean(0), 0, atol=4 / np.sqrt(20_000) * 0.6)
        np.testing.assert_allclose(np.cov(noise.T), root @ root.T, atol=4 * 0.29 * np.sqrt(2 / 20_000))
        whitened = np.linalg.solve(np.asarray(root), noise.T)
        for row in (*whitened, whitened.sum(0) / np.sqrt(2)):
            assert scipy.stats.kstest(row, "norm").pvalue > 1e-4
    met = np.mean(np.all(np.abs(np.asarray(first + gap - second)) < 1e-6, axis=1))
    best = 2 * scipy.stats.norm.sf(np.linalg.norm(np.linalg.solve(np.asarray(root), gap)) / 2)
    np.testing.assert_allclose(met, best, atol=4 * np.sqrt(best * (1 - best) / 20_000))  # as often as is possible


def test_what_a_coupling_refuses():
    def call(**changes):
        settings = {"steps": 2, "size": 4, "key": simulate.key(0)} | changes
        return invariant.coupling(EQUATION, FAR, NEAR, **settings)

    with pytest.raises(ValueError, match="kind must be one of 'synchronous', 'reflection'"):
        call(kind="mirror")
    with pytest.raises(ValueError, match="size must be an integer >= 2"):
        call(size=1)
    varying = games.quadratic(1.0, 1.0, 1.0, samples=COINS | {"P": np.array([0.5, -0.5, 0.5, -0.5])})
    silent = games.quadratic(1.0, 1.0, 1.0, samples={"a": COINS["a"]})
    for game, found in [(varying, "one that depends on the point"), (silent, "one with the eigenvalue 0")]:
        equation = sde.modified_equation(game, lr=0.05, batch=1, order=1)
        with pytest.raises(ValueError, match=found):
            invariant.coupling(equation, FAR, NEAR, steps=2, size=4, key=simulate.key(0), kind="reflection")


def test_a_histogram_beside_its_own_law():
    """200 samples of the law itself: p-values uniform, distances with the stated mean and spread; 5 % off is seen."""
    law = invariant.fokker_planck(drift_of([[-1, -1.5], [1.5, -1]]), np.eye(2), lower=(-3, -3), upper=(3, 3), cells=48)
    rng = np.random.default_rng(1)
    chances = law.density.ravel() / law.density.sum()
    side = law.theta[1] - law.theta[0]

    def draw(size, scale=1.0):
        cells = rng.choice(chances.size, size, p=chances)
        spread = (rng.random((2, size)) - 0.5) * side
        return Players(*(scale * (np.stack([law.theta[cells // 48], law.omega[cells % 48]]) + spread)))

    found = [invariant.histogram_distance(law, draw(4000), bins=12) for _ in range(200)]
    assert scipy.stats.kstest([entry.p_value for entry in found], "uniform").pvalue > 1e-3
    distances = np.array([entry.distance for entry in found])
    assert abs(distances.mean() / found[0].expected - 1) < 0.03
    assert 0.6 < distances.std() / found[0].error < 1.1
    assert sum(entry.p_value < 1e-4 for entry in found) <= 1
    for scale in (0.95, 1.05):
        assert invariant.histogram_distance(law, draw(40_000, scale), bins=12).p_value < 1e-6
    shifted = draw(40_000)
    shifted = Players(shifted.theta + 0.05, shifted.omega)
    assert invariant.histogram_distance(law, shifted, bins=12).p_value < 1e-6
    with pytest.raises(ValueError, match="bins must divide the 48 cells"):
        invariant.histogram_distance(law, draw(100), bins=7)
    with pytest.raises(ValueError, match="fewer than two"):
        invariant.histogram_distance(law, draw(5), bins=12)


def test_gaussian_wasserstein():
    """Against the formula for commuting covariances and, for others, against optimal assignments in one dimension."""
    rng = np.random.default_rng(0)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    first, second = rng.uniform(0.1, 2, size=(2, 3))
    found = invariant.gaussian_wasserstein(np.zeros(3), turn * first @ turn.T, np.ones(3), turn * second @ turn.T)
    np.testing.assert_allclose(found**2, 3 + ((np.sqrt(first) - np.sqrt(second)) ** 2).sum(), rtol=1e-10)
    half, other = rng.normal(size=(2, 2, 2))
    first, second = half @ half.T, other @ other.T
    # The optimal map T is symmetric, positive and takes one covariance to the other.
    root = np.real(scipy.linalg.sqrtm(first))
    inverse = np.linalg.inv(root)
    transport = inverse @ np.real(scipy.linalg.sqrtm(root @ second @ root)) @ inverse
    np.testing.assert_allclose(transport @ first @ transport, second, atol=1e-10)
    moved = np.eye(2) - transport
    found = invariant.gaussian_wasserstein(np.zeros(2), first, np.zeros(2), second)
    np.testing.assert_allclose(found**2, np.trace(moved @ first @ moved), rtol=1e-8)


def test_sliced_wasserstein():
    """Against SciPy's distance on each line, and against a shift, of which a random line of the plane sees 2 / pi."""
    rng = np.random.default_rng(0)
    first, second = jnp.asarray(rng.normal(size=(2, 200, 2)), jnp.float32)
    key = simulate.key(514)
    lines = jax.random.normal(key, (2, 16))
    lines = np.asarray(lines / jnp.linalg.norm(lines, axis=0))
    expected = np.mean([
        scipy.stats.wasserstein_distance(np.asarray(first) @ line, np.asarray(second) @ line) for line in lines.T
    ])  # fmt: skip
    found = invariant.sliced_wasserstein(first, second, directions=16, key=key)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    shifted = invariant.sliced_wasserstein(first, first + jnp.array([3.0, 0.0]), directions=4096, key=key)
    np.testing.assert_allclose(shifted, 3 * 2 / np.pi, rtol=0.03)
    with pytest.raises(ValueError, match="two samples of one shape"):
        invariant.sliced_wasserstein(first, second[:10], key=key)


def gaussian_mmd(mean, covariance, other_mean, other_covariance, bandwidth):
    """The squared maximum mean discrepancy of two Gaussian laws of the plane in closed form."""

    def overlap(gap, spread):
        total = spread + bandwidth**2 * np.eye(2)
        return bandwidth**2 / np.sqrt(np.linalg.det(total)) * np.exp(-gap @ np.linalg.solve(total, gap) / 2)

    zero = np.zeros(2)
    mixed = overlap(mean - other_mean, covariance + other_covariance)
    return overlap(zero, 2 * covariance) + overlap(zero, 2 * other_covariance) - 2 * mixed


def test_decay_of_laws_from_two_starts():
    """The estimate of each time within 4.5 standard errors of its closed form; the late rate twice the spectral gap."""
    found = invariant.mmd_decay(
        EQUATION, FAR, NEAR, steps=60, every=10, size=250, bandwidth=0.5, key=simulate.key(515), scheme="splitting"
    )
    expected = []
    for time in found.time:
        first, second = (sde.equation_moments(EQUATION, x, time=float(time)) for x in (FAR, NEAR))
        expected.append(gaussian_mmd(first.mean, first.covariance, second.mean, second.covariance, 0.5))
    deviations = (np.asarray(found.distance) - expected)[1:] / np.asarray(found.error)[1:]
    assert np.abs(deviations).max() < 6  # eight groups: Student's law with seven degrees of freedom
    np.testing.assert_allclose(found.distance[1:], expected[1:], rtol=0.25, atol=0.01)
    late = np.arange(60.0, 200.0, 5)
    exact = []
    for time in late:
        first, second = (sde.equation_moments(EQUATION, x, time=time) for x in (FAR, NEAR))
        exact.append(gaussian_mmd(first.mean, first.covariance, second.mean, second.covariance, 0.5))
    gap = invariant.spectral_gap(EQUATION, lower=(-0.9, -0.9), upper=(0.9, 0.9), cells=64)
    np.testing.assert_allclose(invariant.decay_rate(late, exact).rate, 2 * gap, rtol=0.06)
    np.testing.assert_allclose(gap, -np.linalg.eigvals(MATRIX).real.max(), rtol=0.03)


def test_decay_rates():
    rng = np.random.default_rng(0)
    time = np.arange(0, 10, 0.5)
    errors = 0.05 * np.exp(-0.3 * time)
    rates = []
    for _ in range(400):
        found = invariant.decay_rate(time, np.exp(-0.3 * time) + errors * rng.normal(size=time.size), errors)
        rates.append(found.rate)
    np.testing.assert_allclose(np.mean(rates), 0.3, atol=4 * found.error / 20 + 1e-3)
    np.testing.assert_allclose(np.std(rates), found.error, rtol=0.2)
    with pytest.raises(ValueError, match="three positive values"):
        invariant.decay_rate(time, np.cos(time))
