"""The built book's live figures in a real browser, each on a page of its own, over http and from a file, without a
network: every control by keyboard and by mouse, the library's numbers, links, themes, print, and no long task."""

import base64
import functools
import json
import math
import re
import threading
from urllib.parse import parse_qsl

import figures
import jax
import jax.numpy as jnp
import pytest
import serve
from playwright.sync_api import expect as expect_text
from test_pages import violations

from conftest import ROOT
from gansde_lib.live import Axis, Choice, Explorer, Line, Panel, Point, Readout, Seed, Slider, View, compiler, script
from gansde_lib.live.views import number

BOOK_CSS = ROOT / "_static" / "book.css"
# Here the library's own numbers depend on the last digit: the page is held to the module, run in wasmtime.
CHAOTIC = {"ten-digits", "weak-errors"}


def iterate(count, rate):
    """A logistic map iterated so often that a run takes as long as `count` asks for."""
    state = jax.lax.fori_loop(0, count * 1_000_000, lambda k, x: 4 * rate * x * (1 - x), jnp.float32(0.3))
    return {"state": state, "count": count, "both": jnp.stack([state, rate])}


heavy = Explorer(
    iterate,
    {"count": Slider("millions", 1, 1000, start=1, integer=True), "rate": Slider("r", 0.1, 1.0, start=0.5)},
    View([Panel([Line("both")], Axis("k", 0, 1), Axis("x", 0, 1))], [Readout("state", "state"), Readout("n", "count")]),
    alt="A line from the state of a logistic map to its parameter.",
)

PAGE = """<!doctype html><html lang="en" data-theme="light"><head><meta charset="utf-8"><title>Live figures</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">
<style>{style} body {{ margin: 0 auto; padding: 0 1rem; max-width: 52rem; color: var(--gansde-ink) }}
html[data-theme="dark"] body {{ background: #14181e }}</style>
<script src="live.js"></script></head><body><main><h1>Live figures</h1>{body}</main></body></html>"""

# What is seen of each figure: readouts as text, and the pixels of every panel.
LOOK = """roots => roots.map(root => ({
    readouts: [...root.querySelectorAll(".gansde-readouts > span")].map(node => node.textContent),
    picture: [...root.querySelectorAll("canvas")].map(canvas => canvas.toDataURL()).join(),
}))"""
FIGURE = re.compile('<figure class="gansde-figure gansde-live".*?</figure>', re.DOTALL)

# The chapter comes first in a test's name: conftest.py keeps its figures in one process, which runs its cells once.
each_figure = pytest.mark.parametrize(
    "name", figures.NAMES, ids=[f"{figures.HOME.get(name, 'gallery')}:{name}" for name in figures.NAMES]
)


def markup(book, name):
    """Return the element of a figure: a chapter's as it was built, with the module that was compiled then."""
    if name not in figures.HOME:
        return {"heavy": heavy, "all_marks": figures.gallery}[name].to_html()
    found = FIGURE.findall((book / "book" / f"{figures.HOME[name]}.html").read_text())
    return next(figure for figure in found if f'id="{figures.anchor(name)}"' in figure)


@pytest.fixture(scope="module")
def folder(book, tmp_path_factory):
    """Return a folder with one page for each explorer."""
    folder = tmp_path_factory.mktemp("pages")
    style = BOOK_CSS.read_text() + script.style()
    (folder / "live.js").write_text(script.page())
    (folder / "module.mjs").write_text(script.module())
    (folder / "empty.html").write_text("<!doctype html>")
    for name in ("heavy", *figures.NAMES):
        (folder / f"{name}.html").write_text(PAGE.format(style=style, body=markup(book, name)))
    return folder


@pytest.fixture(scope="module")
def site(folder):
    with serve.server(folder) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield {"http": f"http://127.0.0.1:{running.server_port}", "file": folder.as_uri()}
        running.shutdown()


