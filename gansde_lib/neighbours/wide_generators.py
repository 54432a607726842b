r"""Wide generators: a ReLU layer against a linear discriminator, and the cone that it can reach.

The generator :math:`G(z) = V\,\mathrm{relu}(Wz)` trains W (k, p) under a fixed V (m, k); the discriminator is linear,

.. math:: \Phi(W, d) = \langle d, t - \tfrac1n\sum_i V\,\mathrm{relu}(Wz_i)\rangle - \tfrac\mu2 |d|^2 ,

so that the mean sample is t and d = 0 at a global saddle point. Source: Balaji et al. (2021); the sizes are ours.
"""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize
from jax.tree_util import Partial

from gansde_lib import evidence, gda, simulate
from gansde_lib.games import Game, Players

TEST = "tests/test_neighbours_wide_generators.py::test_the_verdict_and_how_it_breaks"
DIMENSION, INPUTS, LATENTS, RATE = 5, 8, 32, 0.2
WIDTHS = (2, 6, 8, 10, 12, 16, 32, 64)


class Measured(NamedTuple):
    """For each width and run the last `error`, the `distance` of the target from the cone and the `updates` until the
    error stays below 0.01; for the largest width, `witness`, the last norm of d, and the last errors of the control
    whose payoff is `linear` in d."""

    widths: tuple
    error: np.ndarray
    distance: np.ndarray
    updates: np.ndarray
    witness: np.ndarray
    linear: np.ndarray


def mean_sample(hidden, columns, latents):
    r"""Return :math:`\frac1n\sum_i V\,\mathrm{relu}(Wz_i)` for W (k, p), V (m, k) and latents (n, p), of shape (m,).

    >>> mean_sample(jnp.eye(2), jnp.eye(2), jnp.array([[1.0, -1.0], [3.0, 2.0]]))
    Array([2., 1.], dtype=float32)
    """
    return columns @ jax.nn.relu(latents @ hidden.T).mean(0)


def payoff(columns, target, ridge, hidden, witness, latents):
    """Return Phi for V (m, k), t (m,), mu, theta = W (k, p) and omega = d (m,); all latents (n, p) are one sample.

    >>> payoff(jnp.eye(2), jnp.ones(2), 1.0, jnp.zeros((2, 3)), jnp.ones(2), jnp.ones((4, 3)))
    Array(1., dtype=float32)
    """
    return witness @ (target - mean_sample(hidden, columns, latents)) - ridge / 2 * witness @ witness


@functools.partial(jax.jit, static_argnames=("units", "steps", "size"))
def _train(key, width, ridge, *, units, steps, size):
    def one(key):
        shapes = [(DIMENSION, units), (units, INPUTS), (DIMENSION,), (LATENTS, INPUTS)]
        parts = zip(jax.random.split(key, 4), shapes, strict=True)
        columns, hidden, target, latents = (jax.random.normal(part, shape) for part, shape in parts)
        # Units beyond the width have no column and change nothing: one program serves many widths.
        columns = columns * (jnp.arange(units) < width) / jnp.sqrt(width)
        start = Players(hidden / math.sqrt(INPUTS), jnp.zeros(DIMENSION))
        game = Game(Partial(payoff, columns, target, ridge), latents[None])
        path = gda.run(game, start, lr=RATE, steps=steps, every=10)
        error = jax.vmap(lambda hidden: mean_sample(hidden, columns, latents))(path.theta) - target
        return columns, target, jnp.linalg.norm(error, axis=-1), jnp.linalg.norm(path.omega[-1])

    return jax.vmap(one)(jax.random.split(key, size))


def cone_probability(width, dimension=DIMENSION):
    r"""Return :math:`1 - 2^{-k}\sum_{i<m}\binom ki`, the chance that a random target is in the cone of k columns.

    Target and columns need densities that do not change with their signs. Source: Wendel (1962).

    >>> cone_probability(9)
    0.5
    """
    return 1 - sum(math.comb(width, i) for i in range(dimension)) / 2**width


def cone_distance(columns, target):
    """Return the distance of the target (m,) from the non-negative combinations of the columns (m, k).

    >>> float(cone_distance(np.eye(2), np.array([1.0, -2.0])))
    2.0
    """
    return scipy.optimize.nnls(np.asarray(columns, float), np.asarray(target, float))[1]


