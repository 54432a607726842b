"""From a function to WebAssembly, and back to Python for tests."""

import base64
import ctypes
import gzip
import hashlib
import os
import re
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from .emit_c import emit
from .front_end import Unsupported, trace

FLAGS = [
    *("-target", "wasm32-freestanding", "-O3", "-msimd128", "-mbulk-memory", "-mnontrapping-fptoint", "-msign-ext"),
    *("-nostdlib", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=off", "-fwrapv", "-fno-strict-aliasing"),
    *("-mllvm", "-unroll-threshold=60"),  # 30 % smaller than the default, and a tenth slower at most
    *("-w", "-s", "-Wl,--no-entry", "-Wl,-z,stack-size=16384"),
]
MATHS = Path(__file__).with_name("maths.h")


class Module(NamedTuple):
    """A compiled simulation.

    `manifest` lists inputs and outputs, each with the exported symbol that holds its address, its type and shape, and
    for outputs the strides in elements. `tree` rebuilds the function's own result in Python.
    """

    wasm: bytes
    c_source: str
    manifest: dict
    tree: Any


def compile(function, arguments, *, name, cache=None):
    """Compile a pure JAX function to a WebAssembly module.

    Args:
        function: called with keyword arguments; returns a pytree of float32, int32, uint32 or bool arrays.
        arguments: dictionary from names to example values or `jax.ShapeDtypeStruct`s.
        name: the figure's name, for messages and comments.
        cache: folder where modules are kept by the hash of their C text, compiler and flags; None keeps none.

    Raises:
        Unsupported: names the figure and what cannot be compiled.
    """
    with jax.enable_x64(False):
        block, shapes = trace(function, arguments, name=name)
    leaves, tree = jax.tree_util.tree_flatten_with_path(shapes)
    paths = [jax.tree_util.keystr(path, simple=True, separator=".") or "result" for path, _ in leaves]
    in_names, out_names = _symbols("in", arguments), _symbols("out", paths)
    try:
        source, inputs, outputs = emit(block, in_names, out_names, f'/* {name} */\n#include "maths.h"\n')
    except NotImplementedError as error:
        raise Unsupported(f"figure {name!r} cannot be compiled: {error}") from error
    manifest = {
        "entry": "run",
        "inputs": [{"name": key, **_describe(b)} for key, b in zip(arguments, inputs, strict=True)],
        "outputs": [
            {"path": path, **_describe(b), "strides": b.strides} for path, b in zip(paths, outputs, strict=True)
        ],
    }
    return Module(_build(source, in_names + out_names, name, cache), source, manifest, tree)


def _symbols(prefix, names):
    return [
        f"{prefix}_{re.sub(r'[^0-9a-zA-Z]', '_', name)}" + (f"_{k}" if re.search(r"\W", name) else "")
        for k, name in enumerate(names)
    ]


def _describe(buffer):
    return {"symbol": buffer.name, "dtype": str(buffer.dtype), "shape": list(buffer.shape)}


def _build(source, symbols, name, cache):
    """Run clang, unless the same text has been compiled before."""
    version = metadata.version("ziglang")
    digest = hashlib.sha256("\0".join([MATHS.read_text(), source, version, *FLAGS, *symbols]).encode()).hexdigest()
    kept = Path(cache) / f"{digest}.wasm" if cache else None
    if kept and kept.exists():
        return kept.read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "figure.c").write_text(source)
        Path(folder, "maths.h").write_text(MATHS.read_text())
        exports = [f"-Wl,--export={symbol}" for symbol in symbols]
        command = [sys.executable, "-m", "ziglang", "cc", *FLAGS, *exports, "figure.c", "-o", "figure.wasm"]
        environment = {**os.environ, "ZIG_GLOBAL_CACHE_DIR": folder, "ZIG_LOCAL_CACHE_DIR": folder}
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"figure {name!r}: the C compiler failed\n{done.stderr}")
        wasm = Path(folder, "figure.wasm").read_bytes()
    if kept:
        kept.parent.mkdir(parents=True, exist_ok=True)
        partial = kept.with_suffix(f".{os.getpid()}.part")
        partial.write_bytes(wasm)
        partial.replace(kept)
    return wasm


def pack(wasm):
    """Return a module as text for a page, base64 of its gzip: as base64 alone it would hardly compress on its way."""
    return base64.b64encode(gzip.compress(wasm, mtime=0)).decode()


def load(module):
    """Return a Python function that runs the module in wasmtime and gives the results as NumPy arrays."""
    import wasmtime

    store = wasmtime.Store()
    instance = wasmtime.Instance(store, wasmtime.Module(store.engine, module.wasm), [])
    exports = instance.exports(store)
    memory, entry = exports["memory"], exports[module.manifest["entry"]]

    def view(part):
        """The part of the memory that holds an input or output."""
        kind = np.dtype(np.int32 if part["dtype"] == "bool" else part["dtype"])
        start = ctypes.addressof(memory.data_ptr(store).contents) + exports[part["symbol"]].value(store)
        count = int(np.prod(part["shape"]))
        return np.frombuffer((ctypes.c_char * (4 * count)).from_address(start), kind)

    def run(**values):
        for part in module.manifest["inputs"]:
            view(part)[:] = np.asarray(values[part["name"]], part["dtype"]).ravel()
        entry(store)
        results = []
        for part in module.manifest["outputs"]:
            strides = [4 * stride for stride in part["strides"]]
            array = np.lib.stride_tricks.as_strided(view(part), part["shape"], strides)
            results.append(array.astype(part["dtype"]))
        return jax.tree.unflatten(module.tree, results)

    return run
