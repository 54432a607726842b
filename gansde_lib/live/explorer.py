"""The live figure itself: a simulation, controls, a view; the same object in Jupyter, on a static page and in print."""

import functools
import importlib.util
import inspect
import json
import os
import re
from pathlib import Path

import jax
import numpy as np

from gansde_lib import plot
from gansde_lib.live import compiler
from gansde_lib.live.controls import Point, Size
from gansde_lib.live.widget import LiveFigure

NOTE, PURPOSE = "A live figure, shown at its starting state: open this page", "to move its controls."
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gansde_lib"
DTYPES = ("float32", "int32", "uint32", "bool")


class Explorer:
    """A simulation with controls and a view.

    Args:
        simulate: a pure function of keyword arguments, one for each control, that returns a flat dictionary of arrays.
            It is jitted once, here, and never compiled again when a control moves. Its name names the figure.
        controls: dictionary from argument names to `Slider`, `Choice`, `Seed`, `Point` or `Size`.
        view: a `View`: what is drawn, as data.
        alt: alt text of the starting state.
        caption: one optional sentence.

    Raises:
        ValueError: if the controls do not match the arguments of `simulate` or start out of bounds, or if the view
            draws what `simulate` does not return.

    >>> import jax.numpy as jnp
    >>> from gansde_lib.live import Axis, Line, Panel, Slider, View
    >>> def decay(rate):
    ...     return {"size": rate ** jnp.arange(10.0)}
    >>> explorer = Explorer(
    ...     decay, {"rate": Slider("η", 0.1, 1.0, start=0.5)},
    ...     View([Panel([Line("size")], Axis("step", 0, 9), Axis("size", 0, 1))]),
    ...     alt="A geometric decay by a factor of one half a step, from 1 to 0.002.",
    ... )
    >>> explorer.run(rate=0.9)["size"].shape
    (10,)
    """

    def __init__(self, simulate, controls, view, *, alt, caption=""):
        wanted = set(inspect.signature(simulate).parameters)
        if wanted != set(controls):
            raise ValueError(
                f"controls must name the arguments of simulate, {sorted(wanted)}, found {sorted(controls)}; "
                'for example Explorer(decay, {"rate": Slider("η", 0.01, 1.0, start=0.1)}, view, alt="...")'
            )
        for control in controls.values():
            control.check()
        self.name = re.sub(r"[^a-z0-9]+", "-", simulate.__name__.lower()).strip("-")
        self.controls, self.view, self.alt, self.caption = dict(controls), view, alt, caption
        sizes = tuple(name for name, control in controls.items() if isinstance(control, Size))
        self.simulate = jax.jit(simulate, static_argnames=sizes)
        view.check(self._shapes(), [name for name, control in controls.items() if isinstance(control, Point)])

    def _shapes(self):
        """Return the shapes of the outputs, by name; refuse what a page could not draw."""
        outputs = self.simulate.eval_shape(**self.arguments())
        arrays = outputs.items() if isinstance(outputs, dict) else [("", outputs)]
        if any(not name or str(getattr(array, "dtype", "")) not in DTYPES for name, array in arrays):
            raise ValueError(
                f"simulate must return a flat dictionary of arrays of types {', '.join(DTYPES)}, found {outputs}; "
                'for example {"theta": path.theta, "omega": path.omega}'
            )
        return {name: array.shape for name, array in arrays}

    def arguments(self, **values):
        """Return what the simulation takes at these control values; controls left out are at their start."""
        for name in values.keys() - self.controls.keys():
            raise ValueError(f"there is no control {name!r}; the controls are {', '.join(self.controls)}")
        return {name: control.argument(values.get(name, control.start)) for name, control in self.controls.items()}

    def run(self, **values):
        """Return the simulation's arrays at these control values; controls left out are at their start."""
        return self.simulate(**self.arguments(**values))

    def picture(self, **values):
        """Return the published figure at these control values; controls left out are at their start."""
        result = {name: np.asarray(array) for name, array in self.run(**values).items()}
        return plot.show(self.view.draw(result), alt=self.alt, caption=self.caption, outlines=False)

    @functools.cached_property
    def module(self):
        """The simulation as WebAssembly, or None where the compiler's toolchain (ziglang) is not installed."""
        if importlib.util.find_spec("ziglang") is None:
            return None
        arguments = self.arguments()
        sizes = {name: arguments.pop(name) for name, control in self.controls.items() if isinstance(control, Size)}
        return compiler.compile(functools.partial(self.simulate, **sizes), arguments, name=self.name, cache=CACHE)

    def spec(self):
        """Return everything but the simulation as JSON-ready data, for the page's script."""
        controls = {
            name: {"control": type(control).__name__, **control._asdict()} for name, control in self.controls.items()
        }
        manifest = self.module.manifest if self.module else None
        return {"name": self.name, "controls": controls, "view": self.view.spec(), "manifest": manifest}

    def to_html(self):
        """Return the figure for a page without a kernel: the starting picture, and what the script needs to run it."""
        inside = self.picture().to_html().removeprefix('<figure class="gansde-figure">').removesuffix("</figure>")
        if self.module is None:
            return (
                f'<figure class="gansde-figure">{inside}</figure><p class="gansde-note">{NOTE} in Jupyter {PURPOSE}</p>'
            )
        payload = self.spec() | {"wasm": compiler.pack(self.module.wasm)}
        data = json.dumps(payload, ensure_ascii=False).replace("<", "\\u003c")  # nothing in it may end the element
        return (
            f'<figure class="gansde-figure gansde-live" id="live-{self.name}">{inside}'
            f'<script type="application/json">{data}</script>'
            f'<noscript><p class="gansde-note">{NOTE} with JavaScript {PURPOSE}</p></noscript></figure>'
        )

    def widget(self):
        """Return the Jupyter widget, run by the reader's browser or by this kernel."""
        return LiveFigure(self)

    def _repr_mimebundle_(self, include=None, exclude=None):
        del include, exclude
        bundle, metadata = _pair(self.widget()._repr_mimebundle_())
        return bundle | {"text/html": self.to_html(), "text/plain": f"Live figure: {self.alt}"}, metadata


def _pair(bundle):
    """Split what a widget returns, data alone or data with metadata."""
    return bundle if isinstance(bundle, tuple) else (bundle or {}, {})
