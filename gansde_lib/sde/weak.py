r"""The weak error by Monte Carlo, for games whose moments do not close: with control variates and standard errors.

Training and equation are simulated independently. What makes their expectations precise is that the fluctuations of
each are nearly linear: let :math:`\bar x_k` be the full-gradient path and :math:`P_k` the derivative of its end in its
state after update k. Then

.. math:: Y = \sum_k P_k\, \Delta_k, \qquad \Delta_k = \text{the noise of update k's draw at } \bar x_k,

has mean exactly zero and a known covariance, whether or not the game is nonlinear, and so have the entries of
:math:`Y Y^\top - \mathbb E[Y Y^\top]`. A regression of the test function on them removes all of its variance but that
which comes from third order on.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from gansde_lib import _checks, gda, noise, simulate
from gansde_lib.sde import schemes
from gansde_lib.sde.corrections import scales
from gansde_lib.sde.roots import factor


class Estimate(NamedTuple):
    """A mean and its standard error; both have the shape of the test function's value."""

    mean: Any
    error: Any


class WeakError(NamedTuple):
    """The `difference` of the expectations, equation less training, its standard `error`, and both estimates."""

    difference: Any
    error: Any
    training: Estimate
    equation: Estimate


def weak_error(
    equation,
    function,
    x0,
    *,
    steps,
    size,
    key,
    update=None,
    shared_batch=None,
    scheme="splitting",
    substeps=1,
    training=None,
    capacity=None,
    chunk=1000,
):
    r"""Return :math:`\mathbb E f(X) - \mathbb E f(x_n)`: the equation's expectation less that of training.

    Args:
        equation: an `Equation` with a batch.
        function: test function of `Players`, with values in numbers or vectors.
        x0: `Players`, the start.
        steps: n, the number of updates.
        size: number of paths, of each of the two.
        key: random key.
        update, shared_batch: what trains, if it is not what the equation was made for: a control that should fail.
        scheme, substeps: as in `run`. The solver's own error must be small beside the result: see it by doubling.
        training: an `Estimate` of training's expectation that is already known, so that several equations are compared
            with the same training (`result.training`); then only the equation is simulated.
        capacity: the largest number of updates that will be asked for; up to there all numbers run the same compiled
            program. By default `steps`.
        chunk: how many paths run side by side; a divisor of `size` compiles faster.

    Returns:
        `WeakError`. A diverging path makes the estimate infinite or NaN.

    Raises:
        ValueError: for an equation without noise or with another sampling than "replacement", and as `ensemble`.

    >>> from gansde_lib import games
    >>> from gansde_lib.sde import modified_equation
    >>> equation = modified_equation(games.toy_gan(size=4), lr=0.05, batch=2, update="alternating")
    >>> start = games.Players(jnp.zeros(2), jnp.ones(2))
    >>> found = weak_error(equation, lambda x: x.theta[0], start, steps=10, size=100, key=jax.random.key(0))
    >>> bool(found.error > 0)
    True
    """
    if equation.batch is None or equation.sampling != "replacement":
        raise ValueError(
            f"weak_error trains with minibatches drawn with replacement, found batch={equation.batch} and "
            f"sampling={equation.sampling!r}; for example modified_equation(game, lr=0.1, batch=4)"
        )
    x0 = equation.game.check(x0)
    update = equation.update if update is None else update
    _checks.choice("update", update, gda.ORDERS, example='update="alternating"')
    shared = equation.shared_batch if shared_batch is None else bool(shared_batch)
    _checks.whole("steps", steps, minimum=1, example="weak_error(equation, function, x0, steps=20, size=1000, key=key)")
    _checks.whole("size", size, minimum=50, example="weak_error(equation, function, x0, steps=20, size=1000, key=key)")
    _checks.whole("substeps", substeps, minimum=1, example="substeps=2")
    schemes.check(scheme, "gaussian", "matrix")
    capacity = steps if capacity is None else capacity
    _checks.whole("capacity", capacity, minimum=steps, example=f"steps={steps}, capacity={steps}")
    keys = jax.random.split(key)
    guide = _propagators(equation.game, equation.lr, x0, steps, update=update, capacity=int(capacity))
    sizes = {"function": function, "size": int(size), "chunk": int(chunk)}
    if training is None:
        draws = {"update": update, "batch": int(equation.batch), "shared_batch": shared}
        training = _regress(*_train(equation.game, equation.lr, x0, keys[0], *guide, steps, **draws, **sizes))
    solver = {"scheme": scheme, "substeps": int(substeps)}
    solved = _regress(*_solve(equation, x0, keys[1], *guide, steps, **solver, **sizes))
    error = np.hypot(training.error, solved.error)
    return WeakError(solved.mean - training.mean, error, training, solved)


