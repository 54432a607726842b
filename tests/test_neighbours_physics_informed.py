"""Implicit steps for physics-informed networks: the verdict, explicit steps at the same rates, and the step itself."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

from gansde_lib import simulate
from gansde_lib.neighbours import physics_informed

STEPS = {"sgd": 400, "implicit": 60, "adam": 400}


@functools.cache
def measured(implicit):
    return physics_informed.measure(key=simulate.key(991), seeds=3, steps=STEPS, implicit=implicit)


def held(found):
    return {part.name.removeprefix("neighbour-physics-informed-") for part in found.parts if part.verdict == "holds"}


def test_implicit_steps_are_stable_and_close():
    found = physics_informed.replication(measured(True))
    assert found.verdict == "reproduced" and "level with Adam" in found.reason


def test_explicit_steps_at_these_rates_blow_up():
    found = physics_informed.replication(measured(False))
    assert found.verdict == "reproduced in part" and held(found) == {"explicit"}
    assert not np.isfinite(measured(False).losses["implicit"][..., -1]).any()


def test_the_implicit_step_minimises_its_objective():
    """Against a general minimiser, and against the closed form of a linear residual."""
    rng = np.random.default_rng(0)
    matrix, right, theta = jnp.float32(rng.normal(size=(5, 8))), jnp.float32(rng.normal(size=5)), jnp.ones(8)

    def bent(p):
        return jnp.tanh(matrix @ p / 3) - right

    def objective(p):
        return float(jnp.sum(bent(p) ** 2) / 2 + jnp.sum((p - theta) ** 2) / 8)

    ours = physics_informed.implicit_step(bent, theta, lr=4.0, iterations=12)
    theirs = scipy.optimize.minimize(lambda p: objective(jnp.float32(p)), theta, method="Powell", tol=1e-8)
    assert objective(ours) < theirs.fun + 1e-4

    linear = physics_informed.implicit_step(lambda p: matrix @ p - right, theta, lr=50.0, iterations=1)
    exact = np.linalg.solve(matrix.T @ matrix + np.eye(8) / 50, matrix.T @ right + theta / 50)
    np.testing.assert_allclose(linear, exact, atol=1e-3)


def test_the_residual_is_that_of_finite_differences():
    theta = physics_informed.start(jax.random.key(1))
    x = jnp.linspace(0.1, 0.9, 9)
    with jax.enable_x64(True):
        theta, x, h = tuple(np.float64(part) for part in theta), np.float64(x), 1e-4
        u = [physics_informed.network(theta, x + shift) - physics_informed.solution(x + shift) for shift in (-h, 0, h)]
        expected = (u[0] - 2 * u[1] + u[2]) / h**2 / 3
        np.testing.assert_allclose(physics_informed.residuals(theta, x), expected, rtol=1e-4, atol=1e-4)


def test_bad_input():
    with pytest.raises(ValueError, match="seeds must be an integer >= 2, found 1"):
        physics_informed.measure(key=simulate.key(0), seeds=1)
