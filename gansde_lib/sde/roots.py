"""Square roots of covariance matrices that may be semidefinite, rank-deficient or slightly indefinite."""

import jax.numpy as jnp

from gansde_lib import _checks, noise


def _square(matrix, name):
    matrix = jnp.asarray(matrix, dtype=jnp.result_type(float, matrix))
    if matrix.ndim < 2 or matrix.shape[-1] != matrix.shape[-2]:
        raise ValueError(
            f"{name} needs square matrices, found shape {matrix.shape}; for example {name}(jnp.array([[2.0, 1.0], "
            "[1.0, 2.0]]))"
        )
    return matrix


def square_root(matrix):
    r"""Return the symmetric square root of a symmetric matrix, negative eigenvalues set to zero.

    .. math:: R = \sum_k \sqrt{\max(\lambda_k, 0)}\; v_k v_k^\top, \qquad R = R^\top, \quad R R = C .

    Two by two it is a closed form that needs no eigenvectors and can be shown live: with the eigenvalues
    :math:`\lambda_1 \ge \lambda_2 \ge 0` and their roots :math:`s_1, s_2`, :math:`R = (C + s_1 s_2) / (s_1 + s_2)`.

    Args:
        matrix: shape (..., d, d), symmetric. Rank-deficient and zero matrices are fine; a covariance that rounding or a
            correction has made slightly indefinite is replaced by the nearest one that is not.

    Raises:
        ValueError: if the matrix is not square.

    >>> square_root(jnp.array([[4.0, 0.0], [0.0, 9.0]]))
    Array([[2., 0.],
           [0., 3.]], dtype=float32)
    """
    matrix = _square(matrix, "square_root")
    if matrix.shape[-1] == 1:
        return jnp.sqrt(jnp.maximum(matrix, 0.0))
    if matrix.shape[-1] == 2:
        return _two_by_two(matrix)
    values, vectors = jnp.linalg.eigh(matrix)
    return (vectors * jnp.sqrt(jnp.maximum(values, 0.0))[..., None, :]) @ jnp.swapaxes(vectors, -1, -2)


def _two_by_two(matrix):
    a, b, c = matrix[..., 0, 0], (matrix[..., 0, 1] + matrix[..., 1, 0]) / 2, matrix[..., 1, 1]
    centre, width = (a + c) / 2, jnp.sqrt(((a - c) / 2) ** 2 + b**2)
    large, small = centre + width, centre - width
    s, t = jnp.sqrt(jnp.maximum(large, 0.0)), jnp.sqrt(jnp.maximum(small, 0.0))
    # Definite: (C + s t) / (s + t). Otherwise the part of the larger eigenvalue alone: s (C - small) / (large - small).
    definite = small >= 0
    below = jnp.where(definite, s + t, 2 * width)
    factor = jnp.where(definite, 1.0, s) / jnp.where(below > 0, below, 1.0)
    factor = jnp.where((below > 0) | jnp.isnan(below), factor, 0.0)
    shift = jnp.where(definite, s * t, -small)
    off = factor * b
    rows = [[factor * (a + shift), off], [off, factor * (c + shift)]]
    return jnp.stack([jnp.stack(row, axis=-1) for row in rows], axis=-2)


def factor(matrix):
    r"""Return a lower triangular L with :math:`L L^\top` equal to a positive semidefinite matrix.

    The law of Gaussian noise depends on its covariance alone, so that any factor will do, and this one (Cholesky's) is
    cheap, smooth where the matrix is definite, and made of arithmetic only: it runs in live figures and side by side
    for many paths. A pivot that is zero up to rounding, or negative, gives a column of zeros.

    Args:
        matrix: shape (..., d, d), symmetric.

    Raises:
        ValueError: if the matrix is not square.

    >>> factor(jnp.array([[4.0, 2.0], [2.0, 1.0]]))
    Array([[2., 0.],
           [1., 0.]], dtype=float32)
    """
    matrix = _square(matrix, "factor")
    size = matrix.shape[-1]
    tolerance = 4 * size * jnp.finfo(matrix.dtype).eps
    columns = []
    for k in range(size):  # over parameters, of which there are few where a matrix is formed at all
        rest = matrix[..., :, k]
        for column in columns:
            rest = rest - column * column[..., k : k + 1]
        pivot, before = rest[..., k], matrix[..., k, k]
        counts = ~(pivot <= tolerance * jnp.abs(before))  # NaN counts, so that a diverged path stays NaN
        root = jnp.sqrt(jnp.where(counts, pivot, 1.0))
        column = jnp.where(counts[..., None], rest / root[..., None], 0.0)
        columns.append(jnp.where(jnp.arange(size) >= k, column, 0.0))
    return jnp.stack(columns, axis=-1)


def restrict(matrix, x, kind):
    """Return the matrix as it is ("full"), without cross blocks ("block"), as its "diagonal", or zeros ("none").

    Args:
        matrix: shape (d, d).
        x: `Players` with d parameters in all.
        kind: one of `KINDS`.

    >>> from gansde_lib.games import Players
    >>> restrict(jnp.ones((2, 2)), Players(0.0, 0.0), "block")
    Array([[1., 0.],
           [0., 1.]], dtype=float32)
    """
    _checks.choice("covariance", kind, KINDS, example='covariance="block"')
    if kind == "full":
        return matrix
    if kind == "block":
        return noise.without_cross_block(matrix, x)
    index = jnp.arange(matrix.shape[-1])
    return jnp.where((index[:, None] == index) & (kind == "diagonal"), matrix, 0.0)


KINDS = ("full", "block", "diagonal", "none")
"""What can be kept of a noise covariance."""
