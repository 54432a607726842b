r"""Two-player games: payoff, samples, the vector field of the players, and notions of equilibrium.

The discriminator `omega` maximises the mean payoff and the generator `theta` minimises it,

.. math:: \min_\theta \max_\omega \; \Phi(\theta, \omega) = \operatorname{mean}_i \varphi(\theta, \omega; s_i),

over a finite set of samples. Gradients come from JAX.
"""

from gansde_lib.games.catalogue import LOSSES, bilinear, dirac, quadratic, toy_gan
from gansde_lib.games.equilibrium import Equilibrium, equilibrium, field_jacobian
from gansde_lib.games.game import Game, Players, Product, Sample, as_players

__all__ = [
    "LOSSES",
    "Equilibrium",
    "Game",
    "Players",
    "Product",
    "Sample",
    "as_players",
    "bilinear",
    "dirac",
    "equilibrium",
    "field_jacobian",
    "quadratic",
    "toy_gan",
]