@functools.partial(jax.jit, static_argnames=("update", "capacity"))
def _propagators(game, lr, x0, steps, *, update, capacity):
    """The full-gradient path x_0, ..., x_{n - 1} and the derivatives P_k of x_n in x_{k + 1}; zeros beyond n."""
    flat, unravel = ravel_pytree(x0)
    rule, full = gda.rule(update), gda.stochastic_field(game)

    def step(flat):
        return ravel_pytree(rule.step(full, unravel(flat), (), lr=lr, key=jax.random.key(0))[0])[0]

    def forth(k, state):
        x, path = state
        return step(x), path.at[k].set(x)

    def back(k, state):
        product, products = state
        k = steps - 1 - k
        return product @ jax.jacfwd(step)(path[k]), products.at[k].set(product)

    _, path = jax.lax.fori_loop(0, steps, forth, (flat, jnp.zeros((capacity, flat.size), flat.dtype)))
    one = jnp.eye(flat.size, dtype=flat.dtype)
    _, products = jax.lax.fori_loop(0, steps, back, (one, jnp.zeros((capacity, *one.shape), flat.dtype)))
    return path, products


def _controls(products, covariances, y):
    """The entries of Y and of Y Y^T less its mean."""
    expected = jnp.einsum("kab,kbc,kdc->ad", products, covariances, products)
    rows, columns = np.triu_indices(y.shape[-1])
    squares = y[:, rows] * y[:, columns] - expected[rows, columns]
    return jnp.concatenate([y, squares], axis=1)


@functools.partial(jax.jit, static_argnames=("update", "function", "batch", "shared_batch", "size", "chunk"))
def _train(game, lr, x0, key, path, products, steps, *, update, function, batch, shared_batch, size, chunk):
    flat, unravel = ravel_pytree(x0)
    rule, drawn = gda.rule(update), gda.stochastic_field(game, batch=batch, shared_batch=shared_batch)
    scale = scales(lr, x0)

    def spread(x):
        matrix = noise.batch_covariance(game, unravel(x), batch=batch, shared_batch=shared_batch)
        return ravel_pytree(game.field(unravel(x)))[0], matrix * scale[:, None] * scale

    means, covariances = jax.lax.map(spread, path)

    def simulated(key):
        def step(k, state):
            x, y = state
            draw = jax.random.fold_in(key, k)
            moved = rule.step(drawn, unravel(x), (), lr=lr, key=draw)[0]
            # The alternating rule folds the number of the inner step, 0, into its key: this is the same draw.
            same = jax.random.fold_in(draw, 0) if update == "alternating" else draw
            push = scale * (ravel_pytree(drawn(unravel(path[k]), same))[0] - means[k])
            return ravel_pytree(moved)[0], y + products[k] @ push

        x, y = jax.lax.fori_loop(0, steps, step, (flat, jnp.zeros_like(flat)))
        return jnp.asarray(function(unravel(x))), y

    values, y = simulate.ensemble(simulated, size=size, key=key, chunk=chunk)
    return values, _controls(products, covariances, y)


