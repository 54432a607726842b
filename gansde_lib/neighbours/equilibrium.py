r"""In and out of equilibrium: currents, fluctuation theorems, and what drawing without replacement changes.

Near its minimum, minibatch descent is a chain :math:`x' = A x + \xi` with :math:`A = 1 - \eta H` and
:math:`\operatorname{Cov}\xi = Q = \eta^2 \Sigma / B`. If AQ is not symmetric it circulates and produces the entropy

.. math:: S = \ln p(x_0) \prod_k p(x_{k+1} | x_k) - \ln p(x_n) \prod_k p(x_k | x_{k+1}) .

Source: Adhikari et al. (2023); the models are our reconstruction.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gansde_lib import Players, _checks, evidence, games, gda, invariant, noise, sde, simulate

ETA, SIZE, BATCHES, COUNTS, RATES = 0.05, 200, (1, 16), (6, 20, 60), 0.08 / 2.0 ** np.arange(7)[::-1]
TEST = "tests/test_neighbours_equilibrium.py::test_the_verdict_and_what_flips_it"


class Measured(NamedTuple):
    """`area` swept per update over that predicted and `variance` with and without replacement, of each chain; entropy
    of 60 updates, `predicted`, and `entropies` per batch with errors: mean of S, of exp(-S), slope of ln P(S)/P(-S);
    `kl` of Langevin dynamics, of shape (sets, COUNTS, with and without replacement, RATES)."""

    area: Any
    variance: Any
    predicted: Any
    entropies: Any
    kl: Any


def _regression(key, even):
    """Least squares as a game whose second player rests, with its minimum at zero and noise that grows along (1, 2)."""
    x, z = np.split(np.asarray(jax.random.normal(key, (SIZE, 3)), float) * [1.0, 0.5, 1.0], [2], axis=1)
    y = z[:, 0] * (1 if even else np.abs(x @ [1.0, 2.0]) / 2**0.5)
    samples = {"P": x[:, :, None] * x[:, None], "a": (x @ np.linalg.lstsq(x, y, rcond=None)[0] - y)[:, None] * x}
    return games.quadratic(np.zeros((2, 2)), np.zeros((2, 1)), np.eye(1), samples=samples)


def _entropy(path, matrix, covariance):
    """S of paths of shape (..., n + 1, 2) under the Gaussian chain (A, Q)."""
    sharp, wide = np.linalg.inv(covariance), np.linalg.inv(invariant.covariance(matrix, covariance))
    a, b = path[..., :-1, :], path[..., 1:, :]
    back, forth, last, first = a - b @ matrix.T, b - a @ matrix.T, b[..., -1, :], a[..., 0, :]
    flow = (back @ sharp * back - forth @ sharp * forth).sum((-1, -2))
    return (flow + (last @ wide * last - first @ wide * first).sum(-1)) / 2


def _symmetry(produced):
    """Mean of S, mean of exp(-S), and the likeliest k of P(+ | |S|) = 1 / (1 + exp(-k |S|)); S is (chains, pieces)."""
    k = 0.0
    for _ in range(20):  # Newton's method; the likelihood is concave
        wrong = 1 / (1 + np.exp(np.clip(k * produced, -50, 50)))
        push, slope = (produced * wrong).mean(1), (produced**2 * wrong * (1 - wrong)).mean()
        k += push.mean() / slope
    rows = produced.mean(1), np.exp(-produced).mean(1), k + push / slope
    return [(row.mean(), row.std(ddof=1) / len(row) ** 0.5) for row in rows]


@functools.partial(jax.jit, static_argnames=("count", "replacement"))
def _langevin(inputs, targets, rates, key, count, replacement):
    """Divergence from the posterior at the ends of epochs, of shape (2, rates): exact, given 2000 orders of batches."""
    precision = inputs @ inputs + 1
    centre = inputs @ targets / precision
    force = (inputs * (inputs * centre - targets)).reshape(count, -1).sum(1) * count + centre
    stiff = (inputs**2).reshape(count, -1).sum(1) * count + 1
    draw = functools.partial(jax.random.choice, a=count, shape=(count,), replace=replacement)
    orders = jax.vmap(draw)(jax.random.split(key, 2000)).T

    def at(eta):
        def step(state, k):
            (a, b, s), f = state, 1 - eta * stiff[k]
            return (f * a, f * b - eta * force[k], f**2 * s + 2 * eta), None

        def divergence(a, b, s):  # of the law that x' = a x + b + noise of variance s settles at
            mean = b.mean() / (1 - a.mean())
            second = ((b**2 + 2 * mean * a * b).mean() + s.mean()) / (1 - (a**2).mean())
            spread = precision * (second - mean**2)
            return (spread - 1 - jnp.log(spread) + precision * mean**2) / 2

        epochs, _ = jax.lax.scan(step, tuple(jnp.zeros((3, 2000)).at[0].set(1)), orders)
        return jnp.stack([divergence(1 - eta * stiff, -eta * force, jnp.full(1, 2 * eta)), divergence(*epochs)])

    return jax.lax.map(at, rates / precision).T


def measure(*, key, chains=1000, steps=2400, sets=16, even=False, replacement=False):
    """Run both halves of the lab; `even` noise or `replacement` throughout breaks the method. Returns `Measured`."""
    for name, value, least in (("chains", chains, 2), ("sets", sets, 2), ("steps", steps, 10 * SIZE)):
        _checks.whole(name, value, minimum=least, example="measure(key=simulate.key(970), chains=1000, steps=2400)")
    keys, game, rest = jax.random.split(key, 4), _regression(key, even), Players(np.zeros(2), np.zeros(1))
    matrix, covariance = (part[:2, :2] for part in invariant.linearised(game, rest, lr=ETA, batch=1))
    turn = matrix @ sde.chain_stationary(game, rest, lr=ETA, batch=1).covariance[:2, :2]
    start = jax.random.normal(keys[0], (chains, 2)) @ np.linalg.cholesky(invariant.covariance(matrix, covariance)).T

    def run(train, scale=1.0, **how):
        train = functools.partial(train, game, lr=ETA, **how)
        paths = jax.vmap(lambda x, k: train(Players(x, rest.omega), key=k).theta)
        return np.asarray(paths(start * scale, jax.random.split(keys[1], chains)), float)

    paths = [run(gda.run, batch**-0.5, steps=steps, batch=batch) for batch in BATCHES]
    pieces = [np.stack([path[:, k : k + 61] for k in range(0, steps - 59, 60)], axis=1) for path in paths]
    entropies = [_symmetry(_entropy(x, matrix, covariance / b)) for x, b in zip(pieces, BATCHES, strict=True)]
    drawn = paths[0][:, ::SIZE]
    apart = drawn if replacement else run(noise.run_epochs, epochs=steps // SIZE, batch=1, every=SIZE)
    area = (paths[0][:, :-1] @ [[0, 1], [-1, 0]] * paths[0][:, 1:]).sum(-1).mean(1) / (turn[1, 0] - turn[0, 1])
    with jax.enable_x64(True):
        data = [(k, jax.random.normal(k, (2, 120), jnp.float64)) for k in jax.random.split(keys[2], sets)]
        kl = np.array([[_langevin(x, x + z, RATES, k, n, replacement) for n in COUNTS] for k, (x, z) in data])
    made = 60 * invariant.entropy_production(matrix - np.eye(2), covariance)
    variance = np.array([(x[:, 5:] ** 2).sum(-1).mean(1) for x in (drawn, apart)])
    return Measured(area, variance, made, np.array(entropies), kl)


def replication(measured):
    """Return the evidence: parts on currents, on both fluctuation theorems, and on drawing without replacement."""
    m, each = measured, lambda v: (v.mean(), v.std(ddof=1) / len(v) ** 0.5)
    gain, order, (one, many) = -np.diff(np.log10(m.kl), axis=2)[:, :, 0], np.diff(np.log2(m.kl))[..., 0], m.entropies
    parts = []
    for name, statement, predicted, pair, tolerance, relation in (
        ("area", "Area that single-sample descent sweeps, over the predicted one", 1.0, each(m.area), 0.05, "="),
        ("current", "Entropy of 60 updates, batch 16", 0.1, many[0], 0.0, ">"),
        ("integral", "Mean of exp(-S), batch 16", 1.0, many[1], 0.03, "="),
        ("detailed", "Slope of ln P(S)/P(-S), batch 16", 1.0, many[2], 0.1, "="),
        ("single", "Control, noise far from Gaussian: that slope for batch 1", 0.97, one[2], 0.0, "<"),
        ("variance", "Variance without over with replacement", 0.8, each(m.variance[1] / m.variance[0].mean()), 0, "<"),
        ("gain-6", "log10 of the gain, 6 batches, rate 0.01", 1.0, each(gain[:, 0, 3]), 0.0, ">"),
        ("gain-20", "log10 of the gain, 20 batches, rate 0.01", 1.6, each(gain[:, 1, 3]), 0.0, ">"),
        ("order", "Order of the divergence in the rate, without replacement", 2.0, each(order[:, 1, 1]), 0.2, "="),
        ("coarse", "Control, log10 of the gain, 60 batches, rate 0.08", 0.5, each(gain[:, 2, -1]), 0.0, "<"),
    ):
        options = {"relation": relation, "source": "adhikari2023", "test": TEST, "seed": simulate.BOOK_SEED}
        numbers = {"predicted": predicted, "measured": pair[0], "uncertainty": pair[1], "tolerance": tolerance}
        parts.append(evidence.record(f"equilibrium-{name}", statement=f"{statement}.", **numbers, **options))
    return evidence.replication(
        "neighbour-equilibrium",
        statement="Descent settles out of equilibrium, with entropy that obeys fluctuation theorems; drawing without "
        "replacement changes where it settles, and brings Langevin dynamics far nearer to a posterior.",
        source="adhikari2023",
        parts=parts,
        reason="Currents and theorems show in batches of 16; the gain in Langevin dynamics is a prefactor, no exponent."
        if not evidence.failed(parts)
        else "Currents need uneven noise, and the gain needs draws without replacement.",
        test=TEST,
        seed=simulate.BOOK_SEED,
    )
