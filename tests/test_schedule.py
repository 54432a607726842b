"""Schedulers: against a plain Python version with a list for a record, in optax, in gda, compiled, mapped, refused."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gansde_lib import Players, games, gda, schedule, simulate

NOISE = {"a": np.array([2.0, -1.0, -1.0]), "b": np.array([1.0, 2.0, -3.0])}
EXACT = {"every": 10, "tolerance": 0.3, "drop": 0.5}


@pytest.fixture(autouse=True)
def _double():
    with jax.enable_x64(True):
        yield


def by_hand(gradients, positions, scatters, *, rate, every, tolerance, drop, centred, scattered):
    """The rules with lists: the rate before each step, and the ratios at the checks."""
    rates, ratios, record, seen = [], [], [], []
    for g, x, scatter in zip(gradients, positions, scatters, strict=True):
        rates.append(rate)
        centre = (np.mean(seen, axis=0) if seen else x) if centred else 0 * x
        record.append(((x - centre) @ g, rate / 2 * (scatter if scattered else g @ g)))
        seen.append(x)
        if len(record) % every == 0:
            half = np.array(record[len(record) // 2 :][-schedule.MEMORY * every // 2 :])
            ratio = half[:, 0].sum() / half[:, 1].sum()
            ratios.append(ratio)
            if abs(ratio - 1) < tolerance:
                rate, record, seen = rate * (1 - drop), [], []
    return np.array(rates), np.array(ratios)


def drive(rule, gradients, positions, scatters):
    """The rates before each step and the states after it, of a rule that is shown what it is shown."""

    def step(state, seen):
        gradient, position, scatter = seen
        update, after = rule.update(gradient, state, position, scatter=scatter)
        return after, (state.rate, update, after)

    start = rule.init(positions[0])
    return jax.jit(lambda *seen: jax.lax.scan(step, start, seen)[1])(gradients, positions, scatters)


def stream(seed, steps=1000):
    """Positions about (1, -1) and gradients that would keep them there at a rate of about 0.2."""
    rng = np.random.default_rng(seed)
    positions = rng.normal(size=(steps, 2)) + np.array([1.0, -1.0])
    gradients = 3 * rng.normal(size=(steps, 2)) + 0.8 * (positions - [1.0, -1.0])
    return gradients, positions, 18 * rng.uniform(0.5, 1.5, size=steps)


@pytest.mark.parametrize("scattered", [False, True])
@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_rules_against_lists(seed, centred, scattered):
    shown = stream(seed)
    rule = (schedule.sum_rule if scattered else schedule.exact_rule)(0.2, centred=centred, **EXACT)
    rates, updates, states = drive(rule, *shown)
    expected, ratios = by_hand(*shown, rate=0.2, centred=centred, scattered=scattered, **EXACT)
    assert 2 <= states.drops[-1] < len(ratios)  # it fell, and not at every check
    np.testing.assert_allclose(rates, expected, rtol=1e-12)
    np.testing.assert_allclose(states.ratio[9::10], ratios, rtol=1e-9)
    assert np.isnan(states.ratio[:9]).all()
    np.testing.assert_allclose(updates, -expected[:, None] * shown[0], rtol=1e-12)


def test_long_records_forget_their_start():
    """Past 2 * MEMORY half periods the ring has turned several times."""
    shown = stream(3, steps=6 * schedule.MEMORY)
    options = {"every": 2, "tolerance": 1e-9, "drop": 0.5}
    _, _, states = drive(schedule.exact_rule(0.2, **options), *shown)
    rates, ratios = by_hand(*shown, rate=0.2, centred=True, scattered=False, **options)
    assert len(ratios) > 2 * schedule.MEMORY and (rates == 0.2).all()
    np.testing.assert_allclose(states.ratio[1::2], ratios, rtol=1e-9)


def test_the_exact_relation_is_a_telescoping_sum():
    """About a fixed point both sides differ, over a whole record, by what |x|^2 has changed: an identity."""
    rule = schedule.exact_rule(0.05, every=100, tolerance=1e-12, centred=False)
    game = games.quadratic(0.5, 1.0, 0.5, samples=NOISE)
    options = {"lr": 1.0, "steps": 98, "batch": 1, "key": jax.random.key(1)}
    rule = gda.optax_rule(rule)
    path, memory = gda.run(game, Players(3.0, -2.0), update=rule, record=lambda x, memory: (x, memory), **options)
    for x, state in zip(path, memory, strict=True):
        gap = state.left[-1].sum() - state.right[-1].sum()
        np.testing.assert_allclose(gap, (x[0] ** 2 - x[-1] ** 2) / (2 * 0.05), rtol=1e-9)
        assert abs(gap) > 1


MATRIX = np.array([[-0.2, -1.0], [1.0, -0.2]])  # the field of a damped rotation, whose circles are kept by the rate
ETA = 2 * 0.2 / (0.2**2 + 1)


@pytest.mark.parametrize("order", gda.ORDERS)
def test_each_player_has_its_own_rule(order):
    """In a run, against a loop in Python with the game's matrix and the lists."""
    settings = ({"rate": ETA, **EXACT}, {"rate": 0.9 * ETA, **EXACT, "every": 6})
    rule = gda.optax_rule(Players(*(schedule.exact_rule(**own) for own in settings)), order)
    options = {"lr": 1.0, "steps": 60, "update": rule, "record": lambda x, memory: (x, memory)}
    path, memory = gda.run(games.quadratic(0.2, 1.0, 0.2), Players(1.0, 0.5), **options)
    x, gradients, positions = np.array([1.0, 0.5]), ([], []), ([], [])
    for _ in range(60):
        old = x.copy()
        for player in (1, 0):
            gradients[player].append(-(MATRIX @ (x if order == "alternating" else old))[[player]])
            positions[player].append(x[[player]])
            shown = gradients[player], positions[player], [0.0] * len(gradients[player])
            rates, _ = by_hand(*shown, centred=True, scattered=False, **settings[player])
            x[player] -= rates[-1] * gradients[player][-1][0]
    np.testing.assert_allclose([part[-1] for part in path], x, rtol=1e-9)
    assert memory.theta.drops[-1] > 0 and memory.omega.drops[-1] > 0
    assert memory.theta.rate[-1] != memory.omega.rate[-1]


