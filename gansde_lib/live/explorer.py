"""The live figure itself: in Jupyter a widget that reruns the simulation, elsewhere its starting state."""

import inspect

import ipywidgets
import jax

from gansde_lib import plot

NOTE = "A live figure, shown at its starting state: open this page in Jupyter to move its controls."


class Explorer:
    """A simulation with controls and a view.

    Args:
        simulate: a pure function of keyword arguments, one for each control; it is jitted once, here, and never
            compiled again when a control moves.
        controls: dictionary from argument names to `Slider` or `Choice`.
        view: `view(result, **values) -> matplotlib figure`, which draws and does not compute.
        alt: alt text of the starting state.
        caption: one optional sentence.

    Raises:
        ValueError: if the controls do not match the arguments of `simulate`, or start out of bounds.

    >>> import jax.numpy as jnp
    >>> from gansde_lib.live import Slider
    >>> def line(result, rate):
    ...     fig, axes = plot.figure()
    ...     axes.plot(result)
    ...     return fig
    >>> explorer = Explorer(
    ...     lambda rate: rate ** jnp.arange(10.0), {"rate": Slider("η", 0.1, 1.0, start=0.5)}, line,
    ...     alt="A geometric decay by a factor of one half a step, from 1 to 0.002.",
    ... )
    >>> explorer.run(rate=0.9).shape
    (10,)
    """

    def __init__(self, simulate, controls, view, *, alt, caption=""):
        wanted = set(inspect.signature(simulate).parameters)
        if wanted != set(controls):
            raise ValueError(
                f"controls must name the arguments of simulate, {sorted(wanted)}, found {sorted(controls)}; "
                'for example Explorer(lambda rate: rate, {"rate": Slider("η", 0.01, 1.0, start=0.1)}, view, alt="...")'
            )
        for control in controls.values():
            control.check()
        self.simulate = jax.jit(simulate)
        self.controls = dict(controls)
        self.view = view
        self.alt = alt
        self.caption = caption

    def run(self, **values):
        """Return what the simulation gives at these control values; controls left out are at their start."""
        values = {name: control.start for name, control in self.controls.items()} | values
        return self.simulate(**{name: control.argument(values[name]) for name, control in self.controls.items()})

    def picture(self, **values):
        """Return the published figure at these control values; controls left out are at their start."""
        values = {name: control.start for name, control in self.controls.items()} | values
        return plot.show(self.view(self.run(**values), **values), alt=self.alt, caption=self.caption)

    def widget(self):
        """Return the ipywidgets figure: the controls above a picture that follows them."""
        widgets = {name: control.widget() for name, control in self.controls.items()}
        picture = ipywidgets.HTML()

        def redraw(change=None):
            picture.value = self.picture(**{name: widget.value for name, widget in widgets.items()}).to_html()

        for widget in widgets.values():
            widget.observe(redraw, names="value")
        redraw()
        return ipywidgets.VBox([*widgets.values(), picture])

    def _repr_mimebundle_(self, include=None, exclude=None):
        del include, exclude
        figure = self.picture()
        static = f'{figure.to_html()}<p class="gansde-note">{NOTE}</p>'
        return self.widget()._repr_mimebundle_() | {"text/html": static, "text/plain": f"Live figure: {self.alt}"}
