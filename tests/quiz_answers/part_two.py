"""What a minibatch adds, The SDE limit."""

import jax
import numpy as np
import scipy.optimize
import scipy.stats

from gansde_lib import games, gda, invariant, noise, sde
from gansde_lib.games import Players

ORIGIN = Players(0.0, 0.0)

BANK = games.quadratic(1.0, 1.0, 1.0, samples={"a": np.arange(101.0) ** 1.5, "b": np.sin(np.arange(101.0))})


def scaling():
    covariances = [
        rate**2 * noise.batch_covariance(BANK, ORIGIN, batch=batch) for rate, batch in ((0.1, 8), (0.05, 32))
    ]
    return covariances[1][0, 0] / covariances[0][0, 0]


def finite():
    without, with_replacement = (
        noise.batch_covariance(BANK, ORIGIN, batch=51, replacement=replacement)[0, 0] for replacement in (False, True)
    )
    return without / with_replacement


def who_shares():
    """Share the real points and not the latent ones: the cross block of what real points contribute."""
    shared = noise.parts(games.toy_gan(), Players(np.array([0.5, 0.8]), np.array([0.3, -0.4]))).real
    return "No." if np.abs(np.asarray(shared)[:2]).max() < 1e-6 else "Yes, because they share"


def trace():
    x = Players(0.3, 0.8)
    samples = {"a": np.array([1.0, -1.0, 0.0]), "b": np.array([2.0, -1.0, -1.0])}
    game = games.quadratic(1.0, 1.0, 1.0, samples=samples)
    both = [np.asarray(noise.batch_covariance(game, x, batch=2, shared_batch=shared)) for shared in (False, True)]
    assert abs(both[1][0, 1]) > 0.1 > abs(both[0][0, 1])
    return "stays the same" if np.isclose(np.trace(both[0]), np.trace(both[1])) else "doubles"


def kurtosis():
    """Draw from {0, 1} with the chance that has an excess kurtosis of 8; a minibatch's sum is binomial."""
    chance = scipy.optimize.brentq(lambda p: scipy.stats.bernoulli(p).stats("k") - 8, 0.01, 0.2)
    return float(scipy.stats.binom(32, chance).stats("k"))


def stable():
    draws = noise.stable(1.5, (4000, 1000), key=jax.random.key(0))
    measured = noise.spread(draws.mean(axis=1)) / noise.spread(draws[:, 0])
    exact = 1000 ** (1 / 1.5 - 1)
    assert abs(measured / exact - 1) < 0.1
    return exact


def order_without_noise():
    game = games.quadratic(0.5, 1.0, 0.5, samples={"a": np.array([1.0, -1.0]), "b": np.array([1.0, -1.0])})
    slopes = []
    for covariance in ("none", "full"):
        errors = []
        for steps in (40, 80, 160):
            how = {"lr": 2 / steps, "batch": 1}
            equation = sde.modified_equation(game, order=1, covariance=covariance, **how)
            start = Players(2.0, 0.0)
            found = (
                sde.equation_moments(equation, start, time=steps),
                sde.chain_moments(game, start, steps=steps, **how),
            )
            errors.append(abs(found[0].second[0, 0] - found[1].second[0, 0]))
        slopes.append(np.log2(errors[0] / errors[2]) / 2)
    return "One for both" if np.allclose(slopes, 1, atol=0.15) else "Two for both"


def correction():
    first, second = (
        sde.modified_equation(games.bilinear(1.0), lr=0.2, batch=None, update="alternating", order=order).drift(
            Players(1.0, 0.0)
        )
        for order in (1, 2)
    )
    return second.theta - first.theta


def shared_drift():
    game = games.quadratic(0.0, 1.0, 0.0, samples={"C": np.array([1.0, -1.0, 1.0, -1.0]) * np.sqrt(2)})
    drifts = [
        sde.modified_equation(game, lr=0.1, batch=4, update="alternating", shared_batch=shared).drift(Players(1.0, 0.0))
        for shared in (True, False)
    ]
    return drifts[0].theta - drifts[1].theta


def rotation(lr, order="simultaneous"):
    """Return the variance of theta in training, in a damped rotation with m = 0.5, c = 1, s = 1."""
    game = games.quadratic(0.5, 1.0, 0.5, samples={"a": np.array([1.0, -1.0]), "b": np.array([1.0, -1.0])})
    return sde.chain_stationary(game, ORIGIN, lr=lr, batch=1, update=order).covariance[0, 0]


def edge():
    limit = gda.rotation_limit(0.5, 1.0)
    return rotation(limit / 2) / (limit / 2 / (2 * 0.5))


def euler():
    """Compare one step of Euler's scheme with training: the same mean and covariance, which the equation has not."""
    game = games.quadratic(1.0, 0.0, 1.0, samples={"a": np.array([1.0, -1.0])})
    chain = sde.chain_stationary(game, ORIGIN, lr=0.4, batch=1).covariance[0, 0]
    equation = sde.equation_stationary(sde.modified_equation(game, lr=0.4, batch=1, order=1), ORIGIN).covariance[0, 0]
    one_step = invariant.covariance(np.array([[1 - 0.4]]), np.array([[0.4**2]]))[0, 0]
    return "training with Gaussian noise" if np.isclose(one_step, chain) and equation < 0.9 * chain else "describes"


def stationary_orders():
    game = games.quadratic(1.0, 0.0, 1.0, samples={"a": np.array([1.0, -1.0])})
    chain = sde.chain_stationary(game, ORIGIN, lr=0.05, batch=1).covariance[0, 0]
    errors = [
        sde.equation_stationary(sde.modified_equation(game, lr=0.05, batch=1, **how), ORIGIN).covariance[0, 0] / chain
        - 1
        for how in ({"order": 1}, {"order": 2}, {"order": 2, "covariance_correction": True})
    ]
    first, second, third = np.abs(errors)
    return "twice as bad" if 1.9 < second / first < 2.1 and third < first / 10 else "fall in this order"


NUMBERS = {
    "noise-scaling": scaling,
    "noise-finite": finite,
    "noise-kurtosis": kurtosis,
    "noise-stable": stable,
    "sde-correction": correction,
    "sde-shared-drift": shared_drift,
    "sde-edge": edge,
}
CHOICES = {
    "noise-who-shares": who_shares,
    "noise-trace": trace,
    "sde-no-noise": order_without_noise,
    "sde-euler": euler,
    "sde-stationary": stationary_orders,
}
