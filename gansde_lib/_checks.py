"""Checks of what a caller passes in. Each failure names what was found, what was expected and a call that works."""

import math
import numbers

import jax
import numpy as np


def is_concrete(value):
    """True unless `value` is being traced by JAX, in which case its contents cannot be looked at."""
    return not isinstance(value, jax.core.Tracer)


def positive(name, value, *, example):
    """Raise `ValueError` unless `value` is a positive, finite number (or is being traced)."""
    if is_concrete(value) and not (np.ndim(value) == 0 and math.isfinite(float(value)) and float(value) > 0):
        raise ValueError(f"{name} must be a positive, finite number, found {value!r}; for example {example}")


def non_negative(name, value, *, example):
    """Raise `ValueError` unless `value` is a finite number >= 0 (or is being traced)."""
    if is_concrete(value) and not (np.ndim(value) == 0 and math.isfinite(float(value)) and float(value) >= 0):
        raise ValueError(f"{name} must be a finite number >= 0, found {value!r}; for example {example}")


def whole(name, value, *, minimum, example):
    """Raise `ValueError` unless `value` is an integer that is not below `minimum`."""
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < minimum:
        raise ValueError(f"{name} must be an integer >= {minimum}, found {value!r}; for example {example}")


def choice(name, value, options, *, example):
    """Raise `ValueError` unless `value` is one of the named `options`."""
    if value not in options:
        known = ", ".join(repr(option) for option in options)
        raise ValueError(f"{name} must be one of {known}, found {value!r}; for example {example}")
