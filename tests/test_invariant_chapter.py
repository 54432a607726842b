"""The claims of the chapter on where training settles, on games of their own and against independent computations."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.linalg
import sympy

from gansde_lib import Game, Players, games, gda, invariant, sde, simulate

UPDATES = ("simultaneous", "alternating")
ORIGIN = Players(0.0, 0.0)
COINS = {"a": np.array([1.0, 1.0, -1.0, -1.0]), "b": np.array([1.0, -1.0, 1.0, -1.0])}


def leaning(correlation):
    """Linear terms of variance one whose correlation between the players is given: four samples of unequal weight."""
    share = round(8 * (1 + correlation) / 2)
    same = np.array([1.0] * share + [-1.0] * (8 - share))
    first = np.concatenate([np.ones(8), -np.ones(8)])
    return {"a": first, "b": first * np.concatenate([same, same])}


@functools.partial(jax.jit, static_argnames=("update", "shared_batch", "steps", "runs"))
def cloud(game, eta, key, *, update="simultaneous", shared_batch=False, steps=300, runs=4096):
    def end(key):
        how = {"update": update, "shared_batch": shared_batch, "batch": 1, "every": steps}
        path = gda.run(game, ORIGIN, lr=eta, steps=steps, key=key, **how)
        return path.theta[-1], path.omega[-1]

    return Players(*simulate.ensemble(end, size=runs, key=key))


def average(values):
    values = np.asarray(values, float)
    return values.mean(), values.std(ddof=1) / len(values) ** 0.5


def test_a_quadratic_lyapunov_function_from_dissipativity():
    """LV of V = 1 + |x|^2 by automatic differentiation at random points, against the bound of the proposition."""
    decay, game = 0.3, games.quadratic(0.3, 1.0, 0.3, samples=COINS | {"C": np.array([0.5, -0.5, -0.5, 0.5])})
    eta = 0.1
    equation = sde.modified_equation(game, lr=eta, batch=1, order=1)

    def grown(x):
        value, gradient, hessian = (f(lambda y: 1 + y @ y)(x) for f in (lambda g: g, jax.grad, jax.hessian))
        x = Players(*x)
        drift, spread = jnp.stack(equation.drift(x)), equation.covariance(x)
        return value, drift @ gradient + jnp.trace(spread @ hessian) / 2

    points = np.random.default_rng(1).normal(size=(200, 2)) * np.geomspace(0.1, 100, 200)[:, None]
    with jax.enable_x64(True):
        values, found = jax.jit(jax.vmap(grown))(jnp.asarray(points))
        # Tr a = eta^2 (2 + |x|^2 / 4): the linear terms, and the couplings of variance 1/4.
        constant, growth, rate = 2 * eta**2, eta**2 / 4, eta * decay
        bound = -(2 * rate - growth) * values + constant + 2 * rate - growth
        np.testing.assert_allclose(found, bound, rtol=1e-9, atol=1e-12)  # with equality, for this game


def test_the_noisy_bilinear_game_escapes():
    """The share in a ball against the exact law; and the exact law keeps no mass in it."""
    eta, radius, steps = 0.2, 1.5, 200
    game = games.quadratic(0.0, 0.7, 0.0, samples=COINS)
    equation = sde.modified_equation(game, lr=eta, batch=1, order=1)
    ends = sde.ensemble(equation, ORIGIN, steps=steps, size=4000, key=simulate.key(540), scheme="heun")
    inside = (np.asarray(ends.theta) ** 2 + np.asarray(ends.omega) ** 2) < radius**2
    exact = 1 - np.exp(-(radius**2) / (2 * eta**2 * steps))
    assert abs(inside.mean() - exact) < 4 * (exact * (1 - exact) / 4000) ** 0.5 < 0.03
    with pytest.raises(ValueError, match="does not settle"):
        invariant.continuous_covariance(*invariant.linearised_equation(equation, ORIGIN))


def test_coupling_carries_the_noise():
    """A generator without noise of its own: training against a formula, and the rank without coupling."""
    a, b, c, eta = 0.3, 0.5, 0.8, 0.05
    game = games.quadratic(a, -c, b, samples={"a": np.zeros(4), "b": COINS["b"]})
    chain = invariant.linearised(game, ORIGIN, lr=eta, batch=1)
    assert chain.covariance[0, 0] == 0.0
    settled = invariant.continuous_covariance(
        *invariant.linearised_equation(sde.modified_equation(game, lr=eta, batch=1, order=1), ORIGIN)
    )
    tau, delta = a + b, a * b + c**2
    closed = eta / (2 * tau * delta) * np.array([[c**2, a * c], [a * c, delta + a**2]])
    np.testing.assert_allclose(settled, closed, rtol=1e-6)
    variance, error = average(cloud(game, eta, simulate.key(541)).theta ** 2)
    assert abs(variance - invariant.covariance(*chain)[0, 0]) < 4 * error < 0.1 * variance
    apart = games.quadratic(a, 0.0, b, samples={"a": np.zeros(4), "b": COINS["b"]})
    lonely = invariant.covariance(*invariant.linearised(apart, ORIGIN, lr=eta, batch=1))
    assert np.abs(lonely[0]).max() < 1e-15 < lonely[1, 1]


def test_the_equation_settles_where_training_diverges():
    m, c = 0.4, 1.3
    eta = 1.1 * gda.rotation_limit(m, c)
    game = games.quadratic(m, c, m, samples=COINS)
    with pytest.raises(ValueError, match="spectral radius below 1"):
        invariant.covariance(*invariant.linearised(game, ORIGIN, lr=eta, batch=1))
    first = sde.modified_equation(game, lr=eta, batch=1, order=1)
    settled = invariant.continuous_covariance(*invariant.linearised_equation(first, ORIGIN))
    np.testing.assert_allclose(settled, eta / (2 * m) * np.eye(2), atol=1e-7)
    ends = sde.ensemble(first, ORIGIN, steps=60, size=4000, key=simulate.key(542), scheme="heun", substeps=2)
    square, error = average(np.asarray(ends.theta) ** 2 + np.asarray(ends.omega) ** 2)
    assert abs(square - eta / m) < 4 * error + 0.02 * eta / m  # the solver's own error is below 2 %
    points, factor = cloud(game, eta, simulate.key(543)), (1 - eta * m) ** 2 + eta**2 * c**2
    square, error = average(points.theta**2 + points.omega**2)
    assert abs(square / (2 * eta**2 * (factor**300 - 1) / (factor - 1)) - 1) < 4 * error / square < 0.1
    assert square > 20 * eta / m


def test_closed_forms_of_the_damped_rotation():
    """Symbolically: the two covariances solve the discrete Lyapunov equation of the two half steps."""
    m, c, eta, s = sympy.symbols("m c eta s", positive=True)
    q, turn = 1 - eta * m, eta * c
    omega, theta = sympy.Matrix([[1, 0], [turn, q]]), sympy.Matrix([[q, -turn], [0, 1]])
    # The noise of omega passes through the half step of theta, which moves later.
    passed = sympy.Matrix([[1, -turn], [0, 1]])
    g = 1 + q
    alternating = eta * s / (m * (g**2 - turn**2)) * sympy.Matrix([[g, -turn], [-turn, g]])
    jacobian, kicks = theta * omega, eta**2 * s * passed * passed.T
    assert (jacobian * alternating * jacobian.T + kicks - alternating).applyfunc(sympy.simplify) == sympy.zeros(2)
    simultaneous = eta * s / (2 * m - eta * (m**2 + c**2)) * sympy.eye(2)
    jacobian = sympy.Matrix([[q, -turn], [turn, q]])
    rest = jacobian * simultaneous * jacobian.T + eta**2 * s * sympy.eye(2) - simultaneous
    assert rest.applyfunc(sympy.simplify) == sympy.zeros(2)

    values = {m: 0.2, c: 1.1, eta: 0.15, s: 1}
    game = games.quadratic(0.2, 1.1, 0.2, samples=COINS)
    for update, closed in zip(UPDATES, (simultaneous, alternating), strict=True):
        expected = np.array(closed.subs(values).tolist(), float)
        chain = invariant.linearised(game, ORIGIN, lr=0.15, batch=1, update=update)
        np.testing.assert_allclose(invariant.covariance(*chain), expected, rtol=1e-6, atol=1e-9)
        points = cloud(game, 0.15, simulate.key(544), update=update)
        for found, exact in (
            (average(points.theta * points.omega), expected[0, 1]),
            (average(points.omega**2), expected[1, 1]),
        ):
            assert abs(found[0] - exact) < 4 * found[1] < 0.12 * expected[1, 1]


def test_training_is_wider_than_its_equation_in_every_direction():
    """Against the integral of the theorem; not so for alternating updates."""
    rng, eta = np.random.default_rng(5), 0.1
    coupling = rng.normal(size=(3, 2))
    samples = {"a": rng.normal(size=(5, 3)), "b": rng.normal(size=(5, 2))}
    game = games.quadratic(0.6 * np.eye(3), coupling, 0.9 * np.eye(2), samples=samples)
    x = invariant.rest_point(game, Players(np.zeros(3), np.zeros(2)))
    matrix, spread = invariant.linearised(game, x, lr=eta, batch=2)
    drift = matrix - np.eye(5)
    chain = invariant.covariance(matrix, spread)
    difference = chain - invariant.continuous_covariance(drift, spread)
    jump = drift @ chain @ drift.T

    def added(t):
        moved = scipy.linalg.expm(t * drift)
        return moved @ jump @ moved.T

    excess = scipy.integrate.quad_vec(added, 0, 600, epsrel=1e-9)[0]
    np.testing.assert_allclose(difference, excess, rtol=1e-6, atol=1e-9)
    assert np.linalg.eigvalsh(difference)[0] > 0.005 * np.trace(chain)

    rotation = games.quadratic(0.2, 1.0, 0.2, samples=COINS)
    alternating = invariant.covariance(*invariant.linearised(rotation, ORIGIN, lr=0.2, batch=1, update="alternating"))
    values, vectors = np.linalg.eigh(alternating - 0.2 / 0.4 * np.eye(2))
    assert values[0] < -1e-3 and abs(vectors[0, 0] * vectors[1, 0] - 0.5) < 1e-6  # narrower along (1, 1)


def test_orders_of_stationary_variances():
    """On a game of two scalar players: orders 1, 1 and 2 for both updates."""
    game, etas = games.quadratic(0.7, 0.5, 1.1, samples=COINS), np.array([0.08, 0.04, 0.02])
    variants = {"1": {"order": 1}, "2": {}, "S1": {"covariance_correction": True}}
    for update in UPDATES:
        found = {}
        for name, options in variants.items():
            errors = []
            for eta in etas:
                exact = invariant.covariance(*invariant.linearised(game, ORIGIN, lr=eta, batch=1, update=update))
                equation = sde.modified_equation(game, lr=eta, batch=1, update=update, **options)
                solved = invariant.continuous_covariance(*invariant.linearised_equation(equation, ORIGIN))
                errors.append(np.trace(solved) / np.trace(exact) - 1)
            found[name] = float(sde.order(etas, np.array(errors)).slope)
        np.testing.assert_allclose(list(found.values()), [1, 1, 2], atol=0.1)


def steep(s):
    return s**4 / 4


def shallow(s):
    return 0.2 * s**2 + jnp.log(jnp.cosh(s))


def test_fokker_planck_finds_the_tilted_saddle():
    """Another saddle than the chapter's, against the law by quadrature; and the game is what the proposition says."""
    eta, coupling = 0.3, -0.7
    saddle = invariant.tilted_saddle(steep, shallow, coupling=coupling)
    with jax.enable_x64(True):
        for point in np.random.default_rng(3).normal(size=(5, 2)):
            down = jax.grad(lambda x: saddle.potential(Players(*x)))(jnp.asarray(point))
            turned = np.array([-down[1], down[0]])
            np.testing.assert_allclose(saddle.game.field(Players(*point)), -down + coupling * turned, rtol=1e-9)
    equation = sde.modified_equation(saddle.game, lr=eta, batch=1, order=1)
    errors, cells = [], np.array([32, 64])
    for count in cells:
        law = invariant.fokker_planck(equation, lower=(-3.2, -3.2), upper=(3.2, 3.2), cells=int(count))
        grid = Players(*np.meshgrid(law.theta, law.omega, indexing="ij"))
        known = np.exp(-2 * np.asarray(saddle.potential(grid), float) / eta)
        known /= known.sum() * law.area
        errors.append(np.abs(law.density - known).sum() * law.area)
        assert law.density.min() >= 0 and abs(law.density.sum() * law.area - 1) < 1e-12
    assert abs(np.log2(errors[0] / errors[1]) - 2) < 0.2 and errors[-1] < 0.01

    def laplacian(theta, omega):
        step = 1e-3  # by differences of the potential
        shifts = [(step, 0), (-step, 0), (0, step), (0, -step)]
        around = sum(np.asarray(saddle.potential(Players(theta + t, omega + o)), float) for t, o in shifts)
        return (around - 4 * np.asarray(saddle.potential(Players(theta, omega)), float)) / step**2

    with jax.enable_x64(True):
        produced = eta * coupling**2 * (known * laplacian(grid.theta, grid.omega)).sum() * law.area
    np.testing.assert_allclose(law.entropy_production, produced, rtol=0.02)


