"""Notions of equilibrium, decided from the first and second derivatives of the payoffs."""

from typing import NamedTuple

import jax
import numpy as np
from jax.flatten_util import ravel_pytree

from gansde_lib.games.game import as_players


def field_jacobian(game, x):
    """Return the (d, d) derivative of the vector field at `x`, in raveled coordinates, theta then omega.

    >>> from gansde_lib import games
    >>> field_jacobian(games.quadratic(1.0, 2.0, 3.0), games.Players(0.0, 0.0))
    Array([[-1., -2.],
           [ 2., -3.]], dtype=float32)
    """
    flat, unravel = ravel_pytree(as_players(x))
    return jax.jacfwd(lambda y: ravel_pytree(game.field(unravel(y)))[0])(flat)


class Equilibrium(NamedTuple):
    """Which notions of equilibrium a point meets; `minimax` is None for games that are not zero-sum."""

    critical: bool
    differential_nash: bool
    minimax: bool | None
    stable: bool


def equilibrium(game, x, *, tolerance=1e-5):
    r"""Classify a point by the first and second derivatives of the payoffs.

    With :math:`H_{\theta\theta}` the generator's and :math:`H_{\omega\omega}` the discriminator's own Hessian:
    critical, if the field vanishes; differential Nash, if moreover :math:`H_{\theta\theta} > 0 > H_{\omega\omega}`;
    strict local minimax (zero-sum only), if
    :math:`H_{\omega\omega} < 0 < H_{\theta\theta} - H_{\theta\omega} H_{\omega\omega}^{-1} H_{\omega\theta}`;
    stable, if all eigenvalues of the field's derivative have negative real part.

    Args:
        game, x: the game and the point.
        tolerance: how far from zero a derivative must be to count as non-zero.

    >>> from gansde_lib import games
    >>> games.equilibrium(games.bilinear(1.0), games.Players(0.0, 0.0))
    Equilibrium(critical=True, differential_nash=False, minimax=False, stable=False)
    """
    x = game.check(x)
    critical = bool(np.linalg.norm(ravel_pytree(game.field(x))[0]) <= tolerance)
    jacobian = np.asarray(field_jacobian(game, x), dtype=float)
    p = ravel_pytree(x.theta)[0].size
    # The field is (-grad_theta, +grad_omega): its diagonal blocks are minus and plus the players' own Hessians.
    generator, cross, discriminator = -jacobian[:p, :p], -jacobian[:p, p:], jacobian[p:, p:]
    maximises = critical and _lowest(-discriminator) > tolerance
    minimax = None
    if game.zero_sum:
        minimax = bool(maximises and _lowest(generator - cross @ np.linalg.solve(discriminator, cross.T)) > tolerance)
    return Equilibrium(
        critical=critical,
        differential_nash=bool(maximises and _lowest(generator) > tolerance),
        minimax=minimax,
        stable=bool(critical and np.linalg.eigvals(jacobian).real.max() < -tolerance),
    )


def _lowest(symmetric):
    return np.linalg.eigvalsh((symmetric + symmetric.T) / 2).min()
