"""The tables of evidence: all claims by part of the book, and the replications of other works (see `evidence`)."""

import math
from collections import Counter

from docutils import nodes
from sphinx import addnodes
from sphinx.util import logging
from sphinx.util.nodes import make_refnode

NUMBERS = ("predicted", "measured", "tolerance", "verdict")
VERBS = {"holds": "hold", "fails": "fail", "unresolved": "unresolved"}
WORDS = ("reproduced", "reproduced in part", "not at this scale")
logger = logging.getLogger(__name__)


class evidence_table(nodes.General, nodes.Element):
    """Stands for a table until all pages have been read."""


class evidence_source(nodes.Inline, nodes.Element):
    """Stands for the link to a record's source until the bibliography has been read."""


def by_part(app, docname, rows):
    """Return a summary line for each part of the book, then a table for each."""
    part_of = parts_of_the_book(app.env, app.config.root_doc)
    parts = {}
    for row in rows:
        parts.setdefault(part_of.get(row["page"]), []).append(row)
    lines, tables = nodes.bullet_list(), []
    for name, found in parts.items():
        title, words = name or "All pages", summary(found)
        place = nodes.make_id(f"claims-{title}")
        link = nodes.reference("", title, internal=True, refid=place)
        lines += nodes.list_item("", nodes.paragraph("", "", link, nodes.Text(f": {words}.")))
        tables.append(table(("claim", *NUMBERS), body(app, docname, found), f"{title}: {words}", place))
    if len(parts) > 1:
        lines += nodes.list_item("", nodes.paragraph(text=f"In all: {summary(rows)}."))
    return [lines, *tables] if rows else []


def replications(app, docname, rows):
    """Return the table of the works whose claims were measured again, one row each."""
    cells = []
    for row in rows:
        held = sum(part["verdict"] == "holds" for part in row["parts"])
        reason = nodes.paragraph(text=row["reason"])
        words = [nodes.paragraph(text=text) for text in (f"{held} of {len(row['parts'])}", row["verdict"])]
        cells.append([[claim(app, docname, row)], *([word] for word in words), [reason]])
    caption = f"Works replicated: {summary(rows)}" if rows else ""
    columns = ("claim", "parts that hold", "verdict", "why")
    return [table(columns, cells, caption, "replications")] if rows else []


def parts(record):
    """Return the table of a replication's parts on its lab's page."""
    cells = [[[nodes.paragraph(text=part["statement"])], *numbers(part)] for part in record["parts"]]
    return table(("what was measured", *NUMBERS), cells, None, f"parts-{record['name']}")


def body(app, docname, rows):
    """Yield the cells of a part of the book: of a claim one row, of a replication one and then one for each part."""
    for row in rows:
        first = [claim(app, docname, row), details(app, docname, row)]
        if "parts" not in row:
            yield [first, *numbers(row)]
            continue
        first.insert(1, nodes.paragraph(text=row["reason"]))
        yield [first, [nodes.paragraph(text=row["verdict"])]]
        for part in row["parts"]:
            yield [[nodes.paragraph(text=part["statement"], classes=["gansde-part"])], *numbers(part)]


def claim(app, docname, record):
    """Return a claim: its name as a link to where it was measured, its statement and its source."""
    link = make_refnode(app.builder, docname, record["page"], anchor(record), nodes.Text(record["name"]))
    words = nodes.paragraph("", "", link, nodes.Text(f": {record['statement']} ["))
    words += [source(app, docname, record), nodes.Text("]")]
    return words


def details(app, docname, record):
    """Return the small line of a claim: page, test, base optimiser, seed and device."""
    page = app.env.titles[record["page"]].astext()
    found = nodes.paragraph(classes=["gansde-details"])
    found += [make_refnode(app.builder, docname, record["page"], "", nodes.Text(page)), nodes.Text("; ")]
    found += nodes.literal(text=record["test"])
    rule = {None: "optimiser not stated", "none": "no training"}.get(record["optimiser"], record["optimiser"])
    seed = "no seed" if record["seed"] is None else f"seed {record['seed']}"
    found += nodes.Text(f"; {rule}; {seed}; {record['device'].upper()}")
    return found


