"""Solvers: weak orders without Monte Carlo, ensembles against exact moments, diffrax as oracle, flows, refusals."""

import functools
import itertools

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
from jax.flatten_util import ravel_pytree

from gansde_lib import Players, games, sde, simulate
from gansde_lib.sde import schemes
from gansde_lib.simulate import counters

# dx = A x dt + B_0 x dW_0 + B_1 x dW_1: damped, turning, and with noises that do not commute.
A = np.array([[-0.6, 0.9], [-1.1, -0.3]])
B = np.array([[[0.5, 0.2], [0.2, -0.5]], [[0.1, -0.7], [0.7, 0.1]]])
START = np.array([1.0, 0.5])
DEGREES = (1, 2, 3, 4)


def drift(x):
    return A @ x


def root(x):
    return jnp.stack([b @ x for b in B], axis=1)


def power(matrices):
    return functools.reduce(np.kron, matrices)


def exact(degree):
    """E x(1) tensored with itself `degree` times, by the exponential of its generator."""
    one = np.eye(2)
    generator = sum(power([A if i == k else one for i in range(degree)]) for k in range(degree))
    for b in B:
        for pair in itertools.combinations(range(degree), 2):
            generator = generator + power([b if i in pair else one for i in range(degree)])
    return scipy.linalg.expm(generator) @ power([START] * degree)


def outcomes(increments):
    """All increments with their probabilities; for Gaussian ones a quadrature that is exact up to degree 11."""
    values, weights = {
        "gaussian": np.polynomial.hermite_e.hermegauss(6),
        "three-point": (np.sqrt([3, 0, 3]) * [-1, 0, 1], np.array([1, 4, 1])),
        "two-point": (np.array([-1.0, 1.0]), np.array([1, 1])),
    }[increments]
    weights = weights / weights.sum()
    rows = [
        (a, b, sign, p * q / 2)
        for (a, p), (b, q) in itertools.product(zip(values, weights, strict=True), repeat=2)
        for sign in (-1, 1)
    ]
    return np.array(rows)[:, :3], np.array(rows)[:, 3]


def one_step(name, h, x, draw):
    w, sign = draw[:2], draw[2]
    if name == "euler":
        return x + h * drift(x) + jnp.sqrt(h) * root(x) @ w
    if name == "heun":
        force = drift(x)
        push = jnp.sqrt(h) * root(x + h / 2 * force) @ w
        return x + h / 2 * (force + drift(x + h * force + push)) + push
    if name == "splitting":
        return schemes.between(drift, lambda y: y + jnp.sqrt(h) * root(y) @ w, x, h)
    signs = jnp.full((2, 2), sign if name == "weak2" else 0.0)
    return schemes.between(drift, lambda y: schemes.platen(root, y, h, w, signs), x, h)


def slopes(name, increments):
    """Orders of convergence of all moments up to degree 4 at time 1: every step of a linear equation is linear."""
    draws, chances = outcomes(increments)
    errors = []
    for count in (16, 32):
        maps = np.asarray(
            jax.vmap(lambda draw, h=1 / count: jax.vmap(lambda x: one_step(name, h, x, draw), out_axes=1)(jnp.eye(2)))(
                draws
            )
        )
        row = []
        for degree in DEGREES:
            step = sum(p * power([m] * degree) for m, p in zip(maps, chances, strict=True))
            found = np.linalg.matrix_power(step, count) @ power([START] * degree)
            row.append(np.abs(found - exact(degree)).max())
        errors.append(row)
    return np.log2(np.divide(*errors))


ORDERS = [
    ("weak2", "gaussian", (4, 2, 2, 2)),
    ("weak2", "three-point", (4, 2, 2, 2)),
    ("weak2", "two-point", (4, 1, 1, 1)),  # the fourth moment is missed: refused by name
    ("no signs", "gaussian", (4, 1, 1, 1)),  # without V the noises would have to commute
    ("splitting", "gaussian", (4, 1, 1, 1)),
    ("heun", "gaussian", (2, 1, 1, 1)),
    ("euler", "gaussian", (1, 1, 1, 1)),
    ("euler", "three-point", (1, 1, 1, 1)),
    ("euler", "two-point", (1, 1, 1, 1)),
]


