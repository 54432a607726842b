"""The stationary Fokker-Planck solver against Gaussian laws, a law that is known and not Gaussian, and simulation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiled import compare

from gansde_lib import Game, Players, games, gda, invariant, sde, simulate
from gansde_lib.invariant import density, grid

COINS = {"a": np.array([1.0, 1.0, -1.0, -1.0]), "b": np.array([1.0, -1.0, 1.0, -1.0])}
SADDLE = invariant.tilted_saddle(lambda s: s**4 / 4 - s**2 / 4, lambda s: s**2 / 2, coupling=1.0)


def linear(matrix):
    return lambda x: Players(
        matrix[0][0] * x.theta + matrix[0][1] * x.omega, matrix[1][0] * x.theta + matrix[1][1] * x.omega
    )


def gaussian(law, covariance):
    points = np.stack(np.meshgrid(law.theta, law.omega, indexing="ij"), -1)
    exponent = np.einsum("abi,ij,abj->ab", points, np.linalg.inv(covariance), points)
    return np.exp(-exponent / 2) / (2 * np.pi * np.sqrt(np.linalg.det(covariance)))


def apart(law, expected):
    return np.abs(law.density - expected).sum() * law.area


@pytest.mark.parametrize(
    ("noise", "coarse"),
    [([[1.0, 0.0], [0.0, 1.0]], 48), ([[1.0, 0.6], [0.6, 1.3]], 48), ([[0.4, -0.5], [-0.5, 2.0]], 96)],
)
def test_second_order_against_gaussian_laws_with_a_current(noise, coarse):
    """Half the cell, a quarter of the error: density in L1, covariance, current, entropy production.

    The last noise is correlated beyond what the eight neighbours can carry on square cells.
    """
    matrix, errors = [[-1.0, -1.5], [1.5, -1.0]], []
    exact = invariant.continuous_covariance(matrix, noise)
    produced, turning = invariant.entropy_production(matrix, noise), invariant.circulation(matrix, noise)
    for cells in (coarse, 2 * coarse):
        law = invariant.fokker_planck(linear(matrix), np.array(noise), lower=(-5, -5), upper=(5, 5), cells=cells)
        expected = gaussian(law, exact)
        points = np.stack(np.meshgrid(law.theta, law.omega, indexing="ij"))
        flow = np.einsum("ij,jab->iab", turning, points) * expected
        errors.append([
            apart(law, expected),
            np.abs(law.covariance - exact).max(),
            np.abs(np.stack(law.current) - flow).sum() / np.abs(flow).sum(),
            abs(law.entropy_production / produced - 1),
        ])  # fmt: skip
    assert (np.array(errors[-1]) < 0.06).all()
    order = np.log2(np.divide(*errors))
    assert (order > 1.7).all() and (order < 2.4).all(), order


def test_reversible_gaussian_laws_are_exact():
    """Without a current the slopes along edges are exact, and so are the density at the centres and zero current."""
    noise = np.array([[1.0, 0.4], [0.4, 0.7]])
    curvature = np.array([[1.2, -0.3], [-0.3, 0.8]])
    drift, law = -noise @ curvature / 2, np.linalg.inv(curvature)
    found = invariant.fokker_planck(linear(drift), noise, lower=(-5, -5), upper=(5, 5), cells=40)
    expected = gaussian(found, law)
    np.testing.assert_allclose(found.density, expected / (expected.sum() * found.area), rtol=1e-9)
    assert np.abs(np.stack(found.current)).max() < 1e-14 and abs(found.entropy_production) < 1e-14


def test_correlated_noise_stops_the_current_of_a_game():
    """Phi = a theta^2/2 + c theta omega - b omega^2/2: the solver sees the current vanish where the formula says."""
    a, b, c = 0.5, 1.5, 0.4
    drift, noise = [[-a, -c], [c, -b]], np.eye(2)
    cross = invariant.reversible_correlation(drift, noise)
    np.testing.assert_allclose(cross, 0.8)
    box = {"lower": (-5, -4), "upper": (5, 4), "cells": 48}
    still = invariant.fokker_planck(linear(drift), np.array([[1.0, cross], [cross, 1.0]]), **box)
    assert np.abs(np.stack(still.current)).max() < 1e-12
    for other in (0.0, 0.7, -cross):
        moving = invariant.fokker_planck(linear(drift), np.array([[1.0, other], [other, 1.0]]), **box)
        assert np.abs(np.stack(moving.current)).max() > 1e-3
        assert moving.entropy_production > 1e-3


def test_tilted_saddle_is_zero_sum_and_its_field_is_descent_and_rotation():
    with jax.enable_x64(True):
        point = Players(jnp.float64(0.7), jnp.float64(-0.4))
        slope = jax.grad(SADDLE.potential)(point)
        field = SADDLE.game.field(point)
        np.testing.assert_allclose(field.theta, -slope.theta - 1.0 * slope.omega, rtol=1e-12)
        np.testing.assert_allclose(field.omega, -slope.omega + 1.0 * slope.theta, rtol=1e-12)
        equation = sde.modified_equation(SADDLE.game, lr=0.1, batch=2, order=1)
        np.testing.assert_allclose(equation.covariance(point), 0.01 / 2 * np.eye(2), atol=1e-15)
    with pytest.raises(ValueError, match="must be functions"):
        invariant.tilted_saddle(1.0, abs, coupling=1.0)
    with pytest.raises(ValueError, match="finite number"):
        invariant.tilted_saddle(abs, abs, coupling=np.inf)


def test_second_order_against_a_law_neither_gaussian_nor_reversible():
    """The tilted saddle with two wells: p ~ exp(-2U/s), a current along level lines, e = eta c^2 E[Laplacian of U]."""
    equation, errors = sde.modified_equation(SADDLE.game, lr=0.1, batch=1, order=1), []
    for cells in (48, 96):
        law = invariant.fokker_planck(equation, lower=(-2, -2), upper=(2, 2), cells=cells)
        with jax.enable_x64(True):
            theta, omega = jnp.meshgrid(jnp.asarray(law.theta), jnp.asarray(law.omega), indexing="ij")
            points = Players(theta, omega)
            expected = np.exp(np.asarray(SADDLE.log_density(points, lr=0.1, batch=1)))
            slope = jax.grad(lambda x: SADDLE.potential(x).sum())(points)
            produced = float(SADDLE.entropy_production(law, lr=0.1))
        expected /= expected.sum() * law.area
        flow = 0.1 * expected * np.stack([-slope.omega, slope.theta])
        errors.append([
            apart(law, expected),
            np.abs(np.stack(law.current) - flow).sum() / np.abs(flow).sum(),
            abs(law.entropy_production / produced - 1),
        ])  # fmt: skip
        assert law.wall < 1e-4
    assert (np.array(errors[-1]) < 0.03).all()
    order = np.log2(np.divide(*errors))
    assert (order > 1.7).all() and (order < 2.4).all(), order
    peak = law.density.max() * 2 * np.pi * np.sqrt(np.linalg.det(law.covariance))
    assert abs(peak - 1) > 0.2  # far from Gaussian, for which this is 1


def test_noise_that_depends_on_the_point():
    """dX = -X dt / 2 ... in Ito's sense: a = 1 + x^2 gives p ~ (1 + x^2)^(-1 - k) for the drift -k x, per coordinate.

    The divergence of the covariance counts: with it left out the exponent would be -k.
    """
    k = 3.0

    def spread(x):
        return jnp.diag(jnp.stack([1 + x.theta**2, 1 + x.omega**2]))

    errors = []
    for cells in (40, 80):
        law = invariant.fokker_planck(
            lambda x: Players(-k * x.theta, -k * x.omega), spread, lower=(-8, -8), upper=(8, 8), cells=cells
        )
        one = (1 + law.theta**2) ** (-1 - k)
        expected = np.outer(one, one)
        errors.append(apart(law, expected / (expected.sum() * law.area)))
    assert errors[-1] < 0.01
    assert 1.6 < np.log2(errors[0] / errors[1]) < 2.4


def test_generator_acts_on_functions_like_the_equation_with_correlated_noise_that_varies():
    """L f = b . grad f + a : hess f / 2 for quadratic f away from the walls, of second order in the cell."""

    def drift(x):
        return Players(-x.theta - jnp.sin(x.omega), x.theta - x.omega**3)

    def spread(x):
        cross = 0.4 + 0.3 * jnp.sin(x.theta + x.omega)
        return jnp.array([[1 + 0.3 * jnp.cos(x.omega), cross], [cross, 1.5 + 0.3 * jnp.sin(x.theta)]])

    errors = []
    for cells in (32, 64):
        matrix = invariant.generator_matrix(drift, spread, lower=(-2, -2), upper=(2, 2), cells=cells)
        box = grid.make((-2, -2), (2, 2), cells)
        theta, omega = np.meshgrid(box.theta, box.omega, indexing="ij")
        values = theta**2 + 0.5 * theta * omega - 0.3 * omega**2 + theta
        acted = (matrix @ values.ravel()).reshape(cells, cells)
        exact = (-theta - np.sin(omega)) * (2 * theta + 0.5 * omega + 1)
        exact += (theta - omega**3) * (0.5 * theta - 0.6 * omega)
        exact += (1 + 0.3 * np.cos(omega)) + 0.2 + 0.15 * np.sin(theta + omega) - 0.3 * (1.5 + 0.3 * np.sin(theta))
        inside = (np.abs(theta) < 1.6) & (np.abs(omega) < 1.6)
        errors.append(np.abs(acted - exact)[inside].max())
    assert errors[-1] < 0.15  # of values up to 8
    assert 1.7 < np.log2(errors[0] / errors[1]) < 2.4


def test_a_law_with_correlated_noise_that_varies_and_a_current():
    """For any V, a and c, the drift -a grad V / 2 + div a / 2 + c J grad V leaves e^-V invariant.

    Here the correlation changes its sign within the box, so that the directions of the fluxes change, too.
    """

    def potential(x):
        return x.theta**4 / 2 + x.omega**2 + 0.5 * jnp.cos(x.theta + x.omega)

    def spread(x):
        cross = 0.8 * jnp.sin(2 * (x.theta + x.omega))
        return jnp.array([[1.2 + 0.3 * jnp.cos(x.omega), cross], [cross, 1.5 + 0.3 * jnp.sin(x.theta)]])

    def drift(x):
        slope = jnp.stack(jax.grad(potential)(x))
        slopes = jax.jacfwd(spread)(x)  # of shape (2, 2) in theta and in omega
        push = (slopes.theta[:, 0] + slopes.omega[:, 1] - spread(x) @ slope) / 2
        return Players(push[0] - 0.7 * slope[1], push[1] + 0.7 * slope[0])

    errors = []
    for cells in (40, 80):
        law = invariant.fokker_planck(drift, spread, lower=(-2.5, -4), upper=(2.5, 4), cells=cells)
        points = Players(*np.meshgrid(law.theta, law.omega, indexing="ij"))
        expected = np.exp(-(points.theta**4 / 2 + points.omega**2 + 0.5 * np.cos(points.theta + points.omega)))
        errors.append(apart(law, expected / (expected.sum() * law.area)))
    assert errors[-1] < 0.01
    assert 1.7 < np.log2(errors[0] / errors[1]) < 2.5


@pytest.mark.parametrize("strength", [1.0, 1e2, 1e5])
@pytest.mark.parametrize("correlation", [0.0, 0.99])
def test_positive_conservative_and_balanced_for_any_drift(strength, correlation):
    """Cells of Peclet numbers up to 10^5: no negative mass, mass one, no cell gains or loses, walls keep all in."""
    noise = np.array([[1.0, correlation], [correlation, 1.0]])

    def drift(x):
        return Players(strength * (jnp.sin(3 * x.omega) - x.theta), strength * (x.theta**2 - x.omega))

    box = {"lower": (-2, -2), "upper": (2, 2), "cells": 24}
    matrix = invariant.generator_matrix(drift, noise, **box)
    assert (matrix - np.diag(matrix.diagonal())).min() >= 0
    assert np.abs(matrix.sum(1)).max() < 1e-12 * np.abs(matrix).max()
    law = invariant.fokker_planck(drift, noise, **box)
    assert law.density.min() >= 0 and abs(law.density.sum() * law.area - 1) < 1e-12
    masses = law.density.ravel() * law.area
    leaving = np.abs(matrix.diagonal()) @ masses
    assert np.abs(matrix.T @ masses).sum() < 1e-10 * leaving
    assert law.entropy_production >= 0


def test_selling_decomposes_every_covariance():
    rng = np.random.default_rng(0)
    halves = rng.normal(size=(500, 2, 2)) * np.exp(rng.normal(size=(500, 1, 2)))
    matrices = halves @ halves.swapaxes(1, 2) + 1e-6 * np.eye(2)
    weights, steps = grid.selling(matrices)
    assert weights.min() >= 0
    np.testing.assert_allclose(np.einsum("nk,nki,nkj->nij", weights, steps, steps), matrices, rtol=1e-8, atol=1e-10)
    # The steps of each matrix are those of a basis: each two of different steps have determinant +-1.
    first, second, third = steps.swapaxes(0, 1)
    for one, other in ((first, second), (second, third), (third, first)):
        assert (np.abs(one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0]) == 1).all()


@pytest.mark.parametrize("cells", [24, 41])
def test_the_small_solver_gives_the_same_numbers(cells):
    """In float64 to 1e-9, in float32 to 1e-4, every density however small, current and entropy production."""
    matrix, noise = [[-1.0, -2.0], [2.0, -1.5]], np.array([[1.0, 0.5], [0.5, 1.3]])
    box = {"lower": (-3.0, -2.5), "upper": (3.0, 3.0), "cells": cells}
    law = invariant.fokker_planck(linear(matrix), noise, **box)
    with jax.enable_x64(True):
        fine = jax.jit(lambda noise: invariant.small_fokker_planck(linear(matrix), noise, **box))(noise)
        np.testing.assert_allclose(fine.density, law.density, rtol=1e-9)
        for part, other in zip(fine.current, law.current, strict=True):
            np.testing.assert_allclose(part, other, atol=1e-9 * np.abs(other).max())
        np.testing.assert_allclose(fine.entropy_production, law.entropy_production, rtol=1e-8)
        np.testing.assert_allclose(fine.covariance, law.covariance, rtol=1e-9)
        np.testing.assert_allclose(np.stack(fine.mean), np.stack(law.mean), atol=1e-12)
    single = jax.jit(lambda noise: invariant.small_fokker_planck(linear(matrix), noise, **box))(jnp.float32(noise))
    assert single.density.dtype == jnp.float32
    np.testing.assert_allclose(single.density, law.density, rtol=1e-4)
    np.testing.assert_allclose(single.entropy_production, law.entropy_production, rtol=1e-3)
    np.testing.assert_allclose(single.marginal_theta.sum() * (law.theta[1] - law.theta[0]), 1, rtol=1e-5)


def test_the_small_solver_spans_more_than_floats_do():
    """Densities far below the smallest float32: zero there, never NaN, the rest right."""
    box = {"lower": (-14.0, -14.0), "upper": (14.0, 14.0), "cells": 40}
    law = invariant.fokker_planck(linear([[-1.0, -1.0], [1.0, -1.0]]), np.eye(2), **box)
    found = invariant.small_fokker_planck(linear([[-1.0, -1.0], [1.0, -1.0]]), jnp.eye(2), **box)
    assert np.isfinite(found.density).all() and law.density.min() < 1e-45
    np.testing.assert_allclose(found.density, law.density, rtol=2e-4, atol=1e-36)


def test_the_small_solver_runs_live():
    """With rates, batch size and box from sliders, in WebAssembly; the covariance of the game is the equation's own."""

    def simulate_(eta, batch, width):
        equation = sde.modified_equation(games.quadratic(0.4, 1.0, 0.6, samples=COINS), lr=eta, batch=batch, order=1)
        law = invariant.small_fokker_planck(
            equation.drift, equation.covariance, lower=(-width, -width), upper=(width, width), cells=12
        )
        return {"density": law.density, "current": law.current, "entropy": law.entropy_production}

    points = [
        {"eta": jnp.float32(eta), "batch": jnp.float32(batch), "width": jnp.float32(width)}
        for eta, batch, width in [(0.1, 4.0, 0.6), (0.02, 1.0, 0.5)]
    ]
    compare(simulate_, *points, tolerance=2e-4)
    single = jax.jit(simulate_)(**points[0])
    game = games.quadratic(0.4, 1.0, 0.6, samples=COINS)
    equation = sde.modified_equation(game, lr=0.1, batch=4, order=1)
    law = invariant.fokker_planck(equation, lower=(-0.6, -0.6), upper=(0.6, 0.6), cells=12)
    np.testing.assert_allclose(single["density"], law.density, rtol=1e-3)


