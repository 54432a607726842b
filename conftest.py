"""Shared by all tests: where things are, what they run with, and how nbval compares notebooks."""

import sys
from pathlib import Path

import pytest
from nbval.plugin import IPyNbCell

ROOT = Path(__file__).parent
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "_ext")]

# Notebooks keep text only; pictures, HTML and widgets are looked at in the built pages. An evidence record
# is compared by its line of text.
NOT_COMPARED = ("text/html", "image/svg+xml", "application/vnd.gansde.evidence+json")

NOTES = []  # lines that tests want printed at the end


@pytest.fixture(scope="session")
def book():
    """Return the folder of the built pages."""
    folder = ROOT / "_build" / "html"
    if not (folder / "index.html").is_file():
        pytest.fail("the book is not built; run: make html")
    return folder


def pytest_collection_modifyitems(items):
    """Let nbval pass over more output types than it does by itself."""
    for notebook in {item.parent for item in items if isinstance(item, IPyNbCell)}:
        notebook.skip_compare += NOT_COMPARED


def pytest_terminal_summary(terminalreporter):
    """Print what the tests measured."""
    if NOTES:
        terminalreporter.section("measured")
        for note in NOTES:
            terminalreporter.write_line(note)
