"""Paths, ensembles and expectations of an equation."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from gansde_lib import _checks, simulate
from gansde_lib.sde import schemes

_CALL = "ensemble(equation, x0, steps=100, size=1000, key=jax.random.key(0))"


def _settings(equation, x0, steps, scheme, substeps, increments, noise):
    _checks.whole("steps", steps, minimum=0, example=_CALL)
    _checks.whole("substeps", substeps, minimum=1, example=f"{_CALL[:-1]}, substeps=2)")
    schemes.check(scheme, increments, noise)
    if noise == "samples" and equation.covariance_correction:
        raise ValueError(
            'noise="samples" knows no covariance correction; for example covariance_correction=False or noise="matrix"'
        )
    fixed = {"steps": int(steps), "scheme": scheme, "substeps": int(substeps)}
    return equation.game.check(x0), fixed | {"increments": increments, "noise": noise}


def run(
    equation,
    x0,
    *,
    steps,
    key,
    scheme="weak2",
    substeps=1,
    increments="gaussian",
    noise="matrix",
    every=1,
    record=None,
):
    """Return one path of an equation, as `gda.run` returns one of training.

    Args:
        equation: an `Equation`.
        x0: `Players`, the start.
        steps: number of updates, which is the time the path takes.
        key: random key.
        scheme: "weak2", of weak order 2 in the substep for any noise; "splitting", cheaper, and for small rates nearly
            as good; "heun", cheaper still; or "euler", of order 1. See `schemes`.
        substeps: substeps per update. To see the solver's own error, double them.
        increments: "gaussian", "three-point", or for "euler" "two-point".
        noise: "matrix" factors the (d, d) covariance; "samples" draws noise as `noise.sample` does, without a matrix,
            for networks: not with "weak2".
        every: distance of the recorded updates, a divisor of `steps`.
        record: function of the players, what to keep of each recorded state; by default the players.

    Returns:
        `Players`, or what `record` returns, with a leading axis of length `steps // every + 1`. A diverging path is
        returned as it is, with infinities or NaN.

    Raises:
        ValueError: for an unknown scheme, increment or noise, or combinations that do not fit; for negative steps,
            substeps below 1, an `every` that does not divide the steps, a start that is not finite or does not fit.

    >>> from gansde_lib import games
    >>> from gansde_lib.sde import modified_equation
    >>> equation = modified_equation(games.bilinear(1.0), lr=0.1, batch=None)
    >>> run(equation, games.Players(1.0, 0.0), steps=100, key=jax.random.key(0)).theta.shape
    (101,)
    """
    x0, fixed = _settings(equation, x0, steps, scheme, substeps, increments, noise)
    return _run(equation, x0, key, every=every, record=record, **fixed)


@functools.partial(jax.jit, static_argnames=("steps", "scheme", "substeps", "increments", "noise", "every", "record"))
def _run(equation, x0, key, *, steps, scheme, substeps, increments, noise, every, record):
    flat, unravel = ravel_pytree(x0)
    advance = schemes.SCHEMES[scheme]

    def step(x, key):
        return advance(equation, unravel, x, jnp.asarray(1 / substeps, x.dtype), key, increments, noise)

    path = simulate.trajectory(step, flat, steps=steps * substeps, key=key, every=every * substeps)
    return jax.vmap(lambda x: (record or _players)(unravel(x)))(path)


def _players(x):
    return x


def ensemble(
    equation,
    x0,
    *,
    steps,
    size,
    key,
    scheme="weak2",
    substeps=1,
    increments="gaussian",
    noise="matrix",
    chunk=1024,
):
    """Return the final states of `size` independent paths; no path is stored.

    Args:
        equation, x0, steps, scheme, substeps, increments, noise: as in `run`.
        size: number of paths; path i uses `fold_in(key, i)`.
        key: random key of the ensemble.
        chunk: how many paths run side by side; changes speed and memory, not the result.

    Returns:
        `Players` with a leading axis of length `size`. Diverged paths are infinite or NaN.

    Raises:
        ValueError: as `run`, and for a size below 1.

    >>> from gansde_lib import games
    >>> from gansde_lib.sde import modified_equation
    >>> equation = modified_equation(games.toy_gan(size=4), lr=0.05, batch=2, update="alternating")
    >>> start = games.Players(jnp.zeros(2), jnp.ones(2))
    >>> ensemble(equation, start, steps=10, size=7, key=jax.random.key(0)).theta.shape
    (7, 2)
    """
    x0, fixed = _settings(equation, x0, steps, scheme, substeps, increments, noise)
    _checks.whole("size", size, minimum=1, example=_CALL)
    return _ensemble(equation, x0, key, size=int(size), chunk=int(chunk), **fixed)


@functools.partial(jax.jit, static_argnames=("steps", "scheme", "substeps", "increments", "noise", "size", "chunk"))
def _ensemble(equation, x0, key, *, steps, size, chunk, **fixed):
    def final(key):
        path = _run(equation, x0, key, steps=steps, every=max(steps, 1), record=None, **fixed)
        return jax.tree.map(lambda leaf: leaf[-1], path)

    return simulate.ensemble(final, size=size, key=key, chunk=chunk)


class Expectation(NamedTuple):
    """Means over paths, standard errors of these means, and variances over paths, each as the test function's value."""

    mean: Any
    error: Any
    variance: Any


def expectation(
    equation,
    function,
    x0,
    *,
    steps,
    size,
    key,
    every=None,
    scheme="weak2",
    substeps=1,
    increments="gaussian",
    noise="matrix",
    chunk=1024,
):
    """Return the mean of a test function along time, over `size` paths that are added up and never stored.

    Args:
        equation, x0, steps, scheme, substeps, increments, noise: as in `run`.
        function: test function of `Players`, with values in any pytree of arrays, for example the game's value.
        size, key, chunk: as in `ensemble`; equal keys give equal paths.
        every: distance of the times at which the function is looked at; by default the start and the end only.

    Returns:
        `Expectation`, whose entries have a leading axis of length `steps // every + 1`.

    Raises:
        ValueError: as `ensemble`.

    >>> from gansde_lib import games
    >>> from gansde_lib.sde import modified_equation
    >>> game = games.toy_gan(size=4)
    >>> equation = modified_equation(game, lr=0.05, batch=2)
    >>> start = games.Players(jnp.zeros(2), jnp.ones(2))
    >>> expectation(equation, game.value, start, steps=10, size=7, every=5, key=jax.random.key(0)).mean.shape
    (3,)
    """
    x0, fixed = _settings(equation, x0, steps, scheme, substeps, increments, noise)
    _checks.whole("size", size, minimum=1, example=_CALL)
    every = max(int(steps), 1) if every is None else every
    return _expectation(equation, x0, key, function=function, size=int(size), chunk=int(chunk), every=every, **fixed)


@functools.partial(
    jax.jit,
    static_argnames=(
        "steps", "scheme", "substeps", "increments", "noise", "size", "chunk", "every", "function"
    ),
)  # fmt: skip
def _expectation(equation, x0, key, *, function, size, chunk, **fixed):
    mean, variance = simulate.moments(
        lambda key: _run(equation, x0, key, record=function, **fixed), size=size, key=key, chunk=chunk
    )
    return Expectation(mean, jax.tree.map(lambda v: jnp.sqrt(v / size), variance), variance)
