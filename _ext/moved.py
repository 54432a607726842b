"""A page that moved leaves a small page behind that sends its readers on, as `redirects.yml` says.

The place within the page is kept: `old.html#theorem` leads to `new.html#theorem`. Without a script, the page alone.
"""

import posixpath
from pathlib import Path

import yaml
from sphinx.errors import ExtensionError

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>This page has moved</title>
<link rel="canonical" href="{target}">
<script>location.replace("{target}" + location.hash)</script>
<meta http-equiv="refresh" content="0; url={target}">
</head>
<body><main><h1>This page has moved</h1><p>It is now <a href="{target}">{name}</a>.</p></main></body>
</html>
"""


def load(path, pages):
    """Return the table in the file `path`; an ExtensionError names a target that is no page, or an old name that is."""
    table = yaml.safe_load(Path(path).read_text()) if Path(path).is_file() else {}
    for old, new in (table or {}).items():
        if new not in pages:
            raise ExtensionError(f"redirects.yml sends {old!r} to {new!r}, which is no page of the book")
        if old in pages:
            raise ExtensionError(f"redirects.yml sends {old!r} to {new!r}, but {old!r} is a page of the book")
    return table or {}


def check(app, env):
    """Read the table once all pages are known."""
    app.gansde_redirects = load(Path(app.srcdir, "redirects.yml"), env.found_docs)


def write(app, exception):
    """Write the small pages."""
    if exception is None and app.builder.name == "html":
        for old, new in app.gansde_redirects.items():
            path = Path(app.outdir, f"{old}.html")
            path.parent.mkdir(parents=True, exist_ok=True)
            target = posixpath.relpath(f"{new}.html", posixpath.dirname(old) or ".")
            path.write_text(PAGE.format(target=target, name=new))


def setup(app):
    """Register the extension."""
    app.connect("env-updated", check)
    app.connect("build-finished", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
