"""Live figures in Python: one trace for any number of moves, honest pictures, data that survive JSON, refusals."""

import gzip
import html
import json

import figures
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gansde_lib import Players, games, gda
from gansde_lib.live import (
    Axis,
    Choice,
    Density,
    Explorer,
    Line,
    Panel,
    Path,
    Point,
    Points,
    Readout,
    Seed,
    Size,
    Slider,
    View,
    script,
    widget,
)  # fmt: skip
from gansde_lib.live.widget import LiveFigure

ALT = "A spiral from (1, 0) that grows outwards by a fifth in every turn."
PLANE = Axis("generator θ", -2, 2), Axis("discriminator ω", -2, 2)


def make(traces=None, **changes):
    def spiral(rate, start):
        if traces is not None:
            traces.append(rate)
        path = gda.run(games.bilinear(1.0), Players(*start), lr=rate, steps=50)
        return {"theta": path.theta, "omega": path.omega, "last": jnp.hypot(path.theta, path.omega)[-1]}

    controls = {
        "rate": Slider("η", 0.01, 1.0, start=0.1, log=True),
        "start": Point("start", (-2, -2), (2, 2), start=(1.0, 0.0)),
    }
    view = View([Panel([Path("theta", "omega")], *PLANE, aspect="equal", drag="start")], [Readout("last |x|", "last")])
    options = {"controls": controls, "view": view} | changes
    return Explorer(changes.get("simulate", spiral), options["controls"], options["view"], alt=ALT)


def test_moving_controls_does_not_trace_again():
    traces = []
    explorer = make(traces)
    for rate in np.linspace(0.01, 1.0, 20):
        explorer.run(rate=rate, start=(rate, 1))
        explorer.run(rate=float(rate))
    explorer.run()
    explorer.picture()
    assert len(traces) == 1


def test_a_size_is_traced_once_each():
    traces = []

    def noise(paths, seed):
        traces.append(paths)
        return {"x": seed * jnp.ones(paths)}

    controls = {"paths": Size("paths", 10, more=(20,)), "seed": Seed()}
    explorer = Explorer(noise, controls, View([Panel([Line("x")], *PLANE)]), alt=ALT)
    assert [explorer.run(paths=n, seed=s)["x"].shape for n in (10, 20) for s in (1, 2)] == [(10,), (10,), (20,), (20,)]
    assert traces == [10, 20]
    with pytest.raises(ValueError, match="paths must be one of 10, 20, found 30"):
        explorer.run(paths=30)


def test_an_explorer_runs_the_library():
    expected = gda.run(games.bilinear(1.0), Players(2.0, 0.0), lr=0.3, steps=50)
    found = make().run(rate=0.3, start=(2.0, 0.0))
    np.testing.assert_allclose(found["theta"], expected.theta, rtol=1e-6)


@pytest.mark.parametrize("name", figures.NAMES)
def test_the_specification_survives_json(name):
    explorer = figures.get(name)
    spec = explorer.spec()
    assert json.loads(json.dumps(spec)) == json.loads(json.dumps(json.loads(json.dumps(spec))))
    assert set(spec["controls"]) == set(explorer.controls)
    drawn = {mark["mark"] for panel in spec["view"]["panels"] for mark in panel["marks"]}
    assert all(f"{mark}(pen, mark" in script.page() for mark in drawn)  # the page knows every mark
    assert all(f"{control['control']}({{" in script.page() for control in spec["controls"].values())


@pytest.mark.parametrize("name", figures.NAMES)
def test_the_starting_picture(name):
    figure = figures.get(name).picture()
    assert figure.svg.count("<svg") == 1 and html.escape(figure.alt) in figure.to_html()


def test_the_picture_follows_the_controls():
    explorer = make()
    assert explorer.picture().svg == explorer.picture(rate=0.1).svg != explorer.picture(rate=0.5).svg


def test_outside_jupyter_it_is_its_starting_picture(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)  # no toolchain
    bundle, _ = make()._repr_mimebundle_()
    assert "<svg" in bundle["text/html"] and "open this page in Jupyter" in bundle["text/html"]
    assert "gansde-live" not in bundle["text/html"]
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert bundle["text/plain"] == f"Live figure: {ALT}"


def test_with_the_toolchain_the_page_carries_the_simulation():
    explorer = make()
    page = explorer.to_html()
    data = page.split('<script type="application/json">')[1].split("</script>")[0]
    payload = json.loads(data)
    assert payload["manifest"]["inputs"] and payload["wasm"] and payload["name"] == "spiral"
    assert 'id="live-spiral"' in page and page.count("</script>") == 1


def test_text_in_a_figure_cannot_end_its_data():
    page = make(controls=make().controls | {"rate": Slider("</script><b>", 0.01, 1.0, start=0.1)}).to_html()
    assert page.count("</script>") == 1


class Recorded(LiveFigure):
    """A widget that keeps what it would send."""

    def send(self, content, buffers=None):
        self.sent = content, buffers


