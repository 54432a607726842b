"""ADMM on a recurrent network: what converges and what does not, and the blocks of an iteration one by one."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gansde_lib import simulate
from gansde_lib.neighbours import alternating_multipliers as admm


@functools.cache
def measured(sign):
    return admm.measure(key=simulate.key(941), seeds=4, sign=sign)


def verdicts(found):
    return {part.name.removeprefix("neighbour-alternating-multipliers-"): part.verdict for part in found.parts}


def test_the_residual_converges_and_the_network_does_not():
    found = admm.replication(measured(1.0))
    assert found.verdict == "reproduced in part" and "at chance" in found.reason
    expected = {"residual": "holds", "split": "holds", "span": "holds", "network": "fails", "adam": "fails"}
    assert verdicts(found) == expected


def test_multipliers_of_the_wrong_sign_leave_nothing():
    found = admm.replication(measured(-1.0))
    assert found.verdict == "not at this scale"
    assert set(verdicts(found).values()) == {"fails"} and "wrong sign" in found.reason


def test_the_network_is_the_one_that_a_loop_runs():
    weights = admm.start(jax.random.key(0), 1.0, units=3)
    x, y = admm.task(jax.random.key(1), count=2, length=4)
    s, cell = np.zeros((2, 3)), np.asarray(weights.cell)
    for t in range(4):
        s = np.tanh(s @ cell[:, :3].T + np.asarray(x[t])[:, None] * cell[:, 3] + cell[:, 4])
    np.testing.assert_allclose(admm.rollout(weights, x)[-1], s, rtol=1e-5)
    np.testing.assert_array_equal(x[0], y)


def test_least_squares_are_those_of_numpy():
    rng = np.random.default_rng(0)
    inputs, matrix = rng.normal(size=(50, 4)), rng.normal(size=(3, 4))
    found = admm.ridge(jnp.float32(inputs), jnp.float32(inputs @ matrix.T), weight=0.0)
    np.testing.assert_allclose(found, np.linalg.lstsq(inputs, inputs @ matrix.T)[0].T, atol=1e-4)


def test_a_consistent_network_is_a_fixed_point():
    """Where the targets are the network's own outputs, nothing has to move."""
    weights = admm.start(jax.random.key(2), 0.5, units=3)
    x, _ = admm.task(jax.random.key(3), count=200, length=3)
    y = admm.rollout(weights, x)[-1] @ weights.read
    found, last, _, sizes = admm.admm(weights, x, y, iterations=5)
    assert float(sizes.max()) < 2e-3
    np.testing.assert_allclose(last @ found.read, y, atol=0.02)


def test_bad_input():
    with pytest.raises(ValueError, match="seeds must be an integer >= 2, found 1"):
        admm.measure(key=simulate.key(0), seeds=1)
