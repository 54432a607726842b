r"""Cells of a box, and the Markov chain between them that stands for an equation with two parameters.

The current of :math:`dX = b\,dt + a^{1/2}\,dW` is :math:`J = \tfrac12 a\,(g\,p - \nabla p)` with the slope
:math:`g = 2 a^{-1} (b - \tfrac12 \nabla\!\cdot a)`, the gradient of log p wherever nothing circulates. The covariance
is written as a sum of non-negative multiples of :math:`e e^\top` for steps e from cell to cell, the drift then has the
very same directions, and along each of them the chain jumps at rates of exponential fitting.
"""

import itertools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from gansde_lib import _checks
from gansde_lib.games import Players

CALL = "fokker_planck(equation, lower=(-2.0, -2.0), upper=(2.0, 2.0), cells=128)"


class Grid(NamedTuple):
    """Cell centres along theta and omega, and the two sides of a cell."""

    theta: Any
    omega: Any
    sides: Any

    @property
    def area(self):
        """The area of a cell."""
        return self.sides[0] * self.sides[1]


def make(lower, upper, cells, numpy=np):
    """Return the `Grid` of a box, made with NumPy or, where its corners are traced, with JAX.

    >>> make((-1.0, 0.0), (1.0, 1.0), 4).theta
    array([-0.75, -0.25,  0.25,  0.75])
    """
    _checks.whole("cells", cells, minimum=4, example=CALL)
    for name, corner in (("lower", lower), ("upper", upper)):
        if not (isinstance(corner, tuple | list | Players) and len(corner) == 2) and np.shape(corner) != (2,):
            raise ValueError(f"{name} must be two numbers, found {corner!r}; for example {CALL}")
    sides = []
    for low, high in zip(lower, upper, strict=True):
        if (
            _checks.is_concrete(low)
            and _checks.is_concrete(high)
            and not (np.isfinite([low, high]).all() and low < high)
        ):
            raise ValueError(f"lower must be below upper, found {low} and {high}; for example {CALL}")
        sides.append((high - low) / cells)
    centres = [low + side * (numpy.arange(cells) + 0.5) for low, side in zip(lower, sides, strict=True)]
    return Grid(*centres, numpy.stack([numpy.asarray(side) for side in sides]))


def coefficients(drift, covariance, theta, omega):
    """Return drift (2,), covariance (2, 2) and the covariance's divergence (2,) at one point, in pure JAX.

    >>> coefficients(lambda x: x, np.eye(2), jnp.float32(1), jnp.float32(2))[0]
    Array([1., 2.], dtype=float32)
    """

    def spread(flat):
        return jnp.asarray(covariance(Players(flat[0], flat[1])), flat.dtype).reshape(2, 2)

    point = jnp.stack([theta, omega])
    push = jnp.stack([jnp.asarray(part, point.dtype).reshape(()) for part in drift(Players(theta, omega))])
    if not callable(covariance):
        return push, jnp.asarray(covariance, point.dtype).reshape(2, 2), jnp.zeros_like(point)
    slopes = [jax.jvp(spread, (point,), (unit,))[1][:, k] for k, unit in enumerate(np.eye(2, dtype=point.dtype))]
    return push, spread(point), slopes[0] + slopes[1]


def as_pair(drift, covariance):
    """Return drift and covariance of an equation, or two given ones, as leaves of a pytree that JAX can be passed."""
    if covariance is None:
        if not (hasattr(drift, "drift") and hasattr(drift, "covariance")):
            raise ValueError(
                f"an equation, or a drift and a covariance, is needed, found {drift!r}; for example {CALL}"
            )
        return Partial(_drift_of, drift), Partial(_covariance_of, drift)
    if not callable(drift):
        raise ValueError(f"drift must be a function of Players, found {drift!r}; for example {CALL}")
    if not callable(covariance):
        covariance = np.asarray(covariance, np.float64)
        if covariance.shape != (2, 2):
            raise ValueError(f"covariance must be of shape (2, 2), found {covariance.shape}; for example {CALL}")
        return _bound(drift), covariance
    return _bound(drift), _bound(covariance)


