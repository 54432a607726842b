"""Eigenvalues of the field's derivative for networks: the matrix is never formed."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse.linalg
from jax.flatten_util import ravel_pytree

from gansde_lib import _checks
from gansde_lib.games import as_players

EXTREMES = {"modulus": "LM", "real": "LR", "imaginary": "LI"}
"""Which end of the spectrum `field_eigenvalues` looks for, and what ARPACK calls it."""


def field_eigenvalues(game, x, *, count=6, largest="modulus", tolerance=1e-4, krylov=None, vectors=False):
    r"""Return a few extreme eigenvalues of the field's derivative :math:`A = F'(x)` by Arnoldi iteration.

    An eigenvalue :math:`a + \mathrm{i}b` multiplies a deviation by :math:`1 + \eta a` an update, to first order in
    the rate, and turns it by :math:`\eta b` radians. Only products A v are computed, each by one forward derivative
    of the gradient.

    Args:
        game, x: the game and the point.
        count: how many eigenvalues; a complex pair counts as two.
        largest: "modulus", "real" (the right end of the spectrum) or "imaginary" (the fastest rotations).
        tolerance: relative accuracy asked of ARPACK.
        krylov: dimension of the Krylov space, by default 10 `count` + 20.
        vectors: whether to return the eigenvectors as well.

    Returns:
        `count` complex eigenvalues, the most extreme first, and if wanted their eigenvectors as the columns of a
        matrix, in raveled coordinates.

    Raises:
        ValueError: for an unknown end, a count that is below 1 or too large for the game.

    Source: implicitly restarted Arnoldi iteration as in Lehoucq, Sorensen and Yang (1998), through SciPy.

    >>> from gansde_lib import games
    >>> game = games.quadratic(jnp.diag(jnp.arange(1.0, 7)), 2 * jnp.eye(6), jnp.diag(jnp.arange(1.0, 7)))
    >>> field_eigenvalues(game, games.Players(jnp.zeros(6), jnp.zeros(6)), count=2).round(3)
    array([-6.+2.j, -6.-2.j], dtype=complex64)
    """
    call = 'field_eigenvalues(game, x, count=6, largest="imaginary")'
    _checks.choice("largest", largest, EXTREMES, example=call)
    _checks.whole("count", count, minimum=1, example=call)
    x = as_players(x)
    size, dtype = sum(leaf.size for leaf in jax.tree.leaves(x)), jax.tree.leaves(x)[0].dtype
    if count > size - 2:
        raise ValueError(f"count must be at most {size - 2} for {size} parameters, found {count}; for example {call}")
    product = scipy.sparse.linalg.LinearOperator((size, size), functools.partial(_product, game, x), dtype=dtype)
    values, modes = scipy.sparse.linalg.eigs(
        product,
        count,
        which=EXTREMES[largest],
        ncv=min(size, krylov or 10 * count + 20),
        v0=np.random.default_rng(0).normal(size=size),  # the same start, the same digits
        tol=tolerance,
    )
    extreme = {"modulus": np.abs, "real": np.real, "imaginary": lambda z: np.abs(z.imag)}[largest]
    order = np.lexsort((-values.imag, -extreme(values).round(6)))
    return (values[order], modes[:, order]) if vectors else values[order]


@jax.jit
def _product(game, x, direction):
    """The derivative of the field at x in a direction, all raveled."""
    flat, unravel = ravel_pytree(x)
    return jax.jvp(lambda y: ravel_pytree(game.field(unravel(y)))[0], (flat,), (direction.ravel().astype(flat.dtype),))[
        1
    ]


def follow_mode(game, x, value, mode, *, lr, size=0.05):
    r"""Return the eigenvalue that a run shows when it starts a little beside `x`, in the direction of an eigenvector.

    Two full-gradient simultaneous runs start at x and at :math:`x + \epsilon \operatorname{Re} u`. If the field were
    linear, their difference after n steps would be :math:`\epsilon \operatorname{Re}[(1 + \eta\lambda)^n u]`. It is
    fitted to the plane of u by least squares, and the :math:`\lambda` that turns and stretches it this much is
    returned, after :math:`n \approx 1 / (\eta |\lambda|)` steps: an e-fold, or a turn by one radian.

    Args:
        game, x: the game and the point.
        value, mode: an eigenvalue of the field's derivative and its eigenvector in raveled coordinates.
        lr: one rate for both players.
        size: epsilon times the length of Re u.

    >>> from gansde_lib import games
    >>> seen = follow_mode(games.bilinear(1.0), games.Players(0.0, 0.0), 1j, np.array([1, -1j]), lr=0.1)
    >>> abs(seen - 1j) < 1e-5
    True
    """
    x = as_players(x)
    flat = ravel_pytree(x)[0]
    steps = max(1, round(1 / (lr * abs(value))))
    whole = abs(value.imag) < 1e-6 * abs(value)
    plane = mode.real[:, None] if whole else np.stack([mode.real, -mode.imag], axis=1)
    nudge = size * mode.real / np.linalg.norm(mode.real)
    starts = np.stack([flat, flat + nudge]).astype(flat.dtype)
    ends = np.asarray(_ends(game, x, starts, lr, steps), float)
    coordinates = np.linalg.lstsq(plane, ends[1] - ends[0], rcond=None)[0]
    factor = complex(*coordinates) / (size / np.linalg.norm(mode.real))
    return (factor ** (1 / steps) - 1) / lr


@jax.jit
def _ends(game, x, starts, lr, steps):
    """The ends of full-gradient runs from raveled starts; another number of steps compiles nothing again."""
    unravel = ravel_pytree(x)[1]

    def step(_, flat):
        return flat + jnp.asarray(lr, flat.dtype) * ravel_pytree(game.field(unravel(flat)))[0]

    return jax.vmap(lambda start: jax.lax.fori_loop(0, steps, step, start))(starts)