def quartic(m, c, q):
    """Phi = m (theta^2 - omega^2) / 2 + q (theta^4 - omega^4) / 4 + c theta omega, with independent coins."""

    def payoff(theta, omega, sample):
        even = m / 2 * (theta**2 - omega**2) + q / 4 * (theta**4 - omega**4) + c * theta * omega
        return even + sample["a"] * theta - sample["b"] * omega

    return Game(payoff, COINS)


@pytest.mark.parametrize("kind", ["linear", "tilted", "quartic"])
def test_training_settles_at_the_solver_s_density(kind):
    """20,000 runs at a small rate: Pearson's statistic within 4.5 deviations, covariances within 4 errors and 2 %.

    Chain and equation of order 2 with covariance correction differ by the square of the rate. A density of another
    width, by 5 %, fails the same test.
    """
    game = {
        "linear": games.quadratic(0.8, 1.0, 1.2, samples=COINS),
        "tilted": SADDLE.game,
        "quartic": quartic(-0.5, 1.0, 1.0),
    }[kind]
    draws = {"lr": 0.05, "batch": 1}
    equation = sde.modified_equation(game, **draws, covariance_correction=True)
    width = {"linear": 1.0, "tilted": 1.9, "quartic": 1.8}[kind]
    box = {"lower": (-width, -width), "upper": (width, width), "cells": 128}
    law = invariant.fokker_planck(equation, **box)

    @jax.jit
    def ends(key):
        def end(key):
            start = Players(*(1.0 * jax.random.normal(key, (2,)) * 0.5))
            path = gda.run(game, start, steps=600, every=600, key=key, **draws)
            return jax.tree.map(lambda leaf: leaf[-1], path)

        return simulate.ensemble(end, size=20_000, key=key, chunk=4000)

    points = ends(simulate.key(502))
    found = invariant.histogram_distance(law, points, bins=16)
    assert found.deviation < 4.5 and found.p_value > 1e-5
    assert abs(found.distance - found.expected) < 5 * found.error
    sample = np.cov(np.stack(points).astype(float))
    scale = np.sqrt(np.outer(np.diag(law.covariance), np.diag(law.covariance)))
    assert (np.abs(sample - law.covariance) < (4 / np.sqrt(10_000) + 0.02) * scale).all()
    wider = invariant.histogram_distance(law, Players(*(1.05 * np.asarray(part) for part in points)), bins=16)
    assert wider.p_value < 1e-8


