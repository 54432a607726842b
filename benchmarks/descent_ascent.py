r"""Noisy descent-ascent on the damped logistic Dirac-GAN, with five moments of the ensemble at every step.

.. math::
    \theta' = \theta + \eta\,(-\omega f(\theta\omega) + s\,\xi), \qquad
    \omega' = \omega + \eta\,(\theta f(\theta\omega) - \gamma\omega + s\,\zeta), \qquad f(t) = 1/(1 + e^t),

with independent standard normal :math:`\xi, \zeta`, in float32. The moments are the means of
:math:`\theta, \omega, \theta^2, \omega^2, \theta\omega`.
"""

import numpy as np

from benchmarks.compare import Form, Work
from benchmarks.path_peers import CHUNK, DAMPING, NOISE, STEPS, dirac_field

RATE = 0.1
"""Learning rate."""

SIZE, FEWER = 102_400, 25_600
"""Numbers of paths: ours, and a peer's."""


def ours(size=SIZE, steps=STEPS):
    """Return the form that is one call of the library: five moments of noisy descent-ascent at every step."""

    def make():
        import jax
        import jax.numpy as jnp
        from jax.tree_util import Partial

        from gansde_lib import Players, simulate

        def step(rate, x, noise):
            field = dirac_field(jnp, *x)
            return Players(*(old + rate * (push + NOISE * z) for old, push, z in zip(x, field, noise, strict=True)))

        def observe(x):
            return x.theta, x.omega, x.theta**2, x.omega**2, x.theta * x.omega

        step, observe = Partial(step, jnp.float32(RATE)), Partial(observe)
        start = Players(jnp.float32(1), jnp.float32(0))
        settings = {"steps": steps, "observe": observe, "every": 1, "key": jax.random.key(0)}
        few = simulate.averages(step, start, size=min(size, 4096), **settings)  # for the check
        variance = np.stack(few.variance, 1)

        def run():
            found = simulate.averages(step, start, size=size, variance=False, **settings)
            return {"mean": np.stack(found.mean, 1), "variance": variance, "size": size}

        return run

    return Form(make, size * steps, xla=True)


def numpy_chunked(size, steps=STEPS):
    """Return the form in NumPy: chunks that fit the cache, sums by dot products."""

    def make():
        rate = np.float32(RATE)

        def run():
            sums = np.zeros((steps + 1, 5))
            for seed in range(size // CHUNK):
                draws = np.random.Generator(np.random.SFC64(seed))
                x, z, push = (np.empty((2, CHUNK), np.float32) for _ in range(3))
                x[0], x[1] = 1, 0
                for k in range(steps + 1):
                    theta, omega = x
                    sums[k] += theta.sum(), omega.sum(), theta @ theta, omega @ omega, theta @ omega
                    draws.standard_normal(out=z, dtype=np.float32)
                    z *= rate * np.float32(NOISE)
                    force = np.multiply(theta, omega)
                    np.exp(force, out=force)
                    force += 1
                    np.divide(rate, force, out=force)
                    np.multiply(x[::-1], force, out=push)
                    z[0] -= push[0]
                    z[1] += push[1]
                    omega *= np.float32(1 - RATE * DAMPING)
                    x += z
            return {"mean": sums / (size // CHUNK * CHUNK), "size": size // CHUNK * CHUNK}

        return run

    return Form(make, size // CHUNK * CHUNK * steps)


def torch_eager(size, steps=STEPS):
    """Return the form in PyTorch without its compiler: all paths as one tensor."""

    def make():
        import torch

        def run():
            with torch.inference_mode():
                theta, omega = torch.ones(size), torch.zeros(size)
                sums = torch.empty(steps + 1, 5)
                for k in range(steps + 1):
                    products = [torch.dot(*pair) for pair in ((theta, theta), (omega, omega), (theta, omega))]
                    sums[k] = torch.stack([theta.sum(), omega.sum(), *products])
                    noise = torch.randn(2, size)
                    first, second = dirac_field(torch, theta, omega)
                    theta = torch.add(theta, first.add_(noise[0], alpha=NOISE), alpha=RATE)
                    omega = torch.add(omega, second.add_(noise[1], alpha=NOISE), alpha=RATE)
                return {"mean": sums.numpy() / size, "size": size}

        return run

    return Form(make, size * steps)


def same_averages(results):
    """Check that all five moments agree at all steps within six standard errors."""
    mine = results["ours"]
    for peer, result in results.items():
        error = np.sqrt(mine["variance"] * (1 / mine["size"] + 1 / result["size"]))
        apart = np.abs(mine["mean"] - result["mean"])
        # float32 sums of this many numbers are right to five digits
        assert np.all(apart <= 6 * error + 1e-5), (
            f"{peer} is up to {np.max(apart / (error + 1e-5)):.1f} standard errors off"
        )


WORKS = [
    Work(
        name="descent-ascent, five moments at every step",
        unit="path-steps",
        ours=ours(),
        peers={
            "numpy chunked": numpy_chunked(FEWER),
            "torch": torch_eager(FEWER),
        },
        check=same_averages,
        targets={"numpy chunked": (13, 28), "torch": (7, 16)},
        bound="Arithmetic, as for the SDE, and five sums a step: no path is stored. Sums that waited for each other "
        "would take as long as all the rest; here each has 16 parts that do not.",
    ),
]
