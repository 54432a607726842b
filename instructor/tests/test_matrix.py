"""The grading matrix: what honest, broken and hostile hand-ins get, see, and leave behind."""

import csv
import json
from pathlib import Path

import pytest

from instructor import grade
from instructor.bubblewrap import problem
from instructor.master import read
from instructor.sandbox import Limits
from instructor.tests import hand_ins

HERE = Path(__file__).parent
MASTER = read(HERE / "small.md")
LIMIT = 5
pytestmark = pytest.mark.skipif(problem() is not None, reason="no sandbox; run: python -m instructor.bubblewrap")


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Grade the class once, two hand-ins at a time, and return the folder of results."""
    folder = tmp_path_factory.mktemp("class")
    hand_ins.write(MASTER, folder)
    out = tmp_path_factory.mktemp("results")
    failed = grade.grade("small", folder, out, jobs=2, limits=Limits(cell=LIMIT, total=120), masters=HERE)
    assert failed == {}
    return out


def record(results, name):
    """Return the record of the hand-in `name`."""
    return json.loads((results / "students" / f"{name}.json").read_text())


def points(results, name):
    """Return the points that the hand-in `name` got by program."""
    return sum(row["points"] for row in record(results, name)["questions"].values())


EXPECTED = {name: row[2] for name, row in hand_ins.ROWS.items() if row[2] is not None} | {
    name: points for name, points in hand_ins.FILES.items() if points is not None
}
HOSTILE = [name for name, row in hand_ins.ROWS.items() if row[2] is None]


@pytest.mark.parametrize("name", EXPECTED)
def test_points_are_exact(results, name):
    assert points(results, name) == EXPECTED[name]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_hand_in_gains_nothing(results, name):
    assert points(results, name) <= hand_ins.WORTH


@pytest.mark.parametrize("name", [*hand_ins.ROWS, *hand_ins.FILES])
def test_feedback_shows_no_secret(results, name):
    page = (results / "feedback" / f"{name}.html").read_text()
    for secret in ("default_rng", "SEED", "emit", "award", "moved_discriminator", "Rubric", "CHECK", "expected ="):
        assert secret not in page


def test_no_file_of_ours_was_read(results):
    text = json.dumps(record(results, "reads_files")["cells"])
    assert "ALL READ" in text and "FOUND" not in text, text
    assert "/etc/passwd" not in text and "HOSTNAME" not in text


def test_nothing_is_left_running(results):
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            assert b"98765" not in path.read_bytes(), f"{path} outlived its run"
        except OSError:
            continue


def test_table_of_grades(results):
    with open(results / "grades.csv", newline="") as file:
        rows = {row["student"]: row for row in csv.DictReader(file)}
    assert set(rows) == {*hand_ins.ROWS, *hand_ins.FILES}
    assert rows["reference"]["total"] == "10" and rows["reference"]["of"] == "12"
    assert rows["reference"]["waits for marks by hand"] == "yes"


def test_remarks_say_what_is_wrong(results):
    wrong = record(results, "wrong")["questions"]
    assert any("theta is wrong: expected" in remark for remark in wrong["step"]["remarks"])
    assert any("opposite sign" in check for check in wrong["drift"]["checks"])
    assert "stopped" in record(results, "loops_in_function")["questions"]["drift"]["remarks"][0]
    assert "`return 1 / 0`" in record(results, "raises")["questions"]["drift"]["remarks"][0]
