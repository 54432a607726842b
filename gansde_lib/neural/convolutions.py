r"""The small convolutional pair: layers that halve or double the side of an image.

A convolution is an affine map whose matrix repeats few numbers. At eight pixels a side the matrix is small enough to
be written out, which on a CPU is several times faster than a convolution routine: with kernel K, stride 2 and one
pixel of padding the entry from pixel (a, b), channel p, to pixel (i, j), channel q, is

.. math:: M_{abp,\,ijq} = K_{a - 2i + 1,\; b - 2j + 1,\; p,\; q},

and zero where an index of K is not one of 0, 1, 2, 3. A transposed convolution is an affine map with its transpose.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gansde_lib import _checks
from gansde_lib.games.perceptron import mlp


class Halving(NamedTuple):
    """A convolution with stride 2: `kernel` of shape (4, 4, channels in, channels out), `bias` (channels out,).

    Like `Layer` it maps vectors to vectors: raveled images of shape (2s, 2s, channels in) to (s, s, channels out).
    """

    kernel: Any
    bias: Any

    def __call__(self, points):
        """Apply the layer to a vector or to each row of vectors."""
        side = math.isqrt(points.shape[-1] // self.kernel.shape[2])
        return points @ _matrix(self.kernel, side // 2) + jnp.tile(self.bias, (side // 2) ** 2)


class Doubling(NamedTuple):
    """A transposed convolution with stride 2: `kernel` of shape (4, 4, channels out, channels in), `bias`.

    It maps raveled images of shape (s, s, channels in) to (2s, 2s, channels out).
    """

    kernel: Any
    bias: Any

    def __call__(self, points):
        """Apply the layer to a vector or to each row of vectors."""
        side = math.isqrt(points.shape[-1] // self.kernel.shape[3])
        return points @ _matrix(self.kernel, side).T + jnp.tile(self.bias, (2 * side) ** 2)


def _matrix(kernel, side):
    """The matrix of a halving onto images of that side."""
    offset = np.arange(2 * side)[:, None] - 2 * np.arange(side) + 1
    meets = (offset == np.arange(4)[:, None, None]).astype(kernel.dtype)  # (entry, pixel in, pixel out)
    return jnp.einsum("uai,vbj,uvpq->abpijq", meets, meets, kernel).reshape(4 * side**2 * kernel.shape[2], -1)


def convolutional_pair(key, *, latent=10, channels=(6, 6)):
    r"""Return generator and discriminator for images of 8 x 8 pixels, two doublings or halvings and a `Layer` each.

    .. math:: \text{latent} \to 2 \times 2 \times 2c \to 4 \times 4 \times c \to 8 \times 8, \qquad
              8 \times 8 \to 4 \times 4 \times c \to 2 \times 2 \times 2c \to 1.

    Args:
        key: random key of the start; weights have the variance of `mlp`, biases are zero.
        latent: dimension of the latent points.
        channels: c of the generator and of the discriminator.

    Source: the layout of Radford, Metz and Chintala (2016), made small and without normalisation.

    >>> theta, omega = convolutional_pair(jax.random.key(0))
    >>> [sum(leaf.size for leaf in jax.tree.leaves(player)) for player in (theta, omega)]
    [1783, 1315]
    """
    for width in channels:
        _checks.whole("each number of channels", width, minimum=1, example="convolutional_pair(key, channels=(6, 6))")
    (c, d), keys = channels, jax.random.split(key, 6)

    def kernel(key, rows, columns, *, seen):
        return jax.random.normal(key, (4, 4, rows, columns)) / seen**0.5

    # A pixel of a halving sees all 16 entries of a kernel in each channel, one of a doubling four.
    theta = (
        *mlp(keys[0], (latent, 8 * c)),
        Doubling(kernel(keys[1], c, 2 * c, seen=8 * c), jnp.zeros(c)),
        Doubling(kernel(keys[2], 1, c, seen=4 * c), jnp.zeros(1)),
    )
    omega = (
        Halving(kernel(keys[3], 1, d, seen=16), jnp.zeros(d)),
        Halving(kernel(keys[4], d, 2 * d, seen=16 * d), jnp.zeros(2 * d)),
        *mlp(keys[5], (8 * d, 1)),
    )
    return theta, omega
