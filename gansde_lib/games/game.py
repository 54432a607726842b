"""A game: a payoff, the samples it is averaged over, and the vector field of its two players."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from gansde_lib import _checks


class Players(NamedTuple):
    """The two players' parameters, generator first: each is an array or a pytree of float arrays."""

    theta: Any
    omega: Any


class Product(NamedTuple):
    """Real and latent samples that are indexed independently: the payoff is averaged over all pairs."""

    real: Any
    latent: Any


class Sample(NamedTuple):
    """One pair of a `Product`, as the payoff sees it (or, with a leading axis, a minibatch of pairs)."""

    real: Any
    latent: Any


@jax.tree_util.register_pytree_node_class
class Game:
    r"""A game given by a payoff per sample and a finite set of samples.

    Args:
        payoff: `payoff(theta, omega, sample) -> scalar`, what omega maximises. A function with parameters is a
            `jax.tree_util.Partial`, so that changing a parameter does not compile anything again.
        samples: a pytree whose leaves share their leading axis N, or `Product(real, latent)`.
        generator_payoff: what theta minimises if the game is not zero-sum; `payoff` by default.

    Raises:
        ValueError: if there is no sample, or if the leading axes differ.

    A game is a pytree: it passes through `jax.jit`, `jax.vmap` and `jax.grad`.

    >>> game = Game(lambda theta, omega, sample: omega * (sample - theta), samples=[1.0, 3.0])
    >>> game.field(Players(0.0, 1.0))
    Players(theta=Array(1., dtype=float32), omega=Array(2., dtype=float32))
    """

    def __init__(self, payoff, samples, *, generator_payoff=None):
        if _is_list_of_numbers(samples):
            samples = np.asarray(samples)
        # Data stay in NumPy's float64 until they are used, so that the same game serves float32 and float64 runs.
        self.samples = jax.tree.map(lambda leaf: leaf if isinstance(leaf, jax.Array) else np.asarray(leaf), samples)
        self.payoff = payoff if isinstance(payoff, Partial) else Partial(payoff)
        self.generator_payoff = generator_payoff
        if generator_payoff is not None and not isinstance(generator_payoff, Partial):
            self.generator_payoff = Partial(generator_payoff)
        _ = self.size  # refuses samples without a common leading axis

    def tree_flatten(self):
        """Split into leaves for JAX."""
        return (self.payoff, self.samples, self.generator_payoff), None

    @classmethod
    def tree_unflatten(cls, _, children):
        """Rebuild from leaves, without the checks: JAX also calls this with placeholders."""
        game = object.__new__(cls)
        game.payoff, game.samples, game.generator_payoff = children
        return game

    @property
    def zero_sum(self):
        """True if both players play for the same payoff."""
        return self.generator_payoff is None

    @property
    def size(self):
        """Return how many samples the payoff is averaged over: N, or N times M for a `Product`."""
        parts = self.samples if isinstance(self.samples, Product) else (self.samples,)
        return int(np.prod([_leading_axis(part) for part in parts]))

    def draw(self, key, batch):
        """Return `batch` samples drawn uniformly with replacement (for a `Product`: independent pairs)."""
        return self.take(self.choose(key, batch))

    def choose(self, key, batch):
        """Return the numbers of the samples that `draw` draws (for a `Product`: a pair of arrays of numbers)."""
        if not isinstance(self.samples, Product):
            return _choose(self.samples, key, batch)
        return Sample(*(_choose(part, k, batch) for part, k in zip(self.samples, jax.random.split(key), strict=True)))

    def take(self, chosen):
        """Return the samples of some numbers.

        >>> Game(lambda theta, omega, sample: sample, samples=[1.0, 2.0, 3.0]).take(jnp.array([2, 0]))
        Array([3., 1.], dtype=float32)
        """
        if not isinstance(self.samples, Product):
            return _take(self.samples, chosen)
        return Sample(*map(_take, self.samples, chosen))

    def pick(self, uniform):
        """Return the samples that numbers between 0 and 1 stand for, one each (for a `Product`: a row for each factor).

        >>> game = Game(lambda theta, omega, sample: sample, samples=[1.0, 2.0, 3.0])
        >>> game.pick(jnp.array([0.0, 0.5, 0.99]))
        Array([1., 2., 3.], dtype=float32)
        """
        if not isinstance(self.samples, Product):
            return _pick(self.samples, uniform)
        return Sample(*map(_pick, self.samples, uniform))

    def value(self, x, samples=None):
        """Return the mean payoff Phi at `x`, over all samples or over a drawn batch."""
        return _mean(self.payoff, Players(*x), self.samples if samples is None else samples)

    def field(self, x, samples=None):
        r"""Return the players' vector field :math:`(-\nabla_\theta, +\nabla_\omega)` of their payoffs at `x`.

        Over all samples, or over a drawn batch; shaped like `x`.
        """
        x, samples = as_players(x), self.samples if samples is None else samples
        gradient = jax.grad(lambda y: _mean(self.payoff, y, samples))(x)
        descent = gradient.theta
        if not self.zero_sum:
            descent = jax.grad(lambda theta: _mean(self.generator_payoff, Players(theta, x.omega), samples))(x.theta)
        return Players(jax.tree.map(jnp.negative, descent), gradient.omega)

    def check(self, x):
        """Return `x` as float `Players`; raise `ValueError` if it is not finite or does not fit the payoff."""
        x = as_players(x)
        for name, part in zip(Players._fields, x, strict=True):
            if any(_checks.is_concrete(leaf) and not np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(part)):
                raise ValueError(f"{name} must start finite, found {part}; for example Players(theta=1.0, omega=0.0)")
        try:
            jax.eval_shape(_traced_value, self, x)
        except TypeError as error:
            shapes = " and ".join(str(jax.tree.map(jnp.shape, part)) for part in x)
            raise ValueError(
                f"the payoff cannot be evaluated at theta and omega of shapes {shapes}: {error}; "
                "for example games.bilinear(1.0).check(Players(theta=1.0, omega=0.0)) passes"
            ) from error
        return x


