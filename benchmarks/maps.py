r"""A convergence map: how far from the equilibrium a thousand steps of descent-ascent end, for 512 x 512 parameters.

The game is the logistic Dirac-GAN with damping :math:`\gamma`, the rule simultaneous descent-ascent with rate
:math:`\eta`, float32 throughout:

.. math::
    \theta' = \theta - \eta\,\omega f(\theta\omega), \qquad
    \omega' = \omega + \eta\,(\theta f(\theta\omega) - \gamma\omega), \qquad f(t) = 1/(1 + e^t).

The parameters are such that no number becomes denormal, which XLA would flush to zero and others would be slowed by.
"""

import ctypes
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.compare import Form, Work

SIDE, STEPS = 512, 1000
CHUNK = 8192
"""Cells that NumPy works on at a time: their arrays stay in a core's cache."""

BLOCK = 1024
"""Cells that Numba and C work on at a time."""

CELLS = """
#include <math.h>
void cells(const float *rate, const float *damping, float *out, long count, int steps) {
  #pragma omp parallel for schedule(static)
  for (long first = 0; first < count; first += BLOCK) {
    long size = count - first < BLOCK ? count - first : BLOCK;
    float theta[BLOCK], omega[BLOCK];
    for (long i = 0; i < size; i++) theta[i] = 1, omega[i] = 0;
    for (int k = 0; k < steps; k++)
      #pragma omp simd
      for (long i = 0; i < size; i++) {
        float t = theta[i], w = omega[i], force = rate[first + i] / (1 + expf(t * w));
        theta[i] = t - w * force;
        omega[i] = w + t * force - rate[first + i] * damping[first + i] * w;
      }
    for (long i = 0; i < size; i++) out[first + i] = sqrtf(theta[i] * theta[i] + omega[i] * omega[i]);
  }
}
"""


def axes(side):
    """Return the learning rates and the dampings."""
    return np.linspace(0.02, 0.4, side, dtype=np.float32), np.linspace(0.02, 0.3, side, dtype=np.float32)


def cells(side):
    """Return both parameters of all cells."""
    return [grid.ravel() for grid in np.meshgrid(*axes(side), indexing="ij")]


def ours(side=SIDE, steps=STEPS):
    """Return the form that is one call of the library."""

    def make():
        import jax
        import jax.numpy as jnp

        from gansde_lib import simulate

        def distance(rate, damping):
            def step(_, x):
                theta, omega = x
                force = rate / (1 + jnp.exp(theta * omega))
                return theta - omega * force, omega + theta * force - rate * damping * omega

            theta, omega = jax.lax.fori_loop(0, steps, step, (jnp.ones_like(rate), jnp.zeros_like(rate)))
            return jnp.sqrt(theta**2 + omega**2)

        rates, dampings = map(jnp.asarray, axes(side))
        return lambda: np.asarray(simulate.sweep(distance, rates, dampings)).ravel()

    return Form(make, side**2 * steps, xla=True)


def numpy_chunked(side, steps=STEPS):
    """Return the form in NumPy: chunks that fit the cache, all arithmetic in place."""

    def make():
        all_rates, all_dampings = cells(side)

        def run():
            out = np.empty_like(all_rates)
            for first in range(0, out.size, CHUNK):
                part = slice(first, first + CHUNK)
                rate = all_rates[part]
                kept = 1 - rate * all_dampings[part]
                theta, omega = np.ones_like(rate), np.zeros_like(rate)
                force, push = np.empty_like(rate), np.empty_like(rate)
                for _ in range(steps):
                    np.multiply(theta, omega, out=force)
                    np.exp(force, out=force)
                    force += 1
                    np.divide(rate, force, out=force)
                    np.multiply(omega, force, out=push)
                    force *= theta
                    theta -= push
                    omega *= kept
                    omega += force
                out[part] = np.hypot(theta, omega)
            return out

        return run

    return Form(make, side**2 * steps)


