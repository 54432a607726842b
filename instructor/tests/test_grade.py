"""Grading a class: whose file is whose, resuming, tables, marks by hand, and the worker without bubblewrap."""

import csv
import json
from pathlib import Path

import nbformat
import pytest

from instructor import attempt, build, grade, gradebook, gradescope, values
from instructor.bubblewrap import problem
from instructor.master import read
from instructor.sandbox import Limits, Lost, Session, descendants
from instructor.tests import hand_ins

HERE = Path(__file__).parent
MASTER = read(HERE / "small.md")


def test_files_of_students(tmp_path):
    for name in (
        "ada.ipynb",
        "notes.txt",
        "poe_41_900_small.ipynb",
        "poe_LATE_41_905_small.ipynb",
        "bo/x/small.ipynb",
        "bo/old.ipynb",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("{}")
    found = {student: path.name for student, path in grade.hand_ins(tmp_path, "small").items()}
    assert found == {"ada": "ada.ipynb", "41": "poe_LATE_41_905_small.ipynb", "bo": "small.ipynb"}
    (tmp_path / "ada").mkdir()
    (tmp_path / "ada" / "small.ipynb").write_text("{}")
    with pytest.raises(ValueError, match="ada has two hand-ins"):
        grade.hand_ins(tmp_path, "small")


@pytest.mark.parametrize("value", [None, True, 3, 2.5, "text", [1, [2.0, "x"]], 1j])
def test_values_survive_the_way_out(value):
    assert values.decode(json.loads(json.dumps(values.encode(value)))) == value


@pytest.mark.parametrize(
    "packed", [{"npy": "AAAA"}, {"npy": 3}, {"list": 3}, {}, {"npy": "gASVCgAAAAAAAACMBnBvc2l4lC4="}, [1], {"x": 1}]
)
def test_forged_values_are_refused(packed):
    with pytest.raises((ValueError, EOFError, OSError)):
        values.decode(packed)


def test_nested_values_are_refused():
    packed = 1
    for _ in range(50):
        packed = {"list": [packed]}
    with pytest.raises(ValueError, match="expected numbers"):
        values.decode(packed)


def test_session_without_bubblewrap():
    with Session(Limits(), sandboxed=False) as session:
        reply, text = session.ask("1", "print('hello')\nx = 3")
        assert reply["error"] is None and text == "hello\n"
        reply, _ = session.ask("2", "emit(y=x + SEED)", probe=True, seed=4)
        assert reply["values"] == {"y": 7}
        session.ask("3", "import subprocess; child = subprocess.Popen(['sleep', '97531'])")
        below = descendants(session.process.pid)
        with pytest.raises(Lost, match="ran longer than 1 s"):
            session.ask("4", "while True: pass", seconds=1)
    assert below and not [pid for pid in below if b"97531" in _command(pid)]


def _command(pid):
    """Return the command line of a process, empty if it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def test_long_cells_do_not_stop_the_grader():
    """A worker that does not read while a long cell is written to it: the limit holds."""
    with Session(Limits(), sandboxed=False) as session:
        forged = 'import os, time\nfor d in range(3, 20):\n    try: os.write(d, b\'{"id": 1, "error": null}\\n\')\n'
        session.ask("1", f"{forged}    except OSError: pass\ntime.sleep(60)")
        with pytest.raises(Lost, match="ran longer"):
            session.ask("2", "x = 1\n" * 100_000, seconds=1)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Grade two students, and return the folders of hand-ins and of results."""
    if problem():
        pytest.skip("no sandbox; run: python -m instructor.bubblewrap")
    folder, out = tmp_path_factory.mktemp("class"), tmp_path_factory.mktemp("results")
    reference = hand_ins.make(MASTER, "reference")
    reference.cells[-1].source = "<script>alert(1)</script> No."
    (folder / "ada.ipynb").write_text(nbformat.writes(reference))
    (folder / "bo.ipynb").write_text(nbformat.writes(hand_ins.make(MASTER, "wrong")))
    assert grade.grade("small", folder, out, jobs=1, masters=HERE, seed=5) == {}
    return folder, out


def rows(path):
    """Return the rows of a table by their first column."""
    with open(path, newline="") as file:
        return {row[0]: row[1:] for row in csv.reader(file)}


def test_resumed_class_keeps_who_is_finished(results):
    folder, out = results
    before = (out / "students" / "ada.json").stat().st_mtime_ns
    (folder / "bo.ipynb").write_text(nbformat.writes(hand_ins.make(MASTER, "partial")))
    assert grade.grade("small", folder, out, jobs=1, masters=HERE) == {}
    assert (out / "students" / "ada.json").stat().st_mtime_ns == before
    assert rows(out / "grades.csv")["bo"][:5] == ["1", "3", "0", "0", "0"]


def test_marks_by_hand_complete_the_grades(results, tmp_path):
    _, out = results
    assert rows(out / "grades.csv")["ada"] == ["3", "3", "2", "2", "0", "10", "12", "yes"]
    table = (out / "manual.csv").read_text()
    (out / "manual.csv").write_text(table.replace("ada,claim,,2,", "ada,claim,1.5,2,A game is missing"))
    roster = tmp_path / "roster.csv"
    roster.write_text(
        "Student,ID,SIS Login ID,Section,Old\n    Points Possible,,,,9\n"
        "Ada L,41,ada,1,3\nBo M,42,bo,1,4\nCy N,43,cy,1,5\n"
    )
    gradebook.main(["small", str(out), "--roster", str(roster), "--masters", str(HERE)])
    assert rows(out / "grades.csv")["ada"] == ["3", "3", "2", "2", "1.5", "11.5", "12", "no"]
    assert "A game is missing" in (out / "feedback" / "ada.html").read_text()
    canvas = rows(out / "canvas.csv")
    assert canvas["Ada L"] == ["41", "ada", "1", "11.5"] and canvas["Bo M"][-1] == "" and canvas["Cy N"][-1] == ""
    marking = (out / "marking.html").read_text()
    assert "<script>" not in marking and "alert(1)" in marking and "Rubric" in marking
    assert "ada,claim,1.5,2,A game is missing" in (out / "manual.csv").read_text()


def test_impossible_mark_is_refused(results):
    _, out = results
    table = (out / "manual.csv").read_text()
    try:
        (out / "manual.csv").write_text("student,question,points,of,comment\nbo,claim,7,2,\n")
        with pytest.raises(ValueError, match="gives bo '7' points for claim; expected 0 to 2"):
            gradebook.write_all(MASTER, out)
    finally:
        (out / "manual.csv").write_text(table)


def test_roster_of_another_kind_is_refused(results, tmp_path):
    _, out = results
    (tmp_path / "roster.csv").write_text("name,mail\na,b\n")
    with pytest.raises(ValueError, match="columns name, mail; expected Student"):
        gradebook.write_all(MASTER, out, tmp_path / "roster.csv")


def test_gradescope_results(tmp_path):
    (tmp_path / "x.ipynb").write_text(nbformat.writes(hand_ins.make(MASTER, "wrong")))
    gradescope.results("small", tmp_path, tmp_path / "results.json", HERE)
    tests = json.loads((tmp_path / "results.json").read_text())["tests"]
    assert {test["name"]: (test["score"], test["max_score"]) for test in tests} == {
        "step": (1, 3), "drift": (0, 3), "variance": (0, 2), "rate": (2, 2)
    }  # fmt: skip


def test_checks_do_not_hang(monkeypatch):
    monkeypatch.setattr(attempt, "LONGEST_CHECK", 1)
    checker = attempt.Checker(MASTER)
    cell = next(cell for cell in MASTER.cells if cell.id == "rate-hidden")
    cell.source = cell.source.replace("award(2", "while rate > 0: pass\naward(2")
    try:
        assert checker.judge(cell, {"values": {"rate": 1.0}}, 1) == (
            0, ["your answer could not be read (TimeoutError); compare its type and shape"]
        )  # fmt: skip
    finally:
        cell.source = cell.source.replace("while rate > 0: pass\n", "")


def test_solution_is_worth_everything():
    """The reference as built from the master, through the trusted half: checks need none of the student's names."""
    if problem():
        pytest.skip("no sandbox; run: python -m instructor.bubblewrap")
    made = build.notebook(MASTER, [build.shown(part, part.solution) for part in MASTER.cells if part.tag != "hidden"])
    record = attempt.grade(nbformat.writes(made), MASTER, attempt.Checker(MASTER))
    assert {question: row["points"] for question, row in record["questions"].items()} == {
        question: points["hidden"] for question, points in MASTER.questions.items()
    }
