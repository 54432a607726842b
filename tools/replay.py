"""One execution for the book and for nbval: a kernel that repeats what the build's kernel said.

The build keeps the code cells that it ran in a cache whose name depends on the library's source, as in
`_ext/fingerprint.py`. A notebook that is found there with the same code is not run again: nbval compares the outputs of
that run with the stored ones. Any other notebook is run.
"""

import fingerprint
import nbformat
from jupyter_cache import get_cache
from nbval.plugin import IPyNbFile


def executed(path, root):
    """Return the notebook at `path` as the last build ran it, or None if there is no run of this code."""
    folder = fingerprint.cache(root)
    if not folder.is_dir():
        return None
    cache = get_cache(str(folder))
    try:
        return cache.get_cache_bundle(cache.match_cache_notebook(nbformat.read(path, as_version=4)).pk).nb
    except KeyError:
        return None


class Replay:
    """What nbval asks of a kernel: cells are asked for in order, and each answers with its recorded outputs."""

    def __init__(self, notebook):
        self.cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
        self.messages = []

    def execute_cell_input(self, source, allow_stdin=None):
        """Line up the outputs of the cell with this source; its position is the message's name."""
        del allow_stdin
        number = next(number for number, cell in enumerate(self.cells) if cell and cell.source == source)
        outputs, self.cells[number] = self.cells[number].outputs, None  # a source that comes twice has two cells
        said = [(output.output_type, output) for output in outputs]
        self.messages = [
            {"msg_type": kind, "content": content, "parent_header": {"msg_id": number}}
            for kind, content in [*said, ("status", {"execution_state": "idle"})]
        ]
        return number

    def get_message(self, stream, timeout=None):
        """Return the next message."""
        del stream, timeout
        return self.messages.pop(0)

    def is_alive(self):
        """Return True: there is nothing that could die."""
        return True

    def await_reply(self, msg_id, timeout=None):
        """Return at once: the reply is there."""

    def stop(self):
        """Do nothing."""


_start, _stop = IPyNbFile.setup, IPyNbFile.teardown


def use(root):
    """Let nbval replay the build's runs from now on."""

    def start(self):
        if (notebook := executed(self.fspath, root)) is None:
            _start(self)
        else:
            self.setup_sanitize_files()
            self.kernel = Replay(notebook)

    def stop(self):
        if not isinstance(self.kernel, Replay):
            _stop(self)

    IPyNbFile.setup, IPyNbFile.teardown = start, stop
