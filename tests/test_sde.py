"""Modified equations: sympy, enumeration of all minibatches, both schemes, both ways of sharing; roots and refusals."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy
from jax.flatten_util import ravel_pytree

from gansde_lib import Game, Players, games, gda, noise, sde
from gansde_lib.sde import batches

SCHEMES = [(update, shared) for update in gda.ORDERS for shared in (True, False)]
MONOMIALS = [p for p in itertools.product(range(4), repeat=3) if 1 <= sum(p) <= 3]
COEFFICIENTS = np.random.default_rng(4).integers(-9, 10, size=(3, len(MONOMIALS))) / 8
X = Players(np.array([0.5, -0.25]), np.array([0.75]))


def cubic_payoff(theta, omega, sample):
    x = (theta[0], theta[1], omega[0])
    return sum(c * x[0] ** a * x[1] ** b * x[2] ** d for c, (a, b, d) in zip(sample, MONOMIALS, strict=True))


CUBIC = Game(cubic_payoff, COEFFICIENTS)


def flat(x):
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(x)])


def sympy_drift(rates, batch, update, shared):
    """b1 in rates (e r_theta, e r_omega): second order in e of one update, averaged over minibatches, less (f')f/2."""
    symbols, e = sympy.symbols("t0 t1 w0"), sympy.Symbol("e")
    r = [sympy.Rational(str(rates[0]))] * 2 + [sympy.Rational(str(rates[1]))]

    def symbolic(weights):
        c = [sum(sympy.Rational(str(v)) * w for v, w in zip(column, weights, strict=True)) for column in COEFFICIENTS.T]
        payoff = sum(
            v * symbols[0] ** a * symbols[1] ** b * symbols[2] ** d for v, (a, b, d) in zip(c, MONOMIALS, strict=True)
        )
        return [sign * k * sympy.diff(payoff, s) for sign, k, s in zip((-1, -1, 1), r, symbols, strict=True)]

    def update_by(theta_field, omega_field):
        moved = symbols[2] + e * omega_field[2]
        seen = {symbols[2]: moved} if update == "alternating" else {}
        return [s + e * f.subs(seen, simultaneous=True) for s, f in zip(symbols[:2], theta_field[:2], strict=True)] + [
            moved
        ]

    draws = list(itertools.product(range(3), repeat=batch))
    drawn = [symbolic([sympy.Rational(row.count(k), batch) for k in range(3)]) for row in draws]
    pairs = [(f, f) for f in drawn] if shared else list(itertools.product(drawn, drawn))
    point = dict(zip(symbols, map(sympy.Rational, map(str, flat(X))), strict=True))
    second = [0, 0, 0]
    for theta_field, omega_field in pairs:
        for i, moved in enumerate(update_by(theta_field, omega_field)):
            second[i] += sympy.expand(moved.subs(point)).coeff(e, 2) / len(pairs)
    mean = symbolic([sympy.Rational(1, 3)] * 3)
    along = [sum(sympy.diff(f, s) * g for s, g in zip(symbols, mean, strict=True)) for f in mean]
    return [float((f + b - a / 2).subs(point)) for f, a, b in zip(mean, along, second, strict=True)]


@pytest.mark.parametrize(("update", "shared"), SCHEMES)
@pytest.mark.parametrize("rates", [(1.0, 1.0), (0.75, 0.25)])
def test_drift_agrees_with_sympy_on_a_random_cubic_game(update, shared, rates):
    """The drift is a polynomial in the rates, so that rates of order one show every sign."""
    expected = sympy_drift(rates, 2, update, shared)
    with jax.enable_x64(True):
        drift = sde.modified_equation(CUBIC, lr=rates, batch=2, update=update, shared_batch=shared).drift(X)
        other = sde.modified_equation(CUBIC, lr=rates, batch=2, update=update, shared_batch=not shared).drift(X)
    np.testing.assert_allclose(flat(drift), expected, rtol=1e-12)
    if update == "alternating":
        assert np.abs(flat(other) - expected).max() > 0.01  # sharing is seen


@pytest.mark.parametrize("update", gda.ORDERS)
def test_drift_of_the_damped_rotation(update):
    """In closed form: the sign of one block decides between turning outwards and a closed orbit."""
    m, c, (a, b) = 0.3, 1.1, (0.2, 0.05)
    theta, omega = 0.7, -0.4
    first, second = m * theta + c * omega, c * theta - m * omega  # gradients
    sign = 1 if update == "simultaneous" else -1
    expected = (
        -a * first - a**2 * m * first / 2 + sign * a * b * c * second / 2,
        b * second + a * b * c * first / 2 + b**2 * m * second / 2,
    )
    with jax.enable_x64(True):
        game = games.quadratic(m, c, m)
        found = sde.modified_equation(game, lr=(a, b), batch=None, update=update).drift(Players(theta, omega))
    np.testing.assert_allclose(flat(found), expected, rtol=1e-12)


def draws(batch, update, shared, lr, x):
    """One update of the cubic game for all minibatches: states and probabilities."""
    weights, chances = batches.minibatches(3, batch)
    rate = np.array([lr[0], lr[0], lr[1]])

    def ends(own, others):
        y = flat(x)
        moved = y + rate * (others @ np.asarray(noise.per_sample_field(CUBIC, x))) * np.array([0, 0, 1])
        seen = Players(x.theta, moved[2:]) if update == "alternating" else x
        return moved + rate * (own @ np.asarray(noise.per_sample_field(CUBIC, seen))) * np.array([1, 1, 0])

    if shared:
        return np.array([ends(w, w) for w in weights]), chances
    pairs = list(itertools.product(zip(weights, chances, strict=True), repeat=2))
    return np.array([ends(a, b) for (a, _), (b, _) in pairs]), np.array([p * q for (_, p), (_, q) in pairs])


@jax.jit
def small_noise_step(equation, x):
    """Mean and covariance of the equation after one update, along its noiseless path: right to fourth order."""
    start, unravel = ravel_pytree(x)

    def drift(y):
        return ravel_pytree(equation.drift(unravel(y)))[0]

    def change(state):
        y, c = state
        slope = jax.jacfwd(drift)(y)
        return drift(y), slope @ c + c @ slope.T + equation.covariance(unravel(y))

    def add(state, h, push):
        return jax.tree.map(lambda a, b: a + h * b, state, push)

    def step(state, h):
        """Runge and Kutta's classical one; a loop over its stages compiles a quarter of the code."""

        def stage(carry, number):
            push, total = carry
            push = change(add(state, jnp.array([0, h / 2, h / 2, h])[number], push))
            return (push, add(total, jnp.array([1, 2, 2, 1])[number] / 6, push)), None

        still = jax.tree.map(jnp.zeros_like, state)
        (_, push), _ = jax.lax.scan(stage, (still, still), jnp.arange(4))
        return add(state, h, push), None

    return jax.lax.scan(step, (start, jnp.zeros((start.size, start.size))), jnp.full(4, 0.25))[0]


@pytest.mark.parametrize(("update", "shared"), SCHEMES)
def test_one_update_of_a_cubic_game_by_enumeration(update, shared):
    """Defects of the mean are of third order; of the covariance, third without and fourth with S1."""
    defects = []
    with jax.enable_x64(True):
        x = games.as_players(X)
        for eta in (0.004, 0.002):
            lr = (eta, 0.6 * eta)
            states, chances = draws(2, update, shared, lr, x)
            mean = chances @ states
            covariance = (states - mean).T * chances @ (states - mean)
            row = []
            for corrected in (False, True):
                equation = sde.modified_equation(
                    CUBIC, lr=lr, batch=2, update=update, shared_batch=shared, covariance_correction=corrected
                )
                found = small_noise_step(equation, x)
                row += [np.abs(a - b).max() for a, b in zip((mean, covariance), found, strict=True)]
            defects.append(row)
    slopes = np.log2(np.divide(*defects))
    np.testing.assert_allclose(slopes, [3, 3, 3, 4], atol=0.15)


@pytest.mark.parametrize("update", gda.ORDERS)
def test_covariance_per_update_is_that_of_the_minibatch(update):
    """To second order it is H Sigma H / B, exactly, for simultaneous updates that of the chain itself."""
    with jax.enable_x64(True):
        x, lr = games.as_players(X), (0.1, 0.3)
        for shared in (True, False):
            found = sde.modified_equation(CUBIC, lr=lr, batch=2, update=update, shared_batch=shared).covariance(x)
            rate = np.array([0.1, 0.1, 0.3])
            expected = rate[:, None] * np.asarray(noise.batch_covariance(CUBIC, x, batch=2, shared_batch=shared)) * rate
            np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-16)
            states, chances = draws(2, "simultaneous", shared, lr, x)
            mean = chances @ states
            np.testing.assert_allclose(found, (states - mean).T * chances @ (states - mean), rtol=1e-10, atol=1e-15)


