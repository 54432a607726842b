"""Noise without a variance: symmetric stable laws, and how the spread of a mean then falls with the batch."""

import jax
import jax.numpy as jnp
import numpy as np

from gansde_lib import _checks


def stable(alpha, shape=(), *, key):
    r"""Return draws of the symmetric stable law with :math:`\mathbb E e^{\mathrm itX} = e^{-|t|^\alpha}`.

    With U uniform on :math:`(-\tfrac\pi2, \tfrac\pi2)` and W exponential of mean 1,

    .. math:: X = \frac{\sin \alpha U}{(\cos U)^{1/\alpha}}
              \Bigl(\frac{\cos((1 - \alpha) U)}{W}\Bigr)^{(1-\alpha)/\alpha}.

    alpha = 2 is the normal law of variance 2 and alpha = 1 the Cauchy law; for alpha < 2 the variance is infinite. The
    mean of B draws has the law of :math:`B^{1/\alpha - 1} X`.

    Args:
        alpha: stability index, 0 < alpha <= 2.
        shape: shape of the result.
        key: random key.

    Raises:
        ValueError: for an alpha that is not in (0, 2].

    Source: Chambers, Mallows and Stuck (1976).

    >>> stable(1.5, (1000,), key=jax.random.key(0)).shape
    (1000,)
    """
    example = "stable(1.5, (1000,), key=jax.random.key(0))"
    _checks.positive("alpha", alpha, example=example)
    if _checks.is_concrete(alpha) and alpha > 2:
        raise ValueError(f"alpha must be at most 2, found {alpha!r}; for example {example}")
    angle_key, waiting_key = jax.random.split(key)
    # The largest float32 below pi/2 has a positive cosine: no draw divides by zero.
    angle = jax.random.uniform(angle_key, shape, minval=-1.0, maxval=1.0) * (np.pi / 2) * (1 - 1e-6)
    waiting = jax.random.exponential(waiting_key, shape)
    waiting = jnp.maximum(waiting, jnp.finfo(waiting.dtype).tiny)
    stretch = (jnp.cos((1 - alpha) * angle) / waiting) ** ((1 - alpha) / alpha)
    return jnp.sin(alpha * angle) / jnp.cos(angle) ** (1 / alpha) * stretch


def spread(values, *, axis=0):
    """Return half the distance between the quartiles, a measure of scale that needs no variance.

    >>> spread(np.arange(101.0))
    np.float64(25.0)
    """
    lower, upper = np.quantile(np.asarray(values, float), [0.25, 0.75], axis=axis)
    return (upper - lower) / 2


def spread_error(values):
    """Return the standard error of `spread` of independent draws, by dividing them into 50 groups.

    >>> rng = np.random.default_rng(0)
    >>> bool(0.004 < spread_error(rng.normal(size=20_000)) < 0.008)
    True
    """
    values = np.asarray(values, float)
    groups = values[: len(values) // 50 * 50].reshape(50, -1)
    return spread(groups, axis=1).std(ddof=1) / np.sqrt(50)
