"""What runs the book elsewhere: one setting, Binder, Colab, a hub, workflows; files that agree with each other."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import branch
import nbformat
import notebooks
import pytest
import yaml

from conftest import ROOT
from tools import public_repository as public

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
MAKEFILE = (ROOT / "Makefile").read_text()
SITE = public.parse("owner/book")


def test_the_setting_is_declared_and_well_formed():
    config = yaml.safe_load((ROOT / "_config.yml").read_text())["sphinx"]["config"]
    assert public.KEY in config
    public.parse(config[public.KEY])


def test_without_a_public_repository_no_page_has_a_button(book):
    if public.public():
        pytest.skip("there is one")
    assert [path for path in book.rglob("*.html") if "mybinder" in path.read_text()] == []


def test_binder_pulls_the_plain_notebook_and_opens_it():
    link = urlsplit(SITE.binder("book/gda.ipynb"))
    assert (link.netloc, link.path) == ("mybinder.org", "/v2/gh/owner/book/binder")
    (path,) = parse_qs(link.query)["urlpath"]
    command, _, query = path.partition("?")
    pulled = {key: unquote(value) for key, (value,) in parse_qs(query).items()}
    assert command == "git-pull"
    assert pulled == {
        "repo": "https://github.com/owner/book",
        "branch": "notebooks",
        "urlpath": "lab/tree/book/book/gda.ipynb",  # nbgitpuller names the folder after the repository
    }


def test_with_one_the_pages_of_notebooks_have_buttons(tmp_path):
    extension = ROOT / "_ext"
    (tmp_path / "_config.yml").write_text(
        f"title: Toy\nexecute: {{execute_notebooks: 'off'}}\nsphinx:\n  local_extensions: {{elsewhere: {extension}}}\n"
        f"  config: {{{public.KEY}: owner/book}}\n"
    )
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: index\nchapters: [{file: chapter}]\n")
    (tmp_path / "index.md").write_text("# Toy\n")
    cells = [nbformat.v4.new_markdown_cell("# Chapter"), nbformat.v4.new_code_cell("1")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=notebooks.METADATA), tmp_path / "chapter.ipynb")
    command = [str(Path(sys.executable).with_name("jupyter-book")), "build", "-W", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    pages = {name: (tmp_path / "_build" / "html" / f"{name}.html").read_text() for name in ("index", "chapter")}
    for link in ("https://mybinder.org/v2/gh/owner/book/binder?", f'href="{SITE.colab("chapter.ipynb")}"'):
        assert link in pages["chapter"]
        assert link not in pages["index"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflow_is_well_formed_and_calls_make(path):
    workflow = yaml.safe_load(path.read_text())
    assert {"name", "jobs", "permissions"} <= workflow.keys() and workflow[True], "YAML reads `on` as true"
    for job in workflow["jobs"].values():
        assert job["runs-on"] and job["timeout-minutes"] and job["steps"]
        assert all(("uses" in step) != ("run" in step) for step in job["steps"])
    called = set(re.findall(r"\bmake ([a-z-]+)", path.read_text().split("\njobs:")[1]))
    assert called and [target for target in called if not re.search(rf"^{target}:", MAKEFILE, re.MULTILINE)] == []


def test_every_workflow_is_there():
    assert [path.stem for path in WORKFLOWS] == ["dependencies", "links", "preview", "publish", "test"]


def test_the_branches_that_are_published_are_those_that_the_links_name():
    for name in (SITE.notebooks, SITE.environment):
        assert re.search(rf"tools/branch\.py \S+ {name}( --history)?$", MAKEFILE, re.MULTILINE)


def test_the_erratum_form_asks_where_what_and_why():
    form = yaml.safe_load((ROOT / ".github" / "ISSUE_TEMPLATE" / "erratum.yml").read_text())
    assert {"name", "description", "body"} <= form.keys()
    assert [field["id"] for field in form["body"] if field["validations"]["required"]] == [
        "where", "version", "found", "expected", "kind",
    ]  # fmt: skip


def test_the_devcontainer_names_what_is_there():
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    assert (ROOT / ".devcontainer" / container["build"]["dockerfile"]).is_file()
    target = re.fullmatch(r"make (\S+)", container["postCreateCommand"])[1]
    assert f"STAMP := {target}" in MAKEFILE


def test_the_hubs_recipe_copies_what_is_there():
    recipe = (ROOT / "hub" / "Dockerfile").read_text()
    copied = [name for line in re.findall(r"^COPY (.+)$", recipe, re.MULTILINE) for name in line.split()[:-1]]
    assert len(copied) >= 4 and [name for name in copied if not (ROOT / name).exists()] == []
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert sorted(allowed) == sorted(copied)


def locked(path):
    """Return `{package: version}` of a lock."""
    return dict(re.findall(r"^([\w.-]+)==([^\s;]+)", path.read_text(), re.MULTILINE))


@pytest.mark.parametrize("folder", ["binder", "hub"])
def test_the_kernels_run_what_the_book_was_made_with(folder):
    book, kernel = locked(ROOT / "requirements.txt"), locked(ROOT / folder / "requirements.txt")
    assert {"jax", "jaxlib", "numpy", "anywidget", "ipykernel"} <= kernel.keys()
    assert {name: version for name, version in kernel.items() if book.get(name, version) != version} == {}
    if folder == "binder":
        assert {"jupyter-book", "sphinx", "jupyterlab", "notebook", "ziglang"} & kernel.keys() == set()


def test_binder_installs_the_library():
    script = ROOT / "binder" / "postBuild"
    assert script.stat().st_mode & 0o111, "repo2docker runs it only if it is executable"
    assert "pip install --no-cache-dir --no-deps ." in script.read_text()
    assert subprocess.run(["bash", "-n", script], check=False).returncode == 0
    assert re.fullmatch(r"python-3\.1[1-4]", (ROOT / "binder" / "runtime.txt").read_text().strip())


def test_a_binder_starts_with_one_thread():
    start = [ROOT / "binder" / "start", "bash", "-c", 'echo "$OMP_NUM_THREADS $0"', "what was asked for"]
    done = subprocess.run(start, capture_output=True, text=True, check=True, env=os.environ | {"OMP_NUM_THREADS": "64"})
    assert done.stdout == "1 what was asked for\n"


def git(*arguments, at):
    line = ["git", "-c", "user.name=test", "-c", "user.email=test@localhost", "-C", str(at), *arguments]
    return subprocess.run(line, check=True, capture_output=True, text=True).stdout.strip()


def test_a_folder_becomes_a_branch_of_one_commit(tmp_path):
    remote, work, folder = (tmp_path / name for name in ("remote", "work", "folder"))
    for path in (remote, work, folder):
        path.mkdir()
    git("init", "--quiet", "--bare", at=remote)
    git("init", "--quiet", at=work)
    git("remote", "add", "origin", str(remote), at=work)
    (work / ".gitignore").write_text("*.html\n")
    git("add", ".", at=work)
    git("commit", "--quiet", "-m", "first", at=work)
    (folder / "index.html").write_text("one")

    def files():
        return git("ls-tree", "-r", "--name-only", "gh-pages", at=remote).split()

    assert branch.push(folder, "gh-pages", root=work)
    assert files() == ["index.html"]
    assert not branch.push(folder, "gh-pages", root=work), "the same again is not pushed"
    assert branch.push(folder, "gh-pages", at="pr-preview/7", root=work)
    assert files() == ["index.html", "pr-preview/7/index.html"]
    (folder / "index.html").rename(folder / "new.html")
    assert branch.push(folder, "gh-pages", keep="pr-preview", root=work)
    assert files() == ["new.html", "pr-preview/7/index.html"]
    assert branch.push(None, "gh-pages", at="pr-preview/7", root=work)
    assert files() == ["new.html"]
    assert git("rev-list", "--count", "gh-pages", at=remote) == "1"
    assert branch.push(folder, "notebooks", history=True, root=work)
    (folder / "more.html").write_text("two")
    assert branch.push(folder, "notebooks", history=True, root=work)
    assert git("rev-list", "--count", "notebooks", at=remote) == "2", "nbgitpuller merges what has one past"
    assert git("status", "--porcelain", at=work) == "", "the working tree is as it was"
