"""nbgrader gives the scores of our grader: runs where the variable NBGRADER names its executable.

`python -m venv nbgrader && nbgrader/bin/pip install nbgrader==0.9.6`, then `NBGRADER=$PWD/nbgrader/bin/nbgrader`.
"""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from instructor import build, nbgrader_source
from instructor.master import read
from instructor.tests import hand_ins

NBGRADER = os.environ.get("NBGRADER")
MASTER = read(Path(__file__).parent / "small.md")
STUDENTS = ("reference", "empty", "wrong", "partial")


def test_source_has_every_point():
    cells = nbgrader_source.source(MASTER).cells
    graded = [cell.metadata.nbgrader for cell in cells if cell.metadata.get("nbgrader", {}).get("grade")]
    assert sum(cell["points"] for cell in graded) == MASTER.points == 12
    assert len({cell["grade_id"] for cell in graded}) == len(graded)


@pytest.mark.skipif(NBGRADER is None, reason="NBGRADER names no executable of nbgrader")
def test_scores_agree(tmp_path):
    kernel = tmp_path / "jupyter" / "kernels" / "python3"
    kernel.mkdir(parents=True)
    line = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (kernel / "kernel.json").write_text(json.dumps({"argv": line, "display_name": "Python 3", "language": "python"}))
    environment = {
        "PATH": f"{Path(NBGRADER).parent}:{os.environ['PATH']}",  # nbgrader calls alembic
        "HOME": str(tmp_path),
        "JUPYTER_PATH": str(tmp_path / "jupyter"),
        "PYTHONPATH": str(build.ROOT),
        "JAX_PLATFORMS": "cpu",
    }

    def nbgrader(*arguments):
        done = subprocess.run([NBGRADER, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-4000:]

    build.write(nbgrader_source.source(MASTER), tmp_path / "source" / "small" / "small.ipynb")
    nbgrader("generate_assignment", "small", "--create")
    released = (tmp_path / "release" / "small" / "small.ipynb").read_text()
    for secret in ("moved_discriminator", "default_rng(SEED", "Rubric"):
        assert secret not in released
    for student in STUDENTS:
        made = nbformat.reads(released, as_version=4)
        for cell in made.cells:
            if cell.metadata.get("tags") == ["answer"] and cell.metadata.q in hand_ins.ROWS[student][0]:
                cell.source = hand_ins.ROWS[student][0][cell.metadata.q]
        build.write(made, tmp_path / "submitted" / student / "small" / "small.ipynb")
    nbgrader("autograde", "small")
    nbgrader("export", "--to", "grades.csv")
    with open(tmp_path / "grades.csv", newline="") as file:
        scores = {row["student_id"]: float(row["score"]) for row in csv.DictReader(file)}
    assert scores == {student: hand_ins.ROWS[student][2] for student in STUDENTS}
