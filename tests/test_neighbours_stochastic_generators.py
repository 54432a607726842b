"""The lab on stochastic generators: its verdict, how it breaks, and its parts against other ways to compute them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from gansde_lib import evidence, simulate
from gansde_lib.neighbours import stochastic_generators as lab
from gansde_lib.neural import mmd


def test_the_verdict_and_how_it_breaks():
    """Without the noise between the layers the stochastic generator is the plain one, and gains nothing."""
    key = simulate.key(920)
    whole = lab.replication(lab.measure(key=key))
    broken = lab.replication(lab.measure(key=key, widths=(2, 8), steps=500, seeds=4, noise=0.0))
    assert whole.verdict == "reproduced" and broken.verdict == "reproduced in part"
    failed = {name.removeprefix("stochastic-generators-") for name in evidence.failed(broken.parts)}
    assert {"gain", "best"} <= failed


def test_the_discrepancy_is_the_kernel_distance_from_samples():
    rng = np.random.default_rng(0)
    points = 0.8 * rng.normal(size=(300, 2))
    data = lab.CENTRES[rng.integers(5, size=3000)] + lab.SPREAD * rng.normal(size=(3000, 2))
    expected = np.mean([mmd(points, data, bandwidth=scale) for scale in lab.SCALES])
    np.testing.assert_allclose(lab.discrepancy(jnp.asarray(points)), expected, atol=4e-3)


def test_the_kinds_are_nested():
    """The same parameters give the same points if the added noise is absent, and diagonal noise is a case of more."""
    rng = np.random.default_rng(1)
    generator = lab.start(jnp.asarray(rng.normal(size=(12, lab.MOST))))
    latent = rng.normal(size=(7, 1 + lab.MOST))
    diagonal = generator._replace(first=generator.first * lab.mask(lab.MOST, "stochastic"))
    one, other = (lab.generate(diagonal, lab.mask(5, kind), latent) for kind in ("stochastic", "more inputs"))
    np.testing.assert_allclose(one, other, rtol=1e-5)
    quiet = lab.generate(generator, lab.mask(5, "plain"), latent)
    np.testing.assert_allclose(lab.generate(generator, lab.mask(5, "stochastic", noise=0.0), latent), quiet, rtol=1e-6)


def test_sliced_against_scipy():
    rng = np.random.default_rng(2)
    left, right = rng.normal(size=(2, 50, 2))
    angles = np.pi * np.arange(32) / 32
    pairs = [(left @ u, right @ u) for u in np.stack([np.cos(angles), np.sin(angles)], axis=-1)]
    expected = np.mean([scipy.stats.wasserstein_distance(*pair) for pair in pairs])
    np.testing.assert_allclose(lab.sliced(left, right), expected)


def test_errors():
    for wrong, words in (({"widths": (9,)}, "widths"), ({"seeds": 1}, "seeds")):
        with pytest.raises(ValueError, match=words):
            lab.measure(key=jax.random.key(0), **wrong)
    with pytest.raises(ValueError, match="kind"):
        lab.mask(2, "noisy")
