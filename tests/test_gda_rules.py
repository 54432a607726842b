"""Every rule against an independent NumPy version; draws, types, pytrees, compilation, cost and refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.flatten_util import ravel_pytree

from gansde_lib import Game, Players, games, gda

P = np.array([[0.5, 0.1], [0.1, 0.8]])
C = np.array([[1.0, -0.3, 0.4], [0.2, 0.9, -0.5]])
Q = np.diag([0.3, 0.6, 0.2]) + 0.05
A = np.block([[-P, -C], [C.T, -Q]])
RATES = (0.3, 0.2)
S = np.diag([0.3, 0.3, 0.2, 0.2, 0.2])
START = np.array([1.0, -0.5, 0.3, 0.7, -0.2])
OMEGA_FIRST = (slice(2, 5), slice(0, 2))


def name(value):
    """A short name for a test's parameter."""
    return value if isinstance(value, str) else type(value).__name__ + getattr(value, "order", "")


def in_order(order, update):
    """One step of `update(x, part)`, which returns the new x[part], for all at once or for omega first."""

    def step(x):
        if order == "simultaneous":
            return np.concatenate([update(x, part) for part in reversed(OMEGA_FIRST)])
        x = x.copy()
        for part in OMEGA_FIRST:
            x[part] = update(x, part)
        return x

    return step


def with_velocity(beta, order):
    velocity = np.zeros(5)

    def update(x, part):
        velocity[part] = beta * velocity[part] + (A @ x)[part]
        return x[part] + S.diagonal()[part] * velocity[part]

    return in_order(order, update)


def optimism():
    past = np.zeros(5)

    def step(x):
        nonlocal past
        force = A @ x
        x, past = x + S @ (2 * force - past), force
        return x

    return step


def adams(order, beta1=0.5, beta2=0.9, epsilon=1e-3):
    m, v, count = np.zeros(5), np.zeros(5), np.zeros(5)

    def update(x, part):
        gradient = -(A @ x)[part]
        count[part] += 1
        m[part] = beta1 * m[part] + (1 - beta1) * gradient
        v[part] = beta2 * v[part] + (1 - beta2) * gradient**2
        hat = m[part] / (1 - beta1 ** count[part])
        return x[part] - S.diagonal()[part] * hat / (np.sqrt(v[part] / (1 - beta2 ** count[part])) + epsilon)

    return in_order(order, update)


def sga(x, strength=0.4, align=True):
    xi, jacobian = -A @ x, -A  # in the notation of Balduzzi et al.
    antisymmetric, energy = (jacobian - jacobian.T) / 2, jacobian.T @ xi
    adjustment = antisymmetric.T @ xi
    sign = np.sign((xi @ energy) * (adjustment @ energy) / x.size + 0.1) if align else 1
    return x - S @ (xi + sign * strength * adjustment)


def direction(x, part):
    force = (A @ x)[part]
    return x[part] + S.diagonal()[part] * force / np.linalg.norm(force)


REFERENCES = {
    "simultaneous": lambda: lambda x: x + S @ A @ x,
    "alternating": lambda: in_order("alternating", lambda x, part: (x + S @ A @ x)[part]),
    "extragradient": lambda: lambda x: x + S @ A @ (x + S @ A @ x),
    "optimistic": optimism,
    "consensus": lambda: lambda x: x + S @ (A @ x - A.T @ A @ x),
    "symplectic": lambda: lambda x: sga(x, 1.0),
    "implicit": lambda: lambda x: np.linalg.solve(np.eye(5) - S @ A, x),
    "momentum": lambda: with_velocity(-0.5, "alternating"),
    "normalised": lambda: in_order("alternating", direction),
    gda.consensus(0.3): lambda: lambda x: x + S @ (A @ x - 0.3 * A.T @ A @ x),
    gda.symplectic(0.4, align=False): lambda: lambda x: sga(x, 0.4, align=False),
    gda.momentum(0.4, "simultaneous"): lambda: with_velocity(0.4, "simultaneous"),
    gda.normalised("simultaneous"): lambda: in_order("simultaneous", direction),
    gda.adam(0.5, 0.9, 1e-3): lambda: adams("simultaneous"),
    gda.adam(0.5, 0.9, 1e-3, "alternating"): lambda: adams("alternating"),
}


