"""Interval arithmetic, and the certificates that rest on it: bounds that hold, proofs, counterexamples, refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gansde_lib import Game, Players, games, invariant, noise, sde
from gansde_lib.invariant import intervals, proofs

ORIGIN = Players(0.0, 0.0)
PLANE = Players(np.zeros(2), np.zeros(2))

FUNCTIONS = {
    "polynomial": lambda x: x[0] ** 3 - 2 * x[0] * x[1] + x[1] ** 2 - x[0] ** 4,
    "hyperbolic": lambda x: jnp.tanh(x[0] * x[1]) + jnp.cosh(x[0]) - jnp.sinh(x[1]),
    "exponential": lambda x: jnp.exp(-(x[0] ** 2)) + jnp.log1p(x[1] ** 2) + jnp.expm1(x[0]),
    "logistic": lambda x: jax.nn.sigmoid(x[0] - x[1]) * x[1] + jax.nn.softplus(x[0]),
    "quotient": lambda x: (x[0] + x[1]) / (1 + x[0] ** 2) + 1 / jnp.cosh(x[1]) ** 2,
    "shapes": lambda x: jnp.stack([x @ x, *(jnp.outer(x, x[::-1]) @ x), jnp.abs(x[0]), jnp.maximum(x[0], x[1])]),
    "cases": lambda x: jnp.where((x[0] > 0.3) & ~(x[1] <= x[0]), x[0] ** 2, jnp.where(x[1] == x[0], 7.0, -x[1])),
    "selection": lambda x: jnp.where(np.array([True, False]), x, -2 * x).sum(),
}


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS.keys())
def test_no_point_of_a_box_exceeds_its_bounds(function):
    """At 300 points of each of 40 boxes, for values and slopes; narrow boxes have narrow bounds."""
    rng = np.random.default_rng(0)
    middle = rng.uniform(-2, 2, size=(40, 2))
    half = np.exp(rng.uniform(-8, 0, size=(40, 2)))
    low, high = middle - half, middle + half
    slopes = jax.jacrev(function)
    for part in (function, slopes):
        found = invariant.interval(part, low, high)
        points = low + (high - low) * rng.random((300, 40, 2))
        with jax.enable_x64(True):
            values = np.asarray(jax.vmap(jax.vmap(part))(jnp.asarray(points)))
        assert (values >= found.low).all() and (values <= found.high).all()
        tiny = invariant.interval(part, middle, middle)
        assert (tiny.high - tiny.low < 1e-11 * (1 + np.abs(tiny.high))).all()


def test_the_mean_value_form_is_a_bound_and_the_better_one_in_narrow_boxes():
    """Corners and points of narrow boxes stay below it; it is much nearer to them than the interval of the value."""

    def function(x):
        return (x[0] - x[1]) ** 2 * x[0] - x[0] ** 3 + jnp.tanh(x[0]) * x[1]

    rng = np.random.default_rng(0)
    middle = rng.uniform(-2, 2, size=(200, 2))
    low, high = middle - 0.01, middle + 0.01
    lowest, upper, _ = proofs._bounds(*proofs._programs(function, 2), low, high)
    corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])[:, None]
    points = np.concatenate([low + (high - low) * corners, low + (high - low) * rng.random((50, 200, 2))])
    with jax.enable_x64(True):
        values = np.asarray(jax.vmap(jax.vmap(function))(jnp.asarray(points)))
        centre = np.asarray(jax.vmap(function)(jnp.asarray((low + high) / 2)))
    assert (values <= upper).all() and (lowest <= centre).all() and (centre - lowest < 1e-9).all()
    natural = invariant.interval(function, low, high).high
    assert np.median((upper - values.max(0)) / (natural - values.max(0))) < 0.2


def test_bounds_cover_roundings():
    """(1 + x) - 1 - x is zero in exact arithmetic and not in floats: both values lie within the bounds."""
    x = np.full((1, 1), 1 / 3 * 2.0**-20)
    found = invariant.interval(lambda x: (1 + x[0]) - 1 - x[0], x, x)
    assert found.low[0] < 0 < found.high[0] and (1 + x[0, 0]) - 1 - x[0, 0] != 0
    assert found.low[0] <= (1 + x[0, 0]) - 1 - x[0, 0] <= found.high[0]


def test_operations_without_bounds_are_named():
    low, high = -np.ones((1, 2)), np.ones((1, 2))
    with pytest.raises(ValueError, match="operation 'sin'"):
        invariant.interval(lambda x: jnp.sin(x[0]), low, high)
    with pytest.raises(ValueError, match="divisor may be zero"):
        invariant.interval(lambda x: 1 / x[0], low, high)
    assert intervals.interval is invariant.interval


def test_proofs_are_tight_and_witnesses_are_points_where_it_fails():
    """1 + x_0 x_1 - |x|^2 has the maximum 1 - r^2 / 2 on the circle of radius r: negative from the root of 2 on."""

    def function(x):
        return 1 + x[0] * x[1] - x @ x

    assert invariant.nonpositive(function, 2, inner=1.01 * 2**0.5, outer=10.0).proved
    found = invariant.nonpositive(function, 2, inner=0.99 * 2**0.5, outer=10.0)
    assert not found.proved and float(function(jnp.asarray(found.witness))) > 0
    assert 0.99 * 2**0.5 <= np.linalg.norm(found.witness) <= 10
    stuck = invariant.nonpositive(lambda x: 0 * x[0], 2, inner=1.0, outer=2.0, boxes=5000)
    assert not stuck.proved and stuck.witness is None  # zero, but no interval can show it
    with pytest.raises(ValueError, match="0 <= inner < outer"):
        invariant.nonpositive(function, 2, inner=2.0, outer=1.0)


def test_tails_hold_everywhere():
    """The bounds by hand against the games themselves at thousands of points of all sizes, and not far from sharp."""
    rng = np.random.default_rng(0)
    samples = {name: rng.normal(size=(6, *shape)) for name, shape in {"P": (2, 2), "a": (2,), "b": (2,)}.items()}
    quadratic = games.quadratic(np.diag([1.0, 2.0]), np.eye(2), np.eye(2), samples=samples)
    for game in (games.toy_gan(), games.toy_gan(size=5, decay=0.7, seed=1), quadratic):
        tail, ratios = invariant.tail(game, PLANE), []

        @jax.jit
        def both(flat, game=game):
            x = Players(flat[:2], flat[2:])
            return flat @ jnp.concatenate(game.field(x)), noise.trace(game, x)

        points = rng.normal(size=(3000, 4))
        points *= np.exp(rng.uniform(-4, 4, size=(3000, 1))) / np.linalg.norm(points, axis=1)[:, None]
        with jax.enable_x64(True):
            pull, spread = (np.asarray(part) for part in jax.lax.map(both, jnp.asarray(points), batch_size=500))
        size = np.linalg.norm(points, axis=1)
        assert (pull <= -tail.decay * size**2 + tail.slope * size + 1e-9 * size**2).all()
        assert (spread <= tail.noise + tail.growth * size**2).all()
        ratios = ((pull + tail.decay * size**2) / (tail.slope * size)).max()
        assert ratios > 0.3
    additive = games.quadratic(1.0, 1.0, 1.0, samples={"a": np.array([1.0, -1.0]), "b": np.array([2.0, -2.0])})
    assert invariant.tail(additive, ORIGIN)[2:] == pytest.approx((5.0, 0.0), abs=1e-6)
    with pytest.raises(ValueError, match="bounds far out are known for"):
        invariant.tail(games.dirac(), ORIGIN)


def test_the_toy_gan_in_three_variables():
    """The function that is bounded is at least x . F + rate |x|^2, and equal to it for omega along v(theta)."""
    game, rng = games.toy_gan(), np.random.default_rng(0)
    with jax.enable_x64(True):
        excess, dimension, point = proofs._excess(game, PLANE, 0.03)
        assert dimension == 3
        for flat in rng.normal(size=(20, 4)) * 3:
            theta, omega = flat[:2], flat[2:]
            exact = flat @ np.concatenate(game.field(Players(*map(jnp.asarray, (theta, omega))))) + 0.03 * flat @ flat
            size = np.linalg.norm(omega)
            assert exact <= excess(jnp.asarray([*theta, size])) + 1e-12
            worst = point(np.array([*theta, size]))
            np.testing.assert_allclose(np.linalg.norm(worst[2:]), size)
            pushed = game.field(Players(jnp.asarray(worst[:2]), jnp.asarray(worst[2:])))
            reached = worst @ np.concatenate(pushed) + 0.03 * worst @ worst
            np.testing.assert_allclose(reached, excess(jnp.asarray([*theta, size])), rtol=1e-5, atol=1e-5)


def test_the_toy_gan_is_certified():
    """With decay 1 down to a radius at which the tail alone says nothing, and K is above what 5,000 points show."""
    game, rate, inner = games.toy_gan(size=8, decay=1.0), 0.5, 2.5
    found = invariant.certificate(game, PLANE, rate=rate, inner=inner, outer=4.6)
    assert found.proved and found.witness is None
    assert inner < 0.7 * found.tail.slope / (found.tail.decay - rate)
    rng = np.random.default_rng(0)
    points = rng.normal(size=(5000, 4))
    points *= rng.uniform(0, 6, size=(5000, 1)) / np.linalg.norm(points, axis=1)[:, None]
    pull = jax.jit(jax.vmap(lambda flat: flat @ jnp.concatenate(game.field(Players(flat[:2], flat[2:])))))
    excess = np.asarray(pull(points), float) + rate * (points**2).sum(1)
    outside = (points**2).sum(1) >= inner**2
    assert excess[outside].max() < 0 and excess.max() <= found.constant
    assert found.constant < 1.5 * max(excess.max(), 0.1)
    bound = found.second_moment(lr=0.05, batch=8)
    x = invariant.rest_point(game, Players(np.array([0.1, 0.0]), np.array([0.1, 0.0])))
    equation = sde.modified_equation(game, lr=0.05, batch=8, order=1)
    covariance = invariant.continuous_covariance(*invariant.linearised_equation(equation, x))
    assert np.trace(covariance) + sum(part @ part for part in x) < bound < 10
    with pytest.raises(ValueError, match="noise grows faster"):
        found.second_moment(lr=1.0, batch=1)


@pytest.mark.parametrize("c", [0.5, 3.0])
def test_quadratic_games_are_certified_just_below_their_damping(c):
    """x . F = -0.4 theta^2 - 0.6 omega^2 + 0.5 theta: certified for rates below 0.4, refused above, with a witness."""
    game = games.quadratic(0.4, c, 0.6, samples={"a": np.array([-1.5, 0.5])})
    found = invariant.certificate(game, ORIGIN, rate=0.35, inner=10.1, outer=12.0)
    assert found.proved
    np.testing.assert_allclose(found.constant, 0.25**2 / 0.05, rtol=0.1)  # the maximum of 0.5 theta - 0.05 theta^2
    assert found.constant >= 0.25**2 / 0.05
    for rate, inner in ((0.35, 9.9), (0.45, 50.0)):
        found = invariant.certificate(game, ORIGIN, rate=rate, inner=inner, outer=100.0)
        assert not found.proved
        x = Players(*found.witness)
        force = game.field(x)
        assert x.theta * force.theta + x.omega * force.omega > -rate * (x.theta**2 + x.omega**2)
        with pytest.raises(ValueError, match="nothing is proved, witness"):
            found.second_moment(lr=0.1, batch=1)


def test_a_dirac_gan_with_weight_decay():
    """A logistic loss: x . F = 2 u s(-u) ... - decay |x|^2 with bounded force, so that any radius can be checked."""

    def payoff(theta, omega, sample):
        return -jax.nn.softplus(-theta * omega) + 0.2 * (theta**2 - omega**2) + 0 * sample

    game, tail = Game(payoff, np.zeros(1)), invariant.Tail(decay=0.4, slope=0.0, noise=1.0, growth=0.0)
    # Both players' forces sigmoid(-u) (-omega, theta) are orthogonal to x.
    assert invariant.certificate(game, ORIGIN, rate=0.39, inner=0.5, outer=3.0, tail=tail).proved
    assert not invariant.certificate(game, ORIGIN, rate=0.41, inner=0.5, outer=3.0, tail=tail).proved


def test_a_quartic_game_with_its_tail_given_by_hand():
    """Two wells: x . F = m |x|^2 - theta^4 - omega^4, at most m |x|^2 - |x|^4 / 2; the least radius is known."""

    def payoff(theta, omega, sample):
        return -(theta**2 - omega**2) / 2 + (theta**4 - omega**4) / 4 + 2 * theta * omega + 0 * sample

    game = Game(payoff, np.zeros(1))
    tail = invariant.Tail(decay=1.0, slope=0.0, noise=1.0, growth=0.0)  # from |x|^2 = 4 on
    least = (2 * (1 + 0.5)) ** 0.5
    found = invariant.certificate(game, ORIGIN, rate=0.5, inner=1.01 * least, outer=2.1, tail=tail)
    assert found.proved and abs(found.constant - 1.5**2 / 2) < 0.15 * 1.5**2 / 2
    assert not invariant.certificate(game, ORIGIN, rate=0.5, inner=0.99 * least, outer=2.1, tail=tail).proved


def test_bilinear_games_are_refuted():
    """x . F = 0 at every point: a witness for any rate."""
    found = invariant.certificate(games.bilinear(1.0), ORIGIN, rate=1e-3, inner=0.5, outer=100.0)
    assert not found.proved and found.witness is not None and found.tail.decay <= 0


def test_what_a_certificate_refuses():
    game = games.quadratic(0.4, 1.0, 0.6, samples={"a": np.ones(2)})
    with pytest.raises(ValueError, match="must reach to where the bound far out begins"):
        invariant.certificate(
            game, ORIGIN, rate=0.3, inner=10.01, outer=10.02, tail=invariant.Tail(0.31, 5.0, 1.0, 0.0)
        )
    with pytest.raises(ValueError, match="rate must be a positive"):
        invariant.certificate(game, ORIGIN, rate=0.0, inner=1.0, outer=2.0)
    with pytest.raises(ValueError, match="a Game is needed"):
        invariant.certificate(lambda x: x, ORIGIN, rate=0.1, inner=1.0, outer=2.0)