def test_kinds_of_covariance():
    def covariance(**options):
        return np.asarray(sde.modified_equation(CUBIC, lr=0.1, batch=2, **options).covariance(X))

    full = covariance(shared_batch=True)
    assert np.abs(full[:2, 2]).min() > 1e-4 and np.abs(full[0, 1]) > 1e-4
    block, diagonal = full.copy(), np.diag(np.diag(full))
    block[:2, 2] = block[2, :2] = 0
    for options, expected in [
        ({"shared_batch": True, "covariance": "block"}, block),
        ({"shared_batch": False}, block),
        ({"shared_batch": True, "covariance": "diagonal"}, diagonal),
        ({"shared_batch": True, "covariance": "none"}, 0 * full),
        ({"shared_batch": True, "sampling": "subsets"}, full / 2),  # (N - B) / (N - 1) = 1/2
        ({"shared_batch": True, "sampling": "epochs"}, 0 * full),
    ]:
        np.testing.assert_allclose(covariance(**options), expected, rtol=1e-5, atol=1e-9)
    assert not np.any(sde.modified_equation(CUBIC, lr=0.1, batch=None).covariance(X))


@pytest.mark.parametrize("options", [{}, {"shared_batch": True}, {"covariance": "diagonal", "shared_batch": True}])
def test_noise_without_a_matrix_has_the_covariance_of_the_equation(options):
    """20,000 draws: standard errors of variances are 1 per cent, of covariances at most that of the larger variance."""
    equation = sde.modified_equation(CUBIC, lr=(0.1, 0.3), batch=2, **options)
    keys = jax.random.split(jax.random.key(1), 20_000)
    draws = np.asarray(jax.jit(jax.vmap(lambda k: ravel_pytree(equation.noise(X, k))[0]))(keys))
    expected = np.asarray(equation.covariance(X))
    scale = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
    np.testing.assert_allclose(draws.T @ draws / len(draws) / scale, expected / scale, atol=4 * np.sqrt(2 / 20_000))
    assert np.abs(draws.mean(0) / np.sqrt(np.diag(expected))).max() < 4 / np.sqrt(20_000)