@pytest.fixture
def opened(browser, site):
    """Return a function that opens a figure's page and waits for its first picture; afterwards nothing went wrong."""
    contexts, wrong = [], []

    def gate(route):
        local = route.request.url.startswith(("data:", "blob:", *site.values()))
        if not local:
            wrong.append(f"asks for {route.request.url}")
        route.continue_() if local else route.abort()

    def open_page(name, protocol="http", *, hash="", ready=True, **options):
        context = browser.new_context(**{"viewport": {"width": 1000, "height": 900}} | options)
        contexts.append(context)
        context.route("**/*", gate)
        page = context.new_page()
        page.on("console", lambda message: message.type in ("error", "warning") and wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(f"{site[protocol]}/{name}.html{hash}")
        if ready:
            drawn(page)
            settle(page)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not wrong


def drawn(page, **options):
    """Wait for the first picture."""
    page.wait_for_function("document.querySelector('.gansde-readouts output').value !== ''", **options)


def settle(page):
    """Wait until the latest values have been run and drawn."""
    page.evaluate("""async () => {
        let before = "";
        for (let same = 0; same < 3;) {
            await new Promise(done => setTimeout(done, 40));
            const now = [...document.querySelectorAll("canvas")].map(canvas => canvas.toDataURL()).join();
            const busy = document.querySelector(".gansde-app[aria-busy=true]");
            same = now === before && !busy ? same + 1 : 0;
            before = now;
        }
    }""")


def look(page):
    return page.eval_on_selector_all("figure.gansde-live", LOOK)[0]


def state(page, explorer):
    """Return the controls' values as the copied link carries them."""
    page.get_by_role("button", name="copy link").click()
    query = dict(parse_qsl(page.evaluate("location.hash").split("?")[1], keep_blank_values=True))
    read = {Choice: str, Seed: int, Point: lambda text: tuple(map(float, text.split(",")))}
    kinds = {name: type(control) for name, control in explorer.controls.items()}
    return {
        name: explorer.controls[name].start if name == "paths" else read.get(kinds[name], float)(text)
        for name, text in query.items()
    }


@functools.cache
def module(name):
    """Return the module of a figure, loaded into wasmtime."""
    return compiler.load(figures.get(name.replace("-", "_")).module)


def expect(page, explorer):
    """Assert that the readouts are those of the library at the values the controls show; return the values."""
    values = state(page, explorer)
    if explorer.name in CHAOTIC:
        result = module(explorer.name)(**explorer.arguments(**values))
    else:
        result = explorer.run(**values)
    assert look(page)["readouts"] == [readout.text(result) for readout in explorer.view.readouts]
    return values


def moves(explorer):
    """Yield for each control and device a function that moves it on a page."""
    for name, control in explorer.controls.items():
        if isinstance(control, Slider):
            label = control.label
            key = "ArrowLeft" if control.start == control.upper else "ArrowRight"
            yield f"{name} by keyboard", functools.partial(press, label=label, key=key)
            yield f"{name} by mouse", functools.partial(click_slider, label=label, at=away(control))
        elif isinstance(control, Choice):
            other = next(option for option in control.options if option != control.start)
            yield f"{name} by keyboard", functools.partial(press, label=control.start, key="ArrowRight", role="radio")
            yield f"{name} by mouse", functools.partial(pick, label=other)
        elif isinstance(control, Seed):
            yield f"{name} by keyboard", functools.partial(press, label=control.label, key="ArrowUp", role="spinbutton")
            yield f"{name} by mouse", lambda page: page.get_by_role("button", name="re-roll").click()
        elif isinstance(control, Point):
            for part in control.parts:
                move = functools.partial(press, label=part, key="ArrowDown", role="spinbutton")
                yield f"{name}, {part}, by keyboard", move
            yield f"{name} by dragging", drag
            yield f"{name} by a click on the picture", click_picture


def away(control):
    """Return a place on a slider, as a share of its length, that is not where it starts."""
    lower, start, upper = (math.log(x) if control.log else x for x in (control.lower, control.start, control.upper))
    return 0.85 if abs((start - lower) / (upper - lower) - 0.85) > 0.1 else 0.4


def press(page, *, label, key, role="slider"):
    control = page.get_by_role(role, name=label, exact=True)
    control.focus()
    for _ in range(5 if role != "radio" else 1):
        page.keyboard.press(key)


def click_slider(page, *, label, at):
    box = page.get_by_role("slider", name=label, exact=True).bounding_box()
    page.mouse.click(box["x"] + at * box["width"], box["y"] + box["height"] / 2)


def pick(page, *, label):
    page.get_by_role("radio", name=label, exact=True).click()


def click_picture(page):
    """Click where no handle stands: to its right, or to its left."""
    box, handle = (page.locator(name).first.bounding_box() for name in ("canvas", ".gansde-handle"))
    across = 0.4 if handle["x"] > box["x"] + 0.5 * box["width"] else 0.75
    page.locator("canvas").first.click(position={"x": across * box["width"], "y": 0.2 * box["height"]})


def drag(page, by=(-40, -30)):
    handle = page.locator(".gansde-handle").first
    handle.scroll_into_view_if_needed()
    box = handle.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + by[0], y + by[1], steps=5)
    page.mouse.up()


