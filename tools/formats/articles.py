"""The articles of the built pages in reading order, without what only a browser can use, for the PDF and the EPUB.

Pictures are set apart, each as its own SVG with plain colours: an HTML parser would lower the case of their elements'
names, and a reading device knows no CSS variables. Code that a page folds away is left out; answers and hints that it
folds away are not.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from bs4 import BeautifulSoup

ROOT = Path(__file__).parents[2]
HTML = ROOT / "_build" / "html"
SVG = re.compile(r"<svg\b.*?</svg>", re.DOTALL)
# Elements that do something only where there is a mouse, a script, or a page around the article.
LIVE = (
    "a.headerlink, script, noscript, button, input, .toctree-wrapper, [role=status], .gansde-number, .hide.above-input"
)


@dataclass
class Article:
    """One page: its name in `_toc.yml`, its title, its `<article>`, its pictures, the caption of the part it opens."""

    name: str
    title: str
    body: BeautifulSoup
    pictures: list[str] = field(default_factory=list)
    opens: str = ""


def reading_order(toc=ROOT / "_toc.yml"):
    """Return `(name, caption)` of every page in the order of the contents; a caption only where a part begins."""
    contents = yaml.safe_load(Path(toc).read_text())
    found = [(contents["root"], "")]
    for part in contents["parts"]:
        for place, chapter in enumerate(part["chapters"]):
            found.append((chapter["file"], "" if place else part["caption"]))
    return found


def load(html=HTML, order=None):
    """Return the articles of all pages; a FileNotFoundError names a page that is not built."""
    found = []
    for name, caption in order or reading_order():
        path = Path(html) / f"{name}.html"
        if not path.is_file():
            raise FileNotFoundError(f"{path} is not built; run: make html")
        found.append(read(path.read_text(), name, caption))
    return found


def read(text, name, caption=""):
    """Return the article of one page.

    >>> read('<article class="bd-article"><h1>A<a class="headerlink">#</a></h1></article>', "book/a").title
    'A'
    """
    pictures = []

    def set_apart(match):
        pictures.append(standalone(match[0]))
        return f'<img class="picture" src="picture-{len(pictures)}.svg">'

    body = BeautifulSoup(SVG.sub(set_apart, text), "html.parser").select_one("article.bd-article")
    for useless in body.select(LIVE):
        useless.decompose()
    unfold(body)
    describe(body)
    title = " ".join(body.find("h1").get_text().split())
    return Article(name, title, body, pictures, caption)


def standalone(svg):
    """Return a page's picture as a file of its own: light colours for variables, namespaces, no ids nobody points at.

    >>> standalone('<svg xmlns="s" xmlns:xlink="x"><path id="a" style="fill: var(--gansde-ink, #1f2328)"/></svg>')
    '<svg xmlns="s" xmlns:xlink="x"><path style="fill: #1f2328"/></svg>'
    """
    svg = re.sub(r"var\(--[\w-]+,\s*([^()]+)\)", r"\1", svg)
    used = set(re.findall(r"#([\w.-]+)", svg))
    svg = re.sub(r' id="([^"]*)"', lambda match: match[0] if match[1] in used else "", svg)
    for name, space in {"xmlns": "http://www.w3.org/2000/svg", "xmlns:xlink": "http://www.w3.org/1999/xlink"}.items():
        if f"{name}=" not in svg:
            svg = svg.replace("<svg", f'<svg {name}="{space}"', 1)
    return svg


def unfold(body):
    """Turn forms and folded parts into plain blocks; what the theme folds by script is unfolded anyway."""
    names = {"fieldset": "div", "legend": "p", "label": "p", "details": "div", "summary": "p", "figcaption": "p"}
    for element in body.find_all(list(names)):
        element["class"] = [*element.get("class", []), element.name]
        element.name = names[element.name]
    for element in body.find_all(True):
        for name in ("hidden", "tabindex", "open", "aria-hidden"):
            element.attrs.pop(name, None)
    # A paragraph cannot hold paragraphs or lists; a browser would end it there, an EPUB must not have it.
    for paragraph in body.select("p:has(> p), p:has(> ol), p:has(> ul), p:has(> div)"):
        paragraph.name = "div"


def describe(body):
    """Hand the description of every picture from the element around it to the picture itself."""
    for picture in body.select("img.picture"):
        holder = picture.find_parent(attrs={"role": "img"})
        if holder is not None:
            picture["alt"] = holder["aria-label"]
            del holder["aria-label"], holder["role"]
        elif not picture.get("alt"):
            picture["alt"] = ""


def slug(name):
    """Return a page's name as it stands in ids and file names.

    >>> slug("book/api/games")
    'book.api.games'
    """
    return name.replace("/", ".")


def relink(articles, target, elsewhere=""):
    """Point links from page to page at `target(name, anchor)`; drop ids that nothing points at, and second ones.

    A link to something that no article holds, a data file or the index, leads to the address `elsewhere`, or becomes
    plain text where there is none.
    """
    names = {article.name for article in articles}
    ids = {article.name: {element["id"] for element in article.body.select("[id]")} for article in articles}
    wanted = {name: set() for name in names}
    for article in articles:
        for link in article.body.select("a[href]"):
            if re.match(r"[a-z]+:", link["href"]):
                continue
            path, _, anchor = link["href"].partition("#")
            page = resolve(article.name, path)
            if page in names:
                anchor = anchor if anchor in ids[page] else ""
                wanted[page].add(anchor)
                link["href"] = target(page, anchor)
            elif elsewhere:
                link["href"] = f"{elsewhere.rstrip('/')}/{resolve(article.name, path, keep_suffix=True)}"
            else:
                link.unwrap()
    for article in articles:
        seen = set()
        for element in article.body.select("[id]"):
            if element["id"] in wanted[article.name] - seen:
                seen.add(element["id"])
            else:
                del element["id"]


def resolve(page, path, keep_suffix=False):
    """Return what a relative link on `page` names.

    >>> resolve("book/gda", "api/games.html"), resolve("book/gda", ""), resolve("book/gda", "../a.html")
    ('book/api/games', 'book/gda', 'a')
    """
    if not path:
        return page
    parts = page.split("/")[:-1]
    for part in path.split("/"):
        parts = parts[:-1] if part == ".." else [*parts, part]
    found = "/".join(parts)
    return found if keep_suffix else found.removesuffix(".html")
