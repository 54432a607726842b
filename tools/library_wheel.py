"""Build the library's wheel: `python tools/library_wheel.py FOLDER`.

It holds only Python, so it runs without installation.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCES = ("gansde_lib", "pyproject.toml", "LICENSE")


def build(folder):
    """Write the wheel into `folder` and return its path; nothing is downloaded."""
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    with tempfile.TemporaryDirectory() as copy:
        # setuptools leaves folders beside what it builds, so it builds a copy.
        for name in SOURCES:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, Path(copy) / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, copy)
        line = [sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", str(folder), copy]
        # A fixed date makes the same bytes of the same sources.
        subprocess.run(line, check=True, env={**os.environ, "SOURCE_DATE_EPOCH": "1577836800"})
    return next(Path(folder).glob("gansde_lib-*.whl"))


if __name__ == "__main__":
    print(build(sys.argv[1]))
