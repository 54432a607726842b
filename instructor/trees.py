"""The public tree and the instructor pack: `python -m instructor.trees public FOLDER` and `... pack FILE.tar.gz`."""

import gzip
import io
import subprocess
import sys
import tarfile
from pathlib import Path

from instructor import guard
from instructor.build import ROOT


def public(folder, root=ROOT):
    """Write the committed tree without `instructor/` into an empty `folder`; a ValueError names a leak."""
    folder = Path(folder)
    if folder.exists() and any(folder.iterdir()):
        raise ValueError(f"{folder} is not empty; expected a new folder, as in: make public PUBLIC=../public")
    archive = subprocess.run(["git", "-C", str(root), "archive", "HEAD"], check=True, capture_output=True).stdout
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")
    if found := guard.check(root, tree=folder):
        raise ValueError("\n".join(["the tree is not fit to be public:", *found]))
    return folder


def pack(file, root=ROOT):
    """Write `instructor/` with the solution and nbgrader notebooks into a tar file: the same tree, the same bytes."""
    folder, kept = Path(root) / "instructor", (".py", ".md", ".ipynb", ".csv", ".html", ".toml", ".sh", ".txt")
    paths = sorted(path for path in folder.rglob("*") if path.suffix in kept and "outputs" not in path.parts)
    paths = [path for path in paths if not {"__pycache__", ".ipynb_checkpoints"} & {*path.parts}]
    with (
        open(file, "wb") as raw,
        gzip.GzipFile(fileobj=raw, mode="wb", filename="", mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for path in paths:
            entry = tarfile.TarInfo(path.relative_to(root).as_posix())
            entry.size, entry.mode = path.stat().st_size, 0o644
            tar.addfile(entry, io.BytesIO(path.read_bytes()))
    return len(paths)


if __name__ == "__main__":
    what, where = sys.argv[1:]
    try:
        if what == "public":
            print(f"The public tree is in {public(where)}.")
        else:
            print(f"{pack(where)} files in {where}. To encrypt: age -p -o {where}.age {where}")
    except ValueError as problem:
        sys.exit(str(problem))
