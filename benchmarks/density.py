"""The stationary density of two players on 256 x 256 cells, from scratch and after a change of a parameter."""

import copy

import jax
import numpy as np
import scipy.sparse.linalg

from benchmarks.compare import Form, Work
from gansde_lib import Players, invariant

CELLS = 256
BOX = {"lower": (-3.0, -3.0), "upper": (3.0, 3.0), "cells": CELLS}
NOISE = np.array([[0.2, 0.05], [0.05, 0.3]])


def push(coupling, x):
    """A game that turns, with a cubic pull and correlated noise: not Gaussian and not reversible."""
    return Players(-coupling * x.omega - 0.3 * x.theta**3, coupling * x.theta - 0.5 * x.omega)


def drift(coupling):
    return jax.tree_util.Partial(push, np.float64(coupling))  # another coupling compiles nothing


def from_scratch():
    return lambda: invariant.fokker_planck(drift(1.0), NOISE, **BOX).density


def by_eigenvector():
    """What one would write with SciPy: the eigenvector of the same generator at zero, by its defaults."""

    def run():
        matrix = invariant.generator_matrix(drift(1.0), NOISE, **BOX).T.tocsc()
        shift = 1e-6 * np.abs(matrix.diagonal()).max()  # at zero itself the matrix is singular
        start = np.ones(matrix.shape[0])
        _, vectors = scipy.sparse.linalg.eigs(matrix, k=1, sigma=shift, v0=start)
        masses = np.abs(vectors[:, 0].real).reshape(CELLS, CELLS)
        return masses / masses.sum() / (6.0 / CELLS) ** 2

    return run


def after_a_change():
    """Solve at 1.05 with the factors of 1; they are made anew nowhere, since each run starts from the same solver."""
    solver = invariant.Solver(**BOX)
    solver(drift(1.0), NOISE)

    def run():
        return copy.copy(solver)(drift(1.05), NOISE).density

    return run


def anew():
    return lambda: invariant.fokker_planck(drift(1.05), NOISE, **BOX).density


def same_density(results):
    """In the L1 norm within 1e-8."""
    for name, found in results.items():
        apart = np.abs(found - results["ours"]).sum() * (6.0 / CELLS) ** 2
        assert apart < 1e-8, f"the density of {name} is {apart:.1e} from ours"


WORKS = [
    Work(
        "256 x 256 stationary Fokker-Planck",
        "densities",
        Form(from_scratch, 1),
        {"SciPy eigs": Form(by_eigenvector, 1)},
        same_density,
        {"SciPy eigs": (2.5, None)},
        "The factorisation of a planar graph of 65,535 cells, on one core, takes two thirds of the time; an order of "
        "elimination by nested dissection would save 5 % of it.",
    ),
    Work(
        "the same after a 5 % parameter change",
        "densities",
        Form(after_a_change, 1),
        {"full refactorisation": Form(anew, 1)},
        same_density,
        {"full refactorisation": (2.0, None)},
        "Each step of GMRES is one back substitution, 5 ms: its factors of 40 MB are read from memory once.",
    ),
]
