"""The theme's icons as a stylesheet of 11 kB: its own script brings two thousand, a third of what a page would load.

The outlines are read from that script, which `_templates/static/webpack-macros.html` keeps off the pages.
"""

import re
from pathlib import Path
from urllib.parse import quote

import pydata_sphinx_theme
from sphinx.errors import ExtensionError

SCRIPT = Path(pydata_sphinx_theme.__file__).parent / "theme/pydata_sphinx_theme/static/scripts/fontawesome.js"
# Those of the theme's pages, and of the buttons to Binder and Colab.
NAMES = [
    "angle-left", "angle-right", "arrow-up", "bars", "circle-half-stroke", "download", "expand", "file", "file-pdf",
    "list", "magnifying-glass", "moon", "play", "rocket", "sun", "xmark",
]  # fmt: skip
STYLES = ("fa-solid", "fas", "fa-lg")
RULES = """/* Written by _ext/icons.py. A style without weight: the theme decides which of them are shown. */
:where(i.fa-solid, i.fas) {
  display: inline-block;
  width: 1em;
  height: 1em;
  vertical-align: -0.125em;
  background: currentColor;
  mask: var(--gansde-icon) center / contain no-repeat;
}
:where(i.fa-lg) {
  font-size: 1.25em;
}
@media (forced-colors: active) {
  :where(i.fa-solid, i.fas) {
    forced-color-adjust: none;
    background: ButtonText;
  }
}
"""


def outline(name, script):
    """Return width, height and path of an icon in the text of the theme's script.

    >>> outline("dot", 'x={"dot":[512,256,[128,"point"],"f111","M0 0z"]}')
    ('512', '256', 'M0 0z')
    """
    found = re.findall(rf'"?(?<![\w-]){name}"?:\[(\d+),(\d+),\[[^\]]*\],"\w+","([^"]+)"\]', script)
    if not found:
        raise ValueError(f"the theme's script has no icon {name!r}; expected one of Font Awesome's solid icons")
    return found[-1]  # the solid icons come after brands and outlined ones


def style(names, script):
    """Return the stylesheet for these icons."""
    rules = [RULES]
    for name in names:
        width, height, path = outline(name, script)
        svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"><path d="{path}"/></svg>'
        rules.append(f'.fa-{name} {{\n  --gansde-icon: url("data:image/svg+xml,{quote(svg)}");\n}}\n')
    return "".join(rules)


def unknown(text):
    """Return the icons that a page shows and the stylesheet does not have.

    >>> unknown('<i class="fa-solid fa-sun fa-lg"></i><i class="fas fa-skull"></i>')
    ['fa-skull']
    """
    shown = re.findall(r"\bfa-[\w-]+", " ".join(re.findall(r'<i class="([^"]+)"', text)))
    return sorted({*shown} - {*STYLES, *(f"fa-{name}" for name in NAMES)})


def write(app):
    """Write the stylesheet before the pages, so that their links carry its checksum."""
    if app.builder.format == "html":
        folder = Path(app.outdir, "_static")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "icons.css").write_text(style(NAMES, SCRIPT.read_text()))


def check(app, problem):
    """Stop where an icon would not be seen."""
    if problem or app.builder.format != "html":
        return
    for page in Path(app.outdir).rglob("*.html"):
        if "_static" not in page.parts and (missing := unknown(page.read_text())):
            raise ExtensionError(f"{page} shows {', '.join(missing)}; add them to NAMES in _ext/icons.py")


def setup(app):
    """Register the extension."""
    app.add_css_file("icons.css")
    app.connect("builder-inited", write)
    app.connect("build-finished", check)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
