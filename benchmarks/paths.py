"""Ensembles of paths of stochastic differential equations, in two and in twenty dimensions.

The equations and the peers' forms are in `benchmarks.path_peers`.
"""

import functools

import numpy as np

from benchmarks.compare import Form, Work
from benchmarks.path_peers import (
    NOISE,
    STEP,
    STEPS,
    coupled_field,
    diffrax_euler,
    dirac_field,
    numba_parallel,
    numpy_chunked,
    start_of,
    torchsde_euler,
)

SIZES = {2: 102_400, 20: 20_480}
"""Numbers of paths by dimension."""

FEWER = {2: 24_576, 20: 4_096}
"""Numbers of paths for peers whose throughput does not depend on it."""


def ours(dimension, increments="gaussian", size=None, steps=STEPS):
    """Return the form that is one call of the library."""
    size = size or SIZES[dimension]

    def make():
        import jax
        import jax.numpy as jnp
        from jax.tree_util import Partial

        from gansde_lib import Players, simulate

        def step(h, x, w):
            field = dirac_field if dimension == 2 else coupled_field
            drift = field(jnp, *x)
            grown = [
                old + h * b + jnp.sqrt(h) * NOISE * jnp.sqrt(1 + 0.1 * old * old) * z
                for old, b, z in zip(x, drift, w, strict=True)
            ]
            return Players(*grown)

        step = Partial(step, jnp.float32(STEP))
        start = Players(*map(jnp.asarray, start_of(dimension)))
        settings = {"steps": steps, "size": size, "increments": increments, "batched": dimension > 2}
        key = jax.random.key(0)

        def run():
            last = jax.block_until_ready(simulate.paths(step, start, key=key, **settings))
            return np.concatenate([np.asarray(leaf).reshape(size, -1) for leaf in last], 1)

        return run

    return Form(make, size * steps, xla=True)


def same_moments(results, bias=0.0):
    """Check that first and second moments agree within five standard errors, and a bias where the scheme has one."""

    def observed(x):
        return np.concatenate([x, x * x, x * np.roll(x, 1, 1)], 1).astype(float)

    mine = observed(results["ours"])
    for peer, result in results.items():
        theirs = observed(result)
        error = np.sqrt(mine.var(0) / len(mine) + theirs.var(0) / len(theirs))
        apart = np.abs(mine.mean(0) - theirs.mean(0))
        worst = np.argmax(apart - 5 * error)
        told = (
            f"moment {worst} of {peer} is {apart[worst]:.2g} from ours, five standard errors are {5 * error[worst]:.2g}"
        )
        assert np.all(apart <= 5 * error + bias), told


PEERS = {
    "diffrax ensemble": diffrax_euler(2, SIZES[2], together=True),
    "diffrax vmap": diffrax_euler(2, FEWER[2], together=False),
    "torchsde": torchsde_euler(2, SIZES[2]),
    "numpy chunked": numpy_chunked(FEWER[2]),
    "numpy chunked, 2 threads": numpy_chunked(FEWER[2], threads=2),
    "numba": numba_parallel(FEWER[2]),
}

WORKS = [
    Work(
        name="2-d SDE, Gaussian increments",
        unit="path-steps",
        ours=ours(2),
        peers=PEERS,
        check=same_moments,
        targets={
            "diffrax ensemble": (14, 21),
            "diffrax vmap": (55, 79),
            "torchsde": (24, 32),
            "numpy chunked": (17, 25),
            "numba": (20, 28),
        },
        bound="Arithmetic, half of it for two normal numbers a step: hand-written AVX-512 code needs 0.85 ns of a core "
        "for these and 0.8 ns for the step, together 1.2e9 path-steps a second on two cores.",
        limit=6.0e8,
    ),
    Work(
        name="2-d SDE, two-point increments",
        unit="path-steps",
        ours=ours(2, "two-point"),
        peers=PEERS,
        # The scheme's own error at this step is of this size, and not the same for both kinds of increments.
        check=functools.partial(same_moments, bias=0.003),
        targets={
            "diffrax ensemble": (30, 46),
            "diffrax vmap": (120, 175),
            "torchsde": (50, 69),
            "numpy chunked": (40, 56),
            "numba": (45, 63),
        },
        bound="The arithmetic of the step itself, 0.8 ns of a core in hand-written AVX-512 code: one random word gives "
        "32 increments. Hand-written C reached 3.0e9 path-steps a second on two cores.",
        limit=1.5e9,
    ),
    Work(
        name="20-d SDE, dense couplings",
        unit="path-steps",
        ours=ours(20),
        peers={
            "diffrax vmap": diffrax_euler(20, FEWER[20], together=False),
            "diffrax ensemble": diffrax_euler(20, SIZES[20], together=True),
            "torchsde": torchsde_euler(20, SIZES[20]),
        },
        check=same_moments,
        targets={"diffrax vmap": (10, 13), "torchsde": (14, 18)},
        bound="Arithmetic: twenty normal numbers take 9 ns of a core, two dense 10 x 10 couplings about 10 ns, "
        "together 1.0e8 path-steps a second on two cores.",
        limit=5.2e7,
    ),
]
