r"""Both sides of every relation at one state of training, from gradients over all samples and the noise's covariance.

Notation: :math:`g_\theta = \nabla_\theta` of the generator's payoff and :math:`g_\omega = \nabla_\omega \Phi`, over all
samples; G is a minibatch's, S the covariance of G. The prime marks what is taken where training takes theta's
gradient: at :math:`(\theta, \omega')` if the updates alternate. The relations of the discrete chain are

.. math::
    \mathbb E\,\theta\cdot g_\theta' &= \tfrac{\eta_\theta}2 \mathbb E[|g_\theta'|^2 + \operatorname{Tr} S_\theta'], \\
    -\mathbb E\,\omega\cdot g_\omega &= \tfrac{\eta_\omega}2 \mathbb E[|g_\omega|^2 + \operatorname{Tr} S_\omega],

their sum, the relation of the payoff, and that of :math:`\theta^\top K \omega`. Nothing here uses a gradient that moved
the parameters: with it the relations would be identities.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from gansde_lib import noise
from gansde_lib.fdr.relations import Balance, Relations, Sides
from gansde_lib.games import Players, as_players
from gansde_lib.games.game import values

MATRICES = 32
"""Up to this many parameters the noise enters through its covariance matrix; beyond, through one Gaussian draw."""


class _Gradients:
    """The gradients (not the field) of both players at a point, as vectors."""

    def __init__(self, game, x, samples=None):
        force = game.field(x, samples)
        self.theta, self.omega = -ravel_pytree(force.theta)[0], ravel_pytree(force.omega)[0]


def sides(game, x, seen, *, lr, batch, update, shared_batch, centre, coupling, key=None, samples=None):
    """Return both sides of all relations at one state of training.

    Args:
        game: the game.
        x: `Players`, the state before an update.
        seen: `Players(theta, omega')`, where the update takes theta's gradient; x itself if it is simultaneous.
        lr: `Players` of the rates.
        batch: B, or None.
        update, shared_batch: as in `gda.run`.
        centre: `Players`, what theta and omega are measured from.
        coupling: K, of shape (p, q), of the rotation; None pairs the first coordinates of both players.
        key: a key that the training does not use; only redrawn batches and players of more than `MATRICES` parameters
            need it.
        samples: what to use instead of a batch drawn from `key`.

    Returns:
        `Balance` of `Relations` of `Sides`, whose terms are numbers.

    Alternating updates with a shared batch: theta's gradient is then correlated with omega's step, so that neither its
    mean nor its covariance at omega' is that of a fresh batch. A new shared batch is drawn from `key`, and omega' and
    theta's minibatch gradient are those of this draw; `seen` is not used. The draw never moves the parameters.

    >>> from gansde_lib import games
    >>> x = Players(jnp.ones(1), jnp.zeros(1))
    >>> found = sides(games.bilinear(1.0), x, x, lr=Players(0.1, 0.1), batch=None, update="simultaneous",
    ...     shared_batch=False, centre=x, coupling=None)
    >>> [term.round(3) for term in found.exact.omega.right]  # eta / 2 |g_omega|^2, and no noise
    [Array(0.05, dtype=float32), Array(0., dtype=float32)]
    """
    alternating = update == "alternating"
    redrawn = alternating and shared_batch and batch is not None
    full, share = _Gradients(game, x), 0.0 if batch is None else 1 / batch
    if redrawn:
        samples = game.draw(key, batch) if samples is None else samples
        step = game.field(x, samples).omega
        seen = Players(x.theta, jax.tree.map(lambda leaf, force: leaf + lr.omega * force, x.omega, step))
    at_seen = _Gradients(game, seen) if alternating else full
    used = _Gradients(game, seen, samples) if redrawn else at_seen  # what moves theta, on average or as drawn anew
    theta, omega, moved = (ravel_pytree(part)[0] for part in (x.theta, x.omega, seen.omega))
    theta, (omega, moved) = (
        theta - ravel_pytree(centre.theta)[0],
        (part - ravel_pytree(centre.omega)[0] for part in (omega, moved)),
    )

    noise_here = _Noise(game, x, share, shared_batch, key)
    noise_seen = _Noise(game, seen, share, shared_batch, key) if alternating else noise_here
    slowness = jnp.vdot(used.theta, used.theta)  # |g|^2; a redrawn gradient carries its own noise
    spread = 0.0 * noise_seen.trace.theta if redrawn else noise_seen.trace.theta

    def single(position, gradient, rate, *terms):
        return Sides((jnp.vdot(position, gradient),), tuple(rate / 2 * term for term in terms))

    by_theta = single(theta, used.theta, lr.theta, slowness, spread)
    by_theta_slow = single(theta, used.theta, lr.theta, noise_seen.trace.theta)
    by_theta_start = single(theta, full.theta, lr.theta, noise_here.trace.theta)
    by_omega = single(-omega, full.omega, lr.omega, jnp.vdot(full.omega, full.omega), noise_here.trace.omega)
    by_omega_slow = single(-omega, full.omega, lr.omega, noise_here.trace.omega)

    # The rotation: what theta^T K omega gains by omega's step, and what it loses by theta's.
    rates = lr.theta * lr.omega
    gained = (lr.omega * turn(theta, coupling, full.omega),)
    lost = lr.theta * turn(used.theta, coupling, moved if alternating else omega)
    crossing = rates * noise_here.cross(coupling)
    meeting = () if alternating else (rates * turn(full.theta, coupling, full.omega), crossing)  # half steps never meet
    turns = (
        Sides(gained, (lost, *meeting)),
        Sides(gained, (lost, *meeting[1:])),
        Sides(gained, (lr.theta * turn(full.theta, coupling, omega), crossing)),
        Sides(gained, (lost,)),
    )

    pays = (None,) * 4
    if game.zero_sum:
        here = _Curvature(game, x)
        there = _Curvature(game, seen) if alternating else here
        halves = Players(lr.theta**2 / 2, lr.omega**2 / 2)
        won = -lr.omega * jnp.vdot(full.omega, full.omega)
        spent = (lr.theta * jnp.vdot(at_seen.theta, used.theta), won)
        noisy = (halves.theta * noise_seen.bend(there, "theta"), halves.omega * noise_here.bend(here, "omega"))
        bent = (halves.theta * there.of(theta=used.theta), halves.omega * here.of(omega=full.omega))
        crossed = -rates * noise_here.bend(here, "cross")
        meeting = () if alternating else (-rates * here.mixed(full.theta, full.omega), crossed)
        pays = (
            Sides(spent, (*bent, *(noisy[1:] if redrawn else noisy), *meeting)),
            Sides(spent, (*noisy, *meeting[1:])),
            Sides(
                (lr.theta * jnp.vdot(full.theta, full.theta), won),
                (halves.theta * noise_here.bend(here, "theta"), noisy[1], crossed),
            ),
            Sides(spent, noisy),
        )

    def form(theta, omega, payoff, rotation):
        total = Sides(theta.left + omega.left, theta.right + omega.right)
        return Relations(theta, omega, total, payoff, rotation)

    return Balance(
        form(by_theta, by_omega, pays[0], turns[0]),
        form(by_theta_slow, by_omega_slow, pays[1], turns[1]),
        form(by_theta_start, by_omega_slow, pays[2], turns[2]),
        form(by_theta_slow, by_omega_slow, pays[3], turns[3]),
    )


def turn(theta, coupling, omega):
    """Return theta^T K omega; None stands for ones on the diagonal of K, which is then never formed.

    >>> turn(jnp.array([1.0, 2.0]), None, jnp.array([3.0])), turn(jnp.ones(1), jnp.eye(1), jnp.ones(1))
    (Array(3., dtype=float32), Array(1., dtype=float32))
    """
    if coupling is not None:
        return theta @ coupling @ omega
    count = min(theta.size, omega.size)
    return jnp.vdot(theta[:count], omega[:count])


def check_coupling(x, coupling):
    """Return K as an array, or None as it is; `ValueError` for a matrix of another shape.

    >>> check_coupling(Players(jnp.zeros(2), jnp.zeros(1)), np.ones((2, 1))).shape
    (2, 1)
    """
    shape = tuple(ravel_pytree(part)[0].size for part in x)
    if coupling is None:
        return None
    if np.shape(coupling) != shape:
        raise ValueError(
            f"the coupling of the rotation must be a matrix of shape {shape}, found {np.shape(coupling)}; for example "
            f"coupling=np.eye{shape}"
        )
    return jnp.asarray(coupling, jnp.result_type(float))


def gradient_covariance(game, x):
    r"""Return the covariance of the players' gradients on one sample, of shape (d, d): `noise.covariance` with the sign
    of its cross block changed, the field being :math:`(-g_\theta, g_\omega)`.

    All payoffs are differentiated at once along the few coordinates: for two parameters a side several times faster
    than sample by sample, and with N d numbers in memory.

    >>> from gansde_lib import games
    >>> game = games.quadratic(1.0, 1.0, 1.0, samples={"a": np.array([1.0, -1.0]), "b": np.array([2.0, -2.0])})
    >>> gradient_covariance(game, Players(0.0, 0.0))
    Array([[ 1., -2.],
           [-2.,  4.]], dtype=float32)
    """
    flat, unravel = ravel_pytree(as_players(x))
    count = noise.samples.count_theta(x)

    gradients = _Gradients(game, x)
    mean = jnp.concatenate([gradients.theta, gradients.omega])

    def along(payoff, numbers):
        def paid(flat):
            return values(payoff, unravel(flat), game.samples)

        units = jnp.eye(flat.size, dtype=flat.dtype)
        return [jax.jvp(paid, (flat,), (units[n],))[1] - mean[n] for n in numbers]

    own = game.payoff if game.zero_sum else game.generator_payoff
    slopes = along(own, range(count)) + along(game.payoff, range(count, flat.size))
    if flat.size > 4:
        slopes = jnp.stack([slope.ravel() for slope in slopes])
        return slopes @ slopes.T / slopes.shape[1]
    # Few entries: each is one pass over the samples, in which nothing is stored.
    upper = {(i, j): jnp.mean(slopes[i] * slopes[j]) for i in range(flat.size) for j in range(i, flat.size)}
    return jnp.stack([jnp.stack([upper[min(i, j), max(i, j)] for j in range(flat.size)]) for i in range(flat.size)])


class _Noise:
    """The covariance S of one minibatch's gradients at a point: traces, and traces against other matrices."""

    def __init__(self, game, x, share, shared_batch, key):
        x = as_players(x)
        flat, self.unravel = ravel_pytree(x)
        self.count, self.matrix, self.draw = noise.samples.count_theta(x), None, None
        self.shared = shared_batch
        if flat.size <= MATRICES:
            self.matrix = share * gradient_covariance(game, x)
            self.trace = Players(*map(jnp.trace, self._blocks()[:2]))
        else:
            self.trace = jax.tree.map(lambda trace: share * trace, noise.trace(game, x))
            draw = noise.sample(game, x, batch=1, shared_batch=shared_batch, key=jax.random.fold_in(key, 1))
            draw = jax.tree.map(lambda leaf: jnp.sqrt(jnp.asarray(share, leaf.dtype)) * leaf, draw)
            self.draw = Players(-ravel_pytree(draw.theta)[0], ravel_pytree(draw.omega)[0])

    def _blocks(self):
        n, matrix = self.count, self.matrix
        return matrix[:n, :n], matrix[n:, n:], matrix[:n, n:]

    def cross(self, coupling):
        """Tr(S_theta_omega K^T), the mean of G_theta^T K G_omega less that of its means; 0 for independent batches."""
        if not self.shared:
            return jnp.zeros(())
        if self.matrix is None:
            return turn(self.draw.theta, coupling, self.draw.omega)
        cross = self._blocks()[2]
        return jnp.trace(cross) if coupling is None else jnp.sum(cross * coupling)

    def bend(self, curvature, which):
        """Tr(S Phi'') of one player's block, or Tr(S_theta_omega Phi_omega_theta) for "cross"."""
        if which == "cross" and not self.shared:
            return jnp.zeros(())
        if self.matrix is None:
            if which == "cross":
                return curvature.mixed(*self.draw)
            return curvature.of(**{which: getattr(self.draw, which)})
        n, hessian = self.count, curvature.matrix
        theta, omega, cross = self._blocks()
        block = {
            "theta": (theta, hessian[:n, :n]),
            "omega": (omega, hessian[n:, n:]),
            "cross": (cross, hessian[:n, n:]),
        }
        return jnp.sum(block[which][0] * block[which][1])


class _Curvature:
    """The Hessian of the mean payoff at a point, as a matrix or as products with vectors."""

    def __init__(self, game, x):
        x = as_players(x)
        flat, unravel = ravel_pytree(x)
        self.flat, self.count = flat, noise.samples.count_theta(x)
        self.gradient = jax.grad(lambda flat: game.value(unravel(flat)))
        self.matrix = jax.jacfwd(self.gradient)(flat) if flat.size <= MATRICES else None

    def _times(self, vector):
        if self.matrix is not None:
            return self.matrix @ vector
        return jax.jvp(self.gradient, (self.flat,), (vector,))[1]

    def _padded(self, theta=None, omega=None):
        still = jnp.zeros_like(self.flat)
        if theta is not None:
            still = still.at[: self.count].set(theta)
        return still if omega is None else still.at[self.count :].set(omega)

    def of(self, **part):
        """The quadratic form of one player's vector."""
        vector = self._padded(**part)
        return jnp.vdot(vector, self._times(vector))

    def mixed(self, theta, omega):
        """theta^T Phi_theta_omega omega."""
        return jnp.vdot(self._padded(theta=theta), self._times(self._padded(omega=omega)))
