r"""What the non-linear kernel GAN of a site does, run by run: no linear theory enters.

`run` keeps the witness as a kernel expansion with its whole memory, for any kernel; its cost grows with the square of
the steps. `observe` keeps it as a Fourier series (`kernel_gan.fourier_features`, exact to rounding near the true
point), so that maps over hundreds of thousands of sites are cheap, and only tells what became of the run.
"""

import functools

import jax
import jax.numpy as jnp

from gansde_lib import _checks, gda, kernel_gan
from gansde_lib.kernel_gan import expansion
from gansde_lib.phases.measured import DROWNED

START = 1e-100
"""Displacement, in bandwidths, from which `observe` starts: linear terms outweigh all others for a long time."""

TOP, BOTTOM = 1e-4, 1e-250
"""Displacements, in bandwidths, at which `observe` stops watching: nearly non-linear, and nearly out of range."""

OFF = 1e-8
"""How far from rest the witness's value at the true point is when `observe` starts: a part that no point feels."""

FITTED = 40
"""How many updates `observe` looks at to see whether a run turns."""

_BOX, _MODES = 10.0, 12  # in bandwidths: the kernel near its centre to 1e-14


def run(site, *, lr, start, steps, update="simultaneous", inner_steps=1, rested=True):
    r"""Return the generated points (steps + 1, n, d) of one site, from the witness of its equilibrium.

    Args:
        site: the `Site`; its numbers may be traced.
        lr: learning rate, or (eta_g, eta_d).
        start: the displacements of the generated points, (n, d); rows beyond `site.count` stand for absent points.
        steps: number of updates.
        update, inner_steps: as in `mean_map`.
        rested: False starts from the witness zero instead.

    >>> from gansde_lib import phases
    >>> site = phases.Site(1.0, 1.0, ridge=0.5)
    >>> points = run(site, lr=(0.4, 0.1), start=[[0.1]], steps=400)
    >>> points.shape, bool(abs(points[-1, 0, 0]) < 0.02)
    ((401, 1, 1), True)
    """
    _checks.choice("update", update, gda.ORDERS, example='update="alternating"')
    start = jnp.asarray(start, float)
    first = site.excess / site.ridge if rested else 0.0
    problem = expansion.Problem(
        jnp.zeros((1, start.shape[1])),
        jnp.stack([jnp.asarray(site.true_mass, float)]),
        jnp.where(jnp.arange(len(start)) < site.count, jnp.asarray(site.point_mass, float), 0),
        site.bandwidth,
        site.ridge,
        kernel_gan.profile(site.kernel),
    )
    points, _ = expansion._run(
        problem,
        start,
        jnp.stack([jnp.asarray(first, float)]),
        gda.rates(lr),
        steps=steps,
        alternating=update == "alternating",
        inner_steps=inner_steps,
    )
    return points


def observe(site, *, lr, steps, update="simultaneous"):
    r"""Return what a run of a site with one generated point does, as a code: a place in `REGIMES`.

    The run starts `START` bandwidths from equilibrium, and its witness `OFF` from rest. It is "diverging" if either
    grows: if the point reaches `TOP`, if its largest displacement in the last quarter exceeds that in the quarter
    before, or if the witness is farther from rest in the end. Otherwise it is "oscillating" if it
    turns, "monotone" if not; turning is read off the recursion of second order that fits its first displacements
    best, a root of which is complex, or negative and the larger one. Gaussian kernel, float64.

    A site of bandwidth sigma behaves like one of bandwidth 1 at the rate :math:`\eta_g / \sigma^2`: the updates are the
    same in units of sigma.

    >>> from gansde_lib import phases
    >>> site = phases.Site(1.0, 1.0, ridge=0.5)
    >>> with jax.enable_x64(True):
    ...     codes = [observe(site, lr=(rate, 0.1), steps=800) for rate in (0.005, 0.4, 0.6)]
    >>> [phases.REGIMES[int(code)] for code in codes]
    ['monotone', 'oscillating', 'diverging']
    """
    _checks.choice("update", update, gda.ORDERS, example='update="alternating"')
    return _observe(site, gda.rates(lr), steps=steps, alternating=update == "alternating")


@functools.partial(jax.jit, static_argnames=("steps", "alternating"))
def _observe(site, lr, *, steps, alternating):
    features = kernel_gan.fourier_features(_BOX, modes=_MODES, bandwidth=1.0)
    push, fading = lr.theta / site.bandwidth**2 * site.point_mass, 1 - lr.omega * site.ridge
    at_true = features(jnp.zeros(1))[0]

    def step(x, witness):
        at_point, slope = jax.jvp(lambda y: features(y)[0], (x[None],), (jnp.ones(1),))
        new = fading * witness + lr.omega * (site.true_mass * at_true - site.point_mass * at_point)
        return x + push * (slope @ (new if alternating else witness)), new

    def advance(state, k):
        x, old, witness, memory, quarters, sums = state
        inside = (jnp.abs(x) < TOP) & (jnp.abs(x) > BOTTOM)
        moved, after = step(x, witness)
        witness = jnp.where(inside, after, witness)
        new = jnp.where(inside, moved, x)
        quarter = jnp.minimum(4 * k // steps, 3)
        quarters = jnp.where(jnp.arange(4) == quarter, jnp.maximum(quarters, jnp.abs(new)), quarters)
        # Sums for least squares of new = a x + b old, every equation scaled to the size of its terms; but not where the
        # roundings of what the witness remembers drown the displacement.
        memory = jnp.maximum(jnp.abs(fading) * memory, jnp.abs(x))
        fits = inside & (k > 0) & (k < FITTED) & (jnp.abs(new) > DROWNED * memory)
        scale = jnp.where(fits, 1 / jnp.maximum(jnp.abs(x), jnp.abs(old)), 0)
        n, m, o = new * scale, x * scale, old * scale
        return (new, x, witness, memory, quarters, sums + jnp.stack([m * m, m * o, o * o, m * n, o * n])), None

    rest = (site.true_mass - site.point_mass) / site.ridge
    witness = (rest + OFF) * at_true
    x = jnp.full((), START)
    state = (x, x, witness, x, jnp.zeros(4), jnp.zeros(5))
    (x, _, witness, _, quarters, (mm, mo, oo, mn, on)), _ = jax.lax.scan(advance, state, jnp.arange(steps))
    determinant = mm * oo - mo**2
    a, b = (mn * oo - on * mo) / determinant, (on * mm - mn * mo) / determinant
    turning = (a**2 + 4 * b < 0) | (a < 0)
    growing = (jnp.abs(x) >= TOP) | ((jnp.abs(x) > BOTTOM) & (quarters[3] > quarters[2]))
    growing |= jnp.abs(witness @ at_true - rest) > OFF
    return jnp.where(growing, 2, turning.astype(int))
