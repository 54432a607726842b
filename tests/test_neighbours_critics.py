"""The lab on critics: its verdict, how it breaks, and its parts against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

from gansde_lib import simulate
from gansde_lib.neighbours import critics as lab

FLIPPED = ("ratio", "ring", "norm", "slope")


def test_the_verdict_and_how_it_breaks():
    """Without a penalty the unclipped critic has no bounded gradient, and none of what the penalty gives."""
    small = {"key": simulate.key(912), "steps": 1000, "seeds": 3}
    whole, broken = (lab.replication(lab.measure(**small, penalty=penalty)) for penalty in (1.0, 0.0))
    good, bad = ({part.name: part.verdict for part in row.parts} for row in (whole, broken))
    assert whole.verdict == "reproduced" and broken.verdict == "reproduced in part"
    assert {name for name in bad if bad[name] != good[name]} == {f"critics-{name}" for name in FLIPPED}


def test_the_penalised_linear_critic_overshoots_as_derived():
    """Largest payoff of f(x) = <a, x> for a shift of the mean, by BFGS on the lab's loss."""
    shift, penalty = np.array([0.6, -0.3]), 0.7
    real, fake = jnp.asarray(shift)[None], jnp.zeros((1, 2))

    def payoff(a):
        return lab.loss([(jnp.asarray(a)[:, None], jnp.zeros(1))], real, fake, jnp.full((1, 1), 0.5), penalty)

    with jax.enable_x64(True):
        found = scipy.optimize.minimize(payoff, np.array([1.0, 0.2]), jac=jax.grad(payoff), tol=1e-10).x
    size = np.linalg.norm(shift)
    np.testing.assert_allclose(found, (1 + size / (2 * penalty)) * shift / size, atol=1e-5)


def test_slopes_against_polyfit():
    profile = np.random.default_rng(0).normal(size=(5, 12))
    np.testing.assert_allclose(lab.slopes(profile), np.polyfit(np.arange(12), profile.T, 1)[0])


def test_errors():
    for wrong, words in (({"seeds": 1}, "seeds"), ({"penalty": -1.0}, "penalty"), ({"steps": 10}, "deep_steps")):
        with pytest.raises(ValueError, match=words):
            lab.measure(key=jax.random.key(0), **wrong)
