"""The digits, what both players make of images, and a sheet of images to look at."""

import functools

import jax.numpy as jnp
import numpy as np
import sklearn.datasets

from gansde_lib.games.perceptron import apply_layers


@functools.cache
def labels():
    """Return which digit, from 0 to 9, each row of `digits` shows, as a read-only array of shape (1797,).

    >>> labels()[:10]
    array([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    """
    numbers = sklearn.datasets.load_digits().target
    numbers.flags.writeable = False
    return numbers


@functools.cache
def digits():
    """Return the digits of scikit-learn as a read-only array of shape (1797, 64), scaled from 0...16 to [-1, 1].

    Each row is an image of 8 x 8 pixels.

    >>> digits().shape, float(digits().min()), float(digits().max())
    ((1797, 64), -1.0, 1.0)
    """
    images = sklearn.datasets.load_digits().data / 8 - 1
    images.flags.writeable = False
    return images


def generate(theta, latent):
    """Return the generator's images G(z), each pixel between -1 and 1.

    Args:
        theta: the generator's layers.
        latent: one latent point of shape (k,), or several, of shape (n, k).

    Raises:
        ValueError: if the latent points do not fit the first layer.

    >>> import jax
    >>> from gansde_lib import neural
    >>> generate(neural.mlp(jax.random.key(0), (10, 24, 64)), jnp.zeros((5, 10))).shape
    (5, 64)
    """
    wanted = theta[0].weight.shape[0]
    if jnp.ndim(latent) not in (1, 2) or jnp.shape(latent)[-1] != wanted:
        raise ValueError(
            f"latent must have shape ({wanted},) or (n, {wanted}), found {jnp.shape(latent)}; "
            f"for example generate(x.theta, jax.random.normal(key, (100, {wanted})))"
        )
    return jnp.tanh(apply_layers(theta, latent))


def score(omega, images):
    """Return the discriminator's score D(x) of an image, or of each row of images; positive means "real".

    >>> import jax
    >>> from gansde_lib import neural
    >>> score(neural.mlp(jax.random.key(0), (64, 16, 1)), digits()[:5]).shape
    (5,)
    """
    return apply_layers(omega, images)[..., 0]


def tile(images, columns):
    """Return square images, one a row, as one array: a sheet of `columns` a row, with a gap of one pixel (NaN).

    >>> tile(digits()[:6], 3).shape
    (19, 28)
    """
    side, rows = int(np.sqrt(np.shape(images)[-1])), -(-len(images) // columns)
    sheet = np.full((rows * (side + 1) + 1, columns * (side + 1) + 1), np.nan)
    for i, image in enumerate(np.asarray(images)):
        top, left = (1 + (side + 1) * place for place in divmod(i, columns))
        sheet[top : top + side, left : left + side] = image.reshape(side, side)
    return sheet
