"""The page's script, from two sources: `compiler/runtime.js` runs a module, `live.js` is the figure."""

import re
from pathlib import Path

FOLDER = Path(__file__).parent


def module():
    """Return the ES module that Jupyter loads (anywidget's `_esm`)."""
    return f"{_plain('compiler/runtime.js')}\n{_plain('live.js')}\nexport default {{ render }};\n"


def page():
    """Return the classic script of static pages; a module would not load from a file."""
    return f"(() => {{\n{_plain('compiler/runtime.js')}\n{_plain('live.js')}\nupgradePage();\n}})();\n"


def style():
    """Return the stylesheet of both."""
    return (FOLDER / "live.css").read_text()


def _plain(name):
    """Return a source without exports, comments and indentation: the page carries what runs, the files explain it."""
    text = re.sub(r"^export ", "", (FOLDER / name).read_text(), flags=re.MULTILINE)
    text = re.sub(r"^\s*(//|/\*\*|\*).*\n", "", text, flags=re.MULTILINE)
    return re.sub(r"^\s+", "", text, flags=re.MULTILINE)
