r"""Diffusion in a space of functions: a denoiser learnt at one resolution, sampled at others.

A function is :math:`\sum_k x_k\varphi_k` over an orthonormal basis, its resolution the number n of modes. Data are
:math:`s\,m + z`, a sign and Gaussian z; noise is :math:`\sigma\xi` with Var :math:`\xi_k = \mu_k`, a random function.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gansde_lib import _checks, evidence

TRAINED, SHARE = 32, 0.7
"""The resolution of training, and the probability of s = 1."""
LEVELS = np.geomspace(2.0, 0.003, 12).astype("float32")
TEST = "tests/test_neighbours_function_space.py::test_"


class Denoiser(NamedTuple):
    r"""On each level :math:`D(y) = (1 - c)\,y + b\tanh(\langle b/(\sigma^2\mu), y\rangle + \beta)`, mode by mode.

    `damping` c and `push` b: shape (levels, n); `offset`: (levels,).
    """

    damping: Any
    push: Any
    offset: Any


def law(n):
    """Return mean function (1, 0, 0.4, 0, ...), data variances 0.1 k^-3 and noise variances k^-2, of shape (n,).

    >>> law(4)[2].round(2)
    array([1.  , 0.25, 0.11, 0.06], dtype=float32)
    """
    _checks.whole("n", n, minimum=3, example="law(32)")
    k = np.arange(1.0, n + 1)
    return tuple(part.astype("float32") for part in ((k == 1) + 0.4 * (k == 3), 0.1 * k**-3, k**-2))


def exact(n):
    r"""Return the exact `Denoiser`, :math:`c = \sigma^2\mu/(\lambda + \sigma^2\mu)` and b = c m.

    >>> exact(8).damping.shape
    (12, 8)
    """
    mean, data, noise = law(n)
    damping = LEVELS[:, None] ** 2 * noise / (data + LEVELS[:, None] ** 2 * noise)
    return Denoiser(damping, damping * mean, np.full(len(LEVELS), np.log(SHARE / (1 - SHARE)) / 2, "float32"))


@partial(jax.jit, static_argnames=("size", "rounds"))
def fit(*, key, size=20_000, rounds=30):
    r"""Return a `Denoiser` fitted to `size` functions with 32 modes by denoising score matching.

    Given :math:`t = \tanh(w\cdot y + \beta)`, c and b minimise the mean of :math:`(x - (1 - c)y - bt)^2` in each mode,
    by least squares; then :math:`w = b/(\sigma^2\mu)`, and the mean of t gives the offset. Every function meets a noise
    and its negative, which removes most of the error of c. Only three modes may have a mean.

    >>> fit(key=jax.random.key(0), size=500, rounds=5).offset.shape
    (12,)
    """
    (mean, data, noise), keys = law(TRAINED), jax.random.split(key, 3)
    signs = jnp.where(jax.random.bernoulli(keys[0], SHARE, (size, 1)), 1.0, -1.0)
    x = signs * mean + np.sqrt(data) * jax.random.normal(keys[1], (size, TRAINED))
    kick = np.sqrt(noise) * jax.random.normal(keys[2], x.shape)

    def level(sigma):
        added = sigma * jnp.stack([kick, -kick])
        y = x + added

        def improve(_, state):
            t = jnp.tanh(y @ (state.push / (sigma**2 * noise)) + state.offset)[..., None]
            yy, yt, tt = ((a * b).mean((0, 1)) for a, b in ((y, y), (y, t), (t, t)))
            ya, ta = ((a * added).mean((0, 1)) for a in (y, t))
            damping = (ya * tt - ta * yt) / (yy * tt - yt**2)
            push = jnp.where(np.arange(TRAINED) < 3, (damping * yt - ta) / tt, 0.0)
            return Denoiser(damping, push, (state.offset + jnp.arctanh(jnp.clip(t.mean(), -0.99, 0.99))) / 2)

        start = sigma**2 * noise * (np.arange(TRAINED) == 0)
        return jax.lax.fori_loop(0, rounds, improve, Denoiser(start, start, jnp.float32(0)))

    return jax.lax.map(level, jnp.asarray(LEVELS))


def extend(denoiser, n, *, multiplier="function"):
    r"""Return a fitted denoiser at a resolution n that is not lower.

    "function": c belongs to the mode k; its odds (1 - c)/c go like :math:`\sigma^{-2}`, and beyond the fitted modes by
    the power law through the lowest level. "grid": c belongs to k/n, as for a convolution with a stencil of pixels.

    >>> extend(exact(32), 64).damping.shape
    (12, 64)
    """
    _checks.choice("multiplier", multiplier, ("function", "grid"), example='extend(denoiser, 64, multiplier="grid")')
    (damping, push, offset), k = (np.asarray(part, float) for part in denoiser), np.arange(1.0, n + 1)
    old = damping.shape[1]
    _checks.whole("n", n, minimum=old, example=f"extend(denoiser, {2 * old})")
    if multiplier == "grid":
        damping = np.stack([np.interp(k * old / n, k[:old], row) for row in damping])
    else:
        slope, height = np.polyfit(np.log(k[7:old]), np.log(1 / damping[-1, 7:] - 1), 1)
        odds = k[old:] ** slope * np.exp(height) * (LEVELS[-1] / LEVELS[:, None]) ** 2
        damping = np.concatenate([damping, 1 / (1 + odds)], axis=1)
    push = np.pad(push, ((0, 0), (0, n - old)))
    return Denoiser(*(part.astype("float32") for part in (damping, push, offset)))


@partial(jax.jit, static_argnames=("paths", "steps", "preconditioned"))
def sample(denoiser, *, key, paths, step=0.3, steps=40, preconditioned=True):
    r"""Return functions of shape (paths, n) after `steps` Langevin steps on each level, from noise at the first.

    One step is :math:`y' = y + hG(D(y) - y) + \sqrt{2h}\,\sigma(GC)^{1/2}\xi` with the noise's covariance C and G = I,
    or without preconditioning :math:`G = C^{-1}`, which has the same invariant law as h goes to 0.

    >>> sample(exact(8), key=jax.random.key(0), paths=3).shape
    (3, 8)
    """
    noise = law(denoiser.damping.shape[1])[2]
    gain = jnp.asarray(1.0 if preconditioned else 1 / noise)

    def move(y, inputs):
        (damping, push, offset), sigma, key = inputs

        def one(k, y):
            drift = push * jnp.tanh(y @ (push / (sigma**2 * noise)) + offset)[:, None] - damping * y
            kick = jnp.sqrt(gain * noise) * jax.random.normal(jax.random.fold_in(key, k), y.shape)
            return y + step * gain * drift + jnp.sqrt(2 * step) * sigma * kick

        return jax.lax.fori_loop(0, steps, one, y), None

    first, *keys = jax.random.split(key, len(LEVELS) + 1)
    start = LEVELS[0] * jnp.sqrt(noise) * jax.random.normal(first, (paths, len(noise)))
    return jax.lax.scan(move, start, (denoiser, jnp.asarray(LEVELS), jnp.stack(keys)))[0]


def variances(damping, *, step=0.3, steps=40, gain=1.0):
    r"""Return the variances, of shape (n,), that `sample` gives to modes without a mean, by its exact recursion.

    On a level they approach :math:`\sigma^2\mu/(c(1 - hgc/2))`, by a factor :math:`(1 - hgc)^2` a step, with gain g.

    >>> round(float((variances(exact(64).damping) / law(64)[1]).max()), 3)
    1.07
    """
    spreads = jnp.square(LEVELS)[:, None] * law(damping.shape[1])[2]

    def move(v, inputs):
        c, spread = inputs
        rest = spread / (c * (1 - step * gain * c / 2))
        return rest + (v - rest) * (1 - step * gain * c) ** (2 * steps), None

    return jax.lax.scan(move, spreads[0], (damping, spreads))[0]


class Measured(NamedTuple):
    """What came out, as variances over those of the data: arrays of shape (runs, sizes), except for the last two.

    `low`: mean over modes 4 to 24; `tail`: over the modes that training has not seen (NaN if none); `stencil`: `low`
    with the multiplier of the grid; `share` of s = 1; `expected`: `low` and `tail` by recursion, (2, sizes); `plain`:
    finite share of the unpreconditioned paths, (sizes,); `spectrum`: (runs, largest n).
    """

    low: Any
    tail: Any
    stencil: Any
    share: Any
    expected: Any
    plain: Any
    spectrum: Any


def bands(ratio):
    """Return the means of a spectrum over modes 4 to 24 and over the modes beyond the trained ones.

    >>> bands(np.ones(64))
    (1.0, 1.0)
    """
    return float(ratio[3:24].mean()), float(ratio[TRAINED:].mean()) if len(ratio) > TRAINED else np.nan


def measure(*, key, sizes=(32, 128, 512), paths=256, runs=4, preconditioned=True, multiplier="function"):
    """Fit at 32 modes and sample at increasing `sizes`, with the same steps; add the controls; return `Measured`.

    Break the method by `preconditioned=False` or `multiplier="grid"`.

    >>> measure(key=jax.random.key(0), sizes=(32,), paths=16, runs=2).low.shape
    (2, 1)
    """
    _checks.whole("runs", runs, minimum=2, example="measure(key=jax.random.key(0), runs=2)")
    _checks.whole("paths", paths, minimum=2, example="measure(key=jax.random.key(0), paths=64)")
    rows, spectra, theory = [], [], [bands(variances(exact(n).damping) / law(n)[1]) for n in sizes]
    for run in range(runs):
        keys = jax.random.split(jax.random.fold_in(key, run), 2)
        fitted = fit(key=keys[0])
        for n in sizes:
            (mean, data, noise), denoiser = law(n), extend(fitted, n, multiplier=multiplier)
            draw = partial(sample, denoiser, key=jax.random.fold_in(keys[1], n))
            y = np.asarray(draw(paths=paths, preconditioned=preconditioned), float)
            sign = np.sign(y @ (denoiser.push[-1] / noise))
            spectrum = (y - sign[:, None] * mean).var(0) / data
            stencil = variances(extend(fitted, n, multiplier="grid").damping) / data
            plain = np.isfinite(draw(paths=4, preconditioned=False)).all(1).mean() if run == 0 else np.nan
            rows.append((*bands(spectrum), bands(stencil)[0], (sign > 0).mean(), plain))
        spectra.append(spectrum)
        spectra.append(spectrum)
    low, tail, stencil, share, plain = np.array(rows).reshape(runs, len(sizes), 5).transpose(2, 0, 1)
    return Measured(low, tail, stencil, share, np.array(theory).T, plain[0], np.array(spectra))


def replication(measured):
    """Return the evidence for resolution transfer from what `measure` returned."""

    def part(name, statement, relation, predicted, values, tolerance=0.0, test="resolutions_are_alike"):
        error = np.nan_to_num(np.std(values, ddof=1) / len(values) ** 0.5)
        spread = {"measured": np.mean(values), "uncertainty": error, "test": TEST + test, "seed": 1000}
        claim = {"statement": statement, "relation": relation, "predicted": predicted, "tolerance": tolerance}
        return evidence.record(f"neighbour-function-space-{name}", **claim, **spread)

    seen = abs(measured.low - 1).mean(0).argmax()
    tail = measured.tail[:, -1]
    parts = [
        part("seen", "Variance of modes 4 to 24 over the data's, at the resolution where it is farthest from 1, with "
             "equal numbers of steps at all.", "=", 1, measured.low[:, seen], 0.12),
        part("unseen", "The same beyond the 32 modes of training, at the highest resolution.", "=", 1, tail, 0.12),
        part("recursion", "The same over the exact recursion's.", "=", 1, tail / measured.expected[1, -1], 0.04),
        part("share", "Share of samples of the heavier kind, at all resolutions.", "=", SHARE,
             measured.share.mean(1), 0.05),
        part("plain", "Control without preconditioning: finite paths, of all resolutions.", "=", 0, measured.plain),
        part("stencil", "Control whose multiplier belongs to the grid: variance of modes 4 to 24 over the data's, at "
             "the highest resolution.", ">", 2, measured.stencil[:, -1], test="a_stencil_fails"),
    ]  # fmt: skip
    return evidence.replication(
        "neighbour-function-space",
        statement="Diffusion with noise that is a random function, and a denoiser that acts on functions, samples at "
        "resolutions it was not trained at, in a number of steps that does not depend on the resolution.",
        source="lim2023",
        parts=parts,
        reason="Variances and weights of the two kinds transfer from 32 modes to 512. The denoiser has the structure "
        "of the problem, a filter and one neuron, its tail extrapolated by a power law: no neural operator was tried."
        if not evidence.failed(parts)
        else "Without preconditioning, or with a multiplier that belongs to the grid, the transfer is lost.",
        test=TEST + "resolutions_are_alike",
        seed=1000,
    )