@each_figure
def test_every_control_changes_the_picture_and_shows_the_librarys_numbers(opened, name):
    explorer = figures.get(name)
    page = opened(name, "file")
    expect(page, explorer)
    start = look(page)
    for what, move in moves(explorer):
        before = state(page, explorer)
        move(page)
        settle(page)
        after = expect(page, explorer)
        moved = [key for key in after if after[key] != before[key]]
        assert moved == [what.split(" ")[0].rstrip(",")], what
        if what.split(" ")[0] != "count" or name != "all_marks":  # which shows in its readout alone
            assert look(page)["picture"] != start["picture"], what
        page.get_by_role("button", name="reset").click()
        settle(page)
        assert look(page) == start, f"reset after {what}"


@pytest.fixture
def long_tasks(browser, opened, site):
    """Return a function that visits a figure's page, and returns the milliseconds of processor that tasks of its main
    thread took, if above 50.

    By the clock a task also waits for whatever else the machine does, which on two cores doubles it.
    """

    def traced(name, visit):
        # A process that begins during a trace delays its end by five seconds; this one has begun.
        page, address = opened("empty", ready=False), f"{site['http']}/{name}.html"
        browser.start_tracing(page=page, categories=["devtools.timeline", "disabled-by-default-devtools.timeline"])
        try:
            page.goto(address)
            drawn(page)
            visit(page)
        finally:  # a trace left running would fail every figure after this one
            trace = browser.stop_tracing()
        events = json.loads(trace)["traceEvents"]
        parsed = (event for event in events if event["name"] == "ParseHTML")
        process = next(event["pid"] for event in parsed if event["args"]["beginData"]["url"] == address)
        named = (event for event in events if event["name"] == "thread_name" and event["pid"] == process)
        main = next(event["tid"] for event in named if event["args"]["name"] == "CrRendererMain")
        tasks = (event for event in events if event["name"] == "RunTask" and event["pid"] == process)
        taken = [event["tdur"] / 1000 for event in tasks if event["tid"] == main and "tdur" in event]
        assert taken
        return [milliseconds for milliseconds in taken if milliseconds > 50]

    return traced


@each_figure
def test_no_long_task(long_tasks, name):
    """From loading the page to moving every control."""

    def visit(page):
        for _, move in moves(figures.get(name)):
            move(page)
        page.wait_for_timeout(300)

    # In one visit of a hundred the main thread spins while the trace takes in the worker's thread.
    visits = [long_tasks(name, visit)]
    while visits[-1] and len(visits) < 3:
        visits.append(long_tasks(name, visit))
    assert [] in visits


def test_a_long_task_is_found(long_tasks):
    busy = "() => { const end = performance.now() + 400; while (performance.now() < end); }"
    assert any(taken > 100 for taken in long_tasks("heavy", lambda page: page.evaluate(busy)))


@each_figure
def test_sliders_reach_their_ends(opened, name):
    page, explorer = opened(name), figures.get(name)
    for key, control in explorer.controls.items():
        if isinstance(control, Slider):
            slider = page.get_by_role("slider", name=control.label, exact=True)
            for press_key, end in (("Home", control.lower), ("End", control.upper)):
                slider.press(press_key)
                assert state(page, explorer)[key] == end
                assert slider.get_attribute("aria-valuetext") == number(end)


# In the starting state all is one piece, and no point is on the right or on its own.
EMPTY_AT_START = {("crossing_spirals", "right_x"), ("crossing_spirals", "other_x")}


