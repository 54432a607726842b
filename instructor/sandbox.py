"""A process for a student's code that sees no file of ours, no network, no other process, and ends when it is told to.

bubblewrap makes it. Without bubblewrap (`sandboxed=False`) the same worker runs as an ordinary process: only inside a
container that holds nothing secret, because it can read what the grader can read.
"""

import contextlib
import importlib.util
import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from instructor.bubblewrap import find

LIBRARY = importlib.util.find_spec("gansde_lib").submodule_search_locations[0]
HERE = Path(__file__).parent
CODE = "/code"
MODULES = ("worker.py", "values.py", "marking.py")
LONGEST_REPLY = 64_000_000
LONGEST_TEXT = 20_000


@dataclass(frozen=True)
class Limits:
    """Bounds of one hand-in: seconds per cell and in all, bytes of memory and files, number of processes."""

    cell: float = 60
    total: float = 1800
    start: float = 180
    memory: int = 3_000_000_000
    processes: int = 512
    file_size: int = 200_000_000


class Lost(Exception):
    """The sandbox had to be ended: the message says why, as a student reads it."""


def environment(home, path):
    """Return the environment of a worker: none of the grader's variables."""
    return {
        "PATH": f"{sys.prefix}/bin:/usr/bin:/bin",
        "HOME": home,
        "TMPDIR": home,
        "MPLCONFIGDIR": home,
        "MPLBACKEND": "Agg",
        "PYTHONPATH": path,
        "PYTHONDONTWRITEBYTECODE": "1",
        "JAX_PLATFORMS": "cpu",
        "GANSDE_PROGRESS": "0",
        "LANG": "C.UTF-8",
    }