def test_three_games_three_methods():
    """Alternating with a shared batch, and a saddle that is not Gaussian; runs that are 8 % too wide are rejected."""
    saddle = invariant.tilted_saddle(steep, shallow, coupling=1.0)
    cases = [
        (
            games.quadratic(0.4, 0.5, 1.0, samples=leaning(0.5)),
            {"update": "alternating", "shared_batch": True},
            0.1,
            2.0,
        ),
        (saddle.game, {}, 0.05, 1.6),
    ]
    for number, (game, how, eta, width) in enumerate(cases):
        box = {"lower": (-width, -width), "upper": (width, width), "cells": 72}
        equation = sde.modified_equation(game, lr=eta, batch=1, covariance_correction=True, **how)
        law = invariant.fokker_planck(equation, **box)
        points = cloud(game, eta, simulate.key(545 + number), **how)
        square, error = average(points.theta**2 + points.omega**2)
        assert abs(square - np.trace(law.covariance)) < 4 * error < 0.07 * square
        if number == 0:
            near = invariant.covariance(*invariant.linearised(game, ORIGIN, lr=eta, batch=1, **how))
            np.testing.assert_allclose(law.covariance, near, atol=0.015 * np.trace(near))
            found = invariant.histogram_distance(law, points, bins=12)
            assert abs(found.distance - found.expected) < 4.5 * found.error
            wide = jax.tree.map(lambda part: 1.08 * part, points)
            assert invariant.histogram_distance(law, wide, bins=12).p_value < 1e-3


