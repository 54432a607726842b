"""The book as a whole: its sources, its anatomy, its evidence, and a build that never publishes an old number."""

import ast
import importlib
import inspect
import json
import os
import pkgutil
import re
import shutil
import subprocess
import sys
from pathlib import Path

import alt_text
import chromium
import nbformat
import notebooks
import pytest
import slides
import vendored
import yaml

import gansde_lib
from conftest import ROOT

TOC = yaml.safe_load((ROOT / "_toc.yml").read_text())
PARTS = {part["caption"]: [chapter["file"] for chapter in part["chapters"]] for part in TOC["parts"]}
CHAPTERS = slides.chapters(ROOT)
LABS = PARTS["VI Neighbours"][1:]
WITH_EVIDENCE = CHAPTERS + LABS + PARTS["Prerequisites"]
NOTEBOOKS = notebooks.below(ROOT / "book")
MODULES = [module.name for module in pkgutil.iter_modules(gansde_lib.__path__) if not module.name.startswith("_")]


def sources(name):
    """Return the text of a page's Markdown."""
    path = ROOT / f"{name}.ipynb"
    if not path.exists():
        return (ROOT / f"{name}.md").read_text()
    return "\n\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown")


def test_contents_and_files_agree():
    listed = [TOC["root"], *(name for names in PARTS.values() for name in names)]
    assert len(listed) == len(set(listed))
    found = {path.relative_to(ROOT).with_suffix("").as_posix() for path in [*NOTEBOOKS, *(ROOT / "book").rglob("*.md")]}
    assert found == {name for name in listed if name.startswith("book/")}
    others = [ROOT / name for name in set(listed) - found]
    assert [path for path in others if not any(path.with_suffix(end).is_file() for end in (".md", ".ipynb"))] == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_executed_and_stripped(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1)), "run: make notebooks"
    assert not [output for cell in code for output in cell.outputs if output.output_type == "error"]
    stripped = notebooks.strip(nbformat.read(path, as_version=4))
    assert notebook == stripped, f"run: make notebooks NOTEBOOKS={path.relative_to(ROOT)}"


@pytest.mark.parametrize("name", CHAPTERS)
def test_chapter_has_its_parts(name):
    text = sources(name)
    assert "{exercise" in text and "{solution" in text
    assert "{prf:proof}" in text
    headings = [line.lstrip("# ").lower() for line in text.splitlines() if line.startswith("## ")]
    for wanted in ("in your own training loop", "exercises", "not say"):
        assert any(wanted in heading for heading in headings), f"no section '... {wanted} ...' among {headings}"


def test_a_lab_is_a_page_a_module_and_tests():
    labs = {name.removeprefix("book/neighbours/") for name in LABS}
    modules = {path.stem for path in (ROOT / "gansde_lib" / "neighbours").glob("[!_]*.py")}
    tests = {path.stem.removeprefix("test_neighbours_") for path in (ROOT / "tests").glob("test_neighbours_*.py")}
    assert labs == modules == tests and len(labs) == 15


@pytest.mark.parametrize("name", LABS)
def test_lab_has_its_parts(name):
    text = sources(name)
    assert text.count("{exercise}") == 2 and text.count("{solution}") == 2 and "{cite" in text
    headings = [line.lstrip("# ").lower() for line in text.splitlines() if line.startswith("## ")]
    for wanted in ("not say", "what this changes in your picture of gan training", "exercises"):
        assert any(wanted in heading for heading in headings), f"no section '... {wanted} ...' among {headings}"


@pytest.fixture(scope="module")
def evidence(book):
    """Return the records that the build collected."""
    return json.loads((book / "evidence.json").read_text())


def plain(evidence):
    """Return the records of single claims, without the replications of other works."""
    return [row for row in evidence if "parts" not in row]


def with_parts(evidence):
    """Return all records, and after each replication the records of its parts."""
    return [each for row in evidence for each in (row, *row.get("parts", []))]


def test_all_evidence_holds(evidence):
    assert {row["name"]: row["verdict"] for row in plain(evidence) if row["verdict"] != "holds"} == {}
    names = [row["name"] for row in evidence]
    assert len(names) == len(set(names))
    assert set(WITH_EVIDENCE) <= {row["page"] for row in evidence}


def test_replications_have_a_verdict_and_a_reason(evidence):
    works = [row for row in evidence if "parts" in row]
    assert {row["verdict"] for row in works} <= {"reproduced", "reproduced in part", "not at this scale"}
    assert [row["name"] for row in works if not row["reason"].strip() or row["source"] == "derived"] == []


