"""House style for figures: one palette, one size, real alt text, and colours that follow the page.

A figure is published as inline SVG whose colours are CSS variables with a light fallback, so that one
rendering serves the light and the dark page. Colour is never the only carrier of meaning: theory is
dashed, measurement is solid, and the two players also differ in line width or label.
"""

import html
import io
import re
from dataclasses import dataclass

import jax
import matplotlib
import matplotlib.pyplot as plt
import numpy as np

from gansde_lib.games import Players

# Okabe and Ito's colour-blind-safe palette, moved far enough towards the middle to read on white and on black.
INK = "#1f2328"
FAINT = "#b8bec6"
THETA = "#0072b2"
OMEGA = "#d55e00"
GREEN = "#00805e"
PURPLE = "#a8508a"
GOLD = "#a87400"
SKY = "#2f8fc4"

_VARIABLES = {
    INK: "--gansde-ink",
    FAINT: "--gansde-faint",
    THETA: "--gansde-theta",
    OMEGA: "--gansde-omega",
    GREEN: "--gansde-green",
    PURPLE: "--gansde-purple",
    GOLD: "--gansde-gold",
    SKY: "--gansde-sky",
}

STYLE = {
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.titlesize": 11,
    "axes.labelsize": 11,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.prop_cycle": matplotlib.cycler(color=[THETA, OMEGA, GREEN, PURPLE, GOLD, SKY]),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "font.size": 10,
    "grid.color": FAINT,
    "grid.linewidth": 0.5,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "legend.labelcolor": INK,
    "lines.linewidth": 1.6,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "svg.fonttype": "path",
}

DASHED = {"color": INK, "linestyle": "--", "linewidth": 1.4}
"""Line style of every theoretical curve."""


@dataclass(frozen=True)
class Figure:
    """A published figure: SVG markup, its alt text and an optional caption. Notebooks display it as HTML."""

    svg: str
    alt: str
    caption: str = ""

    def to_html(self):
        """Return the figure as one `<figure>` element."""
        caption = f"<figcaption>{html.escape(self.caption)}</figcaption>" if self.caption else ""
        return (
            f'<figure class="gansde-figure"><div role="img" tabindex="0" aria-label="{html.escape(self.alt)}">'
            f"{self.svg}</div>{caption}</figure>"
        )

    def _repr_mimebundle_(self, include=None, exclude=None):
        del include, exclude
        return {"text/html": self.to_html(), "text/plain": f"Figure: {self.alt}"}


def figure(rows=1, columns=1, *, height=None, **options):
    """Return `(fig, axes)` in the house style, `columns` panels wide, and make that style the session's own.

    Args:
        rows, columns: numbers of panels.
        height: height of one row in inches; 3.1 by default.
        **options: passed on to `matplotlib.pyplot.subplots`.

    >>> fig, axes = figure(columns=2)
    >>> [float(size) for size in fig.get_size_inches()]
    [7.2, 3.1]
    >>> plt.close(fig)
    """
    # Legends and labels that are added later read the style too, so a temporary context would not do.
    plt.rcParams.update(STYLE)
    size = (7.2 if columns > 1 else 5.4, rows * (height or 3.1))
    return plt.subplots(rows, columns, figsize=size, layout="constrained", **options)


def show(fig, *, alt, caption="", outlines=True):
    """Close a matplotlib figure and return it as a `Figure` with alt text, ready to be displayed.

    Args:
        fig: the matplotlib figure; it is closed, so that a notebook does not draw it twice.
        alt: what is to be seen, in at least 30 characters.
        caption: one optional sentence printed under the picture.
        outlines: whether letters are drawn as outlines, which every browser places alike and formulas need; as text
            they take about 5 kB less.

    Raises:
        ValueError: if the alt text is too short to describe anything.

    >>> fig, axes = figure()
    >>> show(fig, alt="An empty pair of axes, drawn to show the house style.")
    Figure(svg=..., alt='An empty pair of axes, drawn to show the house style.', caption='')
    """
    if len(alt) < 30:
        raise ValueError(
            f"alt text must describe what is seen in at least 30 characters, found {alt!r}; "
            'for example show(fig, alt="The path spirals outwards from (1, 0) and leaves the frame after 40 steps.")'
        )
    buffer = io.StringIO()
    letters = {"svg.fonttype": "path" if outlines else "none", "svg.hashsalt": alt}
    with matplotlib.rc_context(STYLE | letters):
        fig.savefig(buffer, format="svg", metadata={"Date": None})
    plt.close(fig)
    return Figure(_with_variables(buffer.getvalue()), alt, caption)


