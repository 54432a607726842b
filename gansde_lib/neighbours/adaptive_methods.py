r"""Normalised and plain descent-ascent on two modes, after Jelassi and others (2022), rebuilt from the abstract.

Data are one of two unit vectors with inner product 0.2. A linear generator has eight latents, one point each; the
discriminator is a sum of sixteen truncated cubics, :math:`\sum_i h(w_i \cdot x) + b`, and the loss is the logistic one.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.ndimage

from gansde_lib import Game, Players, _checks, evidence, gda, simulate

TEST = "tests/test_neighbours_adaptive_methods.py::test_the_claim"
UNITS, LATENTS = 16, 8
RULES = {"plain": "simultaneous", "normalised": gda.normalised("simultaneous")}
GRIDS = {  # generator's and discriminator's rates, in decades
    "plain": (np.linspace(-2, 0.5, 8), np.linspace(-2.5, 0, 8)),
    "normalised": (np.linspace(-3, -0.5, 6), np.linspace(-3, -0.5, 6)),
}
REASONS = {
    True: "The gap shows in one architecture, which was selected after a search over about a hundred because it is "
    "large there. Without the bias plain descent-ascent at tuned rates meets both modes too: not any rates collapse.",
    False: "Without normalisation nothing is gained over plain descent-ascent, or there were too few runs to tell.",
}


class Architecture(NamedTuple):
    """Whether the discriminator has a bias, and the scales of its first weights and of the first generated points."""

    bias: float
    weights: float
    points: float


ARCHITECTURES = {
    "selected": Architecture(1.0, 0.3, 0.1),
    "no bias": Architecture(0.0, 0.3, 0.1),
}


def start(key, *, dimension, architecture):
    r"""Return the two modes and a start, in coordinates of the space that they span: (2, 26), `Players`.

    Gaussian entries of variance scale^2 / d. Gradients never leave that span, so 26 coordinates serve any dimension.

    >>> modes, x = start(jax.random.key(0), dimension=100, architecture=ARCHITECTURES["selected"])
    >>> modes.shape, x.theta.shape, x.omega[0].shape
    ((2, 26), (8, 26), (16, 26))
    """
    count = UNITS + LATENTS
    _checks.whole("dimension", dimension, minimum=count + 2, example="dimension=100")
    key, other = jax.random.split(key)
    z = jax.random.normal(key, (count, dimension - 2))
    # The LQ factors of a Gaussian matrix: what a row has beyond the rows before it is one coordinate.
    places = jnp.arange(count)
    beyond = jnp.sqrt(jnp.where(jnp.arange(dimension - 2) >= places[:, None], z**2, 0).sum(1))
    rest = jnp.where(places < places[:, None], z[:, :count], 0) + jnp.where(
        places == places[:, None], beyond[:, None], 0
    )
    rows = jnp.concatenate([jax.random.normal(other, (count, 2)), rest], 1) / dimension**0.5
    modes = jnp.zeros((2, count + 2)).at[0, 0].set(1.0).at[1, 0].set(0.2).at[1, 1].set(0.96**0.5)
    weights, points = architecture.weights * rows[:UNITS], architecture.points * rows[UNITS:]
    return modes, Players(points, (weights, jnp.zeros(())))


def cubic(s, cut=4.0):
    """Return s^3, continued by its tangents beyond `cut`.

    >>> [float(cubic(s)) for s in (2.0, 5.0)]
    [8.0, 112.0]
    """
    return jnp.where(jnp.abs(s) <= cut, s**3, 3 * cut**2 * s - 2 * cut**3 * jnp.sign(s))


def game(modes, bias):
    """Return the game of eight points against weights and bias, with exact expectations.

    >>> modes, x = start(jax.random.key(0), dimension=50, architecture=ARCHITECTURES["no bias"])
    >>> float(game(modes, 0.0).field(x).omega[1])  # the bias does not move
    0.0
    """

    def payoff(points, omega, sample):
        def score(x):
            return cubic(x @ omega[0].T).sum(1) + bias * omega[1]

        return jax.nn.log_sigmoid(score(sample)).mean() + jax.nn.log_sigmoid(-score(points)).mean()

    return Game(payoff, modes[None])


def cosines(points, modes):
    """Return the cosine of each point with each mode, (..., 8, 2).

    >>> cosines(jnp.array([[2.0, 0.0]]), jnp.eye(2))
    Array([[1., 0.]], dtype=float32)
    """
    return points @ modes.T / jnp.maximum(jnp.linalg.norm(points, axis=-1, keepdims=True), 1e-30)


@functools.partial(jax.jit, static_argnames=("dimension", "steps", "rule"))
def recovered(keys, rates, architecture, *, dimension, steps, rule):
    """Return whether each run ends with a point at a cosine above 0.9 to either mode; `rates` is (runs, 2)."""

    def one(key, lr):
        modes, x = start(key, dimension=dimension, architecture=architecture)
        path = gda.run(
            game(modes, architecture.bias), x, lr=(lr[0], lr[1]), steps=steps, update=RULES[rule], every=steps
        )
        return (cosines(path.theta[-1], modes) > 0.9).any(0).all()

    return jax.vmap(one)(keys, rates)


class Measured(NamedTuple):
    """Runs by architecture and rule (plain, normalised): on grids of rates, and on fresh seeds at the best of them."""

    grids: dict  # rule: (architectures, seeds, generator's rates, discriminator's rates), True where both modes are met
    areas: np.ndarray  # (architectures, 2, seeds), square decades of rates at which a seed meets both
    fresh: np.ndarray  # (architectures, 2, fresh)


def measure(*, key, dimension=100, seeds=8, fresh=64, steps=2500, normalised=True):
    """Search rates on some seeds, then run the best ones on others; `normalised=False` breaks the method.

    Raises:
        ValueError: for a dimension below 26, fewer than two seeds of either kind, or no steps.

    >>> measure(key=jax.random.key(0), dimension=26, seeds=2, fresh=3, steps=5).fresh.shape
    (2, 2, 3)
    """
    for name, number in {"seeds": seeds, "fresh": fresh}.items():
        _checks.whole(name, number, minimum=2, example="seeds=8, fresh=64")
    _checks.whole("dimension", dimension, minimum=UNITS + LATENTS + 2, example="dimension=100")
    keys = jax.random.split(key, seeds + fresh)
    found = {}
    for name, decades in GRIDS.items():
        rule = name if normalised else "plain"
        rates = np.float32(10 ** np.stack(np.meshgrid(*decades, indexing="ij"), -1).reshape(-1, 2))
        cell, shape = np.prod([axis[1] - axis[0] for axis in decades]), (seeds, *map(len, decades))
        options, rows = {"dimension": dimension, "steps": steps, "rule": rule}, []
        for architecture in ARCHITECTURES.values():
            every = jnp.repeat(keys[:seeds], len(rates)), np.tile(rates, (seeds, 1))
            met = np.array(recovered(*every, architecture, **options)).reshape(shape)
            # Of rates that do equally well those with good neighbours: less of the choice is luck.
            best = rates[np.argmax(met.mean(0) + scipy.ndimage.uniform_filter(met.mean(0), 3, mode="constant"))]
            again = recovered(keys[seeds:], np.tile(best, (fresh, 1)), architecture, **options)
            rows.append((met, met.sum((1, 2)) * cell, np.array(again, float)))
        found[name] = [np.array(column) for column in zip(*rows, strict=True)]
    grids, areas, again = ({name: columns[i] for name, columns in found.items()} for i in range(3))
    return Measured(grids, *(np.stack([part["plain"], part["normalised"]], 1) for part in (areas, again)))


def replication(measured):
    """Return the evidence for the claim, from what `measure` returned.

    >>> replication(measure(key=jax.random.key(0), dimension=26, seeds=2, fresh=3, steps=5)).source
    'jelassi2022'
    """
    ahead = measured.fresh[:, 1] - measured.fresh[:, 0]
    rows = {
        "normalised": ("Share of normalised runs that meet both modes.", 0.85, ">", measured.fresh[0, 1], 0.1),
        "ahead": ("Share of normalised runs less that of plain ones.", 0.25, ">", ahead[0], 0.0),
        "area": (
            "Area of plain descent-ascent's working rates less a fifth of the normalised one's.",
            0.0,
            "<",
            measured.areas[0, 0] - measured.areas[0, 1] / 5,
            0.0,
        ),
        "any": ("The same difference without the bias.", 0.25, ">", ahead[1], 0.0),
    }
    parts = [
        evidence.record(
            f"adaptive-methods-{name}",
            statement=statement,
            predicted=bound,
            **evidence.mean(values),
            tolerance=tolerance,
            relation=relation,
            test=TEST,
            seed=simulate.BOOK_SEED,
        )
        for name, (statement, bound, relation, values, tolerance) in rows.items()
    ]
    return evidence.replication(
        "neighbour-adaptive-methods",
        statement="Normalised descent-ascent recovers all modes, plain descent-ascent collapses at any rates.",
        source="jelassi2022",
        parts=parts,
        reason=REASONS[parts[1].verdict == "holds"],
        test=TEST,
        seed=simulate.BOOK_SEED,
    )
