"""Dynamics of GAN training: the library under the book.

Modules carry the names of the chapters that explain them: `games`, `gda`, `neural`, `noise`, `sde`, `invariant`,
`fdr`, `schedule`, `kernel_gan`, `phases`, `critical`.
Four more serve all chapters: `simulate`, `plot`, `evidence` and `live`.
"""

from gansde_lib import (
    critical,
    evidence,
    fdr,
    games,
    gda,
    invariant,
    kernel_gan,
    live,
    neural,
    noise,
    phases,
    plot,
    schedule,
    sde,
    simulate,
)
from gansde_lib.games import Game, Players
from gansde_lib.live import Explorer

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
    "neural",
    "noise",
    "phases",
    "plot",
    "schedule",
    "sde",
    "simulate",
]
