r"""The kernel GAN itself, its witness kept as a kernel expansion with its whole memory.

The witness f lives in the kernel's Hilbert space and climbs
:math:`L(f, \tilde X) = \sum_i p_i f(x_i) - \sum_j \tilde p_j f(\tilde x_j) - \tfrac\lambda2 \|f\|^2`; the generated
points :math:`\tilde x_j` descend it:

.. math::

   f' = (1 - \eta_d \lambda) f + \eta_d \Bigl( \sum_i p_i K(\cdot, x_i)
        - \sum_j \tilde p_j K(\cdot, \tilde x_j) \Bigr), \qquad
   \tilde x_j' = \tilde x_j + \eta_g \tilde p_j \nabla f(\tilde x_j).

Rates come generator first, `lr = (eta_g, eta_d)`. Source: the updates are those of Becker, Pandit, Rangan and Fletcher
(2022), who use the new witness for the points ("alternating").
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gansde_lib import _checks, gda
from gansde_lib.kernel_gan import kernels

BLOCK = 32
"""How many past states the force of the memory takes side by side."""

CALL = (
    "run([[0.0]], [1.0], [[0.1]], [1.0], bandwidth=1.0, ridge=0.5, lr=(0.1, 0.1), steps=100): points of shape (n, d), "
    "masses of shape (n,)"
)


class Problem(NamedTuple):
    """True points (N, d) with masses (N,), generated points' masses (n,), and what the witness is made of."""

    true_points: Any
    true_masses: Any
    generated_masses: Any
    bandwidth: Any
    ridge: Any
    kernel: Any


class Run(NamedTuple):
    """A run: `points` (steps + 1, n, d), and what the witness after each update is made of (see `witness`).

    `coefficients` (steps + 1, N) belong to the true points. A state that is s updates old enters with
    -gain decay^(s - 1) times the masses of its points.
    """

    points: Any
    coefficients: Any
    gain: Any
    decay: Any
    problem: Problem


def problem(true_points, true_masses, generated_masses, *, bandwidth, ridge, kernel="gaussian"):
    """Return a checked `Problem`.

    Raises:
        ValueError: for shapes that do not fit, masses below zero, a bandwidth or ridge that is not positive, an
            unknown kernel.

    >>> problem([[0.0]], [1.0], [1.0], bandwidth=1.0, ridge=0.5).true_points.shape
    (1, 1)
    """
    true_points, true_masses, generated_masses = map(_numbers, (true_points, true_masses, generated_masses))
    if true_points.ndim != 2 or true_masses.shape != true_points.shape[:1] or generated_masses.ndim != 1:
        raise ValueError(
            f"found true points of shape {true_points.shape} with masses of shape {true_masses.shape} and generated "
            f"masses of shape {generated_masses.shape}; for example {CALL}"
        )
    for masses in (true_masses, generated_masses):
        if _checks.is_concrete(masses) and not (np.isfinite(masses).all() and (masses >= 0).all()):
            raise ValueError(f"masses must be finite and >= 0, found {masses}; for example {CALL}")
    _checks.positive("bandwidth", bandwidth, example=CALL)
    _checks.non_negative("ridge", ridge, example=CALL)
    return Problem(true_points, true_masses, generated_masses, bandwidth, ridge, kernels.profile(kernel))


def _numbers(values):
    """As a float array: NumPy's, which serves both precisions, unless it is being traced."""
    return np.asarray(values, float) if _checks.is_concrete(values) else jnp.asarray(values, jnp.result_type(float))


def check_points(problem, points):
    """Return generated points as a float array of shape (n, d).

    Raises:
        ValueError: if they have another shape than the problem's masses and true points ask for, or are not finite.

    >>> check_points(problem([[0.0]], [1.0], [0.5, 0.5], bandwidth=1.0, ridge=0.5), [[0], [1]]).shape
    (2, 1)
    """
    points = _numbers(points)
    expected = (*problem.generated_masses.shape, problem.true_points.shape[1])
    if points.shape != expected or (_checks.is_concrete(points) and not np.isfinite(points).all()):
        raise ValueError(f"generated points must be finite, of shape {expected}, found {points}; for example {CALL}")
    return points


def memory(eta, ridge, inner_steps):
    r"""Return gain and decay of the witness over one update of `inner_steps` steps at the rate eta.

    .. math:: f' = (1 - \eta\lambda)^k f + \eta \sum_{m < k} (1 - \eta\lambda)^m \; (\text{source}).

    >>> [round(value, 6) for value in memory(0.1, 0.5, 2)]
    [0.195, 0.9025]
    """
    decay = 1 - eta * ridge
    gain = 0.0
    for _ in range(inner_steps):
        gain = decay * gain + eta
    return gain, decay**inner_steps


