"""Normalised descent: its claim and controls, the broken method, and the model beside numpy and optax."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gansde_lib import simulate
from gansde_lib.neighbours import normalized_descent as lab


@functools.cache
def found(normalised):
    return lab.replication(lab.measure(key=simulate.key(980), normalised=normalised))


def verdicts(replication):
    return {part.name.removeprefix(lab.NAME + "-"): part.verdict for part in replication.parts}


def test_the_claim_and_its_controls():
    assert found(True).verdict == "reproduced", str(found(True))


def test_without_normalisation_the_loss_is_not_geometric():
    broken = found(False)
    assert broken.verdict == "reproduced in part"
    assert {name for name, verdict in verdicts(broken).items() if verdict != "holds"} == {
        "straight",
        "final",
        "progress",
    }


def test_log_loss_and_its_slope_are_those_of_the_loss():
    points, labels = (np.asarray(part, float) for part in lab.xor_data(key=jax.random.key(3), size=12))  # 13 points
    weights = np.asarray(jax.random.normal(jax.random.key(4), (6, 2)), float)

    def loss(weights):
        inner = points @ weights.T
        outputs = np.maximum(inner, 0.1 * inner) @ np.array([1, -1, 1, -1, 1, -1]) / 6
        return np.mean(np.exp(-labels * outputs))

    moved = np.eye(12).reshape(12, 6, 2) * 1e-6
    slope = np.array([loss(weights + d) - loss(weights - d) for d in moved]).reshape(6, 2) / 2e-6
    with jax.enable_x64(True):
        value, found = jax.value_and_grad(lab.log_loss)(weights, points, labels)
    np.testing.assert_allclose(value, np.log(loss(weights)), atol=1e-12)
    np.testing.assert_allclose(found, slope / loss(weights), atol=1e-8)


@pytest.mark.parametrize("power", [0.0, 1.0])
def test_descent_is_that_of_optax(power):
    data, key, rate = lab.xor_data(key=jax.random.key(5)), jax.random.key(6), 8.0
    objective = lab.log_loss if power else lambda *arguments: jnp.exp(lab.log_loss(*arguments))
    rule, weights = optax.sgd(rate), jax.random.normal(key, (64, 2))
    state = rule.init(weights)
    slope = jax.jit(jax.grad(objective))
    for _ in range(30):
        update, state = rule.update(slope(weights, *data), state)
        weights = optax.apply_updates(weights, update)
    values, _ = lab.descend(*data, key=key, rate=rate, steps=30, power=power)
    np.testing.assert_allclose(values[-1], lab.log_loss(weights, *data), rtol=2e-4)


def test_progress_lies_between_the_bounds_of_the_proposition():
    """Where no point crosses a kink: -eta g^2 <= change of log F <= -eta (1 - eta h^2 / 2) g^2."""
    data, rate = lab.xor_data(key=jax.random.key(7)), 16.0
    values, ratio = jax.device_get(lab.descend(*data, key=jax.random.key(8), rate=rate, steps=2000))
    lipschitz = np.linalg.norm(data[0], axis=1).max() / 8
    share = -np.diff(values)[:200] / (rate * ratio[:200] ** 2)
    assert share.min() > 1 - rate * lipschitz**2 / 2 > 0
    assert share.max() < 1.01


def test_contradicted_data_cannot_be_fitted():
    points, labels = lab.xor_data(key=jax.random.key(9), sign=-1.0)
    values, _ = lab.descend(points, labels, key=jax.random.key(10), rate=16.0, steps=1000)
    assert values.min() > np.log(2 / 61)


@pytest.mark.parametrize("bad", [{"runs": 1}, {"steps": 10}, {"rate": 0.0}])
def test_bad_input_is_named(bad):
    with pytest.raises(ValueError, match=f"{next(iter(bad))} must be .* found .* for example"):
        lab.measure(key=jax.random.key(0), **bad)


def test_a_size_that_is_no_multiple_of_four_is_refused():
    with pytest.raises(ValueError, match="multiple of 4"):
        lab.xor_data(key=jax.random.key(0), size=10)
