"""Laplacian eigenmaps: the claim and its controls, the broken method, and the graph beside scipy and closed forms."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import cdist

from gansde_lib import evidence, simulate
from gansde_lib.neighbours import eigenmaps as lab


@functools.cache
def found(tau):
    return lab.replication(lab.measure(key=simulate.key(1020), tau=tau))


def flat(key, **options):
    return lab.Motion(*(part.reshape(-1, 2) for part in lab.arms(key=key, **options)))


def test_the_claim_and_its_controls():
    assert found(0.3).verdict == "reproduced", str(found(0.3))


def test_without_velocities_the_sinks_are_one_piece():
    broken = found(0.0)
    assert broken.verdict == "reproduced in part"
    failed = {name.removeprefix(lab.NAME + "-") for name in evidence.failed(broken.parts)}
    assert {"zeros", "agreement"} <= failed


def test_an_arm_solves_its_equation():
    arm = lab.spiral(1.5, 0.7, jnp.array([1.0, 0.0]), points=40)
    centre, matrix = np.array([1.0, 0.0]), np.array([[-1.0, -1.0], [1.0, -1.0]])
    radii = np.linspace(1.5, 0.02, 40)
    orbit = scipy.integrate.solve_ivp(
        lambda t, x: matrix @ (x - centre), (0, 5), arm.position[0], t_eval=np.log(1.5 / radii), rtol=1e-9, atol=1e-12
    )
    np.testing.assert_allclose(arm.position, orbit.y.T, atol=2e-5)
    np.testing.assert_allclose(arm.velocity, (arm.position - centre) @ matrix.T, atol=2e-5)


@pytest.mark.parametrize("tau", [0.0, 0.3, 2.5])
def test_zero_eigenvalues_are_the_pieces_of_the_graph(tau):
    motion = flat(jax.random.key(3), points=30)
    graph = np.asarray(lab.weights(motion, tau=tau, length=0.1))
    state = np.hstack([motion.position, tau * np.asarray(motion.velocity)])
    distance = cdist(state, state)
    expected = np.where((distance < 0.2) & (distance > 0), np.exp(-(distance**2) / 0.02), 0)
    np.testing.assert_allclose(graph, expected, atol=1e-5)
    assert lab.eigenmap(graph)[1] == connected_components(graph)[0]


def test_equal_sinks_come_apart_inside_the_window():
    """The bounds of the proposition on the page, for six equal arms without errors."""
    for seed in range(3):
        motion = flat(jax.random.key(seed), jitter=0.0)
        cut, spacing = 2 * lab.LENGTH, 2**0.5 * 1.8 * 1.2 / 59
        lower = cut / (4 - cut**2) ** 0.5 / 2**0.5
        upper = ((cut / spacing) ** 2 - 1) ** 0.5 / 2**0.5
        pieces = [connected_components(lab.weights(motion, tau=tau))[0] for tau in (1.02 * lower, 0.98 * upper)]
        assert pieces == [2, 2]


def test_three_equal_paths_that_meet_are_straight():
    """A star: the two lowest eigenvectors are sines along the arms, with factors that add up to zero."""
    size = 20
    graph = np.zeros((3 * size + 1, 3 * size + 1))
    for arm in range(3):
        nodes = [0, *range(1 + arm * size, 1 + (arm + 1) * size)]
        graph[nodes[:-1], nodes[1:]] = graph[nodes[1:], nodes[:-1]] = 1
    vectors, zeros = lab.eigenmap(graph)
    assert zeros == 1
    embedded = vectors[1:, 1:3].reshape(3, size, 2)
    assert lab.bent(embedded) < 1e-12
    sine = np.sin(np.pi / (2 * size + 1) * np.arange(1, size + 1))
    ratio = embedded / sine[:, None]
    np.testing.assert_allclose(ratio, np.broadcast_to(ratio[:, -1:], ratio.shape), atol=1e-11)
    np.testing.assert_allclose(ratio.sum(axis=0), 0, atol=1e-11)


@pytest.mark.parametrize("bad", [{"runs": 1}, {"points": 3}, {"tau": -1.0}])
def test_bad_input_is_named(bad):
    with pytest.raises(ValueError, match=f"{next(iter(bad))} must be .* found .* for example"):
        lab.measure(key=jax.random.key(0), **bad)
