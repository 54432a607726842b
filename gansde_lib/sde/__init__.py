r"""What training becomes for small rates: modified equations, their paths, and how far they are from training.

An equation :math:`dX = b(X)\,dt + a(X)^{1/2}\,dW` has a drift b and a covariance a, both per update. All derivatives in
them come from JAX.
"""

from gansde_lib.sde.chains import affine_samples, chain_moments, chain_stationary, transition
from gansde_lib.sde.diffusions import equation_moments, equation_stationary, generator
from gansde_lib.sde.ensembles import Expectation, ensemble, expectation, run
from gansde_lib.sde.equation import SAMPLINGS, Equation, modified_equation
from gansde_lib.sde.flows import backward_error, flow
from gansde_lib.sde.moments import Moments
from gansde_lib.sde.roots import KINDS, factor, square_root
from gansde_lib.sde.schemes import INCREMENTS, SCHEMES
from gansde_lib.sde.stated import Diffusion, diffusion
from gansde_lib.sde.weak import Estimate, Slope, WeakError, order, weak_error

__all__ = [
    "INCREMENTS",
    "KINDS",
    "SAMPLINGS",
    "SCHEMES",
    "Diffusion",
    "Equation",
    "Estimate",
    "Expectation",
    "Moments",
    "Slope",
    "WeakError",
    "affine_samples",
    "backward_error",
    "chain_moments",
    "chain_stationary",
    "diffusion",
    "ensemble",
    "equation_moments",
    "equation_stationary",
    "expectation",
    "factor",
    "flow",
    "generator",
    "modified_equation",
    "order",
    "run",
    "square_root",
    "transition",
    "weak_error",
]