def test_what_is_refused():
    drift, box = linear(-np.eye(2)), {"lower": (-1, -1), "upper": (1, 1), "cells": 8}
    with pytest.raises(ValueError, match=r"must be positive definite in the whole box, found .* theta"):
        invariant.fokker_planck(drift, np.diag([1.0, 0.0]), **box)
    with pytest.raises(ValueError, match="lower must be below upper, found 1 and -1"):
        invariant.fokker_planck(drift, np.eye(2), lower=(1, -1), upper=(-1, 1), cells=8)
    with pytest.raises(ValueError, match="cells must be an integer >= 4"):
        invariant.fokker_planck(drift, np.eye(2), lower=(-1, -1), upper=(1, 1), cells=3)
    with pytest.raises(ValueError, match="covariance must be of shape"):
        invariant.fokker_planck(drift, np.eye(3), **box)
    with pytest.raises(ValueError, match="an equation, or a drift and a covariance"):
        invariant.fokker_planck(drift, **box)
    with pytest.raises(ValueError, match="lower must be two numbers"):
        invariant.fokker_planck(drift, np.eye(2), lower=-1.0, upper=(1, 1), cells=8)
    with pytest.raises(ValueError, match="must be finite in the box"):
        invariant.fokker_planck(lambda x: Players(jnp.log(x.theta), x.omega), np.eye(2), **box)


