r"""A game whose noisy training has a known law that is neither Gaussian nor reversible: the tilted saddle."""

import math
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from gansde_lib import _checks, gda
from gansde_lib.games import Game, Players

_CALL = "tilted_saddle(lambda s: s**4 / 4, lambda s: s**2 / 2, coupling=1.0)"


@gda.plain.register
@dataclass(frozen=True)
class TiltedSaddle:
    r"""The zero-sum game :math:`\Phi = \sqrt{1 + c^2}\,(f(\xi) - g(\zeta))` in coordinates turned by an angle.

    With :math:`\tan 2\alpha = c`, :math:`\xi = \theta \cos\alpha + \omega \sin\alpha` and :math:`\zeta = -\theta
    \sin\alpha + \omega \cos\alpha`, the field is

    .. math:: F = -\nabla U + c\,(-\partial_\omega U, \partial_\theta U), \qquad U = f(\xi) + g(\zeta):

    descent on a potential and a rotation along its level lines, of which the second leaves :math:`e^{-2U/s}` as it is.
    """

    coupling: Any
    noise: Any
    along: Any = field(metadata={"static": True})
    across: Any = field(metadata={"static": True})

    @property
    def game(self):
        """The `Game`; its four samples add terms a theta - b omega with a, b = +noise or -noise."""
        coins = self.noise * np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
        return Game(Partial(_Payoff(self.along, self.across), self.coupling), {"a": coins[:, 0], "b": coins[:, 1]})

    def potential(self, x):
        """Return U at `Players` of two numbers, or of two arrays of one shape."""
        first, second = _turned(self.coupling, jnp.asarray(x.theta), jnp.asarray(x.omega))
        return self.along(first) + self.across(second)

    def log_density(self, x, *, lr, batch):
        r"""Return :math:`-2 U B / (\eta s^2)`, up to a constant the logarithm of the law that the equation of order 1
        with equal rates settles at; s is the standard deviation of a sample's noise."""
        return -2 * self.potential(x) * batch / (lr * self.noise**2)

    def entropy_production(self, stationary, *, lr):
        r"""Return the entropy production per update, :math:`\eta c^2\, \mathbb E[\Delta U]`, the mean being over a
        `Stationary` law: it needs no current."""

        def laplacian(theta, omega):
            point = jnp.stack([theta, omega])
            return jnp.trace(jax.hessian(lambda p: self.potential(Players(p[0], p[1])))(point))

        theta, omega = jnp.meshgrid(jnp.asarray(stationary.theta), jnp.asarray(stationary.omega), indexing="ij")
        values = jax.vmap(jax.vmap(laplacian))(theta, omega)
        return lr * self.coupling**2 * stationary.expectation(values)


@dataclass(frozen=True)
class _Payoff:
    along: Any
    across: Any

    def __call__(self, coupling, theta, omega, sample):
        first, second = _turned(coupling, theta, omega)
        value = jnp.sqrt(1 + jnp.square(coupling)) * (self.along(first) - self.across(second))
        return value + sample["a"] * theta - sample["b"] * omega


def _turned(coupling, theta, omega):
    angle = jnp.arctan(jnp.asarray(coupling, theta.dtype)) / 2
    return theta * jnp.cos(angle) + omega * jnp.sin(angle), omega * jnp.cos(angle) - theta * jnp.sin(angle)


def tilted_saddle(along, across, *, coupling, noise=1.0):
    r"""Return a game whose equation of order 1 settles at a density :math:`\propto e^{-2U/s}`, current included.

    Why it works: for which potentials U is descent together with a rotation of strength c along level lines the field
    of a zero-sum game? The mixed derivative of :math:`\Phi` must be one number, :math:`2 \partial_\theta\partial_\omega
    U = c\,(\partial_\theta^2 U - \partial_\omega^2 U)`: a wave equation, solved by :math:`f(\xi) + g(\zeta)`.

    Args:
        along: f, a function of one number that JAX can differentiate, what theta descends mostly.
        across: g, likewise for omega.
        coupling: c, how strong the rotation is beside the descent; 0 does not tilt, and nothing circulates.
        noise: standard deviation of one sample's noise, the same for both players.

    Raises:
        ValueError: for functions that are none, a coupling that is not finite, a noise that is not positive.

    >>> saddle = tilted_saddle(lambda s: s**4 / 4, lambda s: s**2 / 2, coupling=1.0)
    >>> saddle.game.zero_sum, saddle.game.size
    (True, 4)
    """
    if not (callable(along) and callable(across)):
        raise ValueError(f"along and across must be functions, found {along!r} and {across!r}; for example {_CALL}")
    if _checks.is_concrete(coupling) and not math.isfinite(float(coupling)):
        raise ValueError(f"coupling must be a finite number, found {coupling!r}; for example {_CALL}")
    _checks.positive("noise", noise, example=f"{_CALL[:-1]}, noise=1.0)")
    return TiltedSaddle(coupling, noise, along, across)
