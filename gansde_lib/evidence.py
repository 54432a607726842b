"""Named numbers: what a claim predicts, what was measured, and whether the two agree.

A chapter calls `record` once for each claim that it measures. The record travels with the notebook's
outputs; the build collects all of them into the evidence page, and the tests fail on a verdict other than "holds".
A lab that repeats another work calls `replication`: its claim has several parts, and some of them may fail.
"""

import html
import math
from dataclasses import asdict, dataclass

import jax
import numpy as np

MIME = "application/vnd.gansde.evidence+json"
RELATIONS = ("=", "<", ">")


@dataclass(frozen=True)
class Evidence:
    """One claim: theory beside measurement, with everything needed to judge and to find it again."""

    name: str
    statement: str
    predicted: float
    measured: float
    uncertainty: float
    tolerance: float
    relation: str
    source: str
    test: str
    seed: int | None
    device: str

    @property
    def verdict(self):
        """`"holds"`, `"fails"`, or `"unresolved"` when three standard errors exceed the tolerance.

        For the relations `<` and `>` the measured value must clear the predicted bound by three standard
        errors; the tolerance is then how far beyond the bound it may still lie and hold.
        """
        if not math.isfinite(self.measured):
            return "fails"
        if self.relation == "=":
            if 3 * self.uncertainty > self.tolerance:
                return "unresolved"
            return "holds" if abs(self.measured - self.predicted) <= self.tolerance else "fails"
        excess = (self.measured - self.predicted) * (1 if self.relation == "<" else -1)
        if excess + 3 * self.uncertainty <= self.tolerance:
            return "holds"
        return "fails" if excess - 3 * self.uncertainty > self.tolerance else "unresolved"

    def to_dict(self):
        """Return the record and its verdict as a JSON-ready dictionary."""
        return {**asdict(self), "verdict": self.verdict}

    def __str__(self):
        relation = "" if self.relation == "=" else f"{self.relation} "
        spread = f" ± {self.uncertainty:.2g}" if self.uncertainty else ""
        return (
            f"{self.name}: predicted {relation}{self.predicted:.6g}, measured {self.measured:.6g}{spread} "
            f"(tolerance {self.tolerance:.2g}): {self.verdict}"
        )

    def _repr_mimebundle_(self, include=None, exclude=None):
        del include, exclude
        text = str(self)
        return {
            MIME: self.to_dict(),
            "text/html": f'<p class="gansde-evidence gansde-{self.verdict}">{html.escape(text)}</p>',
            "text/plain": text,
        }


def record(
    name, *, statement, predicted, measured, tolerance, test, uncertainty=0.0, relation="=", source="derived", seed=None
):
    """Return the evidence for one claim; displayed as the last line of a cell it enters the evidence page.

    Args:
        name: unique within the book, words joined by hyphens.
        statement: the claim in one sentence.
        predicted: the value (or, for `relation` "<" and ">", the bound) that theory gives.
        measured: the value found by computation.
        tolerance: the largest difference at which the claim still holds.
        test: the test that holds the claim, as `tests/test_gda.py::test_name`.
        uncertainty: standard error of the measured value; 0 for a deterministic computation.
        relation: "=", "<" (measured lies below the bound) or ">".
        source: "derived", or the key of a work in the bibliography.
        seed: the seed that a random measurement started from.

    Raises:
        ValueError: for an unknown relation, or a negative or non-finite tolerance or uncertainty.

    >>> record("half", statement="A half is a half.", predicted=0.5, measured=0.5, tolerance=1e-9,
    ...        test="tests/test_evidence.py::test_verdicts").verdict
    'holds'
    """
    if relation not in RELATIONS:
        raise ValueError(f'relation must be one of {RELATIONS}, found {relation!r}; for example relation="<"')
    for label, value in {"tolerance": tolerance, "uncertainty": uncertainty}.items():
        if not (math.isfinite(float(value)) and float(value) >= 0):
            raise ValueError(f"{label} must be finite and not negative, found {value!r}; for example {label}=0.01")
    return Evidence(
        name=name,
        statement=statement,
        predicted=float(predicted),
        measured=float(measured),
        uncertainty=float(uncertainty),
        tolerance=float(tolerance),
        relation=relation,
        source=source,
        test=test,
        seed=seed,
        device=jax.devices()[0].platform,
    )


def mean(values):
    """Return the mean of independent values and its standard error, as `record` takes them.

    >>> mean(np.array([1.0, 2.0, 3.0, 4.0]))["measured"].item()
    2.5
    """
    return {"measured": np.mean(values), "uncertainty": np.std(values, ddof=1) / len(values) ** 0.5}


def failed(parts):
    """Return the names of the records that do not hold, in their order.

    >>> failed([record("half", statement="Half is one.", predicted=1.0, measured=0.5, tolerance=1e-9, test="none")])
    ['half']
    """
    return [part.name for part in parts if part.verdict != "holds"]


@dataclass(frozen=True)
class Replication:
    """The headline claim of another work, taken apart into what was measured here."""

    name: str
    statement: str
    source: str
    parts: tuple
    reason: str
    test: str
    seed: int | None
    device: str

    @property
    def verdict(self):
        """`"reproduced"` if all parts hold, `"not at this scale"` if none does, else `"reproduced in part"`."""
        held = [part.verdict == "holds" for part in self.parts]
        return "reproduced" if all(held) else "reproduced in part" if any(held) else "not at this scale"

    def to_dict(self):
        """Return the record, its parts and their verdicts as a JSON-ready dictionary."""
        row = {key: value for key, value in vars(self).items() if key != "parts"}
        return {**row, "parts": [part.to_dict() for part in self.parts], "verdict": self.verdict}

    def __str__(self):
        return "\n".join([f"{self.name}: {self.verdict}", *(f"  {part}" for part in self.parts)])

    def _repr_mimebundle_(self, include=None, exclude=None):
        del include, exclude
        text = str(self)
        return {
            MIME: self.to_dict(),
            "text/html": f'<pre class="gansde-evidence">{html.escape(text)}</pre>',
            "text/plain": text,
        }


def replication(name, *, statement, source, parts, reason, test, seed=None):
    """Return the evidence for another work's claim; displayed as the last line of a cell it enters the evidence page.

    Args:
        name: unique within the book, words joined by hyphens.
        statement: the claim of the work in one sentence, in our words.
        source: the key of the work in the bibliography.
        parts: what the claim comes down to in the lab's model, one record each; parts that fail are kept.
        reason: why the verdict is what it is: what held, what did not, and in which regime.
        test: the test that holds the verdict and flips it, as `tests/test_neighbours_wide.py::test_name`.
        seed: the seed that the measurements started from.

    Raises:
        ValueError: without parts.

    >>> half = record("half", statement="A half is a half.", predicted=0.5, measured=0.5, tolerance=1e-9,
    ...               test="tests/test_evidence.py::test_verdicts")
    >>> replication("halves", statement="Halves are halves.", source="derived", parts=[half], reason="By definition.",
    ...             test="tests/test_evidence.py::test_replications").verdict
    'reproduced'
    """
    if not parts:
        raise ValueError("a replication needs parts, found none; for example parts=[record(...)]")
    return Replication(name, statement, source, tuple(parts), reason, test, seed, jax.devices()[0].platform)
