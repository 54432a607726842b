"""Heavy-ball momentum, positive or negative."""

from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp

from gansde_lib import _checks
from gansde_lib.gda.plain import check_order, move, register, take_turns


@register
@dataclass(frozen=True)
class Momentum:
    r"""Each player follows a velocity that remembers its own forces.

    .. math:: v' = \beta v + F, \qquad x' = x + \eta v'.

    In the alternating order theta's force is taken at the new omega.
    """

    beta: Any
    order: str = field(default="alternating", metadata={"static": True})

    def init(self, x):
        """Return the velocity zero."""
        return jax.tree.map(jnp.zeros_like, x)

    def step(self, field, x, memory, *, lr, key):
        """Renew the velocities and move along them."""

        def advance(player, position, force, velocity):
            velocity = move(force, self.beta, velocity)
            return move(position, lr[player], velocity), velocity

        return take_turns(self.order, advance, field, x, memory, key)


def momentum(beta=-0.5, order="alternating"):
    r"""Return descent-ascent with momentum `beta`, in (-1, 1).

    Args:
        beta: weight of the past velocity. On bilinear games simultaneous updates diverge for every beta; alternating
            ones converge for negative beta if :math:`\sqrt{\eta_\theta\eta_\omega}\,\sigma_{\max}` is small enough.
        order: "alternating" (the default) or "simultaneous".

    Raises:
        ValueError: for an unknown order, or a beta outside of (-1, 1).

    Source: Gidel et al. (2019) for negative momentum.

    >>> from gansde_lib import games, gda
    >>> game, origin = games.bilinear(1.0), games.Players(0.0, 0.0)
    >>> round(float(gda.spectral_radius(game, origin, lr=0.5, update=momentum(-0.5))), 4)
    0.9625
    """
    if _checks.is_concrete(beta) and not -1 < beta < 1:
        raise ValueError(f"beta must lie between -1 and 1, found {beta!r}; for example momentum(-0.5)")
    return Momentum(beta, check_order(order))
