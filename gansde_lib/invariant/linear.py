"""Training and its equations near a rest point: a matrix and the covariance of the noise."""

from typing import Any, NamedTuple

import jax
import numpy as np
from jax.flatten_util import ravel_pytree

from gansde_lib import _checks, gda, noise
from gansde_lib.games import Game, field_jacobian
from gansde_lib.invariant.grid import fresh
from gansde_lib.sde import moments

_CALL = "linearised(game, rest_point(game, x), lr=0.1, batch=4)"


class Linear(NamedTuple):
    """A linear chain x' = A x + noise, or a linear equation dX = A X dt + noise, around a rest point.

    `matrix`: A, of shape (d, d); `covariance`: of the noise per step, or per unit of time. Both float64.
    """

    matrix: Any
    covariance: Any


def rest_point(game, x, *, steps=50):
    """Return a zero of the game's field (or of an equation's drift) near `x`, by Newton's method in float64.

    Args:
        game: a `Game` or an `Equation`.
        x: `Players`, where to start.
        steps: at most so many Newton steps.

    Returns:
        `Players` of NumPy arrays of float64.

    Raises:
        ValueError: if Newton's method does not converge.

    >>> from gansde_lib import games
    >>> found = rest_point(games.toy_gan(), games.Players([0.9, -0.1], [-0.4, 0.4]))
    >>> found.theta.round(4)
    array([ 0.8665, -0.14  ])
    """
    _checks.whole("steps", steps, minimum=1, example="rest_point(game, x, steps=50)")
    with jax.enable_x64(True):
        start, unravel = ravel_pytree(moments.as_double(x))
        flat = np.asarray(start)
        for _ in range(steps):  # a handful of steps: each of them one compiled call
            value, matrix = (np.asarray(part) for part in _value_and_jacobian(fresh(game), moments.as_double(x), flat))
            move = np.linalg.lstsq(matrix, -value, rcond=None)[0]
            flat = flat + move
            if not np.isfinite(flat).all():
                break
            size = 1 + np.abs(flat).max()
            solved = np.abs(value).max() <= 1e-9 * size * np.abs(matrix).max()  # else a fold, where no step helps
            if solved and np.abs(move).max() <= 1e-12 * size:
                return jax.tree.map(np.asarray, unravel(flat))
    raise ValueError(
        f"Newton's method found no rest point near {x!r} in {steps} steps; for example "
        "rest_point(games.toy_gan(), Players([0.9, -0.1], [-0.4, 0.4]))"
    )


def _push(game, x):
    return game.field(x) if isinstance(game, Game) else game.drift(x)


@jax.jit
def _value_and_jacobian(game, x, flat):
    unravel = ravel_pytree(x)[1]

    def value(flat):
        return ravel_pytree(_push(game, unravel(flat)))[0]

    return value(flat), jax.jacfwd(value)(flat)


def _check_rest(value, scale):
    if np.abs(value).max() > 1e-4 * max(scale, 1e-12):
        raise ValueError(
            f"x must be a rest point, found a force of {np.abs(value).max():.3g} there; for example {_CALL}"
        )


def linearised(game, x, *, lr, batch, update="simultaneous", shared_batch=False):
    r"""Return the linear chain that training is near a rest point of the game.

    With J the field's derivative, M its block :math:`\nabla_\omega F_\theta`, H the rates and
    :math:`Q = H \Sigma H / B` the covariance of a minibatch's displacement (without cross block unless the batch is
    shared), simultaneous updates give

    .. math:: x' = (1 + HJ)\, x + \xi, \qquad \operatorname{Cov} \xi = Q .

    In alternating updates theta answers an omega that carries its own noise: with :math:`G = \begin{pmatrix} 1 &
    \eta_\theta M \\ 0 & 1 \end{pmatrix}`, :math:`\operatorname{Cov} \xi = G Q G^\top`. What is left out is how the
    noise depends on x: where only linear terms of the payoff vary from sample to sample nothing is lost, and
    `sde.chain_stationary` gives the same covariance.

    Args:
        game: the game.
        x: `Players`, a rest point; see `rest_point`.
        lr, batch, update, shared_batch: as in `gda.run`; update is "simultaneous" or "alternating".

    Returns:
        `Linear`, for `covariance(*linearised(...))`.

    Raises:
        ValueError: if the field does not vanish at x, for unknown updates, rates or a batch that do not fit.

    >>> from gansde_lib import games
    >>> game = games.quadratic(1.0, 0.0, 1.0, samples={"a": np.array([1.0, -1.0])})
    >>> linearised(game, games.Players(0.0, 0.0), lr=0.1, batch=1).matrix
    array([[0.9, 0. ],
           [0. , 0.9]])
    """
    _checks.choice("update", update, gda.ORDERS, example='update="alternating"')
    rates = gda.rates(lr)
    if batch is not None:
        batch = noise.samples.check_batch(game, batch, replacement=True)
    with jax.enable_x64(True):
        x = moments.as_double(x)
        field, jacobian, spread = (np.asarray(part) for part in _parts(fresh(game), x))
    count = noise.samples.count_theta(x)
    _check_rest(field, max(np.abs(jacobian).max(), np.sqrt(np.abs(spread).max())))
    scale = np.where(np.arange(field.size) < count, float(rates.theta), float(rates.omega))
    moved = scale[:, None] * jacobian
    drawn = scale[:, None] * spread * scale / batch if batch is not None else np.zeros_like(spread)
    if not shared_batch:
        drawn[:count, count:] = drawn[count:, :count] = 0
    if update == "simultaneous":
        return Linear(np.eye(field.size) + moved, drawn)
    theta, omega, answer = (np.eye(field.size) for _ in range(3))
    theta[:count] += moved[:count]
    omega[count:] += moved[count:]
    answer[:count, count:] = moved[:count, count:]
    return Linear(theta @ omega, answer @ drawn @ answer.T)


@jax.jit
def _parts(game, x):
    return ravel_pytree(game.field(x))[0], field_jacobian(game, x), noise.covariance(game, x)


def linearised_equation(equation, x):
    """Return drift matrix and covariance of an equation at one of its rest points.

    Args:
        equation: an `sde.Equation`, with any of its options.
        x: `Players`, a rest point of its drift.

    Returns:
        `Linear`, for `continuous_covariance(*linearised_equation(...))`.

    Raises:
        ValueError: if the drift does not vanish at x.

    >>> from gansde_lib import games, sde
    >>> game = games.quadratic(1.0, 0.0, 1.0, samples={"a": np.array([1.0, -1.0])})
    >>> found = linearised_equation(sde.modified_equation(game, lr=0.1, batch=1, order=1), games.Players(0.0, 0.0))
    >>> found.covariance.round(6)
    array([[0.01, 0.  ],
           [0.  , 0.  ]])
    """
    with jax.enable_x64(True):
        x = moments.as_double(x)
        value, matrix = (np.asarray(part) for part in _value_and_jacobian(fresh(equation), x, ravel_pytree(x)[0]))
        spread = np.asarray(_covariance(fresh(equation), x))
    _check_rest(value, max(np.abs(matrix).max(), np.sqrt(np.abs(spread).max())))
    return Linear(matrix, spread)


@jax.jit
def _covariance(equation, x):
    return equation.covariance(x)
