"""The non-linear kernel GAN at one site, with noise, many times at once."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gansde_lib import _checks, gda, kernel_gan, simulate
from gansde_lib.games import Players

CALL = "ensemble(site, lr=(0.3, 0.2), point_noise=0.004, steps=2000, burn_in=500, size=500, key=jax.random.key(0))"

BOX, MODES = 8.0, 9
"""Of the feature map, in bandwidths: exact to 2e-8 for points within one bandwidth, and periodic beyond the box."""


class Ensemble(NamedTuple):
    """Runs of one noisy site; arrays of shape (size,), one entry a run.

    `mean`, `slope`: mean displacement and deviation of the witness's slope at the end; `half_distance`: half of that
    between the first and the last point; `mean_square`, `slope_square`: averages over the updates after the burn-in;
    `difference_square`: that of the sum of squared deviations from the mean over n - 1 (zero for one point).
    """

    mean: Any
    slope: Any
    half_distance: Any
    mean_square: Any
    slope_square: Any
    difference_square: Any


def start(site):
    """Return the kernel GAN of a site in one dimension as a `Game`, and its equilibrium, as `Players`.

    >>> from gansde_lib import phases
    >>> game, rest = start(phases.Site(1.0, 0.4, count=2, ridge=0.5))
    >>> bool(abs(game.field(rest).theta).max() + abs(game.field(rest).omega).max() < 1e-6)
    True
    """
    if site.kernel != "gaussian":
        raise ValueError(f"the ensemble is for the Gaussian kernel, found {site.kernel!r}; for example Site(1.0, 1.0)")
    features = kernel_gan.fourier_features(BOX * site.bandwidth, modes=MODES, bandwidth=site.bandwidth)
    game = kernel_gan.game(features, [[0.0]], [site.true_mass], np.full(site.count, site.point_mass), ridge=site.ridge)
    there = features(jnp.zeros(1))[0]
    return game, Players(jnp.zeros((site.count, 1)), there * (site.excess / site.ridge))


def step(game, lr, alternating, x, kick):
    """Return x after one update whose field is off by `kick`; `alternating` is a truth value, traced or not.

    >>> from gansde_lib import phases
    >>> game, rest = start(phases.Site(1.0, 1.0, ridge=0.5))
    >>> kick = Players(jnp.ones((1, 1)), jnp.zeros(2 * MODES + 2))
    >>> step(game, gda.rates((0.1, 0.2)), False, rest, kick).theta
    Array([[0.1]], dtype=float32)
    """
    omega = x.omega + lr.omega * (game.field(x).omega + kick.omega)
    seen = Players(x.theta, jnp.where(alternating, omega, x.omega))
    return Players(x.theta + lr.theta * (game.field(seen).theta + kick.theta), omega)


def ensemble(site, *, lr, update="simultaneous", point_noise, witness_noise=0.0, steps, burn_in, size, key, chunk=512):
    """Run a noisy site from its equilibrium, in one dimension, many times.

    Args:
        site: the `phases.Site`, with a Gaussian kernel.
        lr, update, point_noise, witness_noise: as in `noise_covariance`.
        steps: number of updates.
        burn_in: how many updates to leave out of the averages.
        size: number of runs.
        key: random key.
        chunk: how many runs go side by side.

    Returns:
        `Ensemble`.

    Raises:
        ValueError: for another kernel, a burn-in that leaves nothing, bad rates or noises.

    >>> from gansde_lib import phases
    >>> found = ensemble(phases.Site(1.0, 1.0, ridge=0.4), lr=(0.2, 0.2), point_noise=0.004, steps=600, burn_in=200,
    ...                  size=64, key=jax.random.key(0))
    >>> bool(0.8e-5 < found.mean_square.mean() < 1.0e-5)  # 0.90e-5 in the linear theory
    True
    """
    for name, value in (("point_noise", point_noise), ("witness_noise", witness_noise)):
        _checks.non_negative(name, value, example=CALL)
    _checks.choice("update", update, gda.ORDERS, example='update="alternating"')
    _checks.whole("size", size, minimum=1, example=CALL)
    _checks.whole("burn_in", burn_in, minimum=0, example=CALL)
    _checks.whole("steps", steps, minimum=int(burn_in) + 1, example=CALL)
    game, rest = start(site)
    scales = Players(jnp.asarray(point_noise, float), jnp.asarray(witness_noise, float))
    lr = jax.tree.map(lambda rate: jnp.asarray(rate, float), gda.rates(lr))
    return _ensemble(
        game, rest, lr, jnp.asarray(update == "alternating"), scales, jnp.asarray(burn_in), key, steps=int(steps),
        size=int(size), chunk=int(chunk), quiet=float(witness_noise) == 0,
    )  # fmt: skip


@functools.partial(jax.jit, static_argnames=("steps", "size", "chunk", "quiet"))
def _ensemble(game, rest, lr, alternating, scales, burn_in, key, *, steps, size, chunk, quiet):
    # The slope at the true point is that of the features there times the witness's coefficients.
    slopes = jax.jacfwd(lambda x: game.payoff.args[0](x)[0])(jnp.zeros(1, rest.omega.dtype))[:, 0]

    def observe(x):
        e, count = x.theta[:, 0], x.theta.shape[0]
        apart = ((e - e.mean()) ** 2).sum() / max(count - 1, 1)
        return e.mean(), slopes @ (x.omega - rest.omega), (e[0] - e[-1]) / 2, apart

    def advance(state, key):
        x, sums, k = state
        points, witness = jax.random.split(key)
        kick = Players(
            scales.theta * jax.random.normal(points, x.theta.shape, x.theta.dtype),
            jnp.zeros_like(x.omega)
            if quiet
            else scales.omega * jax.random.normal(witness, x.omega.shape, x.omega.dtype),
        )
        x = step(game, lr, alternating, x, kick)
        mean, slope, _, apart = observe(x)
        return x, sums + jnp.where(k >= burn_in, jnp.stack([mean**2, slope**2, apart]), 0), k + 1

    def run(key):
        begin = (rest, jnp.zeros(3, rest.omega.dtype), jnp.asarray(0))
        x, sums, _ = jax.tree.map(
            lambda leaf: leaf[-1], simulate.trajectory(advance, begin, steps=steps, key=key, every=steps)
        )
        mean, slope, half, _ = observe(x)
        return Ensemble(mean, slope, half, *(sums / (steps - burn_in)))

    return simulate.ensemble(run, size=size, key=key, chunk=chunk)
