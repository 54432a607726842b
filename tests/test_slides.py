"""Slides: what a chapter's page states and draws, one to a screen, turned by keys."""

import pytest
import slides
from bs4 import BeautifulSoup

from conftest import ROOT

CHAPTERS = slides.chapters(ROOT)

PAGE = """<html><head><link rel="stylesheet" href="../_static/book.css?v=1"><link rel="stylesheet" href="other.css">
<script src="../_static/live.js" defer></script><script src="other.js"></script></head><body>
<article class="bd-article"><h1>Toy<a class="headerlink" href="#toy">#</a></h1>
<h2>1.1. One<a class="headerlink" href="#one">#</a></h2>
<div class="proof theorem admonition"><p>See <a href="sde.html#x">there</a>, <a href="#here">here</a>
and <a href="https://example.invalid">outside</a>.</p></div>
<div class="proof admonition"><p>Long.</p></div>
<p class="gansde-evidence gansde-holds">Row.</p>
<h2>1.2. Two</h2><figure class="gansde-figure"><div role="img"></div></figure></article></body></html>"""


def test_a_deck():
    soup = BeautifulSoup(slides.deck("book/toy", PAGE), "html.parser")
    made = soup.select(".slide")
    assert [slide.select_one("h1, h2").get_text() for slide in made] == ["Toy", "1.1. One", "1.2. Two", "Evidence"]
    assert [bool(slide.select("figure, .theorem")) for slide in made] == [False, True, True, False]
    assert "Long." not in soup.get_text() and "Row." in made[3].get_text()
    links = [link["href"] for link in made[1].find_all("a")]
    assert links == ["../book/sde.html#x", "../book/toy.html#here", "https://example.invalid"]
    assert [tag["href"] for tag in soup.find_all("link")] == ["../_static/book.css?v=1"]
    assert [tag["src"] for tag in soup.find_all("script", src=True)] == ["../_static/live.js"]


@pytest.mark.parametrize("page", CHAPTERS)
def test_a_chapter_is_there_whole(book, page):
    made = (book / "slides" / f"{page.split('/')[-1]}.html").read_text()
    text = (book / f"{page}.html").read_text()
    for part in ('<figure class="gansde-figure', 'class="gansde-evidence', 'type="application/json"'):
        assert made.count(part) == text.count(part), part
    assert made.count('<figure class="gansde-figure') >= 3


def test_keys_turn_slides(browser, book):
    page = browser.new_page(viewport={"width": 1000, "height": 600}, reduced_motion="reduce")
    page.goto((book / "slides" / "gda.html").as_uri())
    page.wait_for_selector(".gansde-live[data-live]")

    def shown():
        return page.evaluate("""() => [...document.querySelectorAll(".slide")]
            .findIndex(slide => Math.abs(slide.getBoundingClientRect().top) < 2)""")

    assert shown() == 0
    seen = [page.keyboard.press(key) or shown() for key in ("ArrowRight", "PageDown", "ArrowRight", "PageUp")]
    assert seen == [1, 2, 3, 2]
    # A slider keeps its arrows.
    page.evaluate("""() => document.querySelector("input[type=range]").focus({ preventScroll: true })""")
    page.keyboard.press("ArrowRight")
    assert shown() == 2
    page.close()
