r"""GANs with a kernel discriminator: isolated points, their equilibria, and the exact non-linear dynamics.

The generator is a set of free points with masses, the discriminator a function of a kernel's Hilbert space. Rates come
generator first, `lr = (eta_g, eta_d)`.
"""

from gansde_lib.kernel_gan.collapse import balanced_spread, free_speed, split_ridge
from gansde_lib.kernel_gan.equilibria import Linear, equilibrium, linearised, rest_force, rest_witness, split_distance
from gansde_lib.kernel_gan.expansion import Problem, Run, check_points, memory, problem, run, witness
from gansde_lib.kernel_gan.features import embed, features_curvature, fourier_features, game, random_features
from gansde_lib.kernel_gan.fourier import FourierRun, enough_modes, fourier_witness, reach, run_fourier
from gansde_lib.kernel_gan.kernels import (
    KERNELS,
    curvature,
    evaluate,
    force,
    gaussian,
    laplacian,
    matern,
    multiscale,
    profile,
    rational_quadratic,
    slope,
)

__all__ = [
    "KERNELS",
    "FourierRun",
    "Linear",
    "Problem",
    "Run",
    "balanced_spread",
    "check_points",
    "curvature",
    "embed",
    "enough_modes",
    "equilibrium",
    "evaluate",
    "features_curvature",
    "force",
    "fourier_features",
    "fourier_witness",
    "free_speed",
    "game",
    "gaussian",
    "laplacian",
    "linearised",
    "matern",
    "memory",
    "multiscale",
    "problem",
    "profile",
    "random_features",
    "rational_quadratic",
    "reach",
    "rest_force",
    "rest_witness",
    "run",
    "run_fourier",
    "slope",
    "split_distance",
    "split_ridge",
    "witness",
]
