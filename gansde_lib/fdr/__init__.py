r"""Fluctuation-dissipation relations: what a run that has settled must satisfy, at the rate it is run with.

A relation sets what the gradients pull together against what the noise, and the length of the steps, drive apart. It
has two sides that are both measured, and each player has its own:

.. math:: \mathbb E\,\theta\cdot g_\theta = \tfrac{\eta_\theta}2 \mathbb E\,|G_\theta|^2, \qquad
          -\mathbb E\,\omega\cdot g_\omega = \tfrac{\eta_\omega}2 \mathbb E\,|G_\omega|^2 .

`balance` measures them on the real chain, `exact` computes them for linear-quadratic games, `continuous` those of a
stochastic differential equation, `record` follows them along training.
"""

from gansde_lib.fdr.closed_forms import POINTS, centring_bias, rotation_ratio
from gansde_lib.fdr.continuous import continuous, quadrature
from gansde_lib.fdr.exact import exact
from gansde_lib.fdr.history import History, pathwise_residual, record
from gansde_lib.fdr.relations import Balance, Relation, Relations, Sides, relation
from gansde_lib.fdr.sides import MATRICES, gradient_covariance, sides
from gansde_lib.fdr.training import CENTRES, balance

__all__ = [
    "CENTRES",
    "MATRICES",
    "POINTS",
    "Balance",
    "History",
    "Relation",
    "Relations",
    "Sides",
    "balance",
    "centring_bias",
    "continuous",
    "exact",
    "gradient_covariance",
    "pathwise_residual",
    "quadrature",
    "record",
    "relation",
    "rotation_ratio",
    "sides",
]