def numba_blocked(side, steps=STEPS):
    """Return the form in Numba: blocks in a core's cache, and an exponential that its compiler can vectorise."""

    def make():
        import numba

        # Numba from the package index calls the C library's exponential one number at a time. This one, of Cephes, is
        # arithmetic only: a power of two, put together from bits, times a polynomial.
        number = np.float32
        log2e, upper, lower = number(1.44269504), number(0.693359375), number(-2.12194440e-4)
        a, b, c = number(1.9875691500e-4), number(1.3981999507e-3), number(8.3334519073e-3)
        d, e, half, one = number(4.1665795894e-2), number(1.6666665459e-1), number(0.5), number(1)

        @numba.njit(fastmath=True, error_model="numpy")
        def block(rate, damping, out):
            theta, omega = np.ones(out.size, np.float32), np.zeros(out.size, np.float32)
            bits = np.empty(out.size, np.int32)
            power = bits.view(np.float32)
            for _ in range(steps):
                for i in range(out.size):
                    whole = np.floor(theta[i] * omega[i] * log2e + half)
                    bits[i] = (np.int32(whole) + np.int32(127)) << np.int32(23)
                for i in range(out.size):
                    t, w = theta[i], omega[i]
                    x = t * w
                    whole = np.floor(x * log2e + half)
                    x = x - whole * upper - whole * lower
                    series = ((((a * x + b) * x + c) * x + d) * x + e) * x + half
                    force = rate[i] / (one + (series * x * x + x + one) * power[i])
                    theta[i] = t - w * force
                    omega[i] = w - rate[i] * damping[i] * w + t * force
            for i in range(out.size):
                out[i] = np.sqrt(theta[i] * theta[i] + omega[i] * omega[i])

        @numba.njit(parallel=True)
        def simulate(rates, dampings, out):
            for number in numba.prange(-(-out.size // BLOCK)):
                part = slice(number * BLOCK, (number + 1) * BLOCK)
                block(rates[part], dampings[part], out[part])
            return out

        rates, dampings = cells(side)
        return lambda: simulate(rates, dampings, np.empty_like(rates))

    return Form(make, side**2 * steps)


def hand_written_c(side, steps=STEPS):
    """Return the form in C: vectors of the processor's full width, OpenMP, the C library's vector exponential."""

    def make():
        compiler = shutil.which("gcc")
        if compiler is None:
            raise ImportError("no gcc")
        rates, dampings = cells(side)
        with tempfile.TemporaryDirectory() as folder:
            library = Path(folder, "cells.so")
            # -ffast-math: without it gcc does not use the vector exponential.
            wide = ["-O3", "-march=native", "-mprefer-vector-width=512", "-ffast-math", "-fopenmp", f"-DBLOCK={BLOCK}"]
            command = [compiler, *wide, "-shared", "-fPIC", "-x", "c", "-", "-o", library, "-lmvec", "-lm"]
            built = subprocess.run(command, input=CELLS, capture_output=True, text=True, check=False)
            if built.returncode:
                raise ImportError(f"gcc cannot build it: {built.stderr.strip().splitlines()[-1]}")
            function = ctypes.CDLL(library).cells
        floats = np.ctypeslib.ndpointer(np.float32, flags="C")
        function.argtypes, function.restype = (floats, floats, floats, ctypes.c_long, ctypes.c_int), None

        def run():
            out = np.empty_like(rates)
            function(rates, dampings, out, out.size, steps)
            return out

        return run

    return Form(make, side**2 * steps)


def same_map(results, most=1e-2, usual=1e-3):
    """Check that distances, from 1e-19 to 1, agree to a thousandth, but for one cell in ten thousand: to a hundredth.

    Near a double eigenvalue a thousand steps amplify rounding more.
    """
    mine = results["ours"].astype(float)
    assert mine.min() > 1e-30 and mine.max() < 1e3
    for peer, result in results.items():
        apart = np.abs(np.log(result / mine))
        same = apart.max() < most and (apart > usual).mean() < 1e-4
        assert same, f"{peer} is up to a factor of {np.exp(apart.max()):.6g} from ours"


WORKS = [
    Work(
        name="512 x 512 convergence map",
        unit="cell-steps",
        ours=ours(),
        peers={
            "numpy chunked": numpy_chunked(SIDE),
            "numba blocked": numba_blocked(SIDE),
            "hand-written C": hand_written_c(SIDE),
        },
        check=same_map,
        targets={"numpy chunked": (8, 14), "numba blocked": (3, 5), "hand-written C": (0.65, 1)},
        bound="The units for division and the exponential function: 0.42 ns of a core a cell and step, about 22 "
        "cycles for 16 cells, is near what one division alone takes. Only an approximate reciprocal would be faster.",
        limit=2.4e9,
    ),
]
