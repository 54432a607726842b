"""The relations of a stochastic differential equation of any order, for linear-quadratic games."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from gansde_lib import noise, sde
from gansde_lib.fdr.relations import Relations, Sides, relation
from gansde_lib.fdr.sides import check_coupling, turn
from gansde_lib.games import Players
from gansde_lib.sde import moments


def continuous(equation, x, *, stationary=None, centre=None, coupling=None):
    r"""Return both sides of the relations that hold for the invariant law of an equation.

    Its generator :math:`\mathcal L u = b \cdot \nabla u + \tfrac12 a : \nabla^2 u` has mean zero. Applied to
    :math:`|\theta|^2/2`, :math:`|\omega|^2/2`, the payoff and :math:`\theta^\top K \omega` it gives

    .. math::
        -\mathbb E\,\theta\cdot b_\theta &= \tfrac12 \mathbb E \operatorname{Tr} a_{\theta\theta}, \qquad
        -\mathbb E\,\omega\cdot b_\omega = \tfrac12 \mathbb E \operatorname{Tr} a_{\omega\omega}, \\
        -\mathbb E\,b\cdot\nabla\Phi &= \tfrac12 \mathbb E\,a : \nabla^2\Phi, \qquad
        \mathbb E\,\theta^\top K b_\omega = -\mathbb E[b_\theta^\top K\omega + a_{\theta\omega} : K] .

    Both sides of the first two are divided by the player's rate, as in `balance`. For the equation of first order these
    are the relations `continuous` of `Balance`.

    Args:
        equation: an `sde.Equation` of a linear-quadratic game, with any of its options.
        x: `Players` of the right shapes.
        stationary: `sde.Moments` to take the means with: those of the equation by default, which make the relations
            exact; those of `sde.chain_stationary` show what they are worth as a test of training.
        centre, coupling: as in `exact`.

    Returns:
        `Relations` of `Relation`, with errors zero.

    Raises:
        ValueError: as `sde.equation_stationary`.

    >>> from gansde_lib import games
    >>> game = games.quadratic(0.2, 1.0, 0.2, samples={"a": np.array([1.0, -1.0]), "b": np.array([1.0, -1.0])})
    >>> equation = sde.modified_equation(game, lr=0.1, batch=1, update="alternating")
    >>> abs(continuous(equation, Players(0.0, 0.0)).total.relative.mean) < 1e-12
    True
    """
    stationary = sde.equation_stationary(equation, x) if stationary is None else stationary
    with jax.enable_x64(True):
        x = moments.as_double(x)
        points = moments.points(ravel_pytree(x)[0].size)
        centre = jax.tree.map(jnp.zeros_like, x) if centre is None else moments.as_double(centre)
        found = jax.tree.map(np.asarray, _at_points(equation, x, centre, check_coupling(x, coupling), points))
    weights = quadrature(stationary, points)
    return found.map(lambda both: relation(jax.tree.map(lambda term: term @ weights, both)))


def quadrature(stationary, points):
    """Return weights with which values at `points` sum to the mean of any quadratic function, from its `Moments`.

    >>> found = quadrature(sde.Moments(np.zeros(1), np.array([[4.0]])), moments.points(1))
    >>> float((found @ moments.points(1) ** 2)[0])
    4.0
    """
    mean = np.concatenate([[1.0], stationary.mean])
    second = np.outer(mean, mean)
    second[1:, 1:] = stationary.second
    upper = np.triu_indices(mean.size)
    rows = np.concatenate([np.ones((len(points), 1)), points], axis=1)
    basis = (rows[:, :, None] * rows[:, None])[:, *upper]
    return np.linalg.solve(basis.T, second[upper])


@jax.jit
def _at_points(equation, x, centre, coupling, points):
    unravel, count = ravel_pytree(x)[1], noise.samples.count_theta(x)
    centre, lr = ravel_pytree(centre)[0], equation.lr

    def payoff(flat):
        return equation.game.value(unravel(flat))

    def at(flat):
        x = unravel(flat)
        drift, spread = ravel_pytree(equation.drift(x))[0], equation.covariance(x)
        theta, omega = noise.samples.split(x, flat - centre)
        push = noise.samples.split(x, drift)
        slope, hessian = jax.grad(payoff)(flat), jax.hessian(payoff)(flat)
        traces = Players(jnp.trace(spread[:count, :count]), jnp.trace(spread[count:, count:]))
        cross = spread[:count, count:]
        crossing = jnp.trace(cross) if coupling is None else jnp.sum(cross * coupling)
        singles = [
            Sides((-jnp.vdot(part, force) / rate,), (trace / (2 * rate),))
            for part, force, rate, trace in zip((theta, omega), push, lr, traces, strict=True)
        ]
        pays = None
        if equation.game.zero_sum:
            gains = noise.samples.split(x, -drift * slope)
            pays = Sides(tuple(jnp.sum(part) for part in gains), (jnp.sum(spread * hessian) / 2,))
        total = Sides(*(a + b for a, b in zip(*singles, strict=True)))
        rotation = Sides((turn(theta, coupling, push.omega),), (-turn(push.theta, coupling, omega), -crossing))
        return Relations(*singles, total, pays, rotation)

    return jax.vmap(at)(points)
