"""Ensembles and sweeps: the one place of the library with time loops, chunks, threads, devices and hosts.

`trajectory`, `ensemble`, `moments` and `sweep` take functions of a random key or of parameters and run anywhere, also
inside other programs and in live figures. `paths` and `averages` are the engine for large ensembles.
"""

from gansde_lib.simulate.counters import INCREMENTS
from gansde_lib.simulate.engine import paths
from gansde_lib.simulate.loops import BOOK_SEED, check_every, ensemble, key, moments, trajectory
from gansde_lib.simulate.streaming import Averages, averages, inside
from gansde_lib.simulate.sweeps import sweep

__all__ = [
    "BOOK_SEED",
    "INCREMENTS",
    "Averages",
    "averages",
    "check_every",
    "ensemble",
    "inside",
    "key",
    "moments",
    "paths",
    "sweep",
    "trajectory",
]
