r"""Noise at a phase boundary: where fluctuations, stationary laws and the phases of the kernel GAN meet.

Rates come generator first, `lr = (eta_g, eta_d)`; noises are those of one gradient, per step.
"""

from gansde_lib.critical.ensembles import Ensemble, ensemble, start, step
from gansde_lib.critical.equivalents import Cluster, cluster, cluster_game, linear_game
from gansde_lib.critical.linear import (
    Distances,
    covariance,
    difference_variance,
    distances,
    limit_variance,
    mean_variance,
    noise_covariance,
)
from gansde_lib.critical.reversal import entropy_production, limit_entropy_production
from gansde_lib.critical.rounding import Pair, Rounding, pair, rounding, scaling

__all__ = [
    "Cluster",
    "Distances",
    "Ensemble",
    "Pair",
    "Rounding",
    "cluster",
    "cluster_game",
    "covariance",
    "difference_variance",
    "distances",
    "ensemble",
    "entropy_production",
    "limit_entropy_production",
    "limit_variance",
    "linear_game",
    "mean_variance",
    "noise_covariance",
    "pair",
    "rounding",
    "scaling",
    "start",
    "step",
]