@pytest.mark.parametrize(("name", "increments", "expected"), ORDERS)
def test_weak_order_with_noises_that_do_not_commute(name, increments, expected):
    with jax.enable_x64(True):
        np.testing.assert_allclose(slopes(name, increments), expected, atol=0.25)


def test_local_order_with_a_noise_that_is_not_linear():
    """dx = -x dt / 2 + sqrt(1 + x^2) dW from x = 0.6: E x^2 and E x^4 solve linear equations; one step errs by h^3.

    The second difference of the root counts here; without it (`splitting`) the step errs by h^2.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(20)
    generator = np.array([[0.0, 0, 0], [1, 0, 0], [0, 6, 4]])  # of 1, E x^2, E x^4

    def bent(x):
        return jnp.sqrt(1 + x[:, None] ** 2)

    def errors(h, kick):
        def step(w):
            return schemes.between(lambda x: -x / 2, lambda y: kick(y, w[None], h), jnp.array([0.6]), h)[0]

        x = np.asarray(jax.vmap(step)(nodes))
        exact = scipy.linalg.expm(h * generator) @ [1, 0.6**2, 0.6**4]
        return np.abs([weights @ x**k / weights.sum() for k in (2, 4)] - exact[1:])

    kicks = {
        3: lambda y, w, h: schemes.platen(bent, y, h, w, jnp.ones((1, 1))),
        2: lambda y, w, h: y + jnp.sqrt(h) * bent(y) @ w,
    }
    with jax.enable_x64(True):
        for order, kick in kicks.items():
            np.testing.assert_allclose(np.log2(errors(0.01, kick) / errors(0.005, kick)), order, atol=0.15)


@pytest.mark.parametrize("kind", schemes.INCREMENTS)
def test_increments_have_their_moments(kind):
    """100,000 draws: mean, variance and third moment 0, 1, 0; the fourth 3, or 1 for two points."""
    w = np.asarray(schemes.increment(kind, jax.random.key(2), (100_000,), jnp.float32), float)
    fourth, sixth, eighth = {"gaussian": (3, 15, 105), "three-point": (3, 9, 27), "two-point": (1, 1, 1)}[kind]
    for degree, expected, variance in [(1, 0, 1), (2, 1, fourth - 1), (3, 0, sixth), (4, fourth, eighth - fourth**2)]:
        assert abs((w**degree).mean() - expected) <= 4 * np.sqrt(variance / w.size) + 1e-6


def noisy_game():
    """A linear-quadratic game in two dimensions whose noise depends strongly on the state."""
    rng = np.random.default_rng(11)
    samples = {name: 1.2 * rng.normal(size=(5, *shape)) for name, shape in [("P", (1, 1)), ("C", (1, 1)), ("a", (1,))]}
    return games.quadratic(np.eye(1), 1.3 * np.eye(1), np.eye(1), samples=samples)


NOISY, ORIGIN = noisy_game(), Players(np.array([1.0]), np.array([-0.5]))


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ({"scheme": "weak2"}, 40_000),
        ({"scheme": "weak2", "increments": "three-point"}, 20_000),
        ({"scheme": "heun", "noise": "samples", "substeps": 16}, 10_000),
        ({"scheme": "euler", "increments": "two-point", "substeps": 32}, 10_000),
    ],
)
def test_ensembles_have_the_exact_moments(options, size):
    """Rates of 0.3, far from small, and noise that depends on x: what is left is the standard error of the mean."""
    equation = sde.modified_equation(NOISY, lr=0.3, batch=2, update="alternating", shared_batch=True)
    exact = sde.equation_moments(equation, ORIGIN, time=4)
    options = {"substeps": 4} | options
    ends = sde.ensemble(equation, ORIGIN, steps=4, size=size, key=simulate.key(40), **options)
    x = np.hstack(ends).astype(float)
    products = x[:, :, None] * x[:, None, :]
    for found, expected in [(x, exact.mean), (products, exact.second)]:
        error = found.std(0) / np.sqrt(size)
        assert (error < 0.05).all() and (np.abs(found.mean(0) - expected) < 4 * error).all()


def test_expectation_is_that_of_the_ensemble():
    """The streamed mean, error and variance are those of the stored paths."""
    equation = sde.modified_equation(NOISY, lr=0.1, batch=2)
    options = {"steps": 6, "key": jax.random.key(3), "scheme": "heun"}

    def square(x):
        return {"theta": x.theta[0] ** 2, "both": jnp.concatenate(x)}

    ends = sde.ensemble(equation, ORIGIN, size=50, **options)
    found = sde.expectation(equation, square, ORIGIN, size=50, every=3, **options)
    assert found.mean["theta"].shape == (3,) and found.mean["both"].shape == (3, 2)
    np.testing.assert_allclose(found.mean["theta"][-1], np.mean(ends.theta**2), rtol=1e-5)
    np.testing.assert_allclose(found.variance["both"][-1], np.hstack(ends).var(0, ddof=1), rtol=1e-4)
    np.testing.assert_allclose(found.error["both"][-1], np.hstack(ends).std(0, ddof=1) / np.sqrt(50), rtol=1e-4)
    np.testing.assert_allclose(found.variance["both"][0], 0, atol=1e-7)


def test_streamed_moments_do_not_cancel():
    """A mean of 1e4 beside a spread of one, in float32."""
    mean, variance = simulate.moments(
        lambda key: 1e4 + jax.random.normal(key), size=5000, key=jax.random.key(1), chunk=64
    )
    stored = simulate.ensemble(lambda key: 1e4 + jax.random.normal(key), size=5000, key=jax.random.key(1))
    np.testing.assert_allclose(mean, np.mean(stored, dtype=float), rtol=1e-6)
    np.testing.assert_allclose(variance, np.var(stored, dtype=float, ddof=1), rtol=2e-3)


@pytest.mark.parametrize("scheme", ["weak2", "heun"])
def test_a_path_of_the_ensemble_is_the_scheme_with_its_increments(scheme):
    equation, key = sde.modified_equation(NOISY, lr=0.1, batch=2), jax.random.key(3)
    ends = sde.ensemble(equation, ORIGIN, steps=6, size=5, key=key, substeps=2, scheme=scheme)
    words, lanes, x = counters.words_of(key), jnp.arange(5, dtype=jnp.uint32), ORIGIN
    w = counters.block("gaussian", words, lanes, 0, 12, ORIGIN)
    signs = counters.block("two-point", counters.stream(words, 1), lanes, 0, 16, jnp.zeros((2, 2)))
    for t in range(12):
        draws = schemes.Draws(jax.tree.map(lambda leaf: leaf[..., 4], w(t)), signs(t)[..., 4])
        x = schemes.SCHEMES[scheme](equation, x, 0.5, draws)
    for found, expected in zip(ends, x, strict=True):
        np.testing.assert_allclose(found[4], expected, rtol=1e-5)


def test_diverging_paths_are_results():
    """Twice the stability limit of a strongly turning game: paths overflow and are returned."""
    game = games.quadratic(1.0, 50.0, 1.0, samples={"C": np.array([30.0, -30.0])})
    equation = sde.modified_equation(game, lr=1.0, batch=1, update="simultaneous")
    options = {"steps": 60, "size": 10, "key": jax.random.key(0), "scheme": "heun"}
    ends = sde.ensemble(equation, Players(1.0, 1.0), **options)
    assert not np.isfinite(np.asarray(ends.theta)).any()
    mean = sde.expectation(equation, lambda x: x.theta, Players(1.0, 1.0), **options).mean
    assert not np.isfinite(mean[-1]) and mean[0] == 1


def test_diffrax_solves_the_same_drift():
    """Tsit5 at tight tolerance against the Runge-Kutta flow, and against `heun` at its own order."""
    with jax.enable_x64(True):
        x0 = Players(jnp.array([0.2, 0.6]), jnp.array([0.8, -0.3]))
        equation = sde.modified_equation(games.toy_gan(size=8), lr=(0.3, 0.2), batch=None, update="alternating")
        flat, unravel = ravel_pytree(x0)
        term = diffrax.ODETerm(lambda t, y, args: ravel_pytree(equation.drift(unravel(y)))[0])
        oracle = diffrax.diffeqsolve(
            term, diffrax.Tsit5(), 0, 20, 0.1, flat, stepsize_controller=diffrax.PIDController(rtol=1e-11, atol=1e-11)
        ).ys[0]
        end = jax.tree.map(lambda leaf: leaf[-1], sde.flow(equation, x0, steps=20))
        np.testing.assert_allclose(np.concatenate(end), oracle, atol=1e-9)
        errors = []
        for substeps in (2, 4):
            path = sde.run(equation, x0, steps=20, key=jax.random.key(0), scheme="heun", substeps=substeps)
            errors.append(np.linalg.norm(np.concatenate([path.theta[-1], path.omega[-1]]) - oracle))
    assert abs(np.log2(errors[0] / errors[1]) - 2) < 0.2


def test_diffrax_solves_the_same_equation():
    """Diffrax's Euler with 32 substeps an update and `weak2` with 1, 4,000 paths each: means and second moments."""
    x0 = Players(jnp.array([0.2, 0.6]), jnp.array([0.8, -0.3]))
    equation = sde.modified_equation(games.toy_gan(size=4), lr=0.2, batch=1, update="alternating")
    flat, unravel = ravel_pytree(x0)

    def solve(key):
        noise = diffrax.VirtualBrownianTree(0.0, 10.0, tol=1 / 64, shape=(4,), key=key)
        terms = diffrax.MultiTerm(
            diffrax.ODETerm(lambda t, y, args: ravel_pytree(equation.drift(unravel(y)))[0]),
            diffrax.ControlTerm(lambda t, y, args: sde.square_root(equation.covariance(unravel(y))), noise),
        )
        return diffrax.diffeqsolve(terms, diffrax.Euler(), 0.0, 10.0, 1 / 32, flat).ys[0]

    oracle = np.asarray(jax.jit(lambda: simulate.ensemble(solve, size=4000, key=simulate.key(41), chunk=1000))(), float)
    ends = sde.ensemble(equation, x0, steps=10, size=4000, key=simulate.key(42))
    found = np.hstack(ends).astype(float)
    for a, b in [(oracle, found), (oracle[:, :, None] * oracle[:, None], found[:, :, None] * found[:, None])]:
        error = np.sqrt((a.var(0) + b.var(0)) / 4000)
        assert (error < 0.03).all() and (np.abs(a.mean(0) - b.mean(0)) < 4 * error + 0.002).all()


