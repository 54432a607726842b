"""Dynamics of GAN training: the library under the book.

Modules carry the names of the chapters that explain them: `games`, `gda`, `neural`, `noise`, `sde`, `invariant`,
`fdr`, `schedule`, `kernel_gan`, `phases`, `critical`.
Four more serve all chapters: `simulate`, `plot`, `evidence` and `live`; `neighbours` holds the models of the labs.
"""

import importlib

__version__ = "0.1.0"

__all__ = [
    "Explorer",
    "Game",
    "Players",
    "critical",
    "evidence",
    "fdr",
    "games",
    "gda",
    "invariant",
    "kernel_gan",
    "live",
    "neighbours",
    "neural",
    "noise",
    "phases",
    "plot",
    "schedule",
    "sde",
    "simulate",
]

_HOME = {"Explorer": "live", "Game": "games", "Players": "games"}


def __getattr__(name):
    """Import a module when it is first asked for: one chapter's imports need not wait for those of all others."""
    if name not in __all__:
        raise AttributeError(f"module 'gansde_lib' has no attribute {name!r}")
    module = importlib.import_module(f"gansde_lib.{_HOME.get(name, name)}")
    return getattr(module, name) if name in _HOME else module


def __dir__():
    return __all__
