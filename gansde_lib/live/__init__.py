"""Live figures: a pure jitted simulation, controls bound to its arguments, and a view that draws its arrays."""

from gansde_lib.live.controls import Choice, Slider
from gansde_lib.live.explorer import Explorer

__all__ = ["Choice", "Explorer", "Slider"]
