"""The explorers of the chapters, taken from their notebooks, and a gallery of every mark and control, for the tests."""

import ast
import functools
import symtable

import jax
import jax.numpy as jnp
import nbformat
import slides

from conftest import ROOT
from gansde_lib import Explorer, simulate
from gansde_lib.live import (
    Axis,
    Density,
    Heat,
    Histogram,
    Line,
    Panel,
    Points,
    Readout,
    Rule,
    Seed,
    Size,
    Slider,
    View,
)

CHAPTERS = (
    *(page.removeprefix("book/") for page in slides.chapters(ROOT)),
    "live_figures",
    *(f"neighbours/{path.stem}" for path in sorted((ROOT / "book" / "neighbours").glob("*.ipynb"))),
)


@functools.cache
def cells(chapter):
    """Return the code cells of a chapter."""
    notebook = nbformat.read(ROOT / "book" / f"{chapter}.ipynb", as_version=4)
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


def anchor(name):
    """Return the id of a figure's element, by the name of its function."""
    return f"live-{name.replace('_', '-')}"


def simulation(cell):
    """Return the name of the function that a cell's Explorer runs, or None if it shows none."""
    calls = [node for node in ast.walk(ast.parse(cell)) if isinstance(node, ast.Call)]
    return next((call.args[0].id for call in calls if ast.unparse(call.func) == "Explorer"), None)


def bound_and_used(cell):
    """Return the global names that a cell binds and those that it uses, in functions too."""
    tables = [symtable.symtable(cell, "cell", "exec")]
    bound = {s.get_name() for s in tables[0].get_symbols() if s.is_assigned() or s.is_imported()}
    used = {s.get_name() for s in tables[0].get_symbols() if s.is_referenced()}
    while tables:
        tables += (table := tables.pop()).get_children()
        used |= {s.get_name() for s in table.get_symbols() if s.is_global()}
    return bound, used


def needed(chapter):
    """Return the cells that the chapter's explorers depend on, directly or not."""
    kept, wanted = [], set()
    for cell in reversed(cells(chapter)):
        bound, used = bound_and_used(cell)
        if simulation(cell) or bound & wanted:
            kept.insert(0, cell)
            wanted |= used
    return kept


@functools.cache
def explorers(chapter):
    """Run these cells; return the explorers by the names of their functions."""
    found, namespace = {}, {}
    for cell in needed(chapter):
        *statements, last = ast.parse(cell).body
        exec(compile(ast.Module(statements, []), chapter, "exec"), namespace)
        if name := simulation(cell):
            found[name] = eval(compile(ast.Expression(last.value), chapter, "eval"), namespace)
        else:
            exec(compile(ast.Module([last], []), chapter, "exec"), namespace)
    return found


def all_marks(seed, shift, count, paths):
    keys = jax.random.split(jax.random.key(seed), paths)
    walks = jnp.cumsum(0.1 * jax.vmap(lambda key: jax.random.normal(key, (200, 2)))(keys), axis=1) + shift
    x, y = walks[..., 0].T, walks[..., 1].T
    grid = jnp.linspace(-3, 3, 61)
    particles = jnp.stack([x[:, :8], y[:, :8]])
    return {
        "x": x,
        "y": y,
        "final": x[-1],
        "density": jnp.exp(-((grid - shift) ** 2) / 4) / jnp.sqrt(4 * jnp.pi),
        "grid": grid,
        "particles_x": particles[0],
        "particles_y": particles[1],
        "heat": simulate.sweep(lambda a, b: jnp.sin(a + shift) * b, jnp.linspace(0.01, 3, 24), jnp.linspace(-1, 1, 20)),
        "boundary": jnp.linspace(-1, 1, 11) ** 2,
        "decades": 10 ** jnp.linspace(-2, 2, 11),
        "shift": shift,
        "count": count,
        "mean": x[-1].mean(),
    }


gallery = Explorer(
    all_marks,
    {
        "seed": Seed("seed", start=3),
        "shift": Slider("shift", -1.0, 1.0, start=0.0),
        "count": Slider("count", 1, 9, start=3, integer=True),
        "paths": Size("paths", 200, more=(2000,)),
    },
    View(
        [
            Panel([Density("x", "y", label="paths")], Axis("x", -4, 4), Axis("y", -4, 4), title="density"),
            Panel(
                [
                    Histogram("final", label="final x"),
                    Line("density", "grid", dashed=True, label="theory"),
                    Rule("shift", axis="x", label="mean"),
                ],
                Axis("x", -4, 4), Axis("density", 0, 0.5),
            ),
            Panel(
                [
                    Points("particles_x", "particles_y", marker="square", label="generated"),
                    Points("grid", "density", marker="cross", color="omega", label="true"),
                ],
                Axis("x", -3, 3), Axis("y", -3, 3),
            ),
            Panel(
                [Heat("heat", -1, 1, label="sin"), Line("boundary", "decades", dashed=True)],
                Axis("rate", 0.01, 100, log=True), Axis("b", -1, 1),
            ),
        ],
        [Readout("count", "count"), Readout("mean", "mean")],
    ),
    alt="Four panels: a cloud of paths about the origin, a histogram under a dashed bell, particles, and a heat map.",
)  # fmt: skip

HOME = {name: chapter for chapter in CHAPTERS for name in filter(None, map(simulation, cells(chapter)))}
NAMES = [*HOME, "all_marks"]


def get(name):
    """Return the explorer that runs the function of this name; the first one of a chapter runs its cells."""
    return explorers(HOME[name])[name] if name in HOME else gallery
