"""Controls of a live figure: what a reader may change, and between which bounds."""

import math
from typing import Any, NamedTuple

import ipywidgets
import jax.numpy as jnp

from gansde_lib import _checks


class Slider(NamedTuple):
    """A number between `lower` and `upper`, starting at `start`; `log=True` spaces it logarithmically.

    The label may carry the book's symbols as plain Unicode, such as "η".
    """

    label: str
    lower: float
    upper: float
    start: float
    log: bool = False

    def check(self):
        """Raise `ValueError` unless lower <= start <= upper (and 0 < lower on a logarithmic scale)."""
        ordered = -math.inf < self.lower <= self.start <= self.upper < math.inf and self.lower < self.upper
        if not ordered or (self.log and self.lower <= 0):
            raise ValueError(
                f"slider {self.label!r} needs {'0 < ' if self.log else ''}lower <= start <= upper, found "
                f'{self.lower}, {self.start}, {self.upper}; for example Slider("η", 0.01, 1.0, start=0.1, log=True)'
            )

    def argument(self, value):
        """Return the value as the simulation takes it: a float32 array, so that nothing is ever traced twice."""
        return jnp.float32(value)

    def widget(self):
        """Return the ipywidgets control."""
        options = {"description": self.label, "continuous_update": True, "readout_format": ".3g"}
        if self.log:
            low, high = math.log10(self.lower), math.log10(self.upper)
            return ipywidgets.FloatLogSlider(self.start, min=low, max=high, step=(high - low) / 100, **options)
        step = (self.upper - self.lower) / 100
        return ipywidgets.FloatSlider(self.start, min=self.lower, max=self.upper, step=step, **options)


class Choice(NamedTuple):
    """One of a few named options; `options` maps what the reader sees to the number the simulation takes."""

    label: str
    options: dict[str, Any]
    start: str

    def check(self):
        """Raise `ValueError` unless the start is one of the options."""
        _checks.choice(f"start of {self.label!r}", self.start, self.options, example='Choice("rule", {"a": 0}, "a")')

    def argument(self, value):
        """Return the number that stands for the chosen option."""
        return jnp.int32(self.options[value])

    def widget(self):
        """Return the ipywidgets control."""
        return ipywidgets.ToggleButtons(options=list(self.options), value=self.start, description=self.label)
