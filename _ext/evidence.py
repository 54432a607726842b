"""Collect what the chapters recorded through `gansde_lib.evidence` and print it as one computed table.

A record reaches the build as an output of a cell with its own mime type. On the chapter's page it becomes a
line that can be linked to; `{evidence-table}` (with `:page: book/gda` for one chapter) lists all records in
the order of the table of contents, and `evidence.json` beside the pages holds the same for programs.
"""

import json
import math
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from myst_nb.core.render import load_mime_renders
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import make_refnode

MIME = "application/vnd.gansde.evidence+json"
COLUMNS = ("claim", "predicted", "measured", "tolerance", "verdict")
logger = logging.getLogger(__name__)


class EvidenceMime:
    """Renders one record on its chapter's page and remembers it (a mime plugin of myst-nb)."""

    mime_priority_overrides = (("*", MIME, -1),)

    @staticmethod
    def handle_mime(renderer, data, inline):
        """Return the nodes of an evidence output; None for every other output."""
        if data.mime_type != MIME:
            return None
        env, record = renderer.renderer.sphinx_env, data.content
        collected(env).setdefault(env.docname, []).append(record)
        line = nodes.paragraph(classes=["gansde-evidence", f"gansde-{record['verdict']}"], ids=[anchor(record)])
        line += nodes.strong(text="Evidence. ")
        numbers = "Predicted {predicted}, measured {measured}, tolerance {tolerance}: ".format(**text(record))
        line += nodes.Text(f"{record['statement']} {numbers}")
        line += nodes.strong(text=record["verdict"])
        line += nodes.Text(".")
        return [line]


class evidence_table(nodes.General, nodes.Element):
    """Stands for the table until all pages have been read."""


class EvidenceTable(SphinxDirective):
    """The directive `{evidence-table}`."""

    option_spec = {"page": directives.unchanged}  # noqa: RUF012

    def run(self):
        """Leave a placeholder and remember that this page needs it filled."""
        pages_with_tables(self.env).add(self.env.docname)
        return [evidence_table(page=self.options.get("page"))]


def collected(env):
    """Return the records by page, kept in the environment and so across incremental builds."""
    if not hasattr(env, "gansde_evidence"):
        env.gansde_evidence = {}
    return env.gansde_evidence


def pages_with_tables(env):
    """Return the names of the pages that hold a table."""
    if not hasattr(env, "gansde_evidence_tables"):
        env.gansde_evidence_tables = set()
    return env.gansde_evidence_tables


def forget(app, env, docname):
    """Drop what a page recorded before it is read again or removed."""
    collected(env).pop(docname, None)
    pages_with_tables(env).discard(docname)


def in_reading_order(app):
    """Return `(page, record)` pairs as the table of contents orders the pages."""
    order = [app.config.root_doc, *reading_order(app.env, app.config.root_doc)]
    by_page = collected(app.env)
    return [(page, record) for page in order for record in by_page.get(page, [])]


def reading_order(env, page):
    """Yield the pages below `page` depth first."""
    for child in env.toctree_includes.get(page, []):
        yield child
        yield from reading_order(env, child)


def check_and_write(app, env):
    """Warn of a name used twice; write the pages with tables again, since any chapter may have changed them."""
    seen = {}
    for page, record in in_reading_order(app):
        if record["name"] in seen:
            logger.warning("evidence %r is recorded in %s and again in %s", record["name"], seen[record["name"]], page)
        seen[record["name"]] = page
    Path(app.outdir).mkdir(parents=True, exist_ok=True)
    rows = [{**record, "page": page} for page, record in in_reading_order(app)]
    Path(app.outdir, "evidence.json").write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
    return sorted(pages_with_tables(env))


def fill(app, doctree, docname):
    """Replace the placeholders of a page by tables."""
    for placeholder in list(doctree.findall(evidence_table)):
        wanted = placeholder["page"]
        rows = [(page, record) for page, record in in_reading_order(app) if wanted in (None, page)]
        empty = nodes.paragraph(text="Nothing is recorded yet.")
        placeholder.replace_self(table(app, docname, rows) if rows else empty)


def table(app, docname, rows):
    """Return the table of `(page, record)` pairs as it stands on the page `docname`."""
    group = nodes.tgroup("", *(nodes.colspec(colwidth=1) for _ in COLUMNS), cols=len(COLUMNS))
    group += nodes.thead("", row(nodes.paragraph(text=column) for column in COLUMNS))
    body = nodes.tbody()
    for page, record in rows:
        link = make_refnode(app.builder, docname, page, anchor(record), nodes.Text(record["name"]))
        cells = {column: nodes.paragraph(text=words) for column, words in text(record).items()}
        cells["claim"] = nodes.paragraph("", "", link, nodes.Text(f": {record['statement']} ["))
        cells["claim"] += [source(app, docname, record), nodes.Text("]")]
        body += row(cells[column] for column in COLUMNS)
    group += body
    return nodes.table("", group, classes=["gansde-evidence-table"])


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


def row(cells):
    """Return a table row of docutils nodes."""
    return nodes.row("", *(nodes.entry("", cell) for cell in cells))


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


def anchor(record):
    """Return the id of the line that a record has on its chapter's page."""
    return f"evidence-{record['name']}"


def setup(app):
    """Register the extension."""
    if EvidenceMime not in load_mime_renders():
        load_mime_renders().append(EvidenceMime)
    app.add_node(evidence_table)
    app.add_directive("evidence-table", EvidenceTable)
    app.connect("env-purge-doc", forget)
    app.connect("env-updated", check_and_write)
    app.connect("doctree-resolved", fill)
    return {"version": "1", "env_version": 1}
