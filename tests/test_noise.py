"""Minibatch covariances against loops in NumPy and against all minibatches of small games, listed one by one."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from gansde_lib import Game, Players, games, gda, neural, noise

SADDLE = Players(np.array([0.86652, -0.13996]), np.array([-0.37352, 0.39620]))
POINT = Players(np.array([0.7, -0.4]), np.array([0.9, 0.5]))


@pytest.fixture(autouse=True)
def double():
    """These tests compare exact numbers."""
    with jax.enable_x64(True):
        yield


def bent(theta, omega, sample):
    """A payoff without symmetry: its fields are neither linear nor uncorrelated between the players."""
    return jnp.sin(theta[0] * omega[0] + sample[0]) + theta[1] * omega[1] * sample[1] + sample[0] * omega[1] ** 2


def small(size=5, generator_payoff=None):
    samples = np.random.default_rng(1).normal(size=(size, 2))
    return Game(bent, samples, generator_payoff=generator_payoff)


def own(theta, omega, sample):
    return jnp.cos(theta[0] * sample[1]) * omega[0] + theta[1] ** 2 * sample[0]


def interacting(theta, omega, sample):
    """A payoff of pairs in which real and latent point do not separate."""
    return jnp.sin(sample.real * theta[0] + sample.latent * omega[1]) + theta[1] * omega[0] * sample.real


def product(real=4, latent=3):
    rng = np.random.default_rng(2)
    return Game(interacting, games.Product(rng.normal(size=real), rng.normal(size=latent)))


def numpy_fields(game, x):
    """Fields of all samples by one gradient each, in a loop."""
    rows = []
    leaves = jax.tree.leaves(game.samples)
    numbers = (
        itertools.product(*(range(len(leaf)) for leaf in leaves))
        if isinstance(game.samples, games.Product)
        else ((i,) for i in range(len(leaves[0])))
    )
    payoffs = (game.payoff if game.zero_sum else game.generator_payoff), game.payoff
    for number in numbers:
        if isinstance(game.samples, games.Product):
            sample = games.Sample(*(leaf[i] for leaf, i in zip(leaves, number, strict=True)))
        else:
            sample = game.samples[number[0]]
        descent = jax.grad(payoffs[0], argnums=0)(x.theta, x.omega, sample)
        ascent = jax.grad(payoffs[1], argnums=1)(x.theta, x.omega, sample)
        rows.append(np.concatenate([-np.ravel(descent), np.ravel(ascent)]))
    return np.array(rows)


def moments(fields):
    """Population covariance of rows."""
    centred = fields - fields.mean(0)
    return centred.T @ centred / len(fields)


GAMES = {
    "zero-sum": small(),
    "two payoffs": small(generator_payoff=own),
    "product": product(),
    "toy": games.toy_gan(size=6),
}


@pytest.mark.parametrize("game", GAMES.values(), ids=GAMES)
@pytest.mark.parametrize("chunk", [1, 4, 256])
def test_covariance_agrees_with_a_loop(game, chunk):
    """In chunks that divide the number of samples or not; the mean of the fields is the game's own field."""
    fields = numpy_fields(game, POINT)
    expected = moments(fields)
    np.testing.assert_allclose(noise.per_sample_field(game, POINT, chunk=chunk), fields, atol=1e-13)
    np.testing.assert_allclose(fields.mean(0), ravel_pytree(game.field(POINT))[0], atol=1e-13)
    np.testing.assert_allclose(noise.covariance(game, POINT, chunk=chunk), expected, atol=1e-13)
    both = noise.blocks(game, POINT, chunk=chunk)
    np.testing.assert_allclose(both.theta, expected[:2, :2], atol=1e-13)
    np.testing.assert_allclose(both.omega, expected[2:, 2:], atol=1e-13)
    np.testing.assert_allclose(np.concatenate(noise.diagonal(game, POINT, chunk=chunk)), np.diag(expected), atol=1e-13)
    traces = noise.trace(game, POINT, chunk=chunk)
    np.testing.assert_allclose(traces, [np.trace(expected[:2, :2]), np.trace(expected[2:, 2:])], rtol=1e-12)
    assert np.abs(expected[:2, 2:]).max() > 1e-3  # there is a cross block to be missed
    for player, block in ((None, expected), ("theta", expected[:2, :2]), ("omega", expected[2:, 2:])):
        values = noise.spectrum(game, POINT, player, chunk=chunk)
        np.testing.assert_allclose(values[: len(block)], np.linalg.eigvalsh(block)[::-1], atol=1e-13)
        assert np.abs(values[len(block) :]).max(initial=0.0) < 1e-13


