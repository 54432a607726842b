"""Push a folder as a branch: `python tools/branch.py FOLDER BRANCH [--at PLACE] [--keep PLACE] [--history]`.

The branch is one commit that holds the folder and nothing of the past, so that it never grows; with `--history` the
commit follows those before, as nbgitpuller needs it, which merges into copies that students have changed. `--at`
replaces only what is at one place of the branch, `--keep` leaves one place as it was, `--removed` (in place of a
folder) empties the place. Nothing is pushed where nothing changed, so that what is built from a branch is not built
again.
"""

import argparse
import os
import subprocess
import tempfile
from pathlib import Path

PERSON = {"GIT_AUTHOR_NAME": "publish", "GIT_AUTHOR_EMAIL": "publish@localhost"}
PERSON |= {key.replace("AUTHOR", "COMMITTER"): value for key, value in PERSON.items()}


class Git:
    """Git with an index of its own, so that neither the working tree nor its index is touched."""

    def __init__(self, root, scratch):
        """Take the repository and a folder for indices."""
        self.root, self.scratch = root, Path(scratch)

    def __call__(self, *arguments, index="index", check=True):
        """Run git and return what it printed, or None where it failed and may."""
        environment = {**os.environ, **PERSON, "GIT_INDEX_FILE": str(self.scratch / index)}
        command = ["git", "-C", str(self.root), *map(str, arguments)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode and check:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
        return None if done.returncode else done.stdout.strip()

    def tree(self, folder):
        """Return the tree of a folder's files, those that git would ignore included."""
        self("--work-tree", Path(folder).resolve(), "add", "--all", "--force", ".", index="folder")
        return self("write-tree", index="folder")


def push(folder, branch, at="", keep="", history=False, root=".", remote="origin"):
    """Push `folder` (None for nothing) as `branch` of `remote`; return whether there was anything to push."""
    with tempfile.TemporaryDirectory() as scratch:
        git = Git(Path(root).resolve(), scratch)
        found = git("fetch", "--quiet", "--depth", "1", remote, f"refs/heads/{branch}", check=False)
        before = git("rev-parse", "FETCH_HEAD") if found is not None else None
        tree = git.tree(folder) if folder else None
        git("read-tree", *([before] if at and before else ["--empty"]))
        if at:
            git("rm", "-r", "--quiet", "--cached", "--ignore-unmatch", "--", at)
        if tree:
            git("read-tree", *([f"--prefix={at}/"] if at else []), tree)
        if keep and before and git("rev-parse", "--verify", f"{before}:{keep}", check=False):
            git("read-tree", f"--prefix={keep}/", f"{before}:{keep}")
        after = git("write-tree")
        if before and git("rev-parse", f"{before}^{{tree}}") == after:
            return False
        parents = ["-p", before] if history and before else []
        commit = git("commit-tree", after, *parents, "-m", f"Made from {git('rev-parse', 'HEAD')}")
        force = [] if history else ["--force"]
        git("push", "--quiet", *force, remote, f"{commit}:refs/heads/{branch}")
        return True


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?")
    parser.add_argument("branch")
    parser.add_argument("--at", default="")
    parser.add_argument("--keep", default="")
    parser.add_argument("--removed", action="store_true")
    parser.add_argument("--history", action="store_true")
    options = parser.parse_args()
    if bool(options.folder) == options.removed:
        parser.error("give a folder, or --removed")
    changed = push(options.folder, options.branch, options.at, options.keep, options.history)
    print(f"{options.branch}: {'pushed' if changed else 'nothing has changed'}")
