r"""What the second order adds: theta's answer, shared and reshuffled batches, and the correction of the covariance.

Throughout, f is the field with each player's part times its rate, and :math:`f^i` that of one sample. No Hessian is
written out: products with derivatives come from `jax.jvp`.
"""

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from gansde_lib import gda, noise
from gansde_lib.games import Players


def scaled(game, lr, x, samples=None):
    """Return the game's field, over all samples or a batch, each player's part times its own rate.

    >>> from gansde_lib import games
    >>> scaled(games.bilinear(1.0), Players(0.1, 0.2), Players(1.0, 1.0))
    Players(theta=Array(-0.1, dtype=float32), omega=Array(0.2, dtype=float32))
    """
    force = game.field(x, samples)
    return gda.plain.move_both(jax.tree.map(jnp.zeros_like, force), lr, force)


def scales(lr, x):
    """Return the rate of each raveled coordinate.

    >>> scales(Players(0.1, 0.2), Players(jnp.zeros(2), 0.0))
    Array([0.1, 0.1, 0.2], dtype=float32)
    """
    parts = (
        jax.tree.map(lambda leaf, rate=rate: jnp.full_like(leaf, rate), part) for part, rate in zip(x, lr, strict=True)
    )
    return ravel_pytree(Players(*parts))[0]


def answer(field, x, force):
    r"""Return :math:`(\nabla_\omega f_\theta) f_\omega`: what theta gains by answering the omega that has just moved.

    Args:
        field: f.
        x, force: the point and f there.

    Returns:
        A tree shaped like theta.

    >>> x, force = Players(jnp.ones(1), jnp.zeros(1)), Players(jnp.zeros(1), jnp.ones(1))
    >>> answer(lambda x: Players(-x.omega, x.theta), x, force)
    Array([-1.], dtype=float32)
    """
    return jax.jvp(lambda omega: field(Players(x.theta, omega)).theta, (x.omega,), (force.omega,))[1]


def sample_mean(game, function, *, chunk=noise.CHUNK):
    """Return the mean of `function(samples)` over the samples, each given as a batch of one, chunk by chunk.

    >>> from gansde_lib import Game
    >>> sample_mean(Game(lambda theta, omega, sample: sample, [1.0, 2.0]), lambda samples: samples[0] ** 2)
    Array(2.5, dtype=float32)
    """
    rows = jax.lax.map(
        lambda number: function(noise.samples.take(game, number[None])),
        jnp.arange(game.size),
        batch_size=min(chunk, game.size),
    )
    return jax.tree.map(lambda leaf: leaf.mean(0), rows)


def _one(game, lr, samples):
    """The field f^i of the samples in a batch, as a function of x."""
    return lambda x: scaled(game, lr, x, samples)


def shared_answer(game, lr, x):
    r"""Return :math:`\operatorname{Cov}_i[(\nabla_\omega f^i_\theta) f^i_\omega]`, a tree shaped like theta.

    If both players see the same batch, theta answers the noise of omega's step by its own: the mean of the product is
    not the product of the means.

    >>> import numpy as np
    >>> from gansde_lib import games
    >>> game = games.quadratic(0.0, 1.0, 0.0, samples={"C": np.array([1.0, -1.0])})
    >>> shared_answer(game, Players(0.1, 0.1), Players(1.0, 0.0)).round(4)
    Array(-0.01, dtype=float32)
    """
    force = _one(game, lr, None)(x)

    def product(samples):
        field = _one(game, lr, samples)
        centred = jax.tree.map(jnp.subtract, field(x), force)
        return answer(field, x, centred)

    return sample_mean(game, product)


