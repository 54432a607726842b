"""In and out of equilibrium: the verdict, what flips it, the pieces against Gaussian chains and plain loops."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gansde_lib import evidence, games, invariant, simulate
from gansde_lib.neighbours import equilibrium


def failing(found):
    return {name.removeprefix("equilibrium-") for name in evidence.failed(found.parts)}


def test_the_verdict_and_what_flips_it():
    """All holds as published; with even noise no current flows; with replacement there is nothing to gain."""
    found = equilibrium.replication(equilibrium.measure(key=simulate.key(970)))
    assert found.verdict == "reproduced" and not failing(found)
    small = {"chains": 100, "steps": 2000, "sets": 4}
    calm = equilibrium.replication(equilibrium.measure(key=simulate.key(970), even=True, **small))
    assert calm.verdict == "reproduced in part" and "current" in failing(calm)
    assert next(part for part in calm.parts if part.name == "equilibrium-current").verdict == "fails"
    again = equilibrium.replication(equilibrium.measure(key=simulate.key(970), replacement=True, **small))
    verdicts = {part.name.removeprefix("equilibrium-"): part.verdict for part in again.parts}
    assert again.verdict == "reproduced in part" and verdicts["current"] == "holds"
    assert [verdicts[name] for name in ("variance", "gain-6", "gain-20")] == ["fails"] * 3


def test_a_gaussian_chain_obeys_both_theorems():
    """Paths of the chain itself: the entropy rate of its exact current, mean of exp(-S), slope, also backwards."""
    matrix, covariance = np.array([[0.8, -0.1], [0.15, 0.6]]), np.array([[1.0, 0.3], [0.3, 0.5]])
    rng, settled = np.random.default_rng(1), invariant.covariance(matrix, covariance)
    path = [rng.normal(size=(100_000, 2)) @ np.linalg.cholesky(settled).T]
    for _ in range(4):
        path.append(path[-1] @ matrix.T + rng.normal(size=(100_000, 2)) @ np.linalg.cholesky(covariance).T)
    path = np.stack(path, axis=1)
    produced = equilibrium._entropy(path, matrix, covariance)
    # Mean by hand: the backward chain has the matrix Gamma A^T Gamma^-1, and both have the noise's covariance Q.
    back = settled @ matrix.T @ np.linalg.inv(settled)
    reverse = settled - back @ settled @ back.T
    gap = matrix - back
    two = [np.linalg.inv(reverse) @ covariance, np.linalg.inv(reverse) @ gap @ settled @ gap.T]
    divergence = (np.trace(two[0]) - 2 - np.linalg.slogdet(two[0])[1] + np.trace(two[1])) / 2
    mean, integral, slope = equilibrium._symmetry(produced[:, None])
    assert 4 * divergence > 0.2 and abs(mean[0] - 4 * divergence) < 4 * mean[1] < 0.05
    assert abs(integral[0] - 1) < 4 * integral[1] < 0.1 and abs(slope[0] - 1) < 4 * slope[1] < 0.1
    np.testing.assert_allclose(equilibrium._entropy(path[:, ::-1], matrix, covariance), -produced, atol=1e-9)


def test_the_slope_is_that_of_a_normal_law():
    """For S normal with mean m and variance v the slope of ln P(S)/P(-S) is 2m / v."""
    drawn = np.random.default_rng(2).normal(0.6, 1.0, (200, 500))
    slope, error = equilibrium._symmetry(drawn)[2]
    assert abs(slope - 1.2) < 4 * error < 0.06


def test_langevin_against_a_plain_loop():
    """Three batches, all six orders: the law's moments by running the recursion of its moments to its fixed point."""
    rng, rate = np.random.default_rng(3), 0.05
    x, z = rng.normal(size=(2, 6))
    y = x + z
    with jax.enable_x64(True):
        arrays = jnp.asarray(x), jnp.asarray(y), jnp.array([rate])
        found = np.asarray(equilibrium._langevin(*arrays, jax.random.key(0), 3, False))
    precision, centre = x @ x + 1, x @ y / (x @ x + 1)
    eta, parts = rate / precision, [slice(0, 2), slice(2, 4), slice(4, 6)]

    def moved(mean, second, part):
        """First two moments of theta after one update with this batch."""
        h, f = 3 * x[part] @ x[part] + 1, 3 * x[part] @ y[part]
        second = (1 - eta * h) ** 2 * second + 2 * (1 - eta * h) * eta * f * mean + (eta * f) ** 2 + 2 * eta
        return (1 - eta * h) * mean + eta * f, second

    def divergence(orders):
        mean, second = 0.0, 0.0
        for _ in range(300 * (4 - len(orders[0]))):
            ends = []
            for order in orders:
                state = mean, second
                for part in order:
                    state = moved(*state, part)
                ends.append(state)
            mean, second = np.mean(ends, axis=0)
        spread = precision * (second - mean**2)
        return (spread - 1 - np.log(spread) + precision * (mean - centre) ** 2) / 2

    assert abs(found[0, 0] / divergence([[part] for part in parts]) - 1) < 1e-6
    # 2000 drawn orders of six, which all come about 333 times
    assert abs(found[1, 0] / divergence(list(itertools.permutations(parts))) - 1) < 0.1


def test_the_regression_rests_at_zero_and_makes_uneven_noise():
    uneven, even = (equilibrium._regression(simulate.key(970), flag) for flag in (False, True))
    rest = games.Players(np.zeros(2), np.zeros(1))
    production = []
    for game in (uneven, even):
        assert np.abs(game.field(rest).theta).max() < 1e-6
        matrix, covariance = (part[:2, :2] for part in invariant.linearised(game, rest, lr=0.05, batch=1))
        production.append(invariant.entropy_production(matrix - np.eye(2), covariance))
    assert production[0] > 5 * production[1] > 0


@pytest.mark.parametrize("options", [{"sets": 1}, {"chains": 0}, {"steps": 100}])
def test_refusals(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))} must be an integer"):
        equilibrium.measure(key=simulate.key(970), **options)
