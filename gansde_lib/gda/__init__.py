r"""Gradient descent-ascent: update rules, one-step maps and their spectra.

A rule is an object with two methods: `init(x)` returns the memory that it carries besides the players, and
`step(field, x, memory, lr=, key=)` returns the next players and memory. `field(x, key)` is the game's vector field
:math:`(-\nabla_\theta, +\nabla_\omega)`, full or on a minibatch drawn from `key`; equal keys mean equal draws.
"""

from gansde_lib.gda.closed_forms import (
    alternating_energy,
    bilinear_growth,
    dirac_flow_eigenvalues,
    dirac_limit,
    rotation_limit,
    simultaneous_energy,
)
from gansde_lib.gda.rules import RULES, Alternating, Simultaneous, alternating, rates, rule
from gansde_lib.gda.spectra import eigenvalue_pair, jacobian, spectral_radius, spectrum, stability_limit
from gansde_lib.gda.training import diverged_at, run, stochastic_field

__all__ = [
    "RULES",
    "Alternating",
    "Simultaneous",
    "alternating",
    "alternating_energy",
    "bilinear_growth",
    "dirac_flow_eigenvalues",
    "dirac_limit",
    "diverged_at",
    "eigenvalue_pair",
    "jacobian",
    "rates",
    "rotation_limit",
    "rule",
    "run",
    "simultaneous_energy",
    "spectral_radius",
    "spectrum",
    "stability_limit",
    "stochastic_field",
]
