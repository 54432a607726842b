"""Ensembles and sweeps: independent of chunking, equal to plain loops, reproducible."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gansde_lib import simulate


def random_walk(key):
    return simulate.trajectory(lambda x, k: x + jax.random.normal(k), jnp.float32(0), steps=20, key=key)


def test_trajectory_is_the_plain_loop():
    key, state, states = jax.random.key(1), jnp.float32(0), [0.0]
    for k in range(20):
        state = state + jax.random.normal(jax.random.fold_in(key, k))
        states.append(float(state))
    np.testing.assert_allclose(random_walk(key), states, rtol=1e-6)


@pytest.mark.parametrize("every", [1, 2, 5, 20])
def test_recording_less_changes_nothing_else(every):
    def walk(every):
        return simulate.trajectory(
            lambda x, k: x + jax.random.normal(k), jnp.float32(0), steps=20, key=jax.random.key(1), every=every
        )

    np.testing.assert_allclose(walk(every), walk(1)[::every], rtol=1e-6)


def test_every_must_divide_the_steps():
    with pytest.raises(ValueError, match="every must divide steps, found 3 and 20; for example"):
        simulate.trajectory(lambda x, k: x, jnp.float32(0), steps=20, key=jax.random.key(1), every=3)


def test_trajectory_of_no_steps_is_the_start():
    np.testing.assert_array_equal(
        simulate.trajectory(lambda x, k: x, jnp.ones(3), steps=0, key=jax.random.key(0)), np.ones((1, 3))
    )


@pytest.mark.parametrize("chunk", [1, 7, 64, 1000])
def test_ensemble_does_not_depend_on_the_chunk_bit_for_bit(chunk):
    key = jax.random.key(2)
    reference = jnp.stack([jax.random.normal(jax.random.fold_in(key, i), (3,)) for i in range(50)])
    found = simulate.ensemble(lambda k: jax.random.normal(k, (3,)), size=50, key=key, chunk=chunk)
    np.testing.assert_array_equal(found, reference)


def test_ensemble_variance_grows_like_time():
    """Var of a 20-step walk is 20: 4,000 paths give a standard error of 20 sqrt(2/4000) = 0.45."""
    ends = simulate.ensemble(random_walk, size=4000, key=jax.random.key(3))[:, -1]
    assert abs(np.var(ends) - 20) < 3 * 20 * np.sqrt(2 / 4000)


@pytest.mark.parametrize("chunk", [1, 5, 100, None])
def test_sweep_is_the_plain_loop(chunk):
    first, second = np.arange(4.0), np.arange(6.0)
    found = simulate.sweep(lambda a, b: {"sum": a + b, "pair": jnp.stack([a, b])}, first, second, chunk=chunk)
    np.testing.assert_allclose(found["sum"], first[:, None] + second)
    assert found["pair"].shape == (4, 6, 2)
    np.testing.assert_allclose(found["pair"][2, 5], [2, 5])


def test_a_sweep_over_threads_keeps_double_precision():
    axes = np.linspace(0.1, 1, 60), np.linspace(0.1, 1, 50)
    with jax.enable_x64(True):
        found = simulate.sweep(lambda a, b: a / (3 * b), *axes, workers=2)
    np.testing.assert_array_equal(found, axes[0][:, None] / (3 * axes[1]))


def test_figures_have_their_own_keys():
    draws = [float(jax.random.normal(simulate.key(figure))) for figure in range(5)]
    assert len(set(draws)) == 5
    assert draws[3] == float(jax.random.normal(simulate.key(3)))


def test_an_empty_ensemble_is_refused():
    with pytest.raises(ValueError, match="size must be an integer >= 1, found 0; for example"):
        simulate.ensemble(random_walk, size=0, key=jax.random.key(0))
