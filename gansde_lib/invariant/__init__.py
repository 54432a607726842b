r"""Where training settles: invariant laws, exactly where they are Gaussian, on a grid where they are not.

Drifts and covariances are per update, as in `sde`.
"""

from gansde_lib.invariant.couplings import KINDS, Coupling, coupling
from gansde_lib.invariant.current import circulation, entropy_production, reversible_correlation
from gansde_lib.invariant.density import Stationary, fokker_planck, generator_matrix
from gansde_lib.invariant.distances import (
    Decay,
    HistogramDistance,
    Rate,
    decay_rate,
    gaussian_wasserstein,
    histogram_distance,
    mmd_decay,
    sliced_wasserstein,
)
from gansde_lib.invariant.intervals import Interval, interval
from gansde_lib.invariant.linear import Linear, linearised, linearised_equation, rest_point
from gansde_lib.invariant.lyapunov import continuous_covariance, covariance
from gansde_lib.invariant.nearby import Solver, densities
from gansde_lib.invariant.proofs import Certificate, Search, Tail, certificate, nonpositive, tail
from gansde_lib.invariant.small import small_fokker_planck
from gansde_lib.invariant.spectral import slow_modes, spectral_gap
from gansde_lib.invariant.tilted import TiltedSaddle, tilted_saddle

__all__ = [
    "KINDS",
    "Certificate",
    "Coupling",
    "Decay",
    "HistogramDistance",
    "Interval",
    "Linear",
    "Rate",
    "Search",
    "Solver",
    "Stationary",
    "Tail",
    "TiltedSaddle",
    "certificate",
    "circulation",
    "continuous_covariance",
    "coupling",
    "covariance",
    "decay_rate",
    "densities",
    "entropy_production",
    "fokker_planck",
    "gaussian_wasserstein",
    "generator_matrix",
    "histogram_distance",
    "interval",
    "linearised",
    "linearised_equation",
    "mmd_decay",
    "nonpositive",
    "rest_point",
    "reversible_correlation",
    "sliced_wasserstein",
    "slow_modes",
    "small_fokker_planck",
    "spectral_gap",
    "tail",
    "tilted_saddle",
]
