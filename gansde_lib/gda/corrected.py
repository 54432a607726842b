r"""Rules that bend the field by its own derivative A: consensus and symplectic gradient adjustment.

Products with A and its transpose come from `jax.jvp` and `jax.vjp` of the field; no matrix is ever formed. With
minibatches both factors of a product use the same draw.
"""

from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp

from gansde_lib import _checks
from gansde_lib.gda.plain import dot, move, move_both, register


@register
@dataclass(frozen=True)
class Consensus:
    r"""Both players also descend the energy :math:`\tfrac12 |F|^2`, whose gradient is :math:`A^\top F`.

    .. math:: x' = x + \eta\,(F - \gamma A^\top F).
    """

    strength: Any

    def init(self, x):
        """Return the empty memory."""
        return ()

    def step(self, field, x, memory, *, lr, key):
        """Move both players by the corrected field."""
        force, transposed = jax.vjp(lambda y: field(y, key), x)
        return move_both(x, lr, move(force, -self.strength, transposed(force)[0])), memory


def consensus(strength=1.0):
    """Return consensus optimisation with gamma = `strength`.

    Source: Mescheder, Nowozin and Geiger (2017), who apply the corrected field before RMSProp; here it is applied
    as it is.

    >>> from gansde_lib import games, gda
    >>> path = gda.run(games.bilinear(1.0), games.Players(1.0, 0.0), lr=0.5, steps=1, update=consensus(1.0))
    >>> float(path.theta[1]), float(path.omega[1])
    (0.5, 0.5)
    """
    _checks.non_negative("strength", strength, example="consensus(1.0)")
    return Consensus(strength)


ALIGNMENT = 0.1
"""Below this the alignment of Balduzzi et al. counts as positive."""


@register
@dataclass(frozen=True)
class Symplectic:
    r"""The field is adjusted by the antisymmetric part of its derivative.

    .. math:: x' = x + \eta\,\bigl(F + \tfrac{\lambda}{2} (A - A^\top) F\bigr).

    With `align` the sign of lambda is that of :math:`\tfrac1d \langle F, g \rangle \langle B F, g \rangle + 0.1`, where
    :math:`B = \tfrac12 (A - A^\top)` and :math:`g = -A^\top F` points down the energy :math:`\tfrac12|F|^2`: so that
    the adjustment bends towards stable fixed points and away from unstable ones.
    """

    strength: Any
    align: bool = field(default=True, metadata={"static": True})

    def init(self, x):
        """Return the empty memory."""
        return ()

    def step(self, field, x, memory, *, lr, key):
        """Move both players by the adjusted field."""

        def here(y):
            return field(y, key)

        force, transposed = jax.vjp(here, x)
        back = transposed(force)[0]
        along = jax.jvp(here, (x,), (force,))[1]
        bend = jax.tree.map(lambda a, b: (a - b) / 2, along, back)
        strength = self.strength
        if self.align:
            size = sum(leaf.size for leaf in jax.tree.leaves(x))
            alignment = dot(force, back) * dot(bend, back) / size + ALIGNMENT
            strength = strength * jnp.where(alignment < 0, -1, 1)
        return move_both(x, lr, move(force, strength, bend)), memory


def symplectic(strength=1.0, align=True):
    """Return symplectic gradient adjustment with lambda = `strength`.

    Args:
        strength: lambda.
        align: choose the sign of lambda in every step as Balduzzi et al. do. Close to an equilibrium it is positive.

    Source: Balduzzi et al. (2018), who apply the adjusted field before RMSProp; here it is applied as it is.

    >>> from gansde_lib import games, gda
    >>> path = gda.run(games.bilinear(1.0), games.Players(1.0, 0.0), lr=0.5, steps=1, update=symplectic(1.0))
    >>> float(path.theta[1]), float(path.omega[1])
    (0.5, 0.5)
    """
    _checks.non_negative("strength", strength, example="symplectic(1.0)")
    return Symplectic(strength, bool(align))