@functools.partial(jax.jit, static_argnames=("function", "scheme", "substeps", "size", "chunk"))
def _solve(equation, x0, key, path, products, steps, *, function, scheme, substeps, size, chunk):
    flat, unravel = ravel_pytree(x0)
    advance, h = schemes.SCHEMES[scheme], jnp.asarray(1 / substeps, flat.dtype)
    factors = jax.lax.map(lambda x: factor(h * equation.covariance(unravel(x))), path)

    def simulated(key):
        def step(k, state):
            x, y = state
            draws = schemes.draws(x, jax.random.fold_in(key, k), scheme=scheme)
            push = factors[k // substeps] @ ravel_pytree(draws.w)[0]
            return advance(equation, x, h, draws), y + products[k // substeps] @ push

        x, y = jax.lax.fori_loop(0, steps * substeps, step, (x0, jnp.zeros_like(flat)))
        return jnp.asarray(function(x)), y

    values, y = simulate.ensemble(simulated, size=size, key=key, chunk=chunk)
    covariances = substeps * jax.vmap(lambda f: f @ f.T)(factors)
    return values, _controls(products, covariances, y)


def _regress(values, controls):
    """Mean of the values at controls equal to their own means, zero, and its standard error."""
    values, controls = np.asarray(values, float), np.asarray(controls, float)
    shape, values = values.shape[1:], values.reshape(len(values), -1)
    if not np.isfinite(values).all():
        return Estimate(values.mean(0).reshape(shape), np.full(shape, np.inf))
    controls = controls / np.maximum(controls.std(0), 1e-300)
    design = np.concatenate([np.ones((len(values), 1)), controls], axis=1)
    coefficients, _, rank, _ = np.linalg.lstsq(design, values, rcond=None)
    residual = values - design @ coefficients
    error = np.sqrt((residual**2).sum(0) / (len(values) - rank) / len(values))
    return Estimate(coefficients[0].reshape(shape), error.reshape(shape))


class Slope(NamedTuple):
    """A fitted order of convergence and its standard error."""

    slope: Any
    error: Any


def order(rates, errors, uncertainties=None):
    r"""Return the slope of :math:`\log|e|` over :math:`\log\eta`, and its standard error.

    Args:
        rates: the rates, at least two (three without uncertainties).
        errors: the errors measured at them, of either sign; along the first axis.
        uncertainties: standard errors of the errors. The fit is then weighted by them, and the standard error of the
            slope is what they imply. Without them, it comes from the scatter about the line, which for exact errors is
            their curvature.

    Returns:
        `Slope`.

    Raises:
        ValueError: if the numbers of rates and errors differ, or are too few.

    >>> order([0.1, 0.05, 0.025], [0.2, 0.05, 0.0125]).slope.round(6)
    np.float64(2.0)
    """
    x, e = np.log(np.asarray(rates, float)), np.asarray(errors, float)
    if e.shape[:1] != x.shape or x.ndim != 1 or len(x) < (3 if uncertainties is None else 2):
        raise ValueError(
            f"a slope needs one error per rate, two of them, or three without uncertainties, found shapes {x.shape} "
            f"and {e.shape}; for example order([0.1, 0.05, 0.025], [0.2, 0.05, 0.0125])"
        )
    x = x.reshape(-1, *(1,) * (e.ndim - 1))
    weights = np.ones_like(e) if uncertainties is None else (e / np.asarray(uncertainties, float)) ** 2
    y = np.log(np.abs(e))
    centre = (weights * x).sum(0) / weights.sum(0)
    spread = (weights * (x - centre) ** 2).sum(0)
    slope = (weights * (x - centre) * y).sum(0) / spread
    if uncertainties is not None:
        return Slope(slope, 1 / np.sqrt(spread))
    level = (weights * y).sum(0) / weights.sum(0)
    scatter = ((y - level - slope * (x - centre)) ** 2).sum(0) / (len(x) - 2)
    return Slope(slope, np.sqrt(scatter / spread))