def test_other_rates_compile_nothing_again():
    game, box = games.quadratic(0.8, 1.0, 1.2, samples=COINS), {"lower": (-1, -1), "upper": (1, 1), "cells": 8}
    invariant.fokker_planck(sde.modified_equation(game, lr=0.1, batch=2), **box)
    before = grid.sample._cache_size()
    for eta in (0.05, 0.2):
        equation = sde.modified_equation(game, lr=eta, batch=2)
        whole = invariant.fokker_planck(equation, **box)
        assert grid.sample._cache_size() == before
        parts = invariant.fokker_planck(equation.drift, equation.covariance, **box)
        np.testing.assert_allclose(whole.density, parts.density, rtol=1e-12)
    assert grid.sample._cache_size() == before
    assert isinstance(density.Stationary(*whole), invariant.Stationary)


def game_with_cubic_pull(coupling):
    return lambda x: Players(-coupling * x.omega - 0.3 * x.theta**3, coupling * x.theta - 0.5 * x.omega)


@pytest.mark.parametrize("step", [0.02, -0.01])
def test_neighbouring_densities_need_no_factorisation_and_are_as_exact(step):
    """Four equations from one factorisation, against elimination of each; without the steps of GMRES they are far off.

    Densities in L1, their tails to six digits wherever a mass exceeds 1e-12, current and entropy production.
    """
    noise, box = np.array([[0.2, 0.05], [0.05, 0.3]]), {"lower": (-3, -3), "upper": (3, 3), "cells": 64}
    drifts = [game_with_cubic_pull(1.0 + step * k) for k in range(4)]
    solver = invariant.Solver(**box)
    found = [solver(drift, noise) for drift in drifts]
    assert solver.factorisations == 1
    expected = [invariant.fokker_planck(drift, noise, **box) for drift in drifts]
    for mine, its in zip(found[1:], expected[1:], strict=True):
        assert apart(mine, its.density) < 1e-11 < 1e-4 < apart(found[0], its.density)
        likely = its.density * its.area > 1e-12
        np.testing.assert_allclose(mine.density[likely], its.density[likely], rtol=1e-6)
        np.testing.assert_allclose(mine.current, its.current, atol=1e-11)
        np.testing.assert_allclose(mine.entropy_production, its.entropy_production, rtol=1e-9)