RNG = np.random.default_rng(0)
ROOTS = {
    "definite": (lambda m: m @ m.T)(RNG.normal(size=(4, 4))),
    "rank two of five": (lambda m: m @ m.T)(RNG.normal(size=(5, 2))),
    "zero": np.zeros((3, 3)),
    "one by one": np.array([[2.5]]),
    "two, definite": np.array([[2.0, -0.7], [-0.7, 0.5]]),
    "two, rank one": np.outer([3.0, -1.0], [3.0, -1.0]),
    "two, equal eigenvalues": 2 * np.eye(2),
    "two, zero": np.zeros((2, 2)),
    "one player still": np.diag([0.0, 2.0, 0.0]),
    "tiny beside large": np.diag([1e-9, 1.0]),
}


@pytest.mark.parametrize("matrix", ROOTS.values(), ids=ROOTS.keys())
@pytest.mark.parametrize("double", [False, True])
def test_roots(matrix, double):
    with jax.enable_x64(double):
        rounding = 1e-12 if double else 2e-6
        given = jnp.asarray(matrix)
        root, lower = jax.jit(sde.square_root)(given), np.asarray(jax.jit(sde.factor)(given))
    scale = max(np.abs(matrix).max(), 1)
    np.testing.assert_allclose(root @ root, matrix, atol=rounding * scale)
    np.testing.assert_allclose(root, root.T, atol=rounding * scale)
    assert np.linalg.eigvalsh(root).min() > -3 * rounding * scale
    np.testing.assert_allclose(lower @ lower.T, matrix, atol=rounding * scale)
    assert not np.triu(lower, 1).any()


@pytest.mark.parametrize("size", [1, 2, 3])
def test_roots_of_indefinite_matrices_drop_the_negative_part(size):
    values = np.array([2.0, -0.01, -0.5])[:size] if size > 1 else np.array([-1.0])
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(size, size)))[0]
    expected = turn * np.sqrt(np.maximum(values, 0)) @ turn.T
    np.testing.assert_allclose(sde.square_root(turn * values @ turn.T), expected, atol=1e-6)


def test_a_root_of_what_is_not_a_number_is_not_a_number():
    for size in (1, 2, 3):
        matrix = jnp.full((size, size), jnp.nan)
        assert np.isnan(np.asarray(sde.square_root(matrix))).any() and np.isnan(np.asarray(sde.factor(matrix))).any()


def test_rates_batch_and_penalty_compile_nothing_again():
    traces = 0

    @jax.jit
    def both(equation):
        nonlocal traces
        traces += 1
        return equation.drift(Players(jnp.ones(2), jnp.ones(2))), equation.covariance(Players(jnp.ones(2), jnp.ones(2)))

    for lr, batch, decay in [(0.1, 2, 0.1), (0.2, 3, 0.2), (0.05, 5, 0.3)]:
        both(sde.modified_equation(games.toy_gan(size=4, decay=decay), lr=(lr, lr / 2), batch=batch, shared_batch=True))
    assert traces == 1
    both(sde.modified_equation(games.toy_gan(size=4), lr=(0.1, 0.05), batch=2))
    assert traces == 2  # sharing is part of the structure: another program, not the wrong one


