r"""Kernels as inner products of finitely many features, which make the kernel GAN a `Game` like any other.

With :math:`K(x, y) = \langle a(x), a(y) \rangle` the witness is :math:`f = \langle a, \omega \rangle`, and the kernel
GAN is descent-ascent on :math:`\sum_i p_i f(x_i) - \sum_j \tilde p_j f(\theta_j) - \tfrac\lambda2 |\omega|^2`: every
rule, equation and relation of the other chapters applies to it.

A feature map is a function of one point that returns a tuple of vectors; the features are their tensor product.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from numpy.polynomial import Chebyshev, Polynomial

from gansde_lib import _checks
from gansde_lib.games import Game
from gansde_lib.kernel_gan.expansion import problem

CALL = "game(fourier_features(8.0, modes=12, bandwidth=1.0), [[0.0]], [1.0], [1.0], ridge=0.5)"


def cosine_of_turns(turns):
    r"""Return :math:`\cos 2\pi t` of a few turns t, to a few units of the last place.

    A polynomial gives the sine up to a quarter turn, whole vectors at a time, as `jnp.cos` does not on a CPU.

    >>> cosine_of_turns(jnp.array([0.0, 0.125, -0.5, 1.0])).round(4)
    Array([ 1.    ,  0.7071, -1.    ,  1.    ], dtype=float32)
    """
    turns = jnp.asarray(turns)
    rest = 0.25 - jnp.abs(turns - jnp.round(turns))
    square = rest * rest
    lowest, *higher = _SINE[turns.dtype == jnp.float64].astype(turns.dtype)
    value = jnp.zeros_like(square)
    for coefficient in reversed(higher):
        value = (value + coefficient) * square
    return (value + lowest) * rest


def _sine(degree):
    """Coefficients of sin(2 pi b) / b in powers of the square of b, up to somewhat more than a quarter turn."""

    def quotient(square):
        turn = np.sqrt(np.maximum(square, 1e-30))
        return np.sin(2 * np.pi * turn) / turn

    return Chebyshev.interpolate(quotient, degree, [0, 1 / 15]).convert(kind=Polynomial).coef


_SINE = {False: _sine(5), True: _sine(8)}


def _fourier(frequencies, scale, center, x):
    angle = (x - center)[:, None] * frequencies
    return tuple(jnp.concatenate([scale * jnp.cos(angle), scale * jnp.sin(angle)], axis=1))


def fourier_features(box, *, modes, bandwidth, center=0.0):
    r"""Return features of the Gaussian kernel on a box: its Fourier series in each coordinate.

    In one coordinate, on a box of length L,

    .. math:: a(x) = \bigl(\sqrt{s_k} \cos \tfrac{2\pi k x}{L}, \sqrt{s_k} \sin \tfrac{2\pi k x}{L}\bigr)_{k \le m},
              \qquad s_k = (2 - \delta_{k0}) \tfrac{\sqrt{2\pi}\,\sigma}{L} e^{-2 (\pi k \sigma / L)^2};

    in d coordinates the product. The kernel is the Gaussian one up to its images, :math:`e^{-(L - r)^2/2\sigma^2}`, and
    the modes left out: with L = 14 bandwidths and m = 18 both are below rounding for points less than 5 bandwidths
    apart. Points that leave the box come back on its other side: keep them inside.

    Args:
        box: its length L in every coordinate.
        modes: the highest mode m.
        bandwidth: sigma.
        center: the middle of the box.

    >>> features = fourier_features(14.0, modes=18, bandwidth=1.0)
    >>> a, b = (embed(features, jnp.array([[x]]), jnp.ones(1)) for x in (0.5, -0.5))
    >>> jnp.vdot(a, b).round(5)  # exp(-1/2)
    Array(0.60653, dtype=float32)
    """
    for name, value in (("box", box), ("bandwidth", bandwidth)):
        _checks.positive(name, value, example="fourier_features(14.0, modes=18, bandwidth=1.0)")
    _checks.whole("modes", modes, minimum=1, example="fourier_features(14.0, modes=18, bandwidth=1.0)")
    # NumPy's numbers serve both precisions; a box or bandwidth that is being traced has the precision of the trace.
    numbers = np if all(map(_checks.is_concrete, (box, bandwidth))) else jnp
    mode = np.arange(modes + 1)
    frequencies = 2 * np.pi * mode / box
    width = numbers.exp(-((frequencies * bandwidth) ** 2) / 4)
    scale = numbers.sqrt(np.where(mode, 2, 1) * np.sqrt(2 * np.pi) * bandwidth / box) * width
    return Partial(_fourier, frequencies, scale, np.asarray(center, float))


def _random(frequencies, x):
    angle = frequencies @ x
    return (jnp.concatenate([jnp.cos(angle), jnp.sin(angle)]) / len(frequencies) ** 0.5,)


def random_features(count, dimension, *, bandwidth, key):
    r"""Return `count` pairs of random Fourier features of the Gaussian kernel.

    .. math:: a(x) = \tfrac{1}{\sqrt M} (\cos w_j \cdot x, \sin w_j \cdot x)_{j \le M},
              \qquad w_j \sim N(0, I / \sigma^2).

    Their kernel is another one, with an error of order :math:`M^{-1/2}`. Source: Rahimi and Recht (2007).

    >>> features = random_features(1000, 2, bandwidth=1.0, key=jax.random.key(0))
    >>> (embed(features, jnp.zeros((1, 2)), jnp.ones(1)) ** 2).sum().round(4)
    Array(1., dtype=float32)
    """
    _checks.whole("count", count, minimum=1, example="random_features(1000, 2, bandwidth=1.0, key=jax.random.key(0))")
    _checks.positive("bandwidth", bandwidth, example="random_features(1000, 2, bandwidth=1.0, key=jax.random.key(0))")
    return Partial(_random, jax.random.normal(key, (count, dimension)) / bandwidth)


def embed(features, points, masses):
    r"""Return :math:`\sum_j m_j a(x_j)`, an array with one axis for each factor of the features.

    >>> embed(fourier_features(14.0, modes=18, bandwidth=1.0), jnp.zeros((5, 2)), jnp.ones(5)).shape
    (38, 38)
    """
    first, *rest = jax.vmap(features)(points)
    letters = "abcdefgh"[: 1 + len(rest)]
    operands = ",".join(f"n{letter}" for letter in letters)
    return jnp.einsum(f"{operands}->{letters}", masses[:, None] * first, *rest)


def features_curvature(features, x):
    r"""Return the matrix :math:`\nabla a(x)^\top \nabla a(x)`, which is :math:`\gamma I` for a radial kernel.

    >>> features_curvature(fourier_features(14.0, modes=18, bandwidth=2.0), jnp.zeros(1)).round(4)  # 1 / sigma^2
    Array([[0.25]], dtype=float32)
    """
    x = jnp.asarray(x, float)
    slopes = jax.jacfwd(lambda y: embed(features, y[None], jnp.ones(1, y.dtype)))(x).reshape(-1, x.size)
    return slopes.T @ slopes


def _payoff(features, true_points, true_masses, generated_masses, ridge, theta, omega, sample):
    del sample
    dtype = theta.dtype
    real = embed(features, jnp.asarray(true_points, dtype), jnp.asarray(true_masses, dtype))
    generated = embed(features, theta, jnp.asarray(generated_masses, dtype))
    return jnp.vdot(real - generated, omega) - ridge / 2 * jnp.vdot(omega, omega)


def game(features, true_points, true_masses, generated_masses, *, ridge):
    r"""Return the kernel GAN as a `Game`: theta are the generated points (n, d), omega the witness's coefficients.

    Its updates are those of `run`, for the kernel :math:`\langle a(x), a(y)\rangle`. It has a single sample: the
    payoff is that of all points.

    Raises:
        ValueError: as `problem`.

    >>> from gansde_lib import gda
    >>> features = fourier_features(14.0, modes=18, bandwidth=1.0)
    >>> kernel_game = game(features, [[0.0]], [1.0], [1.0], ridge=0.5)
    >>> path = gda.run(kernel_game, (np.array([[0.1]]), np.zeros(38)), lr=(0.1, 0.1), steps=400)
    >>> bool(abs(path.theta[-1]) < 1e-4)
    True
    """
    setting = problem(true_points, true_masses, generated_masses, bandwidth=1.0, ridge=ridge)
    return Game(
        Partial(_payoff, features, setting.true_points, setting.true_masses, setting.generated_masses, setting.ridge),
        np.zeros(1),
    )
