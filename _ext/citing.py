"""The directive `{citation}`: how this version is cited, as a sentence and as BibTeX, from `CITATION.cff`."""

import re
import sys
from pathlib import Path

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

sys.path.append(str(Path(__file__).parents[1] / "tools"))

import citation as source  # found on the path that was just set


def forms(fields, year, url=""):
    """Return the sentence and the BibTeX entry.

    >>> about = {"title": "A book", "version": "1.0", "authors": [{"name": "The authors"}]}
    >>> forms(about, "2026")[0]
    'The authors. A book. Version 1.0, 2026.'
    """
    names, title, version = source.authors(fields), fields["title"], fields["version"]
    key = "-".join([re.sub(r"\W+", "-", title.lower()).strip("-"), version])
    entry = {
        # Double braces keep the name of a group, and the capitals of the title, as they are.
        "author": " and ".join(f"{{{name}}}" for name in names),
        "title": f"{{{title}}}",
        "version": version,
        "year": year,
        **({"url": url} if url else {}),
    }
    lines = ",\n".join(f"  {name} = {{{value}}}" for name, value in entry.items())
    address = f" {url}" if url else ""
    return f"{', '.join(names)}. {title}. Version {version}, {year}.{address}", f"@software{{{key},\n{lines}\n}}"


class Citation(SphinxDirective):
    """Prints both forms."""

    def run(self):
        """Return a paragraph and a block of BibTeX."""
        relative, path = self.env.relfn2path("/CITATION.cff")
        self.env.note_dependency(relative)
        fields = source.read(path)
        year = str(fields.get("date-released", self.config.copyright))[:4]
        sentence, bibtex = forms(fields, year, fields.get("url", ""))
        return [nodes.paragraph(text=sentence), nodes.literal_block(bibtex, bibtex, language="bibtex")]


def setup(app):
    """Register the extension."""
    app.add_directive("citation", Citation)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
