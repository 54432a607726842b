"""A live figure in a real JupyterLab: the same picture and the same numbers, run by the browser and by the kernel."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request

import chromium
import pytest
from playwright.sync_api import expect, sync_playwright

pytest.importorskip("jupyterlab")

CELL = """
import jax.numpy as jnp
from gansde_lib import Explorer, Players, games, gda
from gansde_lib.live import Axis, Panel, Path, Readout, Slider, View

def spiral(eta):
    path = gda.run(games.bilinear(1.0), Players(1.0, 0.0), lr=eta, steps=50)
    return {"theta": path.theta, "omega": path.omega, "last": jnp.hypot(path.theta, path.omega)[-1]}

plane = Axis("generator θ", -2, 2), Axis("discriminator ω", -2, 2)
figure = Explorer(
    spiral, {"eta": Slider("rate η", 0.01, 1.0, start=0.1)},
    View([Panel([Path("theta", "omega")], *plane, aspect="equal")], [Readout("last |x|", "last", digits=5)]),
    alt="A spiral from (1, 0) that grows outwards in every turn.",
)
shown = figure.widget()
shown
"""


@pytest.fixture
def lab(tmp_path):
    """Start a JupyterLab with one notebook and return the notebook's address."""
    cells = [{"cell_type": "code", "metadata": {}, "execution_count": None, "outputs": [], "source": text}
             for text in (CELL, "shown.values = {'eta': 0.2}", "print('eta is', shown.values['eta'])")]  # fmt: skip
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    notebook = {"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 4}
    (tmp_path / "figure.ipynb").write_text(json.dumps(notebook))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = {
        "ServerApp.port": port,
        "ServerApp.open_browser": False,
        "ServerApp.allow_root": True,
        "ServerApp.root_dir": tmp_path,
        "IdentityProvider.token": "",
        "LabApp.expose_app_in_browser": True,
    }
    folders = ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTERLAB_SETTINGS_DIR")
    home = {name: str(tmp_path / name) for name in folders}
    command = [sys.executable, "-m", "jupyterlab", *(f"--{name}={value}" for name, value in options.items())]
    with open(tmp_path / "log", "w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | home)
    address = f"http://127.0.0.1:{port}/lab/tree/figure.ipynb"
    try:
        for _ in range(240):
            try:
                urllib.request.urlopen(address, timeout=5).close()
                break
            except OSError:
                time.sleep(0.25)
        yield address
    finally:
        server.terminate()
        server.wait()


def test_in_jupyterlab_the_kernel_and_the_browser_run_the_figure(lab):
    from gansde_lib import Players, games, gda
    from gansde_lib.live.views import number

    def last(eta):
        path = gda.run(games.bilinear(1.0), Players(1.0, 0.0), lr=eta, steps=50)
        return number(float((path.theta[-1] ** 2 + path.omega[-1] ** 2) ** 0.5), 5)

    executable = chromium.find()
    if executable is None:
        pytest.skip("no Chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=chromium.FLAGS)
        page = browser.new_page(viewport={"width": 1300, "height": 900})
        problems = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(lab)
        page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=90_000)

        def run_cell(k):
            page.locator(".jp-CodeCell .cm-content").nth(k).click()  # a figure's use makes its cell active
            page.evaluate("jupyterapp.commands.execute('notebook:run-cell')")

        page.wait_for_timeout(1500)
        run_cell(0)
        figure = page.locator(".gansde-live")
        readout = figure.locator(".gansde-readouts output")
        expect(readout).to_have_text(last(0.1), timeout=90_000)
        expect(figure.get_by_role("radio", name="CPU")).to_be_visible()
        slider = figure.get_by_role("slider", name="rate η")
        for engine in ("CPU", "this browser"):
            choice = figure.get_by_role("radio", name=engine)
            if choice.count() == 0:
                continue
            choice.check()
            slider.focus()
            slider.press("End")
            expect(readout).to_have_text(last(1.0), timeout=30_000)
            slider.press("Home")
            expect(readout).to_have_text(last(0.01), timeout=30_000)
        run_cell(1)  # sets the value from Python
        expect(readout).to_have_text(last(0.2), timeout=30_000)
        slider.press("End")
        page.wait_for_timeout(500)
        run_cell(2)  # reads it in Python
        expect(page.locator(".jp-OutputArea-output", has_text="eta is 1")).to_be_visible(timeout=30_000)
        page.screenshot(path=os.environ.get("SHOT", "/dev/null"), type="png")
        browser.close()
    assert not problems