def run(
    true_points,
    true_masses,
    start_points,
    generated_masses,
    *,
    bandwidth,
    ridge,
    lr,
    steps,
    update="simultaneous",
    kernel="gaussian",
    inner_steps=1,
    witness=None,
):
    r"""Train from `start_points` and return the whole `Run`.

    Args:
        true_points, true_masses: the data, of shapes (N, d) and (N,).
        start_points, generated_masses: the generated points, of shapes (n, d) and (n,).
        bandwidth: sigma.
        ridge: lambda, which pulls the witness towards zero.
        lr: learning rate, or (eta_g, eta_d).
        steps: number of updates.
        update: "simultaneous" (the points follow the old witness) or "alternating" (the new one).
        kernel: a name or a profile, see `kernels`.
        inner_steps: steps of the witness per step of the points.
        witness: coefficients (N,) of the first witness on the true points; zero by default. With
            (p_i - mass near x_i) / ridge it is the equilibrium's.

    The cost grows with the square of `steps`: nothing of the memory is dropped. For the Gaussian kernel `run_fourier`
    is exact too, at a cost per update that does not grow.

    Raises:
        ValueError: as `problem`, and for start points of another shape, bad rates, steps or inner steps.

    >>> path = run([[0.0]], [1.0], [[0.1]], [1.0], bandwidth=1.0, ridge=0.5, lr=(0.1, 0.1), steps=400)
    >>> path.points.shape, bool(abs(path.points[-1]) < 1e-4)
    ((401, 1, 1), True)
    """
    setting = problem(true_points, true_masses, generated_masses, bandwidth=bandwidth, ridge=ridge, kernel=kernel)
    start = check_points(setting, start_points)
    _checks.choice("update", update, gda.ORDERS, example='update="alternating"')
    _checks.whole("steps", steps, minimum=0, example=CALL)
    _checks.whole("inner_steps", inner_steps, minimum=1, example="inner_steps=5")
    first = _numbers(np.zeros(len(setting.true_masses)) if witness is None else witness)
    if first.shape != setting.true_masses.shape:
        raise ValueError(
            f"the first witness needs one coefficient for each of {len(setting.true_masses)} true points, found shape "
            f"{first.shape}; for example witness={np.zeros(len(setting.true_masses))}"
        )
    lr = gda.rates(lr)
    points, coefficients = _run(
        setting, start, first, lr, steps=steps, alternating=update == "alternating", inner_steps=inner_steps
    )
    return Run(points, coefficients, *memory(lr.omega, ridge, inner_steps), setting)


@functools.partial(jax.jit, static_argnames=("steps", "alternating", "inner_steps"))
def _run(problem, start, first, lr, *, steps, alternating, inner_steps):
    dtype = jnp.result_type(float)
    problem, start, first, lr = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), (problem, start, first, lr))
    gain, decay = memory(lr.omega, problem.ridge, inner_steps)
    size = -(-steps // BLOCK) * BLOCK
    # A block of zeros stands before the start, so that blocks can end at any update.
    states = jnp.zeros((BLOCK + size + 1, *start.shape), dtype).at[BLOCK].set(start)
    fading = jnp.concatenate([jnp.ones(1, dtype), jnp.full(BLOCK, decay)]).cumprod()
    weights = gain * fading[BLOCK - 1 :: -1, None] * problem.generated_masses

    def remembered(states, points, count):
        """The pull of the `count` oldest states, block by block, the oldest first."""

        def add(block, total):
            begin = count - (blocks - block) * BLOCK
            past = jax.lax.dynamic_slice_in_dim(states, BLOCK + begin, BLOCK)
            real = (begin + jnp.arange(BLOCK) >= 0)[:, None]
            pull = kernels.force(
                problem.kernel,
                problem.bandwidth,
                points,
                past.reshape(-1, past.shape[-1]),
                jnp.where(real, weights, 0).ravel(),
            )
            return fading[BLOCK] * total + pull

        blocks = (count + BLOCK - 1) // BLOCK
        return jax.lax.fori_loop(0, blocks, add, jnp.zeros_like(points))

    def advance(carry, k):
        states, coefficients = carry
        points = states[BLOCK + k]
        after = decay * coefficients + gain * problem.true_masses
        seen, count = (after, k + 1) if alternating else (coefficients, k)
        pull = kernels.force(problem.kernel, problem.bandwidth, points, problem.true_points, seen)
        pull = pull - remembered(states, points, count)
        moved = points + lr.theta * problem.generated_masses[:, None] * pull
        return (states.at[BLOCK + k + 1].set(moved), after), after

    (states, _), coefficients = jax.lax.scan(advance, (states, first), jnp.arange(steps))
    return states[BLOCK : BLOCK + steps + 1], jnp.concatenate([first[None], coefficients])


def witness(run, x, step=-1):
    r"""Return the witness after update number `step` at places x of shape (m, d): an array of shape (m,).

    >>> path = run([[0.0]], [1.0], [[0.1]], [1.0], bandwidth=1.0, ridge=0.5, lr=(0.1, 0.1), steps=1)
    >>> witness(path, [[0.0]]).round(6)  # 0.1 (1 - exp(-0.005))
    Array([0.000499], dtype=float32)
    """
    step = range(len(run.points))[step]
    x = jnp.asarray(np.asarray(x, float))
    problem = run.problem
    value = kernels.evaluate(problem.kernel, problem.bandwidth, x, jnp.asarray(problem.true_points))
    value = value @ run.coefficients[step]
    if step == 0:
        return value
    past = run.points[:step]
    weights = run.gain * run.decay ** np.arange(step - 1, -1, -1.0)[:, None] * problem.generated_masses
    pull = kernels.evaluate(problem.kernel, problem.bandwidth, x, past.reshape(-1, past.shape[-1]))
    return value - pull @ jnp.asarray(weights, value.dtype).ravel()
