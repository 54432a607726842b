"""Every picture says in words what is to be seen; a picture that does not is a warning, hence no build.

Looked at is the HTML of each page's body, so that it does not matter whether a picture came from Markdown,
from a cell or from raw HTML. A picture that says nothing must be marked as decoration (`aria-hidden="true"`
on an icon, `alt=""` with `role="presentation"`).
"""

import re
from html.parser import HTMLParser

from sphinx.util import logging

LEAST = 30
logger = logging.getLogger(__name__)


class Pictures(HTMLParser):
    """Collects the complaints about one page in `problems`."""

    void = frozenset({"img", "br", "hr", "input", "meta", "link", "source", "col", "wbr", "area", "embed"})

    def __init__(self):
        """Start with an empty page."""
        super().__init__()
        self.problems = []
        self._described = []  # for every open element: is it, or does it stand in, a described picture?

    def handle_starttag(self, tag, attributes):
        """Check one element."""
        attributes = dict(attributes)
        label = attributes.get("alt") if tag == "img" else attributes.get("aria-label")
        inside = bool(self._described) and self._described[-1]
        is_picture = tag in ("img", "svg") or attributes.get("role") == "img"
        if is_picture and not inside and not self._decoration(tag, attributes):
            self._check(tag, label or "", attributes)
            inside = True
        if tag not in self.void:
            self._described.append(inside)

    def handle_startendtag(self, tag, attributes):
        """Check one element that closes itself."""
        self.handle_starttag(tag, attributes)
        self.handle_endtag(tag)

    def handle_endtag(self, tag):
        """Leave one element."""
        if tag not in self.void and self._described:
            self._described.pop()

    def _decoration(self, tag, attributes):
        if tag == "img":
            return attributes.get("role") == "presentation" and attributes.get("alt") == ""
        return attributes.get("aria-hidden") == "true" and "sd-octicon" in (attributes.get("class") or "")

    def _check(self, tag, label, attributes):
        name = attributes.get("src") or tag
        if len(label.strip()) < LEAST:
            self.problems.append(f"{name}: alt text {label!r} is shorter than {LEAST} characters")
        elif re.fullmatch(r"\S+|.*\.(png|jpe?g|svg|gif|webp)", label.strip(), re.IGNORECASE):
            self.problems.append(f"{name}: alt text {label!r} is a file name, not a description")


def problems(html):
    """Return the complaints about the pictures in an HTML fragment.

    >>> problems('<img src="a.png" alt="a.png">')
    ["a.png: alt text 'a.png' is shorter than 30 characters"]
    >>> problems('<img src="a.png" alt="A spiral that leaves the unit circle after ten steps.">')
    []
    """
    parser = Pictures()
    parser.feed(html)
    return parser.problems


def check(app, pagename, templatename, context, doctree):
    """Warn of every picture on a page that is not described."""
    for problem in problems(context.get("body", "")) if doctree else []:
        logger.warning("%s; say in %d characters or more what is to be seen", problem, LEAST, location=pagename)


def setup(app):
    """Register the extension."""
    app.connect("html-page-context", check)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
