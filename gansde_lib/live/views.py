"""What a live figure shows: panels of marks, and readouts, as data.

A view is plain data, so that Python (for the starting picture and print) and the page's script draw the same. Every
mark names the outputs of the simulation that it draws; its class here and the function of the same name in `live.js`
are two renderings of one meaning. Arrays over time have time first: (T,) or (T, paths). Arrays over a grid have the
horizontal coordinate first, as `simulate.sweep` returns them, and span their panel.
Measurement is drawn solid in a colour of the book, theory dashed in ink.
"""

import decimal
import math
from typing import NamedTuple

import numpy as np
from matplotlib.colors import to_rgb

from gansde_lib import plot

NAMES = ("ink", "faint", "theta", "omega", "green", "purple", "gold", "sky")
COLOURS = {name: getattr(plot, name.upper()) for name in NAMES}
MARKERS = {"circle": "o", "square": "s", "cross": "x", "triangle": "^"}
MOST_POINTS = 60_000
"""A path of more points is refused: strokes would be slow, and too dense to be read. `Density` has no such limit."""


class Axis(NamedTuple):
    """An axis: label, ends and scale. `log=True` means decades; without a label it has no ticks."""

    label: str
    lower: float
    upper: float
    log: bool = False

    def grid(self, count):
        """Return `count` float32 positions that span the axis evenly, as its scale has it.

        >>> Axis("η", 0.01, 1.0, log=True).grid(3)
        array([0.01, 0.1 , 1.  ], dtype=float32)
        """
        space = np.geomspace if self.log else np.linspace
        return space(self.lower, self.upper, count, dtype=np.float32)

    def fraction(self, values):
        """Return where on the axis values stand, 0 at the lower and 1 at the upper end."""
        scale = np.log10 if self.log else np.asarray
        with np.errstate(all="ignore"):
            return (scale(values) - scale(self.lower)) / (scale(self.upper) - scale(self.lower))


class Path(NamedTuple):
    """One trajectory, or many, in the plane; a dot at each start. Played step by step where the reader asks for it."""

    OUTPUTS = ("x", "y")

    x: str
    y: str
    color: str = "purple"
    label: str = ""
    dots: bool = False

    def draw(self, axes, panel, result):
        """Draw on matplotlib axes."""
        x, y = _bounded(result[self.x]), _bounded(result[self.y])
        style = {"color": COLOURS[self.color], "linewidth": 0.8 if self.dots else 1.4}
        lines = axes.plot(x, y, marker="." if self.dots else None, markersize=3, alpha=_alpha(x), **style)
        lines[0].set_label(self.label or None)
        axes.plot(x[:1], y[:1], "o", color=COLOURS[self.color], markersize=4)


class Density(NamedTuple):
    """Many points (or all points of many paths) as a shade: the logarithm of how many fall on a spot."""

    OUTPUTS = ("x", "y")

    x: str
    y: str
    color: str = "purple"
    label: str = ""

    def draw(self, axes, panel, result):
        """Draw on matplotlib axes."""
        places = [axis.fraction(result[name]).ravel() for axis, name in zip((panel.x, panel.y), self[:2], strict=True)]
        counts, *_ = np.histogram2d(*places, bins=80, range=[(0, 1), (0, 1)])
        _image(axes, _shaded(self.color, np.log1p(counts.T) / max(np.log1p(counts.max()), 1e-9)))
        axes.plot([], [], "s", color=COLOURS[self.color], label=self.label or None)


class Line(NamedTuple):
    """A series, or several (T, series), over `x`, or over the step if no `x` is given. `dashed=True` for theory."""

    OUTPUTS = ("y", "x")

    y: str
    x: str | None = None
    color: str = "purple"
    label: str = ""
    dashed: bool = False

    def draw(self, axes, panel, result):
        """Draw on matplotlib axes."""
        y = _bounded(result[self.y])
        x = np.arange(len(y)) if self.x is None else _bounded(result[self.x])
        style = plot.DASHED if self.dashed else {"color": COLOURS[self.color], "alpha": _alpha(y)}
        lines = axes.plot(x, y, **style)
        lines[0].set_label(self.label or None)


class Points(NamedTuple):
    """Points: particles, eigenvalues. Of points over time (T, points) the last are shown, or those being played.

    `radius` is in pixels; where many points overlap a smaller one shows how dense they lie.
    """

    OUTPUTS = ("x", "y")

    x: str
    y: str
    color: str = "purple"
    label: str = ""
    marker: str = "circle"
    radius: float = 4.5

    def draw(self, axes, panel, result):
        """Draw on matplotlib axes."""
        x, y = (_bounded(result[name]) for name in (self.x, self.y))
        if x.ndim == 2:
            x, y = x[-1], y[-1]
        style = {"color": COLOURS[self.color], "linestyle": "none", "label": self.label or None}
        size = self.radius / 0.75  # matplotlib's is a diameter in points
        axes.plot(np.ravel(x), np.ravel(y), marker=MARKERS[self.marker], markersize=size, **style)


