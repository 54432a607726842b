r"""Normalised gradient descent on a two-layer network with separable data: the loss falls geometrically.

The loss is :math:`F(w) = \frac1n\sum_i e^{-y_i f(w, x_i)}` with a leaky-ReLU network f whose outer weights are fixed.
Dividing the gradient by F makes the step that of gradient descent on :math:`\log F`. Source: Taheri and Thrampoulidis
(2023); network and data are our own.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gansde_lib import _checks, evidence, simulate

NAME = "neighbour-normalized-descent"
TEST = "tests/test_neighbours_normalized_descent.py::test_the_claim_and_its_controls"
CALL = "measure(key=jax.random.key(0), runs=8, steps=3000, rate=16.0)"
LEAK = 0.1  # slope of the leaky ReLU on the negative side
RATES = (8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0)  # those of plain descent


def xor_data(*, key, size=60, sign=1.0):
    """Return points (size + 1, 2) about the corners of a square and the corners' products, their labels (size + 1,).

    The last point is the first once more, its label times `sign`: with -1 no network fits the data.

    >>> xor_data(key=jax.random.key(0), size=4, sign=-1.0)[1]
    Array([ 1., -1., -1.,  1., -1.], dtype=float32)
    """
    if size < 4 or size % 4:
        raise ValueError(f"size must be a multiple of 4, found {size}; for example size=60")
    corners = jnp.tile(jnp.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]]), (size // 4, 1))
    points, labels = corners + 0.2 * jax.random.normal(key, corners.shape), corners[:, 0] * corners[:, 1]
    return jnp.concatenate([points, points[:1]]), jnp.append(labels, sign * labels[0])


def network(weights, points):
    r"""Return :math:`f = \frac1m\sum_j a_j\,\sigma(w_j\cdot x)` (n,) at points (n, 2), for inner weights (m, 2).

    The outer signs a alternate; sigma is the leaky ReLU.

    >>> network(jnp.eye(2), jnp.array([[1.0, -1.0]]))
    Array([0.55], dtype=float32)
    """
    signs = 1.0 - 2.0 * (jnp.arange(weights.shape[0]) % 2)
    inner = points @ weights.T
    return jnp.where(inner > 0, inner, LEAK * inner) @ signs / weights.shape[0]


def log_loss(weights, points, labels):
    """Return the logarithm of the mean exponential loss; unlike the loss it cannot underflow.

    >>> float(log_loss(jnp.zeros((4, 2)), *xor_data(key=jax.random.key(0), size=4)))
    0.0
    """
    return jax.nn.logsumexp(-labels * network(weights, points)) - jnp.log(labels.shape[0])


def descend(points, labels, *, key, rate, steps, power=1.0, width=64):
    r"""Train by :math:`w' = w - \eta\,\nabla F / F^p` from a standard normal draw; p is 1 for normalised, 0 for plain.

    Returns log F and :math:`|\nabla F|/F`, two arrays (steps + 1,).

    >>> value, _ = descend(*xor_data(key=jax.random.key(0)), key=jax.random.key(1), rate=16.0, steps=20)
    >>> bool(value[-1] < value[0])
    True
    """

    def watched(weights):
        return weights, *jax.value_and_grad(log_loss)(weights, points, labels)

    def step(state, _):
        weights, value, slope = state  # the slope of log F is that of F, divided by F
        return watched(weights - rate * jnp.exp((1 - power) * value) * slope)

    start = watched(jax.random.normal(key, (width, 2)))
    _, values, slopes = simulate.trajectory(step, start, steps=steps, key=key)
    return values, jnp.sqrt(jnp.sum(slopes**2, axis=(1, 2)))


class Measured(NamedTuple):
    """Arrays (..., runs, steps + 1) of log F, its slope, log F on contradicted data, log F of plain descent by rate."""

    normalised: np.ndarray
    ratio: np.ndarray
    contradicted: np.ndarray
    plain: np.ndarray
    rate: float


def measure(*, key, runs=8, steps=3000, rate=16.0, normalised=True):
    """Train on new data from a new start in each run (two or more); `normalised=False` breaks the method.

    >>> measure(key=jax.random.key(0), runs=2, steps=100).plain.shape
    (9, 2, 101)
    """
    _checks.whole("runs", runs, minimum=2, example=CALL)
    _checks.whole("steps", steps, minimum=100, example=CALL)
    _checks.positive("rate", rate, example=CALL)

    def once(key, rate, power, sign=1.0):
        data_key, start_key = jax.random.split(key)
        return descend(*xor_data(key=data_key, sign=sign), key=start_key, rate=rate, steps=steps, power=power)

    @jax.jit
    def everything(keys, power):
        plain = jax.vmap(lambda eta: jax.vmap(lambda key: once(key, eta, 0.0)[0])(keys))(jnp.array(RATES))
        impossible = jax.vmap(lambda key: once(key, rate, power, -1.0)[0])(keys)
        return *jax.vmap(lambda key: once(key, rate, power))(keys), impossible, plain

    return Measured(*jax.device_get(everything(jax.random.split(key, runs), float(normalised))), rate=rate)


def replication(measured):
    """Return the evidence for the claim; straight lines are fitted to all but the first tenth of a run.

    >>> replication(measure(key=jax.random.key(0), runs=2, steps=100)).name
    'neighbour-normalized-descent'
    """
    steps = measured.normalised.shape[1] - 1
    late, plain = np.arange(steps // 10, steps + 1), measured.plain
    straight = [np.corrcoef(late, run[late])[0, 1] ** 2 for run in measured.normalised]
    slope = [np.polyfit(np.log(late), run[late], 1)[0] for run in plain[RATES.index(16.0)]]
    fall = measured.normalised[:, 0] - measured.normalised[:, -1]
    progress = fall / (measured.rate * (measured.ratio[:, :-1] ** 2).sum(axis=1))
    best = np.where(np.isfinite(plain[..., -1]), plain[..., -1], np.inf).min(axis=0)
    origin = {"test": TEST, "source": "taheri2023", "seed": simulate.BOOK_SEED}

    def part(name, what, runs, bound, relation, tolerance=0.0):
        mean = evidence.mean(runs)
        given = {"predicted": bound, "relation": relation, "tolerance": tolerance, **origin}
        return evidence.record(f"{NAME}-{name}", statement=f"{what}, mean over {len(runs)} runs.", **mean, **given)

    return evidence.replication(
        NAME,
        statement="On separable data, normalised gradient descent on a two-layer network with exponential loss brings "
        "the training loss to zero geometrically.",
        parts=[
            part("straight", "R² of a straight line through the log of the loss", straight, 0.99, ">"),
            part("final", "Log of the loss at the end", measured.normalised[:, -1], -20.0, "<"),
            part("progress", "Fall of log F over rate times sum of its squared slopes", progress, 1.0, "=", 0.01),
            part("plain", "Plain descent: slope of log F in log t", slope, -1.0, "=", 0.3),
            part("best-plain", "Control: log of the loss, plain descent at its best rate", best, -8.0, ">"),
            part("contradicted", "Control: its log, contradicted data", measured.contradicted[:, -1], -8.0, ">"),
        ],
        reason="The log of the loss is a straight line in the step, as long as the gradient stays a share of the loss: "
        "here where the data can be fitted, and not with one contradicted label.",
        **origin,
    )
