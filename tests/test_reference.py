"""The reference: every public name of the library stands on one of its pages."""

import importlib
import pkgutil

import pytest
import test_book
from sphinx.util.inventory import InventoryFile

import gansde_lib
from gansde_lib import neighbours

LABS = [f"neighbours.{lab.name}" for lab in pkgutil.iter_modules(neighbours.__path__) if not lab.name.startswith("_")]


def public(module):
    """Return the public names of a module that are ours: those of `__all__`, or those that it defines."""
    if hasattr(module, "__all__"):
        return [name for name in module.__all__ if origin(module, name).startswith("gansde_lib")]
    return [name for name in vars(module) if not name.startswith("_") and origin(module, name) == module.__name__]


def origin(module, name):
    """Return the name of the module in which a name is defined, as far as its value tells."""
    return getattr(getattr(module, name), "__module__", None) or ""


@pytest.fixture(scope="module")
def documented(book):
    """Return the names that the built pages document."""
    with (book / "objects.inv").open("rb") as file:
        found = InventoryFile.load(file, "", lambda base, place: place)
    return {name for kind, names in found.items() if kind.startswith("py:") for name in names}


@pytest.mark.parametrize("name", [*test_book.MODULES, *LABS])
def test_every_public_name_is_in_the_reference(documented, name):
    module = importlib.import_module(f"gansde_lib.{name}")
    assert [key for key in public(module) if f"gansde_lib.{name}.{key}" not in documented] == []


def test_what_is_imported_from_the_top_is_in_the_reference(documented):
    names = [name for name in gansde_lib.__all__ if not hasattr(getattr(gansde_lib, name), "__path__")]
    last = {name.rpartition(".")[2] for name in documented}
    assert names and [name for name in names if name not in last | set(test_book.MODULES)] == []