@pytest.mark.parametrize(("update", "reference"), REFERENCES.items(), ids=name)
def test_every_rule_agrees_with_numpy(update, reference):
    """Twelve steps of a quadratic game, two and three dimensions, with two rates."""
    step, expected = reference(), [START]
    for _ in range(12):
        expected.append(step(expected[-1]))
    with jax.enable_x64(True):
        path = gda.run(games.quadratic(P, C, Q), Players(START[:2], START[2:]), lr=RATES, steps=12, update=update)
        found = np.hstack([path.theta, path.omega])
    assert np.ptp(found[:, 0]) > 0.1  # something moved
    np.testing.assert_allclose(found, expected, atol=1e-7 if update == "implicit" else 1e-12)


def test_symplectic_adjustment_turns_around_where_the_alignment_is_negative():
    """At an unstable point far from rest the sign of lambda is negative; ignoring it gives another step."""
    game, x, size = games.quadratic(-1.0, 2.0, -1.0), np.array([10.0, 0.0]), 0.1
    field = np.array([[1.0, -2.0], [2.0, 1.0]])
    xi, jacobian = -field @ x, -field
    adjustment = (jacobian - jacobian.T).T @ xi / 2
    assert (xi @ jacobian.T @ xi) * (adjustment @ jacobian.T @ xi) / 2 + 0.1 < 0
    path = gda.run(game, Players(*x), lr=size, steps=1, update="symplectic")
    np.testing.assert_allclose([path.theta[1], path.omega[1]], x - size * (xi - adjustment), rtol=1e-6)


def test_consensus_field_of_the_dirac_gan_by_finite_differences():
    """The correction is minus the gradient of half the squared field, which is (-0.02340, -0.08865) at (1.3, 0.9)."""

    def energy(theta, omega):
        slope = 1 / (1 + np.exp(theta * omega))
        return (omega**2 + theta**2) * slope**2 / 2

    with jax.enable_x64(True):
        game, x, h = games.dirac(), Players(jnp.array(1.3), jnp.array(0.9)), 1e-6
        plain, bent = (gda.run(game, x, lr=1.0, steps=1, update=u) for u in ("simultaneous", gda.consensus(1.0)))
        gradient = [float(a[1] - b[1]) for a, b in zip(plain, bent, strict=True)]
    differences = [
        (energy(1.3 + h, 0.9) - energy(1.3 - h, 0.9)) / (2 * h),
        (energy(1.3, 0.9 + h) - energy(1.3, 0.9 - h)) / (2 * h),
    ]
    np.testing.assert_allclose(gradient, differences, rtol=1e-8)
    np.testing.assert_allclose(gradient, [-0.02340, -0.08865], atol=5e-6)


def noisy(x, key):
    """A field that is its draw, the same for both players."""
    return Players(*2 * (jax.random.normal(key),))


@pytest.mark.parametrize("update", [*gda.RULES, gda.adam(), gda.momentum(0.5, "simultaneous")], ids=name)
def test_players_of_one_step_see_the_same_draw(update):
    """With equal keys giving equal draws, both players move alike, whatever the order."""
    rule, x = gda.rule(update), Players(jnp.zeros(()), jnp.zeros(()))
    moved, _ = rule.step(noisy, x, rule.init(x), lr=gda.rates(0.5), key=jax.random.key(3))
    assert moved.theta == moved.omega != 0


def test_batches_of_extragradient():
    """One draw: the step is that draw. Two: the step is another one, but the trial still used the first."""
    key, x = jax.random.key(3), Players(jnp.zeros(()), jnp.zeros(()))

    def trial_counts(x, key):
        return Players(x.theta + jax.random.normal(key), jnp.zeros(()))

    def step(rule):
        return rule.step(trial_counts, x, (), lr=gda.rates(0.5), key=key)[0].theta

    one, two = jax.random.normal(key), jax.random.normal(jax.random.fold_in(key, 1))
    np.testing.assert_allclose(step(gda.extragradient()), 0.5 * (0.5 * one + one), rtol=1e-6)
    np.testing.assert_allclose(step(gda.extragradient(same_batch=False)), 0.5 * (0.5 * one + two), rtol=1e-6)


def test_batches_of_the_corrected_rules():
    """Field and derivative of one draw: with F = s x the consensus step is s x - gamma s^2 x for that same s."""
    key = jax.random.key(5)

    def scaled(x, key):
        return jax.tree.map(lambda leaf: jax.random.normal(key) * leaf, x)

    x, s = Players(jnp.ones(()), jnp.ones(())), jax.random.normal(key)
    moved, _ = gda.consensus(0.5).step(scaled, x, (), lr=gda.rates(1.0), key=key)
    np.testing.assert_allclose(moved.theta, 1 + s - 0.5 * s**2, rtol=1e-6)


