"""Linear chains and equations: Lyapunov equations, rest points, closed forms of the damped rotation, currents."""

import jax
import numpy as np
import pytest
import scipy.integrate
import scipy.linalg
import sympy

from gansde_lib import Players, games, gda, invariant, sde

COINS = {"a": np.array([1.0, 1.0, -1.0, -1.0]), "b": np.array([1.0, -1.0, 1.0, -1.0])}
ORIGIN = Players(0.0, 0.0)


def rotation(m, c):
    """Damping m, coupling c, noise of variance one a step for each player, independent."""
    return games.quadratic(m, c, m, samples=COINS)


def random_stable(rng, size, *, radius=None):
    """A random matrix, scaled to a spectral radius or else shifted to a negative abscissa; and a random covariance."""
    matrix, half = rng.normal(size=(2, size, size))
    if radius:
        matrix *= radius / np.abs(np.linalg.eigvals(matrix)).max()
    else:
        matrix -= (np.linalg.eigvals(matrix).real.max() + 0.3) * np.eye(size)
    return matrix, half @ half.T


@pytest.mark.parametrize("size", [1, 2, 5])
def test_covariance_is_the_sum_of_what_each_step_adds(size):
    matrix, noise = random_stable(np.random.default_rng(size), size, radius=0.9)
    powers = [np.linalg.matrix_power(matrix, k) for k in range(400)]  # 0.9^800 is below 1e-36
    expected = sum(p @ noise @ p.T for p in powers)
    np.testing.assert_allclose(invariant.covariance(matrix, noise), expected, rtol=1e-11)


@pytest.mark.parametrize("size", [1, 2, 5])
def test_continuous_covariance_is_the_integral_over_the_past(size):
    matrix, noise = random_stable(np.random.default_rng(size), size)

    def added(t):
        moved = scipy.linalg.expm(matrix * t)
        return moved @ noise @ moved.T

    expected = scipy.integrate.quad_vec(added, 0, 60, epsrel=1e-10)[0]  # the rest is below exp(-36)
    np.testing.assert_allclose(invariant.continuous_covariance(matrix, noise), expected, rtol=1e-8)


def test_laws_that_do_not_settle_are_refused_by_name():
    with pytest.raises(ValueError, match=r"spectral radius below 1, found 1\.00499"):
        invariant.covariance(gda.jacobian(games.bilinear(1.0), ORIGIN, lr=0.1), np.eye(2))
    with pytest.raises(ValueError, match="spectral radius below 1, found 1:"):
        invariant.covariance(np.eye(2), np.eye(2))
    with pytest.raises(ValueError, match="largest real part of 0:"):
        invariant.continuous_covariance([[0.0, -1.0], [1.0, 0.0]], np.eye(2))
    with pytest.raises(ValueError, match=r"found shapes \(2, 2\) and \(3, 3\)"):
        invariant.covariance(np.eye(2), np.eye(3))
    with pytest.raises(ValueError, match="must be symmetric"):
        invariant.continuous_covariance(-np.eye(2), [[1.0, 0.5], [0.0, 1.0]])
    with pytest.raises(ValueError, match="must be finite"):
        invariant.covariance([[np.nan]], [[1.0]])


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5, 0.8])
def test_damped_rotation_simultaneous(share):
    """Cov = eta s / (2m - eta (m^2 + c^2)) I below eta_max = 2m / (m^2 + c^2); the equation misses 1 / (1 - share)."""
    m, c = 0.2, 1.0
    eta = share * 2 * m / (m * m + c * c)
    found = invariant.covariance(*invariant.linearised(rotation(m, c), ORIGIN, lr=eta, batch=1))
    np.testing.assert_allclose(found, eta / (2 * m - eta * (m * m + c * c)) * np.eye(2), rtol=1e-9, atol=1e-12)
    plain = sde.modified_equation(rotation(m, c), lr=eta, batch=1, order=1)
    first = invariant.continuous_covariance(*invariant.linearised_equation(plain, ORIGIN))
    np.testing.assert_allclose(first, eta / (2 * m) * np.eye(2), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found[0, 0] / first[0, 0], 1 / (1 - share), rtol=1e-6)
    for correction in (False, True):
        equation = sde.modified_equation(rotation(m, c), lr=eta, batch=1, covariance_correction=correction)
        second = invariant.continuous_covariance(*invariant.linearised_equation(equation, ORIGIN))
        expected = eta * (1 + eta * m * correction) / (2 * m + eta * (m * m - c * c))
        np.testing.assert_allclose(np.trace(second), 2 * expected, rtol=1e-9)


