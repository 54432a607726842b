"""Networks on the digits: the noise of every parameter, and training, beside PyTorch."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.compare import Form, Work
from gansde_lib import Players, gda, neural, noise

STEPS, BATCH, RATE, SHORT = 5_000, 64, 0.1, 20


def start(penalty):
    """The digits GAN with 1,030 and 991 parameters; without a penalty R1 is not computed at all."""
    regulariser = "r1" if penalty else "weight-decay"
    options = {"penalty": penalty, "regulariser": regulariser, "latent": 4, "hidden": (14, 15)}
    return neural.digits_gan(**options, key=jax.random.key(0))


def as_torch(penalty):
    """The same game in PyTorch: parameters, real and latent points, and the payoff of one sample."""
    import torch

    game, x = start(penalty)
    parameters = tuple(torch.tensor(np.asarray(leaf)) for leaf in jax.tree.leaves(x))
    real, latent = (torch.tensor(np.asarray(part, np.float32)) for part in game.samples)

    def score(parameters, points):
        *_, weight, bias, last, offset = parameters
        return (torch.tanh(points @ weight + bias) @ last + offset).squeeze(-1)

    def payoff(parameters, real, latent):
        weight, bias, last, offset = parameters[:4]
        fake = torch.tanh(torch.tanh(latent @ weight + bias) @ last + offset)
        sigmoid = torch.nn.functional.logsigmoid
        return sigmoid(score(parameters, real)) + sigmoid(-score(parameters, fake))

    def penalised(parameters, real, latent):
        slope = torch.func.grad(lambda point: score(parameters, point))(real)
        return payoff(parameters, real, latent) - penalty / 2 * (slope**2).sum()

    return torch, parameters, (real, latent), penalised if penalty else payoff


def variances(penalty):
    game, x = start(penalty)
    game = jax.tree.map(jnp.asarray, game)  # samples on the device, as those of PyTorch

    def run():
        found = noise.diagonal(game, x)
        return [np.asarray(leaf) for leaf in jax.tree.leaves(found)]

    return run


def torch_variances(penalty):
    torch, parameters, samples, payoff = as_torch(penalty)
    gradients = torch.func.vmap(torch.func.grad(payoff), in_dims=(None, 0, 0))

    def run():
        return [leaf.var(0, correction=0).numpy() for leaf in gradients(parameters, *samples)]

    return run


def same_variances(results):
    """Every variance, and with them the traces, within 1e-4 of the largest of its kind."""
    ours = results["ours"]
    for name, theirs in results.items():
        for mine, its in zip(ours, theirs, strict=True):
            assert np.abs(mine - its).max() <= 1e-4 * its.max(), f"variances differ from those of {name}"


def training():
    game, x = start(0.0)
    game = jax.tree.map(jnp.asarray, game)
    options = {"lr": RATE, "update": "simultaneous"}
    exact = gda.run(game, x, steps=SHORT, every=SHORT, **options)
    exact = [np.asarray(leaf[-1]) for leaf in jax.tree.leaves(exact)]

    def run():
        options["key"] = jax.random.key(1)
        players = gda.run(game, x, steps=STEPS, every=STEPS, batch=BATCH, shared_batch=True, **options)
        final = jax.tree.map(lambda leaf: np.asarray(leaf[-1]), players)
        return {"exact": exact, "players": final}

    return run


def torch_training(steps):
    torch, parameters, samples, payoff = as_torch(0.0)
    _, x = start(0.0)
    torch.manual_seed(1)
    rates = [-RATE] * 4 + [RATE] * 4

    def train(steps, batch):
        moving = [leaf.clone().requires_grad_() for leaf in parameters]
        for _ in range(steps):
            drawn = samples
            if batch:
                index = torch.randint(0, len(samples[0]), (batch,))
                drawn = [part[index] for part in samples]
            gradients = torch.autograd.grad(payoff(moving, *drawn).mean(), moving)
            with torch.no_grad():
                torch._foreach_add_(moving, torch._foreach_mul(gradients, rates))
        return [leaf.detach().numpy() for leaf in moving]

    exact = train(SHORT, None)

    def run():
        return {"exact": exact, "players": jax.tree.unflatten(jax.tree.structure(x), train(steps, BATCH))}

    return run


def same_training(results):
    """The rule is the same: 20 steps on all samples agree within 1e-4. Minibatches are other draws, and the game is
    chaotic: of the whole runs only the payoff on all samples is compared, which must be that of a game in play."""
    game, _ = start(0.0)
    for name, found in results.items():
        for mine, its in zip(results["ours"]["exact"], found["exact"], strict=True):
            np.testing.assert_allclose(mine, its, atol=1e-4, err_msg=f"20 full steps differ from those of {name}")
        value = float(game.value(Players(*found["players"])))
        assert -1.4 < value < -0.3, f"{name} ends at a payoff of {value}"


def covariance(penalty, suffix, target):
    return Work(
        f"noise covariance, diagonal and trace, digits GAN{suffix}",
        "samples",
        Form(partial(variances, penalty), 1797),
        {"torch.func": Form(partial(torch_variances, penalty), 1797)},
        same_variances,
        {"torch.func": (target, None)},
        "Products of matrices with 1,797 rows, 15 to 40 million operations, are under a millisecond at the 200 GFLOP/s "
        "of a core; the rest is tanh at 200,000 places and the calls in between.",
    )


WORKS = [
    covariance(0.0, "", 5.0),
    covariance(0.3, ", with R1 penalty", 5.0),
    Work(
        f"digits GAN, {STEPS:,} steps",
        "steps",
        Form(training, STEPS),
        {"PyTorch eager loop": Form(partial(torch_training, 500), 500)},
        same_training,
        {"PyTorch eager loop": (14.0, None)},
        "1.3 MFLOP a step are 10 to 15 microseconds on one core; matrices of 64 rows leave the rest to calls and tanh.",
    ),
]
