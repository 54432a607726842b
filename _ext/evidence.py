"""Collect what the chapters recorded through `gansde_lib.evidence` and show it where it was measured.

A record reaches the build as an output of a cell with its own mime type. On the page that measured it a claim
becomes a line and a replication of another work a block, which can both be linked to; `evidence_tables` lists them
elsewhere, and `evidence.json` beside the pages holds all of them, in the order of the table of contents, for programs.
"""

import json
from pathlib import Path

import evidence_tables
import yaml
from docutils import nodes
from docutils.parsers.rst import directives
from evidence_tables import anchor, evidence_source, evidence_table
from myst_nb.core.render import load_mime_renders
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

MIME = "application/vnd.gansde.evidence+json"
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
        return [block(record) if "parts" in record else line(record)]


def line(record):
    """Return the paragraph of a claim on the page that measured it."""
    found = nodes.paragraph(classes=["gansde-evidence", f"gansde-{record['verdict']}"], ids=[anchor(record)])
    found += nodes.strong(text="Evidence. ")
    numbers = "Predicted {predicted}, measured {measured}, tolerance {tolerance}: ".format(
        **evidence_tables.text(record)
    )
    found += nodes.Text(f"{record['statement']} {numbers}")
    found += [nodes.strong(text=record["verdict"]), nodes.Text(".")]
    return found


def block(record):
    """Return what a lab's page shows of a replication: the claim, its source, verdict and reason, and its parts."""
    words = record["verdict"].replace(" ", "-")
    found = nodes.container(classes=["gansde-replication", f"gansde-{words}"], ids=[anchor(record)])
    claim = nodes.paragraph("", "", nodes.strong(text="Replication. "), nodes.Text(f"{record['statement']} ["))
    claim += [evidence_source(record=record), nodes.Text("]: "), nodes.strong(text=record["verdict"])]
    claim += nodes.Text(f". {record['reason']}")
    found += [claim, evidence_tables.parts(record)]
    return found


class EvidenceTable(SphinxDirective):
    """The directives `{evidence-table}` and `{replication-table}`: all records, or one page's (`:page: book/gda`)."""

    option_spec = {"page": directives.unchanged}  # noqa: RUF012

    def run(self):
        """Leave a placeholder and remember that this page needs it filled."""
        pages_with_tables(self.env).add(self.env.docname)
        return [evidence_table(kind=self.name, page=self.options.get("page"))]


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
    """Return the records as the table of contents orders their pages, each with its page and base optimiser."""
    order = [app.config.root_doc, *evidence_tables.reading_order(app.env, app.config.root_doc)]
    by_page, rules = collected(app.env), optimisers(Path(app.srcdir, app.config.gansde_optimisers))
    return [
        {**record, "optimiser": rules.get(record["name"]), "page": page}
        for page in order
        for record in by_page.get(page, [])
    ]


def optimisers(path):
    """Return the base optimiser of each record by its name, from a file that lists the names by page and optimiser."""
    pages = yaml.safe_load(path.read_text()) if path.is_file() else {}
    return {name: rule for rules in pages.values() for rule, names in rules.items() for name in names}


def check_and_write(app, env):
    """Warn of a name used twice; write the pages with tables again, since any chapter may have changed them."""
    seen, rows = {}, in_reading_order(app)
    for row in rows:
        name = row["name"]
        if name in seen:
            logger.warning("evidence %r is recorded in %s and again in %s", name, seen[name], row["page"])
        seen[name] = row["page"]
    Path(app.outdir).mkdir(parents=True, exist_ok=True)
    Path(app.outdir, "evidence.json").write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
    return sorted(pages_with_tables(env))


def fill(app, doctree, docname):
    """Replace the placeholders of a page by tables and by links into the bibliography."""
    for placeholder in list(doctree.findall(evidence_source)):
        placeholder.replace_self(evidence_tables.source(app, docname, placeholder["record"]))
    for placeholder in list(doctree.findall(evidence_table)):
        rows = [row for row in in_reading_order(app) if placeholder["page"] in (None, row["page"])]
        if placeholder["kind"] == "replication-table":
            found = evidence_tables.replications(app, docname, [row for row in rows if "parts" in row])
        else:
            found = evidence_tables.by_part(app, docname, rows)
        placeholder.replace_self(found or [nodes.paragraph(text="Nothing is recorded yet.")])


def setup(app):
    """Register the extension."""
    if EvidenceMime not in load_mime_renders():
        load_mime_renders().append(EvidenceMime)
    app.add_config_value("gansde_optimisers", "book/data/optimisers.yml", "")
    app.add_node(evidence_table)
    app.add_node(evidence_source)
    app.add_directive("evidence-table", EvidenceTable)
    app.add_directive("replication-table", EvidenceTable)
    app.connect("env-purge-doc", forget)
    app.connect("env-updated", check_and_write)
    app.connect("doctree-resolved", fill)
    return {"version": "1", "env_version": 2}