def test_momentum_zero_is_the_plain_rule():
    for order in gda.ORDERS:
        both = [
            gda.run(games.dirac(), Players(1.0, 0.5), lr=RATES, steps=20, update=update)
            for update in (order, gda.momentum(0.0, order))
        ]
        np.testing.assert_allclose(both[0].omega, both[1].omega, rtol=1e-6)


EVERY = [*gda.RULES, gda.adam(), gda.averaged("momentum", 0.9), gda.averaged(gda.adam())]


@pytest.mark.parametrize("update", EVERY, ids=name)
@pytest.mark.parametrize("double", [False, True])
def test_types_are_kept(update, double):
    with jax.enable_x64(double):
        dtype = np.float64 if double else np.float32
        rule, x = gda.rule(update), Players(np.ones(2, dtype), np.ones(3, dtype))
        path, memory = gda.run(
            games.quadratic(P, C, Q), x, lr=RATES, steps=3, update=update, record=lambda x, memory: (x, memory)
        )
        assert {leaf.dtype for leaf in path} == {np.dtype(dtype)}
        assert jax.tree.map(jnp.shape, rule.init(x)) == jax.tree.map(lambda leaf: leaf.shape[1:], memory)
        assert all(leaf.dtype in (dtype, np.int32) for leaf in jax.tree.leaves(memory))


@pytest.mark.parametrize("update", EVERY, ids=name)
def test_players_may_be_pytrees(update):
    """The quadratic game with its vectors cut into layers, as networks have them, takes the same steps."""

    def payoff(theta, omega, sample):
        theta = jnp.concatenate([theta["weight"], theta["bias"][None]])
        omega = jnp.concatenate(list(omega))
        return theta @ P @ theta / 2 + theta @ C @ omega - omega @ Q @ omega / 2

    with jax.enable_x64(True):
        layers = Players(
            {"weight": START[:1], "bias": jnp.asarray(START[1])}, (jnp.asarray(START[2:4]), jnp.asarray(START[4:]))
        )
        found = gda.run(Game(payoff, np.zeros(1)), layers, lr=RATES, steps=8, update=update)
        path = gda.run(games.quadratic(P, C, Q), Players(START[:2], START[2:]), lr=RATES, steps=8, update=update)
        np.testing.assert_allclose(found.theta["bias"], path.theta[:, 1], atol=1e-7)
        np.testing.assert_allclose(found.omega[0], path.omega[:, :2], atol=1e-7)


@pytest.mark.parametrize("update", EVERY, ids=name)
def test_rates_can_be_mapped(update):
    grid = jnp.array([0.05, 0.1, 0.3])

    def end(eta):
        path = gda.run(games.toy_gan(), Players([0.5, 0.1], [0.2, 0.0]), lr=(eta, 2 * eta), steps=20, update=update)
        return ravel_pytree(jax.tree.map(lambda leaf: leaf[-1], path))[0]

    np.testing.assert_allclose(jax.vmap(end)(grid), np.stack([end(eta) for eta in grid]), rtol=2e-4, atol=1e-5)


@pytest.mark.parametrize(
    "build",
    [
        lambda k: gda.momentum(-0.1 * k),
        lambda k: gda.consensus(0.1 * k),
        lambda k: gda.symplectic(0.1 * k),
        lambda k: gda.averaged("optimistic", decay=0.1 * k),
        lambda k: gda.implicit(tolerance=1e-4 * (k + 1)),
        lambda k: gda.adam(0.5),
    ],
)
def test_numbers_do_not_compile_again(build):
    from gansde_lib.gda.training import _run

    before = _run._cache_size()
    for k in range(1, 4):
        gda.run(games.dirac(penalty=0.1 * k), Players(1.0, 0.1 * k), lr=(0.1, 0.1 * k), steps=9, update=build(k))
    assert _run._cache_size() == before + 1


def test_rules_are_different_structures():
    """Or else `jax.jit` may take the program of one for another, as happened to dataclasses with equal settings."""
    structures = [jax.tree.structure(gda.rule(update)) for update in EVERY]
    assert all(a != b for i, a in enumerate(structures) for b in structures[:i])
    assert jax.tree.structure(gda.momentum(0.1)) == jax.tree.structure(gda.momentum(0.2))


