"""Every built page in a real browser: over http and from a file, light and dark, wide and narrow, without a network."""

import functools
import gzip
import re
import threading
from urllib.parse import unquote, urlsplit

import figures
import pytest
import serve
import vendored

from conftest import ROOT

HTML = ROOT / "_build" / "html"
PAGES = sorted(
    path.relative_to(HTML).as_posix()
    for path in HTML.rglob("*.html")
    if path.relative_to(HTML).parts[0] not in ("_static", "_sources", "reports")
    and 'http-equiv="refresh"' not in path.read_text()  # a page that moved, see redirects.yml
)
SIZES = {"wide": {"width": 1280, "height": 900}, "narrow": {"width": 360, "height": 780}}

# The rules of axe-core that look at colours take most of its time. They are asked of one text of each kind.
COLOURS = ["color-contrast", "link-in-text-block"]

# What is asked of a page as it stands; raw TeX and pictures are those of the article, not of the theme's frame.
LOOK = """() => {
    const article = document.querySelector("article.bd-article") ?? document.body;
    const walker = document.createTreeWalker(article, NodeFilter.SHOW_TEXT);
    const raw = [];
    while (walker.nextNode()) {
        const text = walker.currentNode.textContent;
        const skip = walker.currentNode.parentElement.closest("pre, code, script, style, mjx-container");
        if (!skip && /\\\\\\(|\\\\\\[|\\$\\$|\\\\[a-zA-Z]{2,}/.test(text)) raw.push(text.trim().slice(0, 80));
    }
    const undescribed = [...article.querySelectorAll("img, svg, [role=img]")].filter(picture => {
        if (picture.parentElement.closest("[role=img], button, summary, .toggle-button")) return false;
        if (picture.matches("svg[aria-hidden=true]:is(.sd-octicon, .svg-inline--fa)")) return false;
        return (picture.getAttribute("alt") || picture.getAttribute("aria-label") || "").trim().length < 30;
    });
    return {
        raw,
        undescribed: undescribed.map(picture => picture.outerHTML.slice(0, 120)),
        formulas: document.querySelectorAll(".math").length,
        typeset: document.querySelectorAll("mjx-container").length,
        broken: [...document.querySelectorAll("mjx-merror, [data-mjx-error]")].map(node => node.textContent),
    };
}"""
# Answers to exercises are folded away; they are part of the page.
UNFOLD = """() => {
    document.querySelectorAll("details").forEach(node => node.open = true);
    document.querySelectorAll(".toggle-hidden").forEach(node => node.classList.remove("toggle-hidden"));
}"""
# The inside of a figure is hidden from assistive technology; axe-core would only spend time there.
EMPTY_PICTURES = """() => document.querySelectorAll("[role=img] > svg[aria-hidden=true]")
    .forEach(picture => picture.replaceChildren())"""
# Formulas are the same at every width, and have the colour of the text around them.
EMPTY_FORMULAS = """() => document.querySelectorAll("mjx-container").forEach(formula => formula.replaceChildren())"""
# Marks a text of each kind that was not seen before, and counts them. Texts are of one kind if they and their parents
# agree in colour and size, and what is behind them in colours and opacity.
NEW_COLOURS = """() => {
    const seen = window.seenColours ??= new Set(), behind = new Map([[null, ""]]);
    const ground = element => {
        if (!behind.has(element)) {
            const { backgroundColor, backgroundImage, opacity } = getComputedStyle(element);
            const own = `${backgroundColor} ${backgroundImage} ${opacity}`;
            const plain = own === "rgba(0, 0, 0, 0) none 1";
            behind.set(element, ground(element.parentElement) + (plain ? "" : `, ${own}`));
        }
        return behind.get(element);
    };
    const look = element => {
        const { color, fontSize, fontWeight, textDecorationLine } = getComputedStyle(element);
        return [element.closest("a, button, label")?.localName, color, fontSize, fontWeight, textDecorationLine];
    };
    let found = 0;
    for (const element of document.body.querySelectorAll("*")) {
        delete element.dataset.newColours;
        const texts = [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim());
        if (!(texts || element.placeholder) || !element.checkVisibility({ visibilityProperty: true })) continue;
        const kind = [look(element), look(element.parentElement), ground(element)].join();
        if (seen.has(kind)) continue;
        seen.add(kind);
        element.dataset.newColours = "";
        found += 1;
    }
    return found;
}"""
OVERFLOW = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
LOADED = """() => [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
    .map(entry => entry.name)"""
