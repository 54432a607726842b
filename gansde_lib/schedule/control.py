r"""Learning rates that look at the state: the equations of Hamilton-Jacobi-Bellman and of Isaacs on a grid.

Each coordinate :math:`x_i` belongs to one player, who picks :math:`u_i \in [\ell, 1]`, the share of the full rate:

.. math:: dX_i = u_i\, b_i(X)\,dt + u_i \sqrt{s_i(X)}\,dW_i, \qquad
          v_t + \sum_i \operatorname*{opt}_{u_i} \Bigl( u_i\, b_i\, \partial_i v
          + \tfrac12 u_i^2\, s_i\, \partial_i^2 v \Bigr) = 0, \qquad v(T, \cdot) = g ,

where opt is min for a player who minimises the mean of g at the end, and max for one who maximises it. No term contains
both controls, so that min max = max min. Differences are taken on the side that the drift comes to, which makes the
scheme monotone: it is the exact dynamic programme of a Markov chain on the grid.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gansde_lib import _checks, gda, noise, simulate
from gansde_lib.games import Players

SENSES = {"min": 1.0, "max": -1.0}


class Solution(NamedTuple):
    """The value on a grid and the controls that attain it.

    `times`, of shape (K + 1,); `axes`, one array of grid points for each coordinate; `value`, of shape (K + 1, cells,
    ...); `controls`, for each coordinate an array of the same shape, where entry k is in force from `times[k]` on.
    """

    times: Any
    axes: tuple
    value: Any
    controls: tuple

    def at(self, *x):
        """Return the value at the start at a point, interpolated linearly."""
        return interpolate(self.value[0], self.axes, jnp.asarray(x, self.value.dtype))


class Rollout(NamedTuple):
    """Runs under given controls: the final `states`, of shape (paths, d), and their `costs`."""

    states: Any
    costs: Any

    @property
    def mean(self):
        """Mean cost."""
        return self.costs.mean()

    @property
    def error(self):
        """Its standard error."""
        return self.costs.std(ddof=1) / np.sqrt(len(self.costs))


def best_share(slope, bend, least):
    r"""Return the u in :math:`[\ell, 1]` that minimises :math:`u p + \tfrac12 u^2 q`.

    .. math:: u = \operatorname{clip}(-p / q,\ \ell,\ 1) \text{ if } q > 0, \text{ otherwise the better end.}

    Args:
        slope, bend: p and q, arrays.
        least: :math:`\ell`.

    >>> best_share(jnp.array([-0.5, -3.0, 1.0, -1.0]), jnp.array([1.0, 1.0, 1.0, -1.0]), 0.0) + 0.0
    Array([0.5, 1. , 0. , 1. ], dtype=float32)
    """
    inside = jnp.clip(-slope / jnp.where(bend > 0, bend, 1), least, 1)
    end = jnp.where(slope + bend / 2 <= least * slope + least**2 * bend / 2, 1, least)
    return jnp.where(bend > 0, inside, end).astype(slope.dtype)


def solve(drift, variance, cost, *, axes, horizon, senses, least=0.0, records=100, controls=None):
    r"""Solve the equation on a grid, backwards from the horizon.

    Args:
        drift, variance: :math:`b_i` and :math:`s_i` on the grid, tuples of one array for each coordinate, at full rate
            and per unit of time.
        cost: g on the grid.
        axes: one increasing, evenly spaced array of points for each coordinate. Paths are reflected at the ends.
        horizon: T.
        senses: "min" or "max" for each coordinate.
        least: :math:`\ell`, the least share of the rate that a player may pick.
        records: K. Steps are far shorter, as monotonicity demands.
        controls: instead of the best ones, given ones of shape (K + 1, cells, ...) for each coordinate: `value` is then
            what they cost.

    Returns:
        A `Solution`.

    Raises:
        ValueError: for shapes that do not fit, an unknown sense, a `least` outside [0, 1].

    Source: Barles and Souganidis (1991) for why monotone, stable and consistent schemes converge.

    >>> grid = np.linspace(-3, 3, 61)
    >>> found = solve((-grid,), (0 * grid + 0.2,), grid**2 / 2, axes=(grid,), horizon=2.0, senses=("min",), least=1.0)
    >>> f"{found.at(1.5):.2f}"  # the mean loss at full rate is 0.070
    '0.08'
    """
    example = "solve((-x,), (0 * x + 0.2,), x**2 / 2, axes=(x,), horizon=2.0, senses=('min',))"
    shape = tuple(len(axis) for axis in axes)
    for name, arrays in {"drift": drift, "variance": variance, "cost": (cost,)}.items():
        found = [np.shape(array) for array in arrays]
        if any(one != shape for one in found) or (name != "cost" and len(found) != len(shape)):
            raise ValueError(f"{name} must have the shape {shape} of the grid, found {found}; for example {example}")
    if len(senses) != len(shape):
        raise ValueError(f"senses must have {len(shape)} entries, found {senses!r}; for example {example}")
    for sense in senses:
        _checks.choice("a sense", sense, SENSES, example=example)
    _checks.positive("horizon", horizon, example=example)
    _checks.whole("records", records, minimum=1, example=example)
    if not 0 <= float(least) <= 1:
        raise ValueError(f"least must lie in [0, 1], found {least!r}; for example least=0.0")
    gaps = tuple(float(axis[1] - axis[0]) for axis in axes)
    # A step may not take more probability out of a cell than there is.
    outflow = sum(np.abs(b) / h + np.asarray(s) / h**2 for b, s, h in zip(drift, variance, gaps, strict=True))
    inner = int(np.ceil(horizon * float(np.max(outflow)) / records))
    real = jnp.result_type(float)
    drift, variance, axes = (tuple(jnp.asarray(part, real) for part in parts) for parts in (drift, variance, axes))
    signs = tuple(SENSES[sense] for sense in senses)
    step = jnp.asarray(horizon / (records * max(inner, 1)), real)
    given = None if controls is None else tuple(jnp.asarray(part, real) for part in controls)
    numbers = (drift, variance, jnp.asarray(cost, real), gaps, signs, jnp.asarray(least, real), step, jnp.int32(inner))
    value, found = _backwards(*numbers, given, records=records)
    return Solution(jnp.linspace(0, horizon, records + 1), axes, value, found)


def _pick(k, parts):
    return tuple(part[k] for part in parts)


def _neighbours(v, axis):
    """The values one cell up and one cell down; beyond the ends, those at the ends."""
    first, last = (jax.lax.slice_in_dim(v, k, k + 1, axis=axis) for k in (0, v.shape[axis] - 1))
    inside = jax.lax.slice_in_dim(v, 1, None, axis=axis), jax.lax.slice_in_dim(v, 0, v.shape[axis] - 1, axis=axis)
    return jnp.concatenate([inside[0], last], axis), jnp.concatenate([first, inside[1]], axis)


@functools.partial(jax.jit, static_argnames="records")
def _backwards(drift, variance, cost, gaps, signs, least, step, inner, given, *, records):
    def terms(v, i):
        """What multiplies u and u^2 / 2 for player i."""
        up, down = _neighbours(v, i)
        slope = jnp.where(drift[i] > 0, up - v, v - down) * drift[i] / gaps[i]
        return slope, (up - 2 * v + down) * variance[i] / gaps[i] ** 2

    def choose(v):
        pairs = (terms(v, i) for i in range(len(drift)))
        return tuple(best_share(sign * p, sign * q, least) for sign, (p, q) in zip(signs, pairs, strict=True))

    def backwards(v, k):
        def advance(_, v):
            shares = choose(v) if given is None else _pick(k, given)
            pairs = (terms(v, i) for i in range(len(drift)))
            return v + step * sum(u * p + u**2 * q / 2 for u, (p, q) in zip(shares, pairs, strict=True))

        v = jax.lax.fori_loop(0, inner, advance, v)
        return v, (v, choose(v) if given is None else _pick(k, given))

    last = choose(cost) if given is None else _pick(-1, given)
    _, (values, controls) = jax.lax.scan(backwards, cost, jnp.arange(records), reverse=True)
    join = functools.partial(jax.tree.map, lambda rest, end: jnp.concatenate([rest, end[None]]))
    return join(values, cost), join(controls, last)


def hjb(drift, variance, cost, *, lower, upper, cells, horizon, least=0.0, records=100):
    """Solve the problem of one player on a line: the rate that makes the mean cost at the end smallest.

    Args:
        drift, variance, cost: functions of one point: displacement and variance per unit of time at full rate, and g.
        lower, upper, cells: the grid of `cells` points.
        horizon, least, records: as in `solve`.

    Returns:
        A `Solution`.

    Raises:
        ValueError: for an empty interval or too few points, and as `solve`.

    >>> found = hjb(lambda x: -x, lambda x: 0.2, lambda x: x**2 / 2, lower=-3.0, upper=3.0, cells=121, horizon=2.0)
    >>> bool(found.at(1.5) < 0.06)  # without looking at the state: 0.068
    True
    """
    grid = line(lower, upper, cells)
    on_grid = (np.asarray(jax.vmap(lambda x, f=f: jnp.asarray(f(x), x.dtype))(grid)) for f in (drift, variance, cost))
    drift, variance, cost = on_grid
    options = {"horizon": horizon, "least": least, "records": records}
    return solve((drift,), (variance,), cost, axes=(grid,), senses=("min",), **options)


def line(lower, upper, cells):
    """Return `cells` evenly spaced points from `lower` to `upper`.

    >>> line(-1.0, 1.0, 3)
    array([-1.,  0.,  1.])
    """
    example = "lower=-3.0, upper=3.0, cells=121"
    _checks.whole("cells", cells, minimum=3, example=example)
    if not lower < upper:
        raise ValueError(f"lower must be less than upper, found {lower!r} and {upper!r}; for example {example}")
    return np.linspace(lower, upper, cells)


def isaacs(game, *, lr, batch, lower, upper, cells, horizon, least=0.0, records=100, cost=None):
    r"""Solve the game of two players on a plane who each pick a learning rate at every moment.

    Theta makes the mean of g at the end small, omega makes it large. With :math:`t = \eta k` the field F is the drift,
    and :math:`\eta\,\Sigma / B` of each player, with independent batches, the variance.

    Args:
        game: a zero-sum game with one number for each player.
        lr: :math:`\eta`, the full rate of both.
        batch: B.
        lower, upper, cells: the grid, the same for both coordinates: a number of points, for each.
        horizon, least, records: as in `solve`; the horizon is in units of t.
        cost: g, a function of `Players` of numbers; the game's payoff by default.

    Returns:
        A `Solution`, whose controls are those of theta and of omega.

    Raises:
        ValueError: for a game that is not zero-sum, players that are not numbers, and as `solve`.

    Source: the equation is the natural one for the problem of Guo and Mounjid (2021); derived here.

    >>> from gansde_lib import games
    >>> samples = {"a": np.array([1.0, -1.0]), "b": np.array([1.0, -1.0])}
    >>> game = games.quadratic(1.0, 1.0, 1.0, samples=samples)
    >>> found = isaacs(game, lr=0.1, batch=1, lower=-2.0, upper=2.0, cells=21, horizon=1.0, records=10)
    >>> found.value.shape
    (11, 21, 21)
    """
    if not game.zero_sum:
        raise ValueError(
            "the equation of Isaacs needs a zero-sum game, found one with a generator_payoff; for example "
            'games.dirac(penalty=0.3) and not games.dirac("non-saturating")'
        )
    _checks.whole("batch", batch, minimum=1, example="isaacs(game, lr=0.1, batch=4, ...)")
    rate = gda.rates(lr).theta
    grid = line(lower, upper, cells)
    try:
        jax.eval_shape(game.value, Players(jnp.float32(0), jnp.float32(0)))
    except (TypeError, IndexError, ValueError) as error:
        raise ValueError(
            f"each player must be one number, found a payoff that refuses two: {error}; for example "
            "games.quadratic(1.0, 1.0, 1.0)"
        ) from error
    drift, spread, payoff = _tabulate(game, jnp.asarray(grid, jnp.result_type(float)))
    if cost is not None:
        payoff = simulate.sweep(lambda theta, omega: cost(Players(theta, omega)), *2 * (np.asarray(grid),))
    variance = tuple(rate / batch * np.asarray(part) for part in spread)
    options = {"horizon": horizon, "least": least, "records": records}
    drift = tuple(map(np.asarray, drift))
    return solve(drift, variance, np.asarray(payoff), axes=(grid, grid), senses=("min", "max"), **options)


@jax.jit
def _tabulate(game, grid):
    """The field, the variance of one sample's field, and the payoff on the plane."""

    def at(theta, omega):
        x = Players(theta, omega)
        rows = noise.per_sample_field(game, x)
        return tuple(game.field(x)), tuple(rows.var(axis=0)), game.value(x)

    return jax.vmap(jax.vmap(at, (None, 0)), (0, None))(grid, grid)


