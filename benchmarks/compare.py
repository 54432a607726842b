"""Ours beside its peers, on the same work in the same run: `make bench`, or `python -m benchmarks.compare [topic ...]`.

Every form of a work lives in a process that stays: one with default settings, one with the opt-in compiler flags, one
for what is not compiled by XLA, whose threads would disturb. All forms must give the same answer first. Then each is
timed in turn, round after round, so that what else the machine does falls on all of them. A ratio is the median over
rounds of the ratio of throughputs within a round; compilation and the first call are timed apart.
"""

import argparse
import datetime
import importlib
import importlib.metadata
import json
import os
import platform
import re
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from benchmarks.workers import Worker, busy_seconds, wait_for_quiet

RESULTS = Path(__file__).parent / "results"
TOPICS = ("paths", "descent_ascent", "maps", "kernels", "networks", "density")
PACKAGES = ("jax", "jaxlib", "numpy", "scipy", "numba", "diffrax", "optax", "torch", "torchsde")


class Form(NamedTuple):
    """One way to do a piece of work.

    `make()` imports what it needs and returns `run`; `run()` does the whole work once, blocks until it is done and
    returns its result as NumPy arrays. `amount` is the work of one run in the work's unit: a slow peer may do less.
    `xla` says that a peer is compiled by XLA, and so tried with the opt-in flags and on a GPU too.
    """

    make: Callable
    amount: float
    xla: bool = False


class Work(NamedTuple):
    """A piece of work: `check({"ours": result, peer: result, ...})` raises `AssertionError` unless all did the same.

    `targets` are ratios to reach, by peer: with default settings and with the opt-in flags, None where there is none.
    `bound` says what bounds this work on a CPU; `limit` is that bound where it was worked out, in units a second and
    core of the machine of the first table in the book.
    """

    name: str
    unit: str
    ours: Form
    peers: dict[str, Form]
    check: Callable
    targets: dict[str, tuple]
    bound: str
    limit: float | None = None


def measure(workers, topic, work, rounds):
    """Return what was measured of a work, as it is stored: see `record`."""
    on_gpu = "flags" not in workers
    forms, results, left_out = {}, {}, {}
    for worker in workers.values():
        worker.ask("forget")
    for peer, form in {"ours": work.ours, **work.peers}.items():
        compiled = peer == "ours" or form.xla
        for setting in [name for name in workers if (name != "peers") == compiled]:
            try:
                results[peer, setting], amount, first = workers[setting].ask("make", topic, work.name, peer)
            except ImportError as error:
                left_out[peer] = str(error)
                continue
            times = {"seconds": [], "processor": [], "others": []}
            forms[peer, setting] = {"form": peer, "setting": setting, "amount": amount, "first": first, **times}
        if not compiled and on_gpu:
            left_out[peer] = "runs on the CPU"
    for setting in {setting for peer, setting in results if peer == "ours"}:
        # A peer's result is that under the same flags, else its only one.
        same = {peer: result for (peer, at), result in results.items() if at in ("peers", "default", setting)}
        same |= {peer: result for (peer, at), result in results.items() if at == setting}
        work.check(same)
    results.clear()
    for _ in range(rounds):
        for (peer, setting), form in forms.items():
            wait_for_quiet()
            begin = busy_seconds()
            seconds, processor, times = workers[setting].ask("time", peer)
            form["seconds"].append(seconds)
            form["processor"].append(processor)
            form["others"].append(max(0.0, (busy_seconds() - begin - processor * times) / (seconds * times)))
    return record(work, list(forms.values()), left_out)


def record(work, forms, left_out):
    """Return the JSON form of a measured work: timings of all forms, and the ratios made of them."""
    versions = {name: version for name in PACKAGES if (version := version_of(name))}
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    ratios = [row for peer in work.peers for row in compared(forms, peer, work.targets.get(peer, (None, None)))]
    facts = {"name": work.name, "unit": work.unit, "bound": work.bound, "limit": work.limit}
    return {**facts, "date": now, "versions": versions, "left_out": left_out, "ratios": ratios, "forms": forms}


