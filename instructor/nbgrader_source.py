"""The assignment as a source notebook for nbgrader, for courses that use its exchange and its marking pages.

nbgrader runs hidden tests in the student's kernel, where a hostile hand-in can forge them: `instructor.grade` does not.
"""

from nbformat.v4 import new_notebook

from instructor.build import METADATA, cell, grading_call, grading_tools, notebook, shown


def marked(made, part=None, **kind):
    """Return the cell `made` with the metadata of nbgrader; `kind` says whether it is graded, a solution, locked."""
    kind = {"grade": False, "solution": False, "locked": False, "task": False} | kind
    made.metadata["nbgrader"] = {"schema_version": 3, "grade_id": made.id, **kind}
    if kind["grade"]:
        made.metadata["nbgrader"]["points"] = part.points
    return made


def graded(part):
    """Return the cell of nbgrader's source notebook for `part` of the master."""
    if part.tag == "hidden":
        source = f"### BEGIN HIDDEN TESTS\n{grading_call(part)}\n### END HIDDEN TESTS"
        return marked(cell("code", source, part.id), part, grade=True, locked=True)
    made = shown(part, part.source)
    if part.tag == "answer":
        return marked(made, part, solution=True)
    if part.tag == "manual":
        return marked(made, part, grade=True, solution=True)
    return marked(made, locked=True) if part.tag else made


def source(master):
    """Return the source notebook of the assignment `master`."""
    opening = notebook(master, []).cells
    tools = cell("code", grading_tools(), "grading-tools")
    fixed = [marked(made, locked=True) for made in (opening[1], tools)]
    return new_notebook(cells=[opening[0], *fixed, *map(graded, master.cells)], metadata=METADATA)
