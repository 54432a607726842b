"""One run after another, watched as a training loop would: both sides along the way, and what the window shows."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gansde_lib import _checks, gda
from gansde_lib.fdr.relations import Balance, Relation, Sides, relation
from gansde_lib.fdr.sides import sides
from gansde_lib.fdr.training import _check, _seen, _steppers
from gansde_lib.games import Players
from gansde_lib.gda.plain import dot, move

_CALL = "fdr.record(game, x0, lr=0.1, batch=32, steps=400, every=10, memory=100, chains=8, key=key)"


class History(NamedTuple):
    """Both sides along training.

    `steps`, of shape (records,); `balance`, a `Balance` of `Relations` of `Sides` with terms of shape (records,
    chains); `drag`, `Players` of the same shape: what the moving centre takes from the left sides; `payoff`, the mean
    payoff on all samples.
    """

    steps: Any
    balance: Balance
    drag: Players
    payoff: Any

    def window(self, first, last, *, form="exact", corrected=True):
        """Return `{name: Relation}` for the averages over the records with first <= step < last.

        Args:
            first, last: numbers of updates.
            form: the name of a form of `Balance`.
            corrected: whether to add the drag to the left sides of `theta`, `omega` and `total`, which makes the exact
                relations exact for the moving centre.

        Raises:
            ValueError: if no record lies in the window.
        """
        inside = (self.steps >= first) & (self.steps < last)
        if not inside.any():
            raise ValueError(
                f"no record lies in the window from {first} to {last}; for example history.window(0, "
                f"{int(self.steps[-1]) + 1})"
            )
        drags = {"theta": self.drag[:1], "omega": self.drag[1:], "total": tuple(self.drag)} if corrected else {}
        found: dict[str, Relation] = {}
        for name, both in getattr(self.balance, form).items():
            both = Sides(both.left + drags.get(name, ()), both.right)
            found[name] = relation(jax.tree.map(lambda term: term[inside].mean(0), both))
        return found


def record(
    game, x0, *, lr, steps, batch, update="simultaneous", shared_batch=False, key, chains, every, memory, coupling=None
):
    r"""Train several runs and record both sides along the way, measured from a moving average of the run itself.

    The centre c follows the run with the weight :math:`\alpha` = 1 / memory, :math:`c' = c + \alpha(\theta' - c)`.
    Since :math:`\theta' - c' = (1 - \alpha)(\theta' - c)`, stationarity of :math:`|\theta - c|^2` gives an *exact* one:

    .. math:: \mathbb E\,(\theta - c)\cdot g_\theta + \frac{(1 - \alpha)^{-2} - 1}{2\eta_\theta} \mathbb E|\theta - c|^2
              = \tfrac{\eta_\theta}2 \mathbb E\,|G_\theta|^2,

    whose second term is the `drag`; likewise for omega, with the opposite sign of g.

    Args:
        game, x0, lr, steps, batch, update, shared_batch: as in `gda.run`.
        key: random key.
        chains: number of runs; they start at x0 and differ by their minibatches. x0 may itself carry a leading axis of
            this length: then each run has its own start.
        every: distance of the records, a divisor of `steps`.
        memory: how many updates the moving average remembers, more than 1; longer than the slowest relaxation.
        coupling: K of the rotation; None pairs the first coordinates of both players, and forms no matrix.

    Returns:
        `History`. Its states are those before the updates 0, every, 2 every, ...

    Raises:
        ValueError: as `gda.run`, or for a memory of at most one update.

    Large players: right sides take the trace of the covariance of single samples' gradients, which costs N gradients a
    record; the payoff and rotation relations, one Gaussian draw of the noise and a few Hessian-vector products.

    >>> from gansde_lib import games
    >>> game, key = games.toy_gan(), jax.random.key(0)
    >>> x0 = Players(jnp.array([0.87, -0.14]), jnp.array([-0.37, 0.4]))
    >>> found = record(game, x0, lr=0.05, batch=4, steps=200, every=10, memory=100, chains=2, key=key)
    >>> found.balance.exact.theta.left[0].shape, found.window(100, 200)["omega"].right.mean > 0
    ((20, 2), True)
    """
    _checks.whole("chains", chains, minimum=1, example=_CALL)
    leading = {np.shape(leaf)[:1] for leaf in jax.tree.leaves(x0)}
    first = x0
    if leading == {(chains,)}:
        try:
            game.check(x0)
        except ValueError:
            first = jax.tree.map(lambda leaf: leaf[0], x0)
    first, lr, options = _check(game, first, lr, batch, update, shared_batch)
    _checks.whole("every", every, minimum=1, example=_CALL)
    if steps % every:
        raise ValueError(f"every must divide steps, found {every} and {steps}; for example {_CALL}")
    if _checks.is_concrete(memory) and not memory > 1:
        raise ValueError(f"memory must be more than one update, found {memory!r}; for example {_CALL}")
    start = jax.tree.map(lambda one, all_: jnp.broadcast_to(all_, (chains, *one.shape)).astype(one.dtype), first, x0)
    options |= {"count": steps // every, "every": every, "chains": chains}
    found = jax.device_get(_record(game, start, lr, 1 / memory, coupling, key, **options))
    return History(every * np.arange(steps // every), *found)


@functools.partial(jax.jit, static_argnames=("batch", "update", "shared_batch", "chains", "count", "every"))
def _record(game, x0, lr, weight, coupling, key, *, chains, count, every, **options):
    one, _ = _steppers(game, lr, key, chains=chains, **options)
    keys = jax.vmap(lambda i: jax.random.fold_in(key, chains + i))(jnp.arange(chains))

    def follow(centre, x):
        return jax.tree.map(lambda c, leaf: move(c, weight, leaf - c), centre, x)

    def evaluate(inputs):
        x, seen, centre, key = inputs
        found = sides(game, x, seen, lr=lr, centre=centre, coupling=coupling, key=key, **options)
        away = jax.tree.map(jnp.subtract, x, centre)
        factor = (1 / (1 - weight) ** 2 - 1) / 2
        drag = Players(*(factor / rate * dot(part, part) for part, rate in zip(away, lr, strict=True)))
        return found, drag, game.value(x)

    def advance(state, number):
        x, centre = state
        after = one(x, number * every)
        own = jax.vmap(lambda key: jax.random.fold_in(key, number))(keys)
        # One run at a time: the gradients of all samples of all runs would not fit beside one another.
        found = jax.lax.map(evaluate, (x, _seen(x, after, options["update"]), centre, own))

        def step(k, state):
            x = one(state[0], number * every + k)
            return x, follow(state[1], x)

        return jax.lax.fori_loop(1, every, step, (after, follow(centre, after))), found

    return jax.lax.scan(advance, (x0, x0), jnp.arange(count))[1]


def pathwise_residual(game, path, *, lr, batch=None, shared_batch=False, key=None):
    r"""Return what is left of the generator's relation if it is tested with the gradients that moved the run.

    The time average of :math:`\theta\cdot G_\theta - \tfrac{\eta_\theta}2 |G_\theta|^2` over N updates is
    :math:`(|\theta_0|^2 - |\theta_N|^2) / (2\eta_\theta N)` whatever G is, because :math:`\theta' = \theta - \eta G`.

    Args:
        game: the game.
        path: `Players` with a leading axis: every state of a run with simultaneous updates, as `gda.run` returns it.
        lr, batch, shared_batch, key: those of the run, so that the same minibatches are drawn again.

    Returns:
        The average, and the right side of the identity.

    >>> from gansde_lib import games, gda
    >>> options = {"lr": 0.1, "batch": 4, "key": jax.random.key(0)}
    >>> path = gda.run(games.toy_gan(), Players(jnp.zeros(2), jnp.ones(2)), steps=50, **options)
    >>> residual, identity = pathwise_residual(games.toy_gan(), path, **options)
    >>> bool(abs(residual - identity) < 1e-5)
    True
    """
    return _pathwise(
        game,
        path,
        _check(game, jax.tree.map(lambda leaf: leaf[0], path), lr, batch, "simultaneous", shared_batch)[1],
        key,
        batch=batch,
        shared_batch=bool(shared_batch),
    )


@functools.partial(jax.jit, static_argnames=("batch", "shared_batch"))
def _pathwise(game, path, lr, key, *, batch, shared_batch):
    field = gda.stochastic_field(game, batch=batch, shared_batch=shared_batch)
    key = jax.random.key(0) if key is None else key

    def one(x, k):
        push = field(x, jax.random.fold_in(key, k)).theta
        return -dot(x.theta, push) - lr.theta / 2 * dot(push, push)

    start, end = (jax.tree.map(lambda leaf, place=place: leaf[place], path.theta) for place in (0, -1))
    count = jax.tree.leaves(path)[0].shape[0] - 1
    states = jax.tree.map(lambda leaf: leaf[:-1], path)
    residual = jax.vmap(one)(states, jnp.arange(count)).mean()
    return residual, (dot(start, start) - dot(end, end)) / (2 * lr.theta * count)