@pytest.mark.parametrize("share", [0.05, 0.5, 0.9])
def test_damped_rotation_alternating(share):
    """Stable up to 2 / (m + c), with a covariance between the players of order eta^2."""
    m, c = 0.2, 1.0
    eta = share * 2 / (m + c)
    a = 2 - eta * m
    below = m * (a * a - eta * eta * c * c)
    found = invariant.covariance(*invariant.linearised(rotation(m, c), ORIGIN, lr=eta, batch=1, update="alternating"))
    expected = np.array([[eta * a, -eta * eta * c], [-eta * eta * c, eta * a]]) / below
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize("share", [0.999, 1.001])
def test_the_chain_stops_settling_at_its_own_limit(share):
    """The equation of order 1 settles for every rate, the chain only below the limit."""
    m, c = 0.2, 1.0
    for update, limit in [("simultaneous", 2 * m / (m * m + c * c)), ("alternating", 2 / (m + c))]:
        chain = invariant.linearised(rotation(m, c), ORIGIN, lr=share * limit, batch=1, update=update)
        if share < 1:
            assert np.linalg.eigvalsh(invariant.covariance(*chain)).min() > 0
        else:
            with pytest.raises(ValueError, match="spectral radius"):
                invariant.covariance(*chain)
        equation = sde.modified_equation(rotation(m, c), lr=share * limit, batch=1, update=update, order=1)
        assert np.isfinite(invariant.continuous_covariance(*invariant.linearised_equation(equation, ORIGIN))).all()


@pytest.mark.parametrize("batch", [3, None])
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("update", gda.ORDERS)
def test_with_additive_noise_the_linear_chain_is_exact(update, shared, batch):
    """Against the exact stationary moments of the chain and of its equation; correlated linear terms, unequal rates."""
    rng = np.random.default_rng(3)
    a = rng.normal(size=(6, 2))
    samples = {"a": a - a.mean(0), "b": (a @ [[1.0], [0.5]] + rng.normal(size=(6, 1)))}
    samples["b"] -= samples["b"].mean(0)
    game = games.quadratic(np.diag([1.0, 0.5]), np.array([[0.8], [-0.4]]), np.eye(1), samples=samples)
    x, draws = Players(np.zeros(2), np.zeros(1)), {"lr": (0.2, 0.1), "batch": batch, "update": update}
    linear = invariant.linearised(game, x, **draws, shared_batch=shared)
    exact = sde.chain_stationary(game, x, **draws, shared_batch=shared)
    np.testing.assert_allclose(invariant.covariance(*linear), exact.covariance, rtol=1e-9, atol=1e-15)
    for options in ({"order": 1}, {"order": 2}, {"covariance_correction": True}):
        if batch is None and "covariance_correction" in options:
            continue
        equation = sde.modified_equation(game, **draws, shared_batch=shared, **options)
        found = invariant.continuous_covariance(*invariant.linearised_equation(equation, x))
        exact = sde.equation_stationary(equation, x)
        np.testing.assert_allclose(found, exact.covariance, rtol=1e-7, atol=1e-15)


def test_what_the_chain_has_beyond_its_equation():
    """Simultaneous, additive noise: chain = 1 + A. The difference of the two covariances is what A Gamma A^T adds."""
    chain = invariant.linearised(rotation(0.3, 0.8), ORIGIN, lr=0.2, batch=2)
    drift = chain.matrix - np.eye(2)
    settled = invariant.covariance(*chain)
    plain = invariant.continuous_covariance(drift, chain.covariance)
    extra = invariant.continuous_covariance(drift, drift @ settled @ drift.T)
    np.testing.assert_allclose(settled - plain, extra, rtol=1e-10, atol=1e-15)
    assert np.linalg.eigvalsh(extra).min() > 0


