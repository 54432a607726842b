"""The modified equation: drift and covariance of the diffusion that follows a game's training."""

from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from gansde_lib import _checks, gda, noise
from gansde_lib.games import Game, Players, Product, as_players
from gansde_lib.sde import corrections
from gansde_lib.sde.roots import KINDS, factor, restrict

SAMPLINGS = ("replacement", "subsets", "epochs")
"""How minibatches are drawn: see `modified_equation`."""

_CALL = 'modified_equation(game, lr=0.1, batch=4, update="alternating")'


def _static(default):
    return field(default=default, metadata={"static": True})


@gda.plain.register
@dataclass(frozen=True)
class Equation:
    r"""The stochastic differential equation :math:`dX = b(X)\,dt + a(X)^{1/2}\,dW`, one unit of time being one update.

    Made by `modified_equation`. The game, the rates and the batch size are leaves of a pytree: another value of them
    compiles nothing again.
    """

    game: Game
    lr: Players
    batch: Any
    update: str = _static("simultaneous")
    shared_batch: bool = _static(False)
    order: int = _static(2)
    covariance_correction: bool = _static(False)
    kind: str = _static("full")
    sampling: str = _static("replacement")
    shared_drift: bool = _static(True)

    def check(self, x):
        """Return x as `Players` that fit the game, see `Game.check`."""
        return self.game.check(x)

    def scaled(self, x):
        """Return the game's field at x, each player's part times its own rate: the drift of order 1."""
        return corrections.scaled(self.game, self.lr, x)

    @property
    def share(self):
        r"""The factor v of the covariance :math:`v \Sigma` of a minibatch: 1 / B, or less without replacement."""
        if self.batch is None:
            return 0.0
        if self.sampling == "replacement":
            return 1 / self.batch
        return noise.finite_population(self.game.size, self.batch) / self.batch

    def drift(self, x):
        """Return the mean displacement per update, as `Players` shaped like x."""
        x = as_players(x)
        force = self.scaled(x)
        if self.order == 1:
            return force
        along = jax.jvp(self.scaled, (x,), (force,))[1]
        drift = jax.tree.map(lambda f, d: f - d / 2, force, along)
        if self.update == "alternating":
            answer = corrections.answer(self.scaled, x, force)
            if self.shared_batch and self.shared_drift and self.batch is not None:
                shared = corrections.shared_answer(self.game, self.lr, x)
                answer = jax.tree.map(lambda a, s: a + self.share * s, answer, shared)
            drift = Players(jax.tree.map(jnp.add, drift.theta, answer), drift.omega)
        if self.sampling == "epochs" and self.batch is not None:
            pull = corrections.epoch_pull(self.game, self.lr, x, shared_batch=self.shared_batch)
            drift = jax.tree.map(lambda d, p: d - self.share / 2 * p, drift, pull)
        return drift

    def covariance(self, x):
        """Return the covariance of the displacement per update, of shape (d, d) in raveled coordinates."""
        x = as_players(x)
        flat, unravel = ravel_pytree(x)
        if self.batch is None or self.sampling == "epochs" or self.kind == "none":
            return jnp.zeros((flat.size, flat.size), flat.dtype)

        def plain(flat):
            scale = corrections.scales(self.lr, x)
            matrix = noise.covariance(self.game, unravel(flat)) * jnp.asarray(self.share, flat.dtype)
            return restrict(matrix, x, "full" if self.shared_batch else "block") * scale[:, None] * scale

        matrix = plain(flat)
        if self.covariance_correction:
            matrix = matrix + corrections.covariance_correction(self, x, plain)
        return restrict(matrix, x, self.kind)

    def root(self, x):
        r"""Return a matrix G with :math:`G G^\top` equal to `covariance(x)`."""
        return factor(self.covariance(x))

    def push(self, x, w):
        """Return the displacement `root(x) w` of increments w of variance one, given and returned as `Players`."""
        flat, unravel = ravel_pytree(as_players(w))
        return unravel(self.root(x) @ flat)

    def noise(self, x, key):
        """Return one Gaussian displacement with covariance `covariance(x)`, as `Players`, without forming a matrix.

        It costs one gradient of a weighted payoff, so that it serves networks; see `noise.sample`.

        Raises:
            ValueError: with a covariance correction, which exists as a matrix only.
        """
        x = as_players(x)
        if self.covariance_correction:
            raise ValueError(
                "noise without a matrix knows no covariance correction; for example "
                "modified_equation(game, lr=0.1, batch=4, covariance_correction=False)"
            )
        if self.batch is None or self.sampling == "epochs" or self.kind == "none":
            return jax.tree.map(jnp.zeros_like, x)
        if self.kind == "diagonal":
            flat, unravel = ravel_pytree(noise.diagonal(self.game, x))
            push = unravel(jnp.sqrt(flat) * jax.random.normal(key, flat.shape, flat.dtype))
        else:
            shared = self.shared_batch and self.kind == "full"
            push = noise.sample(self.game, x, batch=1, shared_batch=shared, key=key)
        return gda.plain.move_both(
            jax.tree.map(jnp.zeros_like, x), Players(*(rate * jnp.sqrt(self.share) for rate in self.lr)), push
        )


