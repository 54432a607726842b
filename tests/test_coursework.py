"""What students get: notebooks without answers that run from a folder which holds only them and the library."""

import json
import os
import pkgutil
import re
import shutil
import subprocess
import sys
import tomllib

import library_wheel
import nbformat
import pytest
import yaml

import gansde_lib
from conftest import ROOT

ASSIGNMENTS = sorted((ROOT / "assignments").glob("*.ipynb"))
PUBLIC = sorted(module.name for module in pkgutil.iter_modules(gansde_lib.__path__) if not module.name.startswith("_"))


@pytest.mark.parametrize("path", ASSIGNMENTS, ids=lambda path: path.stem)
def test_assignment_has_no_answer(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    tags = [tag for cell in notebook.cells for tag in cell.metadata.get("tags", [])]
    assert set(tags) <= {"locked", "answer", "test", "manual"}
    assert "SOLUTION" not in path.read_text() and "### CHECK" not in path.read_text()
    for cell in notebook.cells:
        assert not cell.get("outputs") and cell.get("execution_count") is None
        if cell.metadata.get("tags") == ["answer"]:
            assert f'raise NotImplementedError("write {cell.metadata.q} here")' in cell.source


def test_contents_list_every_assignment():
    contents = yaml.safe_load((ROOT / "_toc.yml").read_text())
    listed = {chapter["file"] for part in contents["parts"] for chapter in part["chapters"]}
    assert {name for name in listed if name.startswith("assignments/")} == {
        f"assignments/{path.stem}" for path in ASSIGNMENTS
    }


def unnamed():
    """Return the packages of the library that the students' page does not name, as they are imported."""
    page = (ROOT / "book" / "coursework" / "students.md").read_text().lower()
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    names = [re.match(r"[\w-]+", requirement)[0] for requirement in needed]
    return [{"scikit-learn": "sklearn"}.get(name, name) for name in names if name not in page]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder that holds the wheel and every assignment."""
    folder = tmp_path_factory.mktemp("student")
    library_wheel.build(folder)
    for path in ASSIGNMENTS:
        shutil.copy(path, folder)
    return folder


RUN = """
import json, sys, nbformat
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], as_version=4)
first, last = map(nbformat.v4.new_code_cell, sys.argv[2:])
notebook.cells = [first, *notebook.cells, last]
NotebookClient(notebook, timeout=60, kernel_name="python3", allow_errors=True).execute()
outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
print(json.dumps({
    "errors": [f"{output.ename}: {output.evalue}" for output in outputs if output.output_type == "error"],
    "last": notebook.cells[-1].outputs[0].get("text", ""),
}))
"""


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="no bubblewrap to cut the network with")
@pytest.mark.parametrize("name", [path.stem for path in ASSIGNMENTS])
def test_runs_offline_beside_the_wheel(folder, name):
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | {"JAX_PLATFORMS": "cpu"}
    # The library that is installed is hidden, and so is the network.
    where = (
        "import importlib.util as u; s = u.find_spec('gansde_lib'); print(*s.submodule_search_locations if s else ())"
    )
    installed = subprocess.run(
        [sys.executable, "-c", where], cwd=folder, env=environment, capture_output=True, text=True, check=True
    ).stdout.split()
    hidden = [word for path in installed for word in ("--tmpfs", path)]
    line = [
        "bwrap",
        "--dev-bind",
        "/",
        "/",
        "--unshare-net",
        *hidden,
        "--chdir",
        str(folder),
    ]
    # Packages that the page does not name cannot be imported, until the last cell.
    absent = unnamed()
    first = f"import sys\nsys.modules.update(dict.fromkeys({absent}))"
    # Every module once: some read files that lie beside them.
    modules = [f"gansde_lib.{module}" for module in PUBLIC if name == ASSIGNMENTS[0].stem]
    last = f"""
for package in {absent}:
    del sys.modules[package]
import {", ".join(["gansde_lib", *modules])}
print(gansde_lib.__file__)"""
    done = subprocess.run(
        [*line, sys.executable, "-c", RUN, f"{name}.ipynb", first, last],
        capture_output=True,
        text=True,
        env=environment,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert "gansde-wheel-" in found["last"], found
    assert {error.partition(":")[0] for error in found["errors"]} <= {"NotImplementedError", "NameError"}, found[
        "errors"
    ]