def test_refusals():
    equation = sde.modified_equation(NOISY, lr=0.1, batch=2)
    corrected = sde.modified_equation(NOISY, lr=0.1, batch=2, covariance_correction=True)
    key = jax.random.key(0)

    def call(equation=equation, x0=ORIGIN, steps=3, size=2, **options):
        return lambda: sde.ensemble(equation, x0, steps=steps, size=size, key=key, **options)

    cases = [
        (call(scheme="milstein"), "scheme must be one of 'weak2', 'splitting', 'heun', 'euler'"),
        (call(increments="two-point"), "two-point increments have the wrong fourth moment"),
        (call(increments="four-point"), "increments must be one of"),
        (call(noise="samples"), 'noise="samples" draws Gaussian vectors without a matrix'),
        (call(noise="gradients"), "noise must be one of"),
        (call(corrected, noise="samples", scheme="heun"), "knows no covariance correction"),
        (call(steps=-1), "steps must be an integer >= 0, found -1"),
        (call(substeps=0), "substeps must be an integer >= 1, found 0"),
        (call(size=0), "size must be an integer >= 1, found 0"),
        (call(x0=Players(np.array([np.nan]), np.zeros(1))), "theta must start finite"),
        (lambda: sde.run(equation, ORIGIN, steps=3, key=key, every=2), "every must divide steps"),
        (lambda: sde.flow(equation, ORIGIN, steps=3, substeps=0), "substeps must be an integer >= 1"),
        (lambda: sde.backward_error(equation, ORIGIN), "compares with full gradients, found batch=2"),
    ]
    for refused, message in cases:
        with pytest.raises(ValueError) as refusal:
            refused()
        assert message in str(refusal.value) and "for example" in str(refusal.value), str(refusal.value)
