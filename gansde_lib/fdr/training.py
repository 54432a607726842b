"""Both sides measured on many independent chains of the real training."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from gansde_lib import _checks, gda, noise
from gansde_lib.fdr.relations import Balance, relation
from gansde_lib.fdr.sides import check_coupling, sides
from gansde_lib.games import Players

CENTRES = ("running mean", "own running mean", "mean")
"""What a chain's states can be measured from, besides `Players` and None: see `balance`."""

_CALL = "fdr.balance(game, lr=0.05, batch=4, steps=4000, x0=x0, chains=256, burn_in=2000, key=key)"


def balance(
    game,
    *,
    lr,
    batch,
    update="simultaneous",
    shared_batch=False,
    key,
    steps,
    x0,
    chains,
    burn_in,
    centre="running mean",
    every=None,
    coupling=None,
    chunk=256,
):
    r"""Train many chains and return both sides of every relation, with standard errors.

    The sides are those of `sides`: means over the chains' states of the gradients over *all* samples and of the
    covariance of a minibatch's, never of the gradients that moved the chain. An error comes from the scatter of the
    chains' time averages. If the burn-in is too short for the chains to have settled, the sides differ: that is what
    they are for.

    Args:
        game: the game; `payoff` can be read if it is zero-sum.
        lr, batch, update, shared_batch: as in `gda.run`.
        key: random key.
        steps: number of updates over which is averaged, after the burn-in.
        x0: `Players`, the start of all chains.
        chains: number of independent chains, at least two.
        burn_in: number of updates before.
        centre: what theta and omega are measured from.
            "running mean": the mean of the states that the *other* chains have visited so far; independent of the
            chain, so that the exact relations stay exact.
            "own running mean": the mean of the states that the chain itself has visited so far: all that a single run
            has. It lowers the ratio by about :math:`\ln(m \eta n) / (m \eta n)` after n updates, see `centring_bias`.
            "mean": the mean of the other chains over all of the recording, at the price of running twice.
            `Players`: a given point. None: the origin.
        every: distance of the updates at which both sides are evaluated; about half a unit of time by default.
        coupling: K of the rotation, of shape (p, q); by default ones on the diagonal.
        chunk: how many chains are evaluated side by side; changes memory, not the result.

    Returns:
        `Balance` of `Relation`. Chains that diverge give sides that are not finite.

    Raises:
        ValueError: as `gda.run`, or for fewer than two chains, an unknown centre, a coupling of another shape.

    >>> from gansde_lib import games
    >>> noisy = {"a": np.array([1.0, -1.0]), "b": np.array([1.0, -1.0])}
    >>> rotation, key = games.quadratic(1.0, 1.0, 1.0, samples=noisy), jax.random.key(0)
    >>> found = balance(rotation, lr=0.1, batch=1, steps=400, x0=Players(0.0, 0.0), chains=64, burn_in=100, key=key)
    >>> found.theta.holds(), found.omega.holds(), found.total.ratio.error < 0.1
    (True, True, True)
    """
    x0, lr, options = _check(game, x0, lr, batch, update, shared_batch)
    _checks.whole("steps", steps, minimum=1, example=_CALL)
    _checks.whole("burn_in", burn_in, minimum=0, example=_CALL)
    if not (isinstance(chains, int | np.integer) and chains >= 2):
        raise ValueError(f"errors need at least two independent chains, found chains={chains!r}; for example {_CALL}")
    every = _distance(every, lr, steps)
    if isinstance(centre, str):
        _checks.choice("centre", centre, CENTRES, example='centre="running mean", or centre=None')
        how, point = centre, jax.tree.map(jnp.zeros_like, x0)
    else:
        how, point = "point", jax.tree.map(jnp.zeros_like, x0) if centre is None else game.check(centre)
    options["chains"] = int(chains)
    lengths = tuple(jnp.int32(length) for length in (steps, burn_in, every))
    start = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (chains, *leaf.shape)), x0)
    point = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (chains, *leaf.shape)), point)
    if how == "mean":
        point = _means(game, start, lr, key, *lengths, **options)
    options |= {"how": how, "chunk": min(chunk, chains)}
    sums = jax.device_get(_balance(game, start, lr, point, check_coupling(x0, coupling), key, *lengths, **options))
    return Balance(*(form.map(relation) for form in sums))


