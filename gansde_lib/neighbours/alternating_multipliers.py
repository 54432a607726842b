r"""A recurrent network taken apart by multipliers: states, pre-activations and weights are found in turns.

The network :math:`z_t = W s_{t-1} + U x_t + b`, :math:`s_t = \tanh z_t`, :math:`\hat y = v \cdot s_T` shall remember
its first input. ADMM treats both equations, at every t, as constraints. Its update rules are our reconstruction.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from gansde_lib import _checks, evidence, simulate

SOURCE = "tang2020"
TEST = "tests/test_neighbours_alternating_multipliers.py::test_multipliers_of_the_wrong_sign_leave_nothing"
GAINS = (0.2, 1.0, 3.0)


class Weights(NamedTuple):
    """`cell` maps (state, input, 1) to pre-activations, shape (units, units + 2); `read` maps the last state to y."""

    cell: jax.Array
    read: jax.Array


class Measured(NamedTuple):
    """Arrays of shape (gains, seeds), `residuals` with the iterations last; accuracies are those of fresh sequences."""

    residuals: np.ndarray
    split: np.ndarray
    rollout: np.ndarray
    adam: np.ndarray
    gradient_ratio: np.ndarray
    dual_ratio: np.ndarray


def task(key, *, count=64, length=20):
    """Return inputs, shape (length, count): a sign, then noise; and the signs, which are the targets.

    >>> x, y = task(jax.random.key(0))
    >>> x.shape, bool((x[0] == y).all())
    ((20, 64), True)
    """
    sign, later = jax.random.split(key)
    y = jax.random.rademacher(sign, (count,), jnp.float32)
    return jnp.concatenate([y[None], 0.3 * jax.random.normal(later, (length - 1, count))]), y


def start(key, gain, units=12):
    """Return random weights; the recurrent ones have a spectral radius of about `gain`."""
    keys = jax.random.split(key)
    cell = jax.random.normal(keys[0], (units, units + 2)) * jnp.append(jnp.full(units, gain / units**0.5), jnp.ones(2))
    return Weights(cell, jax.random.normal(keys[1], (units,)) / units**0.5)


def features(states, x):
    """Return (state before, input, 1) for each step, from the states after each step, shape (T, count, units + 2)."""
    before = jnp.concatenate([jnp.zeros_like(states[:1]), states[:-1]])
    return jnp.concatenate([before, x[..., None], jnp.ones_like(x[..., None])], axis=-1)


def rollout(weights, x, kick=0.0):
    """Return the states of the network itself, shape (T, count, units); `kick` is added to the pre-activations.

    >>> rollout(start(jax.random.key(0), 1.0), jnp.ones((5, 2))).shape
    (5, 2, 12)
    """

    def step(s, inputs):
        x, kick = inputs
        s = jnp.tanh(jnp.concatenate([s, x[:, None], jnp.ones_like(x[:, None])], 1) @ weights.cell.T + kick)
        return s, s

    kick = jnp.broadcast_to(kick, (*x.shape, weights.read.size))
    return jax.lax.scan(step, jnp.zeros(kick.shape[1:]), (x, kick))[1]


def ridge(inputs, outputs, weight=1e-3):
    """Return the matrix M of least squares for outputs = M inputs, with a small penalty."""
    inputs, outputs = (a.reshape(-1, a.shape[-1]) for a in (inputs, outputs))
    system = inputs.T @ inputs + weight * jnp.eye(inputs.shape[-1])
    return jnp.linalg.solve(system, inputs.T @ outputs).T


def admm(weights, x, y, *, iterations=300, penalty=1.0, sign=1.0):
    r"""Return weights, last states, multipliers and the residual (root mean square) after each iteration.

    In turns: states by a linear solve, pre-activations by five scalar Gauss-Newton steps, weights by least squares,
    and multipliers by `sign` times the residual; `sign=-1` breaks the method.
    """
    states, units = rollout(weights, x), weights.read.size

    def iterate(state, _):
        (cell, read), s, z, la, mu = state
        w, given = cell[:, :units], features(s, x).at[..., :units].set(0) @ cell.T
        pull = jnp.concatenate([(z - given + la)[1:] @ w, jnp.zeros_like(z[:1])])
        inner = jnp.linalg.solve(jnp.eye(units) + w.T @ w, (jnp.tanh(z) - mu + pull).reshape(-1, units).T).T
        outer = jnp.linalg.solve(
            jnp.eye(units) + jnp.outer(read, read) / penalty, (jnp.tanh(z[-1]) - mu[-1] + y[:, None] * read / penalty).T
        )
        s = inner.reshape(s.shape).at[-1].set(outer.T)
        wanted, target = features(s, x) @ cell.T - la, s + mu
        for _ in range(5):
            t = jnp.tanh(z)
            z = z - (z - wanted + (t - target) * (1 - t**2)) / (1 + (1 - t**2) ** 2)
        cell, read = ridge(features(s, x), z + la), ridge(s[-1], y[:, None])[0]
        gaps = z - features(s, x) @ cell.T, s - jnp.tanh(z)
        size = jnp.sqrt(sum(jnp.mean(gap**2) for gap in gaps) / 2)
        return (Weights(cell, read), s, z, la + sign * gaps[0], mu + sign * gaps[1]), size

    z = features(states, x) @ weights.cell.T
    zero = jnp.zeros_like(z)
    (weights, s, _, la, _), sizes = jax.lax.scan(iterate, (weights, states, z, zero, zero), length=iterations)
    return weights, s[-1], la, sizes


@functools.partial(jax.jit, static_argnames=("iterations", "steps"))
def _once(gain, key, sign, *, iterations, steps):
    first, train, fresh = jax.random.split(key, 3)
    begin, (x, y), (x_new, y_new) = start(first, gain), task(train), task(fresh, count=512)
    right = lambda weights: jnp.mean(rollout(weights, x_new)[-1] @ weights.read * y_new > 0)  # noqa: E731
    loss = lambda w, kick=0.0: jnp.mean((rollout(w, x, kick)[-1] @ w.read - y) ** 2)  # noqa: E731
    found, last, multipliers, sizes = admm(begin, x, y, iterations=iterations, sign=sign)
    descent = optax.adam(1e-2)

    def step(state, _):
        update, memory = descent.update(jax.grad(loss)(state[0]), state[1])
        return (optax.apply_updates(state[0], update), memory), None

    trained = jax.lax.scan(step, (begin, descent.init(begin)), length=steps)[0][0]
    kicks = jax.grad(loss, argnums=1)(begin, jnp.zeros((*x.shape, 12)))
    ratio = lambda a: jnp.linalg.norm(a[0]) / jnp.linalg.norm(a[-1])  # noqa: E731
    split = jnp.mean(last @ found.read * y > 0)
    return Measured(sizes, split, right(found), right(trained), ratio(kicks), ratio(multipliers))


def measure(*, key, seeds=6, iterations=300, steps=600, sign=1.0):
    """Train by ADMM and by Adam from the same starts at all `GAINS`; `sign=-1` turns the multipliers round.

    Raises:
        ValueError: for fewer than two seeds.
    """
    _checks.whole("seeds", seeds, minimum=2, example="measure(key=simulate.key(940), seeds=6)")
    run = functools.partial(_once, iterations=iterations, steps=steps)
    found = jax.vmap(jax.vmap(run, (None, 0, None)), (0, None, None))(
        jnp.array(GAINS), jax.random.split(key, seeds), sign
    )
    return Measured(*map(np.array, found))


def span(ratios):
    """Return the decades that ratios, shape (gains, seeds), span over the gains; below 1e-15 they count as 1e-15.

    >>> span(np.array([[0.01], [1.0], [10.0]]))
    array([3.])
    """
    return np.ptp(np.log10(np.maximum(ratios, 1e-15)), axis=0)


def replication(measured):
    """Return the evidence: what converges (residuals, split variables), and what does not (the network)."""
    rows = [
        ("residual", "Root mean square of the constraints' residuals after the last iteration: below 0.05.",
         measured.residuals[..., -1], 0.05, "<"),
        ("split", "Accuracy that the split variables reach on the sequences of training: above 0.95.",
         measured.split, 0.95, ">"),
        ("span", "Decades by which the gains move the ratio of first to last gradient, less those for the multipliers.",
         span(measured.gradient_ratio) - span(measured.dual_ratio), 6.0, ">"),
        ("network", "Accuracy of the network itself on fresh sequences: above 0.95.", measured.rollout, 0.95, ">"),
        ("adam", "That accuracy less the one after training by Adam: positive.",
         measured.rollout - measured.adam, 0.0, ">"),
    ]  # fmt: skip
    common = {"source": SOURCE, "test": TEST, "seed": simulate.BOOK_SEED}
    parts = [
        evidence.record(f"neighbour-alternating-multipliers-{name}", statement=text, predicted=bound, relation=relation,
                        measured=np.mean(v), tolerance=0.0, **common,
                        uncertainty=np.nan_to_num(np.std(v, ddof=1) / v.size**0.5))
        for name, text, v, bound, relation in rows
    ]  # fmt: skip
    reason = (
        "What ADMM minimises converges, and its multipliers do not vanish or explode over the sequence. The network "
    )
    reason += (
        "that it leaves is at chance: residuals of a size that looks converged carry the answer. The update rules "
    )
    reason += "are ours, possibly at fault, and the work's own tasks were not tried."
    if parts[0].verdict != "holds":
        reason = "With multipliers of the wrong sign nothing converges."
    statement = (
        "ADMM on the unrolled recurrent network converges stably, without vanishing or exploding gradients, and "
    )
    statement += "ends ahead of stochastic gradient methods."
    name = "neighbour-alternating-multipliers"
    return evidence.replication(name, statement=statement, parts=parts, reason=reason, **common)
