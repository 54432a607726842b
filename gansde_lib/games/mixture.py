"""Mixtures in the plane: a ring of Gaussians, and small networks that learn it."""

import jax
import numpy as np

from gansde_lib import _checks
from gansde_lib.games.game import Players, Sample
from gansde_lib.games.gan import gan
from gansde_lib.games.perceptron import apply_layers, mlp


def _centres(count, radius):
    angles = 2 * np.pi * np.arange(count) / count
    return radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def ring(size=512, *, count=8, radius=1.0, spread=0.05, seed=3):
    r"""Return points of shape (size, 2) from `count` Gaussians, whose centres are spread evenly over a circle.

    Args:
        size: number of points; point i comes from component i modulo `count`.
        count, radius, spread: number of Gaussians, radius of the circle, standard deviation of each coordinate.
        seed: seed of the points (NumPy's generator).

    >>> ring(size=8, spread=0.0).round(2)[:3] + 0.0
    array([[1.  , 0.  ],
           [0.71, 0.71],
           [0.  , 1.  ]])
    """
    _checks.whole("size", size, minimum=1, example="ring(size=512)")
    _checks.whole("count", count, minimum=1, example="ring(count=8)")
    _checks.positive("radius", radius, example="ring(radius=1.0)")
    _checks.non_negative("spread", spread, example="ring(spread=0.05)")
    noise = np.random.default_rng(seed).normal(size=(size, 2))
    return _centres(count, radius)[np.arange(size) % count] + spread * noise


def ring_shares(points, *, count=8, radius=1.0, spread=0.05):
    """Return the share of the points that lies within four spreads of each of the `count` centres of a `ring`.

    The sum says how much of the generated law lies on the data, the number of positive shares how much of the data
    is covered. Points of the ring itself reach a sum of 1 - exp(-8).

    >>> ring_shares(np.array([[1.0, 0.0], [1.1, 0.0], [0.0, 1.0], [0.0, 0.0]])).round(2)
    array([0.5 , 0.  , 0.25, 0.  , 0.  , 0.  , 0.  , 0.  ])
    """
    points = np.asarray(points)
    if points.ndim != 2 or points.shape[1] != 2:
        raise ValueError(f"points must have shape (n, 2), found {points.shape}; for example ring_shares(ring())")
    distances = np.linalg.norm(points[:, None] - _centres(count, radius), axis=-1)
    return np.mean(distances < 4 * spread, axis=0)


def _score(layers, point):
    return apply_layers(layers, point)[0]


def ring_gan(*, hidden=(32, 32), latent=2, real=None, key, **options):
    r"""Return `(game, x0)`: a GAN in the plane whose players are perceptrons with tanh units, and a random start.

    Args:
        hidden: widths of the hidden layers, the same for both players.
        latent: dimension of the latent points, drawn from N(0, 1), one for each real point.
        real: the data, of shape (N, 2); `ring()` by default.
        key: random key of the latent points and of the start, whose weights are drawn from N(0, 1 / inputs).
        **options: `loss`, `penalty`, `regulariser`, `noise` of `gan`. `game.payoff.func.generator(theta, z)` is G.

    >>> game, x0 = ring_gan(loss="non-saturating", penalty=0.1, key=jax.random.key(0))
    >>> game.size, [weight.shape for weight, bias in x0.theta]
    (512, [(2, 32), (32, 32), (32, 2)])
    """
    _checks.whole("latent", latent, minimum=1, example="ring_gan(latent=2, key=jax.random.key(0))")
    real = ring() if real is None else np.asarray(real)
    if real.ndim != 2 or real.shape[1] != 2:
        raise ValueError(
            f"real must have shape (N, 2), found {real.shape}; for example ring_gan(real=ring(), key=jax.random.key(0))"
        )
    keys = jax.random.split(key, 4)
    samples = Sample(real, jax.random.normal(keys[0], (len(real), latent)))
    x0 = Players(mlp(keys[1], (latent, *hidden, 2)), mlp(keys[2], (2, *hidden, 1)))
    return gan(apply_layers, _score, samples, key=keys[3], **options), x0
