"""The notebooks as any program shows them, for Colab, Binder and the zip: `python tools/plain_notebooks.py FOLDER`.

The sources keep MyST's directives, which only the book and JupyterLab with an extension understand. Here they become
plain Markdown (`plain_markdown`), the code stays as it is, and a first cell installs what is missing. The library's
wheel and the stored data lie beside the notebooks, so that the folder needs nothing but Python and JAX.
"""

import re
import shutil
import sys
from pathlib import Path

import nbformat

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT)] * (str(ROOT) not in sys.path)

from tools import library_wheel, notebooks, plain_labels  # noqa: E402 (found on the path that was just set)
from tools import public_repository as public  # noqa: E402
from tools.formats.articles import reading_order  # noqa: E402
from tools.plain_markdown import Plain  # noqa: E402

FOLDERS = ("book", "assignments")
DATA = re.compile(r"""["']([\w-]+\.npz)["']""")
SETUP = """# Set-up: install what is missing, pick the GPU where there is one.
import importlib.util
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

LIBRARY = {library!r}  # where the book's library comes from if no wheel lies here or in a folder above
DATA = {data!r}  # stored results that this notebook reads

if importlib.util.find_spec("gansde_lib") is None:
    wheels = [wheel for folder in (Path.cwd(), *Path.cwd().parents) for wheel in folder.glob("gansde_lib-*.whl")]
    library = str(wheels[0]) if wheels else LIBRARY
    if not library:
        raise ImportError("put gansde_lib-*.whl into the folder of this notebook, then run this cell again")
    gpu = ["jax[cuda12]=={jax}"] if shutil.which("nvidia-smi") else ["jax=={jax}"]
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", library, *gpu], check=True)
for address, name in DATA.items():
    if address and not Path(name).exists():
        Path(name).parent.mkdir(exist_ok=True)
        urllib.request.urlretrieve(address, name)

import jax

print("JAX", jax.__version__, "computes on the", jax.default_backend().upper())"""
GPU = "On Colab a GPU is chosen under Runtime, Change runtime type. No chapter needs one."


def sources(root=ROOT):
    """Return the notebooks of the book and the coursework, relative to `root`."""
    return sorted(path.relative_to(root) for folder in FOLDERS for path in notebooks.below(root / folder))


def plain(notebook, converter, *, setup=True, site=None, jax=""):
    """Return a copy of `notebook` in plain Markdown, with a first cell that prepares it where `setup` asks for it."""
    made = nbformat.from_dict({**notebook, "cells": []})
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for cell in notebook.cells:
        cell = nbformat.from_dict(cell)
        if cell.cell_type == "markdown":
            cell.source = converter.convert(cell.source)
        made.cells.append(cell)
    if converter.cited:
        heading = f"### References\n\n{converter.works.listed(converter.cited)}"
        made.cells.append(nbformat.v4.new_markdown_cell(heading, id="references"))
    if setup and code:
        folder = converter.page.rpartition("/")[0]
        names = sorted({name for cell in code for name in DATA.findall(cell.source)})
        data = {f"{raw(site)}/{folder}/data/{name}": f"data/{name}" for name in names} if site else {}
        text = SETUP.format(library=site.library() if site else "", data=data, jax=jax)
        first = nbformat.v4.new_code_cell(text, id="prepare")
        online = f"This is a chapter of [an online book]({site.pages}/{converter.page}.html). " if site else ""
        made.cells[:0] = [nbformat.v4.new_markdown_cell(f"{online}{GPU}", id="about-this-notebook"), first]
    return made


def raw(site):
    """Return the address under which the plain branch's files are downloaded one by one."""
    return f"https://raw.githubusercontent.com/{site.owner}/{site.name}/{site.notebooks}"


def pinned(package, root=ROOT):
    """Return the version of a package that the book's numbers were computed with."""
    return re.search(rf"^{package}==([\w.]+)", (root / "requirements-kernel.in").read_text(), re.MULTILINE)[1]


def write(folder, site=None, html=ROOT / "_build" / "html", root=ROOT):
    """Write all plain notebooks, the data that they read and the library's wheel into `folder`; return their paths."""
    if not (html / "index.html").is_file():
        raise FileNotFoundError(f"{html}/index.html is not built; run: make html")
    site = site or public.public(root / "_config.yml")
    labels, works = (
        plain_labels.labels(html, [name for name, _ in reading_order(root / "_toc.yml")]),
        plain_labels.Works(root / "references.bib"),
    )
    names, base, jax = sources(root), site.pages if site else "", pinned("jax", root)
    files = {name.as_posix() for name in names}
    for name in names:
        page = name.with_suffix("").as_posix()
        converter = Plain(page, labels, works, base=base, files=files, folder=(root / name).parent)
        notebook = nbformat.read(root / name, as_version=4)
        made = plain(notebook, converter, setup=name.parts[0] == "book", site=site, jax=jax)
        nbformat.validate(made)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(made, folder / name)
    shutil.copytree(root / "book" / "data", folder / "book" / "data", dirs_exist_ok=True)
    built = library_wheel.build(folder)
    shutil.copy(built, folder / "assignments")  # their own set-up looks only beside them
    for name in ("LICENSE", "LICENSE-text"):
        shutil.copy(root / name, folder)
    return names


if __name__ == "__main__":
    print(f"{len(write(Path(sys.argv[1])))} notebooks in {sys.argv[1]}")