def interpolate(table, axes, x):
    """Return a table on a grid at the point `x` of shape (d,), interpolated linearly; beyond the ends, its end value.

    >>> interpolate(jnp.array([0.0, 8.0]), (jnp.array([0.0, 1.0]),), jnp.array([0.25]))
    Array(2., dtype=float32)
    """
    places = [(x[i] - axis[0]) / (axis[1] - axis[0]) for i, axis in enumerate(axes)]
    return jax.scipy.ndimage.map_coordinates(table, places, order=1, mode="nearest")


def rollout(solution, drift, variance, cost, x0, *, steps, paths, key):
    """Run the equation under a solution's own controls, by small Gaussian steps.

    Args:
        solution: a `Solution`; with other controls, `solution._replace(controls=...)`.
        drift, variance: functions of a state of shape (d,): displacement and variance per unit of time, (d,) each.
        cost: a function of a state.
        x0: the start, of shape (d,).
        steps: number of steps, a multiple of the number of records.
        paths: number of runs.
        key: random key.

    Returns:
        A `Rollout`.

    Raises:
        ValueError: if `steps` is not a multiple of the number of records.

    >>> loss = lambda x: x[0] ** 2 / 2
    >>> found = hjb(lambda x: -x, lambda x: 0.2, lambda x: x**2 / 2, lower=-3.0, upper=3.0, cells=61, horizon=2.0)
    >>> options = {"steps": 200, "paths": 100, "key": jax.random.key(0)}
    >>> rollout(found, lambda x: -x, lambda x: 0.2 + 0 * x, loss, [1.5], **options).costs.shape
    (100,)
    """
    records = len(solution.times) - 1
    _checks.whole("steps", steps, minimum=1, example="rollout(..., steps=1000, paths=1000, key=key)")
    _checks.whole("paths", paths, minimum=1, example="rollout(..., steps=1000, paths=1000, key=key)")
    if steps % records:
        raise ValueError(
            f"steps must be a multiple of the {records} records of the solution, found {steps}; "
            f"for example steps={10 * records}"
        )
    start = jnp.asarray(x0, solution.value.dtype)
    if start.shape != (len(solution.axes),):
        raise ValueError(
            f"x0 must have shape ({len(solution.axes)},), found {start.shape}; for example {[1.0] * len(solution.axes)}"
        )
    states, costs = _roll(solution, drift, variance, cost, start, key, steps=steps, paths=paths)
    return Rollout(np.asarray(states), np.asarray(costs))


@functools.partial(jax.jit, static_argnames=("drift", "variance", "cost", "steps", "paths"))
def _roll(solution, drift, variance, cost, start, key, *, steps, paths):
    records = len(solution.times) - 1
    each, dt = steps // records, (solution.times[-1] - solution.times[0]) / steps
    lower, upper = (jnp.stack([axis[k] for axis in solution.axes]) for k in (0, -1))

    def advance(x, step, key):
        tables = _pick(step // each, solution.controls)
        share = jnp.stack([interpolate(table, solution.axes, x) for table in tables])
        kick = jax.random.normal(key, x.shape, x.dtype) * jnp.sqrt(dt * variance(x))
        return jnp.clip(x + share * (dt * drift(x) + kick), lower, upper)

    def path(key):
        def step(k, x):
            return advance(x, k, jax.random.fold_in(key, k))

        return jax.lax.fori_loop(0, steps, step, start)

    states = simulate.ensemble(path, size=paths, key=key, chunk=paths)
    return states, jax.vmap(cost)(states)
