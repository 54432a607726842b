"""Controls of a live figure: what a reader may change, and between which bounds."""

import math
import numbers
from typing import NamedTuple

import numpy as np

from gansde_lib import _checks


class Slider(NamedTuple):
    """A number between `lower` and `upper`, starting at `start`.

    `log=True` spaces it logarithmically; `integer=True` makes it a whole number (int32 instead of float32).
    The label may carry the book's symbols as plain Unicode, such as "η".
    """

    label: str
    lower: float
    upper: float
    start: float
    log: bool = False
    integer: bool = False

    def check(self):
        """Raise `ValueError` unless lower <= start <= upper (and 0 < lower on a logarithmic scale)."""
        ends = (self.lower, self.start, self.upper)
        ordered = -math.inf < self.lower <= self.start <= self.upper < math.inf and self.lower < self.upper
        if not ordered or (self.log and self.lower <= 0) or (self.integer and any(end != int(end) for end in ends)):
            raise ValueError(
                f"slider {self.label!r} needs {'0 < ' if self.log else ''}lower <= start <= upper"
                f"{', all whole' if self.integer else ''}, found {self.lower}, {self.start}, {self.upper}; "
                'for example Slider("η", 0.01, 1.0, start=0.1, log=True)'
            )

    def argument(self, value):
        """Return the value as the simulation takes it: of one type, so that nothing is ever traced twice."""
        return _scalar(self, value, np.int32 if self.integer else np.float32)


class Choice(NamedTuple):
    """One of a few named options; `options` maps what the reader sees to the integer the simulation takes."""

    label: str
    options: dict[str, int]
    start: str

    def check(self):
        """Raise `ValueError` unless the start is one of the options."""
        _checks.choice(f"start of {self.label!r}", self.start, self.options, example='Choice("rule", {"a": 0}, "a")')

    def argument(self, value):
        """Return the number that stands for the chosen option."""
        _checks.choice(self.label, value, self.options, example=f"{self.start!r}")
        return np.int32(self.options[value])


class Seed(NamedTuple):
    """The seed of a simulation (uint32); "re-roll" takes the next one, so that everybody meets the same pictures."""

    label: str = "seed"
    start: int = 0

    def check(self):
        """Raise `ValueError` unless the start is a seed."""
        self.argument(self.start)

    def argument(self, value):
        """Return the seed as uint32."""
        if not isinstance(value, numbers.Integral) or not 0 <= value < 2**32:
            raise ValueError(
                f"{self.label!r} must be an integer from 0 to 2**32 - 1, found {value!r}; for example 2026"
            )
        return np.uint32(value)


class Point(NamedTuple):
    """A point of the plane (float32, shape (2,)), entered by two numbers or dragged on the panel that names it."""

    label: str
    lower: tuple[float, float]
    upper: tuple[float, float]
    start: tuple[float, float]
    parts: tuple[str, str] = ("θ", "ω")

    def check(self):
        """Raise `ValueError` unless the start lies in the box."""
        pairs = (self.lower, self.upper, self.start, self.parts)
        if any(len(pair) != 2 for pair in pairs) or not all(
            -math.inf < low <= start <= high < math.inf and low < high
            for low, start, high in zip(self.lower, self.start, self.upper, strict=True)
        ):
            raise ValueError(
                f"point {self.label!r} needs pairs with lower <= start <= upper, found {self.lower}, {self.start}, "
                f'{self.upper}; for example Point("start", (-2, -2), (2, 2), start=(1.0, 0.0))'
            )

    def argument(self, value):
        """Return the point as a float32 vector."""
        if np.shape(value) != (2,):
            raise ValueError(f"{self.label!r} must be two numbers, found {value!r}; for example {self.start}")
        return np.asarray(value, np.float32)


class Size(NamedTuple):
    """A size that fixes shapes, such as a number of paths: the page uses `start`, a kernel engine may take `more`.

    The simulation gets a Python integer, and is traced once for each size.
    """

    label: str
    start: int
    more: tuple[int, ...] = ()

    def check(self):
        """Raise `ValueError` unless all sizes are positive integers."""
        for size in (self.start, *self.more):
            _checks.whole(f"a size of {self.label!r}", size, minimum=1, example='Size("paths", 200, more=(5000,))')

    def argument(self, value):
        """Return the size, a Python integer."""
        _checks.choice(self.label, value, (self.start, *self.more), example=f"{self.start}")
        return int(value)


def _scalar(control, value, dtype):
    if not isinstance(value, numbers.Real | np.generic | np.ndarray) or np.ndim(value) != 0:
        raise ValueError(f"{control.label!r} must be one number, found {value!r}; for example {control.start}")
    return dtype(value)
