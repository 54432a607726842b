r"""The heavier studies of the chapter, stored as small arrays: `python -m gansde_lib.phases.sweeps` writes them anew.

It takes about ten minutes on two cores. What is stored is what non-linear runs did; predictions are computed where they
are compared.
"""

import sys
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gansde_lib import gda, simulate
from gansde_lib.kernel_gan import curvature
from gansde_lib.phases.boundaries import boundaries
from gansde_lib.phases.judged import bisect, judge
from gansde_lib.phases.linear import mean_eigenvalues, regime, spectral_radius
from gansde_lib.phases.measured import Settings, displacements, draw_settings, fit, witness_deviations
from gansde_lib.phases.simulated import observe
from gansde_lib.phases.site import Site, numbers
from gansde_lib.phases.validity import reach, stable_settings

STORE = Path(__file__).parents[2] / "book" / "data" / "phases.npz"
"""Where the results are kept in a copy of the book."""

KERNELS = ("gaussian", "rational quadratic", "matern")
SIZE, SEED, STEPS = 600, 2023, 400
"""The study of random settings: how many, drawn from which seed, and how many updates each is watched."""

CELLS, CELL_STEPS = 512, 1000
"""Cells along each axis of a phase diagram, and updates of each run."""


class Plane(NamedTuple):
    """A plane of a phase diagram: names and ends of its axes (logarithmic), and the map to (site, lr)."""

    axes: Any
    ends: Any
    at: Any

    def grid(self, cells=CELLS):
        """The positions along both axes, float64."""
        return tuple(np.geomspace(*ends, cells) for ends in self.ends)


PLANES = {
    "rates": Plane(
        ("eta_g", "eta_d"),
        ((0.01, 20.0), (0.1, 4.5)),
        lambda eta_g, eta_d: (Site(1.0, 1.0, 1, 1.0, 0.5), (eta_g, eta_d)),
    ),
    "kernel": Plane(
        ("sigma", "lambda"),
        ((0.05, 1.0), (0.1, 6.0)),
        lambda sigma, ridge: (Site(1.0, 0.8, 1, sigma, ridge), (0.1, 0.1)),
    ),
}
"""The diagrams: a balanced site over both rates, and an under-filled one over bandwidth and ridge."""


def _over(plane, function, axes):
    with jax.enable_x64(True):
        return jax.device_get(simulate.sweep(lambda a, b: function(*plane.at(a, b)), *map(jnp.asarray, axes)))


def predicted(plane, axes, update):
    """Return the regimes' codes and spectral radii that linear theory gives over a `Plane`.

    >>> codes, radii = predicted(PLANES["rates"], ([0.1], [0.1, 0.2]), "simultaneous")
    >>> codes.tolist()
    [[1, 1]]
    """
    return _over(
        plane,
        lambda site, lr: (
            regime(site, lr=lr, update=update, margin=1e-12),
            spectral_radius(site, lr=lr, update=update),
        ),
        axes,
    )


def simulated(plane, axes, update):
    """Return the codes of what non-linear runs do over a `Plane`, as `observe` sees them.

    >>> simulated(PLANES["rates"], ([0.1], [0.1, 0.2]), "simultaneous").tolist()
    [[1, 1]]
    """
    codes = _over(plane, lambda site, lr: observe(site, lr=lr, steps=CELL_STEPS, update=update), axes)
    return codes.astype(np.uint8)


