"""The common mistakes of `instructor/mistakes/`: each, put into the solution, gets its own message and loses points."""

import functools
import re
from pathlib import Path

import numpy as np
import pytest

from gansde_lib import plot
from instructor.marking import judge, plain
from instructor.master import read

INSTRUCTOR = Path(__file__).parents[1]
PAGES = sorted((INSTRUCTOR / "mistakes").glob("*.md"))


def rows(page):
    """Return the rows of the page's table as (assignment, question, right text, wrong text, message)."""
    found = []
    for line in page.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip().removeprefix("|").removesuffix("|").split(" | ")]
        if len(cells) == 5 and cells[2].startswith("`"):
            found.append((page.stem, cells[0], cells[2].strip("`"), cells[3].strip("`"), cells[4]))
    return found


CASES = [row for page in PAGES for row in rows(page)]
IDS = [f"{name}-{question}-{k}" for k, (name, question, *_) in enumerate(CASES)]


@functools.cache
def solved(name):
    """Return the master and the names that its locked cells and solutions define."""
    master, names = read(INSTRUCTOR / "assignments" / f"{name}.md"), {"np": np}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plot, "show", lambda figure, **options: plot.plt.close(figure))  # the pictures are no matter here
        for cell in master.tagged("locked", "answer"):
            if cell.kind == "code":
                exec(compile(cell.solution, f"{name}-{cell.id}", "exec"), names)
    return master, names


def answered(name, question, right=None, wrong=None):
    """Return the cells of the question and all names, with `wrong` in place of `right` in the question's solution."""
    master, names = solved(name)
    names, replaced = dict(names), right is None
    for cell in master.tagged("answer"):
        if cell.question == question and cell.kind == "code":
            source = cell.solution if right is None else cell.solution.replace(right, wrong)
            replaced = replaced or source != cell.solution
            exec(compile(source, f"{name}-{cell.id}", "exec"), names)
    assert replaced, f"the solution of {question} holds no {right!r}; the table of mistakes has to follow the master"
    return [cell for cell in master.cells if cell.question == question], names


def check_self(cells, names):
    """Run the self-checks of the question."""
    for cell in cells:
        if cell.tag == "test":
            exec(compile(cell.source, cell.id, "exec"), names)


def lost(cells, names, seed):
    """Return how many of the question's points the hidden check withholds."""
    total = 0
    for cell in cells:
        if cell.tag == "hidden":
            emitted = {}
            names |= {"SEED": seed, "emit": lambda into=emitted, **values: into.update(values)}
            try:
                exec(compile(cell.probe, cell.id, "exec"), names)
            except Exception:
                total += cell.points
                continue
            emitted = {name: plain(value) for name, value in emitted.items()}
            total += cell.points - judge(cell.check, names | emitted, cell.points)[0]
    return total


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_graded_question_has_mistakes(page):
    graded = {cell.question for cell in solved(page.stem)[0].tagged("hidden")}
    assert graded == {question for name, question, *_ in CASES if name == page.stem}


@pytest.mark.parametrize("name, question, right, wrong, message", CASES, ids=IDS)
def test_a_mistake_is_caught_by_its_own_message(name, question, right, wrong, message):
    with pytest.raises(AssertionError, match=re.escape(message)):
        check_self(*answered(name, question, right, wrong))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_solution_passes_the_self_checks(page):
    for question in {cell.question for cell in solved(page.stem)[0].tagged("test")}:
        check_self(*answered(page.stem, question))


@pytest.mark.parametrize("name, question, right, wrong, message", CASES, ids=IDS)
def test_a_mistake_loses_points(name, question, right, wrong, message):
    assert lost(*answered(name, question, right, wrong), seed=12345) > 0