def test_joint_is_a_plain_optax_loop():
    """One transformation for both, on the tree of both players' gradients."""
    x, rule = Players(jnp.array(1.0), jnp.array(0.5)), schedule.exact_rule(ETA, **EXACT)
    options = {"lr": 1.0, "steps": 50, "update": schedule.scheduled(rule, joint=True)}
    path = gda.run(games.quadratic(0.2, 1.0, 0.2), x, **options)

    @jax.jit
    def step(x, state):
        gradient = Players(0.2 * x.theta + x.omega, 0.2 * x.omega - x.theta)
        update, state = rule.update(gradient, state, x)
        return optax.apply_updates(x, update), state

    state = rule.init(x)
    for _ in range(50):
        x, state = step(x, state)
    assert state.drops > 0
    np.testing.assert_allclose(path.theta[-1], x.theta, rtol=1e-12)
    np.testing.assert_allclose(path.omega[-1], x.omega, rtol=1e-12)


def test_scheduled_without_halves_is_optax_rule():
    options = {"lr": 1.0, "steps": 30, "batch": 1, "key": jax.random.key(0)}
    game = games.quadratic(0.2, 1.0, 0.2, samples=NOISE)
    rule = Players(schedule.exact_rule(0.3, **EXACT), schedule.exact_rule(0.2, **EXACT))
    for order in gda.ORDERS:
        one = gda.run(game, Players(1.0, 0.5), update=schedule.scheduled(rule, order), **options)
        other = gda.run(game, Players(1.0, 0.5), update=gda.optax_rule(rule, order), **options)
        np.testing.assert_array_equal(one.omega, other.omega)
        np.testing.assert_array_equal(one.theta, other.theta)


