"""Optimal control: closed forms against ODE solvers and brute force, grids against trees, games and their own runs."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.interpolate
import scipy.optimize

from gansde_lib import games, schedule

BASIC = {"curvature": 1.0, "noise": 0.2, "loss": 1.125}
PROBLEMS = [BASIC, {"curvature": 0.7, "noise": 0.5, "loss": 2.0}, {"curvature": 2.0, "noise": 1.0, "loss": 0.3}]


@pytest.fixture(autouse=True)
def _double():
    with jax.enable_x64(True):
        yield


def slope(m, u, *, curvature, noise, loss):
    return -2 * curvature * u * m + curvature * noise / 2 * u**2


@pytest.mark.parametrize("problem", PROBLEMS)
def test_closed_form_solves_its_equation(problem):
    best, times = schedule.optimal(**problem), np.linspace(0, 8, 33)

    def descend(t, m):
        return slope(m, min(1.0, 2 * m[0] / problem["noise"]), **problem)

    found = scipy.integrate.solve_ivp(descend, (0, 8), [problem["loss"]], t_eval=times, rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(best.loss_at(times), found.y[0], rtol=1e-7)
    np.testing.assert_allclose(best.rate(times), np.minimum(1, 2 * found.y[0] / problem["noise"]), rtol=1e-7)


def test_numbers_of_the_basic_problem():
    best = schedule.optimal(**BASIC)
    np.testing.assert_allclose(best.switch, np.log((1.125 - 0.05) / 0.05) / 2, rtol=1e-12)
    np.testing.assert_allclose(best.switch, 1.5340, atol=5e-5)
    np.testing.assert_allclose(best.loss_at(10.0), 0.010564, atol=5e-7)
    rate, loss = schedule.best_constant(10.0, **BASIC)
    np.testing.assert_allclose([rate, loss], [0.305, 0.01774], atol=5e-4)
    trial = [float(schedule.constant_loss(u, 10.0, **BASIC)) for u in np.linspace(0.01, 1, 2001)]
    assert loss <= min(trial) < loss + 1e-6


@pytest.mark.parametrize("problem", PROBLEMS)
def test_no_schedule_is_better(problem):
    """A search over piecewise constant rates, from the side of a minimiser that knows no formula."""
    pieces, horizon = 24, 5.0
    options = problem | {}

    @jax.jit
    def final(rates):
        return schedule.loss_along(rates, horizon / pieces, **options)[-1]

    value = jax.jit(jax.value_and_grad(final))
    found = scipy.optimize.minimize(
        lambda u: tuple(map(np.asarray, value(u))), np.full(pieces, 0.5), jac=True, bounds=[(0, 1)] * pieces, tol=1e-14
    )
    best = float(schedule.optimal(**problem).loss_at(horizon))
    assert best < found.fun < 1.02 * best  # pieces cost a little
    middle = (np.arange(pieces) + 0.5) * horizon / pieces
    np.testing.assert_allclose(found.x, schedule.optimal(**problem).rate(middle), atol=0.06)


def test_piecewise_losses_solve_the_equation():
    rates = np.array([0.3, 1.0, 0.0, 0.6])
    losses = schedule.loss_along(rates, 0.5, **BASIC)
    found = scipy.integrate.solve_ivp(
        lambda t, m: slope(m, rates[min(int(t / 0.5), 3)], **BASIC), (0, 2), [1.125], max_step=1e-3, rtol=1e-9
    )
    np.testing.assert_allclose(losses[-1], found.y[0, -1], rtol=1e-4)
    np.testing.assert_allclose(losses[1], schedule.constant_loss(0.3, 0.5, **BASIC), rtol=1e-12)


def test_descent_itself():
    """Against 200,000 runs of the chain, within 4 standard errors; and the best rates against a search."""
    rates = 0.05 * np.asarray(schedule.optimal(**BASIC).rate(0.05 * np.arange(200)))
    predicted = float(schedule.descent_loss(rates, curvature=1.0, variance=4.0, loss=1.125)[-1])
    np.testing.assert_allclose(predicted, 0.01054, atol=5e-6)
    rng, x = np.random.default_rng(0), np.full(200_000, 1.5)
    for rate in rates:
        x -= rate * (x + 2.0 * rng.standard_normal(x.size))
    loss = x**2 / 2
    assert abs(loss.mean() - predicted) < 4 * loss.std() / x.size**0.5 < 2e-4
    problem = {"curvature": 1.0, "variance": 4.0, "loss": 1.125}
    best, losses = schedule.descent_optimal(12, most=0.3, **problem)
    final = jax.jit(jax.value_and_grad(lambda rates: schedule.descent_loss(rates, **problem)[-1]))
    found = scipy.optimize.minimize(
        lambda u: tuple(map(np.asarray, final(u))), np.full(12, 0.2), jac=True, bounds=[(0, 0.3)] * 12, tol=1e-15
    )
    np.testing.assert_allclose(found.fun, losses[-1], rtol=1e-7)
    np.testing.assert_allclose(schedule.descent_loss(best, **problem), losses, rtol=1e-12)
    free = np.asarray(best) < 0.3 - 1e-12
    assert 2 < free.sum() < 12
    np.testing.assert_allclose(np.diff(1 / losses)[free], 2 * 1.0 / 4.0, rtol=1e-9)


def test_best_share_against_brute_force():
    rng = np.random.default_rng(1)
    slopes, bends = rng.normal(size=(2, 200))
    shares = np.linspace(0.2, 1, 4001)
    table = shares * slopes[:, None] + shares**2 * bends[:, None] / 2
    found = np.asarray(schedule.best_share(jnp.asarray(slopes), jnp.asarray(bends), 0.2))
    np.testing.assert_allclose(found * slopes + found**2 * bends / 2, table.min(1), atol=1e-6)
    assert len({*np.round(found, 3)}) > 20  # not only the ends


@functools.cache
def line(cells, horizon=3.0, least=0.0):
    return schedule.hjb(
        lambda x: -x,
        lambda x: 0.2,
        lambda x: x**2 / 2,
        lower=-3.0,
        upper=3.0,
        cells=cells,
        horizon=horizon,
        least=least,
    )


def extrapolate(coarse, fine):
    """What a value whose error is proportional to the spacing tends to."""
    return 2 * fine - coarse


def test_full_rate_has_the_mean_loss():
    """With least = 1 there is nothing to choose, and the equation is linear: errors of first order, and halved."""
    exact = float(schedule.constant_loss(1.0, 3.0, **BASIC))
    errors = [float(line(cells, least=1.0).at(1.5)) - exact for cells in (61, 121, 241)]
    assert 0 < errors[2] < 2e-3
    np.testing.assert_allclose(np.divide(errors[:-1], errors[1:]), 2, atol=0.1)
    np.testing.assert_allclose(extrapolate(errors[1], errors[2]), 0, atol=1e-4)


def tree(horizon, steps, cells, least=0.0):
    """Dynamic programming another way: coin tosses for noise, cubic interpolation, a list of rates."""
    x, dt = np.linspace(-3, 3, cells), horizon / steps
    value, shares = x**2 / 2, np.linspace(least, 1, 81)[:, None]
    up, down = (x * (1 - shares * dt) + sign * shares * np.sqrt(0.2 * dt) for sign in (1, -1))
    for _ in range(steps):
        spline = scipy.interpolate.PchipInterpolator(x, value)
        value = (0.5 * spline(np.clip(up, -3, 3)) + 0.5 * spline(np.clip(down, -3, 3))).min(0)
    return np.interp(1.5, x, value)


@pytest.mark.parametrize("least", [0.0, 0.3])
def test_grid_agrees_with_a_tree(least):
    grid = extrapolate(*(float(line(cells, 2.0, least).at(1.5)) for cells in (121, 241)))
    trees = [tree(2.0, steps, 301, least) for steps in (40, 80)]
    np.testing.assert_allclose(grid, extrapolate(*trees), rtol=0.02)


def test_looking_at_the_state_helps():
    """Open loop is one of the choices of feedback: its value lies above, and by far more than any error."""
    best = float(schedule.optimal(**BASIC).loss_at(3.0))
    values = [float(line(241, least=least).at(1.5)) for least in (0.0, 0.2)]
    assert values[0] < values[1] < 0.5 * best


def roll_line(solution, steps=1000):
    return schedule.rollout(
        solution, pull, spread, half_square, [1.5], steps=steps, paths=20_000, key=jax.random.key(1)
    )


def pull(x):
    return -x


def spread(x):
    return 0.2 + 0 * x


def half_square(x):
    return x[0] ** 2 / 2


@pytest.mark.parametrize(("horizon", "least"), [(3.0, 0.0), (10.0, 0.2)])
def test_runs_of_the_feedback_cost_what_the_grid_says(horizon, least):
    solution = line(481, horizon, least)
    found = roll_line(solution)
    value = extrapolate(float(line(241, horizon, least).at(1.5)), float(solution.at(1.5)))
    assert 3 * found.error < 0.1 * value
    assert abs(found.mean - value) < 3 * found.error + 0.02 * value
    other = roll_line(solution._replace(controls=(jnp.ones_like(solution.value),)))
    assert abs(other.mean - schedule.constant_loss(1.0, horizon, **BASIC)) < 3 * other.error + 1e-3


def spun(coupling):
    signs = np.array([[1.0, -1.0, 1.0, -1.0], [1.0, 1.0, -1.0, -1.0]])
    return games.quadratic(1.0, coupling, 1.0, samples={"a": signs[0], "b": signs[1]})


@functools.cache
def plane(coupling, cells=61, records=40, horizon=2.0):
    options = {"lower": -3.0, "upper": 3.0, "cells": cells, "horizon": horizon, "least": 0.1, "records": records}
    return schedule.isaacs(spun(coupling), lr=0.2, batch=1, **options)


def test_without_coupling_the_game_is_two_problems():
    """Values are those of two lines, to rounding if the steps in time are the same: 200 in either case."""
    options = {"lower": -3.0, "upper": 3.0, "cells": 61, "horizon": 2.0, "least": 0.1, "records": 200}
    one = schedule.hjb(lambda x: -x, lambda x: 0.2, lambda x: x**2 / 2, **options)
    column = np.asarray(one.value[0])
    np.testing.assert_allclose(plane(0.0).value[0], column[:, None] - column[None, :], atol=1e-9)
    np.testing.assert_allclose(plane(0.0).at(1.5, -0.5), float(one.at(1.5)) - float(one.at(0.5)), atol=1e-9)


def test_symmetric_game():
    """With (theta, omega) -> (omega, -theta) the players change places: the value changes its sign."""
    value = np.asarray(plane(1.0).value[0])
    np.testing.assert_allclose(value.T[:, ::-1], -value, atol=1e-9)
    np.testing.assert_allclose(plane(1.0).at(0.0, 0.0), 0, atol=1e-9)


def tables(coupling, cells=61):
    x = np.linspace(-3, 3, cells)
    theta, omega = np.meshgrid(x, x, indexing="ij")
    drift = (-theta - coupling * omega, coupling * theta - omega)
    variance = (np.full_like(theta, 0.2),) * 2
    return drift, variance, theta**2 / 2 + coupling * theta * omega - omega**2 / 2, (x, x)


def test_isaacs_reads_the_game():
    drift, variance, cost, axes = tables(0.7, 41)
    options = {"axes": axes, "horizon": 1.0, "senses": ("min", "max"), "least": 0.1, "records": 10}
    by_hand = schedule.solve(drift, variance, cost, **options)
    grid = {"lower": -3.0, "upper": 3.0, "cells": 41, "horizon": 1.0, "least": 0.1, "records": 10}
    np.testing.assert_allclose(schedule.isaacs(spun(0.7), lr=0.4, batch=2, **grid).value, by_hand.value, atol=1e-9)


def change(solution, player, factor):
    controls = list(solution.controls)
    controls[player] = jnp.clip(factor * controls[player], 0.1, 1)
    return solution._replace(controls=tuple(controls))


@pytest.mark.parametrize("coupling", [0.5, 1.0])
def test_nobody_gains_by_another_rate_on_the_grid(coupling):
    """The cost of given controls from the linear equation, everywhere at once; no chance is involved."""
    drift, variance, cost, axes = tables(coupling)
    options = {"axes": axes, "horizon": 2.0, "senses": ("min", "max"), "least": 0.1, "records": 200}
    solution = plane(coupling, records=200)

    def value(controls):
        return np.asarray(schedule.solve(drift, variance, cost, controls=controls, **options).value[0])

    own = value(solution.controls)
    np.testing.assert_allclose(own, solution.value[0], atol=1e-2)  # controls are those of the step before
    inside = (slice(10, -10),) * 2
    assert np.abs(own - solution.value[0])[inside].max() < 1e-3
    for factor in (0.5, 0.8, 1.25, 2.0):
        theta, omega = (value(change(solution, player, factor).controls) - own for player in (0, 1))
        for loss in (theta[inside], -omega[inside]):
            assert loss.min() > -5e-5 and loss.max() > 1e-3
            assert factor != 0.5 or loss.max() > 0.02


def test_runs_of_the_game_cost_what_the_grid_says_and_nobody_gains():
    coupling, x0 = 1.0, [1.5, -1.0]
    fine, solution = plane(coupling, 121), plane(coupling)

    def roll(solution):
        return schedule.rollout(solution, spin, still, payoff, x0, steps=400, paths=20_000, key=jax.random.key(2))

    def spin(x):
        return jnp.array([-x[0] - coupling * x[1], coupling * x[0] - x[1]])

    def still(x):
        return 0.2 + 0 * x

    def payoff(x):
        return x[0] ** 2 / 2 + coupling * x[0] * x[1] - x[1] ** 2 / 2

    own = roll(fine)
    value = extrapolate(float(solution.at(*x0)), float(fine.at(*x0)))
    assert own.error < 4e-3 < 0.05 * value
    assert abs(own.mean - value) < 3 * own.error + 4e-3
    for player, sign in ((0, 1), (1, -1)):
        gap = sign * (roll(change(fine, player, 0.5)).costs - own.costs)  # the same noise
        assert gap.mean() > 4 * gap.std() / gap.size**0.5


def attempt(**options):
    return schedule.hjb(abs, abs, abs, **{"lower": 0.0, "upper": 1.0, "cells": 9, "horizon": 1.0} | options)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: schedule.optimal(curvature=0.0, noise=1.0, loss=1.0), "curvature must be a positive"),
        (lambda: schedule.best_constant(-1.0, **BASIC), "t must be a positive"),
        (lambda: schedule.descent_optimal(0, curvature=1.0, variance=1.0, loss=1.0, most=1), "steps must be an"),
        (lambda: attempt(lower=1.0, upper=0.0), "lower must be less than upper"),
        (lambda: attempt(cells=2), "cells must be an integer >= 3"),
        (lambda: attempt(horizon=0.0), "horizon must be a positive"),
        (lambda: attempt(least=2.0), r"least must lie in \[0, 1\], found 2.0"),
        (
            lambda: schedule.solve((np.ones(3),), (np.ones(4),), np.ones(4), axes=(np.arange(4.0),), horizon=1.0,
                                   senses=("min",)),
            r"drift must have the shape \(4,\) of the grid, found \[\(3,\)\]",
        ),
        (
            lambda: schedule.solve((np.ones(4),), (np.ones(4),), np.ones(4), axes=(np.arange(4.0),), horizon=1.0,
                                   senses=("least",)),
            "a sense must be one of 'min', 'max', found 'least'",
        ),
        (
            lambda: schedule.isaacs(games.dirac("non-saturating"), lr=0.1, batch=1, lower=-1.0, upper=1.0, cells=9,
                                    horizon=1.0),
            "needs a zero-sum game",
        ),
        (
            lambda: schedule.isaacs(games.toy_gan(), lr=0.1, batch=1, lower=-1.0, upper=1.0, cells=9, horizon=1.0),
            "each player must be one number",
        ),
        (
            lambda: schedule.rollout(line(61), abs, abs, abs, [1.0], steps=150, paths=2, key=jax.random.key(0)),
            "steps must be a multiple of the 100 records of the solution, found 150",
        ),
        (
            lambda: schedule.rollout(line(61), abs, abs, abs, [1.0, 2.0], steps=100, paths=2, key=jax.random.key(0)),
            r"x0 must have shape \(1,\), found \(2,\)",
        ),
    ],
)  # fmt: skip
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message) as error:
        call()
    assert "for example" in str(error.value)