def command(limits):
    """Return the command line that starts a worker in bubblewrap."""
    line = [find(), "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
    line += ["--die-with-parent", "--new-session", "--clearenv", "--cap-drop", "ALL"]
    # The limit on processes does not hold for root: the worker of a grader who is root becomes somebody else.
    line += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"] if os.getuid() == 0 else ["--unshare-user"]
    for name, value in environment("/tmp", CODE).items():
        line += ["--setenv", name, value]
    for path in ("/usr", "/bin", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/localtime"):
        line += ["--ro-bind-try", path, path]
    # The empty /tmp comes before what is bound below it.
    line += ["--proc", "/proc", "--dev", "/dev", "--perms", "1777", "--size", str(limits.file_size), "--tmpfs", "/tmp"]
    python = [path for path in dict.fromkeys([sys.base_prefix, sys.prefix]) if not path.startswith("/usr")]
    bound = {path: path for path in python} | {f"{CODE}/gansde_lib": LIBRARY}
    bound |= {f"{CODE}/{module}": HERE / module for module in MODULES}
    for target, source in bound.items():
        # Folders on the way are made by name: those that a bind makes are closed to others.
        for folder in reversed(Path(target).parents[:-1]):
            line += ["--dir", str(folder)]
        line += ["--ro-bind", str(source), target]
    return [*line, "--remount-ro", "/", "--chdir", "/tmp", sys.executable, f"{CODE}/worker.py"]


class Session:
    """A running worker. `ask` sends it a cell; after `Lost` it is gone, and so is everything it started."""

    def __init__(self, limits=None, sandboxed=True):
        """Start a worker within `limits`; a RuntimeError says why none starts."""
        self.limits, self.count, self.pending, self.folder = limits or Limits(), 0, b"", None
        self.clock = 0.0
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        if sandboxed:
            if find() is None:
                raise RuntimeError("bubblewrap is not installed; run: python -m instructor.bubblewrap")
            other = os.getuid() == 0
            self.process = subprocess.Popen(command(self.limits), **pipes)
        else:
            self.folder = tempfile.TemporaryDirectory(prefix="hand-in-")
            (Path(self.folder.name) / "gansde_lib").symlink_to(LIBRARY)
            for module in MODULES:
                shutil.copy(HERE / module, self.folder.name)
            other = os.getuid() == 0 and all(map(open_to_all, (sys.base_prefix, sys.prefix, LIBRARY)))
            if other:
                os.chmod(self.folder.name, 0o777)
            self.process = subprocess.Popen(
                [sys.executable, f"{self.folder.name}/worker.py"],
                **pipes,
                cwd=self.folder.name,
                env=environment(self.folder.name, self.folder.name),
                start_new_session=True,
            )
        self.selector = selectors.DefaultSelector()
        os.set_blocking(self.process.stdin.fileno(), False)
        for pipe in (self.process.stdout, self.process.stderr):
            os.set_blocking(pipe.fileno(), False)
            self.selector.register(pipe, selectors.EVENT_READ)
        bounds = {key: asdict(self.limits)[key] for key in ("memory", "processes", "file_size")}
        # One number per sandbox, because the limit counts the processes of a user.
        bounds["user"] = 1_000_000 + self.process.pid if other else None
        try:
            reply, text = self._exchange(bounds, self.limits.start)
        except Lost as reason:
            raise RuntimeError(f"no worker starts in the sandbox: it {reason}. {reason.text[-2000:]}") from None
        if reply != {"ready": True}:
            raise RuntimeError(f"no worker starts in the sandbox: {text[-2000:]}")

    def ask(self, name, source, seconds=None, probe=False, seed=None):
        """Run a cell; return its reply and the text it printed. `Lost` if it hangs, dies or breaks the protocol."""
        self.count += 1
        request = {"id": self.count, "name": name, "source": source, "probe": probe, "seed": seed}
        reply, text = self._exchange(request, self.limits.cell if seconds is None else seconds)
        if reply.get("id") != self.count:
            self._lose("answered out of turn")
        return reply, text

    def _exchange(self, request, seconds):
        """Send `request`, wait for one line of JSON, and collect the text that comes meanwhile."""
        text, end, last, looked = [], self.clock + seconds, time.monotonic(), self.clock
        unsent = json.dumps(request).encode() + b"\n"
        self.selector.register(self.process.stdin, selectors.EVENT_WRITE)
        while unsent or b"\n" not in self.pending:
            for key, _ in self.selector.select(0.1):
                if key.fileobj is self.process.stdin:
                    # A worker that does not listen must not stop us: the limit holds while we write, too.
                    try:
                        unsent = unsent[os.write(key.fd, unsent[:4096]) :]
                    except OSError:
                        self._lose("ended the process that runs your notebook", text)
                    if not unsent:
                        self.selector.unregister(self.process.stdin)
                elif key.fileobj is self.process.stderr:
                    self._listen(text)
                elif (found := self._read(self.process.stdout)) == b"":
                    self._listen(text, rest=True)
                    self._lose("ended the process that runs your notebook", text)
                elif found:
                    self.pending += found
            # A machine that sleeps or stops us for a while takes no time from the student.
            now = time.monotonic()
            self.clock, last = self.clock + min(now - last, 0.5), now
            if self.clock > end:
                self._lose(f"ran longer than {seconds:g} s and was stopped", text)
            if len(self.pending) > LONGEST_REPLY:
                self._lose("returned more than can be graded", text)
            if self.clock > looked + 0.5:
                looked = self.clock
                if memory(self.process.pid) > self.limits.memory:
                    self._lose(f"needed more than {self.limits.memory / 1e9:g} GB and was stopped", text)
        line, _, self.pending = self.pending.partition(b"\n")
        self._listen(text, rest=True)
        try:
            reply = json.loads(line)
            if not isinstance(reply, dict):
                raise ValueError
        except (ValueError, RecursionError):
            self._lose("broke the connection to the grader", text)
        return reply, "".join(text)

    @staticmethod
    def _read(pipe):
        """Return what `pipe` holds: b"" at its end, None if there is nothing now."""
        try:
            return os.read(pipe.fileno(), 1 << 20)
        except BlockingIOError:
            return None

    def _listen(self, text, rest=False):
        """Append to `text` what was printed, until it is long enough; `rest` empties the pipe, within reason."""
        for _ in range(64 if rest else 1):
            found = self._read(self.process.stderr)
            if not found:
                break
            room = LONGEST_TEXT - sum(map(len, text))
            if room > 0:
                text.append(found[: 4 * room].decode(errors="replace")[:room])
        if found == b"" and self.process.stderr in self.selector.get_map():
            self.selector.unregister(self.process.stderr)

    def _lose(self, reason, text=()):
        """End everything and raise `Lost`."""
        self.close()
        lost = Lost(reason)
        lost.text = "".join(text)
        raise lost

    def close(self):
        """Kill the worker with all its descendants, and wait until they are gone."""
        rest = descendants(self.process.pid) if self.folder else []
        self.process.kill()
        for pid in rest:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            with contextlib.suppress(OSError):
                pipe.close()
        self.selector.close()
        if self.folder:
            self.folder.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def open_to_all(path):
    """Return whether every user may go to `path`."""
    return all(folder.stat().st_mode & 1 for folder in (Path(path), *Path(path).parents))


def descendants(pid):
    """Return the processes that `pid` started, and those that they started."""
    try:
        lists = [path.read_text().split() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    except OSError:
        return []
    children = [int(child) for line in lists for child in line]
    return children + [below for child in children for below in descendants(child)]


def memory(pid):
    """Return the bytes of memory that `pid` and its descendants hold."""
    pages = 0
    for process in [pid, *descendants(pid)]:
        try:
            pages += int(Path(f"/proc/{process}/statm").read_text().split()[1])
        except (OSError, ValueError, IndexError):
            continue
    return pages * os.sysconf("SC_PAGE_SIZE")
