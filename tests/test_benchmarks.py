"""Benchmarks: statistics on known timings, results read back, and every form of a work gives the same answer.

Peers that are not installed are left out: the tests need NumPy and diffrax only.
"""

import importlib.util
import json
import re

import numpy as np
import pytest

from benchmarks import compare, descent_ascent, maps, path_peers, paths
from conftest import ROOT


def form(peer, setting, seconds, amount=100.0, processor=None):
    """A timed form as the results hold it."""
    rest = {"amount": amount, "first": 3.0, "processor": processor or seconds, "others": [0.0] * len(seconds)}
    return {"form": peer, "setting": setting, "seconds": seconds, **rest}


def test_a_ratio_is_taken_within_rounds_and_per_unit_of_work():
    # The machine is four times slower in the second round, for both: the ratio does not see it.
    ours = form("ours", "default", [1.0, 4.0, 1.0], processor=[2.0, 2.0, 2.0])
    peer = form("numpy", "peers", [3.0, 12.0, 5.0], amount=50.0, processor=[3.0, 3.0, 3.0])
    [row] = compare.compared([ours, peer], "numpy", (5, 10))
    assert (row["median"], row["least"], row["most"]) == (6.0, 6.0, 10.0)
    assert (row["processor"], row["target"], row["setting"]) == (3.0, 5, "default")


def test_a_peer_that_xla_compiles_is_taken_as_it_is_faster():
    ours = [form("ours", "default", [4.0] * 3), form("ours", "flags", [1.0] * 3)]
    slow, fast = form("diffrax", "default", [8.0] * 3), form("diffrax", "flags", [2.0] * 3)
    rows = {row["setting"]: row for row in compare.compared([*ours, slow, fast], "diffrax", (3, 4))}
    assert (rows["default"]["median"], rows["default"]["target"]) == (2.0, 3)
    assert (rows["flags"]["median"], rows["flags"]["target"]) == (2.0, 4)
    rows = compare.compared([*ours, slow, form("diffrax", "flags", [9.0] * 3)], "diffrax", (3, 4))
    assert [row["median"] for row in rows] == [2.0, 8.0]


@pytest.mark.parametrize(
    ("median", "target", "words"),
    [(10.0, 10, "reached"), (7.5, 10, "missed by 25 %"), (9.96, 10, "missed by 0.4 %"), (3.0, None, "no target")],
)
def test_verdicts(median, target, words):
    assert compare.verdict({"median": median, "target": target}) == words


TOPIC = """
import time
import numpy as np
from benchmarks.compare import Form, Work

def form(value, seconds, amount):
    def make():
        def run():
            time.sleep(seconds)
            return np.float32(value)
        return run
    return Form(make, amount)

def absent():
    import no_such_package

def check(results):
    assert len(set(map(float, results.values()))) == 1, "different answers"

def work(name, theirs):
    peers = {"slow": form(theirs, 0.08, 1.0), "absent": Form(absent, 1.0)}
    return Work(name, "sums", form(1.0, 0.04, 2.0), peers, check, {"slow": (2, 100)}, "Sleep.")

WORKS = [work("right", 1.0), work("wrong", 1.5)]
"""


def test_a_run_in_processes(tmp_path, monkeypatch, capsys):
    """Ours does twice the work in half the time; one peer is missing; the second work has a wrong answer."""
    (tmp_path / "topic_for_tests.py").write_text(TOPIC)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert compare.main(["topic_for_tests"], rounds=2, folder=tmp_path / "results") == 1
    [path] = (tmp_path / "results").iterdir()
    stored = json.loads(path.read_text())
    assert [work["name"] for work in stored["works"]] == ["right"]
    [work] = stored["works"]
    assert {(timed["form"], timed["setting"]) for timed in work["forms"]} == {
        ("ours", "default"),
        ("ours", "flags"),
        ("slow", "peers"),
    }
    assert all(len(timed["seconds"]) == 2 for timed in work["forms"])
    assert [(row["peer"], row["setting"]) for row in work["ratios"]] == [("slow", "default"), ("slow", "flags")]
    # A sleep lasts at least as long as asked for, and what it lasts longer differs: 4 but for that.
    assert all(1 < row["median"] < 16 for row in work["ratios"])
    assert work["left_out"] == {"absent": "No module named 'no_such_package'"}
    printed = capsys.readouterr().out
    assert "wrong\n  FAILED, not timed: different answers" in printed and "left out: No module named" in printed
    assert re.search(r"ours / slow +flags .* target 100: missed by \d+ %", printed)

    compare.store(path, {"device": "another"}, {**work, "unit": "again"})
    compare.store(path, {"device": "another"}, {**work, "name": "new"})
    read = json.loads(path.read_text())
    assert [(work["name"], work["unit"]) for work in read["works"]] == [("right", "again"), ("new", "sums")]
    assert read["device"] == "another"