def test_a_kernel_engine_answers_with_binary_arrays():
    explorer = make()
    shown = Recorded(explorer)
    assert "CPU" in shown.engines and shown.values == {"rate": 0.1, "start": (1.0, 0.0)}
    shown._answer(shown, {"id": "1", "engine": "CPU", "values": {"rate": 0.3, "start": [1, 0.5]}}, [])
    content, buffers = shown.sent
    expected = explorer.run(rate=0.3, start=(1, 0.5))
    for part, buffer in zip(content["outputs"], buffers, strict=True):
        np.testing.assert_array_equal(
            np.frombuffer(buffer, part["dtype"]).reshape(part["shape"]), expected[part["path"]]
        )
    shown._answer(shown, {"id": "2", "engine": "CPU", "values": {"speed": 1}}, [])
    assert "there is no control 'speed'; the controls are rate, start" in shown.sent[0]["error"]


def test_the_script_is_small():
    assert len(gzip.compress(script.page().encode(), 9)) < 12_000
    assert "eval(" not in script.page() and "import(" not in script.page() and "fetch(" not in script.page()


CONTROLS = [
    (Slider("η", 0.5, 1.0, start=0.1), "slider 'η' needs lower <= start <= upper"),
    (Slider("η", 0.0, 1.0, start=0.1, log=True), "needs 0 < lower"),
    (Slider("η", 1.0, 1.0, start=1.0), "needs lower <= start <= upper"),
    (Slider("n", 1, 5, start=1.5, integer=True), "all whole"),
    (Choice("rate", {"one": 1}, "three"), "start of 'rate' must be one of 'one', found 'three'"),
    (Seed("seed", -1), "must be an integer from 0"),
    (Point("start", (0, 0), (1, 1), start=(2, 0)), "needs pairs with lower <= start <= upper"),
    (Size("paths", 0), "must be an integer >= 1"),
]


@pytest.mark.parametrize(("control", "message"), CONTROLS)
def test_bad_controls_are_refused(control, message):
    with pytest.raises(ValueError, match=message):
        make(controls={"rate": control, "start": make().controls["start"]})


def test_controls_must_name_the_arguments():
    with pytest.raises(ValueError, match=r"controls must name the arguments of simulate, \['rate', 'start'\]"):
        make(controls={"rate": Slider("η", 0.01, 1.0, start=0.1)})


@pytest.mark.parametrize("value", ["fast", (1, 2), None])
def test_bad_values_are_refused(value):
    with pytest.raises(ValueError, match="'η' must be one number"):
        make().run(rate=value)


VIEWS = [
    (View([Panel([Path("theta", "psi")], *PLANE)]), r"Path draws 'psi', which simulate does not return; it returns \["),
    (View([Panel([Path("theta", "last")], *PLANE)]), "Path needs two arrays of one shape"),
    (View([Panel([Path("theta", "omega", color="pink")], *PLANE)]), "color of Path must be one of ink"),
    (View([Panel([Points("theta", "omega", marker="star")], *PLANE)]), "marker of Points must be one of circle"),
    (View([Panel([Line("last")], *PLANE)]), "Line draws arrays with"),
    (View([Panel([], *PLANE, drag="rate")]), r"drag must name a Point, one of \['start'\], found 'rate'"),
    (View([Panel([], Axis("x", 1, 0), PLANE[1])]), "axis 'x' needs lower < upper"),
    (View([Panel([], Axis("x", 0, 1, log=True), PLANE[1])]), "needs 0 < lower < upper"),
    (View([], [Readout("path", "theta")]), "readout 'path' needs a scalar output"),
]


@pytest.mark.parametrize(("view", "message"), VIEWS)
def test_bad_views_are_refused(view, message):
    with pytest.raises(ValueError, match=message):
        make(view=view)


def test_simulate_must_return_named_arrays_of_a_pages_types():
    def unnamed(rate):
        return rate * jnp.ones(3)

    with pytest.raises(ValueError, match="simulate must return a flat dictionary of arrays"):
        make(simulate=unnamed, controls={"rate": Slider("η", 0, 1, start=0)}, view=View([]))


def test_a_path_too_long_to_stroke_is_refused():
    def cloud(rate):
        return {"x": rate * jnp.ones((2001, 200)), "y": jnp.ones((2001, 200))}

    controls = {"rate": Slider("η", 0, 1, start=0)}
    with pytest.raises(ValueError, match="more than 60000: use Density"):
        make(simulate=cloud, controls=controls, view=View([Panel([Path("x", "y")], *PLANE)]))
    make(simulate=cloud, controls=controls, view=View([Panel([Density("x", "y")], *PLANE)])).picture()


def test_the_gpu_is_offered_where_jax_has_one(monkeypatch):
    assert widget.devices() == (["CPU", "GPU"] if jax.default_backend() == "gpu" else ["CPU"])
    monkeypatch.setattr(widget.jax, "devices", lambda kind: ["a device"])
    assert widget.devices() == ["CPU", "GPU"]
