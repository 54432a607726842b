"""Give pages with live figures their script and stylesheet, and take out the widget state that only Jupyter needs."""

from pathlib import Path

from gansde_lib.live import script

STATE = "application/vnd.jupyter.widget-state+json"


def serve_pages_with_figures(app, pagename, templatename, context, doctree):
    """Load the script on pages with a live figure, and on no other."""
    if 'class="gansde-figure gansde-live"' in context.get("body", ""):
        app.add_css_file("live.css")
        app.add_js_file("live.js", loading_method="defer")
    files = context.get("script_files", [])
    files[:] = [file for file in files if getattr(file, "attributes", {}).get("type") != STATE]


def write_assets(app):
    """Write both files next to the other static files, before any page is: Sphinx puts their checksums in the links."""
    if app.builder.format == "html":
        folder = Path(app.outdir, "_static")
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in {"live.js": script.page(), "live.css": script.style()}.items():
            (folder / name).write_text(text)


def setup(app):
    """Register the extension."""
    app.connect("html-page-context", serve_pages_with_figures, priority=900)
    app.connect("builder-inited", write_assets)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
