"""Two zip files: the built pages, to be read from a folder without a network, and the plain notebooks."""

import tempfile
import zipfile
from pathlib import Path

README = """Unpack the whole folder, then open index.html in a browser. Nothing else is needed: no server, no network.
The sliders of the figures work, and so does the search.
"""


def pack(folder, target, top):
    """Write the files under `folder` into the zip `target`, in one folder `top`; the same files, the same bytes."""
    folder, target = Path(folder), Path(target)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(f"{top}/{path.relative_to(folder).as_posix()}")  # dated 1980
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(entry, path.read_bytes())
    return target


def offline(html, target):
    """Pack the built pages."""
    if not (Path(html) / "index.html").is_file():
        raise FileNotFoundError(f"{html}/index.html is not built; run: make html")
    pack(html, target, target.stem)
    with zipfile.ZipFile(target, "a") as archive:
        archive.writestr(zipfile.ZipInfo(f"{target.stem}/README.txt"), README)
    return target


def notebooks(target):
    """Make the plain notebooks and pack them with the data that they read."""
    from tools import plain_notebooks

    with tempfile.TemporaryDirectory() as folder:
        plain_notebooks.write(Path(folder))
        return pack(folder, target, target.stem)
