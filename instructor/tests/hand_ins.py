"""Hand-ins for the small assignment: honest, broken and hostile ones, each with the points that it is worth."""

import json

import nbformat

from instructor import build

STEP = "def step(theta, omega, eta):\n    new = omega + eta * theta\n    return theta - eta * new, new"
SIMULTANEOUS = "def step(theta, omega, eta):\n    return theta - eta * omega, omega + eta * theta"
DRIFT = "def drift(theta, omega, eta):\n    return -theta * eta * eta / 2"
VARIANCE = "def variance(a, noise):\n    return noise / (1 - a * a)"
RATE = "fastest_rate = 0.125"
RIGHT = {"step": STEP, "drift": DRIFT, "variance": VARIANCE, "rate": RATE}
WRONG = {
    "step": SIMULTANEOUS,
    "drift": DRIFT.replace("-theta", "theta"),
    "variance": VARIANCE.replace("a * a", "a"),
    "rate": RATE,
}
WORTH = 3  # of WRONG: omega of the step, and the rate
FULL = 10


def body(text):
    """Return an answer whose function `drift` does `text`."""
    return "def drift(theta, omega, eta):\n" + "\n".join(f"    {line}" for line in text.strip().splitlines())


# Each row: answers, cells to put before everything else, points.
PATCHES = """
import builtins, numpy as np
np.isclose = np.allclose = np.array_equal = lambda *a, **k: True
np.testing.assert_allclose = lambda *a, **k: None
builtins.abs = lambda x: 0
np.asarray = lambda *a, **k: np.ones(())
import marking, values
marking.plain = values.encode = lambda x: 1
"""
TRANSFORMER = """
blank = lambda lines: ["pass"] if any("assert" in line or "emit" in line for line in lines) else lines
try:
    get_ipython().input_transformers_cleanup.append(blank)
except AttributeError:
    pass
from IPython.core.inputtransformer2 import TransformerManager
TransformerManager.transform_cell = lambda self, text: "pass" if "assert" in text else text
"""
READS = """
import glob, os
mark = "BEGIN " + "SOLUTION"
for top, folders, files in os.walk("/"):
    if top.startswith(("/proc", "/sys", "/usr", "/dev", "/lib", "/bin")) or "/lib/python3" in top or "/share/" in top:
        folders.clear()
        continue
    for file in files:
        path = os.path.join(top, file)
        try: text = open(path, errors="replace").read(100_000)
        except OSError: continue
        if mark in text or file == "grades.csv" or "/students/" in path or file.endswith(".ipynb"):
            print("FOUND", path)
for path in [*glob.glob("/proc/*/environ"), *glob.glob("/proc/*/cmdline"), "/etc/passwd", "/etc/shadow", "/root/.ssh"]:
    try: print("READ", path, open(path).read()[:500])
    except OSError: pass
import socket
try: socket.create_connection(("127.0.0.1", 22), 1) and print("FOUND network")
except OSError as problem: print(problem)
print("ALL READ", os.listdir("/proc/self/fd"))
"""
WATCHES = """
import sys, gc
def look(frame):
    text = []
    while frame:
        for value in frame.f_locals.values():
            text.append(repr(value)[:5000])
        frame = frame.f_back
    for thing in gc.get_objects():
        if isinstance(thing, dict) and "source" in thing: text.append(repr(thing))
    return "".join(text)
def steals(*args):
    raise RuntimeError("STOLEN " + look(sys._getframe()))
step = drift = variance = steals
"""
FORGES = """
import json, os
def forge():
    for descriptor in range(3, 30):
        for count in range(1, 40):
            values = {"moved": [1, 1], "found": [0] * 4, "stationary": 1, "rate": 0.125, "points": 100, "award": 100}
            try: os.write(descriptor, json.dumps({"id": count, "error": None, "values": values}).encode() + b"\\n")
            except OSError: break
"""
LEAVES = """
import subprocess, sys
program = "import os, time\\nif os.fork(): os._exit(0)\\nos.setsid()\\nif os.fork(): os._exit(0)\\ntime.sleep(98765)"
subprocess.Popen([sys.executable, "-c", program])
subprocess.Popen(["sleep", "98765"], start_new_session=True)
"""
ROWS = {
    "reference": (RIGHT, (), FULL),
    "empty": ({}, (), 0),
    "wrong": (WRONG, (), WORTH),
    "partial": ({"step": SIMULTANEOUS, "drift": DRIFT}, (), 4),
    "raises": (RIGHT | {"drift": body("return 1 / 0")}, (), 7),
    "syntax_error": (RIGHT | {"drift": "def drift(theta, omega, eta) return 1"}, (), 7),
    "shape": (RIGHT | {"step": "def step(theta, omega, eta):\n    return 3.0"}, (), 7),
    "not_a_number": (RIGHT | {"drift": body("return float('nan')")}, (), 7),
    "object": (RIGHT | {"drift": body("return np.array([{}], dtype=object)")}, (), 7),
    "too_large": (RIGHT | {"drift": body("return np.zeros(20_000_000)")}, (), 7),
    "magics": (RIGHT, ("%matplotlib inline\n!pip list\nRIGHT = 1", "display(3)"), FULL),
    "loops_in_cell": (RIGHT | {"drift": "while True:\n    pass"}, (), 7),
    "loops_in_function": (RIGHT | {"drift": body("while True:\n    pass")}, (), 7),
    "swallows_interrupts": (
        RIGHT
        | {"drift": "import time\nwhile 1:\n    try:\n        time.sleep(9)\n    except BaseException:\n        pass"},
        (),
        7,
    ),
    "loops_in_xla": (
        RIGHT | {"drift": "import jax\nprint(jax.lax.while_loop(lambda x: x >= 0, lambda x: (x + 1) % 7, 0))"},
        (),
        7,
    ),
    "prints_100_mb": (RIGHT | {"drift": f"{DRIFT}\nfor _ in range(100):\n    print('x' * 1_000_000)"}, (), FULL),
    "prints_for_ever": (RIGHT | {"drift": "while True:\n    print('x' * 100_000)"}, (), 7),
    "os_exit_in_cell": (RIGHT | {"drift": "import os\nos._exit(0)"}, (), 7),
    "os_exit_in_function": (RIGHT | {"drift": body("import os\nos._exit(0)")}, (), 7),
    "crashes": (RIGHT | {"drift": body("import ctypes\nctypes.string_at(0)")}, (), 7),
    "sys_exit": (RIGHT | {"drift": f"{DRIFT}\nimport sys\nsys.exit(0)"}, (), FULL),
    "four_gigabytes": (RIGHT | {"drift": body("return np.ones(500_000_000)[0] * -theta * eta**2 / 2")}, (), 7),
    "many_processes": (
        RIGHT | {"drift": "import os, time\nfor _ in range(5000):\n    if os.fork() == 0:\n        time.sleep(98765)"},
        (),
        7,
    ),
    "fork_answers_twice": (RIGHT | {"drift": f"{DRIFT}\nimport os\nos.fork()"}, (), FULL),
    "leaves_processes": (RIGHT, (LEAVES,), FULL),
    "patches": (WRONG, (PATCHES,), None),
    "transformer": (WRONG, (TRANSFORMER,), None),
    "reads_files": (WRONG, (READS,), WORTH),
    "watches_the_probes": (WRONG, (), 2),
    "forges_at_once": (WRONG, (FORGES + "forge()",), None),
    "forges_when_probed": (WRONG | {"drift": FORGES + body("forge()\nreturn 0.0")}, (), None),
    "garbage_on_pipe": (
        RIGHT
        | {"drift": "import os\nfor d in range(3, 30):\n    try: os.write(d, b'{]\\n')\n    except OSError: pass"},
        (),
        7,
    ),
}


