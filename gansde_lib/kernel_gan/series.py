r"""The updates of `run_fourier`, of a few systems side by side.

With the features :math:`a` of `fourier_features` in each coordinate, in units of the bandwidth, the witness
:math:`f(x) = \sum_{kl} C_{kl}\, a_k(x_1)\, a_l(x_2)` of points in the plane is a matrix C, and an update is

.. math::

   C' = (1 - \eta_d\lambda)\, C + \eta_d \Bigl( \sum_i p_i\, a(x_{i1}) a(x_{i2})^\top
        - \sum_j \tilde p_j\, a(\tilde x_{j1}) a(\tilde x_{j2})^\top \Bigr), \qquad
   \tilde x_{j1}' = \tilde x_{j1} + \eta_g \tilde p_j\, a'(\tilde x_{j1})^\top C^{(\prime)} a(\tilde x_{j2});

likewise in one dimension, with a vector, and in three. Systems lie side by side along the last axis of all arrays, a
few in one unit of work, so that what a core works on stays in its cache.
"""

import math
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from gansde_lib import _checks
from gansde_lib.kernel_gan.expansion import memory
from gansde_lib.kernel_gan.features import cosine_of_turns, fourier_features

FEW = 8
"""Systems of at most so many generated points are worked on side by side."""

LANES = 32
"""How many of them: their witnesses in the plane take 72 kB in float32."""


class System(NamedTuple):
    """What `run_fourier` is given of each system."""

    true_points: Any
    true_masses: Any
    start_points: Any
    generated_masses: Any
    witness: Any
    bandwidth: Any
    ridge: Any
    point_rate: Any
    witness_rate: Any


AXES = System(2, 1, 2, 1, 1, 0, 0, 0, 0)
"""How many axes each has in a single system."""


