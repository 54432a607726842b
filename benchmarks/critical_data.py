"""Sweeps of the chapter `critical` that take minutes: variances of the noisy kernel GAN near its boundaries.

Run `python benchmarks/critical_data.py` from the root of the repository; it writes book/data/critical.npz (two minutes
on two cores). Every sweep is an array of rows (setting, noise, mean, standard error).
"""

import pathlib

import jax
import numpy as np

from gansde_lib import critical, phases, simulate

TARGET = pathlib.Path(__file__).parents[1] / "book" / "data" / "critical.npz"
SITE = phases.Site(1.0, 1.0, ridge=0.4)
DISTANCES = (0.3, 0.1, 0.06, 0.03, 0.02, 0.01)
PLACES = (-4.0, -2.0, -1.0, 0.0, 1.0, 2.0, 4.0)


def rate_at(place, noise):
    """The generator's rate at which the site with eta_d = 0.2 has this place x in the rounded region."""
    low, high = 0.2, 0.6
    for _ in range(60):
        middle = (low + high) / 2
        below = critical.rounding(SITE, lr=(middle, 0.2), point_noise=noise).place < place
        low, high = (middle, high) if below else (low, middle)
    return low


def row(setting, noise, values):
    """One row of a sweep."""
    values = np.asarray(values, float)
    return setting, noise, values.mean(), values.std(ddof=1) / len(values) ** 0.5


def sweep(settings, noises, run):
    """All rows for pairs of settings and noises; a run gets a key of its own."""
    pairs = [(setting, noise) for noise in noises for setting in settings]
    return np.array([row(*pair, run(*pair, simulate.key(900 + i))) for i, pair in enumerate(pairs)])


def hopf(distance, noise, key):
    """Simultaneous updates, below eta_g = 0.4."""
    lr = (0.4 * (1 - distance), 0.2)
    return critical.ensemble(SITE, lr=lr, point_noise=noise, **LONG, key=key).mean_square


def flip(distance, noise, key):
    """Alternating updates, below eta_g = 19.2."""
    options = {"lr": (19.2 * (1 - distance), 0.2), "update": "alternating", "point_noise": noise}
    return critical.ensemble(SITE, **options, **SHORT, key=key).mean_square


def difference(distance, noise, key):
    """Two points, the excess going to zero; small noise for the quartic force not to be felt."""
    site = phases.Site(1.0, (1 - distance) / 2, 2, ridge=0.4)
    return critical.ensemble(site, lr=(0.3, 0.2), point_noise=noise, **LONG, key=key).difference_square


def rounded(place, noise, key):
    """Through the Hopf boundary."""
    lr = (rate_at(place, noise), 0.2)
    return critical.ensemble(SITE, lr=lr, point_noise=noise, **LONG, key=key).mean_square


def balanced(ridge, noise, key):
    """Half the distance of a balanced pair, squared."""
    site = phases.Site(1.0, 0.5, 2, ridge=ridge)
    runs = critical.ensemble(site, lr=(0.5, 0.5), point_noise=noise, **LONG, key=key)
    return runs.difference_square / 2


LONG = {"steps": 20000, "burn_in": 8000, "size": 256}
SHORT = {"steps": 4000, "burn_in": 1000, "size": 512}


def main():
    """Compute all sweeps and store them."""
    with jax.default_device(jax.devices("cpu")[0]):
        sweeps = {
            "hopf": sweep(DISTANCES, (1e-4,), hopf),
            "flip": sweep(DISTANCES, (1e-6,), flip),
            "difference": sweep(DISTANCES, (1e-4,), difference),
            "rounded": sweep(PLACES, (1e-3, 2e-3, 4e-3), rounded),
            "balanced": sweep((0.5,), (0.004, 0.008, 0.016, 0.032), balanced),
        }
    TARGET.parent.mkdir(exist_ok=True)
    np.savez(TARGET, **sweeps)
    for name, rows in sweeps.items():
        print(name, *(" ".join(f"{value:.4g}" for value in one) for one in rows), sep="\n  ")


if __name__ == "__main__":
    main()
