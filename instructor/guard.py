"""No solution, hidden check or rubric in a public file, nor what a solution shows: `python -m instructor.guard`.

A secret is a line of a master that identifies it: long enough, and neither in the book nor in the library. Public are
the files that git holds outside `instructor/`, and the built site with its sources and its search index.
"""

import base64
import html
import json
import re
import subprocess
import sys
from bisect import bisect_left
from pathlib import Path

from instructor.build import MASTERS, ROOT
from instructor.master import read
from instructor.verify import digest

SHORTEST = 18  # letters and digits of a line
WORDS = 4  # different words or numbers of a line
RUN = 3  # so many lines of one secret in a row betray it even where each alone is known from the book
TEXT = {
    ".html",
    ".ipynb",
    ".md",
    ".py",
    ".js",
    ".json",
    ".txt",
    ".csv",
    ".yml",
    ".toml",
    ".in",
    ".bib",
    ".rst",
    ".xml",
    "",
}
NUMBER = re.compile(r"\d+\.\d+(?:e[+-]?\d+)?")
WORD = re.compile(r"\w{9,}")


def squeeze(text):
    """Return the letters and digits of `text`: neither wrapping nor markup nor typographic quotes hide a line."""
    return re.sub(r"[\W_]+", "", text)


def identifies(line):
    """Return whether a line is long and varied enough that nobody writes it by chance."""
    return len(squeeze(line)) >= SHORTEST and len(set(re.findall(r"\w+", line))) >= WORDS


def strings(thing):
    """Return all strings in a structure of JSON, notebooks' lines joined."""
    if isinstance(thing, str):
        return [thing]
    if isinstance(thing, list) and all(isinstance(item, str) for item in thing):
        return ["".join(thing)]
    items = thing.values() if isinstance(thing, dict) else thing if isinstance(thing, list) else ()
    return [text for item in items for text in strings(item)]


def content(path):
    """Return the letters and digits that a reader of the file at `path` gets."""
    text = path.read_text(errors="replace")
    if path.suffix == ".ipynb":
        return squeeze("\n".join(strings(json.loads(text))))
    if path.suffix in (".html", ".xml"):
        return squeeze(html.unescape(re.sub(r"<[^<>]*>", "", text)))
    if path.suffix in (".js", ".json"):
        text = text.replace(r"\n", "\n").replace(r"\"", '"')
    return squeeze(text)


def pictures(path):
    """Return the hashes of the pictures in a file, or of the file if it is one."""
    if path.suffix == ".ipynb":
        cells = json.loads(path.read_text(errors="replace")).get("cells", [])
        data = [output.get("data", {}).get("image/png", "") for cell in cells for output in cell.get("outputs", [])]
        return {digest("".join("".join(one).split())) for one in data if one}
    return {digest(base64.b64encode(path.read_bytes()).decode())} if path.suffix == ".png" else set()


def public_files(root=ROOT):
    """Return the files that the public tree would hold, committed or not."""
    line = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(line, check=True, capture_output=True, text=True).stdout.split("\0")
    paths = [Path(root) / name for name in names if name and not name.startswith("instructor/")]
    return [path for path in paths if path.is_file()]