def version_of(package):
    """Return an installed package's version, or None."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def compared(forms, peer, targets):
    """Return the rows "ours over a peer": one for each setting of ours.

    With the opt-in flags, a peer that XLA compiles is taken as it is faster, with them or without.

    >>> ours = dict(form="ours", setting="default", amount=10, seconds=[1, 2, 1], processor=[1, 1, 1])
    >>> theirs = dict(form="numpy", setting="peers", amount=5, seconds=[1, 4, 3], processor=[1, 2, 3])
    >>> [row] = compared([ours, theirs], "numpy", (5, 10))
    >>> row["median"], row["least"], row["most"], row["processor"], row["target"]
    (4.0, 2.0, 6.0, 4.0, 5)
    """
    rows = []
    for ours in [form for form in forms if form["form"] == "ours"]:
        theirs = [form for form in forms if form["form"] == peer and form["setting"] in ("peers", "default")]
        if ours["setting"] == "flags":
            theirs += [form for form in forms if form["form"] == peer and form["setting"] == "flags"]
        if not theirs:
            continue
        best = max(theirs, key=lambda form: form["amount"] / statistics.median(form["seconds"]))
        share = ours["amount"] / best["amount"]
        of = {
            clock: [share * slow / fast for slow, fast in zip(best[clock], ours[clock], strict=True)]
            for clock in ("seconds", "processor")
        }
        wall, processor = of["seconds"], statistics.median(of["processor"])
        row = {"peer": peer, "setting": ours["setting"], "median": statistics.median(wall), "least": min(wall)}
        rows.append({**row, "most": max(wall), "processor": processor, "target": targets[ours["setting"] == "flags"]})
    return rows


def verdict(row):
    """Return in words how a ratio stands to its target."""
    if row["target"] is None:
        return "no target"
    share = row["median"] / row["target"]
    return "reached" if share >= 1 else f"missed by {100 * (1 - share):.2g} %"


def lines(found):
    """Yield the lines that the terminal shows of a measured work."""
    yield f"\n{found['name']}"
    for form in found["forms"]:
        rate = form["amount"] / statistics.median(form["seconds"])
        after = f"first call {form['first']:.2f} s, others used {statistics.median(form['others']):.1f} cores"
        yield f"  {form['form']:28} {form['setting']:8} {rate:9.3g} {found['unit']}/s; {after}"
    for row in found["ratios"]:
        target = f"target {row['target']:g}: {verdict(row)}" if row["target"] else "no target"
        spread = f"[{row['least']:.3g} .. {row['most']:.3g}]"
        yield f"  ours / {row['peer']:21} {row['setting']:8} {row['median']:9.3g} {spread:18} {target}"
    for peer, why in found["left_out"].items():
        yield f"  {peer:28} left out: {why}"


def store(path, machine, found):
    """Put a measured work into the file of its machine, in place of an older measurement of the same work."""
    kept = json.loads(path.read_text())["works"] if path.exists() else []
    names = [work["name"] for work in kept]
    works = [found if work["name"] == found["name"] else work for work in kept]
    path.parent.mkdir(exist_ok=True)
    path.write_text(
        json.dumps({**machine, "works": works if found["name"] in names else [*works, found]}, indent=1) + "\n"
    )


def processor_name():
    """Return what the machine calls its processor."""
    info = Path("/proc/cpuinfo")
    named = re.search(r"model name\s*: (.*)", info.read_text()) if info.exists() else None
    return named[1].strip() if named else platform.processor() or platform.machine()


def main(topics, rounds=5, folder=RESULTS):
    """Measure all works of some topics, print and store the results; return how many failed their check."""
    from gansde_lib.simulate.options import FAST_FLAGS  # here: the processes of the peers do without the library

    workers, failed = {"default": Worker("")}, []
    try:
        machine = workers["default"].ask("about")
        if machine["platform"] == "cpu":
            workers |= {"flags": Worker(FAST_FLAGS), "peers": Worker("")}
            cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
            machine |= {"device": f"{processor_name()}, {cores} core{'s' * (cores > 1)}", "cores": cores}
        machine |= {"flags": FAST_FLAGS, "python": platform.python_version()}
        path = folder / (re.sub(r"\W+", "-", re.sub(r"\(\w+\)", "", machine["device"])).lower() + ".json")
        print(machine["device"])
        for topic in topics:
            for work in importlib.import_module(topic).WORKS:
                try:
                    found = measure(workers, topic, work, rounds)
                except (AssertionError, ImportError, RuntimeError) as error:
                    failed.append(work.name)
                    print(f"\n{work.name}\n  FAILED, not timed: {error}", flush=True)
                    continue
                print(*lines(found), sep="\n", flush=True)
                store(path, machine, found)
    finally:
        for worker in workers.values():
            worker.close()
    return len(failed)


if __name__ == "__main__":
    there = [topic for topic in TOPICS if Path(__file__).with_name(f"{topic}.py").exists()]
    parser = argparse.ArgumentParser(description="Compare the library with its peers.")
    parser.add_argument("topics", nargs="*", default=there, help=f"some of {', '.join(there)}; all by default")
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    sys.exit(main([f"benchmarks.{topic}" for topic in chosen.topics], chosen.rounds))
