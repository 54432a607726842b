"""One sample at a time: fields of single samples in chunks, so that no array has N times d entries unless asked for."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from gansde_lib import _checks
from gansde_lib.games import Players, Product, Sample

CHUNK = 256
"""How many samples are differentiated side by side, by default; changes speed and memory, not the result."""


def sizes(game):
    """Return the numbers of samples that are drawn separately: (N,), or (N, M) for a `Product`.

    >>> from gansde_lib import games
    >>> sizes(games.toy_gan())
    (32, 32)
    """
    parts = game.samples if isinstance(game.samples, Product) else (game.samples,)
    return tuple(int(np.shape(jax.tree.leaves(part)[0])[0]) for part in parts)


def take(game, index):
    """Return the samples numbered `index`; the pairs of a `Product` are numbered row by row, real points first.

    >>> from gansde_lib import Game
    >>> take(Game(lambda theta, omega, sample: sample, [10.0, 20.0, 30.0]), jnp.array([2, 0]))
    Array([30., 10.], dtype=float32)
    """
    if isinstance(game.samples, Product):
        return pair(game, index // sizes(game)[1], index % sizes(game)[1])
    return _entries(game.samples, index)


def pair(game, real, latent):
    """Return the samples of a `Product` with these numbers of real and latent points.

    >>> from gansde_lib import games
    >>> pair(games.toy_gan(), jnp.array([0, 1]), jnp.array([1, 0])).real.shape
    (2,)
    """
    return Sample(_entries(game.samples.real, real), _entries(game.samples.latent, latent))


def _entries(samples, index):
    return jax.tree.map(lambda leaf: jnp.asarray(leaf)[index], samples)


def fold(game, x, reduce, *, chunk=CHUNK):
    """Return the sum over chunks of `reduce(rows)`, where rows of shape (chunk, d) are the centred, raveled fields of
    single samples; the last chunk is filled up with zeros.

    >>> from gansde_lib import games
    >>> fold(games.toy_gan(), games.Players(jnp.zeros(2), jnp.ones(2)), lambda rows: rows.sum(0)).round(3) + 0.0
    Array([0., 0., 0., 0.], dtype=float32)
    """
    mean = ravel_pytree(game.field(x))[0]
    size, fields = game.size, jax.vmap(lambda number: field_of(game, x, number))

    def add(total, first):
        numbers = first + jnp.arange(chunk)
        rows = jnp.where((numbers < size)[:, None], fields(jnp.minimum(numbers, size - 1)) - mean, 0.0)
        return jax.tree.map(jnp.add, total, reduce(rows)), None

    chunk = min(chunk, size)
    rows = jax.ShapeDtypeStruct((chunk, mean.size), mean.dtype)
    zero = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(reduce, rows))
    return jax.lax.scan(add, zero, jnp.arange(0, size, chunk))[0]


def in_chunks(function, size, chunk):
    """Return `function(number)` for 0, ..., size - 1, so many at a time, stacked along a leading axis.

    >>> in_chunks(lambda number: 10 * number, 5, 2)
    Array([ 0, 10, 20, 30, 40], dtype=int32)
    """
    # Chunks of one length, the last one filled up: a shorter last chunk would be compiled a second time.
    count = -(-size // chunk)
    numbers = jnp.arange(count * -(-size // count)).reshape(count, -1)
    found = jax.lax.map(jax.vmap(function), jnp.minimum(numbers, size - 1))
    return found.reshape(-1, *found.shape[2:])[:size]


def field_of(game, x, number):
    """Return the raveled field of the sample with this number.

    >>> from gansde_lib import games
    >>> field_of(games.toy_gan(), Players(jnp.zeros(2), jnp.ones(2)), 0).shape
    (4,)
    """
    return ravel_pytree(game.field(x, take(game, jnp.asarray(number)[None])))[0]


def per_sample_field(game, x, *, chunk=CHUNK):
    r"""Return the field :math:`F_i = (-\nabla_\theta \varphi_i, +\nabla_\omega \varphi_i)` of every sample.

    Args:
        game, x: the game and the point.
        chunk: how many samples are differentiated side by side.

    Returns:
        A matrix of shape (N, d), each row raveled, theta then omega; (N M, d) for a `Product`, row by row.

    Raises:
        ValueError: if x does not fit the game, or the chunk is below 1.

    >>> from gansde_lib import games
    >>> game = games.quadratic(0.0, 1.0, 0.0, samples={"a": np.array([1.0, 3.0])})
    >>> per_sample_field(game, Players(0.0, 0.0))
    Array([[-1.,  0.],
           [-3.,  0.]], dtype=float32)
    """
    return _per_sample_field(game, check(game, x, chunk), chunk=chunk)


@functools.partial(jax.jit, static_argnames="chunk")
def _per_sample_field(game, x, *, chunk):
    return in_chunks(lambda number: field_of(game, x, number), game.size, chunk)


def check(game, x, chunk):
    """Return `x` as players that fit the game; `ValueError` for others, and for a chunk below 1.

    >>> from gansde_lib import games
    >>> check(games.bilinear(1.0), Players(1, 0), 256).theta.dtype
    dtype('float32')
    """
    _checks.whole("chunk", chunk, minimum=1, example="noise.covariance(game, x, chunk=256)")
    return game.check(x)


def check_batch(game, batch, *, replacement=True):
    """Return the batch size; `ValueError` unless it is a whole number from 1 to the number of samples.

    A batch size that is being traced by JAX, such as a slider's, cannot be looked at.

    >>> from gansde_lib import games
    >>> check_batch(games.toy_gan(), 32, replacement=False)
    32
    """
    if not _checks.is_concrete(batch):
        return batch
    batch = int(batch) if isinstance(batch, jax.Array | np.ndarray) and np.ndim(batch) == 0 else batch
    _checks.whole("batch", batch, minimum=1, example="batch=32")
    most = game.size if replacement else min(sizes(game))
    if batch > most:
        how = "" if replacement else " to be drawn without replacement"
        raise ValueError(f"batch={batch} exceeds the game's {most} samples{how}; for example batch={most}")
    return batch


def split(x, flat):
    """Return a raveled vector, theta then omega, as `Players` of two vectors.

    >>> split(Players(0.0, jnp.zeros(2)), jnp.arange(3.0))
    Players(theta=Array([0.], dtype=float32), omega=Array([1., 2.], dtype=float32))
    """
    count = count_theta(x)
    return Players(flat[..., :count], flat[..., count:])


def count_theta(x):
    """Return how many parameters the generator has.

    >>> count_theta(Players(jnp.zeros(3), 0.0))
    3
    """
    return sum(np.size(leaf) for leaf in jax.tree.leaves(x[0]))
