"""Run a student's cells, one request at a time. This file runs inside the sandbox: nothing it says is believed.

Requests and replies are lines of JSON on the standard input and output that it is started with; what cells print goes
to the standard error. A hand-in that forges replies can only lie about its own values, which are judged outside.
"""

import builtins
import contextlib
import json
import linecache
import os
import resource
import sys
import traceback
import types

from marking import plain
from values import encode

STUDENT = types.ModuleType("__main__")


class Notebook:
    """Stand-in for IPython's shell: magics do nothing, so `%matplotlib inline` is no mistake."""

    def __getattr__(self, name):
        return lambda *args, **kwargs: None


def limit(memory, processes, file_size, user):
    """Bound this process and its children, and become `user` where the grader is root."""
    for kind, value in (
        (resource.RLIMIT_DATA, memory),
        (resource.RLIMIT_NPROC, processes),
        (resource.RLIMIT_FSIZE, file_size),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (value, value))
    if user is not None:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)


def python(source):
    """Return the Python of a notebook cell: magics and shell lines become calls of the stand-in."""
    from IPython.core.inputtransformer2 import TransformerManager

    return TransformerManager().transform_cell(source)


def where(problem, name):
    """Return the last line of the student's own cells on the way to `problem`: [cell, line], or None."""
    lines = [
        [frame.filename[6:-1], frame.lineno]
        for frame in traceback.extract_tb(problem.__traceback__)
        if frame.filename.startswith("<cell ")
    ]
    return next((line for line in reversed(lines) if line[0] != name), None) or (lines[-1] if lines else None)


def run(name, source, names):
    """Execute `source` with the global `names`; return what went wrong, or None."""
    try:
        text = python(source)
        file = f"<cell {name}>"
        linecache.cache[file] = (len(text), None, text.splitlines(True), file)
        exec(compile(text, file, "exec"), names)
    except BaseException as problem:  # also SystemExit and KeyboardInterrupt, which would end this loop
        return {"type": type(problem).__name__, "message": str(problem)[:1000], "where": where(problem, name)}
    return None


def answer(request):
    """Run one request: a cell in the student's names, or a probe in a copy of them with SEED and `emit`."""
    name, source, emitted = request["name"], request["source"], {}
    if not request["probe"]:
        return {"error": run(name, source, STUDENT.__dict__)}

    def emit(**values):
        for key, value in values.items():
            with contextlib.suppress(TypeError):  # a value that cannot leave is one that is missing
                emitted[key] = encode(plain(value))

    names = {**STUDENT.__dict__, "SEED": request["seed"], "emit": emit}
    return {"error": run(name, source, names), "values": emitted}


def main():
    """Serve until the requests end."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    limits = json.loads(requests.readline())
    limit(**limits)
    import jax.numpy  # noqa: F401

    import gansde_lib  # noqa: F401 (imports are slow, and no cell's fault)

    sys.modules["__main__"] = STUDENT
    builtins.get_ipython = Notebook
    builtins.display = print
    own = os.getpid()
    dumps, flush = json.dumps, (sys.stdout, sys.stderr)
    replies.write(b'{"ready": true}\n')
    replies.flush()
    for line in requests:
        request = json.loads(line)
        sys.stdout, sys.stderr = flush
        reply = {"id": request["id"], **answer(request)}
        if os.getpid() != own:
            os._exit(0)  # a child that a cell forked: only one may answer
        for stream in flush:
            stream.flush()
        replies.write(dumps(reply).encode() + b"\n")
        replies.flush()


if __name__ == "__main__":
    main()
