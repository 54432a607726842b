"""What the live figures cost: `make bench` (needs node, and the built book).

Times are ratios to `jax.jit` of the same function on the same CPU, in the same run; sizes are those of the built
pages. Exits with an error if a budget is missed.
"""

import gzip
import json
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from playwright.sync_api import sync_playwright

from gansde_lib import Explorer, games, gda, simulate
from gansde_lib.games import Players
from gansde_lib.live import Axis, Density, Panel, Readout, Slider, View, compiler, script

ROOT = Path(__file__).parents[1]
BOOK = ROOT / "_build" / "html"
sys.path.append(str(ROOT / "tools"))
import chromium  # noqa: E402
import serve  # noqa: E402

TIMER = """
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { load } from "./runtime.mjs";
const { manifest, values } = JSON.parse(readFileSync("figure.json"));
const run = await load(readFileSync("figure.wasm"), manifest);
for await (const _ of createInterface({ input: process.stdin })) {
  let best = Infinity;
  for (let k = 0; k < 20; k++) {
    const start = performance.now();
    run(values);
    best = Math.min(best, performance.now() - start);
  }
  console.log(best);
}
"""

START = """() => new Promise(done => {
  const root = document.querySelector("figure.gansde-live"), copy = root.cloneNode(true);
  copy.querySelector(".gansde-app").remove();
  delete copy.dataset.live;
  const begun = performance.now();
  root.replaceWith(copy);
  new MutationObserver(() => {
    if (copy.querySelector(".gansde-readouts output")?.value) done(performance.now() - begun);
  }).observe(copy, { childList: true, subtree: true });
  const again = document.createElement("script");
  again.src = document.querySelector("script[src*='live.js']").src;
  document.head.append(again);
})"""

REDRAWS = """async id => {
  const root = document.getElementById(id), input = root.querySelector("input[type=range]");
  const context = root.querySelector("canvas").getContext("2d"), clear = context.clearRect;
  let drawn = 0, begun = performance.now();
  context.clearRect = function (...area) { drawn += 1; clear.apply(this, area); };
  for (let k = 0; performance.now() - begun < 2000; k += 1) {
    input.value = 20 + (k % 160);
    input.dispatchEvent(new Event("input"));
    await new Promise(requestAnimationFrame);
  }
  return drawn / 2;
}"""


def many_paths(update):
    def paths(lr, penalty):
        starts = jax.random.normal(simulate.key(1), (200, 2))
        game = games.dirac(penalty=penalty)
        return jax.vmap(lambda s: gda.run(game, Players(s[0], s[1]), lr=lr, steps=2000, update=update))(starts)

    return paths


def particles(lr, bandwidth):
    """32 generated points follow the gradient of the witness function towards 32 true ones, for 300 steps."""
    true, start = jax.random.normal(simulate.key(2), (2, 32, 2))

    def kernel(a, b):
        return jnp.exp(-jnp.sum((a[:, None] - b[None]) ** 2, -1) / (2 * bandwidth**2))

    def step(points, _):
        witness = lambda y: jnp.sum(kernel(y, true).mean(1) - kernel(y, points).mean(1))  # noqa: E731
        mmd = kernel(true, true).mean() + kernel(points, points).mean() - 2 * kernel(true, points).mean()
        return points + lr * jax.grad(witness)(points), (points, mmd)

    return jax.lax.scan(step, 0.3 * start, None, length=300)[1]


FIGURES = {
    "200 paths x 2,000 steps, simultaneous": (many_paths("simultaneous"), dict(lr=0.1, penalty=0.3)),
    "200 paths x 2,000 steps, alternating": (many_paths("alternating"), dict(lr=0.1, penalty=0.3)),
    "32 + 32 particles, 300 steps": (particles, dict(lr=0.5, bandwidth=0.7)),
}

missed = []


def budget(what, found, most, unit=""):
    """Print a measurement beside its budget."""
    verdict = "" if found <= most else "  <- over budget"
    print(f"{what:60} {found:10.4g} {unit:3} (at most {most:g}){verdict}")
    if verdict:
        missed.append(what)


