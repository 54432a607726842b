r"""The same game with networks: a small GAN on the 1,797 handwritten digits that scikit-learn ships.

Both players are multilayer perceptrons, or both are convolutional. The latent points are drawn once and paired
one-to-one with the digits, so that the mean payoff is a finite sum and every minibatch is a draw from it:

.. math:: \Phi = \operatorname{mean}_i \; f(D_\omega(\xi_i)) + f(-D_\omega(G_\theta(z_i)))
          - \tfrac\gamma2 |\nabla_\xi D_\omega(\xi_i)|^2, \qquad f(t) = -\log(1 + e^{-t}).

Each term depends on the digit xi_i alone or on the latent point z_i alone, hence the mean over the N pairs equals the
mean over all N^2 combinations (`games.Product`) of the same digits and latent points. Minibatches differ: drawing
pairs adds to their covariance that of the gradients at xi_i and at z_i over the bank, which independent draws do not
have. The pairing being random, this is a number of order 1/sqrt(N).

D is positive where it believes an image to be real. In `games.dirac` the sign is the opposite one, which is a change of
the sign of omega and leaves the dynamics as they are.
"""

from gansde_lib.games.perceptron import Layer, mlp
from gansde_lib.neural.convolutions import Doubling, Halving, convolutional_pair
from gansde_lib.neural.coverage import SHARE, Quality, Reference, classify, quality, reference
from gansde_lib.neural.curvature import sharpness
from gansde_lib.neural.distance import median_distance, mmd, mmd_floor
from gansde_lib.neural.gan import NETWORKS, digits_gan
from gansde_lib.neural.networks import digits, generate, labels, score, tile
from gansde_lib.neural.spectra import EXTREMES, field_eigenvalues, follow_mode
from gansde_lib.neural.training import Run, train

__all__ = [
    "EXTREMES",
    "NETWORKS",
    "SHARE",
    "Doubling",
    "Halving",
    "Layer",
    "Quality",
    "Reference",
    "Run",
    "classify",
    "convolutional_pair",
    "digits",
    "digits_gan",
    "field_eigenvalues",
    "follow_mode",
    "generate",
    "labels",
    "median_distance",
    "mlp",
    "mmd",
    "mmd_floor",
    "quality",
    "reference",
    "score",
    "sharpness",
    "tile",
    "train",
]
