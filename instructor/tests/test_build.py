"""Masters and what is built from them; the guard on the files that anybody may read."""

import json
import subprocess
from pathlib import Path

import nbformat
import pytest

from instructor import build, guard, names, trees, verify
from instructor.master import read

SMALL = Path(__file__).parent / "small.md"


@pytest.fixture
def master():
    """Return the small assignment."""
    return read(SMALL)


def changed(tmp_path, old, new):
    """Return the path of a copy of the small assignment in which `old` is `new`."""
    text = SMALL.read_text()
    assert old in text
    path = tmp_path / "changed.md"
    path.write_text(text.replace(old, new, 1))
    return path


def test_points_by_question(master):
    found = {question: sum(points.values()) for question, points in master.questions.items()}
    assert found == {"step": 3, "drift": 3, "variance": 2, "rate": 2, "claim": 2}


def test_stub_keeps_signature_and_docstring(master):
    stub = next(cell for cell in master.cells if cell.id == "drift-answer").stub
    assert stub == (
        "def drift(theta, omega, eta):\n"
        '    """Return the drift correction of the theta block, a number."""\n'
        '    raise NotImplementedError("write drift here")'
    )


def test_solution_has_no_marks(master):
    text = "".join(cell.solution for cell in master.cells)
    assert "return -scale * eta**2 * theta / 4" in text and "SOLUTION" not in text


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("time: 1\n", "", "lacks time"),
        (":tags: [answer]\n:q: step", ":tags: [solution]\n:q: step", "the tag 'solution'"),
        (":tags: [answer]\n:q: step", ":tags: [answer, locked]\n:q: step", "expected one"),
        (":tags: [answer]\n:q: step\n", ":tags: [answer]\n", "q None"),
        (":points: 3\ntheta", "theta", "points 0"),
        ("    ### BEGIN SOLUTION\n    return -scale", "    return -scale", "BEGIN"),
        ("### CHECK\nexpected", "expected", "not one line"),
        ("## One step", "# One step", "first level"),
        ('"q": "claim", "points": 2', '"q": "claim", "points": 0', "points 0"),
    ],
)
def test_wrong_master_is_refused(tmp_path, old, new, complaint):
    with pytest.raises(ValueError, match=complaint):
        read(changed(tmp_path, old, new))


def test_question_without_points_is_refused(tmp_path):
    text = ":tags: [hidden]\n:q: rate\n:points: 2\nemit(rate=fastest_rate)\n### CHECK\n"
    text += 'award(2, close(rate, 0.5**3), "the rate is wrong")'
    with pytest.raises(ValueError, match="carries no points"):
        read(changed(tmp_path, text, "pass"))


def test_same_master_same_bytes(master):
    for make in (build.student, build.solution):
        assert nbformat.writes(make(master)) == nbformat.writes(make(read(SMALL)))


def test_student_notebook_has_no_secret(master):
    made = build.student(master)
    text = "".join(cell.source for cell in made.cells)
    for cell in master.cells:
        for secret in cell.secrets:
            assert secret.strip() not in text
    assert "hidden" not in {tag for cell in made.cells for tag in cell.metadata.get("tags", [])}
    assert not [cell for cell in made.cells if cell.get("outputs")]


def test_unmarked_solution_stops_the_build(tmp_path, master):
    leaky = changed(
        tmp_path, "Do all games circle?", "Strongly monotone games contract, so the claim is false in general."
    )
    leaky.write_text(
        leaky.read_text().replace("\n\n**Rubric.** One point for the answer, one point for a game that contracts.", "")
    )
    with pytest.raises(ValueError, match="a solution stands in"):
        build.make(read(leaky), tmp_path, run=False)
    assert not (tmp_path / "assignments").exists()


def test_names_of_the_trusted_half():
    source = "a = 1\nb = student(a)\nc = b + 1\nfor i in range(3):\n    a += i\nd = a"
    kept, missing = names.without(source, {"student"})
    assert kept == "a = 1\nfor i in range(3):\n    a += i\nd = a"
    assert missing == {"student", "b", "c"}