def test_interaction_drives_a_current():
    """A nonlinear game with independent noise on the grid: a current with coupling, none when the payoff splits."""

    def payoff(c, theta, omega, sample):
        pull = theta**4 / 4 + 0.3 * theta**2 - jnp.log(jnp.cosh(omega)) * 0.8 - 0.1 * omega**4
        return pull + c * jnp.sin(theta) * omega + sample["a"] * theta - 1.5 * sample["b"] * omega

    def produced(c):
        game = Game(jax.tree_util.Partial(payoff, c), COINS)
        equation = sde.modified_equation(game, lr=(0.2, 0.1), batch=1, order=1)
        return invariant.fokker_planck(equation, lower=(-2.5, -2.5), upper=(2.5, 2.5), cells=60).entropy_production

    assert produced(0.5) > 1e-3
    assert abs(produced(0.0)) < 1e-5 * produced(0.5)


def test_shared_noise_stops_the_current():
    """The swept area of training and the current on the grid, with and without the correlation of the theorem."""
    a, b, c, eta = 0.2, 2.2, 0.5, 0.1
    game = games.quadratic(a, c, b, samples=leaning(2 * c / (b - a)))

    @functools.partial(jax.jit, static_argnames="shared_batch")
    def area(game, key, shared_batch):
        def one(key):
            x = gda.run(game, ORIGIN, lr=eta, steps=1000, batch=1, shared_batch=shared_batch, key=key)
            return (x.theta[:-1] * x.omega[1:] - x.omega[:-1] * x.theta[1:])[300:].mean()

        return simulate.ensemble(one, size=1024, key=key)

    for shared_batch in (False, True):
        matrix, spread = invariant.linearised(game, ORIGIN, lr=eta, batch=1, shared_batch=shared_batch)
        moved = (matrix - np.eye(2)) @ invariant.covariance(matrix, spread)
        predicted = moved[1, 0] - moved[0, 1]
        found, error = average(area(game, simulate.key(550), shared_batch))
        assert abs(found - predicted) < 4 * error < 5e-4
        assert abs(predicted) < 1e-9 if shared_batch else predicted > 2e-3
        equation = sde.modified_equation(game, lr=eta, batch=1, order=1, shared_batch=shared_batch)
        law = invariant.fokker_planck(equation, lower=(-2.5, -1.2), upper=(2.5, 1.2), cells=60)
        assert abs(law.entropy_production) < 1e-9 if shared_batch else law.entropy_production > 1e-2
    assert abs(invariant.reversible_correlation(matrix - np.eye(2), spread) - spread[0, 1]) < 1e-8
    turning = np.array([[-a, -1.1], [1.1, -b]])
    for half in np.random.default_rng(6).normal(size=(20, 2, 2)):  # complex eigenvalues: no noise stops it
        assert invariant.entropy_production(turning, half @ half.T) > 1e-3


