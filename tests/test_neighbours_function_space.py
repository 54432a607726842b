import functools

import jax
import numpy as np
import pytest
import scipy.stats

from gansde_lib import evidence
from gansde_lib.neighbours import function_space


@functools.cache
def measured(**options):
    return function_space.measure(key=jax.random.key(11), sizes=(32, 128), paths=192, runs=3, **options)


def failing(replication):
    return {name.removeprefix("neighbour-function-space-") for name in evidence.failed(replication.parts)}


def test_resolutions_are_alike():
    replication = function_space.replication(measured())
    assert replication.verdict == "reproduced" and not failing(replication)


def test_without_preconditioning_nothing_is_finite():
    replication = function_space.replication(measured(preconditioned=False))
    assert replication.verdict == "reproduced in part" and failing(replication) == {
        "seen",
        "unseen",
        "recursion",
        "share",
    }


def test_a_stencil_fails():
    replication = function_space.replication(measured(multiplier="grid"))
    assert replication.verdict == "reproduced in part" and {"seen", "unseen", "recursion"} <= failing(replication)
    assert measured(multiplier="grid").low[:, 0] == pytest.approx(
        measured().low[:, 0]
    )  # where it was trained, it works


def test_the_denoiser_is_the_gradient_of_the_density():
    """D(y) - y = sigma^2 C grad log p, with finite differences of scipy's Gaussian densities."""
    n, level, rng = 4, 4, np.random.default_rng(1)
    mean, data, noise = (part.astype(float) for part in function_space.law(n))
    damping, push, offset = (np.asarray(part[level], float) for part in function_space.exact(n))
    sigma, share = float(function_space.LEVELS[level]), function_space.SHARE
    covariance = np.diag(data + sigma**2 * noise)

    def log_density(y):
        kinds = [scipy.stats.multivariate_normal(s * mean, covariance).pdf(y) for s in (1, -1)]
        return np.log(share * kinds[0] + (1 - share) * kinds[1])

    y, width = 0.3 * rng.normal(size=n), 1e-5
    slope = [(log_density(y + width * e) - log_density(y - width * e)) / (2 * width) for e in np.eye(n)]
    expected = push * np.tanh(y @ (push / (sigma**2 * noise)) + offset) - damping * y
    assert sigma**2 * noise * slope == pytest.approx(expected, rel=1e-4, abs=1e-7)


def test_the_fit_finds_the_exact_denoiser():
    fitted, exact = function_space.fit(key=jax.random.key(2)), function_space.exact(32)
    assert np.asarray(fitted.damping / exact.damping) == pytest.approx(1, abs=0.06)
    assert np.asarray(fitted.push) == pytest.approx(exact.push, abs=0.01)
    extended, exact = function_space.extend(fitted, 512), function_space.exact(512)
    assert extended.damping / exact.damping == pytest.approx(1, abs=0.08)


def test_samples_have_the_variances_of_the_recursion():
    """Without a mean, for both steps; the plain one where it is stable."""
    exact = function_space.exact(8)
    exact = exact._replace(push=np.zeros_like(exact.push))
    for preconditioned, gain in ((True, 1.0), (False, 1 / function_space.law(8)[2])):
        options = {"step": 0.02, "steps": 20}
        y = function_space.sample(exact, key=jax.random.key(3), paths=8000, preconditioned=preconditioned, **options)
        expected = np.asarray(function_space.variances(exact.damping, gain=gain, **options))
        assert np.asarray(y).var(0) / expected == pytest.approx(1, abs=0.06)


def test_modes_with_the_same_ratio_are_alike():
    """On a ladder that is long enough, u depends on the mode only through where it stands on the ladder."""
    ratio = np.asarray(function_space.variances(function_space.exact(256).damping)) / function_space.law(256)[1]
    assert np.ptp(ratio[:64]) < 0.01 and ratio.min() > 1 and ratio.max() < 1.1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: function_space.law(2), "n must be an integer >= 3, found 2"),
        (lambda: function_space.extend(function_space.exact(32), 16), "n must be an integer >= 32, found 16"),
        (lambda: function_space.extend(function_space.exact(32), 64, multiplier="pixel"), "multiplier must be one of"),
        (lambda: function_space.measure(key=jax.random.key(0), runs=1), "runs must be an integer >= 2, found 1"),
        (lambda: function_space.measure(key=jax.random.key(0), paths=1), "paths must be an integer >= 2, found 1"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