@each_figure
def test_every_mark_is_drawn(opened, folder, name):
    """Without any one of its marks the picture is another one; without anything less it is the same."""
    source = (folder / f"{name}.html").read_text()
    whole = FIGURE.search(source)[0]
    head, data, tail = re.split('(?<=<script type="application/json">)(.*?)(?=</script>)', whole, maxsplit=1)
    less = [("nothing", whole)]
    for k, panel in enumerate(figures.get(name).view.panels):
        for j, mark in enumerate(panel.marks):
            payload = json.loads(data)
            del payload["view"]["panels"][k]["marks"][j]
            escaped = json.dumps(payload).replace("<", "\\u003c")
            less.append((mark, f"{head}{escaped}{tail}"))
    (folder / "less.html").write_text(source.replace(whole, "".join([whole, *(figure for _, figure in less)])))
    page = opened("less", viewport={"width": 1000, "height": 1200 * len(less)})  # what is far down does not start
    page.wait_for_function("[...document.querySelectorAll('.gansde-readouts')].every(all => all.textContent)")
    settle(page)
    first, *others = (seen["picture"] for seen in page.eval_on_selector_all("figure.gansde-live", LOOK))
    same = [what for (what, _), picture in zip(less, others, strict=True) if picture == first]
    empty = [mark for mark, _ in less[1:] if (name, getattr(mark, "x", None)) in EMPTY_AT_START]
    assert same == ["nothing", *empty]


def test_data_stand_where_the_pointer_finds_them(opened):
    """The eigenvalues drawn are those of the library: their pixels, read back through the axes' own labels."""
    page = opened("damped_rotation")
    result = figures.get("damped_rotation").run()
    found = page.evaluate("""() => {
        const canvas = document.querySelectorAll("canvas")[1], ratio = devicePixelRatio;
        const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        const points = [];
        for (let k = 0; k < pixels.data.length; k += 4) {
            const [r, g, b] = pixels.data.slice(k, k + 3);
            if (r === 0xa8 && g === 0x50 && b === 0x8a) {
                points.push([(k / 4) % canvas.width / ratio, Math.floor(k / 4 / canvas.width) / ratio]);
            }
        }
        const x = points.map(point => point[0]), y = points.map(point => point[1]);
        return { left: Math.min(...x), right: Math.max(...x), top: Math.min(...y), bottom: Math.max(...y) };
    }""")
    box = page.locator("canvas").nth(1).bounding_box()
    # Equal axes: the area is a square that ends 12 px from the right and 42 px from the bottom, over [-1.6, 1.6].
    side = box["height"] - 42 - 10
    right, bottom = box["width"] - 12, box["height"] - 42
    x = (found["left"] + found["right"] + 1) / 2
    assert (x - right) / side * 3.2 + 1.6 == pytest.approx(float(result["real"][0]), abs=0.02)
    for y, expected in ((found["top"] + 4.5, 0), (found["bottom"] + 1 - 4.5, 1)):
        assert (bottom - y) / side * 3.2 - 1.6 == pytest.approx(float(result["imaginary"][expected]), abs=0.02)


def test_dragging_follows_the_pointer(opened):
    page = opened("damped_rotation")
    box = page.locator("canvas").first.bounding_box()
    drag(page, by=(-60, -45))
    settle(page)
    theta, omega = expect(page, figures.get("damped_rotation"))["start"]
    handle = page.locator(".gansde-handle").first.bounding_box()
    assert theta < 0.9 and omega > 0.1
    assert handle["x"] + handle["width"] / 2 < box["x"] + box["width"] and -2 <= theta <= 2


def test_touch_drags_too(opened):
    page = opened("damped_rotation", has_touch=True, is_mobile=True, viewport={"width": 360, "height": 780})
    handle = page.locator(".gansde-handle").first
    handle.scroll_into_view_if_needed()
    box = handle.bounding_box()
    touch = page.context.new_cdp_session(page)
    x, y = box["x"] + 18, box["y"] + 18
    for kind, points in (("Start", [(x, y)]), ("Move", [(x - 20, y - 20)]), ("Move", [(x - 40, y - 40)]), ("End", [])):
        points = [{"x": a, "y": b} for a, b in points]
        touch.send("Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": points})
    settle(page)
    theta, omega = expect(page, figures.get("damped_rotation"))["start"]
    assert theta < 0.8 and omega > 0.2
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