@jax.jit
def _traced_value(game, x):
    return game.value(x)  # traced once for all games of one kind and shape


def as_players(x):
    """Return `x` as `Players` of float arrays with definite types (so that nothing compiles twice).

    >>> as_players(Players([1, 2], 0.5))
    Players(theta=Array([1., 2.], dtype=float32), omega=Array(0.5, dtype=float32))
    """
    if not (isinstance(x, tuple) and len(x) == 2):
        raise ValueError(f"x must be Players(theta, omega), found {x!r}; for example Players(theta=1.0, omega=0.0)")

    def as_float(leaf):
        array = jnp.asarray(leaf)
        dtype = array.dtype if jnp.issubdtype(array.dtype, jnp.floating) else jnp.result_type(float)
        return jnp.asarray(array, dtype=dtype)

    return jax.tree.map(as_float, Players(*x), is_leaf=_is_list_of_numbers)


def _is_list_of_numbers(value):
    # A list of layers is none, and NumPy could not say so: it would try to make one array of each layer.
    return isinstance(value, list) and jax.tree_util.all_leaves(value) and all(np.ndim(entry) == 0 for entry in value)


def _leading_axis(samples):
    """Return the length that all leaves share along their first axis."""
    lengths = {np.shape(leaf)[0] if np.ndim(leaf) else None for leaf in jax.tree.leaves(samples)}
    if len(lengths) != 1 or lengths & {None, 0}:
        raise ValueError(
            f"samples must be arrays that share a leading axis of at least 1, found shapes "
            f"{[np.shape(leaf) for leaf in jax.tree.leaves(samples)]}; for example Game(payoff, np.zeros((100, 2)))"
        )
    return lengths.pop()


def _choose(samples, key, batch):
    """Return `batch` numbers along the leading axis, drawn uniformly with replacement."""
    return jax.random.randint(key, (batch,), 0, _leading_axis(samples))


def _pick(samples, uniform):
    count = _leading_axis(samples)
    return _take(samples, jnp.minimum((uniform * count).astype(jnp.int32), count - 1))


def _take(samples, chosen):
    return jax.tree.map(lambda leaf: jnp.asarray(leaf)[chosen], samples)


def values(payoff, x, samples):
    """Return the payoff of each sample along the leading axis, or of all pairs of a `Product` as a matrix.

    >>> values(lambda theta, omega, sample: theta * omega * sample, Players(2.0, 3.0), np.arange(3.0))
    Array([ 0.,  6., 12.], dtype=float32)
    """
    samples = jax.tree.map(jnp.asarray, samples)
    if isinstance(samples, Product):
        over_latent = jax.vmap(lambda real, latent: payoff(x.theta, x.omega, Sample(real, latent)), in_axes=(None, 0))
        found = jax.vmap(over_latent, in_axes=(0, None))(*samples)
    else:
        found = jax.vmap(lambda sample: payoff(x.theta, x.omega, sample))(samples)
    if found.ndim != 1 + isinstance(samples, Product):
        raise ValueError(
            f"the payoff of one sample must be a scalar, found {found.ndim - 1 - isinstance(samples, Product)} axes; "
            "for example lambda theta, omega, sample: jnp.vdot(theta, omega)"
        )
    return found


def _mean(payoff, x, samples):
    """Mean payoff over the leading axis, or over all pairs of a `Product`."""
    return jnp.mean(values(payoff, x, samples))
