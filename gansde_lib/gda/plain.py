"""The plain rules, simultaneous and alternating descent-ascent, and how rules with two orders take turns."""

from dataclasses import dataclass, field, fields

import jax
import jax.numpy as jnp

from gansde_lib import _checks
from gansde_lib.games import Players

ORDERS = ("simultaneous", "alternating")


def register(rule):
    """Register a frozen dataclass as a pytree; fields with `metadata={"static": True}` are part of its structure.

    `jax.tree_util.register_dataclass` would do, if two dataclasses with equal static fields were not equal structures
    for jax 0.10: `jax.jit` may then run the program of one rule for the other.

    >>> jax.tree.structure(Simultaneous()) == jax.tree.structure(register(type("Other", (Simultaneous,), {}))())
    False
    """
    static = [entry.name for entry in fields(rule) if entry.metadata.get("static")]
    data = [entry.name for entry in fields(rule) if entry.name not in static]

    def flatten(rule):
        return [getattr(rule, name) for name in data], tuple(getattr(rule, name) for name in static)

    def unflatten(settings, leaves):
        return rule(**dict(zip(data, leaves, strict=True)), **dict(zip(static, settings, strict=True)))

    jax.tree_util.register_pytree_node(rule, flatten, unflatten)
    return rule


def move(position, rate, push):
    """Return `position + rate * push`, leaf by leaf, in the position's own type.

    >>> move({"bias": jnp.ones(2)}, 0.5, {"bias": jnp.ones(2)})
    {'bias': Array([1.5, 1.5], dtype=float32)}
    """
    return jax.tree.map(lambda p, f: p + jnp.asarray(rate, p.dtype) * f, position, push)


def move_both(x, lr, push):
    """Return both players moved, each at its own rate.

    >>> move_both(Players(jnp.ones(1), jnp.ones(1)), Players(0.1, 0.2), Players(jnp.ones(1), jnp.ones(1))).omega
    Array([1.2], dtype=float32)
    """
    return Players(*(move(part, rate, force) for part, rate, force in zip(x, lr, push, strict=True)))


def dot(left, right):
    """Return the inner product of two trees, all their entries taken together.

    >>> dot(Players(jnp.ones(2), 3.0), Players(jnp.ones(2), 2.0))
    Array(8., dtype=float32)
    """
    return sum(jnp.vdot(a, b) for a, b in zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True))


def norm(tree):
    """Return the Euclidean norm of a tree.

    >>> norm(Players(jnp.array([3.0]), jnp.array([4.0])))
    Array(5., dtype=float32)
    """
    return jnp.sqrt(dot(tree, tree))


def take_turns(order, advance, field, x, memory, key):
    """Let each player `advance(player, position, force, memory) -> (position, memory)` from its own force.

    Args:
        order: "simultaneous": both see the field at the old point; "alternating": omega moves first and theta sees
            the new omega, on the same draw.
        advance: what one player does; its first argument is 0 for theta and 1 for omega.
        field, x, key: as in `step` of a rule.
        memory: `Players`, what each player carries.

    Returns:
        The players and their memory.
    """
    force = field(x, key)
    omega, omega_memory = advance(1, x.omega, force.omega, memory.omega)
    if order == "alternating":
        force = field(Players(x.theta, omega), key)
    theta, theta_memory = advance(0, x.theta, force.theta, memory.theta)
    return Players(theta, omega), Players(theta_memory, omega_memory)


def check_order(order):
    """Return a known order; `ValueError` for any other.

    >>> check_order("alternating")
    'alternating'
    """
    _checks.choice("order", order, ORDERS, example='order="alternating"')
    return order


@register
@dataclass(frozen=True)
class Simultaneous:
    r"""Both players move at once: :math:`\theta' = \theta + \eta_\theta F_\theta(x)`, :math:`\omega' = \omega +
    \eta_\omega F_\omega(x)`, where F is the field."""

    one_draw = True
    """Whether the key goes to the field as it is, so that batches of many steps can be drawn together."""

    def init(self, x):
        """Return the empty memory."""
        return ()

    def step(self, field, x, memory, *, lr, key):
        """Move both players by the field at the old point."""
        return move_both(x, lr, field(x, key)), memory


@register
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
            return move(omega, lr.omega, field(Players(x.theta, omega), jax.random.fold_in(key, k)).omega)

        omega = jax.lax.fori_loop(0, self.inner_steps, ascend, x.omega)
        last = jax.random.fold_in(key, self.inner_steps - 1)
        theta = move(x.theta, lr.theta, field(Players(x.theta, omega), last).theta)
        return Players(theta, omega), memory


def alternating(inner_steps=1):
    """Return the alternating rule with `inner_steps` discriminator steps before each generator step.

    >>> alternating(5)
    Alternating(inner_steps=5)
    """
    _checks.whole("inner_steps", inner_steps, minimum=1, example="alternating(inner_steps=5)")
    return Alternating(inner_steps)
