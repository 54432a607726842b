r"""Verdicts on runs without a model, boundaries found by bisection on runs, and the published grid of 36 runs."""

from typing import Any, NamedTuple

import numpy as np

from gansde_lib.phases.measured import SMALL, Settings, _length, _remembered, measure

ROWS = tuple((sigma, ridge, lr) for lr in ((0.1, 1.0), (0.1, 0.1), (0.01, 0.1), (0.01, 0.01))
             for sigma in (0.1, 1.0, 10.0) for ridge in (1.0, 0.1, 0.01))  # fmt: skip
"""The 36 settings (sigma, lambda, (eta_g, eta_d)) of the "two point" experiment in the authors' public code."""

MANNERS = ("monotone", "oscillating", "flipping")
"""How a mean displacement goes, in the order of the codes in `Judged.manner`."""

STANDING = 1e-8
"""Sizes that differ by less than this share neither grow nor shrink: only roundings change them."""

DROWNED = 1e-12
"""A mean displacement below this share of what is remembered is no longer seen."""


ESCAPED = 1e3
"""Growth by this factor is growth, whenever it happens."""


class Judged(NamedTuple):
    """Verdicts on runs, arrays (size,): `growth`, -1, 0 or 1 for shrinking, standing and growing; `manner` of the mean
    displacement, a place in `MANNERS`; `turns`, its changes of sign in the second half of the updates it is seen."""

    growth: Any
    manner: Any
    turns: Any


def judge(settings, points, witness):
    """Say what is seen on given `displacements` and `witness_deviations`, from sizes and signs alone, as `Judged`.

    A run grows if its mean displacement, its differences or the witness do: if the largest in the last quarter of the
    updates exceeds that in the quarter before. Its mean is "flipping" if it changes sign at nearly every one of the
    later updates, "oscillating" if it changes sign at any, and "monotone" if at none.

    >>> from gansde_lib import phases
    >>> settings = phases.draw_settings(3, seed=1)
    >>> points, witness = (look(settings, steps=200) for look in (phases.displacements, phases.witness_deviations))
    >>> judge(settings, points, witness).growth.shape
    (3,)
    """
    rows = [_judge_one(Settings(*row[:-2]), *row[-2:]) for row in zip(*settings, points, witness, strict=True)]
    return Judged(*(np.array(column) for column in zip(*rows, strict=True)))


def _growth(sizes, complete):
    """-1, 0 or 1; a series that stops early has left the range of what is small, or of what float64 can hold."""
    if not complete:
        return 1 if sizes[-1] > sizes[0] else -1
    quarter = len(sizes) // 4
    last, before = sizes[-quarter:].max(), sizes[-2 * quarter : -quarter].max()
    return 0 if abs(last - before) <= STANDING * before else 1 if last > before else -1


def _window(sizes, memory):
    """How long a series is seen: until roundings of what is larger, now or in the witness's memory, drown it for good.

    A series that changes sign is small now and then; it is gone when its largest over 20 updates is.
    """
    largest = np.lib.stride_tricks.sliding_window_view(np.append(sizes, np.full(19, sizes[-1])), 20).max(1)
    return max(_length(largest > DROWNED * memory), 4)


def _judge_one(setting, points, witness):
    moved = points[:, : int(setting.count), : int(setting.dimension)] / setting.bandwidth
    mean = moved.mean(1)
    apart = np.abs(moved - mean[:, None]).reshape(len(moved), -1).max(1)
    mean = mean[:, np.abs(mean[0]).argmax()]
    size = np.maximum(np.abs(mean), apart)
    seen = _length((size < SMALL) & (size > 1e-280))
    fading = np.log(np.abs(1 - setting.eta_d * setting.ridge)) * np.arange(seen)
    memory = _remembered(size[:seen], fading)
    window = _window(np.abs(mean[:seen]), memory)
    growth = _growth(np.abs(mean[:window]), complete=window == len(size))
    if setting.count > 1:
        together = _window(apart[:seen], memory)
        growth = max(growth, _growth(apart[:together], complete=together == len(size)))
    if not (size[seen:] < size[0]).all() or size[:seen].max() > ESCAPED * size[0]:
        growth = 1  # it left, or came back from far below: a witness that is unstable by itself amplifies roundings
    visible = _length((np.abs(witness) > 1e-12) & (np.abs(witness) < 1e12))
    growth = max(growth, _growth(np.abs(witness[:visible]), complete=visible == len(witness)))
    signs = np.sign(mean[window // 2 : window])
    turns = int((signs[1:] != signs[:-1]).sum())
    manner = 2 if turns >= max(len(signs) - 2, 1) else 1 if turns else 0
    return growth, manner, turns


def bisect(settings, *, low, high, update="simultaneous", steps=80, rounds=16, seen="growth"):
    """Return the eta_g, between `low` and `high`, at which runs begin to grow, by bisection on non-linear runs.

    Args:
        settings: `Settings` of sites with one generated point each; their eta_g is ignored.
        low, high: arrays (size,) of rates that bracket the boundary.
        seen: "growth" for the rate at which a measured root passes modulus 1, "turning" for that at which the
            measured roots become complex.

    >>> from gansde_lib import phases
    >>> row = phases.Settings(*(np.array([v]) for v in (1.0, 1.0, 1, 1.0, 0.5, 0.0, 0.1, 1)))
    >>> bisect(row, low=np.array([0.3]), high=np.array([0.8]), rounds=12).round(3)  # lambda sigma^2 / (q p)
    array([0.5])
    """
    low, high = np.array(low, float), np.array(high, float)
    for _ in range(rounds):
        middle = (low + high) / 2
        found = measure(settings._replace(eta_g=middle), steps=steps, update=update)
        turning = (found.argument > 0) & (found.argument < np.pi)
        beyond = found.radius > 1 if seen == "growth" else turning
        low, high = np.where(beyond, low, middle), np.where(beyond, middle, high)
    return (low + high) / 2
