"""What the book calls its labels: the numbers of theorems, exercises and formulas, titles of pages, names of works.

Numbers and titles are read off the built pages, so that a plain notebook counts as the book does.
"""

import html
import re
from dataclasses import dataclass
from pathlib import Path

import pybtex.database
from pybtex.backends.markdown import Backend
from pybtex.style.formatting.unsrt import Style

# <div class="proof theorem admonition" id="thm-a"> <p class="admonition-title"><span class="caption-number">Theorem 6.1
NUMBERED = re.compile(
    r'<div class="(?:proof|exercise)[^"]*" id="([^"]+)">\s*'
    r'<p class="admonition-title"><span class="caption-number">([^<]+)<'
)
FORMULA = re.compile(r'id="equation-([^"]+)">\s*<span class="eqno">(\([^<]+\))')
# <span id="gda"></span><h1>, perhaps several such spans, and the id of the section itself
HEADING = re.compile(r'<section [^>]*\bid="([^"]+)">\s*((?:<span id="[^"]+"></span>)*)<h\d>(.*?)</h\d>', re.DOTALL)


@dataclass(frozen=True)
class Place:
    """Where a label is, and the words that a reference to it prints."""

    page: str
    anchor: str
    text: str


def read(name, text):
    """Return `{label: Place}` of the built page `name`, the page itself under its own name.

    >>> read("book/a", '<section id="s"><span id="a"></span><h1>1. A<a class="headerlink">#</a></h1>')["a"]
    Place(page='book/a', anchor='a', text='1. A')
    """
    found = {label: Place(name, label, " ".join(words.split())) for label, words in NUMBERED.findall(text)}
    found |= {label: Place(name, f"equation-{label}", number) for label, number in FORMULA.findall(text)}
    for section, spans, title in HEADING.findall(text):
        words = re.sub(r'<a class="headerlink".*?</a>|<[^>]+>', "", title)
        for label in [section, *re.findall(r'id="([^"]+)"', spans)]:
            found[label] = Place(name, label, html.unescape(" ".join(words.split())))
        found.setdefault(f"/{name}", Place(name, "", html.unescape(" ".join(words.split()))))
    return found


def labels(folder, names):
    """Return the labels of the built pages of these names under `folder`."""
    found = {}
    for name in names:
        found |= read(name, Path(folder, f"{name}.html").read_text())
    return found


class Works:
    """The works of a BibTeX file as the book names them."""

    def __init__(self, path):
        """Read the file."""
        self.entries = pybtex.database.parse_file(str(path)).entries

    def name(self, key):
        """Return `(authors, year)`: one or two names, or the first *et al.*"""
        entry = self.entries[key]
        names = ["".join(map(str, person.rich_last_names)) for person in entry.persons.get("author", [])]
        authors = f"{names[0]} *et al.*" if len(names) > 2 else " and ".join(names)
        return authors, entry.fields["year"]

    def listed(self, keys):
        """Return the references of a notebook as a Markdown list."""
        style, backend = Style(), Backend()
        chosen = sorted((self.entries[key] for key in keys), key=lambda entry: self.name(entry.key))
        return "\n".join(f"- {entry.text.render(backend)}" for entry in style.format_entries(chosen))
