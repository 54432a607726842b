"""Adaptive steps over the air: the rates of the bound, what is left without the divisor, and optax beside it."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gansde_lib import noise, simulate
from gansde_lib.neighbours import over_the_air


@functools.cache
def measured(normalised):
    return over_the_air.measure(key=simulate.key(961), runs=32, steps=1600, normalised=normalised)


def verdicts(found):
    return {part.name.removeprefix("neighbour-over-the-air-"): part.verdict for part in found.parts}


def test_the_rate_is_that_of_the_bound_and_adam_has_no_better_one():
    found = over_the_air.replication(measured(True))
    assert found.verdict == "reproduced in part"
    failed = {name for name, verdict in verdicts(found).items() if verdict != "holds"}
    assert failed == {"adam", "adam-last"}


def test_without_normalisation_nothing_is_left():
    found = over_the_air.replication(measured(False))
    assert found.verdict == "not at this scale" and "does not keep" in found.reason
    assert verdicts(found)["adagrad-15"] == "fails"


def test_with_finite_variance_the_rule_is_adagrad_of_optax():
    """At tail index 2, on the same draws: optax divides by the root of the sum of squares."""
    key, steps, d = simulate.key(962), 20, 3
    average, last = over_the_air.run(
        over_the_air.RULES["AdaGrad"], 2.0, clients=1, dimensions=d, steps=steps, checkpoints=20, key=key
    )
    centre = 0.3 * jax.random.normal(jax.random.key(0), (1, d))
    descent = optax.adagrad(0.5, initial_accumulator_value=0.0, eps=0.0)
    w = jnp.ones(d)
    memory, sizes = descent.init(w), []
    for k in range(steps):
        slope = jax.grad(lambda w: jnp.sum(jnp.sqrt(1 + (w - centre) ** 2) - 0.3 * jnp.cos(2 * (w - centre))))(w)
        sizes.append(jnp.sum(slope**2))
        fading, interference = jax.random.split(jax.random.fold_in(key, k))
        strength = jax.random.rayleigh(fading, np.sqrt(2 / np.pi), (1, 1))[0, 0]
        received = strength * slope + 0.2 * noise.stable(2.0, (d,), key=interference)
        update, memory = descent.update(received, memory)
        w = optax.apply_updates(w, update)
    np.testing.assert_allclose(last, sizes, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(average, np.cumsum(sizes) / np.arange(1, 21), rtol=1e-3)


def test_bad_input():
    with pytest.raises(ValueError, match=r"alpha must lie in \(1, 2\], found 0.9"):
        over_the_air.run(over_the_air.RULES["AdaGrad"], 0.9, key=simulate.key(0))
    with pytest.raises(ValueError, match="runs must be an integer >= 8, found 4"):
        over_the_air.measure(key=simulate.key(0), runs=4)
