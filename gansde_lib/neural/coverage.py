"""Which digits a generator draws, and how many of its images could be digits at all: precision, recall, coverage."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from gansde_lib import _checks
from gansde_lib.neural.distance import _squared_distances

SHARE = 0.02
"""A class counts as covered from this share of all generated images on; a fair share would be 0.1."""


class Reference(NamedTuple):
    """Real images to judge by: `images` (n, d), `labels` (n,), squared `radius` (n,) of the ball around each image."""

    images: Any
    labels: Any
    radius: Any


class Quality(NamedTuple):
    """Precision and recall, the share of each of the ten classes, and the number of classes covered."""

    precision: Any
    recall: Any
    shares: Any
    covered: Any


def reference(images, labels, *, neighbours=3):
    """Return real images with their labels and the ball around each that reaches to its k-th nearest neighbour.

    Args:
        images, labels: real images of shape (n, d) and the digits they show, of shape (n,).
        neighbours: k.

    Raises:
        ValueError: if there are not as many labels as images, or not more images than neighbours.

    >>> from gansde_lib import neural
    >>> reference(neural.digits()[1::2], neural.labels()[1::2]).radius.shape
    (898,)
    """
    call = "reference(digits()[1::2], labels()[1::2], neighbours=3)"
    _checks.whole("neighbours", neighbours, minimum=1, example=call)
    if jnp.ndim(images) != 2 or jnp.shape(labels) != jnp.shape(images)[:1] or len(images) <= neighbours:
        raise ValueError(
            f"reference needs images (n, d) with n > {neighbours} and n labels, found shapes {jnp.shape(images)} and "
            f"{jnp.shape(labels)}; for example {call}"
        )
    images = jnp.asarray(images, jnp.result_type(float))
    return Reference(images, jnp.asarray(labels), _radius(images, neighbours))


def classify(images, real):
    """Return the label of the nearest image of a `Reference`, for each row of images.

    >>> from gansde_lib import neural
    >>> real = neural.reference(neural.digits()[1::2], neural.labels()[1::2])
    >>> found = neural.classify(neural.digits()[::2], real)
    >>> round(float((found == neural.labels()[::2]).mean()), 3)
    0.98
    """
    return real.labels[jnp.argmin(_squared_distances(images, real.images), axis=1)]


def quality(generated, real, *, neighbours=3):
    r"""Return precision, recall, shares and the number of covered classes of generated images.

    Around each of n points draw the ball that reaches to its k-th nearest neighbour; the union of the balls stands
    for the set on which the law of the points lives. Precision is the share of generated images in the union of the
    real balls, recall the share of real images in the union of the generated ones. The share of a class is that of
    the generated images which are in the union of the real balls *and* whose nearest real image is of that class,
    so that the ten shares add up to the precision. A class is covered if its share is at least `SHARE`.

    Args:
        generated: images of shape (m, d), m > k.
        real: a `Reference`.
        neighbours: k for the generated images.

    Source: Kynkaanniemi et al. (2019) for precision and recall, there between features of a network, here pixels.

    >>> from gansde_lib import neural
    >>> real = neural.reference(neural.digits()[1::2], neural.labels()[1::2])
    >>> int(neural.quality(neural.digits()[::2], real).covered)
    10
    """
    call = "quality(generate(x.theta, latent), reference(digits()[1::2], labels()[1::2]))"
    shapes = jnp.shape(generated), jnp.shape(real.images)
    if len(shapes[0]) != 2 or shapes[0][0] <= neighbours or shapes[0][1] != shapes[1][1]:
        raise ValueError(
            f"quality needs images of shapes (m, d), m > {neighbours}, and (n, d), found {shapes}; for example {call}"
        )
    generated = jnp.asarray(generated)
    distances = _squared_distances(generated, real.images)
    inside = (distances <= real.radius).any(axis=1)
    nearest = real.labels[jnp.argmin(distances, axis=1)]
    shares = (inside[:, None] & (nearest[:, None] == jnp.arange(10))).mean(axis=0)
    recall = (distances <= _radius(generated, neighbours)[:, None]).any(axis=0).mean()
    return Quality(inside.mean(), recall, shares, (shares >= SHARE).sum())


def _radius(points, neighbours):
    """Squared distance of each point to its k-th nearest neighbour; the point itself is the nearest, at zero."""
    return -jax.lax.top_k(-_squared_distances(points, points), neighbours + 1)[0][:, -1]
