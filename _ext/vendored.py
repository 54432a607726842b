"""Files of other projects that the book carries or tests with: where they come from, and their checksums.

They arrive inside Python packages of the lock; `tools/vendor.json` names the package, the folder in it
and the SHA-256 sum of every file. After a change of version, `python _ext/vendored.py` writes new sums.
"""

import hashlib
import json
from importlib import metadata
from pathlib import Path

TABLE = Path(__file__).parents[1] / "tools" / "vendor.json"


def files(name):
    """Return `{relative path: absolute path}` for one entry of the table, every file verified.

    Raises:
        RuntimeError: if a file is missing or differs from its checksum; the message says what to do.
    """
    entry = json.loads(TABLE.read_text())[name]
    folder = _folder(entry)
    for relative, expected in entry["files"].items():
        path = folder / relative
        found = _sha256(path) if path.is_file() else "nothing"
        if found != expected:
            raise RuntimeError(
                f"{name}: {path} should have SHA-256 {expected}, found {found}. The book needs this file to work "
                "without a network. Install the locked packages again: rm -rf .venv && make html"
            )
    return {relative: folder / relative for relative in entry["files"]}


def _folder(entry):
    try:
        return Path(metadata.distribution(entry["package"]).locate_file(entry["folder"]))
    except metadata.PackageNotFoundError:
        return Path(f"(package {entry['package']} is not installed)")


def _sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _update():
    table = json.loads(TABLE.read_text())
    for entry in table.values():
        folder = _folder(entry)
        paths = sorted(path for pattern in entry["patterns"] for path in folder.glob(pattern) if path.is_file())
        entry["files"] = {path.relative_to(folder).as_posix(): _sha256(path) for path in paths}
    TABLE.write_text(json.dumps(table, indent=2) + "\n")


if __name__ == "__main__":
    _update()
