r"""Two stochastic differential equations, and the forms in which NumPy, Numba, torchsde and diffrax solve them.

In two dimensions the drift is the field of the logistic Dirac-GAN with damping :math:`\gamma`, and the noise grows
with the state:

.. math::
    d\theta = -\omega f(\theta\omega)\,dt + s\sqrt{1 + \theta^2/10}\,dW_1, \qquad
    d\omega = (\theta f(\theta\omega) - \gamma\omega)\,dt + s\sqrt{1 + \omega^2/10}\,dW_2, \qquad f(t) = 1/(1 + e^t).

In twenty dimensions the players are coupled by a dense matrix and damped by cubes. The scheme is that of Euler and
Maruyama, in float32; each form is the one that was fastest for its library.
"""

import numpy as np

from benchmarks.compare import Form

STEP, STEPS, NOISE, DAMPING = 0.01, 1000, 0.3, 0.1
COUPLING = (np.random.default_rng(0).normal(size=(10, 10)) / 4).astype(np.float32)
CHUNK = 4096
"""Paths that NumPy works on at a time: their arrays stay in a core's cache."""


def start_of(dimension):
    """The two players at the start."""
    one = np.float32(1) if dimension == 2 else np.ones(10, np.float32)
    return one, 0 * one


def dirac_field(numbers, theta, omega):
    """The drift of the damped logistic Dirac-GAN, in the arrays of any library."""
    force = 1 / (1 + numbers.exp(theta * omega))
    return -omega * force, theta * force - DAMPING * omega


def coupled_field(numbers, theta, omega):
    """The drift in twenty dimensions, for many paths side by side along the last axis."""

    def product(matrix, players):  # with so small a matrix faster written out than as a matrix product
        return sum(matrix[:, place, None] * players[place] for place in range(10))

    return -product(COUPLING, omega) - 0.1 * theta**3, product(COUPLING.T, theta) - 0.1 * omega**3


def numpy_chunked(size, steps=STEPS, threads=1):
    """Return the form in NumPy: chunks that fit the cache, its fastest generator, all arithmetic in place."""

    def make():
        import concurrent.futures

        h, root = np.float32(STEP), np.float32(NOISE * np.sqrt(STEP))

        def chunk(seed):
            draws = np.random.Generator(np.random.SFC64(seed))
            x, z, more = (
                np.empty((2, CHUNK), np.float32),
                np.empty((2, CHUNK), np.float32),
                np.empty((2, CHUNK), np.float32),
            )
            force = np.empty(CHUNK, np.float32)
            x[0], x[1] = 1, 0
            for _ in range(steps):
                draws.standard_normal(out=z, dtype=np.float32)
                np.multiply(x, x, out=more)
                more *= np.float32(0.1)
                more += 1
                np.sqrt(more, out=more)
                z *= more
                z *= root
                np.multiply(x[0], x[1], out=force)
                np.exp(force, out=force)
                force += 1
                np.divide(h, force, out=force)
                np.multiply(x[::-1], force, out=more)
                z[0] -= more[0]
                z[1] += more[1]
                x[1] *= np.float32(1 - STEP * DAMPING)
                x += z
            return x.T

        def run():
            seeds = range(size // CHUNK)
            if threads == 1:
                return np.concatenate([chunk(seed) for seed in seeds])
            with concurrent.futures.ThreadPoolExecutor(threads) as pool:
                return np.concatenate(list(pool.map(chunk, seeds)))

        return run

    return Form(make, size // CHUNK * CHUNK * steps)


def numba_parallel(size, steps=STEPS):
    """Return the form in Numba: a path after the other in registers, shared between cores."""

    def make():
        import numba

        @numba.njit(parallel=True, fastmath=True)
        def simulate(h, s, damping, steps, last):
            half, one, tenth = np.float32(np.sqrt(h)) * s, np.float32(1), np.float32(0.1)
            for path in numba.prange(len(last)):
                theta, omega = one, np.float32(0)
                for _ in range(steps):
                    force = one / (one + np.exp(theta * omega))
                    first = half * np.sqrt(one + tenth * theta * theta) * np.float32(np.random.standard_normal())
                    second = half * np.sqrt(one + tenth * omega * omega) * np.float32(np.random.standard_normal())
                    old = theta
                    theta = theta - h * omega * force + first
                    omega = omega + h * (old * force - damping * omega) + second
                last[path, 0], last[path, 1] = theta, omega
            return last

        parameters = [np.float32(number) for number in (STEP, NOISE, DAMPING)]
        return lambda: simulate(*parameters, steps, np.empty((size, 2), np.float32))

    return Form(make, size * steps)


def torchsde_euler(dimension, size, steps=STEPS):
    """Return the form in torchsde: all paths as one batch."""

    def make():
        import torch
        import torchsde

        coupling = torch.from_numpy(COUPLING)
        half = dimension // 2

        class Equation:
            noise_type, sde_type = "diagonal", "ito"

            def f(self, t, y):
                theta, omega = y[:, :half], y[:, half:]
                if dimension == 2:
                    return torch.cat(dirac_field(torch, theta, omega), 1)
                return torch.cat([-omega @ coupling.T - 0.1 * theta**3, theta @ coupling - 0.1 * omega**3], 1)

            def g(self, t, y):
                return NOISE * torch.sqrt(1 + 0.1 * y * y)

        start = torch.from_numpy(np.concatenate([np.ravel(part) for part in start_of(dimension)])).repeat(size, 1)
        times = torch.tensor([0.0, STEP * steps])

        def run():
            with torch.inference_mode():
                return torchsde.sdeint(Equation(), start, times, dt=STEP, method="euler")[-1].numpy()

        return run

    return Form(make, size * steps)


def diffrax_euler(dimension, size, together, steps=STEPS):
    """Return the form in diffrax: all paths as one long state, or one path under `jax.vmap`."""

    def make():
        import diffrax
        import jax
        import jax.numpy as jnp
        import lineax

        side_by_side = size if together else 1

        def drift(t, y, coupling):
            y = y.reshape(dimension, side_by_side)
            theta, omega = y[: dimension // 2], y[dimension // 2 :]
            if dimension == 2:
                return jnp.concatenate(dirac_field(jnp, theta, omega)).ravel()
            return jnp.concatenate([-(coupling @ omega) - 0.1 * theta**3, coupling.T @ theta - 0.1 * omega**3]).ravel()

        def noise(t, y, coupling):
            return lineax.DiagonalLinearOperator(NOISE * jnp.sqrt(1 + 0.1 * y * y))

        def solve(key, start, coupling):
            path = diffrax.UnsafeBrownianPath(start.shape, key)
            terms = diffrax.MultiTerm(diffrax.ODETerm(drift), diffrax.ControlTerm(noise, path))
            how = {"adjoint": diffrax.ForwardMode(), "max_steps": None, "args": coupling}
            return diffrax.diffeqsolve(terms, diffrax.Euler(), 0.0, STEP * steps, STEP, start, **how).ys[-1]

        start = np.concatenate([np.ravel(part) for part in start_of(dimension)])
        if together:
            solver, keys, start = jax.jit(solve), jax.random.key(1), np.repeat(start, size)
        else:
            solver, keys = jax.jit(jax.vmap(solve, in_axes=(0, None, None))), jax.random.split(jax.random.key(1), size)

        def run():
            last = np.asarray(solver(keys, start, COUPLING))
            return last.reshape(dimension, size).T if together else last

        return run

    return Form(make, size * steps, xla=True)
