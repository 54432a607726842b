"""Run notebooks in place and keep only what belongs into the repository: `python tools/notebooks.py book/gda.ipynb`.

Kept are the printed text, the plain-text form of every result and the evidence records; pictures, HTML,
widget state, timings and the name of the machine's Python are dropped.
"""

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

KEPT = {"text/plain", "application/vnd.gansde.evidence+json"}
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def below(folder):
    """Return the paths of the notebooks below a folder, in order, without those that Jupyter keeps for itself."""
    return sorted(path for path in Path(folder).rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts)


def strip(notebook):
    """Drop in place everything from a notebook that `KEPT` does not name."""
    notebook.metadata = nbformat.from_dict(METADATA)
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({key: value for key, value in cell.metadata.items() if key == "tags"})
        for output in cell.get("outputs", []):
            if "data" in output:
                output["data"] = {mime: value for mime, value in output["data"].items() if mime in KEPT}
                output["metadata"] = {}
    return notebook


def execute(notebook, folder):
    """Execute a notebook in place, with `folder` as its working directory."""
    NotebookClient(
        notebook,
        timeout=600,
        kernel_name="python3",
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(folder)}},
    ).execute()


def run(path):
    """Execute the notebook at `path` in its own folder and write it back, stripped."""
    notebook = nbformat.read(path, as_version=4)
    execute(notebook, path.parent)
    nbformat.write(strip(notebook), path)


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        print(argument, flush=True)
        run(Path(argument))