def _check(game, x0, lr, batch, update, shared_batch):
    """Checked start and rates, and the options that are compiled in."""
    _checks.choice("update", update, gda.ORDERS, example='update="alternating"')
    if batch is not None:
        batch = noise.samples.check_batch(game, batch)
    lr = Players(*(jnp.asarray(rate, jnp.result_type(float)) for rate in gda.rates(lr)))
    return game.check(x0), lr, {"batch": batch, "update": update, "shared_batch": bool(shared_batch)}


def _distance(every, lr, steps):
    if every is None:
        return min(max(1, int(0.5 / float(max(lr)))), steps)
    _checks.whole("every", every, minimum=1, example=f"{_CALL[:-1]}, every=10)")
    if every > steps:
        raise ValueError(f"every={every} exceeds the {steps} steps, nothing is evaluated; for example {_CALL}")
    return int(every)


def _steppers(game, lr, key, *, batch, update, shared_batch, chains):
    """`one(x, k)`: all chains after update k; `many(x, first, count)`: after so many updates."""
    field, rule = gda.stochastic_field(game, batch=batch, shared_batch=shared_batch), gda.rule(update)
    keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.arange(chains))

    def one(x, k):
        return jax.vmap(lambda x, key: rule.step(field, x, (), lr=lr, key=jax.random.fold_in(key, k))[0])(x, keys)

    def many(x, first, count):
        return jax.lax.fori_loop(0, count, lambda k, x: one(x, first + k), x)

    return one, many


def _seen(x, after, update):
    return Players(x.theta, after.omega) if update == "alternating" else x


_STATIC = ("batch", "update", "shared_batch", "chains")


@functools.partial(jax.jit, static_argnames=(*_STATIC, "how", "chunk"))
def _balance(game, x0, lr, point, coupling, key, steps, burn_in, every, *, chains, how, chunk, **options):
    """Time averages of all terms, chain by chain. Lengths are not compiled in: another rate takes the same program."""
    one, many = _steppers(game, lr, key, chains=chains, **options)
    # What is drawn for the sides has the number of a chain that does not exist: it moves nothing.
    keys = jax.vmap(lambda i: jax.random.fold_in(key, chains + i))(jnp.arange(chains))

    def evaluate(inputs):
        x, seen, centre, key = inputs
        return sides(game, x, seen, lr=lr, centre=centre, coupling=coupling, key=key, **options)

    def record(count, state):
        x, visited, sums = state
        visited = jax.tree.map(jnp.add, visited, x)
        if how == "running mean":  # of the others
            centre = jax.tree.map(lambda leaf: (leaf.sum(0) - leaf) / ((chains - 1) * (count + 1)), visited)
        elif how == "own running mean":
            centre = jax.tree.map(lambda leaf: leaf / (count + 1), visited)
        else:
            centre = point
        first = burn_in + count * every
        after = one(x, first)
        own = jax.vmap(lambda key: jax.random.fold_in(key, count))(keys)
        terms = jax.lax.map(evaluate, (x, _seen(x, after, options["update"]), centre, own), batch_size=chunk)
        return many(after, first + 1, every - 1), visited, jax.tree.map(jnp.add, sums, terms)

    x = many(x0, 0, burn_in)
    still = jax.tree.map(jnp.zeros_like, x)
    shapes = jax.eval_shape(jax.vmap(evaluate), (x, x, x, keys))
    zero = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    count = steps // every
    return jax.tree.map(lambda leaf: leaf / count, jax.lax.fori_loop(0, count, record, (x, still, zero))[2])


@functools.partial(jax.jit, static_argnames=_STATIC)
def _means(game, x0, lr, key, steps, burn_in, every, *, chains, **options):
    """For each chain, the mean of the states that the other chains visit."""
    _, many = _steppers(game, lr, key, chains=chains, **options)

    def add(count, state):
        x, visited = state
        return many(x, burn_in + count * every, every), jax.tree.map(jnp.add, visited, x)

    x, count = many(x0, 0, burn_in), steps // every
    visited = jax.lax.fori_loop(0, count, add, (x, jax.tree.map(jnp.zeros_like, x)))[1]
    return jax.tree.map(lambda leaf: (leaf.sum(0) - leaf) / ((chains - 1) * count), visited)
