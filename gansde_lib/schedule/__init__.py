r"""Learning rates from fluctuations and from optimal control.

A scheduler is a gradient transformation of optax whose state holds its player's `rate`: run it with `lr=1`, through
`gda.optax_rule` or `scheduled`, or in a loop of your own. Controls are shares :math:`0 \le u \le 1` of a full rate, in
the time :math:`t = \eta k`.
"""

from gansde_lib.schedule.annealing import (
    Optimal,
    best_constant,
    constant_loss,
    descent_loss,
    descent_optimal,
    loss_along,
    optimal,
)
from gansde_lib.schedule.clocks import Clocked, clocked, cosine, fixed, inverse_time
from gansde_lib.schedule.control import Rollout, Solution, best_share, hjb, isaacs, rollout, solve
from gansde_lib.schedule.fluctuations import MEMORY, Settings, Watched, exact_rule, sum_rule
from gansde_lib.schedule.loop import Scheduled, scheduled

__all__ = [
    "MEMORY",
    "Clocked",
    "Optimal",
    "Rollout",
    "Scheduled",
    "Settings",
    "Solution",
    "Watched",
    "best_constant",
    "best_share",
    "clocked",
    "constant_loss",
    "cosine",
    "descent_loss",
    "descent_optimal",
    "exact_rule",
    "fixed",
    "hjb",
    "inverse_time",
    "isaacs",
    "loss_along",
    "optimal",
    "rollout",
    "scheduled",
    "solve",
    "sum_rule",
]
