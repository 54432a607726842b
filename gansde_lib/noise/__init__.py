r"""What a minibatch adds to the field: mean, covariance, what is shared, what an epoch cancels, how far from Gaussian.

The field of a minibatch is the mean of the fields :math:`F_i = (-\nabla_\theta\varphi_i, +\nabla_\omega\varphi_i)` of
its samples. With replacement it has the mean F, the covariance :math:`\Sigma / B` and the third cumulant
:math:`\kappa_3 / B^2`, all exactly; the cross block between the players is there if and only if they share the draw.
Nothing here forms a d x d matrix unless its name says so.
"""

from gansde_lib.noise.alignment import Alignment, curvature_alignment, share
from gansde_lib.noise.covariance import (
    Parts,
    Spectrum,
    batch_covariance,
    blocks,
    covariance,
    diagonal,
    finite_population,
    parts,
    principal,
    spectrum,
    trace,
    without_cross_block,
)
from gansde_lib.noise.cumulants import (
    Shape,
    batch_shape,
    batch_third_cumulant,
    gaussianity,
    projections,
    shape,
    third_cumulant,
)
from gansde_lib.noise.epochs import epoch_correlation, epoch_order, run_epochs, stationary_variance
from gansde_lib.noise.gaussian import sample
from gansde_lib.noise.heavy import spread, spread_error, stable
from gansde_lib.noise.samples import CHUNK, per_sample_field

__all__ = [
    "CHUNK",
    "Alignment",
    "Parts",
    "Shape",
    "Spectrum",
    "batch_covariance",
    "batch_shape",
    "batch_third_cumulant",
    "blocks",
    "covariance",
    "curvature_alignment",
    "diagonal",
    "epoch_correlation",
    "epoch_order",
    "finite_population",
    "gaussianity",
    "parts",
    "per_sample_field",
    "principal",
    "projections",
    "run_epochs",
    "sample",
    "shape",
    "share",
    "spectrum",
    "spread",
    "spread_error",
    "stable",
    "stationary_variance",
    "third_cumulant",
    "trace",
    "without_cross_block",
]
