"""Masters of assignments: MyST Markdown with tagged cells, read into plain cells for the builder and the grader."""

import re
from dataclasses import dataclass, field
from pathlib import Path

import jupytext

TAGS = ("locked", "answer", "test", "hidden", "manual")
WITH_QUESTION = ("answer", "test", "hidden", "manual")
WITH_POINTS = ("hidden", "manual")
CHECK = "### CHECK"
# In a code cell the solution stands between comments of Python, in a Markdown cell between comments of HTML.
SOLUTION = {
    "code": re.compile(
        r"^([ \t]*)### BEGIN SOLUTION[^\n]*\n(.*?)^[ \t]*### END SOLUTION[^\n]*$", re.DOTALL | re.MULTILINE
    ),
    "markdown": re.compile(r"^()<!-- BEGIN SOLUTION -->\n(.*?)^<!-- END SOLUTION -->$", re.DOTALL | re.MULTILINE),
}


@dataclass
class Cell:
    """A cell of a master: `tag` is one of `TAGS`, or None for ordinary text and code."""

    id: str
    kind: str
    source: str
    tag: str | None = None
    question: str | None = None
    points: float = 0

    @property
    def stub(self):
        """Return what a student gets: the text with every solution taken out."""
        blank = r'\1raise NotImplementedError("write {q} here")' if self.kind == "code" else "*Your answer here.*"
        return SOLUTION[self.kind].sub(blank.format(q=self.question), self.source)

    @property
    def solution(self):
        """Return the text without the markers."""
        return SOLUTION[self.kind].sub(lambda found: found[2].rstrip("\n"), self.source)

    @property
    def secrets(self):
        """Return the pieces of text that no student may see."""
        if self.tag == "hidden":
            return [self.source]
        return [found[2] for found in SOLUTION[self.kind].finditer(self.source)]

    @property
    def probe(self):
        """Return the part of a hidden cell that runs beside the student's code."""
        return self.source.partition(CHECK)[0].rstrip() + "\n"

    @property
    def check(self):
        """Return the part of a hidden cell that judges what the probe emitted."""
        return self.source.partition(CHECK)[2].lstrip("\n")


@dataclass
class Master:
    """An assignment: its front matter and its cells."""

    name: str
    title: str
    goals: list
    time: float
    rests_on: list
    cells: list = field(default_factory=list)

    def tagged(self, *tags):
        """Return the cells that carry one of `tags`, in order."""
        return [cell for cell in self.cells if cell.tag in tags]

    @property
    def questions(self):
        """Return the questions' names in order, each with its points by program and by hand."""
        found = {}
        for cell in self.tagged(*WITH_QUESTION):
            points = found.setdefault(cell.question, {"hidden": 0, "manual": 0})
            if cell.tag in WITH_POINTS:
                points[cell.tag] += cell.points
        return found

    @property
    def points(self):
        """Return all points of the assignment."""
        return sum(cell.points for cell in self.cells)


def read(path):
    """Return the master in the file at `path`; a ValueError names the cell that is wrong."""
    path = Path(path)
    notebook = jupytext.reads(path.read_text(), fmt="md:myst")
    front = {key: notebook.metadata.get(key) for key in ("title", "goals", "time", "rests_on")}
    if missing := [key for key, value in front.items() if not value]:
        raise ValueError(
            f"{path.name}: the front matter lacks {', '.join(missing)}; expected title, goals (a list), time (hours) "
            "and rests_on (a list such as [book/games, book/gda])"
        )
    master = Master(path.stem, **front)
    counts = {}
    for raw in notebook.cells:
        cell = _cell(path.name, raw)
        stem = (
            f"{cell.question}-{cell.tag}"
            if cell.question
            else (cell.tag or {"markdown": "text"}.get(cell.kind, "code"))
        )
        counts[stem] = counts.get(stem, 0) + 1
        cell.id = stem if counts[stem] == 1 and cell.question else f"{stem}-{counts[stem]}"
        master.cells.append(cell)
    _complete(path.name, master)
    return master


def _cell(name, raw):
    """Return the notebook cell `raw` as a `Cell` whose tags and metadata are consistent."""
    where = f"{name}: the cell that begins with {raw.source.strip().splitlines()[:1]}"
    tags = [tag for tag in raw.metadata.get("tags", [])]
    if unknown := [tag for tag in tags if tag not in TAGS]:
        raise ValueError(
            f"{where} carries the tag {unknown[0]!r}; expected one of {', '.join(TAGS)}, as in :tags: [answer]"
        )
    if len(tags) > 1:
        raise ValueError(f"{where} carries the tags {tags}; expected one, as in :tags: [answer]")
    tag = tags[0] if tags else None
    question, points = raw.metadata.get("q"), raw.metadata.get("points", 0)
    if (tag in WITH_QUESTION) != (question is not None):
        raise ValueError(
            f"{where} has tag {tag} and q {question!r}; cells with q are {', '.join(WITH_QUESTION)}, as in :q: drift"
        )
    if question is not None and not re.fullmatch(r"[a-z][a-z0-9_]*", str(question)):
        raise ValueError(f"{where} has q {question!r}; expected a name in lower case, as in :q: drift")
    if (tag in WITH_POINTS) != (points > 0):
        raise ValueError(
            f"{where} has tag {tag} and points {points}; cells with points are hidden and manual, as in :points: 3"
        )
    cell = Cell("", raw.cell_type, raw.source, tag, question, points)
    solutions = len(SOLUTION[cell.kind].findall(cell.source)) if cell.kind in SOLUTION else 0
    if (tag == "answer" and not solutions) or (tag in (None, "locked", "test", "hidden") and "SOLUTION" in cell.source):
        raise ValueError(
            f"{where} has tag {tag} and {solutions} solutions; answers have ### BEGIN SOLUTION ... ### END SOLUTION"
        )
    if cell.source.count("BEGIN SOLUTION") != solutions or cell.source.count("END SOLUTION") != solutions:
        raise ValueError(f"{where} has a solution whose BEGIN and END do not match; each stands on a line of its own")
    if cell.kind == "markdown" and re.match("# ", cell.source):
        raise ValueError(f"{where} is a heading of the first level, which the title takes; expected ## or deeper")
    if tag == "hidden" and len(re.findall(f"^{CHECK}$", cell.source, re.MULTILINE)) != 1:
        raise ValueError(f"{where} is hidden and has not one line {CHECK!r}; expected probe, {CHECK}, awards")
    return cell


def _complete(name, master):
    """Refuse questions that nothing marks."""
    for question, points in master.questions.items():
        if not sum(points.values()):
            raise ValueError(
                f"{name}: question {question!r} carries no points; expected a hidden or manual cell with :q: {question}"
            )
