r"""Two-player games: payoff, samples, the vector field of the players, and notions of equilibrium.

The discriminator `omega` maximises the mean payoff and the generator `theta` minimises it,

.. math:: \min_\theta \max_\omega \; \Phi(\theta, \omega) = \operatorname{mean}_i \varphi(\theta, \omega; s_i),

over a finite set of samples. Gradients come from JAX. A GAN is a generator, a discriminator, samples, a loss and a
regulariser, put together by `gan`; the losses and regularisers of the literature are in `LOSSES` and `REGULARISERS`.
"""

from gansde_lib.games.catalogue import bilinear, quadratic, toy_gan
from gansde_lib.games.closed_forms import dirac_eigenvalues, linear_quadratic_eigenvalues, slopes_at_zero
from gansde_lib.games.equilibrium import Equilibrium, equilibrium, field_jacobian
from gansde_lib.games.game import Game, Players, Product, Sample, as_players
from gansde_lib.games.gan import REGULARISERS, dirac, gan
from gansde_lib.games.gaussian import gaussian_mean, linear_quadratic
from gansde_lib.games.losses import LOSSES, Loss
from gansde_lib.games.mixture import ring, ring_gan, ring_shares

__all__ = [
    "LOSSES",
    "REGULARISERS",
    "Equilibrium",
    "Game",
    "Loss",
    "Players",
    "Product",
    "Sample",
    "as_players",
    "bilinear",
    "dirac",
    "dirac_eigenvalues",
    "equilibrium",
    "field_jacobian",
    "gan",
    "gaussian_mean",
    "linear_quadratic",
    "linear_quadratic_eigenvalues",
    "quadratic",
    "ring",
    "ring_gan",
    "ring_shares",
    "slopes_at_zero",
    "toy_gan",
]