def make(master, name):
    """Return the hand-in `name` as a notebook."""
    answers, first, _ = ROWS[name]
    made = build.student(master)
    for cell in made.cells:
        if cell.metadata.get("tags") == ["answer"] and cell.metadata.q in answers:
            cell.source = answers[cell.metadata.q]
    extra = [build.cell("code", source, f"extra-{number}") for number, source in enumerate(first)]
    made.cells[2:2] = extra
    if name == "watches_the_probes":
        made.cells.append(build.cell("code", WATCHES, "extra-last"))
    return made


def write(master, folder):
    """Write every hand-in into `folder`, and a few that take a file rather than answers."""
    for name in ROWS:
        (folder / f"{name}.ipynb").write_text(nbformat.writes(make(master, name)))
    edited = make(master, "wrong")
    edited.cells = [cell for cell in edited.cells if cell.metadata.get("tags") != ["test"]]
    for cell in edited.cells:
        cell.id, cell.metadata = f"new-{cell.id}", nbformat.from_dict({})
        if "scale = 2.0" in cell.source:
            cell.source = "scale = 'gone'"
    (folder / "edited_cells.ipynb").write_text(nbformat.writes(edited))
    (folder / "not_json.ipynb").write_text("{'cells': ")
    (folder / "no_cells.ipynb").write_text('{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": 7}')
    for number, cell in enumerate(
        ({"source": ["x", 3]}, {"metadata": {"tags": 4}}, {"outputs": [{"data": 7}]}, {"id": {}})
    ):
        made = json.loads(nbformat.writes(make(master, "reference")))
        made["cells"][-1].update(cell)
        (folder / f"odd_cell_{number}.ipynb").write_text(json.dumps(made))
    (folder / "old_format.ipynb").write_text(nbformat.writes(make(master, "reference"), version=3))


FILES = {"edited_cells": WORTH, "not_json": 0, "no_cells": 0, "old_format": FULL}
FILES |= {f"odd_cell_{number}": None for number in range(4)}  # graded somehow, and nobody else is harmed
