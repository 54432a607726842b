"""The index of theorems: complete, and every link of it leads to something."""

import ast
import functools
import importlib
import json
import re

import nbformat
import pytest
import test_book
import yaml

from conftest import ROOT

LINKS = yaml.safe_load((ROOT / "book" / "data" / "theorems.yml").read_text())
STARTS = re.compile(r"^(?::{3,}|`{3,})\{prf:(theorem|proposition|lemma|corollary)\}[^\n]*\n((?::[^\n]*\n)*)", re.M)


def test_every_theorem_is_declared_and_labelled():
    pages = [page for pages in test_book.PARTS.values() for page in pages if page.startswith("book/")]
    found = [options for page in pages for _, options in STARTS.findall(test_book.sources(page))]
    labels = [re.search(r":label: (\S+)", options) for options in found]
    assert None not in labels
    assert sorted(label[1] for label in labels) == sorted(LINKS)
    assert len(labels) >= 60


def test_functions_exist_and_have_an_example():
    for name in {name for own in LINKS.values() for name in own.get("functions", [])}:
        module, _, function = name.rpartition(".")
        assert ">>>" in getattr(importlib.import_module(module), function).__doc__, name


@functools.cache
def defined(path):
    """Return the names of the functions that a file defines."""
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}


def test_tests_exist():
    for label, own in LINKS.items():
        for test in own.get("tests", []):
            path, _, function = test.partition("::")
            assert function in defined(ROOT / "tests" / path), f"{label}: {test}"


def test_the_page_shows_every_link(book):
    html = (book / "book" / "theorems.html").read_text()
    records = {row["name"]: row for row in json.loads((book / "evidence.json").read_text())}
    for label, own in LINKS.items():
        row = re.search(rf'<tr\b(?:(?!</tr>).)*#{label}">(?:(?!</tr>).)*</tr>', html, re.S)[0]
        assert re.search(r">(Theorem|Proposition|Lemma|Corollary) \d+\.\d+</a>", row), row
        targets = re.findall(r'href="([^"#]+)#([^"]+)"', row)
        wanted = [f"evidence-{name}" for name in own.get("evidence", [])] + own.get("functions", [])
        assert {label, *wanted} <= {place for _, place in targets}
        assert sum("figure-" in place or "live-" in place for _, place in targets) == ("figure" in own)
        for page, place in targets:
            assert f'id="{place}"' in (book / "book" / page).read_text(), f"{label}: {page}#{place}"
        tests = {f"tests/{test}" for test in own.get("tests", [])}
        tests |= {records[name]["test"] for name in own.get("evidence", [])}
        assert tests == {f"tests/{test}" for test in re.findall(r">tests/([^<]+)</span>", row)}


ALT = "A line that rises from zero to one, as wide as the page."
BOOK = {
    "_config.yml": test_book.BOOK["_config.yml"]
    .replace("sphinx:", "sphinx:\n  extra_extensions: [sphinx_proof]")
    .replace("evidence: ", f"theorems: {ROOT / '_ext'}, evidence: "),
    "_toc.yml": "format: jb-book\nroot: index\nchapters: [{file: chapter}, {file: theorems}]\n",
    "index.md": "# Toy\n",
    "theorems.md": "# Theorems\n\n```{theorem-index}\n```\n",
    "toy/__init__.py": test_book.BOOK["toy/__init__.py"],
    "book/data/theorems.yml": f"one: {{evidence: [toy], tests: [test_a.py::test_b], figure: {ALT[:20]}}}\n",
}
FIGURE = f'<figure class="gansde-figure"><div role="img" tabindex="0" aria-label="{ALT}"></div></figure>'


@pytest.fixture
def toy(tmp_path):
    """Return the folder of a book with one theorem, one record and one figure."""
    for name, text in BOOK.items():
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text(text)
    words = "# Chapter\n\n:::{prf:theorem} On $1/\\sqrt k$\n:label: one\n\nIt falls.\n:::"
    code = [f"from IPython.display import HTML\nHTML('''{FIGURE}''')", "import toy\ntoy.claim()"]
    cells = [nbformat.v4.new_markdown_cell(words), *map(nbformat.v4.new_code_cell, code)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "chapter.ipynb")
    return tmp_path


def test_a_theorem_is_shown_with_what_stands_behind_it(toy):
    test_book.build(toy)
    html = (toy / "_build" / "html" / "theorems.html").read_text()
    row = re.search(r"<tr\b[^>]*><td>.*?</tr>", html, re.S)[0]
    assert '<a class="reference internal" href="chapter.html#one">Theorem 1</a> (On <span class="math' in row
    assert 'href="chapter.html#evidence-toy"' in row and ">a::b<" in row and ">tests/test_a.py::test_b<" in row
    assert 'href="chapter.html#figure-1"' in row and "<p>none</p>" in row
    assert 'class="gansde-figure" id="figure-1"' in (toy / "_build" / "html" / "chapter.html").read_text()


def test_what_leads_nowhere_fails_the_build(toy):
    declared = toy / "book" / "data" / "theorems.yml"
    declared.write_text("one: {evidence: [nobody], functions: [toy.nothing], figure: A circle, proofs: []}\ntwo: {}\n")
    with pytest.raises(AssertionError) as failed:
        test_book.build(toy)
    for complaint in (
        "theorem 'two' is in no page",
        "unknown links ['proofs']",
        "no evidence is called 'nobody'",
        "toy.nothing is on no page of the reference",
        "0 figures of chapter start with 'A circle'",
    ):
        assert complaint in str(failed.value).replace("\\'", "'"), complaint
