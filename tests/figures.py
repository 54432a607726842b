"""The explorers of the chapters, taken from their notebooks, and a gallery of every mark and control, for the tests."""

import ast

import jax
import jax.numpy as jnp
import nbformat

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


def explorers(chapter):
    """Run the imports of a chapter and the cells that end in an Explorer; return these by name."""
    found, namespace = {}, {}
    cells = [cell for cell in nbformat.read(ROOT / "book" / f"{chapter}.ipynb", as_version=4).cells]
    for cell in [cell for cell in cells if cell.cell_type == "code"]:
        *statements, last = ast.parse(cell.source).body
        ends_in_one = isinstance(last, ast.Expr) and ast.unparse(last).startswith("Explorer(")
        if ends_in_one or "import jax" in cell.source:
            exec(
                compile(ast.Module(statements if ends_in_one else [*statements, last], []), chapter, "exec"), namespace
            )
        if ends_in_one:
            explorer = eval(compile(ast.Expression(last.value), chapter, "eval"), namespace)
            found[explorer.name] = explorer
    return found


CHAPTERS = explorers("games") | explorers("gda")
rotation = CHAPTERS["damped-rotation"]


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

ALL = CHAPTERS | {"gallery": gallery}