def test_rules_work_in_an_optax_chain():
    """Clipping before a scheduler: the scheduler sees the clipped gradient."""
    rule = optax.chain(optax.clip(0.5), schedule.exact_rule(0.1, every=2))
    x = jnp.array([1.0, 2.0])
    update, state = rule.update(jnp.array([3.0, 0.2]), rule.init(x), x)
    np.testing.assert_allclose(update, [-0.05, -0.02])
    np.testing.assert_allclose(state[1].right[0], 0.05 * (0.25 + 0.04))


def test_halves_estimate_the_covariance_of_the_mean():
    """The mean of the scatter is the trace of the covariance of the gradient that is used, within 4 standard errors."""
    game, x, batch = games.quadratic(0.2, 1.0, 0.2, samples=NOISE), Players(1.0, 0.5), 3
    seen = optax.GradientTransformationExtraArgs(
        lambda params: (jnp.zeros(()), jnp.zeros(())),
        lambda gradient, state, params, scatter: (jnp.zeros(()), (gradient, scatter)),
    )
    rule, field = schedule.scheduled(seen, halves=True), gda.stochastic_field(game, batch=batch)

    def once(key):
        return rule.step(field, game.check(x), rule.init(x), lr=Players(1.0, 1.0), key=key)[1]

    size = 20_000
    found = jax.jit(lambda key: simulate.ensemble(once, size=size, key=key, chunk=size))(jax.random.key(3))
    for (gradient, scatter), samples in zip(found, NOISE.values(), strict=True):
        trace = samples.var() / (2 * batch)
        for values in (scatter, (gradient - gradient.mean()) ** 2):
            assert abs(values.mean() - trace) < 4 * values.std() / size**0.5 < 0.05 * trace


def test_clocks():
    step = np.arange(31)
    expected = {
        schedule.fixed(0.1): np.full(31, 0.1),
        schedule.cosine(0.1, 20): 0.05 * (1 + np.cos(np.pi * np.minimum(step, 20) / 20)),
        schedule.inverse_time(0.1, after=10, decay=2.0): 0.1 / (1 + 0.2 * np.maximum(step - 10, 0)),
        schedule.clocked(0.1, lambda k, base: base**k, 0.9): 0.1 * 0.9**step,
    }
    for rule, rates in expected.items():
        options = {"lr": 1.0, "steps": 30, "update": gda.optax_rule(rule)}
        path, state = gda.run(games.bilinear(1.0), Players(1.0, 0.0), record=lambda x, memory: (x, memory), **options)
        np.testing.assert_allclose(state.omega.rate, rates, rtol=1e-12, atol=1e-17)
        np.testing.assert_allclose(np.diff(path.omega), rates[:-1] * path.theta[:-1], rtol=1e-9)


def test_cosine_is_that_of_optax():
    ours = schedule.cosine(0.1, 20)
    theirs = optax.sgd(optax.cosine_decay_schedule(0.1, 20))
    state, other, x = ours.init(jnp.ones(2)), theirs.init(jnp.ones(2)), jnp.ones(2)
    for _ in range(25):
        update, state = ours.update(x, state, x)
        expected, other = theirs.update(x, other, x)
        np.testing.assert_allclose(update, expected, rtol=1e-6, atol=1e-12)


