"""Update rules: one small class each, with `init` for the memory a rule carries and `step` for one update."""

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp

from gansde_lib import _checks
from gansde_lib.games import Players


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Simultaneous:
    r"""Both players move at once: :math:`\theta' = \theta + \eta_\theta F_\theta(x)`, :math:`\omega' = \omega +
    \eta_\omega F_\omega(x)`, where F is the field."""

    def init(self, x):
        """Return the empty memory."""
        return ()

    def step(self, field, x, memory, *, lr, key):
        """Move both players by the field at the old point."""
        force = field(x, key)
        return Players(*(_move(part, rate, push) for part, rate, push in zip(x, lr, force, strict=True))), memory


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Alternating:
    r"""The discriminator moves first, `inner_steps` times; the generator then answers the new discriminator.

    .. math:: \omega' = \omega + \eta_\omega F_\omega(\theta, \omega), \qquad
              \theta' = \theta + \eta_\theta F_\theta(\theta, \omega').

    With shared batches the generator sees the draw of the last discriminator step.
    """

    inner_steps: int = field(default=1, metadata={"static": True})

    def init(self, x):
        """Return the empty memory."""
        return ()

    def step(self, field, x, memory, *, lr, key):
        """Move omega, then theta at the new omega."""

        def ascend(k, omega):
            return _move(omega, lr.omega, field(Players(x.theta, omega), jax.random.fold_in(key, k)).omega)

        omega = jax.lax.fori_loop(0, self.inner_steps, ascend, x.omega)
        last = jax.random.fold_in(key, self.inner_steps - 1)
        theta = _move(x.theta, lr.theta, field(Players(x.theta, omega), last).theta)
        return Players(theta, omega), memory


def alternating(inner_steps=1):
    """Return the alternating rule with `inner_steps` discriminator steps before each generator step.

    >>> alternating(5)
    Alternating(inner_steps=5)
    """
    _checks.whole("inner_steps", inner_steps, minimum=1, example="alternating(inner_steps=5)")
    return Alternating(inner_steps)


RULES = {"simultaneous": Simultaneous(), "alternating": Alternating()}
"""The rules that `update=` knows by name."""


def rule(update):
    """Return the rule of that name, or the rule object itself; `ValueError` for anything else.

    >>> rule("alternating")
    Alternating(inner_steps=1)
    """
    if isinstance(update, str):
        _checks.choice("update", update, RULES, example='update="alternating"')
        return RULES[update]
    if not (hasattr(update, "init") and hasattr(update, "step")):
        raise ValueError(
            f"update must be one of {', '.join(map(repr, RULES))} or a rule with methods init and step, "
            f'found {update!r}; for example update="alternating"'
        )
    return update


def rates(lr):
    """Return the learning rates as `Players(eta_theta, eta_omega)`; one number means both.

    >>> rates(0.1)
    Players(theta=0.1, omega=0.1)
    """
    pair = tuple(lr) if isinstance(lr, tuple | list) else (lr, lr)
    if len(pair) != 2:
        raise ValueError(f"lr must be one rate or (eta_theta, eta_omega), found {lr!r}; for example lr=(0.1, 0.05)")
    for name, rate in zip(("eta_theta", "eta_omega"), pair, strict=True):
        _checks.positive(f"the learning rate {name}", rate, example="lr=0.1 or lr=(0.1, 0.05)")
    return Players(*pair)


def _move(position, rate, push):
    return jax.tree.map(lambda p, f: p + jnp.asarray(rate, p.dtype) * f, position, push)
