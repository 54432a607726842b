"""A zip for Gradescope's autograder: `python -m instructor.gradescope games games.zip`. Not tried on the service.

Their container is the isolation there: the worker runs in it as another user, without bubblewrap, and the folder with
the master is closed to that user. Inside the container `run_autograder` calls `results` below.
"""

import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from instructor.build import MASTERS, ROOT
from instructor.master import read

SETUP = """#!/usr/bin/env bash
set -e
apt-get update && apt-get install -y python3 python3-venv
python3 -m venv /opt/grader
/opt/grader/bin/pip install --require-hashes -r /autograder/source/requirements.txt
/opt/grader/bin/pip install jupytext=={jupytext} /autograder/source/{wheel}
chmod 700 /autograder/source
"""
RUN = """#!/usr/bin/env bash
cd /autograder/source
/opt/grader/bin/python -m instructor.gradescope --results {name} /autograder/submission /autograder/results/results.json
"""


def write(name, file):
    """Write the zip of the assignment `name`."""
    from importlib.metadata import version

    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        line = [sys.executable, ROOT / "tools" / "library_wheel.py", folder]
        subprocess.run(line, check=True, stdout=subprocess.DEVNULL)
        library = next(Path(folder).glob("*.whl"))
        entries = {
            "setup.sh": SETUP.format(jupytext=version("jupytext"), wheel=library.name).encode(),
            "run_autograder": RUN.format(name=name).encode(),
            "requirements.txt": (ROOT / "binder" / "requirements.txt").read_bytes(),
            library.name: library.read_bytes(),
            f"instructor/assignments/{name}.md": (MASTERS / f"{name}.md").read_bytes(),
        }
        entries |= {f"instructor/{path.name}": path.read_bytes() for path in sorted((ROOT / "instructor").glob("*.py"))}
        for path, data in entries.items():
            entry = zipfile.ZipInfo(path, (2020, 1, 1, 0, 0, 0))
            entry.external_attr, entry.compress_type = 0o755 << 16, zipfile.ZIP_DEFLATED
            made.writestr(entry, data)


def results(name, submission, file, masters=MASTERS):
    """Grade the one notebook in `submission` and write Gradescope's results.json: a test per question."""
    from instructor import attempt

    master = read(Path(masters) / f"{name}.md")
    found = sorted(Path(submission).glob("*.ipynb"))
    text = found[0].read_text(errors="replace") if len(found) == 1 else ""
    record = attempt.grade(text, master, attempt.Checker(master), sandboxed=False)
    tests = []
    for question, row in record["questions"].items():
        if row["of"]:
            said = [*row["remarks"], *(f"self-check: {problem}" for problem in row["checks"] if problem)]
            tests.append({"name": question, "score": row["points"], "max_score": row["of"], "output": "\n".join(said)})
    Path(file).write_text(json.dumps({"tests": tests, "output": record["problem"] or ""}, indent=1))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--results"]:
        results(*sys.argv[2:])
    else:
        write(*sys.argv[1:])