def test_numbers_compile_nothing_again():
    """Rates, tolerances, periods, drops are leaves of the rule; it may be mapped over them."""
    traced = []

    @jax.jit
    def play(rule):
        traced.append(rule)
        return gda.run(games.bilinear(1.0), Players(1.0, 0.0), lr=1.0, steps=20, update=rule)

    for rate, every in ((0.1, 10), (0.2, 4)):
        play(gda.optax_rule(schedule.exact_rule(rate, every=every, tolerance=rate, drop=rate)))
        play(schedule.scheduled(schedule.cosine(rate, 10 * every)))
    assert len(traced) == 2
    rates = jnp.array([0.1, 0.2, 0.3])
    paths = jax.vmap(lambda rate: play(gda.optax_rule(schedule.exact_rule(rate, every=10))))(rates)
    single = play(gda.optax_rule(schedule.exact_rule(0.2, every=10)))
    np.testing.assert_allclose(paths.theta[1], single.theta, rtol=1e-12)


def test_optax_rules_with_numbers_or_without():
    """What `gda.optax_rule` takes: functions, as before, and two transformations."""
    game, x = games.bilinear(1.0), Players(1.0, 0.0)
    pair = gda.optax_rule(Players(optax.sgd(0.5), optax.sgd(0.25)))
    path = gda.run(game, x, lr=0.2, steps=10, update=pair)
    plain = gda.run(game, x, lr=(0.1, 0.05), steps=10)
    np.testing.assert_allclose(path.theta, plain.theta, rtol=1e-12)
    np.testing.assert_allclose(path.omega, plain.omega, rtol=1e-12)


def test_single_precision_and_trees():
    x = {"weight": jnp.ones((3, 2), jnp.float32), "bias": jnp.zeros(2, jnp.float32)}
    with jax.enable_x64(False):
        rule = schedule.exact_rule(0.1, every=2)
        state = rule.init(x)
        for _ in range(4):
            update, after = rule.update(x, state, x)
            assert jax.tree.map(jnp.result_type, after) == jax.tree.map(jnp.result_type, state)
            state = after
        assert update["weight"].dtype == jnp.float32


def test_a_diverging_run_keeps_its_rate():
    rule = schedule.scheduled(schedule.exact_rule(0.9, every=10, tolerance=0.1), joint=True)
    options = {"lr": 1.0, "steps": 4000, "record": lambda x, memory: memory}
    state = gda.run(games.quadratic(-1.0, 1.0, -1.0), Players(1.0, 0.0), update=rule, **options)
    assert state.drops[-1] == 0 and state.rate[-1] == 0.9 and np.isnan(state.ratio[-1])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: schedule.exact_rule(0.0), "rate must be a positive"),
        (lambda: schedule.exact_rule(0.1, tolerance=-1.0), "tolerance must be a positive"),
        (lambda: schedule.exact_rule(0.1, drop=1.0), "drop must lie between 0 and 1, found 1.0"),
        (lambda: schedule.exact_rule(0.1, drop=0.0), "drop must be a positive"),
        (lambda: schedule.sum_rule(0.1, every=3), "every must be an even number of steps >= 2, found 3"),
        (lambda: schedule.sum_rule(0.1, every=0), "every must be an even number of steps >= 2, found 0"),
        (lambda: schedule.exact_rule(0.1).update(1.0, schedule.exact_rule(0.1).init(1.0)), "needs the parameters"),
        (lambda: schedule.sum_rule(0.1).update(1.0, schedule.sum_rule(0.1).init(1.0), 1.0), "found scatter=None"),
        (lambda: schedule.fixed(-1), "rate must be a positive"),
        (lambda: schedule.cosine(0.1, 0), "steps must be a positive"),
        (lambda: schedule.inverse_time(0.1, after=-1, decay=1.0), "after must be a finite number >= 0"),
        (lambda: schedule.scheduled("sgd"), "transformation must be an optax.GradientTransformation, found 'sgd'"),
        (lambda: schedule.scheduled(schedule.fixed(0.1), "both"), "order must be one of"),
        (lambda: schedule.scheduled(schedule.fixed(0.1), "alternating", joint=True), "joint needs one transformation"),
        (lambda: schedule.scheduled(Players(*2 * [schedule.fixed(0.1)]), joint=True), "joint needs one transformation"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message) as error:
        call()
    assert "for example" in str(error.value)
