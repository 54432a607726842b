"""Let the built pages load nothing from elsewhere.

MathJax is copied from the locked package, every file checked; Thebe, which Jupyter Book always adds and
which would load itself from a CDN, is switched off.
"""

import shutil
from pathlib import Path

import vendored
from sphinx.errors import ExtensionError


def use_local_mathjax(app, config):
    """Point the pages at the copied MathJax; without its files there is no build."""
    try:
        config.gansde_mathjax = vendored.files("mathjax")
    except RuntimeError as error:
        raise ExtensionError(str(error)) from error
    config.mathjax_path = "mathjax/tex-chtml.js"


def copy_mathjax(app, exception):
    """Copy MathJax, with its licence, next to the other static files."""
    if exception is None and app.builder.format == "html":
        target = Path(app.outdir, "_static", "mathjax")
        sources = {**app.config.gansde_mathjax, "LICENSE": vendored.TABLE.with_name("mathjax-LICENSE")}
        for relative, source in sources.items():
            destination = target / relative
            destination.parent.mkdir(parents=True, exist_ok=True)
            if not destination.exists():
                shutil.copyfile(source, destination)


def without_thebe(app):
    """Disconnect Thebe: its scripts stand twice on every page and the book offers no such button."""
    for listeners in app.events.listeners.values():
        listeners[:] = [entry for entry in listeners if not entry.handler.__module__.startswith("sphinx_thebe")]


def setup(app):
    """Register the extension."""
    app.connect("config-inited", use_local_mathjax)
    app.connect("builder-inited", without_thebe, priority=0)
    app.connect("build-finished", copy_mathjax)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