def test_rest_points():
    """The toy GAN's equilibrium, its modified equation's, and a place from which Newton's method finds none."""
    start = Players(np.array([0.9, -0.1]), np.array([-0.4, 0.4]))
    found = invariant.rest_point(games.toy_gan(), start)
    np.testing.assert_allclose(np.concatenate(found), [0.86652, -0.13996, -0.37352, 0.39620], atol=1e-5)
    with jax.enable_x64(True):
        assert np.abs(np.concatenate(games.toy_gan().field(games.as_players(found)))).max() < 1e-12
    equation = sde.modified_equation(games.toy_gan(), lr=0.1, batch=4, update="alternating", shared_batch=True)
    moved = invariant.rest_point(equation, start)  # a shared batch moves it by about the rate
    assert 1e-4 < np.abs(np.concatenate(moved) - np.concatenate(found)).max() < 0.1
    invariant.linearised_equation(equation, moved)
    with pytest.raises(ValueError, match="must be a rest point, found a force of"):
        invariant.linearised_equation(equation, found)
    with pytest.raises(ValueError, match="must be a rest point"):
        invariant.linearised(games.toy_gan(), start, lr=0.1, batch=4)
    with pytest.raises(ValueError, match="found no rest point"):
        invariant.rest_point(games.quadratic(0.0, 0.0, 0.0, samples={"a": np.ones(2)}), ORIGIN)


@pytest.mark.parametrize("update", gda.ORDERS)
def test_noise_that_depends_on_the_point_is_what_a_linear_chain_leaves_out(update):
    """Per-sample curvatures: covariances agree at relative first order in the rate, the error halves with it."""
    rng, size = np.random.default_rng(4), 6
    samples = {name: 0.6 * rng.normal(size=(size, 1, 1)) for name in "PCQ"}
    samples |= {name: rng.normal(size=(size, 1)) for name in "ab"}
    game = games.quadratic(np.eye(1), 1.2 * np.eye(1), np.eye(1), samples=samples)
    rest, errors = invariant.rest_point(game, Players(np.zeros(1), np.zeros(1))), []
    for eta in (0.02, 0.01, 0.005):
        found = invariant.covariance(*invariant.linearised(game, rest, lr=eta, batch=2, update=update))
        exact = sde.chain_stationary(game, rest, lr=eta, batch=2, update=update)
        np.testing.assert_allclose(exact.mean, np.concatenate(rest), atol=0.2 * eta)
        errors.append(np.abs(found - exact.covariance).max() / np.abs(exact.covariance).max())
    assert errors[0] > 1e-3
    np.testing.assert_allclose(np.divide(errors[:-1], errors[1:]), 2, atol=0.25)


def test_entropy_production_of_two_players_by_symbols():
    """A = [[-P, -C], [M, -Q]], noise diag(2 D_b, 2 D_e): (C D_e + M D_b)^2 / (D_b D_e (P + Q))."""
    p, q, c, m, b, e = sympy.symbols("p q c m b e", positive=True)
    x, y, z = sympy.symbols("x y z")
    drift, noise, law = sympy.Matrix([[-p, -c], [m, -q]]), sympy.diag(2 * b, 2 * e), sympy.Matrix([[x, y], [y, z]])
    law = law.subs(sympy.solve(drift * law + law * drift.T + noise, [x, y, z]))
    turning = drift + noise * law.inv() / 2
    produced = sympy.simplify(2 * (turning.T * noise.inv() * turning * law).trace())
    assert sympy.simplify(produced - (c * e + m * b) ** 2 / (b * e * (p + q))) == 0
    numbers = {p: 0.3, q: 0.7, c: 1.1, m: 0.4, b: 0.2, e: 0.5}
    found = invariant.entropy_production(np.array(drift.subs(numbers), float), np.array(noise.subs(numbers), float))
    np.testing.assert_allclose(found, float(produced.subs(numbers)), rtol=1e-12)


