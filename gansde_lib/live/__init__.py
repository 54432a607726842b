"""Live figures: a pure jitted simulation, controls bound to its arguments, and a view that draws its arrays."""

from gansde_lib.live.controls import Choice, Point, Seed, Size, Slider
from gansde_lib.live.explorer import Explorer
from gansde_lib.live.views import (
    Arrows,
    Axis,
    Circle,
    Density,
    Heat,
    Histogram,
    Line,
    Panel,
    Path,
    Points,
    Readout,
    Rule,
    View,
)

__all__ = [
    "Arrows",
    "Axis",
    "Choice",
    "Circle",
    "Density",
    "Explorer",
    "Heat",
    "Histogram",
    "Line",
    "Panel",
    "Path",
    "Point",
    "Points",
    "Readout",
    "Rule",
    "Seed",
    "Size",
    "Slider",
    "View",
]