def test_entropy_production_of_two_scalar_players():
    """The closed form of the chapter with correlated noise, symbolically from the planar Lyapunov formula."""
    a, b, c, d1, d2, cross = sympy.symbols("a b c d1 d2 d12")
    drift, spread = sympy.Matrix([[-a, -c], [c, -b]]), sympy.Matrix([[d1, cross], [cross, d2]])
    other = drift - drift.trace() * sympy.eye(2)
    settled = -(drift.det() * spread + other * spread * other.T) / (2 * drift.trace() * drift.det())
    rest = drift * settled + settled * drift.T + spread
    assert rest.applyfunc(sympy.simplify) == sympy.zeros(2)
    turning = drift + spread * settled.inv() / 2
    produced = 2 * (spread.inv() * turning * settled * turning.T).trace()
    closed = (c * (d1 + d2) - (b - a) * cross) ** 2 / ((a + b) * spread.det())
    assert sympy.simplify(produced - closed) == 0
    values = {a: 0.2, b: 0.7, c: 0.9, d1: 1.3, d2: 0.4, cross: 0.3}
    numbers = [np.array(part.subs(values).tolist(), float) for part in (drift, spread)]
    np.testing.assert_allclose(invariant.entropy_production(*numbers), float(closed.subs(values)), rtol=1e-12)
    law = invariant.fokker_planck(
        lambda x: Players(-0.2 * x.theta - 0.9 * x.omega, 0.9 * x.theta - 0.7 * x.omega),
        numbers[1],
        lower=(-6, -5),
        upper=(6, 5),
        cells=80,
    )
    np.testing.assert_allclose(law.entropy_production, float(closed.subs(values)), rtol=0.025)