class Arrows(NamedTuple):
    """A vector field on a grid that spans the panel: directions, fainter where the field is weak."""

    OUTPUTS = ("u", "v")

    u: str
    v: str
    label: str = ""

    def draw(self, axes, panel, result):
        """Draw on matplotlib axes."""
        u, v = result[self.u], result[self.v]
        grid = np.meshgrid(*(axis.grid(n) for axis, n in zip((panel.x, panel.y), u.shape, strict=True)), indexing="ij")
        speed = np.hypot(u, v)
        unit = np.where(speed > 0, speed, 1.0)
        opacity = 0.25 + 0.6 * speed / max(speed.max(), 1e-30)
        style = {"alpha": opacity.ravel(), "width": 0.004, "scale": 1.5 * max(u.shape), "pivot": "middle"}
        axes.quiver(*grid, u / unit, v / unit, color=COLOURS["ink"], **style)


class Circle(NamedTuple):
    """A dashed circle of theory, by default the unit circle, the boundary of stability of a one-step map."""

    OUTPUTS = ()

    radius: float = 1.0
    label: str = ""

    def draw(self, axes, panel, result):
        """Draw on matplotlib axes."""
        angle = np.linspace(0, 2 * np.pi, 200)
        axes.plot(self.radius * np.cos(angle), self.radius * np.sin(angle), label=self.label or None, **plot.DASHED)


class Heat(NamedTuple):
    """A function on a grid that spans the panel, in colours from `lower` to `upper` (viridis, with a colour bar), or as
    a shade of one `color`, for images; NaN stays empty. Draw boundaries over it with `Line`."""

    OUTPUTS = ("z",)

    z: str
    lower: float
    upper: float
    label: str = ""
    color: str | None = None

    def draw(self, axes, panel, result):
        """Draw on matplotlib axes."""
        z = result[self.z].T
        if self.color:
            shade = (z - self.lower) / (self.upper - self.lower)
            _image(axes, _shaded(self.color, np.clip(np.nan_to_num(shade), 0, 1)))
        else:
            picture = _image(axes, z, cmap="viridis", vmin=self.lower, vmax=self.upper)
            axes.figure.colorbar(picture, ax=axes, label=self.label)


class Histogram(NamedTuple):
    """How often values fall into `bins` equal parts of the horizontal axis, as a density; its theory is a `Line`."""

    OUTPUTS = ("values",)

    values: str
    bins: int = 40
    color: str = "sky"
    label: str = ""

    def draw(self, axes, panel, result):
        """Draw on matplotlib axes."""
        values = np.ravel(result[self.values]).astype(float)
        values = values[np.isfinite(values)]
        edges = np.linspace(panel.x.lower, panel.x.upper, self.bins + 1)
        counts, _ = np.histogram(values, edges)
        heights = counts / max(len(values), 1) / np.diff(edges)
        axes.stairs(heights, edges, fill=True, color=COLOURS[self.color], alpha=0.6, label=self.label or None)


class Rule(NamedTuple):
    """A dashed line of theory across the panel at `at`: a number, or the name of an output. `axis` says which it is
    a value of."""

    OUTPUTS = ("at",)

    at: str | float
    axis: str = "y"
    label: str = ""

    def draw(self, axes, panel, result):
        """Draw on matplotlib axes."""
        at = float(result[self.at]) if isinstance(self.at, str) else self.at
        (axes.axhline if self.axis == "y" else axes.axvline)(at, label=self.label or None, **plot.DASHED)


class Panel(NamedTuple):
    """One pair of axes with its marks, drawn in order. `drag` names the `Point` that can be dragged on it."""

    marks: list
    x: Axis
    y: Axis
    title: str = ""
    aspect: str | None = None
    drag: str | None = None

    def draw(self, axes, result):
        """Draw on matplotlib axes."""
        for mark in self.marks:
            mark.draw(axes, self, result)
        axes.set(xlabel=self.x.label, ylabel=self.y.label, title=self.title, aspect=self.aspect or "auto")
        axes.set(xscale="log" if self.x.log else "linear", yscale="log" if self.y.log else "linear")
        axes.set(xlim=(self.x.lower, self.x.upper), ylim=(self.y.lower, self.y.upper))
        for axis, place in ((self.x, axes.xaxis), (self.y, axes.yaxis)):
            place.set_visible(axis.label != "")
        if axes.get_legend_handles_labels()[1]:
            axes.legend()


class Readout(NamedTuple):
    """A scalar output in words: a number with so many `digits`, or the name that stands for an integer."""

    label: str
    output: str
    digits: int = 3
    names: dict[int, str] | None = None

    def text(self, result):
        """Return "label: value".

        >>> Readout("regime", "code", names={0: "converges", 1: "diverges"}).text({"code": np.int32(1)})
        'regime: diverges'
        """
        value = np.asarray(result[self.output]).item()
        return f"{self.label}: {number(value, self.digits) if self.names is None else self.names.get(int(value), '?')}"


