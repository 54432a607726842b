r"""Which trajectories belong together: the Laplacian of a graph whose kernel sees positions and velocities.

Two spiral sinks :math:`\dot x = A(x - c)`, three arms each, cross in the plane. Source: Fichera and Billard (2022); the
symmetric kernel, cut at two lengths, is our own.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture

from gansde_lib import _checks, evidence, simulate

NAME = "neighbour-eigenmaps"
TEST = "tests/test_neighbours_eigenmaps.py::test_the_claim_and_its_controls"
CALL = "measure(key=jax.random.key(0), runs=24, points=60, tau=0.3)"
LENGTH = 0.06


class Motion(NamedTuple):
    """Positions and velocities, both (..., points, 2)."""

    position: jax.Array
    velocity: jax.Array


def spiral(radius, angle, centre, *, points, end=0.02, turn=1.0):
    """Return the `Motion` along one arm into a spiral sink, from `radius` to `end` at equal distances.

    >>> arm = spiral(1.0, 0.0, jnp.zeros(2), points=3)
    >>> arm.position.shape, arm.velocity[0]
    ((3, 2), Array([-1.,  1.], dtype=float32))
    """
    radii = jnp.linspace(radius, end, points)
    angles = angle + turn * jnp.log(radius / radii)
    away = radii[:, None] * jnp.stack([jnp.cos(angles), jnp.sin(angles)], axis=1)
    return Motion(centre + away, turn * jnp.stack([-away[:, 1], away[:, 0]], axis=1) - away)


def arms(*, key, points=60, jitter=0.004):
    """Return the `Motion` (6, points, 2) of three arms into (-1, 0) and three into (1, 0), turned at random.

    Their radii differ by up to a fifth from 1.8, and positions have Gaussian errors of size `jitter`.
    """
    turn_key, radius_key, error_key = jax.random.split(key, 3)
    turned = jnp.repeat(jax.random.uniform(turn_key, (2,)), 3) + jnp.tile(jnp.arange(3.0), 2)
    radii = 1.8 * jax.random.uniform(radius_key, (6,), minval=0.8, maxval=1.2)
    centres = jnp.repeat(jnp.array([[-1.0, 0.0], [1.0, 0.0]]), 3, axis=0)
    motion = jax.vmap(lambda *arm: spiral(*arm, points=points))(radii, 2 * jnp.pi / 3 * turned, centres)
    return motion._replace(position=motion.position + jitter * jax.random.normal(error_key, motion.position.shape))


def weights(motion, *, tau, length=LENGTH):
    r"""Return :math:`e^{-(|\Delta x|^2 + \tau^2|\Delta v|^2)/2\ell^2}` between points (n, 2), zero below e^-2.

    >>> weights(Motion(jnp.array([[0.0], [1.0], [9.0]]), jnp.zeros((3, 1))), tau=1.0, length=1.0)[0] > 0
    Array([False,  True, False], dtype=bool)
    """
    state = jnp.concatenate([motion.position, tau * motion.velocity], axis=1)
    square = jnp.sum((state[:, None] - state) ** 2, axis=-1)
    near = (square < 4 * length**2) & ~jnp.eye(len(square), dtype=bool)
    return jnp.where(near, jnp.exp(-square / (2 * length**2)), 0.0)


def eigenmap(graph):
    """Return the eigenvectors (n, n) of the graph's Laplacian, columns by eigenvalue, and how many of these are zero.

    >>> eigenmap(np.zeros((3, 3)))[1]
    3
    """
    graph = np.asarray(graph, float)
    values, vectors = np.linalg.eigh(np.diag(graph.sum(axis=1)) - graph)
    return vectors, int((values < 1e-9).sum())


def bent(paths):
    """Return the mean share of the variance of paths (paths, points, d) that lies off a straight line.

    >>> corner = np.array([[[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]]])
    >>> round(float(bent(corner)), 3)
    0.25
    """
    spectra = np.linalg.svd(paths - paths.mean(axis=1, keepdims=True), compute_uv=False) ** 2
    return (1 - spectra[:, 0] / spectra.sum(axis=1)).mean()


class Measured(NamedTuple):
    """Of each run (..., runs): zero eigenvalues with and without velocities; how bent paths are, embedded and before;
    agreement with the sinks (adjusted Rand index) of the map, that without velocities, k-means and a mixture."""

    zeros: np.ndarray
    bent: np.ndarray
    agreement: np.ndarray


def measure(*, key, runs=24, points=60, tau=0.3):
    """Cluster six arms in each of `runs` geometries (two or more); `tau=0` breaks the method.

    >>> measure(key=jax.random.key(0), runs=2).zeros[0]
    array([2, 2])
    """
    _checks.whole("runs", runs, minimum=2, example=CALL)
    _checks.whole("points", points, minimum=10, example=CALL)
    _checks.non_negative("tau", tau, example=CALL)

    def agreement(method, data):
        found = method(2, n_init=10, random_state=0).fit_predict(data)
        return adjusted_rand_score(np.repeat([0, 1], 3 * points), found)

    def once(key):
        motion = arms(key=key, points=points)
        flat = Motion(*(np.asarray(part, float).reshape(-1, 2) for part in motion))
        (maps, zeros), (still, zeros_still) = (eigenmap(weights(flat, tau=t)) for t in (tau, 0.0))
        paths = maps[:, zeros : 3 * zeros].reshape(6, points, -1), np.asarray(motion.position, float)
        pairs = zip([KMeans] * 3 + [GaussianMixture], [maps[:, :2], still[:, :2], *[np.hstack(flat)] * 2], strict=True)
        return (zeros, zeros_still), [bent(one) for one in paths], [agreement(*pair) for pair in pairs]

    return Measured(*(np.array(found).T for found in zip(*map(once, jax.random.split(key, runs)), strict=True)))


def replication(measured):
    """Return the evidence for the claim, from what `measure` found."""
    origin = {"test": TEST, "source": "fichera2022", "seed": simulate.BOOK_SEED}

    def part(name, what, found, relation, bound):
        mean = evidence.mean(found)
        given = {"predicted": bound, "relation": relation, "tolerance": 0.0, **origin}
        return evidence.record(
            f"{NAME}-{name}", statement=f"{what}, mean over {len(found)} geometries.", **mean, **given
        )

    return evidence.replication(
        NAME,
        statement="A graph whose kernel sees velocities has one zero eigenvalue for each of several crossing dynamics, "
        "whose trajectories are straight in its eigenvectors; other methods, told their number, do not separate them.",
        parts=[
            part("zeros", "Zero eigenvalues of the Laplacian", measured.zeros[0], "=", 2.0),
            part("agreement", "Agreement of the two clusters with the sinks", measured.agreement[0], ">", 0.98),
            part("straight", "Share of an embedded path's variance off a line", measured.bent[0], "<", 1e-3),
            part("bent", "The same of the path itself", measured.bent[1], ">", 0.02),
            part("zeros-still", "Control: zero eigenvalues without velocity", measured.zeros[1], "<", 1.5),
            part("still", "Control: agreement without velocity", measured.agreement[1], "<", 0.9),
            part("means", "Control: agreement of k-means", measured.agreement[2], "<", 0.9),
            part("mixture", "Control: agreement of a Gaussian mixture", measured.agreement[3], "<", 0.9),
        ],
        reason="Two equal linear sinks: their velocities differ by one fixed vector wherever their arms cross.",
        **origin,
    )
