"""The whole book as one PDF: all articles in one page, typeset by the book's own MathJax, printed by Chromium.

Chromium makes the outline from the headings and keeps links between chapters. It cannot print the page numbers of a
table of contents, so the book is printed twice: the second time with the numbers that the first one had.
"""

import html
import json
import os
from pathlib import Path

import pikepdf
from playwright.sync_api import sync_playwright

from tools import chromium
from tools.formats import articles as pages

HERE = Path(__file__).parent
FOOTER = '<div style="width: 100%; text-align: center; font-size: 8pt"><span class="pageNumber"></span></div>'
FILL = "numbers => document.querySelectorAll('.contents span').forEach((s, i) => { s.textContent = numbers[i] })"
MATHJAX = {"options": {"processHtmlClass": "math", "ignoreHtmlClass": "book", "enableMenu": False}}


def write(articles, target, metadata, mathjax):
    """Print `articles` into the file `target`; `metadata` names title, author and version, `mathjax` is its script."""
    target = Path(target)
    work = target.parent / "print"
    work.mkdir(parents=True, exist_ok=True)
    pages.relink(articles, anchor, metadata.get("url", ""))
    source = work / "book.html"
    executable = chromium.find()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=chromium.FLAGS)
        page = browser.new_page()
        page.set_default_timeout(600_000)
        source.write_text(document(articles, metadata, os.path.relpath(mathjax, work), work))
        page.goto(source.as_uri())
        page.evaluate("() => MathJax.startup.promise")
        printed(page, target)
        numbers = first_pages(target, articles)
        page.evaluate(FILL, numbers)
        printed(page, target)
        headings = page.locator("h1, h2, h3, h4, h5, h6").all_inner_texts()
        browser.close()
    finish(target, metadata, headings)
    return target


def printed(page, target):
    """Print a page into a file."""
    page.pdf(
        path=target,
        prefer_css_page_size=True,
        display_header_footer=True,
        header_template="<span></span>",
        footer_template=FOOTER,
        outline=True,
        tagged=True,
        print_background=True,
    )


def anchor(name, identifier=""):
    """Return the link to a place in the one page.

    >>> anchor("book/gda", "thm-ostrowski"), anchor("book/gda")
    ('#book.gda--thm-ostrowski', '#book.gda')
    """
    return f"#{pages.slug(name)}" + (f"--{identifier}" if identifier else "")


def document(articles, metadata, mathjax, work):
    """Return the one page, and put its pictures into the folder `work`."""
    contents, bodies = [], []
    for article in articles:
        slug = pages.slug(article.name)
        if article.opens:
            contents.append(f'<li class="caption">{html.escape(article.opens)}</li>')
        contents.append(f'<li><a href="#{slug}">{html.escape(article.title)}</a><span></span></li>')
        for element in article.body.select("[id]"):
            element["id"] = f"{slug}--{element['id']}"
        for count, picture in enumerate(article.pictures, 1):
            name = f"{slug}-{count}.svg"
            (work / name).write_text(picture)
            article.body.select(f'img[src="picture-{count}.svg"]')[0]["src"] = name
        article.body["id"] = slug
        bodies.append(str(article.body))
    title, author, version = (html.escape(metadata[key]) for key in ("title", "author", "version"))
    style = "".join((HERE / name).read_text() for name in ("formats.css", "print.css"))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>{style}</style>'
        f"<script>MathJax = {json.dumps(MATHJAX)}</script><script defer src='{mathjax}'></script></head>"
        f'<body class="book"><div class="title"><p style="font-size: 26pt">{title}</p><p>{author}</p>'
        f"<p>Version {version}</p><p>Live figures are shown at their starting states.</p></div>"
        f'<div class="contents"><h1>Contents</h1><ol>{"".join(contents)}</ol></div>{"".join(bodies)}</body></html>'
    )


def outline(pdf):
    """Return `(title, page number, number of entries below)` of the top level of a PDF's outline."""
    numbers = {page.objgen: count for count, page in enumerate(pdf.pages, 1)}
    with pdf.open_outline() as entries:
        return [(entry.title, numbers[entry.destination[0].objgen], len(entry.children)) for entry in entries.root]


def first_pages(path, articles):
    """Return the number of the page on which each article begins, from the outline."""
    with pikepdf.open(path) as pdf:
        starts = [number for title, number, _ in outline(pdf) if title != "Contents"]
    if len(starts) != len(articles):
        raise RuntimeError(f"the outline has {len(starts)} chapters, expected {len(articles)}")
    return starts


def spaced(entries, whole):
    """Write the titles of an outline anew: Chromium drops the space where a heading goes on in a new line."""
    for entry in entries:
        entry.title = whole.get("".join(entry.title.split()), entry.title)
        spaced(entry.children, whole)


def finish(path, metadata, headings):
    """Mend the outline, write title and author, and pack the objects: Chromium's file is more than twice as large."""
    with pikepdf.open(path, allow_overwriting_input=True) as pdf:
        with pdf.open_outline() as entries:
            spaced(entries.root, {"".join(text.split()): " ".join(text.split()) for text in headings})
        with pdf.open_metadata(set_pikepdf_as_editor=False) as xmp:
            xmp["dc:title"], xmp["dc:creator"], xmp["dc:language"] = metadata["title"], [metadata["author"]], {"en"}
        pdf.docinfo["/Title"], pdf.docinfo["/Author"] = metadata["title"], metadata["author"]
        pdf.Root.PageMode = pikepdf.Name.UseOutlines
        pdf.save(path, object_stream_mode=pikepdf.ObjectStreamMode.generate, recompress_flate=True)