class View(NamedTuple):
    """The panels of a live figure, side by side where there is room, and its readouts."""

    panels: list
    readouts: list = ()

    def check(self, shapes, controls):
        """Raise `ValueError` if a name is not an output, a colour or a control, or if an output does not fit."""
        for panel in self.panels:
            for mark in panel.marks:
                self._check_mark(mark, shapes)
            for axis in (panel.x, panel.y):
                if not (-math.inf < axis.lower < axis.upper < math.inf) or (axis.log and axis.lower <= 0):
                    raise ValueError(
                        f"axis {axis.label!r} needs {'0 < ' if axis.log else ''}lower < upper, found {axis.lower}, "
                        f'{axis.upper}; for example Axis("θ", -2, 2)'
                    )
            if panel.drag is not None and panel.drag not in controls:
                raise ValueError(f"drag must name a Point, one of {sorted(controls)}, found {panel.drag!r}")
        for readout in self.readouts:
            if shapes.get(readout.output) != ():
                raise ValueError(
                    f"readout {readout.label!r} needs a scalar output, found {readout.output!r} of shape "
                    f'{shapes.get(readout.output)} among {shapes}; for example Readout("radius", "radius")'
                )

    def _check_mark(self, mark, shapes):
        kind = type(mark).__name__
        names = [name for name in (getattr(mark, field) for field in mark.OUTPUTS) if isinstance(name, str)]
        for name in names:
            if name not in shapes:
                raise ValueError(f"{kind} draws {name!r}, which simulate does not return; it returns {sorted(shapes)}")
        _known(f"color of {kind}", getattr(mark, "color", None) or "ink", COLOURS)
        _known(f"marker of {kind}", getattr(mark, "marker", "circle"), MARKERS)
        if kind in ("Path", "Points", "Density", "Arrows") and shapes[names[0]] != shapes[names[1]]:
            raise ValueError(f"{kind} needs two arrays of one shape, found {[(n, shapes[n]) for n in names]}")
        if kind in ("Path", "Line") and math.prod(shapes[names[0]]) > MOST_POINTS:
            raise ValueError(f"{kind} has points of shape {shapes[names[0]]}, more than {MOST_POINTS}: use Density")
        axes = {"Path": (1, 2), "Line": (1, 2), "Heat": (2,), "Arrows": (2,), "Rule": (0,)}.get(kind)
        if axes and any(len(shapes[name]) not in axes for name in names):
            raise ValueError(f"{kind} draws arrays with {axes} axes, found {[(n, shapes[n]) for n in names]}")

    def spec(self):
        """Return the view as JSON-ready data, for the page's script."""
        return {
            "panels": [
                panel._asdict()
                | {"x": panel.x._asdict(), "y": panel.y._asdict()}
                | {"marks": [{"mark": type(mark).__name__, **mark._asdict()} for mark in panel.marks]}
                for panel in self.panels
            ],
            "readouts": [readout._asdict() for readout in self.readouts],
        }

    def draw(self, result):
        """Return the matplotlib figure of a result."""
        height = 3.9 if any(panel.aspect for panel in self.panels) else 3.1
        fig, axes = plot.figure(columns=len(self.panels), height=height)
        for panel, place in zip(self.panels, np.ravel(axes), strict=True):
            panel.draw(place, result)
        if self.readouts:
            fig.supxlabel("     ".join(readout.text(result) for readout in self.readouts), fontsize=10)
        return fig


def number(value, digits=3):
    """Return a number as text, as the page's script writes it.

    >>> [number(value) for value in (0.42, -1234.5, 1e-7, 2.5e9, float("inf"), float("nan"))]
    ['0.42', '−1230', '1e−7', '2.5e9', '∞', 'not a number']
    """
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else "∞" if value > 0 else "−∞"
    with decimal.localcontext(rounding=decimal.ROUND_HALF_UP):  # as JavaScript rounds
        mantissa, exponent = f"{decimal.Decimal(abs(value)):.{digits - 1}e}".split("e")
    size = float(f"{mantissa}e{exponent}")
    text = np.format_float_positional(size, trim="-")
    if size and not 1e-4 <= size < 1e6:
        text = f"{float(mantissa):g}e{int(exponent)}".replace("-", "−")
    return f"−{text}" if value < 0 else text


def _known(what, found, options):
    if found not in options:
        raise ValueError(f"{what} must be one of {', '.join(options)}, found {found!r}")


def _bounded(values):
    """Values as floats; what lies far beyond any axis becomes a gap, which every renderer can draw."""
    values = np.asarray(values, float)
    return np.where(np.abs(values) < 1e6, values, np.nan)


def _alpha(values):
    """Opacity of each of many lines."""
    return 1.0 if values.ndim == 1 else max(0.15, values.shape[1] ** -0.5)


def _shaded(color, opacity):
    """An image in one colour."""
    return np.concatenate([np.broadcast_to(to_rgb(COLOURS[color]), (*opacity.shape, 3)), opacity[..., None]], axis=-1)


def _image(axes, pixels, **options):
    """Put an image over the whole panel, whatever the scales of its axes."""
    return axes.imshow(pixels, extent=(0, 1, 0, 1), transform=axes.transAxes, aspect="auto", origin="lower", **options)
