"""One hand-in: run its cells in sandboxes, then judge outside what the probes emitted."""

import contextlib
import io
import re
import secrets
import signal
from dataclasses import asdict

import nbformat

from instructor import marking
from instructor.build import SET_UP
from instructor.names import bound, without
from instructor.sandbox import Limits, Lost, Session
from instructor.values import decode

LONGEST_CHECK = 120  # seconds: a check works on values that a student chose


def cells(notebook, master):
    """Return what runs in the student's process, in order: names with sources.

    All code cells of the hand-in run as they stand, except copies of self-checks, which the master's own follow. Locked
    cells that were deleted or edited run first, as the master has them.
    """
    sources = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    stripped = {source.strip() for source in sources}
    checks = {
        f"# Self-check: {cell.question.replace('_', ' ')}\n{cell.source}".strip() for cell in master.tagged("test")
    }
    locked = {"set-up": SET_UP} | {cell.id: cell.source for cell in master.tagged("locked")}
    first = {name: source for name, source in locked.items() if source.strip() not in stripped}
    own = {f"{number}": source for number, source in enumerate(sources, 1) if source.strip() not in checks}
    return first | own, {cell.id: cell.source for cell in master.tagged("test")}


def collect(notebook, master, seed, limits=None, sandboxed=True):
    """Run the hand-in and return, for each cell, test and probe, its reply; what is lost costs only itself."""
    limits = limits or Limits()
    own, tests = cells(notebook, master)
    probes = {cell.id: cell.probe for cell in master.tagged("hidden")}
    replies, lost, used = {}, {}, 0.0
    while True:
        current = None
        with Session(limits, sandboxed) as session:
            try:
                for name, source in own.items():
                    current = name
                    if name not in lost:
                        reply, text = session.ask(name, source, _rest(limits, used + session.clock))
                        replies.setdefault(name, reply | {"text": text})
                for name, source in (tests | probes).items():
                    current = name
                    if name not in lost and name not in replies:
                        seconds = _rest(limits, used + session.clock)
                        replies[name], _ = session.ask(
                            name, source, seconds, name in probes, seed if name in probes else None
                        )
                break
            except Lost as reason:
                # A new sandbox runs everything again without this cell.
                lost[current] = str(reason)
                replies[current] = {"error": {"type": "Lost", "message": str(reason)}, "text": reason.text}
                used += session.clock
        if used > limits.total:
            for name in {**own, **tests, **probes}:
                replies.setdefault(
                    name, {"error": {"type": "Lost", "message": "was not reached: the notebook took too long"}}
                )
            break
    return replies


def _rest(limits, used):
    """Return the seconds that the next cell may take."""
    return max(1.0, min(limits.cell, limits.total - used))


class Checker:
    """The trusted half: the names that checks may use, worked out once for a master."""

    def __init__(self, master):
        """Run the set-up and the locked cells of `master`, as far as they need no answer."""
        self.master, self.names = master, {"__name__": "check"}
        self.answers = set().union(
            *(bound(cell.solution) for cell in master.tagged("answer", "manual") if cell.kind == "code")
        )
        exec(SET_UP, self.names)
        for cell in master.tagged("locked"):
            source, self.answers = without(cell.source, self.answers)
            with contextlib.redirect_stdout(io.StringIO()):
                exec(source, self.names)

    def judge(self, cell, reply, seed, own=()):
        """Return the points for the hidden `cell` and remarks to the student."""
        error = reply.get("error")
        remarks = [_sentence(error, own)] if error else []
        values, packed, unread = {}, reply.get("values"), False
        for name, value in packed.items() if isinstance(packed, dict) else ():
            try:
                values[name] = decode(value)
            except Exception:  # npy and base64 fail in many ways on forged input
                unread = True
        # The names are the student's, too, and so could carry out what a probe says.
        remarks += ["a value that your code returned could not be read"] if unread else []
        if not values:
            return 0, remarks or ["your function returned nothing that can be graded"]
        names = dict(self.names, SEED=seed, emit=None)
        source, _ = without(cell.probe, self.answers | {"emit"})
        with _at_most(LONGEST_CHECK), contextlib.redirect_stdout(io.StringIO()):
            exec(source, names)
            score, found = marking.judge(cell.check, {**names, **values}, cell.points)
        return score, remarks + found