def test_verify_finds_what_does_not_fit(tmp_path, master):
    """One run in a kernel: a wrong solution, and a self-check that passes on the stub."""
    path = changed(tmp_path, "return -scale * eta**2 * theta / 4", "return -scale * eta**2 * theta / 3")
    path.write_text(path.read_text().replace("found = step(1.0, 0.0, 0.5)", "found = [0, 0]"))
    wrong = read(path)
    assert any(
        "all points of drift-hidden" in problem
        for problem in verify.of_solution(wrong, verify.execute(build.solution(wrong)))
    )
    problems = verify.of_stub(wrong, verify.execute(build.student(wrong)))
    assert problems == ["changed: the self-check step-test passes on the stub: it checks nothing"]


# The guard, on a small tree of its own.


@pytest.fixture
def tree(tmp_path, master):
    """Return a repository with the small master, a book of one page and a site."""
    for folder in ("instructor/assignments", "book", "gansde_lib", "assignments"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "instructor/assignments/small.md").write_text(SMALL.read_text())
    (tmp_path / "book/page.md").write_text("# A page\n\nStep sizes and other public words.\n")
    (tmp_path / ".gitattributes").write_text("instructor/ export-ignore\n")
    build.write(build.student(master), tmp_path / "assignments/small.ipynb")
    (tmp_path / ".gitignore").write_text("_build/\n")
    site = tmp_path / "_build" / "html"
    site.mkdir(parents=True)
    (site / "searchindex.js").write_text('Search.setIndex({"terms": {"public": 0}, "titleterms": {}})')
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "All"]):
        subprocess.run([*git, *command], check=True)
    return tmp_path


def test_clean_tree_passes(tree):
    assert guard.check(tree, site=tree / "_build/html") == []


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("README.md", "the answer: return -scale * eta**2 * theta / 4\n"),
        ("tests/test_x.py", "    series = noise * sum(a ** (2 * k)\n        for k in range(2000))\n"),
        ("CHANGELOG.md", "Strongly monotone games contract, so the\nclaim is false in general.\n"),
        ("_build/html/page.html", "<pre><span>return</span> <span>-scale</span> * eta**2 * theta / 4</pre>"),
        ("_build/html/page.html", "<p>One point for the answer,\n<em>one</em> point for a game that contracts.</p>"),
        (
            "_build/html/_sources/page.md",
            "award(2, close(rate, 0.5**3), &quot;".replace("&quot;", '"') + 'the rate is wrong")',
        ),
        ("_build/html/searchindex.js", 'Search.setIndex({"terms": {"moved_discrimin": 0}, "titleterms": {}})'),
        ("book/page.md", SMALL.read_text().split("### CHECK\n")[1].split("```")[0]),
    ],
)
def test_leak_is_found(tree, path, text):
    (tree / path).parent.mkdir(parents=True, exist_ok=True)
    (tree / path).write_text(text)
    assert guard.check(tree, site=tree / "_build/html")


def test_outputs_of_solutions_are_secret(tree):
    folder = tree / "instructor/_build/outputs"
    folder.mkdir(parents=True)
    picture = "aGVsbG8gd29ybGQ="
    shown = {"lines": ["0.4142135623730951"], "pictures": [verify.digest(picture)]}
    (folder / "small.json").write_text(json.dumps(shown))
    (tree / "README.md").write_text("It is 0.4142135623730951.\n")
    assert guard.check(tree) == ["README.md shows small: an output of the solution: 04142135623730951"]
    (tree / "README.md").write_text("It is 0.414.\n")
    assert guard.check(tree) == []
    output = nbformat.v4.new_output("display_data", {"image/png": picture})
    page = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("", outputs=[output])])
    build.write(page, tree / "assignments/small.ipynb")
    assert guard.check(tree) == ["assignments/small.ipynb shows a picture of a solution"]


def test_public_tree(tree, tmp_path_factory):
    folder = trees.public(tmp_path_factory.mktemp("public"), tree)
    assert not (folder / "instructor").exists() and (folder / "assignments/small.ipynb").exists()
    with pytest.raises(ValueError, match="not empty"):
        trees.public(folder, tree)


def test_pack_is_reproducible(tree):
    first, second = tree / "a.tar.gz", tree / "b.tar.gz"
    assert trees.pack(first, tree) == 1 and trees.pack(second, tree) == 1
    assert first.read_bytes() == second.read_bytes()
