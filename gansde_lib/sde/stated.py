r"""Any diffusion, stated by its drift and a root of its covariance."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jax.tree_util import Partial

from gansde_lib import gda
from gansde_lib.games import Players, as_players
from gansde_lib.simulate.engine import as_partial


@gda.plain.register
@dataclass(frozen=True)
class Diffusion:
    """What `diffusion` makes: for all that takes an `Equation` and needs its drift and noise alone."""

    drift: Partial
    given_root: Partial
    covariance_correction = False  # which an `Equation` may have

    def check(self, x):
        """Return x as float `Players`."""
        return as_players(x)

    def push(self, x, w):
        """Return the displacement `root(x) w` of increments w of variance one, given and returned as `Players`."""
        root = self.given_root(x)
        if isinstance(root, Players):
            return jax.tree.map(jnp.multiply, root, w)
        flat, unravel = ravel_pytree(w)
        return unravel(root @ flat)

    def root(self, x):
        """Return G as a matrix of shape (d, d)."""
        root = self.given_root(x)
        return jnp.diag(ravel_pytree(root)[0]) if isinstance(root, Players) else root

    def covariance(self, x):
        r"""Return :math:`G G^\top`, of shape (d, d)."""
        root = self.root(x)
        return root @ root.T


def diffusion(drift, root):
    r"""Return the stochastic differential equation :math:`dX = b(X)\,dt + G(X)\,dW`, one unit of time being one update.

    Args:
        drift: function of `Players` that returns `Players`.
        root: function of `Players` that returns G: `Players` shaped like x for noise that is independent from
            coordinate to coordinate, or a matrix of shape (d, d) in raveled coordinates. The first is many times
            faster.

    Functions with parameters are `jax.tree_util.Partial`: other parameters then compile nothing again.

    >>> from gansde_lib import sde
    >>> def drift(x):
    ...     return Players(-x.theta - x.omega, x.theta - x.omega)
    >>> rotation = diffusion(drift, lambda x: Players(0.1, 0.1))
    >>> ends = sde.ensemble(rotation, Players(1.0, 0.0), steps=10, substeps=20, size=4000, key=jax.random.key(0))
    >>> bool(abs(ends.theta.var() - 0.1**2 / 2) < 4 * 0.005 * (2 / 4000) ** 0.5)
    True
    """
    return Diffusion(as_partial(drift), as_partial(root))
