"""Shared by the tests of the compiler: compile a function, run it in wasmtime, compare with `jax.jit`."""

import jax
import numpy as np

from gansde_lib.live import compiler

TOLERANCE = 2e-5  # of each entry, or of the largest entry of its array


def compare(function, *points, name="test", tolerance=TOLERANCE, scale=0.0):
    """Compile for the first point, run at all of them, compare with `jax.jit`; return the module.

    `scale` is the least that counts as the size of an array: below, differences are rounding of larger numbers.
    """
    module = compiler.compile(function, points[0], name=name)
    run, reference = compiler.load(module), jax.jit(function)
    for number, point in enumerate(points):
        expected, found = reference(**point), run(**point)
        assert jax.tree.structure(found) == jax.tree.structure(expected)
        for (path, a), b in zip(jax.tree_util.tree_leaves_with_path(found), jax.tree.leaves(expected), strict=True):
            same(a, np.asarray(b), tolerance, scale, f"{name}{jax.tree_util.keystr(path)} ({number})")
    return module


def same(found, expected, tolerance, scale, where):
    """Discrete entries are equal; float ones agree, and infinities and NaNs stand at the same places."""
    assert found.shape == expected.shape and found.dtype == expected.dtype, where
    if expected.dtype.kind != "f":
        np.testing.assert_array_equal(found, expected, err_msg=where)
        return
    finite = np.abs(expected[np.isfinite(expected)])
    scale = max(scale, finite.max() if finite.size else 0.0)
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance * scale + 1e-30, err_msg=where)
