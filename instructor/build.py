"""Build an assignment's notebooks from its master: `python -m instructor.build` for all of them.

From `instructor/assignments/NAME.md` come `assignments/NAME.ipynb` for students and, below `instructor/_build/`, the
solutions `solutions/NAME.ipynb` and nbgrader's `nbgrader/source/NAME/NAME.ipynb`. The same master gives the same bytes.
"""

import argparse
import inspect
import sys
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from instructor import marking
from instructor.master import read

ROOT = Path(__file__).parents[1]
MASTERS = ROOT / "instructor" / "assignments"
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
SET_UP = """
# Set-up: the book's library, or its wheel in the folder of this notebook. Nothing is installed or downloaded.
import sys
import tempfile
import zipfile
from pathlib import Path

try:
    import gansde_lib
except ImportError:
    wheels = sorted(Path().glob("gansde_lib-*.whl"))
    if not wheels:
        raise ImportError("put gansde_lib-*.whl into the folder of this notebook, then run this cell again") from None
    sys.path.insert(0, tempfile.mkdtemp(prefix="gansde-wheel-"))
    zipfile.ZipFile(wheels[-1]).extractall(sys.path[0])
    import gansde_lib

import numpy as np
""".strip()
HOW = (
    "Write your answers where a cell says `raise NotImplementedError` or *Your answer here*, and keep the names of the "
    "functions: your work is graded by calling them. A cell that begins with `# Self-check` runs your answer and says "
    "what is wrong with it; it carries no points. Each cell must run in under a minute. Before you hand in: Restart "
    "Kernel and Run All Cells."
)


def chapter(path):
    """Return a link from `assignments/` to the chapter `path`, such as "book/games"; a ValueError if there is none."""
    file = ROOT / f"{path}.ipynb"
    if not file.exists():
        raise ValueError(f"rests_on names {path!r}; expected a chapter such as book/games")
    first = nbformat.read(file, as_version=4).cells[0].source
    heading = next(line for line in first.splitlines() if line.startswith("# "))
    return f"[{heading[2:].strip()}](../{path}.ipynb)"


def opening(master):
    """Return the first cell's text: what is learnt, from which chapters, how long it takes and what gives points."""
    rows = []
    for number, (question, points) in enumerate(master.questions.items(), 1):
        by = " and ".join(name for name, kind in (("program", "hidden"), ("hand", "manual")) if points[kind])
        rows.append(f"| {number} | {question.replace('_', ' ')} | {points['hidden'] + points['manual']:g} | {by} |")
    return "\n".join(
        [
            f"# {master.title}",
            "",
            f"**{master.points:g} points, about {master.time:g} hour{'s' * (master.time != 1)}.** It rests on "
            + ", ".join(map(chapter, master.rests_on))
            + ".",
            "",
            "You learn to",
            "",
            *(f"- {goal}" for goal in master.goals),
            "",
            "| number | question | points | marked by |",
            "|---|---|---|---|",
            *rows,
            "",
            HOW,
        ]
    )


def cell(kind, source, id, **metadata):
    """Return a notebook cell with a fixed id, so that two builds agree to the byte."""
    make = new_code_cell if kind == "code" else new_markdown_cell
    return make(source, id=id.replace("_", "-"), metadata={key: value for key, value in metadata.items() if value})


def notebook(master, cells, set_up=SET_UP):
    """Return a notebook of the assignment's opening, its set-up and `cells`."""
    first = [cell("markdown", opening(master), "opening"), cell("code", set_up, "set-up", tags=["locked"])]
    return new_notebook(cells=[*first, *cells], metadata=METADATA)


def shown(part, source):
    """Return the cell of a student's notebook for `part` of the master."""
    if part.tag == "test":
        source = f"# Self-check: {part.question.replace('_', ' ')}\n{source}"
    return cell(part.kind, source, part.id, tags=[part.tag] if part.tag else None, q=part.question, points=part.points)


def student(master):
    """Return the notebook that students get: no solutions, no hidden checks."""
    return notebook(master, [shown(part, part.stub) for part in master.cells if part.tag != "hidden"])


def grading_call(part):
    """Return the source that runs the hidden cell `part` inside a notebook."""
    probe, check = part.probe.strip("\n"), part.check.strip("\n")
    quoted = [
        f"'''\n{text}\n'''" if "'''" not in text and "\\" not in text else repr(f"\n{text}\n")
        for text in (probe, check)
    ]
    return f'grade(\n    "{part.question}",\n    {part.points:g},\n    {quoted[0]},\n    {quoted[1]},\n)'


def grading_tools():
    """Return the source of the cell that `grading_call` needs."""
    functions = (marking.plain, marking.close, marking.judge, marking.grade)
    head = "# What the checks below call. SEED is drawn anew in every kernel.\nimport os\n\n"
    head += 'SEED = int.from_bytes(os.urandom(4), "big") // 2'
    return "\n\n\n".join([head, *(inspect.getsource(function).rstrip() for function in functions)])


def solution(master):
    """Return the instructor's notebook: solutions, rubrics and hidden checks, which print the points they give."""
    tools = cell("code", grading_tools(), "grading-tools")
    parts = []
    for part in master.cells:
        if part.tag == "hidden":
            parts.append(
                cell("code", grading_call(part), part.id, tags=["hidden"], q=part.question, points=part.points)
            )
        else:
            parts.append(shown(part, part.solution))
    return notebook(master, [tools, *parts])


def write(made, path):
    """Write the notebook `made` to `path`, after it was validated."""
    nbformat.validate(made)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(nbformat.writes(made) + "\n")


def make(master, root=ROOT, run=True):
    """Write the notebooks of `master`; a ValueError says what is wrong with it, before anything is public."""
    from instructor import nbgrader_source, verify

    public, private = student(master), solution(master)
    text = "".join(made.source for made in public.cells)
    if any(secret.strip() in text for part in master.cells for secret in part.secrets) or "SOLUTION" in text:
        raise ValueError(
            f"{master.name}: a solution stands in the student's notebook; mark it with BEGIN and END SOLUTION"
        )
    own = root / "instructor" / "_build"
    write(private, own / "solutions" / f"{master.name}.ipynb")
    write(nbgrader_source.source(master), own / "nbgrader" / "source" / master.name / f"{master.name}.ipynb")
    if run and (problems := verify.verify(master, student(master), private, own / "outputs")):
        raise ValueError("\n".join(problems))
    write(public, root / "assignments" / f"{master.name}.ipynb")


def main(arguments=None):
    """Build the assignments that the command line names, or all of them."""
    from instructor import guard

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="assignments, such as games (default: all)")
    parser.add_argument("--no-run", action="store_true", help="do not run solutions and stubs")
    options = parser.parse_args(arguments)
    for path in sorted(MASTERS.glob("*.md")):
        if not options.names or path.stem in options.names:
            print(path.stem, flush=True)
            make(read(path), run=not options.no_run)
    site = ROOT / "_build" / "html"
    if found := guard.check(site=site if site.exists() else None):
        sys.exit("\n".join(["Secrets of the coursework are public:", *found]))


if __name__ == "__main__":
    main()
