r"""Radial kernels :math:`K(x, y) = \phi(|x - y|^2 / \sigma^2)` with :math:`\phi(0) = 1`.

A kernel is its profile :math:`\phi`, a function of the squared distance in bandwidths: one of the names in `KERNELS`,
or what `rational_quadratic` and `multiscale` return.
"""

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from gansde_lib import _checks


def gaussian(s):
    r""":math:`e^{-s/2}`.

    >>> gaussian(0.0)
    Array(1., dtype=float32, weak_type=True)
    """
    return jnp.exp(-jnp.asarray(s) / 2)


def _root(s):
    """The square root with derivative zero at zero: a kernel with a kink exerts no force on its own centre."""
    inside = s > 0
    return jnp.where(inside, jnp.sqrt(jnp.where(inside, s, 1)), 0)


@jax.custom_jvp
def matern(s):
    r""":math:`(1 + t + t^2/3) e^{-t}` with :math:`t = \sqrt{5 s}`: Matern's kernel of smoothness 5/2.

    >>> float(jax.grad(matern)(0.0))  # -5/6
    -0.8333333134651184
    """
    t = _root(5 * jnp.asarray(s))
    return (1 + t + t**2 / 3) * jnp.exp(-t)


@matern.defjvp
def _matern_slope(primals, tangents):
    # Automatic differentiation subtracts two numbers near 1 and divides by t: nothing is left of it near 0.
    (s,), (ds,) = primals, tangents
    t = _root(5 * jnp.asarray(s))
    return matern(s), -5 / 6 * (1 + t) * jnp.exp(-t) * ds


def laplacian(s):
    r""":math:`e^{-\sqrt s}`, with a kink at zero: there is no linear theory, and no force between points that coincide.

    >>> float(jax.grad(laplacian)(0.0))
    0.0
    """
    return jnp.exp(-_root(jnp.asarray(s)))


def _rational_quadratic(alpha, s):
    return (1 + s / (2 * alpha)) ** -alpha


def rational_quadratic(alpha=0.5):
    r"""Return :math:`(1 + s / 2\alpha)^{-\alpha}`, a mixture of Gaussian kernels of all widths.

    >>> float(rational_quadratic(1.0)(2.0))
    0.5
    """
    _checks.positive("alpha", alpha, example="rational_quadratic(0.5)")
    return Partial(_rational_quadratic, alpha)


def _multiscale(widths, weights, s):
    return jnp.tensordot(weights, gaussian(jnp.asarray(s) / widths.reshape((-1,) + (1,) * jnp.ndim(s)) ** 2), 1)


def multiscale(widths, weights=None):
    r"""Return :math:`\sum_k w_k e^{-s / 2 h_k^2}`, Gaussian kernels of several widths h_k (in bandwidths) at once.

    Args:
        widths: the widths, of shape (m,).
        weights: their weights, scaled to sum to one; proportional to 1 / width by default.

    >>> float(multiscale((0.1, 1.0))(0.0))
    1.0
    """
    widths = jnp.asarray(widths, float)
    weights = 1 / widths if weights is None else jnp.asarray(weights, float)
    if widths.ndim != 1 or weights.shape != widths.shape or not (widths > 0).all() or not (weights >= 0).all():
        raise ValueError(
            f"a multiscale kernel needs as many weights >= 0 as widths > 0, found {weights} and {widths}; for example "
            "multiscale((0.1, 1.0, 10.0))"
        )
    return Partial(_multiscale, widths, weights / weights.sum())


KERNELS = {
    "gaussian": gaussian,
    "rational quadratic": rational_quadratic(),
    "matern": matern,
    "laplacian": laplacian,
}
"""The kernels by name."""


def profile(kernel):
    """Return the profile of a kernel, named or given, as a pytree.

    >>> float(profile("gaussian")(0.0))
    1.0
    """
    if callable(kernel):
        return kernel if isinstance(kernel, Partial) else Partial(kernel)
    _checks.choice("kernel", kernel, KERNELS, example='kernel="gaussian", or kernel=kernel_gan.multiscale((1.0, 10.0))')
    return profile(KERNELS[kernel])


def slope(kernel, s):
    r"""Return the derivative :math:`\phi'(s)`, elementwise.

    >>> float(slope("gaussian", 0.0))
    -0.5
    """
    s = jnp.asarray(s, jnp.result_type(float, s))
    return jax.jvp(profile(kernel), (s,), (jnp.ones_like(s),))[1]


def curvature(kernel, bandwidth):
    r"""Return :math:`\gamma = -2 \phi'(0) / \sigma^2`, minus the second derivative of the kernel at its centre.

    Raises:
        ValueError: for the Laplacian kernel, which has none.

    >>> round(float(curvature("matern", 2.0)), 6)  # 5 / (3 sigma^2)
    0.416667
    """
    if profile(kernel).func is laplacian:
        raise ValueError('the Laplacian kernel has no linear theory; for example kernel="gaussian"')
    return -2 * slope(kernel, 0.0) / bandwidth**2


def evaluate(kernel, bandwidth, x, y):
    """Return the matrix of K(x_i, y_j), of shape (m, n), for points of shapes (m, d) and (n, d).

    >>> evaluate("gaussian", 1.0, jnp.zeros((2, 3)), jnp.zeros((4, 3))).shape
    (2, 4)
    """
    return profile(kernel)(((x[:, None] - y) ** 2).sum(-1) / bandwidth**2)


def force(kernel, bandwidth, x, y, weights):
    r"""Return :math:`\sum_j w_j \nabla_1 K(x_i, y_j)`, of shape (m, d): the slope of a kernel expansion at each x_i.

    >>> round(float(force("gaussian", 1.0, jnp.array([[1.0]]), jnp.array([[0.0]]), jnp.ones(1))[0, 0]), 4)
    -0.6065
    """
    apart = x[:, None] - y
    pull = 2 / bandwidth**2 * slope(kernel, (apart**2).sum(-1) / bandwidth**2) * weights
    return jnp.einsum("ij,ijd->id", pull, apart)
