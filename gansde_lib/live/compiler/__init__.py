"""Compiles pure JAX functions to WebAssembly: `jax.make_jaxpr`, then C, then clang.

front_end   traces the function and reduces it to simple operations (`rewrites` says the rich ones in simple ones)
fusion      decides what is stored and what is computed where it is read
emit_c      writes the C (`values` one entry, `writer` scopes, loops and buffers, `primitives` the templates)
driver      calls clang, keeps a cache, and runs the result in Python for tests
maths.h     exp, tanh, threefry, ... in float32
runtime.js  runs the result on a page
"""

from .driver import Module, compile, load, pack
from .front_end import Unsupported

__all__ = ["Module", "Unsupported", "compile", "load", "pack"]
