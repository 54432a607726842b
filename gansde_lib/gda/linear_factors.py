"""Closed characteristic polynomials of all rules on a (damped) rotation, and so on every bilinear game."""

import numpy as np

from gansde_lib.games import Players
from gansde_lib.gda.corrected import Consensus, Symplectic
from gansde_lib.gda.implicit import Implicit
from gansde_lib.gda.lookahead import Extragradient, Optimistic
from gansde_lib.gda.momentum import Momentum
from gansde_lib.gda.plain import Alternating, Simultaneous
from gansde_lib.gda.rules import rates, rule

SHIFT = np.poly1d([1.0, 0.0])
"""The shift E by one step, as the variable of polynomials."""


def linear_factors(eigenvalue, *, lr=1.0, update):
    r"""Return the factors by which one step multiplies a pair of deviations that the field turns and damps.

    For the field's derivative :math:`A = \begin{pmatrix} a & -b \\ b & a \end{pmatrix}`, with eigenvalues :math:`a \pm
    \mathrm i b`, they are the roots of

    .. math:: (N - \eta_\theta a_\theta D)(N - \eta_\omega a_\omega D) + \eta_\theta\eta_\omega b_*^2 D^2
              \,[E \text{ if alternating}],

    with polynomials N, D in the shift E and effective :math:`a_\theta, a_\omega, b_*` as in the table of the chapter.
    With equal rates and a simultaneous rule any field with the eigenvalue pair will do (a normal one for `consensus`
    and `symplectic`).

    Args:
        eigenvalue: a + ib.
        lr: as in `run`.
        update: a rule or its name; not for rules without a linearisation, nor more than one inner step.

    Returns:
        Two complex factors, four for rules with memory, largest modulus first.

    Raises:
        ValueError: for a rule that has no closed form here.

    >>> linear_factors(1j, lr=0.5, update="extragradient").round(4)
    array([0.75+0.5j, 0.75-0.5j])
    """
    chosen, lr = rule(update), Players(*map(float, rates(lr)))  # a NumPy scalar times a polynomial is an array
    a, b = complex(eigenvalue).real, complex(eigenvalue).imag
    pair = Players(a, a)
    step, delay, last = SHIFT - 1, np.poly1d([1.0]), np.poly1d([1.0])  # N, D, and E where theta answers the new omega
    if isinstance(chosen, Extragradient):
        pair = Players(a + lr.theta * a**2 - lr.omega * b**2, a + lr.omega * a**2 - lr.theta * b**2)
        b = b * (1 + (lr.theta + lr.omega) * a)
    elif isinstance(chosen, Consensus):
        pair = Players(*2 * (a - chosen.strength * (a**2 + b**2),))
    elif isinstance(chosen, Symplectic):
        pair, b = Players(*2 * (a - chosen.strength * b**2,)), b + chosen.strength * a * b
    elif isinstance(chosen, Optimistic):
        step, delay = step * SHIFT, 2 * SHIFT - 1
    elif isinstance(chosen, Implicit):
        delay = SHIFT
    elif isinstance(chosen, Momentum):
        step, delay = step * (SHIFT - chosen.beta), SHIFT
    elif not (isinstance(chosen, Simultaneous) or (isinstance(chosen, Alternating) and chosen.inner_steps == 1)):
        raise ValueError(f'found {update!r}, which has no closed form here; for example update="extragradient"')
    if getattr(chosen, "order", None) == "alternating" or isinstance(chosen, Alternating):
        last = SHIFT
    damped = (step - lr.theta * pair.theta * delay) * (step - lr.omega * pair.omega * delay)
    roots = (damped + lr.theta * lr.omega * b**2 * delay**2 * last).roots
    return roots[np.argsort(-np.abs(roots), stable=True)].astype(complex)


def bilinear_factors(coupling, *, lr, update):
    r"""Return the factors of one step in a bilinear game, for each singular value of the coupling.

    A singular pair is a rotation at the rate :math:`\sigma_i`: these are `linear_factors` at :math:`\mathrm i\sigma_i`.
    Directions of the larger player that no singular pair reaches do not move, and are left out.

    Returns:
        A complex array with one row for each singular value, the largest value first.

    >>> bilinear_factors(2.0, lr=0.25, update="implicit").round(4)
    array([[0.8+0.4j, 0.8-0.4j]])
    """
    singular = np.linalg.svd(np.atleast_2d(np.asarray(coupling, dtype=float)), compute_uv=False)
    return np.stack([linear_factors(1j * value, lr=lr, update=update) for value in singular])
