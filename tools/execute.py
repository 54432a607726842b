"""Run side by side the notebooks whose results are not stored, before the build reads them: `python tools/execute.py`.

The build would run them one after the other. The results are stored where it looks for them (`_ext/fingerprint.py`). A
notebook that fails here has no results: the build runs it again, and stops with what it said.
"""

import logging
import sys
from pathlib import Path

import notebooks
from jupyter_cache import get_cache
from jupyter_cache.executors import load_executor

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "_ext"))

import fingerprint  # noqa: E402 (found on the path that was just set)


def main(root=ROOT):
    """Run one notebook per processor at a time; return the paths of those that ran to their end."""
    cache = get_cache(str(fingerprint.cache(root)))
    paths = [str(path) for path in notebooks.below(root / "book")]
    for path in paths:
        cache.add_nb_to_project(path)
    logger = logging.getLogger("execute")
    logger.setLevel(logging.INFO)
    return load_executor("local-parallel", cache, logger).run_and_cache(filter_uris=paths, timeout=600).succeeded


if __name__ == "__main__":
    main()