@pytest.mark.parametrize("order", gda.ORDERS)
@pytest.mark.parametrize("build", [optax.adam, optax.rmsprop, lambda lr: optax.sgd(lr, 0.9, True), optax.adamw])
def test_optax_rules_against_optax(build, order):
    """A game that is two separate minimisations: each player follows optax used directly, rate included."""
    theta_loss, omega_loss = (lambda t: jnp.sum(jnp.cosh(t - 1))), (lambda o: jnp.sum((o + 2) ** 4))
    game = Game(lambda theta, omega, sample: theta_loss(theta) - omega_loss(omega), np.zeros(1))
    start = Players(jnp.array([0.3, -1.0]), jnp.array([0.5]))
    path = gda.run(game, start, lr=RATES, steps=30, update=gda.optax_rule(build(1.0), order))
    for found, loss, rate, x in zip(path, (theta_loss, omega_loss), RATES, start, strict=True):
        solver = build(rate)
        state = solver.init(x)
        for _ in range(30):
            updates, state = solver.update(jax.grad(loss)(x), state, x)
            x = optax.apply_updates(x, updates)
        np.testing.assert_allclose(found[-1], x, rtol=2e-4)


def test_alternating_adam_shows_theta_the_new_omega():
    """The first step of Adam has the length of the rate; theta's is along its gradient at the new omega."""
    path = gda.run(
        games.bilinear(1.0), Players(1.0, -0.1), lr=(0.1, 0.3), steps=1, update=gda.adam(order="alternating")
    )
    np.testing.assert_allclose([path.theta[1], path.omega[1]], [0.9, 0.2], rtol=1e-5)


def test_adam_at_rest_is_momentum_with_a_huge_rate():
    """Far below epsilon Adam decays like momentum(beta1) at eta (1 - beta1) / epsilon; with epsilon = 1 it is seen."""
    game, eta, beta1 = games.quadratic(0.5, 1.0, 0.5), 0.4, 0.3
    with jax.enable_x64(True):
        path = gda.run(game, Players(1e-6, 0.0), lr=eta, steps=400, update=gda.adam(beta1, 0.9, 1.0))
        slope = np.polyfit(np.arange(200, 401), np.log(np.hypot(path.theta, path.omega))[200:], 1)[0]
        twin = gda.momentum(beta1, "simultaneous")
        radius = gda.spectral_radius(game, Players(0.0, 0.0), lr=eta * (1 - beta1), update=twin)
    assert abs(slope / np.log(radius) - 1) < 2e-3


def test_averages_of_a_path():
    rng = np.random.default_rng(0)
    path = Players(rng.normal(size=(50, 2)), rng.normal(size=(50,)))
    with jax.enable_x64(True):
        mean, moving = gda.iterate_average(path), gda.ema(path, 0.8)
    np.testing.assert_allclose(mean.theta, np.cumsum(path.theta, 0) / np.arange(1, 51)[:, None], rtol=1e-12)
    weights = 0.2 * 0.8 ** np.arange(49, -1, -1)
    weights[0] *= 5  # the start keeps what has not yet been forgotten
    np.testing.assert_allclose(moving.omega[-1], weights @ path.omega, rtol=1e-12)


@pytest.mark.parametrize("decay", [None, 0.9])
def test_averaged_rules_train_as_before_and_record_the_average(decay):
    options = {"lr": 0.1, "steps": 40, "batch": 4, "key": jax.random.key(0), "every": 2}
    start = Players([0.5, 0.1], [0.2, 0.0])
    plain = gda.run(games.toy_gan(), start, update="momentum", **options | {"every": 1})
    rule = gda.averaged("momentum", decay)
    averages = gda.run(games.toy_gan(), start, update=rule, **options)
    iterates, again = gda.run(games.toy_gan(), start, update=rule, record=lambda x, m: (x, m.average), **options)
    expected = gda.iterate_average(plain) if decay is None else gda.ema(plain, decay)
    np.testing.assert_allclose(iterates.theta, plain.theta[::2], rtol=1e-6)
    for found in (averages, again):
        np.testing.assert_allclose(found.omega, expected.omega[::2], rtol=1e-4, atol=1e-6)


def test_the_average_of_neutral_orbits_converges_like_one_over_k():
    """Alternating steps of a bilinear game stay on an ellipse; the average of k of them is O(1/k) from the centre."""
    with jax.enable_x64(True):
        path = gda.run(games.bilinear(1.0), Players(1.0, 0.0), lr=0.1, steps=20_000, update=gda.averaged("alternating"))
    scaled = np.hypot(path.theta, path.omega) * np.arange(1, 20_002)
    assert scaled.max() < 25 and scaled[-700:].max() > 10  # bounded, and not converging faster