def test_spectrum_of_more_parameters_than_samples():
    """The N x N matrix of inner products has the eigenvalues of the d x d covariance, and its directions."""
    game, x = neural.digits_gan(hidden=(3, 2), latent=2, real=neural.digits()[:12, 16:24], key=jax.random.key(0))
    x = jax.tree.map(lambda leaf: leaf.astype("float64"), x)
    matrix = np.asarray(noise.covariance(game, x))
    assert len(matrix) > 12
    found = noise.principal(game, x, count=15)
    expected = np.linalg.eigvalsh(matrix)[::-1]
    np.testing.assert_allclose(found.values, expected[:12], atol=1e-12 * expected[0])
    rank = int(np.sum(found.values > 1e-10 * found.values[0]))
    assert rank == 11  # one is lost to the mean
    np.testing.assert_allclose(found.directions[:8] @ found.directions[:8].T, np.eye(8), atol=1e-9)
    np.testing.assert_allclose(matrix @ found.directions[:8].T, found.values[:8] * found.directions[:8].T, atol=1e-12)
    assert np.all(found.directions[11:] == 0)
    squares = np.sum(matrix**2)
    np.testing.assert_allclose(found.effective_rank, np.trace(matrix) ** 2 / squares, rtol=1e-9)
    mine = noise.principal(game, x, count=1, player="omega").directions[0]
    assert np.all(mine[: noise.samples.count_theta(x)] == 0)


def all_minibatches(game, fields, batch, replacement):
    """Mean fields of all ordered minibatches, each as likely as the others."""
    size = len(fields)
    if not isinstance(game.samples, games.Product):
        draws = (
            itertools.product(range(size), repeat=batch) if replacement else itertools.permutations(range(size), batch)
        )
        return np.array([fields[list(draw)].mean(0) for draw in draws])
    shape = noise.samples.sizes(game)
    grid = fields.reshape(*shape, -1)
    some = [
        itertools.product(range(n), repeat=batch) if replacement else itertools.permutations(range(n), batch)
        for n in shape
    ]
    return np.array([grid[list(i), list(j)].mean(0) for i, j in itertools.product(*map(list, some))])


@pytest.mark.parametrize("game", [small(), small(generator_payoff=own), product(), product(3, 3)])
@pytest.mark.parametrize("replacement", [True, False])
@pytest.mark.parametrize("batch", [1, 2, 3])
def test_covariance_of_all_minibatches(game, batch, replacement):
    """Sigma/B with replacement; the finite-population factors without, three of them for pairs that interact."""
    means = all_minibatches(game, numpy_fields(game, POINT), batch, replacement)
    expected = moments(means)
    options = {"batch": batch, "replacement": replacement}
    np.testing.assert_allclose(
        noise.batch_covariance(game, POINT, shared_batch=True, **options), expected, rtol=0, atol=1e-13
    )
    apart = expected.copy()
    apart[:2, 2:] = apart[2:, :2] = 0
    np.testing.assert_allclose(noise.batch_covariance(game, POINT, **options), apart, rtol=0, atol=1e-13)
    np.testing.assert_allclose(means.mean(0), ravel_pytree(game.field(POINT))[0], atol=1e-13)  # unbiased


def test_independent_draws_have_no_cross_block():
    """Over all pairs of minibatches, one for each player."""
    game = small()
    means = all_minibatches(game, numpy_fields(game, POINT), 2, True)
    pairs = np.array([[*a[:2], *b[2:]] for a in means for b in means])
    np.testing.assert_allclose(noise.batch_covariance(game, POINT, batch=2), moments(pairs), atol=1e-13)


def test_parts_add_up_and_a_gan_has_no_interaction():
    game = product()
    found = noise.parts(game, POINT)
    np.testing.assert_allclose(sum(found), noise.covariance(game, POINT), atol=1e-13)
    fields = numpy_fields(game, POINT).reshape(4, 3, 4)
    np.testing.assert_allclose(found.real, moments(fields.mean(1)), atol=1e-13)
    np.testing.assert_allclose(found.latent, moments(fields.mean(0)), atol=1e-13)
    assert np.trace(found.interaction) > 0.01  # this payoff has one
    separate = noise.parts(games.toy_gan(), SADDLE)
    assert np.abs(separate.interaction).max() < 1e-15
    # The generator sees latent points only, so that sharing them alone shares all that its noise can share.
    assert np.abs(separate.real[:2]).max() < 1e-15
    np.testing.assert_allclose(separate.latent[:2], noise.covariance(games.toy_gan(), SADDLE)[:2], atol=1e-15)


def test_sharing_latent_points_is_sharing_everything():
    """Over all draws of one pair for each player: indices shared or not, all 2 x 2 cases, exactly."""
    toy = games.toy_gan(size=4)
    fields = numpy_fields(toy, POINT).reshape(4, 4, 4)  # (real, latent, parameter)
    centred = fields - fields.mean((0, 1))
    cross = noise.covariance(toy, POINT)[:2, 2:]
    assert np.abs(cross).max() > 0.01
    theta, omega = centred[..., :2], centred[..., 2:]
    np.testing.assert_allclose(np.einsum("ija,ijb->ab", theta, omega) / 16, cross, atol=1e-14)
    np.testing.assert_allclose(np.einsum("kja,ijb->ab", theta, omega) / 64, cross, atol=1e-14)  # latent points only
    np.testing.assert_allclose(np.einsum("ila,ijb->ab", theta, omega) / 64, 0, atol=1e-14)  # real points only
    np.testing.assert_allclose(np.einsum("kla,ijb->ab", theta, omega) / 256, 0, atol=1e-14)