def summary(rows):
    """Return how many claims and works there are, and how many of them came to which verdict.

    >>> summary([{"verdict": "holds"}, {"verdict": "fails"}])
    '2 claims, 1 hold, 1 fail'
    >>> summary([{"verdict": "not at this scale", "parts": [{"verdict": "fails"}]}])
    '1 work, 1 not at this scale (0 of 1 measurements hold)'
    """
    plain, works = [row for row in rows if "parts" not in row], [row for row in rows if "parts" in row]
    said = []
    if plain:
        count = Counter(row["verdict"] for row in plain)
        told = [f"{count[verdict]} {word}" for verdict, word in VERBS.items() if count[verdict]]
        said.append(", ".join([f"{len(plain)} claim{'s' * (len(plain) > 1)}", *told]))
    if works:
        count = Counter(row["verdict"] for row in works)
        told = [f"{count[verdict]} {verdict}" for verdict in WORDS if count[verdict]]
        measured = [part["verdict"] == "holds" for row in works for part in row["parts"]]
        held = f" ({sum(measured)} of {len(measured)} measurements hold)"
        said.append(", ".join([f"{len(works)} work{'s' * (len(works) > 1)}", *told]) + held)
    return "; ".join(said)


def table(columns, rows, caption, place):
    """Return a table; of a row with fewer cells than columns the first cell spans what is missing."""
    group = nodes.tgroup("", *(nodes.colspec(colwidth=1) for _ in columns), cols=len(columns))
    head = nodes.row("", *(nodes.entry("", nodes.paragraph(text=column)) for column in columns))
    lines = nodes.tbody()
    for cells in rows:
        line = nodes.row("", *(nodes.entry("", *cell) for cell in cells))
        if len(cells) < len(columns):
            line[0]["morecols"] = len(columns) - len(cells)
        lines += line
    group += [nodes.thead("", head), lines]
    found = nodes.table("", group, classes=["gansde-evidence-table"], ids=[place])
    if caption:
        found.insert(0, nodes.title(text=caption))
    return found


def numbers(record):
    """Return the cells of a record's numbers and of its verdict."""
    words = text(record)
    return [[nodes.paragraph(text=words[column])] for column in NUMBERS]


def text(record):
    """Return the printed form of a record's cells."""
    relation = "" if record["relation"] == "=" else f"{record['relation']} "
    return {
        "predicted": f"{relation}{record['predicted']:.6g}",
        "measured": with_error(record["measured"], record["uncertainty"]),
        "tolerance": f"{record['tolerance']:.2g}",
        "verdict": record["verdict"],
    }


def with_error(value, error):
    """Return a value to as many digits as its standard error allows.

    >>> with_error(0.0881617, 0.00035), with_error(2.0, 0.0)
    ('0.08816 ± 0.00035', '2')
    """
    if not error > 0 or not math.isfinite(value):
        return f"{value:.6g}"
    decimals = max(0, 1 - math.floor(math.log10(error)))
    return f"{value:.{decimals}f} ± {error:.{decimals}f}" if decimals < 8 else f"{value:.3g} ± {error:.2g}"


def source(app, docname, record):
    """Return the source of a prediction: the word "derived", or a link into the bibliography."""
    if record["source"] == "derived":
        return nodes.Text("derived")
    for work in app.env.get_domain("cite").citations if "cite" in app.env.domains else []:
        if work.key == record["source"]:
            author = "".join(str(name) for name in work.entry.persons["author"][0].rich_last_names)
            name = nodes.Text(f"{author} {work.entry.fields['year']}")
            return make_refnode(app.builder, docname, work.bibliography_key.docname, work.citation_id, name)
    logger.warning("evidence %r: source %r is not in the bibliography", record["name"], record["source"])
    return nodes.Text(record["source"])


def parts_of_the_book(env, root):
    """Return the caption in the table of contents under which each page stands; None where there is none."""
    found = {}
    for toctree in env.get_doctree(root).findall(addnodes.toctree):
        for page in toctree["includefiles"]:
            found |= dict.fromkeys([page, *reading_order(env, page)], toctree.get("caption"))
    return found


def reading_order(env, page):
    """Yield the pages below `page` depth first."""
    for child in env.toctree_includes.get(page, []):
        yield child
        yield from reading_order(env, child)


def anchor(record):
    """Return the id of the line that a record has on its chapter's page."""
    return f"evidence-{record['name']}"
