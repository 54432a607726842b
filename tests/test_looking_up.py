"""The pages to look things up in: the glossary, how to cite, the general index, and pages that moved."""

import re

import citing
import moved
import pytest
import yaml
from sphinx.errors import ExtensionError

from conftest import ROOT
from tools.formats.articles import reading_order

GLOSSARY = (ROOT / "book" / "glossary.md").read_text()
ENTRIES = re.findall(r"^(\S[^\n]*)\n  (\S[^\n]*)$", GLOSSARY.split("```{glossary}")[1].split("```")[0], re.MULTILINE)


def test_the_glossary_has_the_words_of_the_book():
    terms = [term for term, _ in ENTRIES]
    assert len(terms) >= 40 and len(set(terms)) == len(terms)
    pages = {name for name, _ in reading_order()}
    for term, definition in ENTRIES:
        links = re.findall(r"\]\(([\w/.]+)\.(?:ipynb|md)\)", definition)
        assert len(links) == 1 and f"book/{links[0]}" in pages, term
        sentences = re.sub(r"\([^)]*\)|\[[^]]*\]", "", definition).strip()
        assert 1 <= len(re.findall(r"[.!?](?=\s|$)", sentences)) <= 2, f"{term}: one or two sentences"


def test_terms_can_be_linked_to_and_are_in_the_index(book):
    page, index = ((book / f"{name}.html").read_text() for name in ("book/glossary", "genindex"))
    anchors = re.findall(r'<dt id="(term-[^"]+)"', page)
    assert len(anchors) == len(ENTRIES)
    assert [anchor for anchor in anchors if f"book/glossary.html#{anchor}" not in index] == []
    assert 'href="../genindex.html"' in page, "the index can be reached"


def test_the_page_on_citing_says_the_version_of_the_citation_file(book):
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    page = re.sub(r"<[^>]+>", "", (book / "book" / "citing.html").read_text())
    assert f"{citation['title']}. Version {citation['version']}, " in page
    assert f"version = {{{citation['version']}}}" in page


def test_the_versions_agree():
    library = re.search(r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)[1]
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == library


def test_a_bibtex_entry_keeps_names_and_address():
    authors = [{"given-names": "Ada", "family-names": "Byron"}, {"name": "The authors"}]
    about = {"title": "A book", "version": "2.0", "authors": authors}
    sentence, entry = citing.forms(about, "2027", "https://example.org")
    assert sentence == "Ada Byron, The authors. A book. Version 2.0, 2027. https://example.org"
    assert entry.startswith("@software{a-book-2.0,\n  author = {{Ada Byron} and {The authors}},\n  title = {{A book}},")
    assert entry.endswith("  url = {https://example.org}\n}")


class Build:
    """As much of Sphinx as the extension asks for."""

    def __init__(self, folder):
        self.srcdir = self.outdir = folder
        self.builder = type("Builder", (), {"name": "html"})


def test_a_page_that_moved_sends_its_readers_on(tmp_path):
    (tmp_path / "redirects.yml").write_text("book/old: book/api/new\nold/deep/page: index\n")
    build, environment = Build(tmp_path), type("Environment", (), {"found_docs": {"book/api/new", "index"}})
    moved.check(build, environment)
    moved.write(build, None)
    assert 'url=api/new.html"' in (tmp_path / "book" / "old.html").read_text()
    assert 'location.replace("../../index.html" + location.hash)' in (tmp_path / "old/deep/page.html").read_text()


@pytest.mark.parametrize("table", ["a: missing", "index: book/b"])
def test_a_table_that_leads_nowhere_is_no_book(tmp_path, table):
    (tmp_path / "redirects.yml").write_text(table)
    with pytest.raises(ExtensionError, match=r"redirects\.yml sends"):
        moved.load(tmp_path / "redirects.yml", {"index", "book/b"})


def test_the_books_own_table_is_sound():
    assert isinstance(moved.load(ROOT / "redirects.yml", {name for name, _ in reading_order()}), dict)