def modified_equation(
    game,
    *,
    lr,
    batch,
    update="simultaneous",
    shared_batch=False,
    order=2,
    covariance_correction=False,
    covariance="full",
    sampling="replacement",
    shared_drift=True,
):
    r"""Return the stochastic differential equation whose laws training follows for small rates.

    Write f for the field with each part times its player's rate. One unit of time is one update.

    .. math:: b = f + h - \tfrac12 (\nabla f) f, \qquad a = H S H + S_1,

    where S is the covariance of a minibatch's field, H holds the rates, and h is what an update does beyond f on
    average: nothing for simultaneous updates; for alternating ones theta answers the omega that has just moved,
    :math:`h = ((\nabla_\omega f_\theta) f_\omega, 0)`, and if both players share their batch, :math:`v
    \operatorname{Cov}_i[(\nabla_\omega f^i_\theta) f^i_\omega]` is added to it, v being 1/B.

    Args:
        game: the game.
        lr: learning rate, or (eta_theta, eta_omega).
        batch: B, or None for full gradients: then there is no noise.
        update: "simultaneous" or "alternating".
        shared_batch: whether both players see the same draw.
        order: 1 leaves the drift at f, 2 is the full drift.
        covariance_correction: whether to add :math:`S_1`, which makes the covariance of one update right to third
            order in the rates (needs a (d, d) matrix).
        covariance: what is kept of a: "full" is what the chain has, its cross block being zero anyway for independent
            batches without correction; "block" drops the cross block, "diagonal" keeps the diagonal, "none" nothing.
        sampling: "replacement"; "subsets", where the samples of one minibatch are distinct; or "epochs", where each
            player goes through all samples in a new order (`noise.run_epochs`). The noise of an epoch then sums to
            zero, so that a = 0, and what remains at order 2 is a drift: with
            :math:`v = \frac{N - B}{B (N - 1)}`, :math:`-\tfrac v2 \operatorname{Cov}_i[(\nabla f^i) f^i]`, in which
            only terms within one player count if the players' orders are independent.
        shared_drift: False leaves out the term v Cov of a shared batch, to see what it is good for.

    Returns:
        `Equation`, with `drift(x)`, `covariance(x)` and `noise(x, key)`.

    Raises:
        ValueError: for rates that are not positive, a batch below 1 or above the number of samples, an unknown update,
            order, covariance or sampling, a `Product` game without replacement, or a covariance correction without
            replacement, for which it is not derived here.

    Source: Li, Tai and E (2019) for one player; Cao and Guo (2023) for two.

    >>> from gansde_lib import games
    >>> equation = modified_equation(games.bilinear(1.0), lr=0.1, batch=None, update="alternating")
    >>> equation.drift(Players(1.0, 0.0))
    Players(theta=Array(-0.005, dtype=float32), omega=Array(0.1, dtype=float32))
    """
    _checks.choice("update", update, gda.ORDERS, example=_CALL)
    _checks.choice("order", order, (1, 2), example="modified_equation(game, lr=0.1, batch=4, order=2)")
    _checks.choice(
        "covariance", covariance, KINDS, example='modified_equation(game, lr=0.1, batch=4, covariance="block")'
    )
    _checks.choice(
        "sampling", sampling, SAMPLINGS, example='modified_equation(game, lr=0.1, batch=4, sampling="epochs")'
    )
    if sampling != "replacement" and isinstance(game.samples, Product):
        raise ValueError(
            f"sampling={sampling!r} needs samples that are drawn as one, found a Product of real and latent points; "
            'for example Game(payoff, Sample(real, latent)), or sampling="replacement"'
        )
    if covariance_correction and sampling != "replacement":
        raise ValueError(
            f'the covariance correction is derived for sampling="replacement", found {sampling!r}; for example {_CALL}'
        )
    if batch is not None:
        batch = noise.samples.check_batch(game, batch, replacement=sampling == "replacement")
    return Equation(
        game,
        gda.rates(lr),
        batch,
        update=update,
        shared_batch=bool(shared_batch),
        order=int(order),
        covariance_correction=bool(covariance_correction),
        kind=covariance,
        sampling=sampling,
        shared_drift=bool(shared_drift),
    )
