"""Solutions and stubs held against each other: solutions get every point, stubs only say what is to be written."""

import asyncio
import hashlib
import json
import re
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from instructor.names import bound

SLOWEST = 300  # seconds of a cell; students are promised a minute, on a machine that does nothing else


def execute(notebook):
    """Run the cells of `notebook` in a kernel of its own, also after errors."""
    asyncio.set_event_loop(asyncio.new_event_loop())
    options = {"allow_errors": True, "interrupt_on_timeout": True, "record_timing": False}
    NotebookClient(notebook, timeout=SLOWEST, kernel_name="python3", **options).execute()
    return notebook


def errors(notebook):
    """Return the errors of an executed notebook: cell's id, kind, text."""
    found = [(cell, output) for cell in notebook.cells for output in cell.get("outputs", [])]
    return [(cell.id, output.ename, output.evalue) for cell, output in found if output.output_type == "error"]


def outputs(notebook):
    """Return what an executed notebook shows: its lines of text and the hashes of its pictures."""
    lines, pictures = [], []
    for output in [output for cell in notebook.cells for output in cell.get("outputs", [])]:
        data = output.get("data", {})
        lines += (output.get("text") or data.get("text/plain") or "").splitlines()
        if "image/png" in data:
            pictures.append(digest("".join(data["image/png"].split())))
    return {"lines": lines, "pictures": pictures}


def digest(text):
    """Return a hash of `text`."""
    return hashlib.sha256(text.encode()).hexdigest()


def of_solution(master, executed):
    """Return what is wrong with an executed solution notebook: errors, and hidden cells that give less than all."""
    problems = [f"{master.name}: the solution fails in {id}: {kind}: {text}" for id, kind, text in errors(executed)]
    for part, made in zip(master.cells, executed.cells[-len(master.cells) :], strict=True):
        said = "".join(output.get("text", "") for output in made.get("outputs", []))
        if part.tag == "hidden" and not re.match(rf"{part.question}: {part.points:g} of {part.points:g} points", said):
            problems.append(f"{master.name}: the solution does not get all points of {part.id}: {said.strip()}")
    return problems


def of_stub(master, executed):
    """Return what is wrong with an executed student notebook: any error but that an answer is still to be written."""
    answers = set().union(*(bound(part.solution) for part in master.tagged("answer", "manual") if part.kind == "code"))
    problems = []
    for id, kind, text in errors(executed):
        missing = re.match(r"name '(\w+)' is not defined", text)
        if kind != "NotImplementedError" and not (kind == "NameError" and missing and missing[1] in answers):
            problems.append(f"{master.name}: the student notebook fails in {id} with {kind}: {text}")
    failed = {id for id, _, _ in errors(executed)}
    for part in master.tagged("test"):
        if part.id.replace("_", "-") not in failed:
            problems.append(f"{master.name}: the self-check {part.id} passes on the stub: it checks nothing")
    return problems


def verify(master, student, solution, folder):
    """Run both notebooks, unless they were run as they are; keep what the solution shows in `folder`."""
    path = Path(folder) / f"{master.name}.json"
    mark = digest(nbformat.writes(student) + nbformat.writes(solution))
    if path.exists() and json.loads(path.read_text())["mark"] == mark:
        return []
    executed = execute(solution)
    problems = of_solution(master, executed) + of_stub(master, execute(student))
    if not problems:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"mark": mark, **outputs(executed)}))
    return problems
