"""Games with few parameters: quadratic and bilinear games, and a small nonlinear GAN."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from gansde_lib import _checks
from gansde_lib.games.game import Game, Product


def _form(left, matrix, right, name):
    """Return left^T matrix right, where a scalar matrix stands for a multiple of the identity."""
    found = (jnp.shape(left), jnp.shape(right))
    fits = found[0] == found[1] if jnp.ndim(matrix) == 0 else found == tuple((n,) for n in matrix.shape)
    if not fits:
        raise ValueError(
            f"{name} of shape {jnp.shape(matrix)} cannot stand between vectors of shapes {found[0]} and {found[1]}: "
            "a matrix of shape (p, q) needs shapes (p,) and (q,), a scalar needs two equal shapes; "
            "for example quadratic(1.0, 2.0, 1.0) at Players(theta=1.0, omega=0.0)"
        )
    return matrix * jnp.vdot(left, right) if jnp.ndim(matrix) == 0 else left @ matrix @ right


def _quadratic_payoff(common, theta, omega, sample):
    value = 0.0
    for terms in (common, sample):
        if "P" in terms:
            value += _form(theta, terms["P"], theta, "P") / 2
        if "C" in terms:
            value += _form(theta, terms["C"], omega, "C")
        if "Q" in terms:
            value -= _form(omega, terms["Q"], omega, "Q") / 2
        if "a" in terms:
            value += jnp.vdot(terms["a"], theta)
        if "b" in terms:
            value -= jnp.vdot(terms["b"], omega)
    return value


def quadratic(P, C, Q, *, samples=None):
    r"""Linear-quadratic game.

    .. math:: \varphi = \tfrac12 \theta^\top P \theta + \theta^\top C \omega - \tfrac12 \omega^\top Q \omega
              + a^\top \theta - b^\top \omega.

    Args:
        P, C, Q: scalars (multiples of the identity), or matrices of shapes (p, p), (p, q), (q, q).
        samples: optional dictionary with some of "P", "C", "Q", "a", "b", each with a leading axis N: per-sample
            terms that are added to the common ones.

    >>> from gansde_lib import games
    >>> games.quadratic(1.0, 2.0, 1.0).field(games.Players(1.0, 1.0))
    Players(theta=Array(-3., dtype=float32), omega=Array(1., dtype=float32))
    """
    for name in samples or ():
        _checks.choice("a key of samples", name, ("P", "C", "Q", "a", "b"), example='samples={"a": np.ones((100, 2))}')
    common = {name: _as_data(matrix) for name, matrix in {"P": P, "C": C, "Q": Q}.items()}
    for name, matrix in common.items():
        if np.ndim(matrix) not in (0, 2) or (name != "C" and len(set(np.shape(matrix))) > 1):
            raise ValueError(
                f"{name} must be a scalar or a {'' if name == 'C' else 'square '}matrix, found shape "
                f"{np.shape(matrix)}; for example quadratic(1.0, 2.0, 1.0)"
            )
    if samples is None:
        samples = {"P": np.zeros(1)}  # one sample that adds nothing
    return Game(Partial(_quadratic_payoff, common), samples)


def bilinear(coupling):
    r"""Bilinear game :math:`\Phi = \theta^\top C \omega` with a scalar or a (p, q) matrix as coupling.

    >>> from gansde_lib import games
    >>> games.bilinear(2.0).field(games.Players(1.0, 3.0))
    Players(theta=Array(-6., dtype=float32), omega=Array(2., dtype=float32))
    """
    return quadratic(0.0, coupling, 0.0)


def _as_data(value):
    return value if isinstance(value, jax.Array) else np.asarray(value, dtype=float)


def _toy_payoff(parameters, theta, omega, sample):
    def score(point):
        feature = jnp.tanh(point)
        return omega[0] * feature + omega[1] * feature**2

    decay = parameters["decay"] / 2 * (jnp.vdot(theta, theta) - jnp.vdot(omega, omega))
    return score(sample.real) - score(theta[0] + theta[1] * sample.latent) + decay


def toy_gan(*, size=32, decay=0.1, seed=3):
    r"""A nonlinear GAN with two parameters a side: generator :math:`G(z) = \theta_0 + \theta_1 z`, critic
    :math:`D(x) = \omega_0 \tanh x + \omega_1 \tanh^2 x`, Wasserstein payoff, quadratic decay on both players.

    .. math:: \varphi = D(x) - D(G(z)) + \tfrac{\lambda}{2} (|\theta|^2 - |\omega|^2).

    Args:
        size: number of real points, drawn from N(1, 0.36), and of latent points, drawn from N(0, 1).
        decay: lambda.
        seed: seed of the samples (NumPy's generator); the default has its equilibrium near
            theta = (0.8665, -0.1400), omega = (-0.3735, 0.3962).

    >>> from gansde_lib import games
    >>> games.toy_gan().size
    1024
    """
    _checks.whole("size", size, minimum=1, example="toy_gan(size=32)")
    _checks.non_negative("decay", decay, example="toy_gan(decay=0.1)")
    generator = np.random.default_rng(seed)
    samples = Product(real=1 + 0.6 * generator.normal(size=size), latent=generator.normal(size=size))
    return Game(Partial(_toy_payoff, {"decay": decay}), samples)