def measure(name, function, values, rounds=5):
    """Return the ratio of the best times, wasm over `jax.jit`, measured in turns."""
    values = {key: np.float32(value) for key, value in values.items()}
    module, jitted = compiler.compile(function, values, name=name), jax.jit(function)
    jax.block_until_ready(jitted(**values))
    ours, theirs = [], []
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "figure.wasm").write_bytes(module.wasm)
        point = {key: float(value) for key, value in values.items()}
        Path(folder, "figure.json").write_text(json.dumps({"manifest": module.manifest, "values": point}))
        Path(folder, "runtime.mjs").write_text(Path(compiler.__file__).with_name("runtime.js").read_text())
        Path(folder, "timer.mjs").write_text(TIMER)
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        with subprocess.Popen(["node", "timer.mjs"], cwd=folder, **pipes) as node:
            for _ in range(rounds):
                node.stdin.write("\n")
                node.stdin.flush()
                ours.append(float(node.stdout.readline()) / 1e3)
                for _ in range(20):
                    start = time.perf_counter()
                    jax.block_until_ready(jitted(**values))
                    theirs.append(time.perf_counter() - start)
            node.stdin.close()
    print(f"{name}: wasm {1e3 * min(ours):.2f} ms, jax.jit {1e3 * min(theirs):.2f} ms")
    return min(ours) / min(theirs)


def figures(page):
    """Return the live figures of a built page by their ids."""
    found = re.finditer(r'<figure class="gansde-figure gansde-live" id="([^"]+)".*?</figure>', page, re.DOTALL)
    return {match[1]: match[0] for match in found}


def cloud(lr, penalty):
    """The heaviest figure that a budget names: all points of 200 paths of 2,000 steps, as a density."""
    path = many_paths("simultaneous")(lr, penalty)
    return {"theta": path.theta.T, "omega": path.omega.T, "last": jnp.abs(path.theta[:, -1]).max()}


def measure_redraws(browser, folder):
    """Redraws a second of that figure while a slider moves."""
    plane = Axis("generator θ", -3, 3), Axis("discriminator ω", -3, 3)
    explorer = Explorer(
        cloud,
        {"lr": Slider("η", 0.01, 0.2, start=0.1), "penalty": Slider("γ", 0.0, 1.0, start=0.3)},
        View([Panel([Density("theta", "omega")], *plane, aspect="equal")], [Readout("farthest |θ|", "last", digits=6)]),
        alt="A cloud of 200 trajectories that spiral into the origin.",
    )
    text = f"<style>{script.style()}</style>{explorer.to_html()}<script>{script.page()}</script>"
    Path(folder, "cloud.html").write_text(f'<!doctype html><meta charset="utf-8">{text}')
    page = browser.new_page(viewport={"width": 800, "height": 900})
    page.goto(Path(folder, "cloud.html").as_uri())
    page.wait_for_function("document.querySelector('.gansde-readouts output')?.value")
    return max(page.evaluate(REDRAWS, "live-cloud") for _ in range(3))


def compressed(data):
    return len(gzip.compress(data, 9)) / 1e3


def measure_pages(browser, address):
    """Sizes, starting times and redraws of every page with live figures."""
    for path in sorted(BOOK.rglob("*.html")):
        found = figures(path.read_text())
        if not found:
            continue
        name = path.relative_to(BOOK)
        for figure, text in found.items():
            budget(f"{name}, {figure}, compressed", compressed(text.encode()), 25, "kB")
        context = browser.new_context(viewport={"width": 1200, "height": 900})
        page, requests = context.new_page(), []
        page.on("requestfinished", lambda request, requests=requests: requests.append(request))
        page.goto(f"{address}/{name}")
        page.locator("figure.gansde-live").first.scroll_into_view_if_needed()
        page.wait_for_function("document.querySelector('.gansde-readouts output')?.value")
        page.wait_for_load_state("networkidle")
        weight = sum(compressed(request.response().body()) for request in requests)
        budget(f"{name}, all it loads, compressed", weight / 1e3, 1.5, "MB")
        budget(f"{name}, start of a figure, script included", min(page.evaluate(START) for _ in range(5)), 100, "ms")
        for figure in found:
            page.locator(f"#{figure}").scroll_into_view_if_needed()
            page.wait_for_function(f"document.querySelector('#{figure} .gansde-readouts output')?.value")
            print(f"{name}, {figure}: {page.evaluate(REDRAWS, figure):.0f} redraws a second while a slider moves")
        context.close()


if __name__ == "__main__":
    for name, figure in FIGURES.items():
        budget(f"{name}, over jax.jit", measure(name, *figure), 3)
    budget("the shared script, compressed", compressed(script.page().encode()), 12, "kB")
    executable = chromium.find()
    with serve.server(BOOK) as running, sync_playwright() as playwright:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        browser = playwright.chromium.launch(executable_path=executable, args=chromium.FLAGS)
        with tempfile.TemporaryDirectory() as folder:
            budget("200 paths x 2,000 steps, ms for a redraw", 1e3 / measure_redraws(browser, folder), 1e3 / 30, "ms")
        measure_pages(browser, f"http://127.0.0.1:{running.server_port}")
        browser.close()
        running.shutdown()
    sys.exit(f"{len(missed)} budgets missed: {'; '.join(missed)}" if missed else 0)
