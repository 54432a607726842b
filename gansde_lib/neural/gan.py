"""The game: networks, loss, R1 penalty, the paired bank and a random start."""

import jax
import jax.numpy as jnp
import numpy as np

from gansde_lib import _checks
from gansde_lib.games import Players, Sample, gan
from gansde_lib.games.perceptron import mlp
from gansde_lib.neural.convolutions import convolutional_pair
from gansde_lib.neural.networks import digits, generate, score

NETWORKS = {"perceptron": (24, 16), "convolutional": (6, 6)}
"""The kinds of pairs, with the widths that `digits_gan` gives them by default."""

_CALL = "digits_gan(key=jax.random.key(0))"


def digits_gan(
    loss="logistic", *, penalty=0.0, regulariser="r1", networks="perceptron", latent=10, hidden=None, real=None, key
):
    r"""Return `(game, x0)`: a GAN on the digits and a random start.

    Args:
        loss: a name in `games.LOSSES`: "logistic", the zero-sum payoff of this module; "non-saturating", where theta
            minimises :math:`-f(D(G(z)))` instead; "hinge", "least-squares" and others.
        penalty: gamma, the weight of the regulariser.
        regulariser: a name in `games.REGULARISERS`; R1, on the discriminator's slope at real images, by default.
        networks: "perceptron", one hidden layer a side; or "convolutional", see `convolutional_pair`.
        latent: dimension of the latent points, drawn from N(0, 1), one for each real image.
        hidden: two widths, the generator's first: hidden units, or channels. The defaults in `NETWORKS` give 1,864
            and 1,057 parameters, or 1,783 and 1,315.
        real: images of shape (N, pixels); all of `digits()` by default.
        key: random key of the bank and of the start.

    Returns:
        The game, whose samples are `Sample(real, latent)` with leading axis N, and `Players` of layers.

    Raises:
        ValueError: for an unknown name, a negative penalty, a width below 1, images of a wrong shape or not finite.

    Source: Goodfellow et al. (2014) for the first two losses, Mescheder, Geiger and Nowozin (2018) for R1.

    >>> game, x0 = digits_gan(penalty=0.1, key=jax.random.key(0))
    >>> game.size, x0.theta[0].weight.shape
    (1797, (10, 24))
    """
    _checks.choice("networks", networks, NETWORKS, example=f'{_CALL[:-1]}, networks="convolutional")')
    _checks.whole("latent", latent, minimum=1, example=f"{_CALL[:-1]}, latent=10)")
    hidden = NETWORKS[networks] if hidden is None else hidden
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
    if networks == "convolutional" and pixels != 64:
        raise ValueError(
            f"convolutional networks need images of 64 pixels, found {pixels}; for example {_CALL[:-1]}, "
            'networks="convolutional")'
        )
    bank_key, theta_key, omega_key = jax.random.split(key, 3)
    samples = Sample(real, jax.random.normal(bank_key, (size, latent)))
    if _checks.is_concrete(penalty):
        _checks.non_negative("penalty", penalty, example=f"{_CALL[:-1]}, penalty=0.1)")
    penalty = jnp.asarray(penalty, jnp.result_type(float))  # a definite type: nothing compiles twice
    game = gan(generate, score, samples, loss=loss, penalty=penalty, regulariser=regulariser)
    if networks == "convolutional":
        return game, Players(*convolutional_pair(theta_key, latent=latent, channels=tuple(hidden)))
    return game, Players(mlp(theta_key, (latent, hidden[0], pixels)), mlp(omega_key, (pixels, hidden[1], 1)))
