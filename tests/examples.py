"""Games that several test files share."""

import numpy as np

from gansde_lib import games


def linear_quadratic(size):
    """3 + 2 dimensions, spread 0.35, coupling 1.2: additive and multiplicative noise in both players."""
    rng, spread = np.random.default_rng(7), 0.35

    def symmetric(n):
        m = rng.normal(size=(size, n, n))
        return spread * (m + m.swapaxes(1, 2)) / 2

    samples = {"P": symmetric(3), "Q": symmetric(2), "C": spread * rng.normal(size=(size, 3, 2))}
    samples |= {"a": 0.5 * rng.normal(size=(size, 3)), "b": 0.5 * rng.normal(size=(size, 2))}
    return games.quadratic(np.eye(3), 1.2 * np.eye(3, 2), np.eye(2), samples=samples)
