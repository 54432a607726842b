"""The rules by name, and learning rates as a pair."""

from gansde_lib import _checks
from gansde_lib.games import Players
from gansde_lib.gda.adaptive import normalised
from gansde_lib.gda.corrected import consensus, symplectic
from gansde_lib.gda.implicit import implicit
from gansde_lib.gda.lookahead import extragradient, optimistic
from gansde_lib.gda.momentum import momentum
from gansde_lib.gda.plain import Alternating, Simultaneous

RULES = {
    "simultaneous": Simultaneous(),
    "alternating": Alternating(),
    "extragradient": extragradient(),
    "optimistic": optimistic(),
    "consensus": consensus(1.0),
    "symplectic": symplectic(1.0),
    "implicit": implicit(),
    "momentum": momentum(-0.5),
    "normalised": normalised(),
}
"""The rules that `update=` knows by name."""


def rule(update):
    """Return the rule of that name, or the rule object itself; `ValueError` for anything else.

    >>> rule("alternating")
    Alternating(inner_steps=1)
    """
    if isinstance(update, str):
        _checks.choice("update", update, RULES, example='update="alternating"')
        return RULES[update]
    if not (hasattr(update, "init") and hasattr(update, "step")):
        raise ValueError(
            f"update must be one of {', '.join(map(repr, RULES))} or a rule with methods init and step, "
            f'found {update!r}; for example update="alternating"'
        )
    return update


def rates(lr):
    """Return the learning rates as `Players(eta_theta, eta_omega)`; one number means both.

    >>> rates(0.1)
    Players(theta=0.1, omega=0.1)
    """
    pair = tuple(lr) if isinstance(lr, tuple | list) else (lr, lr)
    if len(pair) != 2:
        raise ValueError(f"lr must be one rate or (eta_theta, eta_omega), found {lr!r}; for example lr=(0.1, 0.05)")
    for name, rate in zip(("eta_theta", "eta_omega"), pair, strict=True):
        _checks.positive(f"the learning rate {name}", rate, example="lr=0.1 or lr=(0.1, 0.05)")
    return Players(*pair)