HEAVIEST = 1.5e6  # bytes of a first page, fonts and scripts included, when the server compresses


def serving(folder):
    """Yield the address of a server of `folder`."""
    with serve.server(folder) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


@pytest.fixture(scope="module")
def site(book):
    """Return the address of the built book."""
    yield from serving(book)


@pytest.fixture(scope="module")
def visited(browser, site):
    """Return a function that visits a page by one protocol, once, and returns what was seen."""
    start = {"http": site, "file": HTML.as_uri()}
    return functools.cache(lambda page, protocol: visit(browser, f"{start[protocol]}/{page}"))


def visit(browser, url):
    """Load one page with the network cut and return what went wrong, by kind."""
    context = browser.new_context(viewport=SIZES["wide"], reduced_motion="reduce", service_workers="block")
    seen = {"external": [], "console": [], "failed": [], "overflow": [], "axe": []}
    home = urlsplit(url)

    def gate(route):
        target = urlsplit(route.request.url)
        if target.scheme in ("data", "blob") or (target.scheme, target.netloc) == (home.scheme, home.netloc):
            route.continue_()
        else:
            seen["external"].append(route.request.url)
            route.abort()

    context.route("**/*", gate)
    page = context.new_page()
    page.on("console", lambda message: message.type == "error" and seen["console"].append(message.text))
    page.on("pageerror", lambda error: seen["console"].append(str(error)))
    page.on("requestfailed", lambda request: seen["failed"].append(request.url))
    page.on("response", lambda response: response.status >= 400 and seen["failed"].append(response.url))
    page.goto(url, wait_until="load")
    page.evaluate("async () => { await window.MathJax?.startup?.promise }")
    page.evaluate(UNFOLD)
    page.add_style_tag(content="* { transition: none !important }")  # colours are judged where they end
    seen.update(page.evaluate(LOOK), loaded=set(page.evaluate(LOADED)))
    for size, viewport in SIZES.items():
        page.set_viewport_size(viewport)
        if page.evaluate(OVERFLOW) > 0:
            seen["overflow"].append(f"{size}: {page.evaluate(OVERFLOW)} px")
    if home.scheme == "http":
        seen["axe"] = list(barriers(page))
    context.close()
    return seen


def barriers(page):
    """Yield what axe-core finds: wide and narrow by all rules, light and dark by those that look at colours."""
    page.evaluate(EMPTY_PICTURES)
    off = {rule: {"enabled": False} for rule in COLOURS}
    for size, viewport in SIZES.items():
        page.set_viewport_size(viewport)
        page.wait_for_timeout(350)  # the theme decides 300 ms after a resize what can be scrolled by keyboard
        yield from (f"{size}: {problem}" for problem in violations(page, "html", rules=off))
        page.evaluate(EMPTY_FORMULAS)
        for theme in ("light", "dark"):
            page.evaluate("theme => { document.documentElement.dataset.theme = theme }", theme)
            if page.evaluate(NEW_COLOURS):
                found = violations(page, "[data-new-colours]", runOnly=COLOURS)
                yield from (f"{size} {theme}: {problem}" for problem in found)


def violations(page, part, **options):
    """Return what axe-core, loaded by the first call, finds in a part of the page as it stands."""
    if not page.evaluate("() => Boolean(window.axe?.run)"):
        page.add_script_tag(path=vendored.files("axe")["axe.min.js"])
    run = "async ([part, options]) => (await axe.run(part, options)).violations"
    found = page.evaluate(run, [part, {"preload": False, "resultTypes": ["violations"], **options}])
    return [f"{rule['id']}: {node['html'][:160]} {node['any'][:1]}" for rule in found for node in rule["nodes"]]


# Each check returns its complaints about what was seen.
CHECKS = {
    "loads nothing from elsewhere": lambda seen: seen["external"],
    "no request fails": lambda seen: seen["failed"],
    "no error in the console": lambda seen: seen["console"],
    "no raw TeX": lambda seen: seen["raw"],
    "no formula has an error": lambda seen: seen["broken"],
    "all maths is typeset": lambda seen: seen["formulas"] > seen["typeset"] and [seen["formulas"], seen["typeset"]],
    "every picture is described": lambda seen: seen["undescribed"],
    "the page fits its width": lambda seen: seen["overflow"],
    "accessible": lambda seen: seen["axe"],
}


