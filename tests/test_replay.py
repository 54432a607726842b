"""nbval on the build's own runs: what was said is repeated, and a different number is seen."""

import shutil

import execute
import fingerprint
import nbformat
import pytest
import replay
from jupyter_cache import get_cache

from conftest import ROOT


def run(source, text):
    """Return a notebook of one executed cell."""
    output = nbformat.v4.new_output("stream", name="stdout", text=text)
    cell = nbformat.v4.new_code_cell(source, outputs=[output], execution_count=1)
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# Toy"), cell])


@pytest.fixture
def root(tmp_path):
    """Return the folder of a book that was built once, when its notebook printed 3.14159."""
    (tmp_path / "gansde_lib").mkdir()
    (tmp_path / "gansde_lib" / "toy.py").write_text("NUMBER = 1")
    cache = get_cache(str(fingerprint.cache(tmp_path)))
    nbformat.write(run("print(number)", "3.14159\n"), tmp_path / "toy.ipynb")
    cache.cache_notebook_file(str(tmp_path / "toy.ipynb"))
    return tmp_path


def test_notebooks_without_results_are_run(root):
    (root / "book").mkdir()
    for name, source in (("toy", "print(number)"), ("new", "print(3)"), ("broken", "print(missing)")):
        nbformat.write(run(source, "0\n"), root / "book" / f"{name}.ipynb")
    new = str(root / "book" / "new.ipynb")
    assert execute.main(root) == [new]
    assert replay.executed(new, root).cells[-1].outputs[0].text == "3\n"
    assert replay.executed(root / "book" / "toy.ipynb", root).cells[-1].outputs[0].text == "3.14159\n"
    assert replay.executed(root / "book" / "broken.ipynb", root) is None
    assert execute.main(root) == []


def test_only_the_same_code_is_not_run_again(root):
    assert replay.executed(root / "toy.ipynb", root).cells[-1].outputs[0].text == "3.14159\n"
    nbformat.write(run("print(other)", "3.14159\n"), root / "toy.ipynb")
    assert replay.executed(root / "toy.ipynb", root) is None
    nbformat.write(run("print(number)", "0\n"), root / "toy.ipynb")
    assert replay.executed(root / "toy.ipynb", root).cells[-1].outputs[0].text == "3.14159\n"
    (root / "gansde_lib" / "toy.py").write_text("NUMBER = 2")
    assert replay.executed(root / "toy.ipynb", root) is None


@pytest.mark.parametrize(("stored", "passed"), [("3.14159\n", 1), ("3.14158\n", 1), ("3.1426\n", 0)])
def test_nbval_compares_with_the_stored_output(root, pytester, stored, passed):
    nbformat.write(run("print(number)", stored), root / "toy.ipynb")
    shutil.copy(ROOT / "tests" / "nbval_sanitize.cfg", root / "sanitize.cfg")
    (root / "conftest.py").write_text(
        f"import sys\nsys.path[:0] = [{str(ROOT / 'tools')!r}, {str(ROOT / '_ext')!r}]\n"
        f"import replay\nreplay.use({str(root)!r})\n"
    )
    # The cell's name is not defined anywhere: a kernel that ran it would fail.
    done = pytester.runpytest_subprocess("--nbval", "--nbval-sanitize-with", root / "sanitize.cfg", root / "toy.ipynb")
    done.assert_outcomes(passed=passed, failed=1 - passed)


def test_a_source_that_comes_twice():
    kernel = replay.Replay(nbformat.v4.new_notebook(cells=[run("f()", "1").cells[1], run("f()", "2").cells[1]]))
    texts = []
    for number in range(2):
        assert kernel.execute_cell_input("f()") == number
        texts.append(kernel.get_message("iopub")["content"].text)
        assert kernel.get_message("iopub")["content"] == {"execution_state": "idle"}
    assert texts == ["1", "2"]
