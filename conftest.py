"""Shared by all tests: where things are, what they run with, and how nbval compares notebooks."""

import os
import re
import sys
from pathlib import Path

import jax
import pytest
from nbval.plugin import IPyNbCell
from playwright.sync_api import sync_playwright
from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).parent
pytest_plugins = ["pytester"]
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "_ext")]

import chromium  # noqa: E402 (found on the path that was just set)
import replay  # noqa: E402

replay.use(ROOT)

# Notebooks keep text only; pictures, HTML and widgets are looked at in the built pages. An evidence record
# is compared by its line of text.
NOT_COMPARED = ("text/html", "image/svg+xml", "application/vnd.gansde.evidence+json")


@pytest.fixture(scope="session")
def book():
    """Return the folder of the built pages."""
    folder = ROOT / "_build" / "html"
    if not (folder / "index.html").is_file():
        pytest.fail("the book is not built; run: make html")
    return folder


@pytest.fixture(scope="module")
def browser():
    """Return a headless Chromium for the tests of a module; none is a failure in CI and a skip elsewhere.

    Not for all modules: while Playwright runs, nothing else can run an asyncio loop, and nbval's kernels need one.
    """
    executable = chromium.find()
    if executable is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("no Chromium; run: python tools/chromium.py")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=executable, args=chromium.FLAGS)
        yield running
        running.close()


@pytest.fixture(scope="module", autouse=True)
def forget_programs():
    """Drop compiled programs after each module: a process cannot map as many as all tests need, and would crash."""
    yield
    jax.clear_caches()


def pytest_collection_modifyitems(items):
    """Let nbval pass over more output types than it does by itself."""
    for notebook in {item.parent for item in items if isinstance(item, IPyNbCell)}:
        notebook.skip_compare += NOT_COMPARED


class Together(LoadScopeScheduling):
    """Which tests stay in one process, if there are several.

    Those of a file; in a browser, of a page or a chapter; both files that run the cells of every chapter's figures.
    """

    def _split_scope(self, nodeid):
        file = nodeid.split("::")[0]
        if file in ("tests/test_live.py", "tests/test_live_numbers.py"):
            return "the cells behind all figures"
        visited = re.search(r"\[([^-:\]]+)", nodeid) if file.endswith("_pages.py") else None
        return f"{file} {visited[1]}" if visited else file


def pytest_xdist_make_scheduler(config, log):
    """A file's tests share programs, a notebook's cells their kernel, a page's checks a visit, figures a chapter."""
    return Together(config, log)


def pytest_terminal_summary(terminalreporter):
    """Print what tests recorded as `measured`."""
    reports = [report for report in terminalreporter.getreports("passed") if report.when == "call"]
    notes = [text for report in reports for name, text in report.user_properties if name == "measured"]
    if notes:
        terminalreporter.section("measured")
        for note in sorted(notes):
            terminalreporter.write_line(note)
