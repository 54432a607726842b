"""The library's wheel beside the pages, so that a notebook runs from a folder that holds only these two files.

The page for students offers `_build/wheel/gansde_lib-*.whl` as a download; Sphinx warns where the name has changed.
"""

import subprocess
import sys
from pathlib import Path


def build(app, _config):
    """Build the wheel where there is none or the library is newer."""
    root, folder = Path(app.srcdir), Path(app.srcdir, "_build", "wheel")
    sources = [root / "pyproject.toml", *(root / "gansde_lib").rglob("*.*")]
    newest = max(path.stat().st_mtime for path in sources if "__pycache__" not in path.parts)
    if not any(path.stat().st_mtime >= newest for path in folder.glob("*.whl")):
        program = root / "tools" / "library_wheel.py"
        subprocess.run([sys.executable, program, folder], check=True, stdout=subprocess.DEVNULL)


def setup(app):
    """Connect to Sphinx."""
    app.connect("config-inited", build)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