def test_implicit_steps_solve_their_equation():
    """On a nonlinear game, at a rate far beyond the explicit limit."""
    with jax.enable_x64(True):
        game, x = games.toy_gan(), Players(np.array([0.5, 0.1]), np.array([0.2, 0.0]))
        path = gda.run(game, x, lr=(2.0, 3.0), steps=5, update=gda.implicit(1e-10))
        for k in range(5):
            old, new = (Players(path.theta[i], path.omega[i]) for i in (k, k + 1))
            force = game.field(new)
            np.testing.assert_allclose(new.theta, old.theta + 2.0 * force.theta, atol=1e-8)
            np.testing.assert_allclose(new.omega, old.omega + 3.0 * force.omega, atol=1e-8)


def test_the_derivative_of_an_implicit_step_is_that_of_its_equation():
    """At an equilibrium Newton has nothing to do; the derivative is nevertheless (I - S A)^-1."""
    with jax.enable_x64(True):
        found = gda.jacobian(games.quadratic(P, C, Q), Players(np.zeros(2), np.zeros(3)), lr=RATES, update="implicit")
    np.testing.assert_allclose(found, np.linalg.inv(np.eye(5) - S @ A), atol=1e-7)


def test_an_unsolved_implicit_step_is_not_a_number():
    """One Newton step does not solve a cubic equation: the run says so, and stays NaN."""
    game = Game(lambda theta, omega, sample: theta**4 / 4 - omega**2, np.zeros(1))
    options = {"lr": 10.0, "steps": 3}
    solved = gda.run(game, Players(1.0, 1.0), update="implicit", **options)
    failed = gda.run(game, Players(1.0, 1.0), update=gda.implicit(iterations=1), **options)
    theta = solved.theta[1]
    np.testing.assert_allclose(theta + 10 * theta**3, 1.0, rtol=1e-3)
    assert np.isfinite(failed.theta[0]) and np.isnan(failed.theta[1:]).all() and gda.diverged_at(failed) == 1


def test_newton_needs_one_iteration_on_a_linear_game():
    with jax.enable_x64(True):
        x = Players(jnp.asarray(START[:2]), jnp.asarray(START[2:]))
        field = gda.stochastic_field(games.quadratic(P, C, Q))

        def residual(y):
            return jax.tree.map(lambda new, old, f: new - old - 0.3 * f, y, x, field(y, None))

        y, reached, count = gda.Implicit().newton(residual, x, 1e-6)
        assert reached and count == 1
        np.testing.assert_allclose(ravel_pytree(residual(y))[0], 0, atol=1e-7)


COSTS = {
    "simultaneous": 1,
    "alternating": 1,
    "extragradient": 2,
    "optimistic": 1,
    "consensus": 2,
    "symplectic": 3,
    "momentum": 1,
    "normalised": 1,
    gda.adam(): 1,
}


@pytest.mark.parametrize(("update", "expected"), COSTS.items(), ids=name)
def test_cost_of_a_step(update, expected):
    """Operations of the compiled step over those of one field, where matrix products dominate."""
    assert abs(gda.cost(update) - expected) < 0.1


def test_refusals():
    cases = [
        (lambda: gda.momentum(1.0), "beta must lie between -1 and 1, found 1.0"),
        (lambda: gda.momentum(-0.5, "omega first"), "order must be one of 'simultaneous', 'alternating'"),
        (lambda: gda.normalised("both"), "order must be one of"),
        (lambda: gda.adam(order="both"), "order must be one of"),
        (lambda: gda.optax_rule("adam"), "transformation must be an optax.GradientTransformation, found 'adam'"),
        (lambda: gda.consensus(-1.0), "strength must be a finite number >= 0, found -1.0"),
        (lambda: gda.symplectic(np.inf), "strength must be a finite number >= 0"),
        (lambda: gda.cost("implicit"), "the cost of an implicit step depends on the game"),
        (lambda: gda.implicit(0.0), "tolerance must be a positive"),
        (lambda: gda.implicit(iterations=0), "iterations must be an integer >= 1"),
        (lambda: gda.ema(np.ones(3), 1.0), "decay must be a number in [0, 1), found 1.0"),
        (lambda: gda.averaged("adversarial"), "update must be one of"),
        (lambda: gda.averaged("momentum", -0.1), "decay must be a number in [0, 1), found -0.1"),
    ]
    for call, message in cases:
        with pytest.raises(ValueError) as refusal:
            call()
        assert message in str(refusal.value) and "for example" in str(refusal.value)
