"""The book as EPUB 3: a file for each page, formulas as MathML, pictures as SVG files, a table of contents by parts."""

import os
import re
import time
import zipfile
from pathlib import Path

from jinja2 import Environment

from tools.formats import articles as pages
from tools.formats import mathml

HERE = Path(__file__).parent
TEMPLATES = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)

CONTAINER = """<?xml version="1.0"?>
<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container">
<rootfiles><rootfile full-path="book/package.opf" media-type="application/oebps-package+xml"/></rootfiles>
</container>
"""
PACKAGE = TEMPLATES.from_string("""<?xml version="1.0" encoding="utf-8"?>
<package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="id" xml:lang="en">
<metadata xmlns:dc="http://purl.org/dc/elements/1.1/">
<dc:identifier id="id">{{ identifier }}</dc:identifier>
<dc:title>{{ title }}</dc:title>
<dc:creator>{{ author }}</dc:creator>
<dc:language>en</dc:language>
<dc:rights>Text: CC BY 4.0. Code: MIT.</dc:rights>
<meta property="dcterms:modified">{{ modified }}</meta>
<meta property="schema:accessMode">textual</meta>
<meta property="schema:accessMode">visual</meta>
<meta property="schema:accessModeSufficient">textual</meta>
<meta property="schema:accessibilityFeature">alternativeText</meta>
<meta property="schema:accessibilityFeature">MathML</meta>
<meta property="schema:accessibilityFeature">tableOfContents</meta>
<meta property="schema:accessibilityHazard">none</meta>
</metadata>
<manifest>
<item id="nav" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>
<item id="style" href="style.css" media-type="text/css"/>
{% for page in pages %}
<item id="{{ page.id }}" href="{{ page.file }}" media-type="application/xhtml+xml"\
{% if page.mathml %} properties="mathml"{% endif %}/>
{% endfor %}
{% for picture in pictures %}
<item id="{{ picture }}" href="{{ picture }}" media-type="image/svg+xml"/>
{% endfor %}
</manifest>
<spine>
<itemref idref="nav"/>
{% for page in pages %}
<itemref idref="{{ page.id }}"/>
{% endfor %}
</spine>
</package>
""")
PAGE = TEMPLATES.from_string("""<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE html>
<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops" xml:lang="en" lang="en">
<head><title>{{ title }}</title><link rel="stylesheet" href="style.css"/></head>
<body>{{ body|safe }}</body>
</html>
""")
CONTENTS = TEMPLATES.from_string("""<nav epub:type="toc" role="doc-toc"><h1>Contents</h1><ol>
{% for caption, entries in parts %}
{% if caption %}<li><span>{{ caption }}</span><ol>{% endif %}
{% for page in entries %}
<li><a href="{{ page.file }}">{{ page.title }}</a></li>
{% endfor %}
{% if caption %}</ol></li>{% endif %}
{% endfor %}
</ol></nav>""")


def write(articles, target, metadata, mathjax):
    """Write `articles` as the EPUB `target`; `metadata` names title, author and version, `mathjax` is its script."""
    pages.relink(articles, place, metadata.get("url", ""))
    formulas = [mathml.formula(element) for article in articles for element in article.body.select(".math")]
    converted = mathml.convert(formulas, mathjax, Path(target).parent)
    entries, files = [], {"style.css": (HERE / "formats.css").read_text()}
    for article in articles:
        body = xhtml(article, converted)
        files[place(article.name)] = PAGE.render(title=article.title, body=body)
        for count, picture in enumerate(article.pictures, 1):
            files[f"{pages.slug(article.name)}-{count}.svg"] = picture
        identifier = re.sub(r"[^\w.-]", "-", f"page.{pages.slug(article.name)}")
        entry = {"id": identifier, "file": place(article.name), "title": article.title, "mathml": "<math" in body}
        entries.append({**entry, "opens": article.opens})
    files["nav.xhtml"] = PAGE.render(title="Contents", body=CONTENTS.render(parts=parts(entries)))
    pictures = [name for name in files if name.endswith(".svg")]
    moment = time.gmtime(float(os.environ.get("SOURCE_DATE_EPOCH", time.time())))
    files["package.opf"] = PACKAGE.render(
        **{key: metadata[key] for key in ("title", "author")},
        identifier=f"urn:gansde:{metadata['version']}",
        modified=time.strftime("%Y-%m-%dT%H:%M:%SZ", moment),
        pages=entries,
        pictures=pictures,
    )
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr("mimetype", "application/epub+zip", zipfile.ZIP_STORED)  # first and plain, by the standard
        archive.writestr("META-INF/container.xml", CONTAINER)
        for name, text in files.items():
            archive.writestr(f"book/{name}", text)
    return Path(target)


def place(name, identifier=""):
    """Return the link to a place in another file of the EPUB.

    >>> place("book/gda", "thm-ostrowski")
    'book.gda.xhtml#thm-ostrowski'
    """
    return f"{pages.slug(name)}.xhtml" + (f"#{identifier}" if identifier else "")


def parts(entries):
    """Return `(caption, entries)` in order; what stands before the first part has no caption."""
    found = [("", [])]
    for entry in entries:
        if entry["opens"]:
            found.append((entry["opens"], []))
        found[-1][1].append(entry)
    return [(caption, group) for caption, group in found if group]


def xhtml(article, converted):
    """Return the article as XHTML with MathML and with the names that its pictures have in the EPUB."""
    slots = []
    for element in article.body.select(".math"):
        slots.append(converted[mathml.formula(element)])
        number = element.select_one(".eqno")
        element.string = f"\x00{len(slots) - 1}\x00"
        if number is not None:
            element.insert(0, number)
    for count in range(1, len(article.pictures) + 1):
        article.body.select(f'img[src="picture-{count}.svg"]')[0]["src"] = f"{pages.slug(article.name)}-{count}.svg"
    # Attributes that HTML 5 no longer has, or that belong to the page's scripts.
    for element in article.body.find_all(True):
        for name in [name for name in element.attrs if name in ("align", "valign", "border", "cellspacing")]:
            del element[name]
    for cell in article.body.select("colgroup"):
        cell.decompose()
    return re.sub("\x00(\\d+)\x00", lambda match: slots[int(match[1])], article.body.decode(formatter="minimal"))
