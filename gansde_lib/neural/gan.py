"""The game: payoff with R1 penalty, the generator's other loss, the paired bank and a random start."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from gansde_lib import _checks
from gansde_lib.games import Game, Players, Sample
from gansde_lib.neural.networks import digits, generate, mlp, score

LOSSES = ("logistic", "non-saturating")
_CALL = "digits_gan(key=jax.random.key(0))"


def _payoff(parameters, theta, omega, sample):
    real, slope = jax.value_and_grad(score, argnums=1)(omega, jnp.asarray(sample.real, omega[0].weight.dtype))
    fake = score(omega, generate(theta, sample.latent))
    penalty = parameters["penalty"] / 2 * jnp.vdot(slope, slope)
    return jax.nn.log_sigmoid(real) + jax.nn.log_sigmoid(-fake) - penalty


def _non_saturating(theta, omega, sample):
    return -jax.nn.log_sigmoid(score(omega, generate(theta, sample.latent)))


def digits_gan(loss="logistic", *, penalty=0.0, latent=10, hidden=(24, 16), real=None, key):
    r"""Return `(game, x0)`: a GAN on the digits with one hidden layer a side, and a random start.

    Args:
        loss: "logistic", the zero-sum payoff of this module; or "non-saturating", where theta minimises
            :math:`-f(D(G(z)))` instead.
        penalty: gamma, the R1 penalty on the discriminator's slope at real images.
        latent: dimension of the latent points, drawn from N(0, 1), one for each real image.
        hidden: hidden units of the generator and of the discriminator. The defaults give 1,864 and 1,057 parameters.
        real: images of shape (N, pixels); all of `digits()` by default.
        key: random key of the bank and of the start.

    Returns:
        The game, whose samples are `Sample(real, latent)` with leading axis N, and `Players` of layers (see `mlp`).

    Raises:
        ValueError: for an unknown loss, a negative penalty, a width below 1, images of a wrong shape or not finite.

    Source: Goodfellow et al. (2014) for both losses, Mescheder, Geiger and Nowozin (2018) for R1.

    >>> game, x0 = digits_gan(penalty=0.1, key=jax.random.key(0))
    >>> game.size, x0.theta[0].weight.shape
    (1797, (10, 24))
    """
    _checks.choice("loss", loss, LOSSES, example=_CALL)
    _checks.non_negative("penalty", penalty, example=f"{_CALL[:-1]}, penalty=0.1)")
    _checks.whole("latent", latent, minimum=1, example=f"{_CALL[:-1]}, latent=10)")
    if not (isinstance(hidden, tuple | list) and len(hidden) == 2):
        raise ValueError(f"hidden must be two widths, found {hidden!r}; for example {_CALL[:-1]}, hidden=(24, 16))")
    for width in hidden:
        _checks.whole("each width in hidden", width, minimum=1, example=f"{_CALL[:-1]}, hidden=(24, 16))")
    real = digits() if real is None else real
    if np.ndim(real) != 2 or (_checks.is_concrete(real) and not np.all(np.isfinite(real))):
        raise ValueError(
            f"real must be finite images of shape (N, pixels), found shape {np.shape(real)}"
            f"{' with entries that are not finite' if np.ndim(real) == 2 else ''}; "
            f"for example {_CALL[:-1]}, real=digits()[::2])"
        )
    size, pixels = np.shape(real)
    bank_key, theta_key, omega_key = jax.random.split(key, 3)
    samples = Sample(real, jax.random.normal(bank_key, (size, latent)))
    other = Partial(_non_saturating) if loss == "non-saturating" else None
    penalty = jnp.asarray(penalty, jnp.result_type(float))  # a definite type: nothing compiles twice
    game = Game(Partial(_payoff, {"penalty": penalty}), samples, generator_payoff=other)
    return game, Players(mlp(theta_key, (latent, hidden[0], pixels)), mlp(omega_key, (pixels, hidden[1], 1)))
