"""What `CITATION.cff` says of the book."""

from pathlib import Path

import yaml

FILE = Path(__file__).parents[1] / "CITATION.cff"


def read(file=FILE):
    """Return the file's fields."""
    return yaml.safe_load(Path(file).read_text())


def authors(fields):
    """Return the authors' names, those of groups and of persons.

    >>> authors({"authors": [{"name": "The authors"}, {"given-names": "Emmy", "family-names": "Noether"}]})
    ['The authors', 'Emmy Noether']
    """
    return [author.get("name") or f"{author['given-names']} {author['family-names']}" for author in fields["authors"]]
