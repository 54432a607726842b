"""Every notebook in plain Markdown: nothing of MyST is left, the code is the same, and the first cell prepares it."""

import importlib.util
import re
import subprocess
import urllib.request

import nbformat
import pytest

from conftest import ROOT
from tools import plain_labels, plain_notebooks
from tools.plain_markdown import Plain
from tools.public_repository import Public

# What only MyST understands, and what a conversion might leave behind.
MYST = re.compile(r"\{[a-z:]+\}`|^\s*(:{3,}|`{3,}\{)|^:[\w-]+:|^\([\w-]+\)=|\x00|\$\$ *\([\w-]+\)|\]\(\)", re.MULTILINE)
SITE = Public("owner", "book")
NAMES = plain_notebooks.sources()
BLOCKS = """
:::{prf:theorem} A name
:label: thm-a

Of {cite:t}`cao2023`, by {eq}`eq-A`:

$$
x = 1
$$ (eq-A)
:::

::::{exercise}
:label: ex-a

:::{hint}
:class: dropdown
Look at {prf:ref}`thm-a` and `{eq}`.
:::
::::

```python
{eq}
```
"""


@pytest.fixture(scope="module")
def written(book, tmp_path_factory):
    """Return the folders of the plain notebooks, without and with a public repository."""
    folders = {site: tmp_path_factory.mktemp("plain") for site in (None, SITE)}
    for site, folder in folders.items():
        assert plain_notebooks.write(folder, site) == NAMES
    return folders


def cells(path, kind):
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == kind]


@pytest.mark.parametrize("site", [None, SITE], ids=["folder", "online"])
@pytest.mark.parametrize("name", NAMES, ids=str)
def test_notebook_is_plain(written, name, site):
    folder = written[site]
    nbformat.validate(nbformat.read(folder / name, as_version=4))
    text = "\n\n".join(cell.source for cell in cells(folder / name, "markdown"))
    assert MYST.findall(text) == []
    links = re.findall(r"\]\(((?!https?:)[^)\s]+)\)", text)
    assert [link for link in links if not (folder / name.parent / link).is_file()] == []
    assert not (site and links), "on Colab a link to a file beside the notebook leads nowhere"
    before = [(cell.source, cell.outputs) for cell in cells(ROOT / name, "code")]
    after = [(cell.source, cell.outputs) for cell in cells(folder / name, "code") if cell.id != "prepare"]
    assert after == before


@pytest.mark.parametrize("name", NAMES, ids=str)
def test_links_lead_to_places_that_the_pages_have(book, written, name):
    for cell in cells(written[SITE] / name, "markdown"):
        for page, _, anchor in re.findall(rf"\]\({SITE.pages}/([^)#]*)(#?)([^)]*)\)", cell.source):
            assert not anchor or f'id="{anchor}"' in (book / page).read_text(), f"{page}#{anchor}"


def test_statements_keep_their_numbers(book, written):
    text = "\n".join(cell.source for cell in cells(written[None] / "book" / "gda.ipynb", "markdown"))
    page = (book / "book" / "gda.html").read_text()
    theorems = re.findall(r'caption-number">(Theorem [\d.]+)', page)
    assert len(theorems) >= 4 and [name for name in theorems if f"**{name} (" not in text] == []
    assert re.search(r"\\tag\{\d+\.1\}\n\$\$", text)
    assert text.count("<details>") == text.count("</details>") > 10
    assert "### References" in text and "arXiv" in text


def test_blocks_become_paragraphs():
    labels = {
        "thm-a": plain_labels.Place("book/a", "thm-a", "Theorem 1.2"),
        "eq-a": plain_labels.Place("book/a", "equation-eq-a", "(1.3)"),
        "ex-a": plain_labels.Place("book/a", "ex-a", "Exercise 1.4"),
    }
    converter = Plain("book/a", labels, plain_labels.Works(ROOT / "references.bib"))
    text = converter.convert(BLOCKS)
    assert "**Theorem 1.2 (A name).** Of Cao and Guo [2023], by (1.3):" in text
    assert "x = 1\n\\tag{1.3}\n$$" in text and converter.cited == {"cao2023"}
    assert "<summary>Hint</summary>\n\nLook at Theorem 1.2 and `{eq}`.\n\n</details>" in text
    assert "```python\n{eq}\n```" in text


@pytest.mark.parametrize("text", ["{unknown}`a`", ":::{unknown}\n:::", "{eq}`missing`"])
def test_what_has_no_plain_form_is_an_error(text):
    with pytest.raises(ValueError, match="book/a: "):
        Plain("book/a", {}, None).convert(text)


def test_the_first_cell_installs_only_what_is_missing(written, tmp_path, monkeypatch, capsys):
    calls, (wheel,) = [], written[None].glob("*.whl")
    monkeypatch.setattr(subprocess, "run", lambda command, check: calls.append(command))
    monkeypatch.setattr(urllib.request, "urlretrieve", lambda address, name: calls.append(address))
    monkeypatch.chdir(written[None] / "book")
    first = cells(written[None] / "book" / "critical.ipynb", "code")[0].source
    exec(first, {})
    assert calls == [] and "computes on the CPU" in capsys.readouterr().out
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    exec(first, {})
    assert str(wheel) in calls.pop() and calls == []
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ImportError, match="put gansde_lib"):
        exec(first, {})
    exec(cells(written[SITE] / "book" / "critical.ipynb", "code")[0].source, {})
    assert "gansde_lib @ git+https://github.com/owner/book@binder" in calls[0]
    assert calls[1] == "https://raw.githubusercontent.com/owner/book/notebooks/book/data/critical.npz"
    assert any(re.fullmatch(r"jax(\[cuda12\])?==[\d.]+", word) for word in calls[0])
