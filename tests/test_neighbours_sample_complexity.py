"""Sample complexity: training on a pool matches its moments, and with squares only it does not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from gansde_lib import Players, simulate
from gansde_lib.neighbours import sample_complexity


def verdicts(replication):
    return {part.name.removeprefix("sample-complexity-"): part.verdict for part in replication.parts}


def test_the_claim():
    """The pool's parts hold, the single pass falls with another power; with squares only no power is left."""
    found = sample_complexity.replication(sample_complexity.measure(key=simulate.key(930)))
    assert found.verdict == "reproduced in part"
    assert [name for name, verdict in verdicts(found).items() if verdict != "holds"] == ["pass"]
    broken = sample_complexity.measure(key=simulate.key(930), discriminator="diagonal")
    broken = sample_complexity.replication(broken)
    assert broken.verdict == "not at this scale"
    assert verdicts(broken)["pool"] == verdicts(broken)["diagonal"] == "fails"
    assert found.reason != broken.reason


@pytest.mark.parametrize("correlation", [-0.7, 0.0, 0.4])
def test_rectified_moments_are_integrals(correlation):
    density = stats.multivariate_normal(cov=[[1, correlation], [correlation, 1]]).pdf
    expected, _ = integrate.dblquad(lambda u, v: u * v * density([u, v]), 0, 8, 0, 8, epsabs=1e-7)
    assert sample_complexity.rectified(correlation) == pytest.approx(expected, abs=1e-5)


def test_error_of_a_pool():
    """The root mean square distance of matched moments from the identity, over 400 pools."""
    samples = np.maximum(np.random.default_rng(0).standard_normal((400, 1500, 5)), 0)
    moments = np.swapaxes(samples, 1, 2) @ samples / 1500
    found = sample_complexity.distance(sample_complexity.matched(moments), np.eye(5)) ** 2
    error = found.std(ddof=1) / 20
    assert abs(found.mean() - sample_complexity.pool_error(5, 1500) ** 2) < 3 * error + 0.02 * found.mean()


def test_field_at_matched_weights():
    """At A = 0 the generator stands still, and the discriminator's force is the difference of moments."""
    real, latent = np.random.default_rng(1).standard_normal((2, 300, 3)).astype("float32")
    field = sample_complexity.game(np.maximum(real, 0), latent, jnp.ones((3, 3))).field(
        Players(jnp.eye(3), jnp.zeros((3, 3)))
    )
    first, second = (np.maximum(x, 0).T @ np.maximum(x, 0) / 300 for x in (real, latent))
    np.testing.assert_allclose(field.omega, (first - second) / (2 * 3**0.5), atol=1e-5)
    assert float(abs(field.theta).max()) < 1e-6


@pytest.mark.parametrize("wrong", [{"discriminator": "linear"}, {"dimensions": (3,)}, {"pools": (100,)}, {"seeds": 1}])
def test_bad_input(wrong):
    with pytest.raises(ValueError, match=r"found .*; for example"):
        sample_complexity.measure(key=jax.random.key(0), **wrong)
