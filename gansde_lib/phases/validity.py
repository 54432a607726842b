r"""How far from equilibrium the linear theory reaches: non-linear runs from growing displacements beside its powers."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gansde_lib import gda
from gansde_lib.phases.linear import mean_map, spectral_radius
from gansde_lib.phases.measured import draw_settings
from gansde_lib.phases.simulated import run
from gansde_lib.phases.site import Site

AMPLITUDES = (0.01, 0.1, 0.3, 0.5, 1.0, 1.5, 2.0, 3.0)
"""Starting displacements in bandwidths."""

SLOWEST, AWAY = 0.01, 5.0
"""Only sites that lose at least this share of the displacement per update; beyond so many bandwidths a run is away."""


class Reach(NamedTuple):
    """Arrays (sites, amplitudes): the largest `error` of the linear path over one time constant, as a share of its
    largest displacement; whether the run `settled` below a hundredth of its start; whether it went `away`."""

    error: Any
    settled: Any
    away: Any


def stable_settings(size, *, seed):
    """Return rows (p, q, sigma = 1, lambda, eta_g, eta_d) of linearly stable sites with one generated point each,
    in turns for simultaneous and alternating updates.

    >>> stable_settings(4, seed=0).shape
    (4, 6)
    """
    drawn = draw_settings(40 * size, seed=seed)
    mass = drawn.point_mass * drawn.count
    rows = np.stack([drawn.true_mass, mass, np.ones(len(mass)), drawn.ridge, drawn.eta_g, drawn.eta_d], 1)
    kept = []
    for update in gda.ORDERS:
        with jax.enable_x64(True):
            radius = np.asarray(_radii(rows, alternating=update == "alternating"))
        kept.append(rows[radius < 1 - SLOWEST][: size // 2])
    return np.stack(kept, 1).reshape(-1, 6)


def _site(row):
    return Site(row[0], row[1], 1, row[2], row[3]), (row[4], row[5])


@functools.partial(jax.jit, static_argnames="alternating")
def _radii(rows, *, alternating):
    def one(row):
        site, lr = _site(row)
        return spectral_radius(site, lr=lr, update=gda.ORDERS[alternating])

    return jax.vmap(one)(rows)


@functools.partial(jax.jit, static_argnames=("steps", "alternating"))
def _reach(rows, amplitudes, *, steps, alternating):
    update = gda.ORDERS[alternating]

    def one(case):
        row, amplitude = case
        site, lr = _site(row)
        seen = run(site, lr=lr, start=amplitude[None, None], steps=steps, update=update)[:, 0, 0]
        step = mean_map(site, lr=lr, update=update)
        first = jnp.stack([amplitude, jnp.zeros_like(amplitude)])
        _, linear = jax.lax.scan(lambda x, _: (step @ x, x[0]), first, length=steps + 1)
        within = jnp.arange(steps + 1) <= 1 / (1 - spectral_radius(site, lr=lr, update=update))
        error = jnp.where(within, jnp.abs(seen - linear), 0).max() / jnp.where(within, jnp.abs(linear), 0).max()
        late = jnp.abs(seen[-steps // 4 :]).max()
        return error, late < 0.01 * amplitude, jnp.abs(seen).max() > AWAY

    cases = (jnp.repeat(rows, len(amplitudes), 0), jnp.tile(amplitudes, len(rows)))
    found = jax.lax.map(one, cases, batch_size=32)
    return jax.tree.map(lambda part: part.reshape(len(rows), len(amplitudes)), found)


def reach(rows, *, steps, amplitudes=AMPLITUDES):
    """Return the `Reach` of linear theory at `stable_settings`, in float64.

    >>> found = reach(stable_settings(2, seed=0), steps=200, amplitudes=(1e-4, 0.1))
    >>> found.error.shape, bool((found.error[:, 0] < 1e-6).all())
    ((2, 2), True)
    """
    with jax.enable_x64(True):
        amplitudes = jnp.asarray(amplitudes, float)
        halves = [
            jax.device_get(_reach(jnp.asarray(rows[k::2]), amplitudes, steps=steps, alternating=bool(k)))
            for k in range(2)
        ]
    return Reach(*(np.stack(pair, 1).reshape(-1, len(amplitudes)) for pair in zip(*halves, strict=True)))