@pytest.mark.parametrize("size", [2, 3, 6])
def test_currents_flow_in_circles_and_produce_entropy(size):
    """K Gamma is antisymmetric, e = tr(2 A^T D^-1 A Gamma) + tr A, and both vanish if and only if AD is symmetric."""
    rng = np.random.default_rng(size)
    matrix, noise = random_stable(rng, size)
    turning, law = invariant.circulation(matrix, noise), invariant.continuous_covariance(matrix, noise)
    np.testing.assert_allclose(turning @ law, -(turning @ law).T, atol=1e-9 * np.abs(law).max())
    produced = invariant.entropy_production(matrix, noise)
    assert produced > 0.01
    other = 2 * np.trace(matrix.T @ np.linalg.solve(noise, matrix) @ law) + np.trace(matrix)
    np.testing.assert_allclose(produced, other, rtol=1e-8)
    half = rng.normal(size=(size, size))
    gradient = -(half @ half.T + 0.1 * np.eye(size)) @ np.linalg.inv(noise)  # A D is symmetric and A stable
    assert np.abs(invariant.circulation(gradient, noise)).max() < 1e-9 * np.abs(gradient).max()
    assert abs(invariant.entropy_production(gradient, noise)) < 1e-9


def test_independent_noise_never_balances_a_coupled_game_and_correlated_noise_can():
    """Random games: block-diagonal noise always circulates; D_12 (b - a) = c (D_11 + D_22) stops it."""
    rng, stopped = np.random.default_rng(0), 0
    for _ in range(50):
        a, b, c = rng.uniform(0.2, 2, 3) * [1, 1, 0.5]
        drift = np.array([[-a, -c], [c, -b]])
        first, second = rng.uniform(0.2, 2, 2)
        noise = np.diag([first, second])
        assert np.abs(invariant.circulation(drift, noise)).max() > 0.01 * c
        cross = invariant.reversible_correlation(drift, noise)
        needed = c * (first + second) / (b - a)
        assert (cross is None) == (needed**2 >= first * second)
        if cross is not None:
            np.testing.assert_allclose(cross, needed, rtol=1e-12)
            noise[0, 1] = noise[1, 0] = cross
            assert np.abs(invariant.circulation(drift, noise)).max() < 1e-12
            noise[0, 1] = noise[1, 0] = -cross
            assert np.abs(invariant.circulation(drift, noise)).max() > 0.01 * c
            stopped += 1
    assert 5 < stopped < 45
    for size in (2, 3):  # more parameters: two noises that do not see one another, a coupling between them
        p, q = (np.eye(size) + part @ part.T for part in rng.normal(size=(2, size, size)))
        coupling, halves = rng.normal(size=(size, size)), rng.normal(size=(2, size, size))
        drift = np.block([[-p, -coupling], [coupling.T, -q]])
        noise = scipy.linalg.block_diag(*(0.1 * np.eye(size) + half @ half.T for half in halves))
        assert invariant.entropy_production(drift, noise) > 0.01
    assert invariant.reversible_correlation(-np.eye(2), np.eye(2)) == 0.0
    assert invariant.reversible_correlation([[-1.0, -1.0], [1.0, -1.0]], np.eye(2)) is None
    with pytest.raises(ValueError, match="two dimensions, found 3"):
        invariant.reversible_correlation(-np.eye(3), np.eye(3))
    with pytest.raises(ValueError, match="noise covariance must be positive definite"):
        invariant.entropy_production([[-1.0, -1.0], [1.0, -1.0]], np.diag([1.0, 0.0]))
    with pytest.raises(ValueError, match="stationary covariance must be positive definite"):
        invariant.circulation(-np.eye(2), np.diag([1.0, 0.0]))


def test_area_swept_per_update_is_the_current():
    """E[theta Delta omega - omega Delta theta] of the linear equation is twice (K Gamma)_21."""
    drift, noise = np.array([[-0.3, -1.0], [1.0, -0.5]]), np.diag([0.4, 0.1])
    law = invariant.continuous_covariance(drift, noise)
    swept = (drift @ law)[1, 0] - (drift @ law)[0, 1]
    np.testing.assert_allclose(swept, 2 * (invariant.circulation(drift, noise) @ law)[1, 0], rtol=1e-12)
