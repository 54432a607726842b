r"""Averages of the iterates: of a recorded path, or carried along by a rule.

The uniform average after k steps is :math:`\bar x_k = \frac1{k+1}\sum_{j \le k} x_j`; the exponential moving average
(EMA) is :math:`\bar x_k = d\,\bar x_{k-1} + (1 - d)\,x_k` from :math:`\bar x_0 = x_0`. Averages watch a run, they do
not change it.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gansde_lib import _checks
from gansde_lib.gda.plain import move, register
from gansde_lib.gda.rules import rule


def iterate_average(path):
    """Return the uniform average of all states so far, at every step of a path.

    Args:
        path: `Players` (or any pytree) with a leading time axis, every step recorded.

    >>> iterate_average(jnp.array([1.0, 3.0, 8.0]))
    Array([1., 2., 4.], dtype=float32)
    """
    return _average(path, lambda k, dtype: 1 / (k + 1).astype(dtype))


def ema(path, decay):
    """Return the exponential moving average at every step of a path, started at its first state.

    Args:
        path: `Players` (or any pytree) with a leading time axis, every step recorded.
        decay: the weight d of the past, in [0, 1).

    Raises:
        ValueError: for a decay outside of [0, 1).

    >>> ema(jnp.array([1.0, 3.0, 5.0]), 0.5)
    Array([1. , 2. , 3.5], dtype=float32)
    """
    _check_decay(decay)
    return _average(path, lambda k, dtype: jnp.asarray(1 - decay, dtype))


def _average(path, weight):
    def advance(average, entry):
        k, x = entry
        average = jax.tree.map(lambda a, p: a + weight(k, a.dtype) * (p - a), average, x)
        return average, average

    path = jax.tree.map(jnp.asarray, path)
    start = jax.tree.map(lambda leaf: leaf[0], path)
    count = jax.tree.leaves(path)[0].shape[0]
    return jax.lax.scan(advance, start, (jnp.arange(count), path))[1]


class Average(NamedTuple):
    """Memory of `Averaged`: the inner rule's memory, the average, and the number of averaged states (EMA: empty)."""

    rule: Any
    average: Any
    count: Any


@register
@dataclass(frozen=True)
class Averaged:
    """Another rule, with the average of its iterates as memory; what a run records is the average."""

    rule: Any
    decay: Any = None

    @property
    def linearises(self):
        """Whether the inner rule does."""
        return getattr(self.rule, "linearises", True)

    def init(self, x):
        """Return the inner rule's memory and the start as average."""
        return Average(self.rule.init(x), x, jnp.int32(1) if self.decay is None else ())

    def step(self, field, x, memory, *, lr, key):
        """Step as the inner rule does, and take the new state into the average."""
        x, inner = self.rule.step(field, x, memory.rule, lr=lr, key=key)
        weight, count = (1 / (memory.count + 1), memory.count + 1) if self.decay is None else (1 - self.decay, ())
        towards = jax.tree.map(jnp.subtract, x, memory.average)
        return x, Average(inner, move(memory.average, weight, towards), count)

    def read(self, x, memory):
        """Return what a run records: the average."""
        return memory.average


def averaged(update, decay=None):
    """Return a rule that trains as `update` does and records the average of its iterates.

    Args:
        update: a rule or its name.
        decay: weight of the past in an exponential moving average, in [0, 1); None for the uniform average.

    The run itself is not changed, and only one average is stored, which is what networks need. To record the iterates
    beside their average: `run(..., record=lambda x, memory: (x, memory.average))`.

    Raises:
        ValueError: for an unknown rule, or a decay outside of [0, 1).

    >>> from gansde_lib import games, gda
    >>> path = gda.run(games.bilinear(1.0), games.Players(1.0, 0.0), lr=0.1, steps=5000, update=averaged("alternating"))
    >>> bool(jnp.hypot(path.theta[-1], path.omega[-1]) < 0.01)
    True
    """
    if decay is not None:
        _check_decay(decay)
    return Averaged(rule(update), decay)


def _check_decay(decay):
    if _checks.is_concrete(decay) and not (np.ndim(decay) == 0 and 0 <= decay < 1):
        raise ValueError(
            f'decay must be a number in [0, 1), found {decay!r}; for example averaged("alternating", decay=0.999)'
        )
