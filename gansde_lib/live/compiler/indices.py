"""Integers that index arrays: affine in loop variables, with division and remainder simplified where bounds allow."""

import math
from typing import NamedTuple


class Atom(NamedTuple):
    """A loop variable or a computed integer in [0, extent); `depth` is the scope it belongs to."""

    text: str
    depth: int
    extent: int
    source: tuple = ()  # (index, n, "/" or "%"), if it is a quotient or a remainder


class Index(NamedTuple):
    """constant + the sum of coefficient * atom over `terms`, a sorted tuple of (atom, coefficient)."""

    constant: int = 0
    terms: tuple = ()

    @staticmethod
    def of(atom):
        """The index that is this atom, or this number."""
        return Index(0, ((atom, 1),)) if isinstance(atom, Atom) else Index(int(atom))

    def __add__(self, other):
        other = other if isinstance(other, Index) else Index(other)
        sums = dict(self.terms)
        for atom, coefficient in other.terms:
            sums[atom] = sums.get(atom, 0) + coefficient
        for atom, coefficient in list(sums.items()):  # n * (x / n) + x % n is x
            if atom.source and atom.source[2] == "%" and coefficient:
                whole, n, _ = atom.source
                quotient = _part(whole, n, "/")
                if sums.get(quotient) == n * coefficient:
                    rest = Index(
                        self.constant + other.constant,
                        tuple((a, c) for a, c in sums.items() if a not in (atom, quotient)),
                    )
                    return rest + whole * coefficient
        return Index(self.constant + other.constant, tuple(sorted((a, c) for a, c in sums.items() if c)))

    def __mul__(self, factor):
        return Index(self.constant * factor, tuple((a, c * factor) for a, c in self.terms) if factor else ())

    @property
    def bounds(self):
        """The least and the greatest value."""
        low = self.constant + sum(c * (a.extent - 1) for a, c in self.terms if c < 0)
        return low, self.constant + sum(c * (a.extent - 1) for a, c in self.terms if c > 0)

    @property
    def depth(self):
        """The innermost scope that it depends on."""
        return max((atom.depth for atom, _ in self.terms), default=0)

    @property
    def text(self):
        """As C."""
        parts = [a.text if c == 1 else f"{c} * {a.text}" for a, c in sorted(self.terms, key=lambda term: -abs(term[1]))]
        parts += [str(self.constant)] if self.constant or not parts else []
        return " + ".join(parts).replace("+ -", "- ")

    def divide(self, n):
        """The pair (self // n, self % n) of a non-negative index."""
        multiples = Index(self.constant - self.constant % n, tuple((a, c) for a, c in self.terms if c % n == 0))
        rest = Index(self.constant % n, tuple((a, c) for a, c in self.terms if c % n))
        low, high = rest.bounds
        quotient = Index(multiples.constant // n, tuple((a, c // n) for a, c in multiples.terms))
        if low >= 0 and high < n:
            return quotient, rest
        return Index.of(_part(self, n, "/")), Index.of(_part(self, n, "%"))


def _part(whole, n, sign):
    extent = n if sign == "%" else whole.bounds[1] // n + 1
    text = whole.text if whole.text.isidentifier() else f"({whole.text})"
    return Atom(f"({text} {sign} {n})", whole.depth, extent, (whole, n, sign))


def ravel(index, shape):
    """The position in row-major order."""
    flat = Index()
    for i, n in zip(index, shape, strict=True):
        flat = flat * n + i
    return flat


def unravel(flat, shape):
    """The index at a position in row-major order."""
    index = []
    for n in reversed(shape[1:]):
        flat, rest = flat.divide(n)
        index.append(rest)
    return (flat, *reversed(index)) if shape else ()


def strides(shape, order):
    """Distance in elements between neighbours along each axis, where `order` names the axes, outermost first."""
    return {axis: math.prod(shape[a] for a in order[k + 1 :]) for k, axis in enumerate(order)}
