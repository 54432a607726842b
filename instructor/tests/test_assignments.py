"""The assignments themselves: solutions get every point in the sandbox, too, and what is committed is what is built."""

import json

import nbformat
import pytest

from instructor import attempt, build, verify
from instructor.bubblewrap import problem
from instructor.master import read

MASTERS = sorted(build.MASTERS.glob("*.md"))


@pytest.mark.parametrize("path", MASTERS, ids=lambda path: path.stem)
def test_student_notebook_is_current(path):
    made = nbformat.writes(build.student(read(path))) + "\n"
    assert (build.ROOT / "assignments" / f"{path.stem}.ipynb").read_text() == made, "run: make assignments"


@pytest.mark.parametrize("path", MASTERS, ids=lambda path: path.stem)
def test_solution_and_stub_fit(path, tmp_path):
    master = read(path)
    folder = build.ROOT / "instructor" / "_build" / "outputs"
    assert verify.verify(master, build.student(master), build.solution(master), folder) == []


@pytest.mark.skipif(problem() is not None, reason="no sandbox; run: python -m instructor.bubblewrap")
@pytest.mark.parametrize("path", MASTERS, ids=lambda path: path.stem)
def test_solution_gets_every_point(path):
    master = read(path)
    made = build.notebook(master, [build.shown(part, part.solution) for part in master.cells if part.tag != "hidden"])
    record = attempt.grade(nbformat.writes(made), master, attempt.Checker(master))
    rows = record["questions"]
    assert {question: row["points"] for question, row in rows.items()} == {
        question: points["hidden"] for question, points in master.questions.items()
    }, json.dumps(rows, indent=1)
    assert [check for row in rows.values() for check in row["checks"] if check] == []


@pytest.mark.parametrize("path", MASTERS, ids=lambda path: path.stem)
def test_assignment_is_of_the_promised_size(path):
    master = read(path)
    assert 2 <= master.time <= 8 and len(master.goals) >= 3
    assert master.tagged("manual"), "one question is open, and marked by hand"
    tested = {cell.question for cell in master.tagged("test")}
    assert {cell.question for cell in master.tagged("hidden")} <= tested, "a graded question has no self-check"