def epoch_pull(game, lr, x, *, shared_batch):
    r"""Return :math:`\operatorname{Cov}_i[(\nabla f^i) f^i]`; without a shared batch only each player's own terms.

    >>> import numpy as np
    >>> from gansde_lib import games
    >>> game = games.quadratic(1.0, 0.0, 0.0, samples={"P": np.array([1.0, -1.0])})
    >>> epoch_pull(game, Players(0.1, 0.1), Players(1.0, 0.0), shared_batch=False).theta.round(4)
    Array(0.01, dtype=float32)
    """
    force = _one(game, lr, None)(x)
    still = jax.tree.map(jnp.zeros_like, x)

    def product(samples):
        field = _one(game, lr, samples)
        push = jax.tree.map(jnp.subtract, field(x), force)
        if shared_batch:
            return jax.jvp(field, (x,), (push,))[1]
        theta = jax.jvp(field, (x,), (Players(push.theta, still.omega),))[1].theta
        return Players(theta, jax.jvp(field, (x,), (Players(still.theta, push.omega),))[1].omega)

    return sample_mean(game, product)


def covariance_correction(equation, x, plain):
    r"""Return :math:`S_1`, the term of third order in the rates of the covariance per update.

    .. math:: S_1 = C_3 - \tfrac12 \bigl[(\nabla f) S + S (\nabla f)^\top + (f \cdot \nabla) S\bigr],

    where S is the covariance in second order and :math:`C_3` the part of third order of one update's own covariance. It
    is zero for simultaneous updates. For alternating ones write :math:`M = \nabla_\omega f_\theta`; then
    :math:`C_{3,\theta\omega} = M S_{\omega\omega}` and :math:`C_{3,\theta\theta} = (f_\omega \cdot \nabla_\omega)
    S_{\theta\theta}` for independent batches. A shared batch adds, with :math:`m^i, y^i, x^i` the deviations of
    :math:`M^i, f^i_\omega, f^i_\theta` from their means, :math:`\frac1B \mathbb E[(m^i f_\omega) y^{i\top}] +
    \frac1{B^2} \mathbb E[(m^i y^i) y^{i\top}]` to the first and :math:`K + K^\top` to the second, with
    :math:`K = S_{\theta\omega} M^\top + \frac1{B^2} \mathbb E[x^i (m^i y^i)^\top]`.

    Args:
        equation: the `Equation`.
        x: the point.
        plain: S as a function of raveled coordinates.

    Returns:
        A matrix of shape (d, d).
    """
    flat, unravel = ravel_pytree(x)
    count = noise.samples.count_theta(x)

    def force(flat):
        return ravel_pytree(equation.scaled(unravel(flat)))[0]

    push, jacobian, covariance = force(flat), jax.jacfwd(force)(flat), plain(flat)
    along = jax.jvp(plain, (flat,), (push,))[1]
    turned = jacobian @ covariance
    result = -(turned + turned.T + along) / 2
    if equation.update == "simultaneous":
        return result
    omega_only = jnp.where(jnp.arange(flat.size) < count, 0.0, push)
    cross = jacobian[:count, count:] @ covariance[count:, count:]
    corner = jax.jvp(plain, (flat,), (omega_only,))[1][:count, :count]
    if equation.shared_batch:
        means = _third_moments(equation, x, push, jacobian, count)
        cross = cross + means[0] / equation.batch + means[1] / equation.batch**2
        one_side = covariance[:count, count:] @ jacobian[:count, count:].T + means[2] / equation.batch**2
        corner = corner + one_side + one_side.T
    return result + jnp.block([[corner, cross], [cross.T, jnp.zeros_like(covariance[count:, count:])]])


def _third_moments(equation, x, push, jacobian, count):
    """The means over samples of (m f_omega) y^T, (m y) y^T and x (m y)^T."""
    flat, unravel = ravel_pytree(x)
    still = jnp.zeros(count, flat.dtype)

    def products(samples):
        def field(flat):
            return ravel_pytree(_one(equation.game, equation.lr, samples)(unravel(flat)))[0]

        def deviation(direction):  # of the derivative of theta's part, in a direction of omega
            along = jax.jvp(field, (flat,), (jnp.concatenate([still, direction]),))[1][:count]
            return along - jacobian[:count, count:] @ direction

        centred = field(flat) - push
        y, turned = centred[count:], deviation(centred[count:])
        return (
            jnp.outer(deviation(push[count:]), y),
            jnp.outer(turned, y),
            jnp.outer(centred[:count], turned),
        )

    return sample_mean(equation.game, products)