def test_far_equations_are_factorised_anew():
    """A solver that may take no step, or meets an equation unlike the last, gives the results of elimination."""
    noise, box = np.array([[0.2, 0.05], [0.05, 0.3]]), {"lower": (-3, -3), "upper": (3, 3), "cells": 32}
    for allowed, drifts in (
        (1, [game_with_cubic_pull(1.0), game_with_cubic_pull(1.1)]),
        (20, [game_with_cubic_pull(0.1), lambda x: Players(3.0 - 2 * x.theta, -3.0 - 3 * x.omega)]),
    ):
        solver = invariant.Solver(**box, iterations=allowed)
        for count, drift in enumerate(drifts):
            law = solver(drift, noise)
            assert apart(law, invariant.fokker_planck(drift, noise, **box).density) < 1e-11
            assert solver.factorisations == count + 1


def test_a_sweep_gives_the_laws_of_its_equations():
    """Equations or pairs; and what one cannot solve is refused as elsewhere."""
    box = {"lower": (-2, -2), "upper": (2, 2), "cells": 24}
    pairs = [(linear([[-1.0, -c], [c, -1.0]]), np.eye(2)) for c in (0.5, 0.55)]
    for law, pair in zip(invariant.densities(pairs, **box), pairs, strict=True):
        assert apart(law, invariant.fokker_planck(*pair, **box).density) < 1e-11
    with pytest.raises(ValueError, match="must be of shape"):
        next(invariant.densities([(linear(np.eye(2)), np.eye(3))], **box))
    with pytest.raises(ValueError, match="iterations must be an integer"):
        invariant.Solver(**box, iterations=0.5)