def test_evidence_names_tests_that_exist(evidence):
    missing = []
    for row in with_parts(evidence):
        path, _, function = row["test"].partition("::")
        tree = ast.parse((ROOT / path).read_text()) if (ROOT / path).is_file() else ast.Module([], [])
        defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        if function.partition("[")[0] not in defined:
            missing.append(f"{row['name']}: {row['test']}")
    assert missing == []


def test_every_record_names_its_base_optimiser(evidence):
    pages = yaml.safe_load((ROOT / "book" / "data" / "optimisers.yml").read_text())
    listed = [(page, name) for page, rules in pages.items() for names in rules.values() for name in names]
    assert len(listed) == len(set(listed))
    assert set(listed) == {(row["page"], row["name"]) for row in evidence}, "see book/data/optimisers.yml"
    assert [row["name"] for row in evidence if not row["optimiser"]] == []


def test_evidence_page_shows_every_record(book, evidence):
    html = (book / "book" / "evidence.html").read_text()
    for row in evidence:
        page = row["page"].removeprefix("book/")
        assert f'href="{page}.html#evidence-{row["name"]}"' in html
        assert f'id="evidence-{row["name"]}"' in (book / f"{row['page']}.html").read_text()
    # The parts of a replication have rows of their own, and each work one more in the short table.
    works = [row for row in evidence if "parts" in row]
    assert len(re.findall(r"<tr\b(?:(?!</tr>).)*<td", html, re.S)) == len(with_parts(evidence)) + len(works)


@pytest.mark.parametrize("name", MODULES)
def test_public_names_are_explained(name):
    module = importlib.import_module(f"gansde_lib.{name}")
    public = getattr(module, "__all__", [key for key in vars(module) if not key.startswith("_")])
    ours = {key: getattr(module, key) for key in public}
    ours = {key: value for key, value in ours.items() if getattr(value, "__module__", "").startswith("gansde_lib")}
    assert inspect.getdoc(module)
    assert [key for key, value in ours.items() if callable(value) and not inspect.getdoc(value)] == []
    functions = {key: value for key, value in ours.items() if inspect.isroutine(value) or hasattr(value, "__wrapped__")}
    assert [key for key, value in functions.items() if ">>>" not in inspect.getdoc(value)] == []


BOOK = {
    "_config.yml": """
title: Toy
execute: {execute_notebooks: cache}
sphinx:
  local_extensions: {fingerprint: EXT, evidence: EXT, alt_text: EXT}
  config:
    gansde_sources: ["toy/*.py"]
""".replace("EXT", str(ROOT / "_ext")),
    "_toc.yml": """
format: jb-book
root: index
parts: [{caption: I Toys, chapters: [{file: chapter}]}, {caption: Lists, chapters: [{file: list}, {file: works}]}]
""",
    "index.md": "# Toy\n",
    "list.md": "# List\n\n```{evidence-table}\n```\n",
    "works.md": "# Works\n\n```{replication-table}\n```\n",
    "book/data/optimisers.yml": "chapter: {alternating: [toy]}\n",
    "toy/__init__.py": """
from gansde_lib import evidence
NUMBER = 111
def claim(name="toy", predicted=NUMBER):
    numbers = {"predicted": predicted, "measured": NUMBER, "tolerance": 1}
    return evidence.record(name, statement="A toy.", source="derived", test="a::b", **numbers)
def work():
    words = {"statement": "Toys play.", "source": "derived", "reason": "Toys are small.", "test": "a::c"}
    return evidence.replication("a-work", parts=[claim("right"), claim("wrong", 7)], seed=3, **words)
""",
}


def build(folder):
    """Build a book and return what the build printed."""
    program = Path(sys.executable).with_name("jupyter-book")
    command = [str(program), "build", "-W", "-n", "--keep-going", str(folder)]
    environment = {**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout + done.stderr


def test_an_edit_of_the_library_never_publishes_an_old_number(tmp_path):
    for name, text in BOOK.items():
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text(text)
    code = "import toy\nprint('number', toy.NUMBER)\ntoy.claim()"
    cells = [nbformat.v4.new_markdown_cell("# Chapter"), *map(nbformat.v4.new_code_cell, (code, "toy.work()"))]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=notebooks.METADATA), tmp_path / "chapter.ipynb")
    html = tmp_path / "_build" / "html"

    assert "Executed notebook" in build(tmp_path)
    assert "number 111" in (html / "chapter.html").read_text()
    library = tmp_path / "toy" / "__init__.py"
    library.write_text(library.read_text().replace("111", "222"))
    assert "Executed notebook" in build(tmp_path)
    assert "number 222" in (html / "chapter.html").read_text()
    assert "111" not in (html / "list.html").read_text()
    assert "222" in (html / "list.html").read_text()
    rows = json.loads((html / "evidence.json").read_text())
    assert [row["measured"] for row in with_parts(rows) if "parts" not in row] == [222] * 3
    assert [(row["optimiser"], row["page"]) for row in rows] == [("alternating", "chapter"), (None, "chapter")]
    assert_replications_are_shown(html)
    assert len(list((tmp_path / "_build").glob(".jupyter_cache-*"))) == 1

    unchanged = build(tmp_path)
    assert "Executed notebook" not in unchanged and "number 222" in (html / "chapter.html").read_text()

    twice = nbformat.read(tmp_path / "chapter.ipynb", as_version=4)
    twice.cells.append(nbformat.v4.new_code_cell("toy.claim()"))
    nbformat.write(twice, tmp_path / "chapter.ipynb")
    with pytest.raises(AssertionError, match="recorded in chapter and again in chapter"):
        build(tmp_path)


