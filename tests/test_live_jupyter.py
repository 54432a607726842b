"""A live figure in a real JupyterLab: the same picture and the same numbers, run by the browser and by the kernel."""

import os
import socket
import subprocess
import sys
import time
import urllib.request

import figures
import nbformat
import pytest
from playwright.sync_api import expect

NAME = "damped_rotation"  # the first live figure of the chapter on descent-ascent
MORE = [
    "shown = _.widget()\nshown",
    "shown.values = {**shown.values, 'eta': 0.2}",
    "print('eta is', shown.values['eta'])",
]


@pytest.fixture
def lab(tmp_path):
    """Start a JupyterLab with the chapter up to its first figure, and a few cells more; return its address."""
    notebook = nbformat.read(figures.ROOT / "book" / "gda.ipynb", as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    first = next(k for k, cell in enumerate(code) if figures.simulation(cell.source) == NAME)
    notebook.cells = [*code[: first + 1], *map(nbformat.v4.new_code_cell, MORE)]
    nbformat.write(notebook, tmp_path / "figure.ipynb")
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


def readouts(**values):
    """What the chapter's figure reads at these control values, by the library."""
    explorer = figures.get(NAME)
    result = explorer.run(**values)
    return [readout.text(result) for readout in explorer.view.readouts]


def test_in_jupyterlab_the_kernel_and_the_browser_run_the_chapters_figure(browser, lab):
    page = browser.new_page(viewport={"width": 1300, "height": 1800})
    problems = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(lab)
    page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=90_000)

    def run_cell(k):
        page.locator(".jp-CodeCell .cm-content").nth(k).click()  # a figure's use makes its cell active
        page.evaluate("jupyterapp.commands.execute('notebook:run-cell')")

    page.wait_for_timeout(1500)
    run_cell(0)
    run_cell(1)
    figure = page.locator(".gansde-live").first
    figure.scroll_into_view_if_needed(timeout=90_000)  # a figure starts when it comes into sight
    spans = figure.locator(".gansde-readouts > span")
    expect(spans).to_have_text(readouts(), timeout=90_000)
    slider = figure.get_by_role("slider", name="rate η")
    for engine in ("CPU", "this browser"):
        figure.get_by_role("radio", name=engine).check()
        for key, eta in (("End", 2.5), ("Home", 0.01)):
            slider.press(key)
            expect(spans).to_have_text(readouts(eta=eta), timeout=30_000)
    run_cell(2)
    second = page.locator(".gansde-live").nth(1)
    second.scroll_into_view_if_needed(timeout=90_000)
    spans = second.locator(".gansde-readouts > span")
    expect(spans).to_have_text(readouts(), timeout=30_000)
    run_cell(3)  # sets a value from Python
    expect(spans).to_have_text(readouts(eta=0.2), timeout=30_000)
    second.get_by_role("slider", name="rate η").press("End")
    expect(spans).to_have_text(readouts(eta=2.5), timeout=30_000)
    run_cell(4)  # reads it in Python
    expect(page.locator(".jp-OutputArea-output", has_text="eta is 2.5")).to_be_visible(timeout=30_000)
    page.close()
    assert not problems
