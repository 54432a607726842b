"""Compute all evidence again, from nothing, and compare it with what the notebooks hold: `python tools/replicate.py`.

Every notebook that records evidence runs in a new kernel, without stored results and without stored programs, and
its file stays as it is. The two files of longer studies that pages read, `book/data/*.npz`, are computed again with
`--data`, which takes a quarter of an hour. Printed are a line for each page and for each row that changed;
`_build/replication.json` holds all rows. A claim that does not hold, a verdict that changed, a row that is missing and
a page that stops are failures.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import nbformat
import notebooks
from nbclient.exceptions import CellExecutionError, DeadKernelError
from tqdm import tqdm

ROOT = Path(__file__).resolve().parent.parent
MIME = "application/vnd.gansde.evidence+json"
DATA = ("gansde_lib.phases.sweeps", "benchmarks.critical_data")


def records(notebook):
    """Return the records of a notebook by name, the parts of a replication as `NAME / PART` besides it."""
    bundles = [output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", [])]
    found = {}
    for row in (bundle[MIME] for bundle in bundles if MIME in bundle):
        found[row["name"]] = row
        found |= {f"{row['name']} / {part['name']}": part for part in row.get("parts", [])}
    return found


def with_evidence(folder):
    """Return the notebooks below a folder that hold evidence."""
    return [path for path in notebooks.below(folder) if records(nbformat.read(path, as_version=4))]


def replicate(path):
    """Run a notebook and return (seconds, what stopped it or None, stored records, records found)."""
    stored, start, stopped = nbformat.read(path, as_version=4), time.monotonic(), None
    empty = nbformat.from_dict(stored)
    for cell in empty.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    before = records(stored)
    try:
        notebooks.execute(empty, path.parent)
    except CellExecutionError as error:
        stopped = f"{error.ename}: {error.evalue}"
    except (DeadKernelError, TimeoutError) as error:
        stopped = str(error)
    return time.monotonic() - start, stopped, before, records(empty)


def compared(before, after):
    """Yield a row for every record that is stored or was found.

    >>> row = {"measured": 1.0, "verdict": "holds", "device": "cpu"}
    >>> [found["change"] for found in compared({"a": row, "b": row}, {"a": row | {"measured": 1.1}})]
    ['measured', 'missing']
    """
    for name in {**before, **after}:
        old, new = before.get(name), after.get(name)
        row = {"verdict": None, "device": None, **(new or {}), "stored": old, "change": None}
        row |= {"name": name, "part": " / " in name}
        if old is None or new is None:
            row["change"] = "missing" if new is None else "new"
        elif old["verdict"] != new["verdict"]:
            row["change"] = "verdict"
        elif "parts" not in new and f"{old['measured']:.6g}" != f"{new['measured']:.6g}":
            row["change"] = "measured"  # in six digits: what lies behind them differs between machines
        yield row


def failed(row):
    """Return whether a row is a failure: a claim of the book must hold, a work's verdict must be the stored one."""
    return row["change"] in ("missing", "verdict") or not (row["part"] or "parts" in row or row["verdict"] == "holds")


def told(row):
    """Return one line on a row that changed or failed."""
    if row["change"] == "missing":
        return f"{row['name']}: was not recorded"
    if "parts" in row:
        return f"{row['name']}: {row['verdict']}" + (f", was {row['stored']['verdict']}" if row["stored"] else ", new")
    before = f"{row['stored']['measured']:.6g} ({row['stored']['verdict']})" if row["stored"] else "nothing"
    limits = f"predicted {row['relation']} {row['predicted']:.6g}, tolerance {row['tolerance']:.2g}"
    return f"{row['name']}: {before} -> {row['measured']:.6g} ({row['verdict']}); {limits}"


def line(name, rows, seconds):
    """Return the summary line of a page or of the whole."""
    whole = [row for row in rows if not row["part"]]
    verdicts = ", ".join(f"{count} {word or 'missing'}" for word, count in Counter(r["verdict"] for r in whole).items())
    devices = "+".join(sorted({row["device"] for row in rows if row["device"]})) or "-"
    changed = sum(row["change"] is not None for row in rows)
    return f"{name:42} {len(whole):5} {changed:8} {devices:7} {seconds:8.0f}  {verdicts}"


def main(arguments=None):
    """Run the pages that were named, or all, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebooks", nargs="*", type=Path, help="all that hold evidence, if none is named")
    parser.add_argument("--jobs", type=int, default=1, help="pages at a time; each uses all cores by itself")
    parser.add_argument("--data", action="store_true", help="first write book/data/*.npz again")
    parser.add_argument("--output", type=Path, default=ROOT / "_build" / "replication.json")
    chosen = parser.parse_args(arguments)
    paths = [path.resolve() for path in chosen.notebooks] or with_evidence(ROOT / "book")
    pages = {}
    for module in DATA if chosen.data else ():
        subprocess.run([sys.executable, "-m", module], cwd=ROOT, check=True)
    with tempfile.TemporaryDirectory() as programs:
        os.environ |= {"JAX_COMPILATION_CACHE_DIR": programs, "GANSDE_PROGRESS": "0"}
        with ThreadPoolExecutor(chosen.jobs) as pool, tqdm(total=len(paths), unit="page") as bar:
            waiting = {pool.submit(replicate, path): path for path in paths}
            for done in as_completed(waiting):
                pages[waiting[done]] = done.result()
                bar.set_postfix_str(waiting[done].stem)
                bar.update()
    report, complaints, total = [], [], 0.0
    print(f"{'page':42} {'rows':>5} {'changed':>8} {'device':7} {'seconds':>8}  verdicts")
    for path in paths:
        seconds, stopped, before, after = pages[path]
        name = path.relative_to(ROOT).with_suffix("").as_posix() if path.is_relative_to(ROOT) else path.stem
        rows = [{"page": name, **row} for row in compared(before, after)]
        print(line(name, rows, seconds))
        complaints += [f"{name} stopped: {stopped}"] * (stopped is not None)
        complaints += [f"{name}: {told(row)}" for row in rows if failed(row)]
        report += rows
        total += seconds
    print(line("all", report, total))
    for row in report:
        if row["change"] and not failed(row):
            print(f"changed  {row['page']}: {told(row)}")
    for complaint in complaints:
        print(f"FAILED   {complaint}")
    chosen.output.parent.mkdir(parents=True, exist_ok=True)
    chosen.output.write_text(json.dumps({"failures": complaints, "rows": report}, indent=1, ensure_ascii=False) + "\n")
    print(f"{len(complaints)} failures; all rows are in {chosen.output}")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
