r"""Gradient descent-ascent: update rules, one-step maps and their spectra.

A rule is an object with two methods: `init(x)` returns the memory that it carries besides the players, and
`step(field, x, memory, lr=, key=)` returns the next players and memory. `field(x, key)` is the game's vector field
:math:`(-\nabla_\theta, +\nabla_\omega)`, full or on a minibatch drawn from `key`; equal keys mean equal draws.
"""

from gansde_lib.gda.adaptive import Normalised, Optax, adam, normalised, optax_rule
from gansde_lib.gda.averaging import Average, Averaged, averaged, ema, iterate_average
from gansde_lib.gda.closed_forms import (
    alternating_energy,
    bilinear_growth,
    dirac_limit,
    rotation_limit,
    simultaneous_energy,
)
from gansde_lib.gda.corrected import Consensus, Symplectic, consensus, symplectic
from gansde_lib.gda.cost import cost
from gansde_lib.gda.ensembles import ensemble
from gansde_lib.gda.implicit import Implicit, implicit
from gansde_lib.gda.linear_factors import bilinear_factors, linear_factors
from gansde_lib.gda.lookahead import Extragradient, Optimistic, extragradient, optimistic
from gansde_lib.gda.maps import UNDECIDED, ConvergenceMap, convergence_map, limiting_radius, simulated_rate
from gansde_lib.gda.momentum import Momentum, momentum
from gansde_lib.gda.plain import ORDERS, Alternating, Simultaneous, alternating
from gansde_lib.gda.rules import RULES, rates, rule
from gansde_lib.gda.spectra import eigenvalue_pair, jacobian, log_radius, spectral_radius, spectrum, stability_limit
from gansde_lib.gda.training import diverged_at, run, stochastic_field

__all__ = [
    "ORDERS",
    "RULES",
    "UNDECIDED",
    "Alternating",
    "Average",
    "Averaged",
    "Consensus",
    "ConvergenceMap",
    "Extragradient",
    "Implicit",
    "Momentum",
    "Normalised",
    "Optax",
    "Optimistic",
    "Simultaneous",
    "Symplectic",
    "adam",
    "alternating",
    "alternating_energy",
    "averaged",
    "bilinear_factors",
    "bilinear_growth",
    "consensus",
    "convergence_map",
    "cost",
    "dirac_limit",
    "diverged_at",
    "eigenvalue_pair",
    "ema",
    "ensemble",
    "extragradient",
    "implicit",
    "iterate_average",
    "jacobian",
    "limiting_radius",
    "linear_factors",
    "log_radius",
    "momentum",
    "normalised",
    "optax_rule",
    "optimistic",
    "rates",
    "rotation_limit",
    "rule",
    "run",
    "simulated_rate",
    "simultaneous_energy",
    "spectral_radius",
    "spectrum",
    "stability_limit",
    "stochastic_field",
    "symplectic",
]