def test_toy_gan_traces():
    """Reference numbers that were computed once by hand-written gradients."""
    traces = noise.trace(games.toy_gan(), SADDLE)
    np.testing.assert_allclose(traces, [0.0075, 0.171], rtol=6e-3)


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("name", ["two payoffs", "product"])
def test_gaussian_sample_has_the_covariance_of_a_minibatch(name, shared):
    """100,000 draws; the error of entry (a, b) is sqrt((S_aa S_bb + S_ab^2) / n), and an error of 3 % is seen."""
    game, draws = GAMES[name], 100_000
    keys = jax.random.split(jax.random.key(7), draws)
    drawn = jax.vmap(lambda key: noise.sample(game, POINT, batch=3, shared_batch=shared, key=key))(keys)
    rows = np.concatenate([drawn.theta, drawn.omega], axis=1)
    expected = np.asarray(noise.batch_covariance(game, POINT, batch=3, shared_batch=shared))
    variance = np.diag(expected)
    error = np.sqrt((np.outer(variance, variance) + expected**2) / draws)
    assert np.max(np.abs(rows.T @ rows / draws - expected) / error) < 4.5
    assert np.max(np.abs(rows.mean(0)) / np.sqrt(variance / draws)) < 4.5
    assert error.max() < 0.005 * variance.max()  # a factor N/(N - 1) = 1.25 or a cross block would stand out


def test_gaussian_sample_is_linear_in_fields():
    """Every draw lies in the span of the centred fields: for one direction of noise, on a line."""
    game = games.quadratic(1.0, 1.0, 1.0, samples={"a": np.array([1.0, -1.0, 3.0]), "b": np.array([2.0, -2.0, 6.0])})
    drawn = noise.sample(game, Players(0.0, 0.0), batch=1, shared_batch=True, key=jax.random.key(0))
    np.testing.assert_allclose(drawn.omega, 2 * drawn.theta, rtol=1e-12)
    assert abs(drawn.theta) > 1e-3


def test_batch_may_be_a_sliders_value():
    """One program serves all batch sizes."""
    traced = jax.jit(lambda batch: noise.batch_covariance(small(), POINT, batch=batch))
    for batch in (1, 4):
        np.testing.assert_allclose(traced(batch), noise.batch_covariance(small(), POINT, batch=batch), rtol=1e-12)
    assert traced._cache_size() == 1
    drawn = jax.jit(lambda batch: noise.sample(small(), POINT, batch=batch, key=jax.random.key(0)))
    np.testing.assert_allclose(2 * np.asarray(drawn(4).theta), drawn(1).theta, rtol=1e-12)
    assert drawn._cache_size() == 1


def test_minibatches_of_the_trainer_have_this_covariance():
    """20,000 draws of `gda.stochastic_field`, shared and not: each entry within 4.5 standard errors."""
    game = GAMES["product"]
    for shared in (False, True):
        field = gda.stochastic_field(game, batch=4, shared_batch=shared)
        drawn = jax.vmap(lambda key: field(POINT, key))(jax.random.split(jax.random.key(3), 20_000))  # noqa: B023
        rows = np.concatenate([drawn.theta, drawn.omega], axis=1)
        centred = rows - rows.mean(0)
        products = np.einsum("na,nb->nab", centred, centred)
        expected = noise.batch_covariance(game, POINT, batch=4, shared_batch=shared)
        error = products.std(0) / np.sqrt(len(rows))
        assert np.max(np.abs(products.mean(0) - expected) / error) < 4.5


def test_float32_stays_float32():
    with jax.enable_x64(False):
        game, x = neural.digits_gan(hidden=(3, 2), latent=2, real=neural.digits()[:40, 16:24], key=jax.random.key(0))
        assert noise.covariance(game, x).dtype == "float32"
        drawn = noise.sample(game, x, batch=4, key=jax.random.key(1))
        assert {leaf.dtype.name for leaf in jax.tree.leaves((drawn, noise.diagonal(game, x)))} == {"float32"}
        assert jax.tree.map(jnp.shape, drawn) == jax.tree.map(jnp.shape, x)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: noise.batch_covariance(small(), POINT, batch=6), "batch=6 exceeds the game's 5 samples"),
        (lambda: noise.batch_covariance(product(), POINT, batch=4, replacement=False), "3 samples to be drawn without"),
        (lambda: noise.batch_covariance(small(), POINT, batch=0), "batch must be an integer >= 1"),
        (lambda: noise.sample(small(), POINT, batch=2.5, key=jax.random.key(0)), "batch must be an integer"),
        (lambda: noise.sample(small(), Players(np.zeros(2), np.nan), batch=2, key=jax.random.key(0)), "finite"),
        (lambda: noise.covariance(small(), POINT, chunk=0), "chunk must be an integer >= 1"),
        (lambda: noise.parts(small(), POINT), "drawn in two factors"),
        (lambda: noise.spectrum(small(), POINT, "both"), "player must be one of"),
    ],
)
def test_refusals(call, words):
    with pytest.raises(ValueError, match=words):
        call()
