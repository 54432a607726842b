r"""Adaptive steps on gradients that arrive over the air: faded, added up, and hit by noise without a variance.

Clients send the gradients of :math:`f_n(w) = \sum_i \phi(w_i - c_{ni})` at once; the server receives :math:`g =
\frac1N\sum_n h_n \nabla f_n(w) + s\,\xi`, with fading of mean one and symmetric stable noise. Our reconstruction.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gansde_lib import _checks, evidence, noise, simulate

SOURCE, TEST = "wang2025", "tests/test_neighbours_over_the_air.py::test_without_normalisation_nothing_is_left"
ALPHAS = (1.2, 1.5, 1.8)


class Rule(NamedTuple):
    r"""The step :math:`w - \eta k^{-p} m / v^{1/\alpha}`, :math:`v = \rho v + \gamma|g|^\alpha`,
    :math:`m = \beta m + (1 - \beta) g`; without normalisation the divisor is one."""

    lr: float
    keep: float = 1.0
    gain: float = 1.0
    momentum: float = 0.0
    decay: float = 0.0
    normalised: float = 1.0


RULES = {
    "AdaGrad": Rule(0.5),
    "Adam": Rule(0.03, keep=0.99, gain=0.01, momentum=0.9),
    "Adam, falling rate": Rule(0.5, keep=0.99, gain=0.01, momentum=0.9, decay=0.5),
} | {f"plain, {lr:g}": Rule(lr, normalised=0.0) for lr in (0.003, 0.01, 0.03)}


class Rates(NamedTuple):
    """Squared gradients, shape (alphas, rules, runs, checkpoints): means over all steps so far, and those of one."""

    averages: np.ndarray
    last: np.ndarray


def gradient(w, centres):
    r"""Return the clients' gradients, :math:`\phi'(u) = u/\sqrt{1 + u^2} + 0.6\sin 2u`, shape (clients, d).

    >>> gradient(jnp.zeros(2), jnp.zeros((1, 2)))
    Array([[0., 0.]], dtype=float32)
    """
    u = w - centres
    return u / jnp.sqrt(1 + u * u) + 0.6 * jnp.sin(2 * u)


def run(rule, alpha, *, clients=10, dimensions=20, scale=0.2, steps=4000, checkpoints=8, key):
    """Return running means of the squared full gradient, and its last values; ValueError unless 1 < alpha <= 2.

    >>> average, last = run(RULES["AdaGrad"], 1.5, steps=80, key=jax.random.key(0))
    >>> average.shape, bool(average[-1] < average[0])
    ((8,), True)
    """
    if _checks.is_concrete(alpha) and not 1 < float(alpha) <= 2:
        raise ValueError(f'alpha must lie in (1, 2], found {alpha!r}; for example run(RULES["AdaGrad"], 1.5, key=key)')
    centres = 0.3 * jax.random.normal(jax.random.key(0), (clients, dimensions))  # the same for all runs

    def draw(key):
        fading, interference = jax.random.split(key)
        strength = jax.random.rayleigh(fading, np.sqrt(2 / np.pi), (clients, 1))
        return strength, scale * noise.stable(alpha, (dimensions,), key=interference)

    def step(state, drawn):
        w, v, m, clock, total, _ = state
        each = gradient(w, centres)
        size = jnp.sum(each.mean(0) ** 2)
        g = (drawn[0] * each).mean(0) + drawn[1]
        v = rule.keep * v + rule.gain * jnp.abs(g) ** alpha
        m = rule.momentum * m + (1 - rule.momentum) * g
        divisor = jnp.where(rule.normalised > 0, (v + 1e-12) ** (1 / alpha), 1.0)
        return w - rule.lr * (clock + 1) ** -rule.decay * m / divisor, v, m, clock + 1, total + size, size

    zero, start = jnp.zeros(dimensions), jnp.float32(0)
    begin, every = (1 + zero, zero, zero, start, start, start), steps // checkpoints
    path = simulate.trajectory(step, begin, steps=steps, key=key, every=every, draw=draw)
    return (path[4] / jnp.maximum(path[3], 1))[1:], path[5][1:]


@functools.partial(jax.jit, static_argnames=("runs", "steps"))
def _runs(rules, alpha, key, *, runs, steps):
    every_rule = jax.vmap(lambda rule, key: run(rule, alpha, steps=steps, key=key), (0, None))
    return simulate.ensemble(functools.partial(every_rule, rules), size=runs, key=key, chunk=runs)


def measure(*, key, runs=128, steps=4000, normalised=True):
    """Run all `RULES` at all `ALPHAS`, 8 times or more; `normalised=False` takes the divisor from every rule.

    >>> measure(key=jax.random.key(0), runs=8, steps=8).averages.shape
    (3, 6, 8, 8)
    """
    _checks.whole("runs", runs, minimum=8, example="measure(key=simulate.key(960), runs=128)")
    rules = [rule if normalised else rule._replace(normalised=0.0) for rule in RULES.values()]
    stacked = Rule(*(jnp.array(column, jnp.float32) for column in zip(*rules, strict=True)))
    found = [jax.device_get(_runs(stacked, jnp.float32(a), key, runs=runs, steps=steps)) for a in ALPHAS]
    return Rates(*(np.array(part).swapaxes(1, 2) for part in zip(*found, strict=True)))


def slope(series):
    """Return the exponent in T of the median over runs (axis -2), from equally spaced T, by least squares.

    >>> slope(np.arange(1.0, 9.0)[None] ** -0.5).round(3)
    np.float64(-0.5)
    """
    times = np.log(np.arange(1, series.shape[-1] + 1))
    times = times - times.mean()
    return np.log(np.median(series, axis=-2)) @ times / (times @ times)


def estimate(statistic, series):
    """Return `statistic(series)` and its standard error, from runs (axis -2) drawn 200 times with replacement."""
    runs, rng = series.shape[-2], np.random.default_rng(simulate.BOOK_SEED)
    return statistic(series), np.std([statistic(series[..., rng.integers(runs, size=runs), :]) for _ in range(200)], 0)


def replication(measured):
    """Return the evidence: AdaGrad's exponents and their order, plain steps, and the rate claimed for Adam."""
    ada, middle = measured.averages[:, 0], measured.averages[1]
    rows = [
        (f"adagrad-{round(10 * a)}", f"Exponent in T of AdaGrad's mean squared gradient, tail index {a:g}: at most "
         "1/alpha - 1.", 1 / a - 1, estimate(slope, ada[i]), "<", 0.03) for i, a in enumerate(ALPHAS)
    ] + [
        ("order", "AdaGrad's exponent at tail index 1.2 less that at 1.8: at least half of what the bounds differ by.",
         (1 / 1.2 - 1 / 1.8) / 2, estimate(lambda s: slope(s[0]) - slope(s[-1]), ada), ">", 0.0),
        ("plain", "Best of three constant rates without normalisation, over AdaGrad, tail index 1.5: at least twice.",
         2.0, estimate(lambda s: np.median(s[3:, :, -1], 1).min() / np.median(s[0, :, -1]), middle), ">", 0.0),
        ("adam", "Exponent of the Adam-like rule at a constant rate, tail index 1.5: -1.",
         -1.0, estimate(slope, middle[1]), "<", 0.1),
        ("adam-last", "Exponent of its last squared gradient at a rate that falls like a root, tail index 1.5: -1.",
         -1.0, estimate(slope, measured.last[1, 2]), "<", 0.1),
    ]  # fmt: skip
    common = {"source": SOURCE, "test": TEST, "seed": simulate.BOOK_SEED}
    parts = [
        evidence.record(f"neighbour-over-the-air-{name}", statement=text, predicted=bound, measured=value[0],
                        uncertainty=value[1], relation=relation, tolerance=tolerance, **common)
        for name, text, bound, value, relation, tolerance in rows
    ]  # fmt: skip
    reason = f"AdaGrad {'keeps' if parts[0].verdict == 'holds' else 'does not keep'} to the bound. The 1/T of the "
    reason += (
        "Adam-like rule did not show: at a constant rate it reaches a plateau, at a falling one its gradients fall "
    )
    reason += "about as a root of T. What the work's 1/T counts, we do not know."
    statement = (
        "With noise of tail index alpha, AdaGrad over the air has mean squared gradients of order ln T / T^(1 - "
    )
    statement += "1/alpha), slower for heavier tails; an Adam-like rule reaches 1/T."
    return evidence.replication("neighbour-over-the-air", statement=statement, parts=parts, reason=reason, **common)
