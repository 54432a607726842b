"""Compiled simulations against `jax.jit` on this CPU, in turns: `make bench` (needs node)."""

import gzip
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from gansde_lib import games, gda, simulate
from gansde_lib.games import Players
from gansde_lib.live import compiler

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


def measure(name, function, values, rounds=5):
    """Return the ratio of the best times, wasm over `jax.jit`."""
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
    mine, jax_time, size = 1e3 * min(ours), 1e3 * min(theirs), len(gzip.compress(module.wasm))
    ratio = mine / jax_time
    print(f"{name}: wasm {mine:.2f} ms, jax.jit {jax_time:.2f} ms, ratio {ratio:.2f}, {size} B gzipped")
    return ratio


if __name__ == "__main__":
    ratios = [measure(name, *figure) for name, figure in FIGURES.items()]
    sys.exit(max(ratios) > 3)
