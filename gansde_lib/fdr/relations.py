"""The shape of the results: five relations, each with two sides; and statistics over independent chains."""

from typing import Any, NamedTuple

import numpy as np

from gansde_lib.sde import Estimate


class Sides(NamedTuple):
    """Both sides of one relation, each as a tuple of the terms that add up to it."""

    left: tuple
    right: tuple


class Relation(NamedTuple):
    """One relation, measured or exact; each field is an `Estimate(mean, error)`.

    `left` and `right`; `difference`, left less right; `ratio`, left over right; `relative`, the difference over the sum
    of the absolute values of all terms' means, which is the number to read where the sides are themselves differences.
    """

    left: Estimate
    right: Estimate
    difference: Estimate
    ratio: Estimate
    relative: Estimate

    def holds(self, count=3.0):
        """Return whether the sides agree within so many standard errors of their difference.

        >>> measured = Sides((np.array([1.0, 1.2, 0.9]),), (np.array([1.1, 1.0, 1.0]),))
        >>> relation(measured).holds()
        True
        """
        return bool(abs(self.difference.mean) <= count * self.difference.error)


class _Five(NamedTuple):
    theta: Any
    omega: Any
    total: Any
    payoff: Any
    rotation: Any


class Relations(_Five):
    """The five relations: `theta`, `omega`, their sum `total`, `payoff` and `rotation`.

    Reading `payoff` is a `ValueError` if the game is not zero-sum: there is then no function that one player lowers
    while the other raises it.
    """

    __slots__ = ()

    @property
    def payoff(self):
        """The relation of the payoff; `ValueError` if the game is not zero-sum."""
        if self[3] is None:
            raise ValueError(
                "the payoff relation needs a zero-sum game, found one with a payoff of the generator's own; for "
                "example games.toy_gan(), or read .theta, .omega, .total and .rotation, which hold for every game"
            )
        return self[3]

    def items(self):
        """Return pairs of name and relation, without a payoff relation that does not exist.

        >>> [name for name, _ in Relations(1, 2, 3, None, 5).items()]
        ['theta', 'omega', 'total', 'rotation']
        """
        return [(name, part) for name, part in zip(self._fields, self, strict=True) if part is not None]

    def map(self, function):
        """Return the relations with `function` applied to each of them.

        >>> Relations(1, 2, 3, None, 5).map(lambda part: 10 * part).rotation
        50
        """
        return Relations(*(None if part is None else function(part) for part in self))


class Balance(NamedTuple):
    """All forms of the relations, each of them `Relations`.

    * `exact`: those of the discrete chain, at the finite rate;
    * `continuous`: those of the equation of first order, theta's gradient taken where training takes it;
    * `at_start`: the same, with theta's gradient at the point from which the update starts;
    * `uncrossed`: `continuous` as if the players' batches were independent. It differs for a shared batch only.

    The relations of the exact form can be read directly, as in `balance.theta`.
    """

    exact: Relations
    continuous: Relations
    at_start: Relations
    uncrossed: Relations

    @property
    def theta(self):
        """The exact relation of the generator alone."""
        return self.exact.theta

    @property
    def omega(self):
        """The exact relation of the discriminator alone."""
        return self.exact.omega

    @property
    def total(self):
        """The sum of the two players' exact relations."""
        return self.exact.total

    @property
    def payoff(self):
        """The exact relation of the payoff; `ValueError` if the game is not zero-sum."""
        return self.exact.payoff

    @property
    def rotation(self):
        """The exact relation of the rotation between the players."""
        return self.exact.rotation


def relation(sides):
    r"""Return the `Relation` that the time averages of independent chains support.

    Each chain's average is one independent sample, however strongly its states are correlated. The error of the ratio
    R of the means comes from :math:`\operatorname{Var}(l_i - R\,r_i)` (the delta method).

    Args:
        sides: `Sides` of terms of shape (chains,), or of numbers: exact values, whose errors are zero.

    >>> found = relation(Sides((3.0, -1.0), (4.0,)))
    >>> float(found.ratio.mean), float(found.relative.mean), float(found.difference.error)
    (0.5, -0.25, 0.0)
    """
    left, right = ([np.atleast_1d(np.asarray(term, float)) for term in side] for side in sides)
    size = sum(term * np.sign(np.mean(term)) for term in left + right)
    left, right = sum(left), sum(right)

    def estimate(values):
        error = np.std(values, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else 0.0
        return Estimate(float(np.mean(values)), float(error))

    def quotient(above, below):
        with np.errstate(all="ignore"):
            value = np.mean(above) / np.mean(below)
            return Estimate(float(value), estimate((above - value * below) / np.mean(below)).error)

    return Relation(
        estimate(left), estimate(right), estimate(left - right), quotient(left, right), quotient(left - right, size)
    )
