"""Fluctuation-dissipation relations, Learning rates."""

import jax.numpy as jnp
import numpy as np
import scipy.optimize

from gansde_lib import fdr, games, gda, invariant, schedule
from gansde_lib.games import Players

ORIGIN = Players(0.0, 0.0)
NOISY = {"a": np.array([1.0, -1.0]), "b": np.array([1.0, -1.0])}


def continuous_ratio(share):
    """Return left over right side of the continuous-time sum relation in training, at a share of the largest rate."""
    found = fdr.exact(
        games.quadratic(0.2, 1.0, 0.2, samples=NOISY), ORIGIN, lr=share * gda.rotation_limit(0.2, 1.0), batch=1
    )
    assert abs(found.total.ratio.mean - 1) < 1e-9
    return float(found.continuous.total.ratio.mean)


def identity():
    """A run moved by vectors that have nothing to do with any payoff: the sums differ by a boundary term."""
    pushes = np.random.default_rng(0).normal(size=(500, 3))
    eta, path = 0.1, np.vstack([np.ones(3), 1 - 0.1 * np.cumsum(pushes, axis=0)])
    difference = (path[:-1] * pushes).sum() - eta / 2 * (pushes**2).sum()
    boundary = ((path[0] ** 2).sum() - (path[-1] ** 2).sum()) / (2 * eta)
    return "at both ends of the window" if np.isclose(difference, boundary) else "relation holds"


def where():
    """Alternating steps of a damped rotation: the generator's balance, its gradient taken at both discriminators."""
    m, c, eta = 0.2, 1.0, 0.5
    first, second = np.array([[1, 0], [eta * c, 1 - eta * m]]), np.array([[1 - eta * m, -eta * c], [0, 1]])
    kick = eta**2 * (second @ np.diag([0.0, 1.0]) @ second.T + np.diag([1.0, 0.0]))
    before = invariant.covariance(second @ first, kick)
    between = first @ before @ first.T + eta**2 * np.diag([0.0, 1.0])  # of theta and the new omega
    gradient, theta = np.array([m, c]), np.array([1.0, 0.0])
    ratios = [(theta @ law @ gradient) / (eta / 2 * (gradient @ law @ gradient + 1)) for law in (before, between)]
    assert abs(ratios[0] - 1) > 0.1
    return "at the new discriminator" if np.isclose(ratios[1], 1) else "More chains"


def cross_term():
    rng = np.random.default_rng(1)
    samples = {"a": rng.normal(size=8), "b": rng.normal(size=8)}
    samples = {name: value - value.mean() for name, value in samples.items()}
    samples["b"] = samples["b"] + samples["a"]  # so that both gradients of a sample are correlated
    game = games.quadratic(0.7, 1.0, 0.4, samples=samples)
    ratios = [
        float(fdr.exact(game, ORIGIN, lr=lr, batch=2, shared_batch=True).uncrossed.payoff.ratio.mean)
        for lr in (1e-2, 1e-3, 1e-4)
    ]
    assert np.allclose(ratios[1:], ratios[2], rtol=0.02)
    return "another number than one" if abs(ratios[2] - 1) > 0.05 else "tends to one"


def still_moving():
    """A run that slows down on its way to its equilibrium: the left side is the larger one, and it is not there yet."""
    eta, theta, states, pulls = 0.01, 10.0, [], []
    for _ in range(400):
        states.append(theta)
        pulls.append(0.1 * theta)
        theta -= eta * pulls[-1]
    states, pulls = np.array(states), np.array(pulls)
    ratio = (states * pulls).sum() / (eta / 2 * (pulls**2).sum())
    return "still on its way" if ratio > 6 and theta > 5 else "has settled"


def switch():
    """Find the loss at which a rate a little below the full one first makes the loss fall faster."""
    a, noise = 0.7, 0.4  # the loss settles at a quarter of the noise, 0.1

    def gain(loss):
        def slope(u):
            return -2 * a * u * loss + a * noise / 2 * u**2

        return slope(1.0) - slope(1.0 - 1e-6)

    assert np.isclose(schedule.constant_loss(1.0, 1e3, curvature=a, noise=noise, loss=1.0), 0.1)
    return scipy.optimize.brentq(gain, 0.01, 1.0)


def inverse_time():
    best = schedule.optimal(curvature=0.5, noise=1.0, loss=2.0)
    times = np.linspace(0, 40, 400_001)
    shares = np.asarray(best.rate(times))
    return times[np.argmax(shares <= 0.2)] - times[np.argmax(shares < 1)]


def batches():
    """Count samples up to the same clock: one unit a step if the rate falls, 1 / u a step if the batch grows."""
    a, dt = 0.5, 1e-3
    t = np.arange(0, 8, dt)
    share = 1 / (1 + a * t)
    clock = np.cumsum(share) * dt
    steps = np.linspace(0, clock[-1], 8000)  # of the clock, which is the time of the run with the growing batch
    grown = np.interp(steps, clock, 1 / share).mean() * clock[-1]
    return "the same number" if abs(grown / 8 - 1) < 0.01 else "The growing batch"


def feedback():
    """Compare the grid's value of the best feedback with the best open loop, on the quadratic example."""
    grid = {"lower": -3.0, "upper": 3.0, "cells": 121, "horizon": 2.0, "least": 0.2}
    found = schedule.hjb(lambda x: -x, lambda x: 0.2, lambda x: x**2 / 2, **grid)
    open_loop = schedule.optimal(curvature=1.0, noise=0.2, loss=1.5**2 / 2).loss_at(2.0)
    return "v \\le m" if found.at(1.5) < 0.9 * open_loop else "v = m"


def blind():
    return "Nothing, unless noise" if continuous_ratio(0.7) > 3 else "Lower the rate at the next check"


def silent():
    """The centred rule on a steady walk: its left side is negative."""
    rule, x = schedule.exact_rule(1.0, every=100, tolerance=1e-6), jnp.zeros(1)
    state = rule.init(x)
    for _ in range(100):
        _, state = rule.update(-jnp.ones(1), state, x)
        x = x + 1.0
    return "still moving away" if state.ratio < 0 else "small enough"


NUMBERS = {
    "fdr-bias": lambda: continuous_ratio(0.75),
    "fdr-band": lambda: scipy.optimize.brentq(lambda share: continuous_ratio(share) - 1.25, 0.05, 0.6, xtol=1e-5),
    "schedule-switch": switch,
    "schedule-inverse-time": inverse_time,
}
CHOICES = {
    "fdr-identity": identity,
    "fdr-where": where,
    "fdr-cross-term": cross_term,
    "fdr-three-clocks": still_moving,
    "schedule-batch": batches,
    "schedule-feedback": feedback,
    "schedule-blind": blind,
    "schedule-silent": silent,
}