class Secrets:
    """What must not be public, worked out of the masters and of what their solutions show."""

    def __init__(self, masters, shown=(), known=""):
        """Collect the identifying lines of `masters` that `known`, the squeezed text of book and library, lacks."""
        public = [cell.stub for master in masters for cell in master.cells if cell.tag != "hidden"]
        open_text = squeeze("\n".join(public))
        self.known, self.lines, self.runs, self.pictures = known, {}, [], set()
        for master in masters:
            for cell in master.cells:
                for secret in cell.secrets:
                    # A paragraph may be one line; its sentences tell as much.
                    split = r"\n|(?<=[.:;?])[*_]* " if cell.kind == "markdown" else r"\n"
                    lines = [squeeze(line) for line in re.split(split, secret) if identifies(line)]
                    lines = [line for line in lines if line not in open_text]
                    where = f"{master.name}: {cell.id}"
                    self.lines |= {line: where for line in lines if line not in known}
                    self.runs += [(squeeze(text), where) for text in _runs(secret) if squeeze(text) not in open_text]
        for name, record in shown:
            for line in record["lines"]:
                tokens = [
                    token
                    for token in NUMBER.findall(line)
                    if len(token.partition("e")[0].lstrip("0.").replace(".", "")) >= 8
                ]
                for token in [*tokens, squeeze(line)]:
                    token = squeeze(token)
                    long = len(token) >= SHORTEST or token in map(squeeze, tokens)
                    if long and token not in known and token not in open_text:
                        self.lines[token] = f"{name}: an output of the solution"
            self.pictures |= set(record["pictures"])
        words = {
            word.lower()
            for master in masters
            for cell in master.cells
            for text in cell.secrets
            for word in WORD.findall(text)
        }
        self.words = words - {word.lower() for text in public for word in WORD.findall(text)}

    def found_in(self, path, own=False):
        """Return the secrets that the file at `path` shows; `own` if the file is itself of the book or the library."""
        if path.suffix == ".png":
            return ["a picture of a solution"] if pictures(path) & self.pictures else []
        if path.suffix not in TEXT or path.stat().st_size > 50_000_000:
            return []
        text = content(path)
        # The book's own files show which lines are known; several in a row are no coincidence.
        found = [f"{where}: {line[:60]}" for line, where in self.lines.items() if not own and line in text]
        found += [f"{where}: {run[:60]}" for run, where in self.runs if run in text]
        if path.suffix == ".ipynb" and pictures(path) & self.pictures:
            found.append("a picture of a solution")
        return found

    def in_index(self, path, public_words):
        """Return the secret words that the search index at `path` knows and no public file has."""
        index = json.loads(path.read_text().removeprefix("Search.setIndex(").rstrip().removesuffix(")"))
        # Sphinx stems words, so a term is the beginning of one.
        terms = {term for kind in ("terms", "titleterms") for term in index[kind] if len(term) >= 9}
        secret, public = sorted(self.words), sorted(public_words)
        return [term for term in terms if _begins(secret, term) and not _begins(public, term)]


def _runs(secret):
    """Return every run of `RUN` lines of a secret that say something, as text."""
    lines = [line for line in secret.splitlines() if len(squeeze(line)) >= 8]
    runs = ["\n".join(lines[i : i + RUN]) for i in range(len(lines) - RUN + 1)]
    return [run for run in runs if len(squeeze(run)) >= 3 * SHORTEST]


def _begins(words, start):
    """Return whether one of the sorted `words` begins with `start`."""
    place = bisect_left(words, start)
    return place < len(words) and words[place].startswith(start)


def load(root=ROOT):
    """Return the secrets of the masters in `root`."""
    folder = Path(root) / "instructor" / "assignments"
    masters = [read(path) for path in sorted(folder.glob("*.md"))]
    shown = [
        (path.stem, json.loads(path.read_text()))
        for path in sorted((folder.parent / "_build" / "outputs").glob("*.json"))
    ]
    own = [path for part in ("book", "gansde_lib") for path in sorted((Path(root) / part).rglob("*"))]
    own = [path for path in own if path.suffix in (".ipynb", ".md", ".py")]
    return Secrets(masters, shown, "\n".join(map(content, own)))


def leaks(secrets, files, root=ROOT):
    """Return a line for every secret in one of `files`."""
    found = []
    for path in files:
        name = path.relative_to(root)
        own = name.parts[0] in ("book", "gansde_lib")
        found += [f"{name} shows {secret}" for secret in secrets.found_in(path, own)]
    return found


def check(root=ROOT, site=None, tree=None):
    """Return the leaks in the public files of `root`, in the built `site`, or in a `tree` that was exported."""
    secrets, root = load(root), Path(root)
    files = public_files(root)
    found = leaks(secrets, files, root)
    for folder in filter(None, (site, tree)):
        inside = [path for path in sorted(Path(folder).rglob("*")) if path.is_file() and ".git" not in path.parts]
        found += leaks(secrets, inside, Path(folder))
        for index in Path(folder).glob("searchindex.js"):
            words = {
                word.lower()
                for path in files
                if path.suffix in TEXT
                for word in WORD.findall(path.read_text(errors="replace"))
            }
            found += [f"{index.name} knows the word {term!r} of a secret" for term in secrets.in_index(index, words)]
    if tree and (Path(tree) / "instructor").exists():
        found.append(f"{tree} holds instructor/")
    return found


if __name__ == "__main__":
    site = ROOT / "_build" / "html"
    if found := check(site=site if site.exists() else None, tree=sys.argv[1] if len(sys.argv) > 1 else None):
        sys.exit("\n".join(["Secrets of the coursework are public:", *found]))
    print(f"No secret of {len(list(MASTERS.glob('*.md')))} assignments in a public file.")
