"""Make one format: `python -m tools.formats offline|notebooks|epub|pdf`; the file is in `_build/formats/`."""

import argparse
import re
import time

from tools import citation
from tools import public_repository as public
from tools.formats import articles, epub, pdf, zips

FOLDER = articles.ROOT / "_build" / "formats"
MATHJAX = articles.HTML / "_static" / "mathjax" / "tex-chtml.js"


def metadata():
    """Return what a title page says, from `CITATION.cff`, and the address of the online pages where there is one."""
    fields, found = citation.read(), public.public()
    return {
        "title": fields["title"],
        "author": ", ".join(citation.authors(fields)),
        "version": fields["version"],
        "url": found.pages if found else "",
    }


def stem(about):
    """Return the name of the files without its ending.

    >>> stem({"title": "The Dynamics of GAN Training", "version": "0.1.0"})
    'the-dynamics-of-gan-training-0.1.0'
    """
    return re.sub(r"[^a-z0-9]+", "-", about["title"].lower()) + f"-{about['version']}"


def make(name):
    """Make one format and return its file."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    about = metadata()
    base = FOLDER / stem(about)
    if name == "offline":
        return zips.offline(articles.HTML, base.with_name(f"{base.name}-offline.zip"))
    if name == "notebooks":
        return zips.notebooks(base.with_name(f"{base.name}-notebooks.zip"))
    writer = {"epub": epub.write, "pdf": pdf.write}[name]
    return writer(articles.load(), base.with_name(f"{base.name}.{name}"), about, MATHJAX)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tools.formats", description=__doc__)
    parser.add_argument("format", choices=["offline", "notebooks", "epub", "pdf"])
    wanted = parser.parse_args().format
    start = time.perf_counter()
    file = make(wanted)
    print(
        f"{file.relative_to(articles.ROOT)}: {file.stat().st_size / 1e6:.1f} MB in {time.perf_counter() - start:.0f} s"
    )
