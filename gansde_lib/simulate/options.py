"""What the engine asks of XLA, in one place."""

import functools
import os

import jax

FAST_FLAGS = (
    "--xla_backend_extra_options=xla_cpu_small_while_loop_byte_threshold=100000000,xla_cpu_use_multi_output_fusion=true"
)
"""Opt-in flags for the CPU, with which whole time loops become one loop of machine code. They are not documented by
XLA, must stand in the environment variable `XLA_FLAGS` before the first use of JAX, and slow down large matrix
products.
"""

WISHES = {"cpu": {"xla_cpu_prefer_vector_width": 512}}
"""Options by platform, among them vectors as wide as those of AVX-512, where XLA would stop at half of that."""


@functools.cache
def compiler_options(platform=None):
    """Return those of the `WISHES` for a platform that this version of XLA takes: for `jax.jit(compiler_options=...)`.

    >>> set(compiler_options("cpu")) <= {"xla_cpu_prefer_vector_width"}
    True
    """
    platform = platform or jax.default_backend()
    taken = {}
    for name, value in WISHES.get(platform, {}).items():
        try:
            jax.jit(lambda x: x, compiler_options={name: value}).lower(0.0).compile()
        except Exception:  # which one it is depends on the version; without the option all is as right, and slower
            continue
        taken[name] = value
    return taken


def workers():
    """Return how many threads share the work on the CPU: as many as this process may use cores.

    XLA runs one small loop on one core; elsewhere than on the CPU one thread is enough.

    >>> workers() >= 1
    True
    """
    if jax.default_backend() != "cpu":
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