def test_the_book_has_pages(book):
    assert {"index.html", "search.html", "genindex.html"} <= set(PAGES)


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("protocol", ["http", "file"])
@pytest.mark.parametrize("page", PAGES)
def test_page(visited, page, protocol, check):
    assert not CHECKS[check](visited(page, protocol))


@pytest.mark.parametrize("chapter", figures.CHAPTERS)
def test_explorers_are_live_without_a_widget_manager(book, chapter):
    """Where the compiler's toolchain is missing a figure falls back to its picture: not in the book."""
    page = (book / "book" / f"{chapter}.html").read_text()
    wanted = [figures.anchor(name) for name, home in figures.HOME.items() if home == chapter]
    assert re.findall(r'<figure class="gansde-figure gansde-live" id="([^"]+)"', page) == wanted
    assert len(wanted) >= (1 if chapter == "live_figures" or "/" in chapter else 2)
    assert not re.search("require(.min)?.js|html-manager|jupyter-widgets|widget-state", page)


@functools.cache
def compressed(path):
    """Return how many bytes a file of the book takes on the way."""
    return len(gzip.compress((HTML / path).read_bytes()))


@pytest.mark.parametrize("page", PAGES)
def test_weight(visited, site, page, record_property):
    loaded = visited(page, "http")["loaded"]
    assert f"{site}/{page}" in loaded
    weight = sum(compressed(unquote(urlsplit(url).path).lstrip("/")) for url in loaded)
    record_property("measured", f"{page}: {weight / 1e6:.2f} MB compressed, nothing cached")
    assert weight < HEAVIEST


@pytest.mark.parametrize("protocol", ["http", "file"])
def test_search_finds(browser, site, protocol):
    page = browser.new_page()
    page.goto(f"{site if protocol == 'http' else HTML.as_uri()}/search.html?q=discriminator")
    page.wait_for_selector("#search-results li a", timeout=10_000)
    page.close()


BROKEN = [
    ("loads nothing from elsewhere", '<script src="https://example.invalid/a.js"></script>'),
    ("no request fails", '<script src="missing.js"></script>'),
    ("no error in the console", "<script>undefinedFunction()</script>"),
    ("no raw TeX", r"<p>The rate is \(\eta\).</p>"),
    ("no formula has an error", "<mjx-container><mjx-merror>Undefined control sequence</mjx-merror></mjx-container>"),
    ("all maths is typeset", '<span class="math">x</span>'),
    (
        "every picture is described",
        '<img alt="figure.png" src="data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA=">',
    ),
    ("the page fits its width", '<div style="width: 2000px">wide</div>'),
    ("the page fits its width", '<div style="width: 400px">wide</div>'),
    ("accessible", '<p style="color: #bbb; background: #fff">pale</p>'),
    (
        "accessible",
        "<style>[data-theme=dark] { background: #000 } [data-theme=dark] p { color: #333 }</style><p>dim</p>",
    ),
    ("accessible", "<style>@media (width < 400px) { p { color: #bbb } }</style><p>pale where it is narrow</p>"),
    ("accessible", '<p>dark</p><p style="opacity: 0.3"><b>seen through</b></p>'),
    (
        "accessible",
        '<p>A <a href="#" style="color: #222; text-decoration: none">link</a> that looks like its text.</p>',
    ),
    ("accessible", "<button></button>"),
    ("accessible", "<style>@media (width > 400px) { button { display: none } }</style><button></button>"),
]


def test_every_check_can_fail():
    assert {check for check, _ in BROKEN} == set(CHECKS)


@pytest.mark.parametrize("check, broken", BROKEN)
def test_a_broken_page_is_seen(browser, tmp_path, check, broken):
    head = '<head><meta charset="utf-8"><title>Broken</title><link rel="icon" href="data:,"></head>'
    body = f"<body><main><h1>Broken</h1>{broken}</main></body>"
    (tmp_path / "index.html").write_text(f'<!doctype html><html lang="en">{head}{body}</html>')
    for site in serving(tmp_path):
        seen = visit(browser, f"{site}/index.html")
    assert CHECKS[check](seen)