@pytest.mark.parametrize("path", sorted(compare.RESULTS.glob("*.json")), ids=lambda path: path.stem)
def test_stored_ratios_are_those_of_the_stored_timings(path):
    stored = json.loads(path.read_text())
    assert {"device", "platform", "flags", "python", "works"} <= set(stored)
    for work in stored["works"]:
        for peer in {row["peer"] for row in work["ratios"]}:
            rows = [row for row in work["ratios"] if row["peer"] == peer]
            targets = [
                next((row["target"] for row in rows if row["setting"] == at), None) for at in ("default", "flags")
            ]
            assert compare.compared(work["forms"], peer, targets) == rows
        assert all(len(timed["seconds"]) >= 5 for timed in work["forms"])


def test_peers_are_pinned():
    lines = (ROOT / "benchmarks" / "requirements.txt").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert pins and all(re.fullmatch(r"[\w-]+==[\d.]+", pin) for pin in pins)


@pytest.fixture(autouse=True)
def no_progress_bar(monkeypatch):
    monkeypatch.setenv("GANSDE_PROGRESS", "0")


def results_of(forms, needs):
    """Make and run the forms whose packages are there."""
    there = {name: made for name, made in forms.items() if importlib.util.find_spec(needs.get(name, "numpy"))}
    return {name: made.make()() for name, made in there.items()}


def test_paths_agree():
    """Four thousand paths of 100 steps: a noise that is 30 % too strong is refused."""
    size, steps = path_peers.CHUNK, 100
    forms = {
        "ours": paths.ours(2, size=size, steps=steps),
        "numpy": path_peers.numpy_chunked(size, steps),
        "diffrax ensemble": path_peers.diffrax_euler(2, size, together=True, steps=steps),
        "torchsde": path_peers.torchsde_euler(2, size, steps),
    }
    results = results_of(forms, {"torchsde": "torchsde"})
    assert all(len(result) == size for result in results.values())
    paths.same_moments(results)
    middle = results["numpy"].mean(0)
    with pytest.raises(AssertionError, match="of numpy is"):
        paths.same_moments({**results, "numpy": middle + 1.3 * (results["numpy"] - middle)})
    two = paths.ours(2, "two-point", size=size, steps=steps).make()()
    paths.same_moments({"ours": two, "numpy": results["numpy"]}, bias=0.003)


def test_coupled_paths_agree():
    size, steps = 2048, 50
    forms = {
        "ours": paths.ours(20, size=size, steps=steps),
        "diffrax vmap": path_peers.diffrax_euler(20, size, together=False, steps=steps),
        "torchsde": path_peers.torchsde_euler(20, size, steps),
    }
    results = results_of(forms, {"torchsde": "torchsde"})
    paths.same_moments(results)
    with pytest.raises(AssertionError, match="of diffrax vmap is"):
        paths.same_moments({**results, "diffrax vmap": results["diffrax vmap"][:, ::-1]})


def test_descent_ascent_agrees():
    size, steps = path_peers.CHUNK, 50
    forms = {
        "ours": descent_ascent.ours(size, steps),
        "numpy": descent_ascent.numpy_chunked(size, steps),
        "torch": descent_ascent.torch_eager(size, steps),
    }
    results = results_of(forms, {"torch": "torch"})
    assert results["ours"]["mean"].shape == (steps + 1, 5)
    descent_ascent.same_averages(results)
    late = {**results["numpy"], "mean": np.roll(results["numpy"]["mean"], 1, 0)}
    with pytest.raises(AssertionError, match="numpy is up to"):
        descent_ascent.same_averages({**results, "numpy": late})


def test_maps_agree():
    """Cells of a small map, a few hundred steps."""
    side, steps = 32, 300
    forms = {"ours": maps.ours(side, steps), "numpy": maps.numpy_chunked(side, steps)}
    forms["C"] = maps.hand_written_c(side, steps)
    try:
        results = results_of(forms, {})
    except ImportError:  # no gcc
        results = results_of({name: forms[name] for name in ("ours", "numpy")}, {})
    maps.same_map(results)
    with pytest.raises(AssertionError, match=r"numpy is up to a factor of 1\.01"):
        maps.same_map({**results, "numpy": results["numpy"] * np.where(np.arange(side**2) == 500, 1.01, 1)})
    # One step fewer is seen as well.
    with pytest.raises(AssertionError, match="numpy is up to"):
        maps.same_map({**results, "numpy": maps.numpy_chunked(side, steps - 1).make()()})
