"""The Monte Carlo estimator: against exact errors, against plain ensembles, orders of a nonlinear game, refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gansde_lib import Players, games, gda, sde, simulate

START = Players(np.array([0.0, 0.6]), np.array([0.8, -0.3]))
TOY = games.toy_gan(size=8)


def observed(x):
    return jnp.stack([x.theta[0], x.omega[0], x.theta @ x.theta + x.omega @ x.omega, x.theta[0] * x.omega[0]])


def linear_quadratic():
    rng = np.random.default_rng(5)
    shapes = {"P": (1, 1), "C": (1, 1), "Q": (1, 1), "a": (1,), "b": (1,)}
    samples = {name: 0.6 * rng.normal(size=(6, *shape)) for name, shape in shapes.items()}
    return games.quadratic(np.eye(1), 1.2 * np.eye(1), np.eye(1), samples=samples)


def powers(x):
    flat = jnp.concatenate(x)
    return jnp.concatenate([flat, flat**2, flat[:1] * flat[1:]])


@pytest.mark.parametrize("scheme", ["weak2", "splitting"])
@pytest.mark.parametrize(("update", "shared"), [("simultaneous", True), ("alternating", False)])
def test_weak_error_of_a_game_whose_error_is_known(update, shared, scheme):
    """Order 1 at rates 0.1: five errors that are known exactly, each within four standard errors and beyond five."""
    game, start = linear_quadratic(), Players(np.array([1.0]), np.array([-0.4]))
    equation = sde.modified_equation(game, lr=0.1, batch=2, update=update, shared_batch=shared, order=1)
    chain = sde.chain_moments(game, start, lr=0.1, steps=20, batch=2, update=update, shared_batch=shared)
    exact = sde.equation_moments(equation, start, time=20)
    found = sde.weak_error(equation, powers, start, steps=20, size=8000, key=simulate.key(45), scheme=scheme)
    for estimate, moments in [(found.training, chain), (found.equation, exact)]:
        expected = np.concatenate([moments.mean, np.diag(moments.second), moments.second[0, 1:]])
        # The solver's own error, of third order in the rate, is below 1e-4 here.
        assert (np.abs(estimate.mean - expected) < 4 * estimate.error + 1e-4).all()
        assert (estimate.error < 1.5e-3).all()
    assert (np.abs(found.difference) > 5 * found.error).sum() >= 4
    np.testing.assert_allclose(found.error, np.hypot(found.training.error, found.equation.error))


@pytest.mark.parametrize("update", gda.ORDERS)
def test_controls_change_the_error_bar_and_not_the_mean(update):
    """Against plain means of 8,000 runs of training and paths of the equation; the error bars shrink fivefold."""
    options = {"lr": 0.1, "batch": 2, "update": update}
    equation = sde.modified_equation(TOY, **options)
    found = sde.weak_error(equation, observed, START, steps=20, size=8000, key=simulate.key(46))

    def end(key):
        return observed(
            jax.tree.map(lambda leaf: leaf[-1], gda.run(TOY, START, steps=20, every=20, key=key, **options))
        )

    runs = np.asarray(jax.jit(lambda: simulate.ensemble(end, size=8000, key=simulate.key(47), chunk=1000))(), float)
    paths = sde.ensemble(equation, START, steps=20, size=8000, key=simulate.key(48), scheme="splitting")
    paths = np.asarray(jax.vmap(observed)(paths), float)
    for estimate, plain in [(found.training, runs), (found.equation, paths)]:
        error = plain.std(0) / np.sqrt(len(plain))
        assert (np.abs(estimate.mean - plain.mean(0)) < 4 * np.hypot(error, estimate.error)).all()
        assert (error > 5 * estimate.error).all()


def test_weak_orders_of_a_nonlinear_game():
    """The toy GAN, alternating, B = 2: slopes 1 and 2, more than five standard errors apart; the wrong scheme is 1."""
    rates, errors = (0.2, 0.1, 0.05), {1: [], 2: [], "wrong": []}
    for eta in rates:
        training, options = None, {"steps": round(2.4 / eta), "size": 10_000, "capacity": 48}
        for name in errors:
            kind = {"order": 1} if name == 1 else {"update": "simultaneous"} if name == "wrong" else {}
            equation = sde.modified_equation(TOY, **{"lr": eta, "batch": 2, "update": "alternating"} | kind)
            key = simulate.key(49)
            found = sde.weak_error(
                equation, observed, START, key=key, training=training, update="alternating", **options
            )
            training = found.training
            errors[name].append((found.difference, found.error))
    slopes = {name: sde.order(rates, *np.swapaxes(pairs, 0, 1)) for name, pairs in errors.items()}
    for name, expected in [(1, 1), (2, 2), ("wrong", 1)]:
        assert (np.abs(slopes[name].slope - expected) < 0.2 + 3 * slopes[name].error).all(), name
    apart = (slopes[2].slope - slopes[1].slope) / np.hypot(slopes[1].error, slopes[2].error)
    assert (apart > 5).all()
    assert ((slopes[2].slope - slopes["wrong"].slope) > 5 * np.hypot(slopes[2].error, slopes["wrong"].error)).all()


def test_capacity_changes_nothing():
    equation = sde.modified_equation(linear_quadratic(), lr=0.1, batch=2, update="alternating")
    start, options = Players(np.array([1.0]), np.array([-0.4])), {"steps": 5, "size": 100, "key": jax.random.key(1)}
    few, many = (sde.weak_error(equation, powers, start, capacity=c, chunk=100, **options) for c in (None, 9))
    np.testing.assert_allclose(few.difference, many.difference, rtol=1e-3, atol=1e-6)


def test_a_diverging_run_has_no_weak_error():
    game = games.quadratic(1.0, 50.0, 1.0, samples={"C": np.array([30.0, -30.0])})
    equation = sde.modified_equation(game, lr=1.0, batch=1)
    found = sde.weak_error(equation, lambda x: x.theta, Players(1.0, 1.0), steps=60, size=60, key=jax.random.key(0))
    assert not np.isfinite(found.error) and not np.isfinite(found.difference)


def test_slopes_and_their_errors():
    """Exact powers; then noisy ones, whose slopes scatter as their standard errors say (400 fits, within a tenth)."""
    rates, rng = np.array([0.2, 0.1, 0.05]), np.random.default_rng(3)
    np.testing.assert_allclose(sde.order(rates, -3 * rates**2).slope, 2)
    exact, spread = 3 * rates**2, np.array([4e-3, 1e-3, 4e-4])
    noisy = exact[:, None] + spread[:, None] * rng.normal(size=(3, 400))
    found = sde.order(rates, noisy, np.broadcast_to(spread[:, None], noisy.shape))
    scores = (found.slope - 2) / found.error
    assert abs(scores.std() - 1) < 0.1 and abs(scores.mean()) < 0.15
    bent = sde.order([0.4, 0.2, 0.1, 0.05], [0.4 + 0.16, 0.2 + 0.04, 0.1 + 0.01, 0.05 + 0.0025])
    assert 1 < bent.slope < 1.3 and 0.01 < bent.error < 0.1


def test_refusals():
    equation = sde.modified_equation(TOY, lr=0.1, batch=2)

    def call(equation=equation, steps=3, size=60, **options):
        return lambda: sde.weak_error(
            equation, observed, START, steps=steps, size=size, key=jax.random.key(0), **options
        )

    cases = [
        (call(sde.modified_equation(TOY, lr=0.1, batch=None)), "trains with minibatches drawn with replacement"),
        (
            call(sde.modified_equation(linear_quadratic(), lr=0.1, batch=2, sampling="epochs")),
            "found batch=2 and sampling",
        ),
        (call(update="momentum"), "update must be one of"),
        (call(steps=0), "steps must be an integer >= 1"),
        (call(size=10), "size must be an integer >= 50"),
        (call(substeps=0), "substeps must be an integer >= 1"),
        (call(scheme="milstein"), "scheme must be one of"),
        (call(capacity=2), "capacity must be an integer >= 3"),
        (lambda: sde.order([0.1, 0.2], [0.1, 0.2]), "a slope needs one error per rate"),
        (lambda: sde.order([0.1, 0.2, 0.3], [0.1, 0.2]), "a slope needs one error per rate"),
    ]
    for refused, message in cases:
        with pytest.raises(ValueError) as refusal:
            refused()
        assert message in str(refusal.value) and "for example" in str(refusal.value), str(refusal.value)
