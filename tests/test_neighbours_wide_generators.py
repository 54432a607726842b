"""The lab on wide generators: its verdict, how it breaks, and its parts against independent computations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
from jax.tree_util import Partial

from gansde_lib import Game, Players, evidence, gda, simulate
from gansde_lib.neighbours import wide_generators as lab

SMALL = {"widths": (2, 16, 64), "size": 60}


def failed(row):
    """The names of the parts that do not hold."""
    return {name.removeprefix("wide-generators-") for name in evidence.failed(row.parts)}


def test_the_verdict_and_how_it_breaks():
    """Without concavity in d no width arrives; without width the generator does not."""
    key = simulate.key(1031)
    assert lab.replication(lab.measure(key=key, **SMALL)).verdict == "reproduced"
    broken = lab.replication(lab.measure(key=key, ridge=0.0, **SMALL))
    assert broken.verdict == "reproduced in part" and failed(broken) == {"wide", "witness", "faster"}
    narrow = lab.replication(lab.measure(key=key, widths=(2, 6, 16), size=60, steps=1000))
    assert narrow.verdict == "reproduced in part" and "wide" in failed(narrow)


@pytest.mark.parametrize(("width", "dimension"), [(3, 2), (9, 5), (12, 5), (4, 4)])
def test_the_cone_law_against_linear_programs(width, dimension):
    rng = np.random.default_rng(width)

    def feasible():
        columns, target = rng.normal(size=(dimension, width)), rng.normal(size=dimension)
        found = scipy.optimize.linprog(np.zeros(width), A_eq=columns, b_eq=target).status == 0
        assert found == (lab.cone_distance(columns, target) < 1e-9)
        return found

    p = lab.cone_probability(width, dimension)
    assert abs(np.mean([feasible() for _ in range(400)]) - p) < 4 * np.sqrt(p * (1 - p) / 400)


def test_the_linearised_map_is_the_jacobian():
    """The largest eigenvalue of the whole update at a saddle is 1 (directions that move no sample); next comes K's."""
    rng = np.random.default_rng(0)
    columns, latents, hidden = rng.normal(size=(3, 8)) / 3, rng.normal(size=(16, 4)), rng.normal(size=(8, 4))
    with jax.enable_x64(True):
        target = lab.mean_sample(jnp.asarray(hidden), columns, latents)
        game = Game(Partial(lab.payoff, columns, target, 0.8), latents[None])
        jacobian = gda.jacobian(game, Players(hidden, np.zeros(3)), lr=0.2)
        slopes = jax.jacobian(lab.mean_sample)(jnp.asarray(hidden), columns, latents).reshape(3, -1)
        kappa = np.linalg.eigvalsh(slopes @ slopes.T)
    maps = [np.linalg.eigvals([[1, -0.2 * k], [0.2, 1 - 0.2 * 0.8]]) for k in kappa]
    expected = np.concatenate([np.ones(hidden.size - 3), np.ravel(maps)])
    found = np.linalg.eigvals(np.asarray(jacobian))
    np.testing.assert_allclose(np.sort_complex(found), np.sort_complex(expected), atol=1e-6)


def test_errors():
    with pytest.raises(ValueError, match="increase"):
        lab.measure(key=jax.random.key(0), widths=(16, 2))
    with pytest.raises(ValueError, match="every"):
        lab.measure(key=jax.random.key(0), widths=(2, 16), steps=15)