def test_gap_of_a_linear_equation_and_decay_by_coupling():
    """The gap, the synchronous coupling and the exact distance of two Gaussian laws: one rate."""
    m, c, eta = 0.4, 0.9, 0.1
    equation = sde.modified_equation(games.quadratic(m, c, m, samples=COINS), lr=eta, batch=1, order=1)
    box = {"lower": (-2, -2), "upper": (2, 2), "cells": 64}
    assert abs(invariant.spectral_gap(equation, **box) / (eta * m) - 1) < 0.015
    starts = Players(1.5, 0.0), Players(-1.5, 0.5)
    pair = invariant.coupling(equation, *starts, steps=60, every=20, size=4, key=simulate.key(551), substeps=8)
    drift, _ = invariant.linearised_equation(equation, ORIGIN)
    for time, distance in zip(pair.time, pair.distance, strict=True):
        exact = np.linalg.norm(scipy.linalg.expm(time * drift) @ [3.0, -0.5])
        assert abs(distance / exact - 1) < 1e-3 * (1 + time)  # Euler's steps, of length 1/8
    assert abs(np.log(pair.distance[0] / pair.distance[-1]) / 60 / (eta * m) - 1) < 0.03


def quartic(m, theta, omega, sample):
    def pull(s):
        return m / 2 * s**2 + 0.05 * s**4

    return pull(theta) + theta * omega - pull(omega) + sample["a"] * theta - sample["b"] * omega