@contextlib.contextmanager
def _at_most(seconds):
    """Interrupt what runs below after `seconds`; `marking.judge` counts that as an answer that cannot be read."""

    def stop(*_):
        raise TimeoutError("the check took too long")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _sentence(error, own):
    """Return what to say of an error beside a probe: its type and the student's own line, no word of the probe."""
    if not isinstance(error, dict):
        return "your code failed"
    if error.get("type") == "Lost":
        return f"your code {error.get('message')}"
    kind, place = str(error.get("type")), error.get("where")
    said = f"your code raised {kind if kind.isidentifier() and len(kind) < 50 else 'an exception'}"
    if isinstance(place, list) and len(place) == 2 and place[0] in own and isinstance(place[1], int):
        lines = own[place[0]].splitlines()
        if 1 <= place[1] <= len(lines):
            said += f" in the line `{lines[place[1] - 1].strip()[:200]}`"
    return said


def grade(text, master, checker, seed=None, limits=None, sandboxed=True):
    """Grade a hand-in, the `text` of a notebook: points and remarks by question, and what its cells said."""
    seed = secrets.randbelow(2**31) if seed is None else seed
    result = {"assignment": master.name, "seed": seed, "questions": {}, "problem": None, "manual": {}}
    try:
        notebook = nbformat.reads(text, as_version=4)
        if not all(map(readable, notebook.cells)):
            raise ValueError
    except Exception as problem:  # whatever a file that is no notebook leads to
        notebook, result["problem"] = nbformat.v4.new_notebook(), f"this is not a notebook ({type(problem).__name__})"
    replies = collect(notebook, master, seed, limits, sandboxed) if notebook.cells else {}
    own, _ = cells(notebook, master)
    for question, points in master.questions.items():
        result["questions"][question] = {
            "points": 0,
            "of": points["hidden"],
            "by_hand": points["manual"],
            "remarks": [],
            "checks": [],
        }
    for cell in master.tagged("hidden"):
        score, remarks = checker.judge(cell, replies.get(cell.id, {}), seed, own)
        row = result["questions"][cell.question]
        row["points"] += score
        row["remarks"] += remarks
    for cell in master.tagged("test"):
        error = replies.get(cell.id, {"error": {"type": "Lost", "message": "was not run"}}).get("error")
        result["questions"][cell.question]["checks"].append(_told(error))
    result["manual"] = manual(notebook, master)
    result["cells"] = {
        name: {"error": _told(reply.get("error")), "text": reply.get("text", "")}
        for name, reply in replies.items()
        if name in own
    }
    result["limits"] = asdict(limits or Limits())
    return result


def readable(cell):
    """Return whether what is read of a cell has the types that it has in a notebook."""
    outputs = cell.get("outputs", [])
    return (
        isinstance(cell.source, str)
        and isinstance(cell.cell_type, str)
        and isinstance(cell.metadata.get("tags", []), list)
        and all(isinstance(output.get("data", {}).get("text/plain", ""), str) for output in outputs)
    )


def manual(notebook, master):
    """Return the answers that a person marks, by question: what was written, what it printed, and its pictures."""
    found = {}
    for part in master.tagged("manual"):
        rows = []
        for cell in notebook.cells:
            if part.id.replace("_", "-") == cell.get("id") or (
                cell.metadata.get("q") == part.question and "manual" in cell.metadata.get("tags", [])
            ):
                pictures, text = [], []
                for output in cell.get("outputs", []):
                    picture = output.get("data", {}).get("image/png", "")
                    if isinstance(picture, str) and re.fullmatch(r"[A-Za-z0-9+/=\s]+", picture):
                        pictures.append("".join(picture.split()))
                    text.append(str(output.get("text") or output.get("data", {}).get("text/plain", "")))
                rows.append({"source": cell.source, "text": "".join(text)[:20_000], "pictures": pictures})
        found[part.question] = rows
    return found


def _told(error):
    """Return an error of the student's own cells as text, None where there is none."""
    if not isinstance(error, dict):
        return None if error is None else "failed"
    kind = "it" if error.get("type") == "Lost" else f"{str(error.get('type'))[:50]}:"
    return f"{kind} {str(error.get('message'))[:1000]}"
