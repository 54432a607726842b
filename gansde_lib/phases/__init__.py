r"""Phase transitions of an isolated site: the linear theory, its boundaries in closed form, and rates as measured.

Source: re-derived here from the updates of Becker, Pandit, Rangan and Fletcher (2022, 2023), whose subject it is.
"""

from gansde_lib.phases.boundaries import Boundaries, best_bandwidth, best_ridge, boundaries, residuals, stability_limit
from gansde_lib.phases.cycles import cycle_amplitude, settled_amplitude
from gansde_lib.phases.judged import MANNERS, ROWS, Judged, bisect, judge
from gansde_lib.phases.linear import MARGIN, REGIMES, classify, mean_eigenvalues, mean_map, regime, spectral_radius
from gansde_lib.phases.measured import (
    Measured,
    Settings,
    displacements,
    draw_settings,
    fit,
    measure,
    roots,
    witness_deviations,
)
from gansde_lib.phases.neighbours import coupling, paired, paired_limit
from gansde_lib.phases.simulated import observe, run
from gansde_lib.phases.site import Numbers, Site, numbers
from gansde_lib.phases.validity import AMPLITUDES, Reach, reach, stable_settings

__all__ = [
    "AMPLITUDES",
    "MANNERS",
    "MARGIN",
    "REGIMES",
    "ROWS",
    "Boundaries",
    "Judged",
    "Measured",
    "Numbers",
    "Reach",
    "Settings",
    "Site",
    "best_bandwidth",
    "best_ridge",
    "bisect",
    "boundaries",
    "classify",
    "coupling",
    "cycle_amplitude",
    "displacements",
    "draw_settings",
    "fit",
    "judge",
    "mean_eigenvalues",
    "mean_map",
    "measure",
    "numbers",
    "observe",
    "paired",
    "paired_limit",
    "reach",
    "regime",
    "residuals",
    "roots",
    "run",
    "settled_amplitude",
    "spectral_radius",
    "stability_limit",
    "stable_settings",
    "witness_deviations",
]
