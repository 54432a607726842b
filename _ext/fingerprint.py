"""Execute the notebooks again when the library or the lock has changed, and only then.

jupyter-cache looks at a notebook's own cells, so that after an edit of the library it would publish the
old numbers. Here the cache's folder carries a fingerprint of the library's source and of the lock, and the
same fingerprint makes Sphinx read every page again.
"""

import hashlib
import shutil
from pathlib import Path

SOURCES = ["gansde_lib/**/*.py", "gansde_lib/**/*.h", "gansde_lib/**/*.js", "requirements.txt"]


def fingerprint(root, patterns):
    """Return a short SHA-256 over the names and contents of the files under `root` that match `patterns`."""
    total = hashlib.sha256()
    for path in sorted({path for pattern in patterns for path in Path(root).glob(pattern)}):
        total.update(path.relative_to(root).as_posix().encode())
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()[:16]


def cache(root, build=None, sources=SOURCES):
    """Return the folder in which the build at `build` (else `_build` under the root) keeps what notebooks said."""
    return Path(build or Path(root) / "_build") / f".jupyter_cache-{fingerprint(root, sources)}"


def choose_cache(app, config):
    """Name the cache after the fingerprint and remove the caches of other states of the library."""
    chosen = cache(app.srcdir, Path(app.outdir).parent, config.gansde_sources)
    config.gansde_fingerprint = chosen.name
    config.nb_execution_cache_path = str(chosen)
    for other in chosen.parent.glob(".jupyter_cache-*"):
        if other != chosen:
            shutil.rmtree(other)


def setup(app):
    """Register the extension."""
    app.add_config_value("gansde_sources", SOURCES, "")
    app.add_config_value("gansde_fingerprint", "", "env")
    app.connect("config-inited", choose_cache)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