def _bound(function):
    """A `Partial` that JAX can be passed: of an equation, if it is its method, so that other rates compile nothing."""
    owner, name = getattr(function, "__self__", None), getattr(function, "__name__", "")
    if owner is not None and name in ("drift", "covariance") and jax.tree.leaves(owner) != [owner]:
        return Partial(_drift_of if name == "drift" else _covariance_of, owner)
    return function if isinstance(function, Partial) else Partial(function)


def _drift_of(equation, x):
    return equation.drift(x)


def _covariance_of(equation, x):
    return equation.covariance(x)


def fresh(tree):
    """Float leaves as new arrays of float64: JAX must not meet the very arrays that single precision was compiled with.

    >>> fresh((0.5, 3))
    (array(0.5), 3)
    """

    def renew(leaf):
        return np.array(leaf, np.float64) if np.issubdtype(np.asarray(leaf).dtype, np.floating) else leaf

    return jax.tree.map(renew, tree)


@jax.jit
def sample(drift, covariance, theta, omega):
    """Return `coefficients` at all points of two lists, with a leading axis."""
    return jax.vmap(lambda t, o: coefficients(drift, covariance, t, o))(theta, omega)


def bernoulli(s, numpy=np):
    """Return s / (exp(s) - 1), which is 1 at 0.

    >>> bernoulli(np.array([0.0, 800.0, -3.0])).round(4)
    array([1.    , 0.    , 3.1572])
    """
    clipped = numpy.clip(s, -80.0, 80.0)  # beyond, B(s) is 0 or -s in single precision
    below = numpy.expm1(clipped)
    return numpy.where(
        s > 80, s * numpy.exp(-clipped), numpy.where(below == 0, 1.0, s / numpy.where(below == 0, 1.0, below))
    )


def selling(matrices):
    r"""Write positive definite 2 x 2 matrices as :math:`\sum_k \rho_k\, e_k e_k^\top` with integer steps, rho >= 0.

    Selling's reduction: start from the superbase (-1, -1), (1, 0), (0, 1); as long as two of its vectors have a
    positive product :math:`v_i^\top A v_j`, replace them by :math:`-v_i, v_j, v_i - v_j`. In the end
    :math:`\rho_k = -v_i^\top A v_j \ge 0`, and :math:`e_k` is :math:`v_k` turned by a right angle. Where the
    correlation is moderate the steps are those to the eight neighbours.

    Args:
        matrices: shape (count, 2, 2).

    Returns:
        Multiples of shape (count, 3), and steps, whole numbers of shape (count, 3, 2).

    Raises:
        ValueError: if a matrix is not positive definite, or so nearly singular that the steps become long.

    Source: Selling (1874); used for monotone schemes by Fehrenbach and Mirebeau (2014).

    >>> weights, steps = selling(np.array([[[2.0, 1.0], [1.0, 3.0]]]))
    >>> np.einsum("nk,nki,nkj->nij", weights, steps, steps)
    array([[[2., 1.],
            [1., 3.]]])
    """
    matrices = np.asarray(matrices, np.float64)
    base = np.tile(np.array([[-1, -1], [1, 0], [0, 1]]), (len(matrices), 1, 1))
    scale = np.trace(matrices, axis1=1, axis2=2)
    pairs, rows = np.array([[1, 2], [2, 0], [0, 1]]), np.arange(len(matrices))
    for _ in range(64):
        left, right = base[:, pairs[:, 0]], base[:, pairs[:, 1]]
        products = sum(
            matrices[:, None, a, b] * left[..., a] * right[..., b] for a, b in itertools.product(range(2), repeat=2)
        )
        worst = products.argmax(1)
        turn = products[rows, worst] > 1e-13 * scale
        if not turn.any():
            break
        first, second = (base[rows, pairs[worst, k]] for k in (0, 1))
        base = np.where(turn[:, None, None], np.stack([-first, second, first - second], 1), base)
    else:
        raise ValueError(f"found a covariance that is all but singular; for example noise for both players, {CALL}")
    steps = np.stack([-base[..., 1], base[..., 0]], -1)
    turned = (steps[..., 0] < 0) | ((steps[..., 0] == 0) & (steps[..., 1] < 0))
    return np.maximum(-products, 0.0), np.where(turned[..., None], -steps, steps)
