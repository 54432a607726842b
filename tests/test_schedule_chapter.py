"""Claims of the chapter on learning rates about noise, the toy game and the digits, in smaller runs of their own."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import scipy.linalg

from gansde_lib import Players, games, gda, neural, schedule, simulate

DAMPING, COUPLING = 0.2, 1.0
EDGE = 2 * DAMPING / (DAMPING**2 + COUPLING**2)
MATRIX = np.array([[-DAMPING, -COUPLING], [COUPLING, -DAMPING]])


def test_stopping_near_the_minimum():
    """The feedback min(1, k x^2 / noise) beats every schedule that does not look, more so for larger k."""
    best = float(schedule.optimal(curvature=1.0, noise=0.2, loss=1.125).loss_at(10.0))
    rng, dt, steps, losses = np.random.default_rng(0), 0.01, 1000, []
    for strength in (0.5, 1.0, 2.0):
        x = np.full(20_000, 1.5)
        for _ in range(steps):
            share = np.minimum(1, strength * x**2 / 0.2)
            x += share * (-dt * x + np.sqrt(0.2 * dt) * rng.standard_normal(x.size))
        loss = x**2 / 2
        losses.append((loss.mean(), loss.std() / x.size**0.5))
    means, errors = np.transpose(losses)
    assert (np.diff(means) < -4 * errors[1:]).all()
    assert means[1] + 4 * errors[1] < 0.5 * best


def test_the_sum_rule_is_biased():
    """By 1 / (1 - eta / eta_max), from the stationary covariance by Lyapunov's equation and from many short chains."""
    eta, size = 0.5 * EDGE, 400
    step = np.eye(2) + eta * MATRIX
    covariance = scipy.linalg.solve_discrete_lyapunov(step, eta**2 * np.eye(2))
    np.testing.assert_allclose(-np.trace(MATRIX @ covariance) / (eta / 2 * 2), 2, rtol=1e-12)
    rule = schedule.scheduled(schedule.sum_rule(eta, every=2000, tolerance=1e-9), joint=True, halves=True)

    def field(x, key):
        kick = jnp.sqrt(2.0) * jax.random.normal(key, (2,))
        return Players(*(jnp.asarray(MATRIX, jnp.float32) @ jnp.stack(x) + kick))

    def once(key):
        start = Players(jnp.float32(0), jnp.float32(0))
        state = start, rule.init(start)
        path = simulate.trajectory(
            lambda state, key: rule.step(field, *state, lr=Players(1.0, 1.0), key=key), state, steps=2000, key=key,
            every=2000,
        )  # fmt: skip
        return path[1].left[-1][1], path[1].right[-1][1]  # the sums over the last half

    left, right = map(
        np.asarray, jax.jit(lambda key: simulate.ensemble(once, size=size, key=key, chunk=size))(jax.random.key(5))
    )
    ratio = left.sum() / right.sum()
    error = (left - ratio * right).std() / right.mean() / size**0.5
    assert abs(ratio - 2) < 4 * error < 0.1


def test_rules_on_the_toy_game():
    """64 runs: the sum rule is silent, the centred exact rule fires and ends nearer, a cosine nearer yet."""
    game, rate, steps, size = games.toy_gan(), 0.1, 6144, 64
    saddle = jnp.array([0.86652, -0.13996, -0.37352, 0.39620])
    rules = {
        "sum": schedule.scheduled(schedule.sum_rule(rate, every=512), joint=True, halves=True),
        "exact": schedule.scheduled(schedule.exact_rule(rate, every=512), joint=True, halves=True),
        "cosine": schedule.scheduled(schedule.cosine(rate, steps), joint=True, halves=True),
    }
    field, x0 = gda.stochastic_field(game, batch=2), Players(jnp.full(2, 0.5), jnp.zeros(2))

    @jax.jit
    def play(rules, key):
        def once(key):
            def step(k, carry):
                states, late = carry
                now = jax.random.fold_in(key, k)
                moved = {n: r.step(field, *states[n], lr=Players(1.0, 1.0), key=now) for n, r in rules.items()}
                gaps = {n: ((jnp.concatenate(x) - saddle) ** 2).sum() for n, (x, _) in moved.items()}
                return moved, {n: late[n] + jnp.where(k >= 0.9 * steps, gaps[n], 0) for n in rules}

            start = {n: (x0, r.init(x0)) for n, r in rules.items()}
            states, late = jax.lax.fori_loop(0, steps, step, (start, dict.fromkeys(rules, jnp.float32(0))))
            return late, {n: states[n][1].drops for n in ("sum", "exact")}

        return simulate.ensemble(once, size=size, key=key, chunk=size)

    late, drops = jax.device_get(play(rules, jax.random.key(7)))
    for worse, better in (("sum", "exact"), ("exact", "cosine")):
        gap = late[worse] - late[better]
        assert gap.mean() > 4 * gap.std() / size**0.5
    assert drops["sum"].mean() + 4 * drops["sum"].std() / size**0.5 < 1
    assert drops["exact"].mean() - 4 * drops["exact"].std() / size**0.5 > 1


def test_on_the_digits_nothing_settles():
    """Eight seeds, 320 steps: the exact rule never fires; a cosine ends at a larger kernel distance."""
    real, held_out = np.float32(neural.digits()[::2]), np.float32(neural.digits()[1::2])
    steps, size = 320, 8
    latent = jax.random.normal(jax.random.key(1), (400, 10))

    @jax.jit
    def play(bends, real, key):
        def once(bend, seed):
            game_key, run_key = jax.random.split(jax.random.fold_in(key, seed))
            game, x0 = neural.digits_gan(penalty=1.0, real=real, key=game_key)
            rule = optax.chain(
                schedule.exact_rule(0.2, every=50, tolerance=0.1),
                optax.scale_by_schedule(lambda k: 1 - bend * (1 - jnp.cos(jnp.pi * k / steps)) / 2),
            )
            return gda.run(
                game, x0, lr=1.0, steps=steps, every=steps, batch=32, key=run_key,
                update=gda.optax_rule(rule, "alternating"),
                record=lambda x, memory: (x.theta, jnp.stack([own[0].drops for own in memory])),
            )  # fmt: skip

        found = jax.vmap(lambda bend: jax.vmap(lambda seed: once(bend, seed))(jnp.arange(size)))(bends)
        return jax.tree.map(lambda leaf: leaf[:, :, -1], found)

    @jax.jit
    def judge(thetas, held_out):
        return jax.lax.map(lambda theta: neural.mmd(neural.generate(theta, latent), held_out, bandwidth=6.0), thetas)

    thetas, drops = play(jnp.array([0.0, 1.0]), real, jax.random.key(3))
    assert (drops[0] == 0).all()
    flat = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), thetas)
    fixed, cosine = np.asarray(judge(flat, held_out)).reshape(2, size)
    gap = cosine - fixed
    assert gap.mean() > 4 * gap.std(ddof=1) / size**0.5