@pytest.mark.parametrize("double", [False, True])
def test_types_and_shapes_are_those_of_the_players(double):
    with jax.enable_x64(double):
        dtype = np.dtype(np.float64 if double else np.float32)

        def payoff(theta, omega, sample):
            return sample * theta["w"][0] * omega[0] + theta["b"] * omega[1] ** 2 - theta["w"][1] ** 2

        game = Game(payoff, [1.0, 2.0, 4.0])
        x = Players({"w": np.ones(2, dtype), "b": np.ones((), dtype)}, (np.ones((), dtype), np.ones((), dtype)))
        equation = sde.modified_equation(game, lr=0.1, batch=2, update="alternating", shared_batch=True)
        drift = equation.drift(x)
        assert jax.tree.map(jnp.shape, drift) == jax.tree.map(np.shape, x)
        assert {leaf.dtype for leaf in jax.tree.leaves(drift)} == {equation.covariance(x).dtype} == {dtype}
        assert jax.tree.map(jnp.shape, equation.noise(x, jax.random.key(0))) == jax.tree.map(np.shape, x)


def test_games_that_are_not_zero_sum():
    """theta minimises its own payoff: both first and second order come from that field."""
    game = Game(
        lambda theta, omega, s: s * theta * omega,
        [1.0, 3.0],
        generator_payoff=lambda theta, omega, s: theta * omega**2 + s * theta**2,
    )
    theta, omega, a, b = 0.7, -0.4, 0.1, 0.2
    f = np.array([-a * (omega**2 + 4 * theta), b * 2 * theta])
    jacobian = np.array([[-4 * a, -2 * a * omega], [2 * b, 0]])
    answer = np.array([-2 * a * omega * f[1], 0])
    with jax.enable_x64(True):
        found = sde.modified_equation(game, lr=(a, b), batch=None, update="alternating").drift(Players(theta, omega))
    np.testing.assert_allclose(flat(found), f + answer - jacobian @ f / 2, rtol=1e-12)


def test_refusals():
    game, product = games.quadratic(1.0, 1.0, 1.0, samples={"a": np.array([1.0, -1.0])}), games.toy_gan(size=4)
    x = Players(0.0, 0.0)
    cases = [
        (lambda: sde.modified_equation(game, lr=0.1, batch=2, update="momentum"), "update must be one of"),
        (lambda: sde.modified_equation(game, lr=0.1, batch=2, order=3), "order must be one of 1, 2, found 3"),
        (lambda: sde.modified_equation(game, lr=0.1, batch=2, covariance="blocks"), "covariance must be one of"),
        (lambda: sde.modified_equation(game, lr=0.1, batch=2, sampling="epoch"), "sampling must be one of"),
        (lambda: sde.modified_equation(game, lr=-0.1, batch=2), "the learning rate eta_theta must be a positive"),
        (lambda: sde.modified_equation(game, lr=0.1, batch=3), "batch=3 exceeds the game's 2 samples"),
        (lambda: sde.modified_equation(game, lr=0.1, batch=0), "batch must be an integer >= 1, found 0"),
        (lambda: sde.modified_equation(product, lr=0.1, batch=2, sampling="epochs"), "found a Product"),
        (
            lambda: sde.modified_equation(game, lr=0.1, batch=2, sampling="subsets", covariance_correction=True),
            "the covariance correction is derived for",
        ),
        (
            lambda: sde.modified_equation(game, lr=0.1, batch=2, covariance_correction=True).noise(
                x, jax.random.key(0)
            ),
            "noise without a matrix knows no covariance correction",
        ),
        (lambda: sde.square_root(jnp.ones((2, 3))), "square_root needs square matrices, found shape (2, 3)"),
        (lambda: sde.factor(jnp.ones(2)), "factor needs square matrices, found shape (2,)"),
        (lambda: batches.minibatches(100, 10), "to be written out"),
        (lambda: batches.minibatches(3, 4, replacement=False), "batch=4 exceeds the 3 samples"),
        (lambda: batches.epochs(5, 2), "the batch must divide the number of samples"),
        (lambda: batches.epochs(20, 2), "to be written out"),
    ]
    for call, message in cases:
        with pytest.raises(ValueError) as refusal:
            call()
        assert message in str(refusal.value) and "for example" in str(refusal.value), str(refusal.value)
