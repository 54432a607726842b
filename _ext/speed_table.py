"""Print what `make bench` measured, one table and one list for each machine: the directive `{speed-table}`.

It reads `benchmarks/results/*.json`, files that are kept with the book: a build measures nothing. A CPU comes before a
GPU. Nothing is rounded up: a ratio below its target is shown as missed.
"""

import json
import statistics
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective

COLUMNS = ("work, and against what", "default settings", "with the opt-in flags")
SETTINGS = ("default", "flags")


class SpeedTable(SphinxDirective):
    """The directive `{speed-table}`; `:folder:` names another folder of results."""

    option_spec = {"folder": directives.unchanged}  # noqa: RUF012

    def run(self):
        """Return the tables of all machines."""
        folder = Path(self.env.srcdir, self.options.get("folder", "benchmarks/results"))
        machines = []
        for path in sorted(folder.glob("*.json")):
            self.env.note_dependency(str(path))
            machines.append(json.loads(path.read_text()))
        machines.sort(key=lambda machine: machine["platform"] != "cpu")
        if not machines:
            return [nodes.paragraph(text="Nothing has been measured yet: run make bench.")]
        return [node for machine in machines for node in of_machine(machine)]


def of_machine(machine):
    """Return the nodes of one machine: what it is, the table of ratios, and each work beside its bound."""
    versions = {name: version for work in machine["works"] for name, version in work["versions"].items()}
    days = sorted({work["date"].split()[0] for work in machine["works"]})
    with_packages = ", ".join(f"{name} {version}" for name, version in versions.items())
    head = nodes.paragraph("", "", nodes.strong(text=machine["device"]))
    head += nodes.Text(
        f", measured {' to '.join(sorted({days[0], days[-1]}))} with Python {machine['python']}, {with_packages}."
    )
    group = nodes.tgroup("", *(nodes.colspec(colwidth=1) for _ in COLUMNS), cols=len(COLUMNS))
    group += nodes.thead("", row(nodes.paragraph(text=column) for column in COLUMNS))
    body = nodes.tbody()
    works = nodes.definition_list()
    for work in machine["works"]:
        for peer in dict.fromkeys(ratio["peer"] for ratio in work["ratios"]):
            found = {ratio["setting"]: ratio for ratio in work["ratios"] if ratio["peer"] == peer}
            name = nodes.paragraph(text=f"{work['name']} / {peer}")
            body += row([name, *(nodes.paragraph(text=text(found.get(setting))) for setting in SETTINGS)])
        works += nodes.definition_list_item(
            "",
            nodes.term(text=work["name"]),
            nodes.definition("", nodes.paragraph(text=" ".join(told(work, machine)))),
        )
    group += body
    return [head, nodes.table("", group, classes=["gansde-speed-table"]), works]


def row(cells):
    """Return a table row of docutils nodes."""
    return nodes.row("", *(nodes.entry("", cell) for cell in cells))


def text(ratio):
    """Return a cell: the median, least and most of a ratio, and how it stands to its target.

    >>> text({"median": 13.96, "least": 12.0, "most": 15.5, "target": 14})
    '13.9 (12 to 15.5); of 14: missed by 0.29 %'
    >>> text({"median": 15.0, "least": 12.0, "most": 15.5, "target": 14})
    '15 (12 to 15.5); of 14: reached'
    """
    if ratio is None:
        return "–"
    spread = f"{rounded(ratio['median'])} ({ratio['least']:.3g} to {ratio['most']:.3g})"
    if ratio["target"] is None:
        return spread
    missing = 1 - ratio["median"] / ratio["target"]
    return f"{spread}; of {ratio['target']:g}: " + ("reached" if missing <= 0 else f"missed by {100 * missing:.2g} %")


def rounded(value):
    """Return a number to three digits, rounded down.

    >>> rounded(13.96), rounded(0.6499), rounded(1810.0)
    ('13.9', '0.649', '1810')
    """
    digits = max(0, 2 - len(str(int(value))) + 1) if value >= 1 else 3
    return f"{int(value * 10**digits) / 10**digits:.{digits}f}".rstrip("0").rstrip(".") if digits else str(int(value))


def told(work, machine):
    """Yield sentences: how fast ours was, what bounds the work, how far from that ours is, what was left out."""
    rates, first = {}, {}
    for form in work["forms"]:
        if form["form"] == "ours":
            rates[form["setting"]] = form["amount"] / statistics.median(form["seconds"])
            first[form["setting"]] = form["first"]
    how = {"default": "with default settings", "flags": "with the opt-in flags"}
    parts = [f"{rate:.2g} {work['unit']} a second {how[setting]}" for setting, rate in rates.items()]
    compiling = ", ".join(f"{seconds:.2g} s" for seconds in first.values())
    yield f"Ours: {' and '.join(parts)}; compilation and first call {compiling}."
    yield work["bound"]
    if work.get("limit") and machine["platform"] == "cpu" and machine.get("cores"):
        reached = max(rates.values()) / (work["limit"] * machine["cores"])
        yield f"Of that bound, {100 * reached:.0f} % were reached here."
    for peer, why in work["left_out"].items():
        yield f"Left out: {peer} ({why})."


def setup(app):
    """Register the extension."""
    app.add_directive("speed-table", SpeedTable)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