@each_figure
def test_a_link_restores_the_state(opened, name):
    first = opened(name)
    for _, move in moves(figures.get(name)):
        move(first)
    settle(first)
    values = state(first, figures.get(name))
    second = opened(name, hash=first.evaluate("location.hash"))
    assert state(second, figures.get(name)) == values
    assert look(second) == look(first)


def test_a_broken_link_is_harmless(opened):
    page = opened("damped_rotation", hash="#live-damped-rotation?eta=fast&damping=99&update=never&start=1&speed=3&eta=")
    assert expect(page, figures.get("damped_rotation")) == {
        "eta": 0.42, "damping": 1.0, "update": "simultaneous", "start": (1.0, 0.0),
    }  # fmt: skip
    page = opened("damped_rotation", hash="#somewhere-else?eta=1")
    assert expect(page, figures.get("damped_rotation"))["eta"] == 0.42


def test_the_theme_recolours(opened):
    page = opened("three_notions")
    light = look(page)
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    settle(page)
    dark = look(page)
    assert dark["picture"] != light["picture"] and dark["readouts"] == light["readouts"]
    page.evaluate("document.documentElement.dataset.theme = 'light'")
    settle(page)
    assert look(page) == light


@each_figure
def test_accessible_and_narrow(opened, name):
    """On a telephone; test_pages.py looks at whole pages, wide ones too."""
    page = opened(name, viewport={"width": 360, "height": 780})
    page.wait_for_timeout(900)  # the polite rate
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    labels = page.eval_on_selector_all("canvas", "all => all.map(node => node.getAttribute('aria-label'))")
    assert all(len(label) >= 30 for label in labels), labels
    assert page.locator("[aria-live=polite]").text_content() == ", ".join(look(page)["readouts"])
    for theme in ("light", "dark"):
        page.evaluate("theme => { document.documentElement.dataset.theme = theme }", theme)
        assert violations(page, "html") == [], theme


def test_listeners_are_not_talked_over(opened):
    page = opened("damped_rotation")
    page.wait_for_timeout(900)
    page.evaluate("""() => {
        window.said = 0;
        new MutationObserver(() => { said += 1 }).observe(document.querySelector("[aria-live]"), { childList: true });
    }""")
    press(page, label="rate η", key="ArrowRight")
    press(page, label="rate η", key="ArrowRight")
    page.wait_for_timeout(1200)
    assert page.evaluate("said") == 1
    label = page.locator("canvas").nth(1).get_attribute("aria-label")
    assert "eigenvalues of one step (points) at (" in label


def test_stepping_playing_and_slow_motion(opened):
    page = opened("damped_rotation")
    whole = look(page)["picture"]
    shown = page.locator(".gansde-row output")
    for k in (1, 2, 3):
        page.get_by_role("button", name="step", exact=True).click()
        assert shown.text_content() == f"{k} of 120"
    assert look(page)["picture"] != whole
    page.get_by_role("slider", name="steps shown").focus()
    page.keyboard.press("ArrowRight")
    assert shown.text_content() == "4 of 120"

    def speed():
        page.get_by_role("slider", name="steps shown").focus()
        page.keyboard.press("Home")
        page.get_by_role("button", name="play").click()
        page.wait_for_timeout(800)
        page.get_by_role("button", name="pause").click()
        return int(shown.text_content().split()[0])

    fast = speed()
    page.get_by_label("slow motion").check()
    slow = speed()
    assert 8 <= fast <= 60 and 1 <= slow < fast / 3
    page.keyboard.press("End")
    page.get_by_label("slow motion").uncheck()
    page.get_by_role("button", name="play").click()
    page.wait_for_function("document.querySelector('.gansde-row output').value === '120 of 120'", timeout=15_000)
    settle(page)
    assert look(page)["picture"] == whole


def test_reduced_motion_offers_steps_only(opened):
    page = opened("damped_rotation", reduced_motion="reduce")
    assert page.get_by_role("button", name="play").count() == 0
    page.get_by_role("button", name="step", exact=True).click()
    assert page.locator(".gansde-row output").text_content() == "1 of 120"


