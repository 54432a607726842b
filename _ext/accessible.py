"""Repair what the theme and docutils leave inaccessible and what a stylesheet cannot reach.

Contrast and widths are repaired in `_static/book.css`, the landmark of the title in `_templates/`.
"""

from docutils import nodes
from sphinx.writers.html5 import HTML5Translator


def visit_citation(translator, node):
    """Open one entry of a bibliography as an item of its list; docutils writes a role that ARIA 1.3 deprecates."""
    start = len(translator.body)
    HTML5Translator.visit_citation(translator, node)
    translator.body[start:] = [part.replace('"doc-biblioentry"', '"listitem"') for part in translator.body[start:]]


def setup(app):
    """Register the extension."""
    app.add_node(nodes.citation, override=True, html=(visit_citation, HTML5Translator.depart_citation))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
