"""Both sides without simulation: linear-quadratic games, whose stationary moments are known exactly."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from gansde_lib import gda, noise, sde
from gansde_lib.fdr.continuous import quadrature
from gansde_lib.fdr.relations import Balance, relation
from gansde_lib.fdr.sides import check_coupling, sides
from gansde_lib.games import Players
from gansde_lib.sde import batches, moments


def exact(game, x, *, lr, batch, update="simultaneous", shared_batch=False, centre=None, coupling=None):
    r"""Return both sides of every relation for the stationary chain of a linear-quadratic game, without simulation.

    Every side is a quadratic function u of x, so that :math:`\mathbb E\,u` follows from the stationary moments of
    `sde.chain_stationary`. Where theta's gradient is taken at :math:`(\theta, \omega')`, the mean over omega's
    minibatch comes first: over kicks with a minibatch's mean and covariance, or over all minibatches if it is shared.

    Args:
        game: a linear-quadratic game.
        x: `Players` of the right shapes.
        lr, batch, update, shared_batch: as in `gda.run`.
        centre: `Players` from which theta and omega are measured; None for the origin. It changes no exact relation.
        coupling: K of the rotation, of shape (p, q); by default ones on the diagonal.

    Returns:
        `Balance` of `Relation`, with errors zero.

    Raises:
        ValueError: as `sde.chain_stationary`.

    >>> from gansde_lib import games
    >>> noisy = {"a": np.array([1.0, -1.0]), "b": np.array([1.0, -1.0])}
    >>> rotation = games.quadratic(0.2, 1.0, 0.2, samples=noisy)
    >>> limit = gda.rotation_limit(0.2, 1.0)
    >>> found = exact(rotation, Players(0.0, 0.0), lr=limit / 2, batch=1)
    >>> round(found.total.ratio.mean, 9), round(found.continuous.total.ratio.mean, 9)
    (1.0, 2.0)
    """
    stationary = sde.chain_stationary(game, x, lr=lr, batch=batch, update=update, shared_batch=shared_batch)
    draws = None
    with jax.enable_x64(True):
        x = moments.as_double(x)
        flat = np.asarray(ravel_pytree(x)[0])
        if update == "alternating" and shared_batch and batch is not None:
            weights, chances = batches.minibatches(game.size, batch)
            counts = np.rint(weights * batch).astype(int)
            draws = (np.array([np.repeat(np.arange(game.size), row) for row in counts]), chances)
        points = moments.points(flat.size)
        lr = Players(*(jnp.asarray(rate, float) for rate in gda.rates(lr)))
        centre = jax.tree.map(jnp.zeros_like, x) if centre is None else moments.as_double(centre)
        coupling = check_coupling(x, coupling)
        options = {"batch": batch, "update": update, "shared_batch": bool(shared_batch)}
        values = jax.tree.map(np.asarray, _at_points(game, x, lr, centre, coupling, points, draws, **options))
    weights = quadrature(stationary, points)
    return Balance(
        *(form.map(lambda both: relation(jax.tree.map(lambda term: term @ weights, both))) for form in values)
    )


@functools.partial(jax.jit, static_argnames=("batch", "update", "shared_batch"))
def _at_points(game, x, lr, centre, coupling, points, draws, *, batch, update, shared_batch):
    """All terms at all points, their mean over omega's minibatch taken."""
    unravel = ravel_pytree(x)[1]
    constants = {"lr": lr, "batch": batch, "update": update, "shared_batch": shared_batch}
    constants |= {"centre": centre, "coupling": coupling}

    def at(point):
        x = unravel(point)
        if draws is not None:
            chosen, chances = draws
            values = jax.lax.map(
                lambda numbers: sides(game, x, x, samples=noise.samples.take(game, numbers), **constants), chosen
            )
            return jax.tree.map(lambda term: chances @ term, values)
        if update == "simultaneous":
            return sides(game, x, x, **constants)
        # Kicks with the mean and the covariance of a minibatch: a quadratic function has the same mean over both.
        fields = jax.vmap(lambda number: game.field(x, noise.samples.take(game, number[None])).omega)
        mean, share = game.field(x).omega, 0.0 if batch is None else jnp.sqrt(1 / batch)

        def after(sign, field):
            def kicked(omega, middle, own):
                return omega + lr.omega * (middle + sign * share * (own - middle))

            seen = Players(x.theta, jax.tree.map(kicked, x.omega, mean, field))
            return sides(game, x, seen, **constants)

        both = jax.vmap(lambda field: jax.vmap(lambda sign: after(sign, field))(jnp.array([-1.0, 1.0])))
        return jax.tree.map(jnp.mean, both(fields(jnp.arange(game.size))))

    return jax.lax.map(at, points)
