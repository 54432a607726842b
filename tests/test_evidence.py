"""Evidence: verdicts, records and refusals."""

import json

import pytest

from gansde_lib import evidence


def make(**changes):
    fields = {"predicted": 1.0, "measured": 1.0, "tolerance": 0.1} | changes
    return evidence.record("a-claim", statement="One is one.", test="tests/test_evidence.py::test_verdicts", **fields)


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"measured": 1.09}, "holds"),
        ({"measured": 1.11}, "fails"),
        ({"measured": 0.89}, "fails"),
        ({"measured": float("nan")}, "fails"),
        ({"measured": float("inf")}, "fails"),
        ({"uncertainty": 0.033}, "holds"),
        ({"uncertainty": 0.034}, "unresolved"),  # three standard errors exceed the tolerance
        ({"relation": "<", "measured": 0.5, "uncertainty": 0.1, "tolerance": 0.0}, "holds"),
        ({"relation": "<", "measured": 0.9, "uncertainty": 0.1, "tolerance": 0.0}, "unresolved"),
        ({"relation": "<", "measured": 1.5, "uncertainty": 0.1, "tolerance": 0.0}, "fails"),
        ({"relation": ">", "measured": 1.5, "uncertainty": 0.1, "tolerance": 0.0}, "holds"),
        ({"relation": ">", "measured": 0.5, "uncertainty": 0.1, "tolerance": 0.0}, "fails"),
        ({"relation": ">", "measured": 0.95, "tolerance": 0.1}, "holds"),
    ],
)
def test_verdicts(changes, verdict):
    assert make(**changes).verdict == verdict


def test_a_record_travels_as_json_text_and_html():
    row = make(measured=1.02, uncertainty=0.01, seed=7)
    bundle = row._repr_mimebundle_()
    assert json.loads(json.dumps(bundle[evidence.MIME])) == row.to_dict()
    assert bundle[evidence.MIME]["verdict"] == "holds"
    assert bundle["text/plain"] == "a-claim: predicted 1, measured 1.02 ± 0.01 (tolerance 0.1): holds"
    assert "gansde-holds" in bundle["text/html"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"relation": "~"}, "relation must be one of"),
        ({"tolerance": -0.1}, "tolerance must be finite and not negative, found -0.1"),
        ({"uncertainty": float("nan")}, "uncertainty must be finite"),
    ],
)
def test_refusals(changes, message):
    with pytest.raises(ValueError, match=message):
        make(**changes)


def test_replications():
    good, bad = make(), make(measured=2.0)
    words = {"statement": "One is one.", "source": "derived", "reason": "None.", "test": "tests/test_evidence.py::test"}
    verdicts = {
        parts: evidence.replication("a-work", parts=parts, **words).verdict
        for parts in [(good, good), (good, bad), (bad, bad)]
    }
    assert list(verdicts.values()) == ["reproduced", "reproduced in part", "not at this scale"]
    row = evidence.replication("a-work", parts=[good, bad], seed=3, **words)
    bundle = row._repr_mimebundle_()
    assert json.loads(json.dumps(bundle[evidence.MIME])) == row.to_dict()
    assert [part["verdict"] for part in row.to_dict()["parts"]] == ["holds", "fails"]
    first, *lines = bundle["text/plain"].splitlines()
    assert first == "a-work: reproduced in part" and lines == [f"  {good}", f"  {bad}"]
    with pytest.raises(ValueError, match="needs parts"):
        evidence.replication("a-work", parts=[], **words)
