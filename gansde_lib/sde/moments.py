"""What exact moments share, of training and of equations: their form, their start, where they settle."""

from typing import Any, NamedTuple

import jax
import numpy as np
from jax.flatten_util import ravel_pytree

from gansde_lib.games import Players, as_players

GAME = "games.quadratic(1.0, 1.0, 1.0, samples={'a': np.array([1.0, -1.0])})"
"""A game whose moments close."""


class Moments(NamedTuple):
    """Mean, of shape (d,), and second moment, of shape (d, d), in raveled coordinates, as float64."""

    mean: Any
    second: Any

    @property
    def covariance(self):
        """The covariance matrix."""
        return self.second - np.outer(self.mean, self.mean)


def as_double(x):
    """Return `x` as `Players` of float64 arrays, under `jax.enable_x64`."""
    return as_players(jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), Players(*x)))


def flat(x):
    """Return `x` raveled, as a NumPy array of float64.

    >>> flat(Players(1.0, 2.0))
    array([1., 2.])
    """
    with jax.enable_x64(True):
        return np.asarray(ravel_pytree(as_double(x))[0])


def read(z):
    """Return the `Moments` in E z z^T, z = (1, x)."""
    return Moments(z[0, 1:], (z[1:, 1:] + z[1:, 1:].T) / 2)


def points(size):
    """Points that determine a quadratic function: 0, e_i, -e_i, and e_i + e_j for i < j."""
    unit = np.eye(size)
    pairs = [unit[i] + unit[j] for i in range(size) for j in range(i + 1, size)]
    return np.vstack([np.zeros((1, size)), unit, -unit, *([pairs] if pairs else [])])


def fixed_point(matrix, growth):
    """Return the moments Z with Z[0, 0] = 1 that `matrix` takes to zero, if all others shrink towards them."""
    size = round(len(matrix) ** 0.5)
    moving = matrix[1:, 1:]  # Z[0, 0] = 1 never moves
    rates = growth(np.linalg.eigvals(moving))
    if rates.max() >= 0:
        raise ValueError(
            f"there is no stationary law with finite second moments: one of them grows by exp({rates.max():.3g}) per "
            "update; for example a smaller rate"
        )
    z = np.concatenate([[1.0], np.linalg.solve(moving, -matrix[1:, 0])])
    return read(z.reshape(size, size))
