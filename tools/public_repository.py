"""Where the public copy of the book is: the one setting `gansde_public_repository` of `_config.yml`, and its links.

Unset, nothing links anywhere: the pages have no buttons to Binder and Colab, and notebooks no links to pages.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlencode

import yaml

ROOT = Path(__file__).parents[1]
KEY = "gansde_public_repository"


@dataclass(frozen=True)
class Public:
    """A repository on GitHub whose workflows publish the book (`.github/workflows/publish.yml`).

    >>> Public("owner", "book").pages
    'https://owner.github.io/book'
    """

    owner: str
    name: str
    notebooks = "notebooks"  # the branch with the plain notebooks
    environment = "binder"  # the branch with what a kernel needs; it moves only when that changes

    @property
    def repository(self):
        """Return the address of the repository."""
        return f"https://github.com/{self.owner}/{self.name}"

    @property
    def pages(self):
        """Return the address of the pages, without a slash at its end."""
        return f"https://{self.owner.lower()}.github.io/{self.name}"

    def binder(self, notebook):
        """Return a link that starts the environment on Binder, pulls the notebooks by nbgitpuller and opens one.

        >>> Public("owner", "book").binder("book/gda.ipynb")  # doctest: +NORMALIZE_WHITESPACE
        'https://mybinder.org/v2/gh/owner/book/binder?urlpath=git-pull%3Frepo%3Dhttps%253A%252F%252Fgithub.com%252Fowner%252Fbook%26branch%3Dnotebooks%26urlpath%3Dlab%252Ftree%252Fbook%252Fbook%252Fgda.ipynb'
        """
        pull = {"repo": self.repository, "branch": self.notebooks, "urlpath": f"lab/tree/{self.name}/{notebook}"}
        path = quote(f"git-pull?{urlencode(pull)}", safe="")
        return f"https://mybinder.org/v2/gh/{self.owner}/{self.name}/{self.environment}?urlpath={path}"

    def colab(self, notebook):
        """Return a link that opens a plain notebook on Colab.

        >>> Public("owner", "book").colab("book/gda.ipynb")
        'https://colab.research.google.com/github/owner/book/blob/notebooks/book/gda.ipynb'
        """
        path = f"{self.owner}/{self.name}/blob/{self.notebooks}/{notebook}"
        return f"https://colab.research.google.com/github/{path}"

    def library(self):
        """Return what pip installs the library from."""
        return f"gansde_lib @ git+{self.repository}@{self.environment}"


def parse(setting):
    """Return the `Public` that a setting names, or None where it is empty; a ValueError shows the right form.

    >>> parse("") is None
    True
    >>> parse("https://github.com/owner/book")
    Traceback (most recent call last):
    ...
    ValueError: gansde_public_repository must be empty or like 'owner/name', found 'https://github.com/owner/book'
    """
    if not setting:
        return None
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", setting):
        raise ValueError(f"{KEY} must be empty or like 'owner/name', found {setting!r}")
    return Public(*setting.split("/"))


def public(config=ROOT / "_config.yml"):
    """Return what `_config.yml` says."""
    return parse(yaml.safe_load(Path(config).read_text())["sphinx"]["config"].get(KEY, ""))
