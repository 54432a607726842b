"""The index of theorems: the directive `{theorem-index}` lists what stands behind each theorem of the book.

The build finds the theorems, their numbers, the figures and the evidence by itself. What belongs together is declared
in `book/data/theorems.yml`; a theorem that is not declared there, or a link that leads nowhere, fails the build.
"""

import html
import re
from pathlib import Path

import evidence
import evidence_tables
import yaml
from docutils import nodes
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import make_refnode

KINDS = ("theorem", "proposition", "lemma", "corollary")
LINKS = {"functions", "evidence", "tests", "figure"}
FIGURE = re.compile(
    r'(<figure class="gansde-figure[^"]*")( id="([^"]*)")?([^>]*>\s*<div role="img"[^>]*aria-label="([^"]*)")'
)
logger = logging.getLogger(__name__)


class theorem_index(nodes.General, nodes.Element):
    """Stands for the index until all pages have been read."""


class TheoremIndex(SphinxDirective):
    """The directive `{theorem-index}`."""

    def run(self):
        """Leave a placeholder and remember that this page needs it filled."""
        found(self.env, "pages")[self.env.docname] = True
        return [theorem_index()]


def found(env, what):
    """Return what was found page by page ("theorems", "figures" or "pages"), kept with the environment."""
    if not hasattr(env, "gansde_theorems"):
        env.gansde_theorems = {"theorems": {}, "figures": {}, "pages": {}}
    return env.gansde_theorems[what]


def forget(app, env, docname):
    """Drop what a page held before it is read again or removed."""
    for what in ("theorems", "figures", "pages"):
        found(env, what).pop(docname, None)


def collect(app, doctree):
    """Remember the theorems of a page and its figures by their alt text; give an id to each figure without one."""
    env = app.env
    found(env, "theorems")[env.docname] = [
        (node["label"], node["realtype"], node["countertype"], [child.deepcopy() for child in node[0].children])
        for node in doctree.findall(nodes.Element)
        if node.get("realtype") in KINDS
    ]
    figures = found(env, "figures").setdefault(env.docname, {})

    def named(match):
        place = match[3] or f"figure-{len(figures) + 1}"
        figures[place] = html.unescape(match[5])
        return f'{match[1]} id="{place}"{match[4]}'

    for raw in doctree.findall(nodes.raw):
        if "html" in raw.get("format", "") and "gansde-figure" in raw.astext():
            raw.children = [nodes.Text(FIGURE.sub(named, raw.astext()))]


def declared(app):
    """Return the links of each label as the file declares them."""
    path = Path(app.srcdir, app.config.gansde_theorems)
    return yaml.safe_load(path.read_text()) if path.is_file() else {}


def check(app, env):
    """Warn of theorems that are not declared and of the reverse; have the index written again, whatever changed."""
    if not found(env, "pages"):
        return []
    labels = {label for theorems in found(env, "theorems").values() for label, *_ in theorems}
    links = declared(app)
    for label in sorted(labels ^ set(links)):
        where = "is not in" if label in labels else "is in no page of the book but in"
        logger.warning("theorem %r %s %s", label, where, app.config.gansde_theorems)
    for label, own in links.items():
        if set(own) - LINKS:
            logger.warning("theorem %r: unknown links %s", label, sorted(set(own) - LINKS))
    for page in found(env, "pages"):  # titles bring formulas, which Sphinx looks for before it is filled
        env.get_domain("math").data["has_equations"][page] = True
    return sorted(found(env, "pages"))


def fill(app, doctree, docname):
    """Replace the placeholder by one table for each part of the book."""
    for placeholder in list(doctree.findall(theorem_index)):
        part_of = evidence_tables.parts_of_the_book(app.env, app.config.root_doc)
        records = {row["name"]: row for row in evidence.in_reading_order(app)}
        links, parts = declared(app), {}
        for page in evidence_tables.reading_order(app.env, app.config.root_doc):
            for theorem in found(app.env, "theorems").get(page, []):
                cells = line(app, docname, page, theorem, links.get(theorem[0], {}), records)
                parts.setdefault(part_of.get(page) or "All pages", []).append(cells)
        columns, tables = ("theorem", "functions", "evidence and tests", "figure"), []
        for part, rows in parts.items():
            title = f"{part}: {len(rows)} theorem{'s' * (len(rows) > 1)}"
            tables.append(evidence_tables.table(columns, rows, title, nodes.make_id(f"theorems-{part}")))
            tables[-1]["classes"].append("gansde-theorems")
        placeholder.replace_self(tables)


def line(app, docname, page, theorem, own, records):
    """Return the cells of a theorem's row."""
    label, kind, counter, title = theorem
    number = ".".join(map(str, app.env.toc_fignumbers[page][counter][label]))
    name = make_refnode(app.builder, docname, page, label, nodes.Text(f"{kind.title()} {number}"))
    head = nodes.paragraph("", "", name, *(child.deepcopy() for child in title))
    where = make_refnode(app.builder, docname, page, "", nodes.Text(app.env.titles[page].astext()))
    functions = [function(app, docname, label, name) for name in own.get("functions", [])]
    measured = [recorded(app, docname, label, name, records) for name in own.get("evidence", [])]
    tests = [f"tests/{test}" for test in own.get("tests", [])]
    tests += [records[name]["test"] for name in own.get("evidence", []) if name in records]
    measured += [nodes.literal(text=test) for test in dict.fromkeys(tests)]
    shown = figure(app, docname, page, label, own["figure"]) if "figure" in own else None
    first = [head, nodes.paragraph("", "", where, classes=["gansde-details"])]
    return [first, each(functions), each(measured), each([shown] if shown is not None else [])]


def each(links):
    """Return one paragraph for each link; without links the word "none"."""
    return [nodes.paragraph("", "", link) for link in links] or [nodes.paragraph(text="none")]


def function(app, docname, label, name):
    """Return a link to a function's place in the reference."""
    entry = app.env.get_domain("py").objects.get(name)
    words = nodes.literal(text=name.removeprefix("gansde_lib."))
    if entry is None:
        logger.warning("theorem %r: %s is on no page of the reference", label, name)
        return words
    return make_refnode(app.builder, docname, entry.docname, entry.node_id, words)


def recorded(app, docname, label, name, records):
    """Return a link to a record's line on its page."""
    if name not in records:
        logger.warning("theorem %r: no evidence is called %r", label, name)
        return nodes.Text(name)
    row = records[name]
    return make_refnode(app.builder, docname, row["page"], evidence_tables.anchor(row), nodes.Text(name))


def figure(app, docname, page, label, words):
    """Return a link to the only figure of a page whose alt text starts with `words`."""
    places = [place for place, alt in found(app.env, "figures").get(page, {}).items() if alt.startswith(words)]
    if len(places) != 1:
        logger.warning("theorem %r: %d figures of %s start with %r", label, len(places), page, words)
        return nodes.Text(words)
    return make_refnode(app.builder, docname, page, places[0], nodes.Text(f"{words} …"))


def setup(app):
    """Register the extension."""
    app.setup_extension("evidence")
    app.add_config_value("gansde_theorems", "book/data/theorems.yml", "")
    app.add_node(theorem_index)
    app.add_directive("theorem-index", TheoremIndex)
    app.connect("env-purge-doc", forget)
    app.connect("doctree-read", collect)
    app.connect("env-updated", check)
    app.connect("doctree-resolved", fill)
    return {"version": "1", "env_version": 1}
