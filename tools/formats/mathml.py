"""Formulas as MathML, by the MathJax that the pages use: what they look like on the pages they are in the EPUB."""

import re
from html import escape
from pathlib import Path

from playwright.sync_api import sync_playwright

from tools import chromium

DELIMITERS = re.compile(r"^\s*\\[(\[]|\\[)\]]\s*$")
# A page with nothing on it; `tex2mml` converts a string without touching the page.
BLANK = "<!doctype html><script>MathJax = {{options: {{enableMenu: false}}}}</script><script src='{}'></script>"
CONVERT = "formulas => formulas.map(([tex, display]) => MathJax.tex2mml(tex, {display}))"


def formula(element):
    """Return the TeX of an element `.math` without its delimiters, and whether it stands on lines of its own.

    >>> from bs4 import BeautifulSoup
    >>> formula(BeautifulSoup('<span class="math">\\\\(x &lt; 1\\\\)</span>', "html.parser").span)
    ('x < 1', False)
    """
    text = "".join(child for child in element.children if isinstance(child, str)).strip()
    return DELIMITERS.sub("", DELIMITERS.sub("", text)).strip(), element.name == "div"


def convert(formulas, mathjax, work):
    """Return `{(tex, display): MathML}`; a ValueError names a formula that MathJax does not understand."""
    formulas = sorted(set(formulas))
    blank = Path(work) / "mathjax.html"
    blank.write_text(BLANK.format(Path(mathjax).as_uri()))
    executable = chromium.find()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=chromium.FLAGS)
        page = browser.new_page()
        page.goto(blank.as_uri())
        page.evaluate("() => MathJax.startup.promise")
        found = page.evaluate(CONVERT, [list(entry) for entry in formulas])
        browser.close()
    blank.unlink()
    for (tex, _), mathml in zip(formulas, found, strict=True):
        if "<merror" in mathml:
            raise ValueError(f"MathJax does not understand {tex!r}")
    return {entry: clean(mathml, entry[0]) for entry, mathml in zip(formulas, found, strict=True)}


def clean(mathml, tex):
    """Drop MathJax's own attributes and the indentation, and keep the TeX as alternative text.

    >>> clean('<math xmlns="m">\\n  <mi data-mjx-texclass="ORD">x</mi>\\n</math>', "x")
    '<math alttext="x" xmlns="m"><mi>x</mi></math>'
    """
    mathml = re.sub(r' data-[\w-]+="[^"]*"', "", mathml)
    mathml = re.sub(r">\s+<", "><", mathml)
    return mathml.replace("<math ", f'<math alttext="{escape(tex)}" ', 1)
