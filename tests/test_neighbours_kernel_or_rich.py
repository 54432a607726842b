"""Kernel or rich: the verdict, what flips it, and the limit against a stiff solver and a linear program."""

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

from gansde_lib import evidence, simulate
from gansde_lib.neighbours import kernel_or_rich


def failing(found):
    return {name.removeprefix("kernel-or-rich-") for name in evidence.failed(found.parts)}


def test_the_verdict_and_what_flips_it():
    """With squares all parts hold; a linear model ends at the least l2 norm from every start."""
    measured = kernel_or_rich.measure(key=simulate.key(1040))
    found = kernel_or_rich.replication(measured)
    assert found.verdict == "reproduced" and not failing(found)
    linear = kernel_or_rich.measure(key=simulate.key(1040), sets=3, steps=5000, depth=1)
    broken = kernel_or_rich.replication(linear)
    assert broken.verdict == "reproduced in part"
    assert failing(broken) == {"error", "sparse", "between", "potential"}
    assert linear.from_kernel.max() < 1e-6


def test_data_that_no_one_has_seen():
    """Another seed, other sizes, fewer data sets: the same picture."""
    sizes = {"sets": 4, "samples": 24, "features": 40, "nonzero": 2}
    measured = kernel_or_rich.measure(key=jax.random.key(5), **sizes)
    assert measured.error.shape == (4, 5) and measured.control.shape == (4,)
    assert measured.error[:, 0].max() < 1e-3 < 0.1 < measured.error[:, -1].min()
    assert (np.diff(measured.excess) > 0).all() and measured.from_potential.max() < 0.03


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(3)
    inputs = rng.normal(size=(6, 12))
    return inputs, inputs[:, 0] - 0.5 * inputs[:, 1]


def test_the_flow_of_the_weights_ends_at_the_least_potential(problem):
    """A stiff solver on the weights themselves, which knows nothing of the potential."""
    inputs, targets = problem
    with jax.enable_x64(True):

        def field(t, w, args):
            push = inputs.T @ (inputs @ (w[0] ** 2 - w[1] ** 2) - targets)
            return jnp.stack([-2 * w[0] * push, 2 * w[1] * push])

        solution = diffrax.diffeqsolve(
            diffrax.ODETerm(field), diffrax.Kvaerno5(), 0.0, 2e3, 1e-3, jnp.full((2, 12), 0.3),
            stepsize_controller=diffrax.PIDController(rtol=1e-8, atol=1e-10), max_steps=20_000,
        )  # fmt: skip
        weights = np.asarray(solution.ys[-1])
    np.testing.assert_allclose(weights[0] * weights[1], 0.09, rtol=1e-6)  # what the flow conserves
    best = kernel_or_rich.least_potential(inputs, targets, 0.3)
    np.testing.assert_allclose(weights[0] ** 2 - weights[1] ** 2, best, atol=1e-6)


def test_the_least_potential_is_one(problem):
    """It solves the equations; no other solution has less potential; its two ends are the two norms'."""
    inputs, targets = problem
    alpha, rng = 0.2, np.random.default_rng(4)
    best = kernel_or_rich.least_potential(inputs, targets, alpha)
    np.testing.assert_allclose(inputs @ best, targets, atol=1e-9)

    def potential(beta):
        return (beta * np.arcsinh(beta / 2 / alpha**2) - np.sqrt(beta**2 + 4 * alpha**4)).sum()

    null = scipy.linalg.null_space(inputs)
    for size in (1e-3, 0.1, 1.0):
        assert potential(best + size * null @ rng.normal(size=null.shape[1])) > potential(best)
    short = np.linalg.lstsq(inputs, targets, rcond=None)[0]
    np.testing.assert_allclose(kernel_or_rich.least_potential(inputs, targets, 30.0), short, atol=1e-6)
    sparse = scipy.optimize.linprog(np.ones(24), A_eq=np.hstack([inputs, -inputs]), b_eq=targets)
    found = kernel_or_rich.least_potential(inputs, targets, 1e-5)
    assert abs(np.abs(found).sum() / sparse.fun - 1) < 5e-3


def test_descent_by_hand(problem):
    """Two steps written out with the derivative by hand, in depth 3."""
    inputs, targets = problem
    with jax.enable_x64(True):
        path = np.asarray(kernel_or_rich.descend(jnp.asarray(inputs), jnp.asarray(targets), 0.5, steps=2, depth=3))
    rate = 0.05 / (np.linalg.norm(inputs, 2) ** 2 / 6 * 2)
    plus, minus = np.full(12, 0.5), np.full(12, 0.5)
    for beta in path:
        np.testing.assert_allclose(plus**3 - minus**3, beta, atol=1e-12)
        push = inputs.T @ (inputs @ beta - targets) / 6
        plus, minus = plus - rate * 3 * plus**2 * push, minus + rate * 3 * minus**2 * push


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"samples": 60}, "samples < features"),
        ({"nonzero": 30}, "nonzero < samples"),
        ({"alphas": (1.0, 0.1)}, "growing alphas"),
        ({"alphas": (0.0, 1.0)}, "growing alphas"),
        ({"depth": 0}, "depth must be an integer >= 1"),
    ],
)
def test_refusals(options, words):
    with pytest.raises(ValueError, match=words):
        kernel_or_rich.measure(key=simulate.key(1040), **options)


def test_a_scale_must_be_positive():
    with pytest.raises(ValueError, match="alpha must be a positive"):
        kernel_or_rich.least_potential([[1.0, 0.5]], [1.0], -1.0)
