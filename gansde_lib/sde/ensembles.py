"""Paths, ensembles and expectations of an equation."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jax.tree_util import Partial

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
    return equation.check(x0), fixed | {"increments": increments, "noise": noise}


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
    h = jnp.asarray(1 / substeps, jnp.result_type(*jax.tree.leaves(x0)))

    def step(x, key):
        draws = schemes.draws(x, key, scheme=scheme, increments=increments, source=noise)
        return schemes.SCHEMES[scheme](equation, x, h, draws)

    path = simulate.trajectory(step, x0, steps=steps * substeps, key=key, every=every * substeps)
    return jax.vmap(record)(path) if record else path


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
    **how,
):
    """Return the final states of `size` independent paths; no path is stored.

    Args:
        equation, x0, steps, scheme, substeps, increments, noise: as in `run`.
        size: number of paths.
        key: random key of the ensemble. The paths are not those that `run` gives for keys folded from it.
        **how: `workers`, `progress` and `store`, see `simulate.work.pieces`; with noise="samples" instead `chunk`, how
            many paths run side by side.

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
    if noise == "samples":
        every = max(int(steps), 1)
        return _from_samples(equation, x0, key, size=int(size), every=every, record=None, **fixed, **how)
    return simulate.paths(*_recursion(equation, x0, fixed), size=size, key=key, **_random(x0, fixed), **how)


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
    **how,
):
    """Return the mean of a test function along time, over `size` paths that are added up and never stored.

    Args:
        equation, x0, steps, scheme, substeps, increments, noise: as in `run`.
        function: test function of `Players`, with values in any pytree of arrays, for example the game's value.
        size, key: as in `ensemble`; equal keys give equal paths.
        every: distance of the times at which the function is looked at; by default the start and the end only.
        **how: as in `ensemble`.

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
    if noise == "samples":
        mean, variance = _from_samples(
            equation, x0, key, size=int(size), every=every, record=function, stored=False, **fixed, **how
        )
        return Expectation(mean, jax.tree.map(lambda v: jnp.sqrt(v / size), variance), variance)
    simulate.check_every(every, steps)
    found = simulate.averages(
        *_recursion(equation, x0, fixed),
        size=size,
        key=key,
        observe=function,
        every=every * substeps,
        **_random(x0, fixed),
        **how,
    )
    return Expectation(found.mean, found.error, found.variance)


def _recursion(equation, x0, fixed):
    """Step and start for `simulate.paths`."""
    h = jnp.asarray(1 / fixed["substeps"], jnp.result_type(*jax.tree.leaves(x0)))
    return Partial(_substep(fixed["scheme"]), (equation, h)), x0


def _random(x0, fixed):
    """Number of steps and kinds of increments for `simulate.paths`."""
    found = {"steps": fixed["steps"] * fixed["substeps"], "increments": fixed["increments"]}
    if fixed["scheme"] != "weak2":
        return found
    size = ravel_pytree(x0)[0].size
    return found | {"increments": (fixed["increments"], "two-point"), "noise": (x0, jnp.zeros((size, size)))}


@functools.cache
def _substep(scheme):
    """A scheme as a step of `simulate.paths`: one function for each, so that nothing is compiled twice."""

    def substep(parameters, x, w):
        equation, h = parameters
        return schemes.SCHEMES[scheme](equation, x, h, schemes.Draws(*w) if scheme == "weak2" else schemes.Draws(w))

    return substep


@functools.partial(
    jax.jit,
    static_argnames=(
        "steps", "scheme", "substeps", "increments", "noise", "size", "chunk", "every", "record", "stored"
    ),
)  # fmt: skip
def _from_samples(equation, x0, key, *, size, chunk=1024, stored=True, **fixed):
    """Final states, or moments along time, of paths whose noise is drawn from a random key of their own."""
    if not stored:
        return simulate.moments(lambda key: _run(equation, x0, key, **fixed), size=size, key=key, chunk=chunk)
    return simulate.ensemble(
        lambda key: jax.tree.map(lambda leaf: leaf[-1], _run(equation, x0, key, **fixed)),
        size=size,
        key=key,
        chunk=chunk,
    )