def test_a_heavy_run_leaves_the_page_free_and_the_latest_request_wins(opened):
    page = opened("heavy")
    page.get_by_role("slider", name="millions").focus()
    page.keyboard.press("End")  # a run of seconds
    page.wait_for_function("document.querySelector('.gansde-status').textContent.startsWith('computing, ')")
    press(page, label="r", key="ArrowRight")
    page.keyboard.press("Home")
    page.get_by_role("slider", name="millions").focus()
    page.keyboard.press("Home")
    page.wait_for_function("document.querySelector('.gansde-readouts output').value === '0'", timeout=60_000)
    settle(page)
    assert expect(page, heavy) == {"count": 1.0, "rate": 0.1}
    page.wait_for_timeout(1100)
    assert "computing" not in page.locator(".gansde-status").text_content()


def test_print_and_no_javascript_show_the_starting_picture(opened):
    page = opened("damped_rotation")
    page.emulate_media(media="print")
    assert page.locator("figure > [role=img] svg").is_visible() and not page.locator(".gansde-app").is_visible()
    page = opened("damped_rotation", java_script_enabled=False, ready=False)
    assert page.locator("figure > [role=img] svg").is_visible()
    assert "with JavaScript" in page.locator(".gansde-note").text_content()


def test_python_and_the_page_write_numbers_alike(opened):
    values = [0, -0.0, 1, 0.42, -1234.5, 99999, 999999, 1e6, 2.5e9, 1e-4, 1.5e-5, -3e-12, 0.1 + 0.2, 123456.7]
    page = opened("damped_rotation")
    page.evaluate(f"() => {{ {script.page()[8:-6].replace('upgradePage();', 'window.number = number;')} }}")
    found = page.evaluate("values => values.map(value => number(value, 4))", values)
    assert found == [number(value, 4) for value in values]
    odd = page.evaluate("() => [NaN, Infinity, -Infinity].map(value => number(value))")
    assert odd == [number(float(value)) for value in ("nan", "inf", "-inf")]


KERNEL = """async ([payload, values, engines]) => {
    const { default: widget } = await import("./module.mjs");
    const listeners = {}, data = { spec: payload, wasm: new DataView(new ArrayBuffer(0)), engines, values };
    const fire = (event, ...rest) => [...listeners[event] ?? []].forEach(listener => listener(...rest));
    window.model = {
        get: key => data[key],
        set: (key, value) => { data[key] = value; fire(`change:${key}`); },
        save_changes() {},
        on: (event, listener) => (listeners[event] ??= new Set()).add(listener),
        off: (event, listener) => listeners[event]?.delete(listener),
        async send(request) {
            const { reply, buffers } = await kernel(request);
            const decode = text => new DataView(Uint8Array.from(atob(text), letter => letter.charCodeAt(0)).buffer);
            fire("msg:custom", reply, buffers.map(decode));
        },
    };
    document.querySelector("main").replaceChildren();
    window.remove = widget.render({ model, el: document.querySelector("main") });
}"""


def test_in_jupyter_a_kernel_runs_the_figure(opened):
    from test_live import Recorded

    explorer = figures.gallery
    widget = Recorded(explorer)
    page = opened("all_marks")
    asked = []

    def kernel(request):
        asked.append(request)
        widget._answer(widget, request, [])
        reply, buffers = widget.sent
        return {
            "reply": json.loads(json.dumps(reply)),
            "buffers": [base64.b64encode(buffer).decode() for buffer in buffers],
        }

    small = explorer.spec()
    page.expose_function("kernel", kernel)
    page.evaluate(KERNEL, [small | {"caption": "A caption."}, {"shift": 0.5}, ["CPU"]])
    drawn(page, timeout=60_000)
    assert asked[-1]["engine"] == "CPU" and asked[-1]["values"]["shift"] == 0.5
    assert look(page)["readouts"] == [r.text(explorer.run(shift=0.5)) for r in explorer.view.readouts]
    page.get_by_role("radio", name="2000").click()  # a size that only a kernel has
    page.wait_for_function("model.get('values').paths === 2000")
    expected = [r.text(explorer.run(shift=0.5, paths=2000)) for r in explorer.view.readouts]
    expect_text(page.locator(".gansde-readouts > span").nth(1)).to_have_text(expected[1], timeout=60_000)
    page.evaluate("model.set('values', { ...model.get('values'), shift: -1 })")  # set from Python
    page.wait_for_function("document.querySelector('.gansde-slider output').value === '−1'")
    page.evaluate("remove()")