def assert_replications_are_shown(html):
    """Check the toy book's pages for its claim, and for its work of which one part of two holds."""
    listed, works, chapter = (plain_text(html / f"{name}.html") for name in ("list", "works", "chapter"))
    assert "I Toys: 1 claim, 1 hold; 1 work, 1 reproduced in part (1 of 2 measurements hold)" in listed
    assert "Chapter; a::b; alternating; no seed; CPU" in listed
    assert "Chapter; a::c; optimiser not stated; seed 3; CPU" in listed
    assert "a-work: Toys play. [derived] 1 of 2 reproduced in part Toys are small." in works
    assert "Replication. Toys play. [derived]: reproduced in part. Toys are small." in chapter
    assert "A toy. 7 222 1 fails" in chapter and "A toy. 7 222 1 fails" in listed


def plain_text(path):
    """Return the text of a built page without its tags, each white space as one blank."""
    return " ".join(re.sub(r"<[^>]*>", "", path.read_text()).split())


def test_a_book_with_an_undescribed_picture_is_not_built(tmp_path):
    (tmp_path / "_config.yml").write_text(BOOK["_config.yml"])
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: index\n")
    (tmp_path / "index.md").write_text('# Toy\n\n<img src="data:," alt="plot.png">\n')
    with pytest.raises(AssertionError, match="say in 30 characters or more what is to be seen"):
        build(tmp_path)


def test_a_vendored_file_that_changed_is_refused(tmp_path, monkeypatch):
    table = json.loads(vendored.TABLE.read_text())
    assert len(vendored.files("mathjax")) > 60
    table["mathjax"]["files"]["tex-chtml.js"] = "0" * 64
    monkeypatch.setattr(vendored, "TABLE", tmp_path / "vendor.json")
    vendored.TABLE.write_text(json.dumps(table))
    with pytest.raises(RuntimeError, match=r"tex-chtml\.js should have SHA-256 000.*make html"):
        vendored.files("mathjax")
    table["mathjax"]["package"] = "no-such-package"
    vendored.TABLE.write_text(json.dumps(table))
    with pytest.raises(RuntimeError, match="not installed"):
        vendored.files("mathjax")


ALT = "A spiral that leaves the unit circle after ten steps."


@pytest.mark.parametrize(
    "html",
    [
        '<img src="a.png">',
        '<img src="a.png" alt="Figure">',
        f'<img src="a.png" alt="{"a" * 40}.png">',
        "<svg><path/></svg>",
        '<svg aria-hidden="true"><path/></svg>',
        '<div role="img"><svg aria-hidden="true"></svg></div>',
        f'<div role="img" aria-label="{ALT}"></div><svg></svg>',
    ],
)
def test_a_picture_without_words_is_seen(html):
    assert alt_text.problems(html)


@pytest.mark.parametrize(
    "html",
    [
        f'<img src="a.png" alt="{ALT}">',
        f'<p><br><img src="a.png" alt="{ALT}"/></p>',
        f'<figure><div role="img" aria-label="{ALT}"><svg aria-hidden="true"><g><path/></g></svg></div></figure>',
        '<svg class="sd-octicon" aria-hidden="true"></svg>',
        '<img src="rule.png" role="presentation" alt="">',
    ],
)
def test_a_described_picture_passes(html):
    assert alt_text.problems(html) == []


def test_chromium_is_found_by_name(monkeypatch, tmp_path):
    own = tmp_path / "chromium"
    own.touch()
    monkeypatch.setenv("CHROMIUM", str(own))
    assert chromium.find() == str(own)


def test_make_lists_its_targets():
    if not shutil.which("make"):
        pytest.skip("no make")
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in ("book", "html", "test", "lab", "notebooks", "lint", "lock", "clean"):
        assert f"make {target} " in listed
