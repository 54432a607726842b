"""Adversarial training: the verdict, what flips it, and both halves against ascent by hand and simulated training."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.interpolate

from gansde_lib import evidence, sde, simulate
from gansde_lib.neighbours import adversarial_training


def failing(found):
    return {name.removeprefix("adversarial-training-") for name in evidence.failed(found.parts)}


def test_the_verdict_and_what_flips_it():
    """With the adversary's term as derived all holds; without it the equation is of first order only."""
    found = adversarial_training.replication(adversarial_training.measure(key=simulate.key(900)))
    assert found.verdict == "reproduced" and not failing(found)
    for sign in (0.0, 0.5):
        measured = adversarial_training.measure(key=simulate.key(900), runs=100, sign=sign)
        broken = adversarial_training.replication(measured)
        assert broken.verdict == "reproduced in part" and failing(broken) == {"order"}


def test_a_wrong_order_of_rates_loses():
    """The control played backwards in its own place fails its part."""
    measured = adversarial_training.measure(key=simulate.key(900), runs=100)
    swapped = measured._replace(excess=measured.excess[[1, 0, *range(2, len(measured.excess))]])
    assert failing(adversarial_training.replication(swapped)) == {"schedule", "reversed"}
    assert not np.isfinite(measured.excess[-1]).all()  # the full rate diverges
    assert 0 < np.nanargmin(measured.excess[2:].mean(1)) < 8  # the best constant is not at an end of the list


def test_the_gradient_by_hand():
    """Two steps of ascent written out; without steps it is the plain gradient."""
    theta, x, y = np.array([0.7, -0.4]), np.array([1.2, 0.3]), 0.5
    delta = np.zeros(2)
    for _ in range(2):
        delta = delta + 0.1 * ((theta @ (x + delta) - y) * theta - 0.8 * delta)
    expected = (theta @ (x + delta) - y) * (x + delta)
    with jax.enable_x64(True):
        arrays = jnp.asarray(theta), jnp.asarray(x), y
        found = adversarial_training.gradient(*arrays, inner=2, rate=0.1, penalty=0.8)
        np.testing.assert_allclose(found, expected, rtol=1e-12)
        found = adversarial_training.gradient(*arrays, inner=0, rate=0.1)
        np.testing.assert_allclose(found, (theta @ x - y) * x, rtol=1e-12)


def test_the_first_error_by_enumeration():
    """One rate and one start: training's expectation from all 3^4 paths is the transfer operator's."""
    x, y, weights = adversarial_training.ATOMS
    rate, values, chances = 0.1, np.array([0.4]), np.ones(1)
    nodes = 0.8 + 1.4 * np.cos(np.pi * np.arange(25) / 24)
    basis = scipy.interpolate.BarycentricInterpolator(nodes, np.eye(25))

    def moved(theta):
        delta = rate * (theta * x - y) * theta
        return theta - rate * (theta * (x + delta) - y) * (x + delta)

    operator = sum(p * basis(np.array([moved(node)[i] for node in nodes])) for i, p in enumerate(weights))
    for _ in range(4):
        values = np.concatenate([moved(value) for value in values])
        chances = np.concatenate([chance * weights for chance in chances])
    exact = chances @ (values - 1) ** 2
    found = basis(np.array([0.4])) @ np.linalg.matrix_power(operator, 4) @ (nodes - 1) ** 2
    assert abs(found[0] - exact) < 1e-10


def test_without_a_linear_part_the_orders_are_those_of_plain_descent():
    """No steps of the adversary: the modified equation of chapter `sde`, of second order, and its term does nothing."""
    errors = adversarial_training._weak(0, 1.0)
    np.testing.assert_array_equal(errors[:, 1], errors[:, 2])
    orders = sde.order(adversarial_training.RATES, np.moveaxis(errors, -1, 0)).slope
    assert (abs(orders[:, 0] - 1) < 0.1).all() and (abs(orders[:, 1] - 2) < 0.05).all()


def test_the_oracle_knows_what_it_says():
    """The optimum is where simulated gradients vanish on average, and the shares are those of `schedule`."""
    _, sensitivity, shares = jax.device_get(adversarial_training._control(jax.random.key(1), 2))
    truth = np.full(10, 1.5 / 10**0.5)
    assert abs(sensitivity[1] - 2.25) < 1e-5  # |theta|^2 times a residual of one
    # The optimum lies along the truth, at the fraction f at which the sensitivity is f^2 |t|^2 ((1 - f)^2 |t|^2 + 1).
    fraction = max(np.roots([2.25**2, -2 * 2.25**2, 2.25**2 + 2.25, 0, -sensitivity[0]]).real)
    x, z = np.split(np.random.default_rng(2).normal(size=(200_000, 11)), [10], axis=1)
    y = x @ truth + z[:, 0]
    pull = jax.jit(
        jax.vmap(
            lambda x, y: adversarial_training.gradient(
                jnp.asarray(fraction * truth, jnp.float32), x, y, inner=2, rate=0.1
            )
        )
    )
    slopes = np.asarray(pull(x.astype("float32"), y.astype("float32")))
    assert (np.abs(slopes.mean(0)) < 5 * slopes.std(0) / len(x) ** 0.5).all()
    assert shares[0] == 1 and (np.diff(shares) <= 0).all()
    # After the switch 1 / u grows by the curvature times the rate in each step.
    growth = np.diff(1 / shares[shares < 0.5])
    np.testing.assert_allclose(growth, growth.mean(), rtol=2e-3)
    assert 1.4 < growth.mean() / 0.2 < 1.7


def test_refusals():
    with pytest.raises(ValueError, match="runs must be an integer >= 2"):
        adversarial_training.measure(key=simulate.key(900), runs=1)
