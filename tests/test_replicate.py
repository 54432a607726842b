"""`make replicate`: what it says of a notebook that holds, changed, fails, stops or records something else."""

import json
import shutil
import subprocess

import nbformat
import pytest
import replicate

from conftest import ROOT

SETUP = """
from gansde_lib import evidence
words = {"statement": "One is one.", "test": "tests/test_replicate.py::test_a_toy_is_replicated"}
def one(name, measured):
    return evidence.record(name, predicted=1.0, measured=measured, tolerance=0.1, **words)
def work(name, *measured):
    parts = [one(f"part-{k}", value) for k, value in enumerate(measured)]
    return evidence.replication(name, parts=parts, source="derived", reason="None.", **words)
"""


def write(path, cells, *, stored):
    """Write a notebook of these cells whose stored outputs are those of other cells, run in this process."""
    space = {}
    exec(SETUP, space)
    made = [nbformat.v4.new_code_cell(SETUP)]
    for source, before in zip(cells, stored, strict=True):
        made.append(nbformat.v4.new_code_cell(source))
        data = eval(before, space)._repr_mimebundle_() if before else {}
        made[-1].outputs = [nbformat.v4.new_output("display_data", data=data)] if before else []
    nbformat.write(nbformat.v4.new_notebook(cells=made, metadata=replicate.notebooks.METADATA), path)
    return path


def run(tmp_path, *paths):
    """Return the exit status and the report on these notebooks, whose files must not change."""
    texts = [path.read_bytes() for path in paths]
    status = replicate.main([*map(str, paths), "--output", str(tmp_path / "out" / "report.json")])
    assert [path.read_bytes() for path in paths] == texts
    return status, json.loads((tmp_path / "out" / "report.json").read_text())


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """Let the kernels find the library, and put back what the tool sets for them."""
    for name, value in {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}.items():
        monkeypatch.setenv(name, value)
    for name in ("JAX_COMPILATION_CACHE_DIR", "GANSDE_PROGRESS"):
        monkeypatch.setenv(name, "")


def test_a_toy_is_replicated(tmp_path, capsys):
    cells = ["one('same', 1.0)", "one('moved', 1.05)", "work('in-part', 1.0, 2.0)"]
    path = write(tmp_path / "toy.ipynb", cells, stored=["one('same', 1.0)", "one('moved', 1.04)", cells[2]])
    status, report = run(tmp_path, path)
    assert status == 0 and report["failures"] == []
    assert {row["name"]: row["change"] for row in report["rows"]} == {
        "same": None,
        "moved": "measured",
        "in-part": None,
        "in-part / part-0": None,
        "in-part / part-1": None,
    }
    assert {row["device"] for row in report["rows"]} == {"cpu"}
    said = capsys.readouterr()
    assert " 2 holds, 1 reproduced in part" in said.out
    assert "changed  toy: moved: 1.04 (holds) -> 1.05 (holds); predicted = 1, tolerance 0.1" in said.out
    assert "1/1" in said.err  # the bar


def test_failures_are_told_and_do_not_stop_the_others(tmp_path, capsys):
    bad = ["one('wrong', 2.0)", "1", "work('work', 1.0)", "one('new', 1.0)"]
    stored = ["one('wrong', 1.0)", "one('gone', 1.0)", "work('work', 2.0, 2.0)", ""]
    paths = [write(tmp_path / "bad.ipynb", bad, stored=stored)]
    paths += [write(tmp_path / "stops.ipynb", ["1 / 0", "one('late', 1.0)"], stored=["", "one('late', 1.0)"])]
    paths += [write(tmp_path / "good.ipynb", ["one('good', 1.0)"], stored=["one('good', 1.0)"])]
    status, report = run(tmp_path, *paths)
    assert status == 1
    assert [complaint.split(";")[0] for complaint in report["failures"]] == [
        "bad: wrong: 1 (holds) -> 2 (fails)",
        "bad: gone: was not recorded",
        "bad: work: reproduced, was not at this scale",
        "bad: work / part-0: 2 (fails) -> 1 (holds)",
        "bad: work / part-1: was not recorded",
        "stops stopped: ZeroDivisionError: division by zero",
        "stops: late: was not recorded",
    ]
    assert "changed  bad: new: nothing -> 1 (holds)" in capsys.readouterr().out


def test_stored_studies_are_computed_first(tmp_path, monkeypatch):
    (tmp_path / "study.py").write_text("from pathlib import Path; Path(__file__).with_suffix('.txt').write_text('1.0')")
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{tmp_path}")
    monkeypatch.setattr(replicate, "DATA", ("study",))
    reading = f"one('read', float(open({str(tmp_path / 'study.txt')!r}).read()))"
    path = write(tmp_path / "reads.ipynb", [reading], stored=["one('read', 1.0)"])
    assert replicate.main([str(path), "--data", "--output", str(tmp_path / "report.json")]) == 0


def test_the_book_has_evidence_to_replicate():
    found = {path.stem for path in replicate.with_evidence(ROOT / "book")}
    assert {"games", "gda", "critical", "ito_calculus"} <= found and "preface" not in found


def test_make_offers_it():
    if not shutil.which("make"):
        pytest.skip("no make")
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "make replicate " in listed
