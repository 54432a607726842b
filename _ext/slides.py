"""Lecture slides: a chapter's statements, figures and evidence, one to a screen, from the page that was just built.

`slides/NAME.html` is made for each chapter of parts I to V. Live figures stay alive there, since they are the
page's own elements; the arrow keys and Page Up and Down turn the slides, and printing gives one to a sheet.
"""

import html
import re
from pathlib import Path

import yaml
from bs4 import BeautifulSoup

ROW = 6  # lines of evidence on a slide
# The sections' titles, figures, statements without their proofs, and evidence.
SHOWN = 'h2, figure.gansde-figure, div.proof:not([class="proof admonition"]), p.gansde-evidence'
LINKS = re.compile(r"(theme|pydata-sphinx-theme|proof|live|book)\.css|favicon\.svg")
SCRIPTS = re.compile(r"MathJax|tex-chtml\.js|live\.js")
THEME = """
const dark = matchMedia("(prefers-color-scheme: dark)");
const paint = () => { document.documentElement.dataset.theme = dark.matches ? "dark" : "light"; };
dark.addEventListener("change", paint);
paint();
// A formula wider than the screen scrolls, by keyboard too.
addEventListener("load", async () => {
    await window.MathJax?.startup?.promise;
    for (const box of document.querySelectorAll(".slide .math, .slide .proof")) {
        if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    }
});
addEventListener("keydown", event => {
    const step = { ArrowRight: 1, PageDown: 1, ArrowLeft: -1, PageUp: -1 }[event.key];
    // A slider or a choice that has the focus keeps its keys.
    if (!step || event.target.closest("input, select, textarea, [role=slider]")) return;
    const slides = [...document.querySelectorAll(".slide")];
    const here = slides.findLastIndex(slide => slide.getBoundingClientRect().top < innerHeight / 2);
    slides[Math.min(Math.max(here + step, 0), slides.length - 1)].scrollIntoView();
    event.preventDefault();
});
"""


def chapters(root):
    """Return the chapters, the pages of the parts "I Games" to "V Kernel discriminators"."""
    parts = yaml.safe_load((Path(root) / "_toc.yml").read_text()).get("parts", [])
    return [page["file"] for part in parts if re.match("(I{1,3}|IV|V) ", part["caption"]) for page in part["chapters"]]


def slides(article):
    """Return `(title, HTML)` of every slide after the first; evidence comes last, several lines to a slide."""
    title, made, lines = article.find("h1").decode_contents(), [], []
    for element in article.select(SHOWN):
        if element.name == "h2":
            title = element.decode_contents()
        elif element.name == "p":
            lines.append(str(element))
        else:
            made.append((title, str(element)))
    groups = [lines[start : start + ROW] for start in range(0, len(lines), ROW)]
    return made + [("Evidence", "".join(group)) for group in groups]


def deck(page, text):
    """Return the slides of the built page `page`, whose HTML is `text`."""
    soup = BeautifulSoup(text, "html.parser")
    article = soup.find("article", class_="bd-article")
    for mark in article.select(".headerlink"):
        mark.decompose()
    title = article.find("h1").decode_contents()
    # Slides lie in a folder beside the page's own, so only links within the book change.
    home = Path(page).parent.as_posix()
    for link in article.find_all("a", href=True):
        if not re.match(r"[a-z]+:", link["href"]):
            target = f"../{page}.html{link['href']}" if link["href"][0] == "#" else f"../{home}/{link['href']}"
            link["href"] = target
    made = slides(article)
    head = [tag for tag in soup.head.find_all("link", href=LINKS)]
    head += [tag for tag in soup.head.find_all("script") if SCRIPTS.search(tag.get("src", "") + tag.get_text())]
    style = (Path(__file__).parent / "slides.css").read_text()
    first = (
        f'<h1>{title}</h1><p>Slides of <a href="../{page}.html">a chapter</a> of the book: turn with the arrows.</p>'
    )
    bodies = [first, *(f"<h2>{heading}</h2>{body}" for heading, body in made)]
    count = len(bodies)
    sections = "\n".join(
        f'<section class="slide">{body}<p class="slide-place">{number} of {count}</p></section>'
        for number, body in enumerate(bodies, start=1)
    )
    name = html.escape(article.find("h1").get_text())
    return (
        '<!DOCTYPE html>\n<html lang="en" data-theme="light"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Slides: {name}</title>{''.join(map(str, head))}<style>{style}</style><script>{THEME}</script></head>"
        f'<body><main class="bd-content"><article class="bd-article">{sections}</article></main></body></html>\n'
    )


def write(app, problem):
    """Write the slides of every chapter that is newer than they are."""
    if problem or app.builder.format != "html":
        return
    folder = Path(app.outdir)
    for page in chapters(app.srcdir):
        source, target = folder / f"{page}.html", folder / "slides" / f"{Path(page).name}.html"
        if source.is_file() and not (target.is_file() and target.stat().st_mtime >= source.stat().st_mtime):
            target.parent.mkdir(exist_ok=True)
            target.write_text(deck(page, source.read_text()))


def setup(app):
    """Write the slides when all pages are there."""
    app.connect("build-finished", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
