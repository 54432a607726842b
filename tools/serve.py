"""Serve a folder on 127.0.0.1 until interrupted: `python tools/serve.py _build/html 8000`."""

import functools
import sys
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer


def server(folder, port=0):
    """Return a server of `folder` on 127.0.0.1; port 0 takes any free one."""
    return ThreadingHTTPServer(("127.0.0.1", port), functools.partial(Quiet, directory=str(folder)))


class Quiet(SimpleHTTPRequestHandler):
    """Files without a line of log for each."""

    def log_message(self, *args):
        """Print nothing."""


if __name__ == "__main__":
    folder, port = sys.argv[1], int(sys.argv[2])
    try:
        book = server(folder, port)
    except OSError as error:
        sys.exit(f"Port {port} cannot be used ({error.strerror}). Choose another: make book PORT={port + 1}")
    print(f"The book is at http://127.0.0.1:{port}/ (stop with Ctrl-C).", flush=True)
    try:
        book.serve_forever()
    except KeyboardInterrupt:
        print()
