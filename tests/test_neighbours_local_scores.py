import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.stats

from gansde_lib import evidence
from gansde_lib.neighbours import local_scores


@functools.cache
def measured(**options):
    return local_scores.measure(key=jax.random.key(21), runs=24, returns=3, **options)


def failing(replication):
    return {name.removeprefix("neighbour-local-scores-") for name in evidence.failed(replication.parts)}


def test_scores_are_found():
    replication = local_scores.replication(measured())
    assert replication.verdict == "reproduced" and not failing(replication)


def test_the_transition_of_another_process_fails_at_every_gap():
    broken = measured(kernel="linear")
    replication = local_scores.replication(broken)
    assert replication.verdict == "reproduced in part"
    assert failing(replication) >= {"error", "bias", "variance", "theory", "samples", "prior", "wrong"}
    assert (broken.error > 0.5).all()


@pytest.mark.parametrize("kernel", ["linearised", "frozen", "none", "linear"])
def test_the_transition_solves_the_equations_of_its_moments(kernel):
    """m' = f + a (m - y), v' = 1 + 2 a v, for drift f and slope a at y, by scipy's integrator."""
    y, gap = 0.7, 0.2
    force = {"none": 0.0, "linear": -y}.get(kernel, -4 * (y**3 - y))
    slope = {"linearised": -4 * (3 * y**2 - 1), "linear": -1.0}.get(kernel, 0.0)
    path = scipy.integrate.solve_ivp(
        lambda t, z: [force + slope * (z[0] - y), 1 + 2 * slope * z[1]], (0, gap), [y, 0.0], rtol=1e-9, atol=1e-12
    )
    found = local_scores.transition(jnp.float32(y), gap, kernel)
    assert [float(part) for part in found] == pytest.approx(path.y[:, -1], rel=1e-3)


def test_the_law_is_that_of_simulated_paths():
    x0 = local_scores.start(key=jax.random.key(1), n=40_000)
    paths = np.asarray(local_scores.forward(x0, jnp.array([0.1, 0.25]), key=jax.random.key(2), substeps=100))
    x, densities, _ = local_scores.law([0.1, 0.25])
    for path, density in zip(paths, densities, strict=True):
        assert scipy.stats.kstest(path, lambda q, p=density: np.interp(q, x, np.cumsum(p) / p.sum())).statistic < 0.012


def test_the_law_settles_and_its_score_is_that_of_the_potential():
    x, (density,), (score,) = local_scores.law([20.0])
    inner = abs(x) < 1.8
    assert density[inner] / np.exp(-2 * (x[inner] ** 2 - 1) ** 2) == pytest.approx(density[300] / np.exp(-2), rel=2e-2)
    assert score[inner] == pytest.approx(2 * local_scores.drift(x[inner]), abs=0.02)


def test_short_gaps_find_the_score_plus_the_error_of_the_drift():
    """The bias left as the gap vanishes: the size of b itself for a transition without drift, nothing with it."""
    x, (now,), (true,) = local_scores.law([local_scores.TIME])
    left = ((now * local_scores.drift(x) ** 2).sum() / (now * true**2).sum()) ** 0.5
    assert local_scores.expected(0.001, n=np.inf, kernel="none") == pytest.approx(left, rel=0.03)
    errors = [local_scores.expected(gap, n=np.inf) for gap in (0.1, 0.03, 0.01)]
    assert errors[0] > 3 * errors[1] > 6 * errors[2]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: local_scores.transition(jnp.float32(0), 0.1, "taylor"),
            "kernel must be one of 'linearised', 'frozen'",
        ),
        (lambda: local_scores.expected(-0.1, n=10), "gap must lie between 0 and 0.25, found -0.1"),
        (lambda: local_scores.measure(key=jax.random.key(0), n=10), "n must be an integer >= 100, found 10"),
        (lambda: local_scores.measure(key=jax.random.key(0), runs=1), "runs must be an integer >= 2, found 1"),
        (lambda: local_scores.measure(key=jax.random.key(0), returns=1), "returns must be an integer >= 2, found 1"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
