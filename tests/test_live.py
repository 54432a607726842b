"""Live figures: one trace for any number of slider moves, widgets that redraw, honest static pictures."""

import ipywidgets
import jax.numpy as jnp
import numpy as np
import pytest

from gansde_lib import Explorer, Players, games, gda, plot
from gansde_lib.live import Choice, Slider

ALT = "A spiral from (1, 0) that grows outwards by a fifth in every turn."


def make(traces=None, **changes):
    def simulate(rate, start):
        if traces is not None:
            traces.append(rate)
        return gda.run(games.bilinear(1.0), Players(start.astype(jnp.float32), 0.0), lr=rate, steps=50)

    def view(result, rate, start):
        fig, axes = plot.figure()
        plot.path(axes, result)
        axes.set_title(f"{rate:.3g} from {start}")
        return fig

    controls = {
        "rate": Slider("η", 0.01, 1.0, start=0.1, log=True),
        "start": Choice("start", {"one": 1, "two": 2}, "one"),
    }
    return Explorer(simulate, changes.get("controls", controls), changes.get("view", view), alt=ALT)


def test_moving_sliders_does_not_trace_again():
    traces = []
    explorer = make(traces)
    for rate in np.linspace(0.01, 1.0, 20):
        for start in ("one", "two"):
            explorer.run(rate=rate, start=start)
    explorer.run()
    assert len(traces) == 1


def test_an_explorer_runs_the_library():
    expected = gda.run(games.bilinear(1.0), Players(2.0, 0.0), lr=0.3, steps=50)
    found = make().run(rate=0.3, start="two")
    np.testing.assert_allclose(found.theta, expected.theta, rtol=1e-6)


def test_the_widget_redraws_when_a_control_moves():
    explorer = make()
    widget = explorer.widget()
    slider, buttons, picture = widget.children
    assert isinstance(slider, ipywidgets.FloatLogSlider) and buttons.options == ("one", "two")
    assert picture.value == explorer.picture().to_html()
    slider.value = 0.5
    buttons.value = "two"
    assert picture.value == explorer.picture(rate=0.5, start="two").to_html()
    assert picture.value != explorer.picture().to_html()


def test_linear_sliders():
    widget = Slider("γ", 0.0, 2.0, start=0.5).widget()
    assert (widget.min, widget.max, widget.value) == (0.0, 2.0, 0.5)


def test_outside_jupyter_it_is_its_starting_picture():
    bundle = make()._repr_mimebundle_()
    assert (
        ALT in bundle["text/html"]
        and "<svg" in bundle["text/html"]
        and "open this page in Jupyter" in bundle["text/html"]
    )
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert bundle["text/plain"] == f"Live figure: {ALT}"


@pytest.mark.parametrize(
    ("control", "message"),
    [
        (Slider("η", 0.5, 1.0, start=0.1), "slider 'η' needs lower <= start <= upper"),
        (Slider("η", 0.0, 1.0, start=0.1, log=True), "needs 0 < lower"),
        (Slider("η", 1.0, 1.0, start=1.0), "needs lower <= start <= upper"),
    ],
)
def test_bad_sliders_are_refused(control, message):
    with pytest.raises(ValueError, match=message):
        make(controls={"rate": control, "start": Choice("start", {"one": 1}, "one")})


def test_controls_must_name_the_arguments():
    with pytest.raises(ValueError, match=r"controls must name the arguments of simulate, \['rate', 'start'\]"):
        make(controls={"rate": Slider("η", 0.01, 1.0, start=0.1)})
    with pytest.raises(ValueError, match="start of 'start' must be one of 'one', found 'three'"):
        make(controls={"rate": Slider("η", 0.01, 1.0, start=0.1), "start": Choice("start", {"one": 1}, "three")})