def measure(*, key, widths=WIDTHS, steps=4000, size=100, ridge=1.0):
    """Return `Measured`: random games and starts for each width, trained by simultaneous updates.

    `ridge` is mu. `ValueError` for widths that do not increase, or steps that are no multiple of 10.

    >>> measure(key=jax.random.key(0), widths=(2, 16), steps=100, size=2).error.shape
    (2, 2)
    """
    if len(widths) < 2 or list(widths) != sorted(set(widths)):
        raise ValueError(f"widths must be two or more and increase, found {widths}; for example widths=(2, 16, 64)")

    def train(width, ridge):
        units = 16 if width <= 16 else max(64, width)
        own = jax.random.fold_in(key, width)
        return jax.device_get(_train(own, float(width), float(ridge), units=units, steps=steps, size=size))

    columns, targets, errors, witness = zip(*(train(width, ridge) for width in widths), strict=True)
    missed = np.maximum.accumulate(~(np.stack(errors) < 0.01)[..., ::-1], axis=-1)  # now or later
    distance = np.array([list(map(cone_distance, *pair)) for pair in zip(columns, targets, strict=True)])
    last, linear = np.stack(errors)[..., -1], train(widths[-1], 0.0)[2][:, -1]
    return Measured(tuple(widths), last, distance, 10 * missed.sum(-1), witness[-1], linear)


def _arrived(errors):
    found, size = errors < 0.01, errors.size + 2
    p = (found.sum() + 1) / size  # as if one more had arrived and one more had not, so that it is never certain
    return found.mean(), np.sqrt(p * (1 - p) / size)


def replication(measured):
    """Return the evidence: wide generators arrive, no other than the cone's do, and two controls fail.

    >>> replication(measure(key=jax.random.key(0), widths=(2, 16), steps=100, size=2)).verdict
    'reproduced in part'
    """
    m, law = measured, np.array([cone_probability(width) for width in measured.widths])
    size, excess = m.error.shape[1], np.nanmax(m.distance - m.error)
    cone = (m.distance < 1e-6).mean(), np.sqrt((law * (1 - law)).sum() / size) / len(law)
    slow, fast = m.updates[m.widths.index(16)], m.updates[-1]
    drawn = np.random.default_rng(0).integers(size, size=(400, size))
    ratio, spread = (
        np.median(fast) / np.median(slow),
        np.std(np.median(fast[drawn], axis=1) / np.median(slow[drawn], axis=1)),
    )
    parts, own = [], {"source": "balaji2021", "test": TEST, "seed": simulate.BOOK_SEED}
    for name, statement, relation, bound, (found, error), tolerance in (
        ("wide", "Share of wide generators that reach the target", ">", 0.95, _arrived(m.error[-1]), 0),
        ("witness", "Largest |d| at the end, largest width", "<", 1e-5, (m.witness.max(), 0), 0),
        ("faster", "Median updates at the largest width over those at 16", "<", 0.5, (ratio, spread), 0),
        ("cone", "Share of targets in the cone, mean over widths", "=", law.mean(), cone, 0.05),
        ("bound", "Largest excess of the distance from the cone over the error", "<", 1e-4, (excess, 0), 0),
        ("narrow", "Control, share of generators of two units that arrive", "<", 0.05, _arrived(m.error[0]), 0),
        ("linear", "Control, share that arrive at a payoff linear in d", "<", 0.05, _arrived(m.linear), 0),
    ):
        numbers = {"predicted": bound, "measured": found, "uncertainty": error, "tolerance": tolerance}
        parts.append(
            evidence.record(f"wide-generators-{name}", statement=statement, relation=relation, **numbers, **own)
        )
    failed = ", ".join(evidence.failed(parts))
    return evidence.replication(
        "neighbour-wide-generators",
        statement="Descent-ascent brings a wide generator and a linear discriminator to a global saddle point.",
        parts=parts,
        reason=f"Not all parts hold: {failed}."
        if failed
        else "Wide ones arrive; what narrow ones miss, the cone says.",
        **own,
    )
