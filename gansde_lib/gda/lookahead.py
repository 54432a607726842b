"""Rules that look ahead: extragradient by a second evaluation of the field, optimism by remembering the last one."""

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp

from gansde_lib.gda.plain import move_both, register


@register
@dataclass(frozen=True)
class Extragradient:
    r"""A trial step, then a step from the old point with the field at the trial point.

    .. math:: \tilde x = x + \eta F(x), \qquad x' = x + \eta F(\tilde x).
    """

    same_batch: bool = field(default=True, metadata={"static": True})

    def init(self, x):
        """Return the empty memory."""
        return ()

    def step(self, field, x, memory, *, lr, key):
        """Move by the field at the trial point."""
        trial = move_both(x, lr, field(x, key))
        return move_both(x, lr, field(trial, key if self.same_batch else jax.random.fold_in(key, 1))), memory


def extragradient(same_batch=True):
    """Return the extragradient rule: two evaluations of the field a step, no memory.

    Args:
        same_batch: whether trial and step use one draw, or two independent ones.

    Source: Korpelevich (1976).

    >>> from gansde_lib import games, gda
    >>> path = gda.run(games.bilinear(1.0), games.Players(1.0, 0.0), lr=0.5, steps=1, update=extragradient())
    >>> float(path.theta[1]), float(path.omega[1])
    (0.75, 0.5)
    """
    return Extragradient(bool(same_batch))


@register
@dataclass(frozen=True)
class Optimistic:
    r"""A step with twice the field minus the field of the last step, a guess of the field that will be met.

    .. math:: x_{k+1} = x_k + \eta\,\bigl(2 F(x_k) - F(x_{k-1})\bigr).

    With minibatches the remembered field is that of the last draw. The memory starts at zero, so the first step is
    :math:`2 \eta F(x_0)`; in the variables :math:`\tilde x_k` of "extrapolation from the past", :math:`x_{k+1} = x_k +
    \eta F(\tilde x_k)`, :math:`\tilde x_k = x_k + \eta F(\tilde x_{k-1})`, that is the start :math:`\tilde x_0 = x_0`.
    """

    def init(self, x):
        """Return the past field, zero."""
        return jax.tree.map(jnp.zeros_like, x)

    def step(self, field, x, memory, *, lr, key):
        """Move by the extrapolated field and remember the field."""
        force = field(x, key)
        return move_both(x, lr, jax.tree.map(lambda new, old: 2 * new - old, force, memory)), force


def optimistic():
    """Return optimistic descent-ascent: one evaluation of the field a step, and a memory of the size of x.

    Source: Popov (1980); Daskalakis et al. (2018) for GANs.

    >>> from gansde_lib import games, gda
    >>> float(gda.spectral_radius(games.bilinear(1.0), games.Players(0.0, 0.0), lr=0.3, update=optimistic())) < 1
    True
    """
    return Optimistic()
