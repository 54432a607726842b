"""Long work in pieces: over threads, devices and hosts, with a progress bar, interrupted and resumed.

Work is `count` units; `function(job, number)` does one of them and looks at nothing else, so that it does not matter
who does it. A piece is a few units in a row, and one call of a compiled program.
"""

import concurrent.futures
import functools
import hashlib
import itertools
import os
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh, PartitionSpec

from gansde_lib import _checks
from gansde_lib.simulate import options

PIECES = 32
"""Into how many pieces work that is kept is cut at least, if it has as many units: so much can be lost at most."""

LARGEST = {"cpu": 64}
"""Units of the largest piece, by platform; elsewhere than on the CPU they are done side by side."""


def pieces(function, job, *, count, static=(), workers=None, progress=None, store=None):
    """Yield the results of all units in order, a piece at a time, stacked along a leading axis.

    Args:
        function: `function(job, number, **dict(static))`, pure; defined at the top of a module.
        job: a pytree.
        count: the number of units.
        static: pairs of names and hashable settings.
        workers: threads on a CPU; by default one for each core. Results do not depend on it.
        progress: whether to show a bar; by default if the work takes more than two seconds. The environment variable
            `GANSDE_PROGRESS=0` hides all bars.
        store: a folder that keeps finished pieces. The same work started again goes on where it was interrupted.

    Yields:
        Pytrees of NumPy arrays. Inside a `jax.jit` there is one piece of JAX arrays, and no thread, bar or store.

    Raises:
        ValueError: for fewer than one worker, or a store that holds other work.
    """
    if inside_a_program() or not all(map(_checks.is_concrete, jax.tree.leaves(job))):
        units = jnp.arange(count, dtype=jnp.uint32)
        yield lax.map(lambda number: function(job, number, **dict(static)), units)
        return
    workers = options.workers() if workers is None else workers
    _checks.whole("workers", workers, minimum=1, example="workers=2, or workers=None for one a core")
    devices = np.array(jax.devices())
    # Other work in two for each core, which shares it out evenly: every piece begins with a cold cache.
    shares = (2 * options.workers() if store is None else PIECES) * len(devices)
    size = max(1, min(-(-count // shares), LARGEST.get(devices[0].platform, 1024)))
    program = _program(function, size, static, tuple(devices))
    kept = None if store is None else _Store(store, function, job, count, size * len(devices), static)

    def piece(first):
        """The units from number `first` on: of the store, or done now."""
        found = None if kept is None else kept.read(first)
        if found is None:
            total = min(size * len(devices), count - first)
            begins = first + size * np.arange(len(devices))
            counts = np.clip(count - begins, 0, size)
            results = program(job, begins.astype(np.uint32), counts.astype(np.int32))
            found = jax.tree.map(lambda leaf: _gathered(leaf)[:total], results)
            if kept is not None:
                kept.write(first, found)
        return found

    firsts = range(0, count, size * len(devices))
    with _bar(progress, len(firsts), workers) as bar:
        for found in _in_order(piece, firsts, workers if len(devices) == 1 else 1):
            bar.update()
            yield found


def inside_a_program():
    """True while JAX traces a program, in which functions may hold numbers that are not there yet.

    >>> inside_a_program(), bool(jax.jit(inside_a_program)())
    (False, True)
    """
    return not _checks.is_concrete(jnp.zeros(()))


@functools.cache
def _program(function, size, static, devices):
    """The compiled program of a piece: `size` units on each device, from a first one and as many as its count says."""
    many_at_once = _many_at_once(devices[0])

    def one(job, number):
        return function(job, number, **dict(static))

    def units(job, begins, counts):
        begin, count = begins[0], counts[0]
        if many_at_once:
            return jax.vmap(one, in_axes=(None, 0))(job, begin + jnp.arange(size, dtype=jnp.uint32))
        empty = jax.eval_shape(one, job, begin)
        empty = jax.tree.map(lambda leaf: jnp.zeros((size, *leaf.shape), leaf.dtype), empty)

        def add(k, found):
            done = one(job, begin + k.astype(jnp.uint32))
            return jax.tree.map(lambda all_units, leaf: all_units.at[k].set(leaf), found, done)

        return lax.fori_loop(0, count, add, empty)

    if len(devices) > 1:
        split, whole = PartitionSpec("units"), PartitionSpec()
        mesh = Mesh(np.array(devices), ("units",))
        units = jax.shard_map(units, mesh=mesh, in_specs=(whole, split, split), out_specs=split, check_vma=False)
    return jax.jit(units, compiler_options=options.compiler_options())


def _many_at_once(device):
    """Whether a device does all units of a piece side by side: a GPU has room for them, a core's cache has not."""
    return device.platform != "cpu"


def _gathered(leaf):
    """All of an array's parts, also those on other hosts, as a NumPy array."""
    if leaf.is_fully_addressable:
        return np.asarray(leaf)
    from jax.experimental import multihost_utils

    return np.asarray(multihost_utils.process_allgather(leaf, tiled=True))


def _in_order(function, items, workers):
    """The results of `function(item)`, worked out by several threads, in the order of the items."""
    if workers == 1 or len(items) == 1:
        yield from map(function, items)
        return
    double = jnp.result_type(float) == jnp.float64

    def there(item):
        with jax.enable_x64(double):  # a setting of each thread
            return function(item)

    pool = concurrent.futures.ThreadPoolExecutor(workers)
    try:
        items = iter(items)
        # Twice as many as threads: enough to keep them busy, few enough not to keep all results at once.
        ahead = [pool.submit(there, item) for item in itertools.islice(items, 2 * workers)]
        while ahead:
            yield ahead.pop(0).result()
            ahead += [pool.submit(there, item) for item in itertools.islice(items, 1)]
    finally:
        pool.shutdown(cancel_futures=True)


class _NoBar:
    def __enter__(self):
        return self

    def __exit__(self, *_):
        return False

    def update(self):
        """Show nothing."""


def _bar(progress, total, workers):
    if os.environ.get("GANSDE_PROGRESS") == "0" or progress is False or jax.process_index() > 0:
        return _NoBar()
    if progress is None and total <= workers:
        return _NoBar()  # work as short as a slider's must not wait for the import below
    from tqdm.auto import tqdm

    return tqdm(total=total, delay=2 if progress is None else 0, unit="piece", leave=False)


class _Store:
    """Finished pieces in a folder, one file each, and the fingerprint of the work they belong to."""

    def __init__(self, folder, function, job, count, size, static):
        self.folder = Path(folder) / (f"process_{jax.process_index()}" if jax.process_count() > 1 else "")
        program, result = jax.make_jaxpr(functools.partial(function, **dict(static)), return_shape=True)(
            job, jnp.uint32(0)
        )
        self.structure = jax.tree.structure(result)
        told = hashlib.sha256(f"{count} {size} {program}".encode())
        for leaf in jax.tree.leaves(job):
            told.update(np.asarray(leaf).tobytes())
        mark = self.folder / "work.txt"
        if mark.exists() and mark.read_text() != told.hexdigest():
            raise ValueError(
                f"store={str(folder)!r} holds pieces of other work (other numbers, functions or devices); for example "
                f"store={str(folder) + '_2'!r}, or remove the folder"
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        mark.write_text(told.hexdigest())
        self.finished = None
        if jax.process_count() > 1:  # all hosts must agree on what is left to do
            from jax.experimental import multihost_utils

            mine = len(list(self.folder.glob("*.npz")))
            self.finished = int(multihost_utils.process_allgather(np.int32(mine)).min()) * size

    def _file(self, first):
        return self.folder / f"{first:09d}.npz"

    def read(self, first):
        """The piece that begins with unit `first`, or None."""
        if not self._file(first).exists() or (self.finished is not None and first >= self.finished):
            return None
        with np.load(self._file(first)) as leaves:
            return jax.tree.unflatten(self.structure, [leaves[name] for name in leaves.files])

    def write(self, first, found):
        """Keep a piece; a file appears whole or not at all."""
        half = self._file(first).with_suffix(".half")
        with half.open("wb") as file:
            np.savez(file, *jax.tree.leaves(found))
        half.rename(self._file(first))
