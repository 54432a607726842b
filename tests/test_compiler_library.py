"""The library's own simulations, compiled: at the corners of their arguments and at random points between."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiled import compare

from gansde_lib import games, gda, simulate
from gansde_lib.games import Players

F = np.float32


def points(random=3, **ranges):
    """All corners of a box, and a few points inside."""
    rng = np.random.default_rng(7)
    corners = [dict(zip(ranges, map(F, corner), strict=True)) for corner in itertools.product(*ranges.values())]
    inside = [{name: F(rng.uniform(*ends)) for name, ends in ranges.items()} for _ in range(random)]
    return corners + inside


@pytest.mark.parametrize("update", ["simultaneous", "alternating"])
# Not the hinge loss: its field jumps, and rounding decides on which side of the jump a path goes on.
@pytest.mark.parametrize("loss", [loss for loss in games.LOSSES if loss != "hinge"])
def test_dirac_gan(loss, update):
    def path(lr, penalty):
        return gda.run(games.dirac(loss, penalty=penalty), Players(1.0, 0.5), lr=lr, steps=200, update=update)

    compare(path, *points(lr=(0.01, 0.3), penalty=(0.0, 1.0)), name=f"dirac {loss} {update}")


def test_rates_and_start_of_a_bilinear_game():
    def path(coupling, eta_theta, eta_omega, theta, omega):
        game = games.bilinear(coupling)
        return gda.run(game, Players(theta, omega), lr=(eta_theta, eta_omega), steps=60, update=gda.alternating(3))

    box = dict(coupling=(0.5, 2.0), eta_theta=(0.01, 0.2), eta_omega=(0.01, 0.2), theta=(-1.0, 1.0), omega=(-1.0, 1.0))
    compare(path, *points(**box), name="bilinear")


def test_vectors_and_matrices():
    coupling = np.array([[1.0, 0.2, 0.0], [0.3, 2.0, -0.5]])

    def path(lr, damping):
        game = games.quadratic(damping, coupling, damping)
        x0 = Players(jnp.array([1.0, -1.0]), jnp.array([0.5, 0.0, 0.2]))
        return gda.run(game, x0, lr=lr, steps=150, update="alternating")

    compare(path, *points(lr=(0.01, 0.2), damping=(0.0, 0.5)), name="quadratic")


def test_many_starts():
    def paths(lr, penalty, spread):
        starts = spread * jax.random.normal(simulate.key(5), (30, 2))
        game = games.dirac(penalty=penalty)
        return jax.vmap(lambda s: gda.run(game, Players(s[0], s[1]), lr=lr, steps=100))(starts)

    module = compare(paths, *points(lr=(0.01, 0.3), penalty=(0.0, 1.0), spread=(0.1, 2.0)), name="many starts")
    assert module.manifest["outputs"][0]["strides"] == [1, 30]  # paths are neighbours: no transposition, SIMD stores


@pytest.mark.parametrize("shared_batch", [False, True])
def test_minibatches(shared_batch):
    def paths(lr, seed):
        x0 = Players(jnp.array([0.8, -0.1]), jnp.array([-0.3, 0.4]))
        run = lambda key: gda.run(games.toy_gan(), x0, lr=lr, steps=40, batch=8, shared_batch=shared_batch, key=key)  # noqa: E731
        return simulate.ensemble(run, size=21, key=jax.random.key(seed), chunk=8)

    places = [dict(lr=F(lr), seed=np.int32(seed)) for lr, seed in [(0.01, 0), (0.2, 0), (0.2, 123), (0.07, 2**31 - 1)]]
    compare(paths, *places, name="toy")


def test_linear_noise_with_samples_as_data():
    noise = np.random.default_rng(1).normal(size=(40, 2))

    def paths(lr, batch_scale):
        game = games.quadratic(0.5, 1.0, 0.5, samples={"a": noise * 1.0, "b": noise[::-1] * 1.0})
        x0 = Players(jnp.ones(2) * batch_scale, jnp.zeros(2))
        return simulate.ensemble(
            lambda key: gda.run(game, x0, lr=lr, steps=30, batch=10, update="alternating", key=key),
            size=12,
            key=simulate.key(2),
        )

    compare(paths, *points(lr=(0.01, 0.3), batch_scale=(0.0, 2.0)), name="linear noise")


def test_field_and_spectral_radius_on_a_grid():
    def maps(penalty, lr):
        game = games.dirac(penalty=penalty)
        axis = jnp.linspace(-2.0, 2.0, 15)

        field = simulate.sweep(lambda theta, omega: game.field(Players(theta, omega)), axis, axis)
        value = simulate.sweep(lambda theta, omega: game.value(Players(theta, omega)), axis, axis, chunk=50)
        return field, value, games.field_jacobian(game, Players(0.1 * lr, 0.2))

    compare(maps, *points(penalty=(0.0, 1.0), lr=(0.1, 1.0)), name="field")


def test_divergence_keeps_its_infinities():
    def path(lr):
        game = games.Game(lambda theta, omega, sample: theta * omega**3 * sample, [1.0])
        return gda.run(game, Players(1.0, 1.0), lr=lr, steps=60)

    compare(path, dict(lr=F(0.9)), dict(lr=F(0.01)), name="diverging")