def groups(settings):
    """Yield (places, update, kernel) of the study's groups: the first half simultaneous, the kernels in turns.

    >>> [len(places) for places, _, _ in groups(draw_settings(600, seed=0))]
    [102, 99, 99, 99, 102, 99]
    """
    place = np.arange(len(settings.count))
    for half, update in enumerate(gda.ORDERS):
        for k, kernel in enumerate(KERNELS):
            yield place[(2 * place // len(place) == half) & (place // 3 % 3 == k)], update, kernel


def study(settings, *, steps=STEPS):
    """Return what is measured and judged on runs of all settings, as a dictionary of arrays (size,).

    >>> sorted(study(draw_settings(18, seed=1), steps=100))
    ['argument', 'difference', 'growth', 'manner', 'radius', 'turns', 'updates']
    """
    found = {}
    for places, update, kernel in groups(settings):
        part = Settings(*(column[places] for column in settings))
        options = {"steps": steps, "update": update, "kernel": kernel}
        points = displacements(part, **options)
        seen = judge(part, points, witness_deviations(part, **options))
        for name, values in (fit(part, points)._asdict() | seen._asdict()).items():
            found.setdefault(name, np.zeros(len(settings.count)))[places] = values
    return found


def study_theory(settings):
    """Return what linear theory says of the same settings: roots of the mean mode, beta, spectral radius.

    >>> roots, beta, radius = study_theory(draw_settings(18, seed=1))
    >>> roots.shape, beta.shape, radius.shape
    ((18, 2), (18,), (18,))
    """
    # A kernel enters through its curvature only: a Gaussian one of another bandwidth has the same.
    bandwidth, alternating = np.array(settings.bandwidth, float), np.zeros(len(settings.count), bool)
    for places, update, kernel in groups(settings):
        with jax.enable_x64(True):
            bandwidth[places] /= np.sqrt(float(curvature(kernel, 1.0)))
        alternating[places] = update == "alternating"

    @jax.vmap
    def theory(p, q, n, width, ridge, eta_g, eta_d, alternating):
        site, lr = Site(p, q, n, width, ridge), (eta_g, eta_d)
        both = [
            (mean_eigenvalues(site, lr=lr, update=name), spectral_radius(site, lr=lr, update=name))
            for name in gda.ORDERS
        ]
        (parts, radius) = jax.tree.map(lambda a, b: jnp.where(alternating, b, a), *both)
        return parts, numbers(site, lr=lr).beta, radius

    columns = settings._replace(bandwidth=bandwidth, dimension=alternating)
    with jax.enable_x64(True):
        (real, imaginary), beta, radius = jax.device_get(jax.jit(theory)(*columns))
    return real + 1j * imaginary, beta, radius


def boundary_settings(size=20, seed=5):
    """Return `Settings` of balanced and under-filled sites with one generated point in one dimension.

    >>> boundary_settings(4).ridge.shape
    (4,)
    """
    rng = np.random.default_rng(seed)
    mass = np.where(np.arange(size) % 2, rng.uniform(0.6, 0.95, size), 1.0)
    width, ridge, eta_d = rng.uniform(0.3, 2, size), rng.uniform(0.2, 1.5, size), rng.uniform(0.1, 0.9, size)
    ones = np.ones(size)
    return Settings(ones, mass, ones.astype(int), width, ridge, ones, eta_d, ones.astype(int))


def closed_forms(settings, update):
    """Return the `Boundaries` of settings with one generated point and a Gaussian kernel, in float64.

    >>> closed_forms(boundary_settings(4), "simultaneous").hopf.shape
    (4,)
    """

    def one(p, q, width, ridge, eta_d):
        return boundaries(Site(p, q, 1, width, ridge), eta_d=eta_d, update=update)

    s = settings
    with jax.enable_x64(True):
        columns = (np.asarray(c, np.float64) for c in (s.true_mass, s.point_mass, s.bandwidth, s.ridge, s.eta_d))
        return jax.device_get(jax.jit(jax.vmap(one))(*columns))


BISECTED = {
    "hopf": ("simultaneous", "growth"),
    "flip": ("alternating", "growth"),
    "oscillation": ("simultaneous", "turning"),
    "end_of_oscillation": ("alternating", "turning"),
}
"""Which boundary is looked for with which updates, and by what is seen beyond it."""


def bisected(name, settings):
    """Return the closed form of a boundary and where bisection on runs finds it; settings without it are left out.

    >>> exact, found = bisected("hopf", boundary_settings(2))
    >>> bool(np.allclose(found, exact, rtol=1e-4))
    True
    """
    update, seen = BISECTED[name]
    exact = getattr(closed_forms(settings, update), name)
    kept = np.isfinite(exact)
    settings, exact = Settings(*(column[kept] for column in settings)), exact[kept]
    low, high = 0.8 * exact, 1.2 * exact
    if name == "end_of_oscillation":  # beyond it the roots are real: the same question from the other side
        low, high = high, low
    return exact, bisect(settings, low=low, high=high, update=update, seen=seen)


def load():
    """Return what is stored, as a dictionary of arrays.

    Raises:
        ValueError: if there is no copy of the book beside the library.

    >>> load()["radius"].shape
    (600,)
    """
    if not STORE.exists():
        raise ValueError(f"found no {STORE}; `python -m gansde_lib.phases.sweeps` computes it, or take the book's copy")
    with np.load(STORE) as arrays:
        return dict(arrays)


def compute(progress=lambda text: None):
    """Return everything that is stored, as a dictionary of arrays."""
    stored = {}
    for name in BISECTED:
        stored[f"exact_{name}"], stored[f"bisected_{name}"] = bisected(name, boundary_settings())
        progress(f"boundary {name}")
    stored |= reach(stable_settings(120, seed=SEED), steps=1000)._asdict()
    progress("amplitudes")
    stored |= study(draw_settings(SIZE, seed=SEED))
    progress("study")
    for name, plane in PLANES.items():
        for update in gda.ORDERS:
            stored[f"{name}_{update}"] = simulated(plane, plane.grid(), update)
            progress(f"diagram {name}, {update}")
    return stored


def main():
    """Compute and store everything."""
    stored = compute(lambda text: print(text, file=sys.stderr, flush=True))
    STORE.parent.mkdir(exist_ok=True)
    np.savez_compressed(STORE, **stored)
    print(f"{STORE}: {STORE.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
