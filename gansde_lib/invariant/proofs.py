r"""Proofs by computer that training is pulled back: dissipativity with an explicit constant, or a point without it.

For the equation of order 1 with the rates :math:`\eta_\theta, \eta_\omega` and :math:`V = |\theta|^2/\eta_\theta +
|\omega|^2/\eta_\omega`, the generator gives :math:`LV = 2\, x \cdot F(x) + (\eta_\theta \operatorname{tr}
\Sigma_\theta + \eta_\omega \operatorname{tr} \Sigma_\omega)/B`. So all rates at once
need one inequality about the game's field F.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from gansde_lib import _checks, gda, sde
from gansde_lib.games import Game, catalogue
from gansde_lib.invariant import intervals
from gansde_lib.sde import moments

CHUNK = 2048
_CALL = "certificate(games.toy_gan(), Players(np.zeros(2), np.zeros(2)), rate=0.05, inner=10.0, outer=50.0)"


class Tail(NamedTuple):
    r"""What is known of a game everywhere, by hand.

    .. math:: x \cdot F(x) \le -\text{decay}\,|x|^2 + \text{slope}\,|x|, \qquad
              \operatorname{tr} \Sigma(x) \le \text{noise} + \text{growth}\,|x|^2 .
    """

    decay: float
    slope: float
    noise: float
    growth: float


class Search(NamedTuple):
    """The outcome of `nonpositive`: whether it is proved; if not, a point where it fails, or None if it is open.

    `boxes`: how many boxes were looked at.
    """

    proved: bool
    witness: Any
    boxes: int


class Certificate(NamedTuple):
    r"""The outcome of `certificate`.

    `proved`: whether :math:`x \cdot F(x) \le -\text{rate}\,|x|^2` is proved for all :math:`|x| \ge` inner;
    `witness`: if not, a point of the annulus where it fails, as an array, or None if the search ended without one;
    `constant`: K such that :math:`x \cdot F(x) \le K - \text{rate}\,|x|^2` for all x; `boxes`: how many boxes the
    proof took; `tail`: the bound it uses beyond the annulus.
    """

    proved: bool
    rate: float
    inner: float
    outer: float
    witness: Any
    constant: float
    boxes: int
    tail: Tail

    def second_moment(self, *, lr, batch):
        r"""Return a bound of :math:`\mathbb E|x|^2` under every invariant law of the equation of order 1.

        In a law that stays, E[LV] = 0, so that :math:`2\,\text{rate}\,\mathbb E|x|^2 \le 2K + \tfrac{\eta}{B}
        (\text{noise} + \text{growth}\,\mathbb E|x|^2)` with the larger rate :math:`\eta`.

        Raises:
            ValueError: if nothing is proved, or the rate is so large that the noise may win.
        """
        if not self.proved:
            raise ValueError(f"nothing is proved, witness {self.witness}; for example {_CALL}")
        share = max(gda.rates(lr)) / batch
        left = 2 * self.rate - share * self.tail.growth
        if left <= 0:
            raise ValueError(
                f"the noise grows faster than the field pulls: 2 * {self.rate} - {share * self.tail.growth:.3g} is not "
                "positive; for example a smaller learning rate or a larger batch"
            )
        return (2 * self.constant + share * self.tail.noise) / left


def tail(game, x):
    r"""Return the `Tail` of a quadratic game or of `games.toy_gan`, in closed form.

    For the toy GAN, :math:`x \cdot F = -\lambda |x|^2 + \omega \cdot v` with :math:`v = \mathbb E f(\xi) - \mathbb
    E[f(G) - G f'(G)]` and :math:`f = (\tanh, \tanh^2)`: :math:`\tanh u - u \operatorname{sech}^2 u` and
    :math:`\tanh^2 u - 2u \tanh u \operatorname{sech}^2 u` lie between -1 and 1. A sample's force on theta is at
    most :math:`|\omega|\,|f'(G)| \sqrt{1 + z^2}` with :math:`|f'|^2 \le 125/108`, and its force on omega without
    decay at most :math:`\sqrt5`. For a quadratic game with the mean field :math:`Ax + a` the decay is minus the
    largest eigenvalue of the symmetric part of A, rounded down by more than its error, :math:`10^{-9}` of itself
    and :math:`10^{-12}` of A.

    Args:
        game: the game.
        x: `Players` of the right shapes.

    Raises:
        ValueError: for other games, whose `Tail` is to be given.

    >>> from gansde_lib import games
    >>> tail(games.quadratic(0.5, 1.0, 0.3), games.Players(0.0, 0.0)).decay
    0.299999999...
    """
    if game.payoff.func is catalogue._toy_payoff:
        real, latent = (np.asarray(part, float) for part in game.samples)
        first, second = np.abs(np.tanh(real).mean()), (np.tanh(real) ** 2).mean()
        growth = 125 / 108 * (1 + (latent**2).mean())
        found = Tail(float(game.payoff.args[0]["decay"]), np.hypot(1 + first, 1 + second), 5.0, growth)
    elif game.payoff.func is catalogue._quadratic_payoff:
        fields = sde.affine_samples(game, x)
        mean = fields.mean(0)
        centred = fields - mean
        largest = np.linalg.eigvalsh((mean[:, 1:] + mean[:, 1:].T) / 2).max()
        both = [(part**2).reshape(len(fields), -1).sum(1).mean() for part in (centred[..., 0], centred[..., 1:])]
        spread, growth = both if not both[1] > 1e-20 else (2 * both[0], 2 * both[1])
        largest += 1e-12 * np.linalg.norm(mean)
        found = Tail(-largest, np.linalg.norm(mean[:, 0]), spread, growth)
    else:
        raise ValueError(
            "bounds far out are known for games.quadratic, games.bilinear and games.toy_gan only; for other games give "
            "them: for example certificate(game, x, ..., tail=Tail(decay=0.1, slope=2.0, noise=1.0, growth=0.0))"
        )
    decay = found.decay - 1e-9 * abs(found.decay)
    return Tail(float(decay), *(float(part * (1 + 1e-9)) for part in found[1:]))


def _toy_pull(game, theta):
    """The vector v(theta) of `tail`, by sample: G and its own terms stay together, which keeps intervals narrow."""
    real, latent = (jnp.asarray(part) for part in game.samples)
    point = theta[0] + theta[1] * latent
    slope, feature = 1 / jnp.cosh(point) ** 2, jnp.tanh(point)
    first = jnp.tanh(real).mean() - (feature - point * slope).mean()
    return jnp.stack([first, (jnp.tanh(real) ** 2).mean() - (feature**2 - 2 * point * feature * slope).mean()])


def _excess(game, x, rate):
    """The function to be proved negative, its number of variables, and how to make a point x of them.

    For the toy GAN three variables do, theta and s = |omega|: the worst direction of omega is that of v(theta).
    """
    if game.payoff.func is catalogue._toy_payoff:
        decay = game.payoff.args[0]["decay"]

        def excess(flat):
            pull = _toy_pull(game, flat[:2])
            # 1e-6 under the root makes it smooth, and the value a little larger.
            return jnp.subtract(rate, decay) * jnp.sum(flat**2) + flat[2] * jnp.sqrt(jnp.sum(pull**2) + 1e-6)

        def point(flat):
            pull = np.asarray(_toy_pull(game, flat[:2]), float)
            return np.concatenate([flat[:2], flat[2] * pull / np.linalg.norm(pull)])

        return excess, 3, point
    unravel = ravel_pytree(moments.as_double(x))[1]

    def excess(flat):
        return jnp.vdot(flat, ravel_pytree(game.field(unravel(flat)))[0]) + rate * jnp.sum(flat**2)

    return excess, ravel_pytree(x)[0].size, lambda flat: flat


def nonpositive(function, dimension, *, inner, outer, boxes=400_000):
    r"""Prove a function to be at most zero from radius `inner` to `outer`, or find a point where it is not.

    Branch and bound: the upper end of its interval over each box, or of the mean value form :math:`h(m) + \nabla
    h(\text{box}) \cdot (\text{box} - m)` if that is lower; boxes that stay above zero are halved. The proof covers
    rounding errors, under the assumptions that `intervals` states.

    Args:
        function: of one array of shape (dimension,), with one number as value.
        dimension: d.
        inner, outer: radii; inner may be 0.
        boxes: at most about so many boxes are looked at.

    Returns:
        `Search`.

    Raises:
        ValueError: for radii out of order; as `intervals.interval`.

    >>> nonpositive(lambda x: 1 - x @ x, 2, inner=1.01, outer=4.0).proved
    True
    >>> nonpositive(lambda x: 1 - x @ x, 2, inner=0.9, outer=4.0).proved
    False
    """
    _checks.whole("dimension", dimension, minimum=1, example="nonpositive(function, 2, inner=1.0, outer=4.0)")
    if not 0 <= inner < outer < np.inf:
        raise ValueError(
            f"radii must be 0 <= inner < outer, found {inner} and {outer}; for example inner=1.0, outer=4.0"
        )
    both, alone = _programs(function, dimension)
    waiting, seen = (np.full((1, dimension), -float(outer)), np.full((1, dimension), float(outer))), 0
    while len(waiting[0]):
        if seen > boxes:
            return Search(False, None, seen)
        rest = [corners[:-CHUNK] for corners in waiting]  # the last ones first, so that few boxes wait
        low, high = _cut(*(corners[-CHUNK:] for corners in waiting), inner, outer)
        seen += len(low)
        if len(low):
            lowest, upper, reach = _bounds(both, alone, low, high)
            middle = (low + high) / 2
            norm = np.linalg.norm(middle, axis=1)
            fails = (lowest > 0) & (norm >= inner) & (norm <= outer)
            if fails.any():
                return Search(False, middle[np.argmax(fails)], seen)
            low, high = _halves(*(part[~(upper <= 0)] for part in (low, high, reach)))
        waiting = [np.concatenate(parts) for parts in zip(rest, (low, high), strict=True)]
    return Search(True, None, seen)


def _programs(function, dimension):
    both = intervals.program(jax.value_and_grad(function), (CHUNK, dimension))
    return both, intervals.program(function, (CHUNK, dimension))


def _bounds(both, alone, low, high):
    """Per box a lower bound of the value at the middle, an upper bound over the box, and reaches along the axes."""
    count, middle = len(low), (low + high) / 2
    value, gradient = intervals.evaluate(both, _full(low), _full(high))
    centre = intervals.evaluate(alone, _full(middle), _full(middle))[0]
    steepest = np.maximum(np.abs(gradient.low), np.abs(gradient.high))[:count]
    reach = steepest * ((high - low) / 2 * (1 + 1e-14) + 1e-15 * np.abs(middle))
    around = centre.high[:count] + reach.sum(1)
    around += 1e-14 * (np.abs(centre.high[:count]) + reach.sum(1))  # roundings of these sums
    # Where an interval overflowed to NaN the other form stands.
    return centre.low[:count], np.fmin(value.high[:count], around), reach


def _halves(low, high, reach):
    """Boxes cut in two across the axis along which the function may vary most."""
    rows = np.arange(len(low))
    score = np.where(np.isfinite(reach), reach, np.finfo(float).max)
    axis = np.argmax(score * (1 + 1e-9 * (high - low)), axis=1)
    below, above, middle = high.copy(), low.copy(), (low + high) / 2
    below[rows, axis] = above[rows, axis] = middle[rows, axis]
    return np.concatenate([low, above]), np.concatenate([below, high])


def _cut(low, high, inner, outer):
    """The boxes that have a point in the annulus, up to roundings."""
    nearest = np.linalg.norm(np.clip(0.0, low, high), axis=1)
    farthest = np.linalg.norm(np.maximum(np.abs(low), np.abs(high)), axis=1)
    kept = (nearest <= outer * (1 + 1e-12)) & (farthest >= inner * (1 - 1e-12))
    return low[kept], high[kept]


def _full(corners):
    """Corners with the last row repeated, so that every call has one shape."""
    return np.concatenate([corners, np.repeat(corners[-1:], CHUNK - len(corners), axis=0)])


def certificate(game, x, *, rate, inner, outer, tail=None, boxes=400_000):
    r"""Prove that a field pulls back: :math:`x \cdot F(x) \le -\text{rate}\,|x|^2` wherever :math:`|x| \ge` inner.

    On the annulus from inner to outer by interval arithmetic over boxes (`nonpositive`), beyond by the `Tail`, which
    gives it for :math:`|x| \ge \text{slope} / (\text{decay} - \text{rate})`. In the ball the least constant K of the
    same kind is bounded from above. With a `Tail` of noise this bounds :math:`LV` for the equation of order 1, for all
    rates: see `Certificate.second_moment`.

    What is proved is a statement about the formulas of the game with the samples it holds, in exact arithmetic; the
    computation's own roundings are covered as `intervals` says. It is no statement about steps of finite size.

    Args:
        game: a zero-sum game or not.
        x: `Players` of the right shapes.
        rate: r > 0.
        inner, outer: the radii of the annulus.
        tail: a `Tail`; by default that of `tail(game, x)`.
        boxes: at most about so many boxes are looked at.

    Returns:
        `Certificate`.

    Raises:
        ValueError: for a rate that is not positive, radii out of order, an annulus that ends before the tail begins, a
            game of which the tail or an operation is not known.

    Source: the inequality is the usual condition of dissipativity, Meyn and Tweedie (2009), Khasminskii (2012).

    >>> from gansde_lib import games
    >>> origin = games.Players(0.0, 0.0)
    >>> certificate(games.quadratic(0.5, 1.0, 0.5), origin, rate=0.4, inner=0.1, outer=1.0).proved
    True
    >>> certificate(games.bilinear(1.0), origin, rate=0.1, inner=0.1, outer=1.0).proved
    False
    """
    if not isinstance(game, Game):
        raise ValueError(f"a Game is needed, found {type(game).__name__}; for example {_CALL}")
    _checks.positive("rate", rate, example=_CALL)
    x = game.check(x)
    far = globals()["tail"](game, x) if tail is None else tail
    with jax.enable_x64(True):
        excess, dimension, point = _excess(game, x, rate)
        found = nonpositive(excess, dimension, inner=inner, outer=outer, boxes=boxes)
        if not found.proved:
            witness = None if found.witness is None else point(found.witness)
            return Certificate(False, rate, inner, outer, witness, np.inf, found.boxes, far)
        if not (far.decay > rate and outer * (far.decay - rate) >= far.slope):
            needed = far.slope / (far.decay - rate) if far.decay > rate else np.inf
            raise ValueError(
                f"the annulus must reach to where the bound far out begins, |x| = {needed:.6g}, found outer={outer}; "
                f"for example a larger outer, or a rate below {far.decay:.3g}"
            )
        constant, looked = _highest(excess, dimension, inner)
    return Certificate(True, rate, inner, outer, None, constant, found.boxes + looked, far)


def _highest(function, dimension, radius, boxes=100_000):
    """An upper bound of a function's maximum over a ball, within a tenth if few boxes do, and their number."""
    both, alone = _programs(function, dimension)
    low, high = np.full((1, dimension), -float(radius)), np.full((1, dimension), float(radius))
    reached, decided, seen = 0.0, 0.0, 0  # the function is 0 at 0
    while True:
        low, high = _cut(low, high, 0.0, radius)
        parts = [slice(first, first + CHUNK) for first in range(0, len(low), CHUNK)]
        found = [_bounds(both, alone, low[part], high[part]) for part in parts]
        lowest, upper, reach = (np.concatenate(columns) for columns in zip(*found, strict=True))
        seen += len(low)
        inside = np.linalg.norm((low + high) / 2, axis=1) <= radius
        reached = max(reached, lowest[inside].max(initial=0.0))
        open_ = upper > 1.1 * reached
        decided = max(decided, upper[~open_].max(initial=0.0))
        if not open_.any() or seen > boxes:
            return float(max(decided, upper.max())), seen
        low, high = _halves(*(part[open_] for part in (low, high, reach)))
