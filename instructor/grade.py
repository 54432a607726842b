"""Grade a folder of hand-ins: `python -m instructor.grade games hand-ins/ --out results/`.

A hand-in is STUDENT.ipynb, a file as Canvas names it, or the notebook in a folder STUDENT/. Run it again after an
interruption or for late hand-ins: who is finished, with the same file and the same master, is kept.
"""

import argparse
import hashlib
import json
import multiprocessing
import os
import re
import signal
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from instructor import attempt, gradebook
from instructor.bubblewrap import HELP, problem
from instructor.build import MASTERS
from instructor.master import read
from instructor.sandbox import Limits, Session

LARGEST = 50_000_000  # bytes of a hand-in; a notebook with pictures has a few
FROM_CANVAS = re.compile(r".+?_(?:LATE_)?(\d+)_(\d+)_.+")
_checker = None


def hand_ins(folder, name):
    """Return the file of each student in `folder`; a ValueError names a student whose file is not clear."""
    found = {}
    for path in sorted(Path(folder).iterdir()):
        if path.name.startswith((".", "__")):
            continue
        if path.is_dir():
            own = sorted(file for file in path.rglob("*.ipynb") if ".ipynb_checkpoints" not in file.parts)
            own = [file for file in own if file.stem == name] or own
            if len(own) > 1:
                raise ValueError(f"{path} holds {len(own)} notebooks; expected one, or one called {name}.ipynb")
            order, student, files = 0, path.name, own
        elif path.suffix == ".ipynb":
            canvas = FROM_CANVAS.fullmatch(path.stem)
            order, student, files = (int(canvas[2]), canvas[1], [path]) if canvas else (0, path.stem, [path])
        else:
            continue
        student = re.sub(r"[^\w.@+-]", "_", student)
        for file in files:
            # Of several hand-ins through Canvas the latest counts.
            if student in found and found[student][0] == order:
                raise ValueError(f"{student} has two hand-ins: {found[student][1]} and {file}; expected one")
            if student not in found or order > found[student][0]:
                found[student] = (order, file)
    if not found:
        raise ValueError(f"{folder} holds no hand-in; expected STUDENT.ipynb or STUDENT/{name}.ipynb")
    return {student: file for student, (_, file) in found.items()}


def digest(*texts):
    """Return a short hash of `texts`."""
    return hashlib.sha256(b"\0".join(texts)).hexdigest()[:16]


def prepare(path):
    """Read the master once in each process of the pool; at an interrupt the process ends without a word."""
    global _checker
    signal.signal(signal.SIGINT, lambda *_: os._exit(1))
    _checker = attempt.Checker(read(path))


def one(student, file, mark, out, seed, limits, sandboxed):
    """Grade one hand-in and write its record; return the student's name."""
    data = file.read_bytes() if file.stat().st_size <= LARGEST and file.is_file() else b""
    master = _checker.master
    record = attempt.grade(data.decode(errors="replace"), master, _checker, seed, limits, sandboxed)
    record |= {"student": student, "title": master.title, "mark": mark}
    path = out / "students" / f"{student}.json"
    part = path.with_suffix(".part")
    part.write_text(json.dumps(record, indent=1))
    os.replace(part, path)
    return student


def grade(name, folder, out, jobs=None, limits=None, sandboxed=True, seed=None, masters=MASTERS, roster=None):
    """Grade the class in `folder` into `out`; return the students that could not be graded, with the reason."""
    path, out = Path(masters) / f"{name}.md", Path(out)
    files, limits = hand_ins(folder, name), limits or Limits()
    (out / "students").mkdir(parents=True, exist_ok=True)
    Session(limits, sandboxed).close()  # says at once what is wrong with this machine
    todo = {}
    for student, file in files.items():
        mark = digest(file.read_bytes(), path.read_bytes())
        done = out / "students" / f"{student}.json"
        if not done.exists() or json.loads(done.read_text())["mark"] != mark:
            todo[student] = (file, mark)
    failed = {}
    context = multiprocessing.get_context("spawn")
    with (
        ProcessPoolExecutor(jobs or os.cpu_count(), mp_context=context, initializer=prepare, initargs=(path,)) as pool,
        tqdm(
            total=len(files),
            initial=len(files) - len(todo),
            unit="hand-in",
            disable=os.environ.get("GANSDE_PROGRESS") == "0",
        ) as bar,
    ):
        running = {
            pool.submit(one, student, file, mark, out, seed, limits, sandboxed): student
            for student, (file, mark) in todo.items()
        }
        try:
            for future in as_completed(running):
                if future.exception():
                    failed[running[future]] = repr(future.exception())
                bar.update()
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    gradebook.write_all(read(path), out, roster)
    return failed


def main(arguments=None):
    """Grade what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", help="the assignment, such as games")
    parser.add_argument("folder", type=Path, help="the hand-ins")
    parser.add_argument("--out", type=Path, default=Path("results"), help="where results go (default: results)")
    parser.add_argument("--jobs", type=int, help="hand-ins at a time (default: one per core)")
    parser.add_argument(
        "--cell-limit", type=float, default=Limits.cell, help="seconds for a cell (default: %(default)g)"
    )
    parser.add_argument(
        "--total-limit", type=float, default=Limits.total, help="seconds for a hand-in (default: %(default)g)"
    )
    parser.add_argument(
        "--memory", type=float, default=Limits.memory / 1e9, help="GB for a hand-in (default: %(default)g)"
    )
    parser.add_argument("--seed", type=int, help="the same inputs for everybody (default: drawn anew for each hand-in)")
    parser.add_argument("--roster", type=Path, help="a gradebook exported from Canvas: writes canvas.csv")
    parser.add_argument(
        "--no-sandbox", action="store_true", help="no bubblewrap: only in a container that holds no secret"
    )
    parser.add_argument("--masters", type=Path, default=MASTERS, help="where the masters lie")
    options = parser.parse_args(arguments)
    if not options.no_sandbox and (found := problem()):
        sys.exit(f"{found}. {HELP}")
    limits = replace(Limits(), cell=options.cell_limit, total=options.total_limit, memory=int(options.memory * 1e9))
    try:
        failed = grade(
            options.name,
            options.folder,
            options.out,
            options.jobs,
            limits,
            not options.no_sandbox,
            options.seed,
            options.masters,
            options.roster,
        )
    except KeyboardInterrupt:
        done = len([*(options.out / "students").glob("*.json")])
        sys.exit(f"Interrupted with {done} hand-ins graded. The same command goes on with the others.")
    for student, reason in failed.items():
        print(f"{student} was not graded: {reason}", file=sys.stderr)
    print(f"Grades: {options.out / 'grades.csv'}; feedback: {options.out / 'feedback'}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