def side_by_side(given, axes):
    """The systems in units of a few, along a first axis and a last one; how many there are, and how many in a unit."""
    numbers = np if all(map(_checks.is_concrete, given)) else jnp
    count = math.prod(axes)
    lanes = min(LANES, count) if given.start_points.shape[-2] <= FEW else 1
    units = -(-count // lanes)

    def cut(leaf, own):
        shape = leaf.shape[leaf.ndim - own :]
        flat = numbers.broadcast_to(leaf, (*axes, *shape)).reshape(count, *shape)
        if units * lanes > count:  # the last unit is filled up with its last system
            flat = flat[np.minimum(np.arange(units * lanes), count - 1)]
        # Coordinates before points: what is done to all points of a coordinate is one operation.
        flat = numbers.moveaxis(flat, -1, 1) if own == 2 else flat
        return numbers.moveaxis(flat.reshape(units, lanes, *flat.shape[1:]), 1, -1)

    dtype = jnp.result_type(float)
    return System(*(jnp.asarray(cut(*pair), dtype) for pair in zip(given, AXES, strict=True))), count, lanes


def unit(job, number, *, modes, alternating, inner_steps, steps, every, keep_witness):
    """The runs of one unit: points (records, n, d, lanes), coefficients, and spreads."""
    systems, box = job
    it = jax.tree.map(lambda leaf: leaf[number], systems)
    alone = it.start_points.shape[1] > FEW  # one system, whose points lie side by side instead
    it = jax.tree.map(lambda leaf: leaf[..., 0], it) if alone else it
    box = jnp.asarray(box, it.ridge.dtype)
    frequencies, scale, _ = fourier_features(box, modes=modes, bandwidth=1.0).args
    waves = Waves(*(jnp.asarray(part, it.ridge.dtype) for part in (box, frequencies, scale)))
    real = it.true_points / it.bandwidth
    gain, decay = memory(it.witness_rate, it.ridge, inner_steps)
    gained, push = gain * it.generated_masses, it.point_rate / it.bandwidth**2 * it.generated_masses
    at_real = _shapes(real, waves)
    source, first = gain * _embedded(at_real, it.true_masses), _embedded(at_real, it.witness)

    # The points' features are part of the state, though the points give them: XLA then works them out once per update,
    # where it would otherwise do so once for every coefficient that they multiply.
    def advance(state, _):
        y, witness, at, low, high = state
        after = decay * witness + source - _embedded(at, gained)
        y = y + push * _slopes(after if alternating else witness, at, _shapes(y, waves, slope=True))
        return (y, after, _shapes(y, waves), jnp.minimum(low, y), jnp.maximum(high, y)), None

    def record(state, _):
        state, _ = advance(state, None) if every == 1 else lax.scan(advance, state, length=every)
        return state, state[: 1 + keep_witness]

    start = it.start_points / it.bandwidth
    state = (start, first, _shapes(start, waves), start, start)
    (_, last, _, low, high), kept = lax.scan(record, state, length=steps // every)
    points, *witnesses = (jnp.concatenate([begin[None], rest]) for begin, rest in zip(state, kept, strict=False))
    low, high = jnp.minimum(low.min(1), real.min(1)), jnp.maximum(high.max(1), real.max(1))
    found = jnp.moveaxis(points, 1, 2) * it.bandwidth, witnesses[0] if keep_witness else last, (high - low).max(0)
    return jax.tree.map(lambda leaf: leaf[..., None], found) if alone else found


class Waves(NamedTuple):
    """The features of a coordinate: waves in a box of a length, of some frequencies and scales."""

    box: Any
    frequencies: Any
    scale: Any


def _shapes(y, waves, *, slope=False):
    """The features of points (d, n, lanes) or (d, n), or their slopes: for each coordinate (2 modes + 2, n, lanes).

    Cosines come before sines. All are cosines of some turns, which XLA works out in one loop.
    """
    modes = np.arange(2 * len(waves.scale)) % len(waves.scale)
    begin = np.where(modes == np.arange(len(modes)), 0.0, 0.25) - 0.25 * slope
    scale = jnp.tile(waves.scale * (waves.frequencies if slope else 1), 2)
    mode, begin, scale = (jnp.asarray(part, y.dtype).reshape(-1, *(1,) * y.ndim) for part in (modes, begin, scale))
    share = y / waves.box
    # In two parts, of which the first times a mode is exact: else the whole turns would take digits from the rest.
    coarse = jnp.round(4096 * share) / 4096
    turns = mode * coarse
    shapes = scale * cosine_of_turns(turns - jnp.round(turns) + mode * (share - coarse) - begin)
    return tuple(shapes[:, i] for i in range(len(y)))


def _embedded(at, weights):
    """The sum over points of weights (n, lanes) or (n,) times the products of features: (2 modes + 2, ..., lanes)."""
    if len(weights) > FEW:
        letters, lanes = "abcdefgh"[: len(at)], "z" * (weights.ndim - 1)
        operands = ",".join(f"{letter}n{lanes}" for letter in letters)
        return _product(f"{operands}->{letters}{lanes}", weights * at[0], *at[1:])
    total = 0.0
    for j in range(len(weights)):
        product = weights[j]
        for i, shape in enumerate(at):
            product = product * shape[:, j].reshape((1,) * i + (-1,) + (1,) * (len(at) - 1 - i) + shape.shape[2:])
        total = total + product
    return total


def _slopes(witness, at, turned):
    """The witness's gradient at the points, (d, n, lanes) or (d, n), from their features and the slopes of these."""
    if at[0].ndim == 2:
        first, rest = partial(_product, "...k,kn->...n", witness), _summed_points
    else:
        first, rest = partial(_summed, witness[..., None, :]), _summed
    value, slopes = None, []
    for i in reversed(range(len(at))):
        slope = first(turned[i]) if value is None else rest(value, turned[i])
        for shape in reversed(at[:i]):
            slope = rest(slope, shape)
        slopes.append(slope)
        if i:
            value = first(at[i]) if value is None else rest(value, at[i])
    return jnp.stack(slopes[::-1])


def _summed(value, shape):
    """The sum over the last axis of features of `value` (..., features, n or 1, lanes) times those of the points.

    Term by term, which XLA makes one loop over whole vectors of; as a product of small matrices it is slower.
    """
    return sum(lax.index_in_dim(value, k, -3, keepdims=False) * shape[k] for k in range(len(shape)))


def _summed_points(value, shape):
    """The same for `value` (..., features, n) and one system."""
    return (value * shape).sum(-2)


def _product(*operands):
    """`einsum` in full precision, which a GPU would not use for products of matrices."""
    return jnp.einsum(*operands, precision=lax.Precision.HIGHEST)