def test_laws_approach_at_the_rate_of_the_gap():
    """A drift that does not contract at the origin, at a larger noise than the chapter's."""
    eta = 0.1
    game = Game(jax.tree_util.Partial(quartic, -0.05), {name: 1.5 * part for name, part in COINS.items()})
    equation = sde.modified_equation(game, lr=eta, batch=1, order=1)
    box = {"lower": (-4.6, -4.6), "upper": (4.6, 4.6)}
    coarse, fine = (invariant.spectral_gap(equation, **box, cells=n) / eta for n in (36, 72))
    gap = fine + (fine - coarse) / 3
    starts, options = (Players(2.5, 0.0), Players(-2.5, 0.0)), {"size": 512, "key": simulate.key(552)}
    pairs = {
        kind: invariant.coupling(equation, *starts, steps=200, every=20, kind=kind, **options)
        for kind in invariant.KINDS
    }
    met = invariant.decay_rate(eta * pairs["reflection"].time[5:12], pairs["reflection"].apart[5:12]).rate
    close = invariant.decay_rate(eta * pairs["synchronous"].time[5:], pairs["synchronous"].distance[5:]).rate
    laws = invariant.mmd_decay(
        equation, *starts, steps=120, every=20, size=256, bandwidth=1.5, key=simulate.key(553), scheme="heun", groups=6
    )
    found = invariant.decay_rate(eta * laws.time[2:], laws.distance[2:], laws.error[2:])
    assert abs(found.rate / 2 - gap) < 0.04 and 3 * found.error / 2 < 0.04
    assert 0.02 < close < gap + 0.01 and 0.02 < met < gap + 0.02


def test_certificates_are_proofs():
    """A proof that survives random points, on and outside its sphere; a refusal with a point that shows why."""
    game, origin = games.toy_gan(size=6, decay=0.5), Players(np.zeros(2), np.zeros(2))
    proof = invariant.certificate(game, origin, rate=0.1, inner=4.6, outer=5.5)
    assert proof.proved
    directions = np.random.default_rng(8).normal(size=(4000, 4))
    directions /= np.linalg.norm(directions, axis=1)[:, None]

    @jax.jit
    def work(game, points):
        field = jax.vmap(lambda x: jnp.concatenate(game.field(Players(x[:2], x[2:]))))
        return (points * field(points)).sum(1)

    with jax.enable_x64(True):
        for radius in (4.6, 8.0, 40.0):
            points = radius * directions
            assert (work(game, points) < -0.1 * radius**2).all()
        inside = directions * np.random.default_rng(9).uniform(0, 4.6, size=(4000, 1))
        excess = work(game, inside) + 0.1 * (inside**2).sum(1)
        assert 0 < excess.max() < proof.constant < 3 * excess.max()
    refused = invariant.certificate(games.bilinear(1.0), ORIGIN, rate=0.1, inner=0.5, outer=1.0)
    assert not refused.proved
    point = np.concatenate([np.ravel(part) for part in refused.witness])
    field = games.bilinear(1.0).field(Players(*point))
    assert point @ np.array(field) + 0.1 * point @ point > 0
