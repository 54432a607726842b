"""Multilayer perceptrons with tanh units, the networks of the ring and of the digits."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp


class Layer(NamedTuple):
    """An affine map: `weight` of shape (inputs, outputs) and `bias` of shape (outputs,)."""

    weight: Any
    bias: Any

    def __call__(self, points):
        """Apply the map to a vector or to each row of vectors."""
        return points @ self.weight + self.bias


def mlp(key, widths):
    r"""Return the layers of a perceptron: weights from :math:`N(0, 1/\text{inputs})`, biases zero.

    With this scaling a layer keeps the variance of independent inputs of variance one.

    >>> [layer.weight.shape for layer in mlp(jax.random.key(0), (10, 24, 64))]
    [(10, 24), (24, 64)]
    """
    pairs = zip(jax.random.split(key, len(widths) - 1), widths[:-1], widths[1:], strict=True)
    return tuple(Layer(jax.random.normal(k, (n, m)) / n**0.5, jnp.zeros(m)) for k, n, m in pairs)


def apply_layers(layers, points):
    """Return what layers make of a point, or of each row of points: tanh after every layer but the last.

    >>> apply_layers(mlp(jax.random.key(0), (10, 24, 64)), jnp.zeros((5, 10))).shape
    (5, 64)
    """
    for layer in layers[:-1]:
        points = jnp.tanh(layer(points))
    return layers[-1](points)
