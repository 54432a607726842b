"""The convolutional pair and the optimisers on the digits: layers, gradients, averages, against independent code."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.flatten_util import ravel_pytree

from gansde_lib import Game, Players, gda, neural

KEY = jax.random.key(0)
AXES = ("NHWC", "HWIO", "NHWC")


def halve(images, kernel):
    """The convolution of JAX with stride 2 and one pixel of padding, for images (n, side, side, channels)."""
    return jax.lax.conv_general_dilated(images, kernel, (2, 2), [(1, 1), (1, 1)], dimension_numbers=AXES)


@pytest.mark.parametrize(("side", "inputs", "outputs"), [(8, 1, 3), (4, 3, 5)])
def test_halving_is_the_convolution_of_jax(side, inputs, outputs):
    with jax.enable_x64(True):
        kernel, images, bias = (
            jax.random.normal(key, shape)
            for key, shape in zip(
                jax.random.split(KEY, 3), [(4, 4, inputs, outputs), (7, side, side, inputs), (outputs,)], strict=True
            )
        )
        layer, flat = neural.Halving(kernel, bias), images.reshape(7, -1)
        expected = (halve(images, kernel) + bias).reshape(7, -1)
        np.testing.assert_allclose(layer(flat), expected, atol=1e-12)
        np.testing.assert_allclose(layer(flat[3]), expected[3], atol=1e-12)


@pytest.mark.parametrize(("side", "inputs", "outputs"), [(4, 3, 1), (2, 5, 3)])
def test_doubling_is_the_transpose_of_the_convolution_of_jax(side, inputs, outputs):
    with jax.enable_x64(True):
        kernel, images, bias = (
            jax.random.normal(key, shape)
            for key, shape in zip(
                jax.random.split(KEY, 3), [(4, 4, outputs, inputs), (7, side, side, inputs), (outputs,)], strict=True
            )
        )
        like = jax.ShapeDtypeStruct((7, 2 * side, 2 * side, outputs), images.dtype)
        (expected,) = jax.linear_transpose(lambda doubled: halve(doubled, kernel), like)(images)
        found = neural.Doubling(kernel, bias)(images.reshape(7, -1))
        np.testing.assert_allclose(found, (expected + bias).reshape(7, -1), atol=1e-12)


def test_layers_keep_the_variance_inside_an_image():
    """Weights of variance 1 / (what a pixel sees): inputs of variance one leave a halving and a doubling with one.

    Away from the edges; mean square over 400 kernels and images, standard error about 0.02.
    """
    keys = jax.random.split(KEY, 400)

    def squares(key):
        theta, omega = neural.convolutional_pair(key, channels=(6, 6))
        halved = omega[1](jax.random.normal(key, (4 * 4 * 6,)))  # every output pixel touches the edge: 9 of 16 seen
        doubled = theta[1](jax.random.normal(key, (2 * 2 * 12,))).reshape(4, 4, 6)
        return (halved**2).mean() * 16 / 9, (doubled[1:3, 1:3] ** 2).mean()

    values = np.stack(jax.lax.map(squares, keys))
    error = values.std(axis=1) / 20
    assert (error < 0.03).all()
    assert (np.abs(values.mean(axis=1) - 1) < 4 * error).all()


@pytest.mark.parametrize("loss", ["logistic", "hinge"])
def test_convolutional_field_agrees_with_finite_differences(loss):
    """Central differences with step 1e-5 have a relative error of about 1e-8 here."""
    with jax.enable_x64(True):
        options = {"networks": "convolutional", "hidden": (2, 2), "latent": 3, "real": neural.digits()[:6]}
        game, x = neural.digits_gan(loss, penalty=0.7, key=KEY, **options)
        flat, unravel = ravel_pytree(x)
        x = unravel(flat + 0.1 * jax.random.normal(KEY, flat.shape))
        cost = Game(game.generator_payoff or game.payoff, game.samples)
        for name, sign, value in (("theta", -1, cost.value), ("omega", 1, game.value)):
            flat, unravel = ravel_pytree(getattr(x, name))
            found = ravel_pytree(getattr(jax.jit(game.field)(x), name))[0]
            at = jax.jit(lambda p, name=name, unravel=unravel, value=value: value(x._replace(**{name: unravel(p)})))
            for i in np.random.default_rng(0).choice(flat.size, 12, replace=False):
                step = np.zeros(flat.size)
                step[i] = 1e-5
                np.testing.assert_allclose(
                    found[i], sign * (at(flat + step) - at(flat - step)) / 2e-5, rtol=1e-5, atol=1e-8
                )


def small():
    return neural.digits_gan(penalty=0.5, hidden=(4, 4), latent=3, real=neural.digits()[:40], key=KEY)


def test_training_takes_adam():
    """Alternating Adam on minibatches against a loop over optax by hand, on the same draws."""
    game, x0 = small()
    options = {"lr": (0.01, 0.02), "steps": 6, "batch": 8, "key": KEY}
    run = neural.train(game, x0, every=3, update=gda.adam(0.5, order="alternating"), **options)
    field = jax.jit(gda.stochastic_field(game, batch=8))
    optimisers = [optax.adam(rate, b1=0.5) for rate in options["lr"]]
    theta, omega = x0
    states = [optimiser.init(player) for optimiser, player in zip(optimisers, x0, strict=True)]
    for k in range(6):
        key = jax.random.fold_in(KEY, k)
        ascent = jax.tree.map(jnp.negative, field(Players(theta, omega), key).omega)
        push, states[1] = optimisers[1].update(ascent, states[1])
        omega = optax.apply_updates(omega, push)
        descent = jax.tree.map(jnp.negative, field(Players(theta, omega), key).theta)
        push, states[0] = optimisers[0].update(descent, states[0])
        theta = optax.apply_updates(theta, push)
    for mine, its in zip(jax.tree.leaves(run.players), jax.tree.leaves((theta, omega)), strict=True):
        np.testing.assert_allclose(mine[-1], its, rtol=1e-3, atol=1e-5)


def test_training_keeps_a_moving_average():
    game, x0 = small()
    options = {"lr": 0.02, "steps": 12, "batch": 8, "key": KEY, "update": gda.adam(0.5)}
    run, plain = neural.train(game, x0, every=4, ema=0.8, **options), neural.train(game, x0, every=1, **options)
    for mine, its in zip(jax.tree.leaves(run.players), jax.tree.leaves(plain.players), strict=True):
        np.testing.assert_allclose(mine, its[::4], rtol=1e-4, atol=1e-6)
    for mine, its in zip(jax.tree.leaves(run.average), jax.tree.leaves(plain.players), strict=True):
        expected = np.asarray(its[0])
        for entry in np.asarray(its[1:]):
            expected = 0.8 * expected + 0.2 * entry
        np.testing.assert_allclose(mine[-1], expected, rtol=1e-3, atol=1e-5)
    assert plain.average is None
