"""Sample quality: the kernel distance between generated and real images, and its noise floor."""

import jax
import jax.numpy as jnp
import numpy as np

from gansde_lib import _checks


def median_distance(points):
    """Return the median Euclidean distance between two different rows, the usual bandwidth of a kernel.

    >>> float(median_distance(jnp.array([[0.0], [1.0], [3.0]])))
    2.0
    """
    distances = jnp.sqrt(_squared_distances(points, points))
    return jnp.median(distances[np.triu_indices(len(points), 1)])


def mmd(generated, real, *, bandwidth):
    r"""Return the unbiased estimate of the squared maximum mean discrepancy of two samples.

    .. math:: \frac{1}{n(n-1)}\sum_{i \ne j} k(x_i, x_j) + \frac{1}{m(m-1)}\sum_{i \ne j} k(y_i, y_j)
              - \frac{2}{nm}\sum_{i, j} k(x_i, y_j), \qquad k(x, y) = e^{-|x - y|^2 / (2h^2)}.

    Its mean is zero if both samples come from one law, so that it may be negative.

    Args:
        generated, real: samples of shapes (n, d) and (m, d), with at least two rows each.
        bandwidth: h, for example `median_distance(digits())`.

    Raises:
        ValueError: for shapes that do not fit, or a bandwidth that is not positive.

    Source: Gretton et al. (2012).

    >>> float(mmd(jnp.zeros((4, 64)), jnp.zeros((5, 64)), bandwidth=1.0))
    0.0
    """
    call = "mmd(generate(x.theta, latent), digits(), bandwidth=6.0)"
    shapes = jnp.shape(generated), jnp.shape(real)
    if any(len(shape) != 2 or shape[0] < 2 for shape in shapes) or shapes[0][1] != shapes[1][1]:
        raise ValueError(
            f"mmd needs samples of shapes (n, d) and (m, d) with n, m >= 2, found {shapes}; for example {call}"
        )
    _checks.positive("bandwidth", bandwidth, example=call)

    def kernel(x, y):
        return jnp.exp(-_squared_distances(x, y) / (2 * bandwidth**2))

    def within(x):
        return (kernel(x, x).sum() - len(x)) / (len(x) * (len(x) - 1))

    x, y = jnp.asarray(generated), jnp.asarray(real)
    return within(x) + within(y) - 2 * kernel(x, y).mean()


def mmd_floor(real, *, size, splits, bandwidth, key):
    """Return `splits` values of `mmd` between two disjoint random parts of the real images, `size` rows each.

    Their mean is zero up to its standard error; their spread is the noise floor, below which no difference
    between a generator and the data can be seen with samples of this size.

    >>> from gansde_lib import neural
    >>> mmd_floor(neural.digits(), size=50, splits=3, bandwidth=6.0, key=jax.random.key(0)).shape
    (3,)
    """
    call = "mmd_floor(digits(), size=400, splits=100, bandwidth=6.0, key=jax.random.key(0))"
    _checks.whole("size", size, minimum=2, example=call)
    _checks.whole("splits", splits, minimum=1, example=call)
    if 2 * size > len(real):
        raise ValueError(f"size must be at most half of the {len(real)} images, found {size}; for example {call}")
    images = jnp.asarray(real)

    def split(key):
        order = jax.random.permutation(key, len(images))
        return mmd(images[order[:size]], images[order[size : 2 * size]], bandwidth=bandwidth)

    return jax.lax.map(split, jax.random.split(key, splits))


def _squared_distances(x, y):
    x, y = jnp.asarray(x), jnp.asarray(y)
    return jnp.maximum((x * x).sum(1)[:, None] + (y * y).sum(1) - 2 * x @ y.T, 0)