def _with_variables(svg):
    """Drop the XML prologue and metadata and replace the palette by CSS variables."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    # Matplotlib styles `*`, which in a page means everything: each figure would restyle all others.
    svg = re.sub(r"<defs>\s*<style[^>]*>.*?</style>\s*</defs>", "", svg, flags=re.DOTALL)
    svg = svg.replace("<svg ", '<svg stroke-linejoin="round" stroke-linecap="butt" ', 1)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)  # nobody refers to them, and two figures would share them
    # A fixed size in points would beat the stylesheet; the viewBox keeps the proportions.
    svg = re.sub(r'<svg ([^>]*?)width="[^"]*pt"', r'<svg aria-hidden="true" focusable="false" \1', svg, count=1)
    svg = re.sub(r'(<svg [^>]*?)height="[^"]*pt"', r"\1", svg, count=1)
    # Two decimals of a point are enough for any screen and make the picture a third smaller.
    svg = re.sub(r' (?:d|x|y)="[^"]*"', lambda path: re.sub(r"(\.\d\d)\d+", r"\1", path[0]), svg)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, f"var({variable}, {colour})")
    return svg


def vector_field(axes, game, *, theta, omega, count=15):
    """Draw the directions of a two-parameter game's field on a grid over `theta` and `omega` ranges.

    Arrows have one length; their colour fades where the field is weak, so that equilibria stand out.

    >>> from gansde_lib import games
    >>> fig, axes = figure()
    >>> vector_field(axes, games.bilinear(1.0), theta=(-1, 1), omega=(-1, 1))
    >>> plt.close(fig)
    """
    grid = np.meshgrid(np.linspace(*theta, count), np.linspace(*omega, count))
    directions = jax.jit(jax.vmap(lambda t, o: game.field(Players(t, o))))
    field = directions(*(points.ravel().astype("float32") for points in grid))
    horizontal, vertical = (np.asarray(part).reshape(count, count) for part in field)
    speed = np.hypot(horizontal, vertical)
    scale = np.where(speed > 0, speed, 1.0)
    opacity = 0.25 + 0.6 * speed / max(speed.max(), 1e-30)
    axes.quiver(*grid, horizontal / scale, vertical / scale, color=INK, alpha=opacity.ravel(), width=0.004, scale=22)
    axes.set(xlim=theta, ylim=omega, xlabel=r"generator $\theta$", ylabel=r"discriminator $\omega$")


def path(axes, players, *, color=THETA, **options):
    """Draw a two-parameter trajectory in the plane of the players, with a dot at its start.

    >>> from gansde_lib import games, gda
    >>> fig, axes = figure()
    >>> line = path(axes, gda.run(games.bilinear(1.0), games.Players(1.0, 0.0), lr=0.1, steps=50))
    >>> plt.close(fig)
    """
    theta, omega = np.ravel(players.theta), np.ravel(players.omega)
    line = axes.plot(theta, omega, color=color, **options)
    axes.plot(theta[:1], omega[:1], "o", color=color, markersize=4)
    return line


def unit_circle(axes):
    """Draw the unit circle, the boundary of stability of a one-step map, with equal axes.

    >>> fig, axes = figure()
    >>> unit_circle(axes)
    >>> plt.close(fig)
    """
    angle = np.linspace(0, 2 * np.pi, 200)
    axes.plot(np.cos(angle), np.sin(angle), **DASHED)
    axes.set(xlabel=r"$\mathrm{Re}\,\lambda$", ylabel=r"$\mathrm{Im}\,\lambda$", aspect="equal")
