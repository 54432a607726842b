r"""Kernel or rich: the scale of the start decides which interpolant gradient descent finds.

Coefficients :math:`\beta = w_+^2 - w_-^2` start at :math:`w_\pm = \alpha` and descend :math:`|X\beta - y|^2`, with
fewer equations than coefficients. The limit of the gradient flow is the solution of :math:`X\beta = y` with the least

.. math:: Q_\alpha(\beta) = \sum_i \beta_i \operatorname{arcsinh}(\beta_i / 2\alpha^2) - \sqrt{\beta_i^2 + 4\alpha^4} .

Source: Woodworth et al. (2020); the setting is our reconstruction.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize

from gansde_lib import _checks, evidence, simulate

ALPHAS = (1e-3, 1e-2, 0.1, 1.0, 10.0)
TEST = "tests/test_neighbours_kernel_or_rich.py::test_the_verdict_and_what_flips_it"


class Measured(NamedTuple):
    """For each data set and alpha: `error`, squared; `excess`, l1 norm over the least one minus one; distances
    `from_kernel`, `from_potential` to the interpolants of least l2 norm and potential; `moved`, the change of the
    tangent kernel. All relative. `control` is the error of the linear model.
    """

    alphas: Any
    error: Any
    excess: Any
    from_kernel: Any
    from_potential: Any
    moved: Any
    control: Any


def descend(inputs, targets, alpha, *, steps, every=1, depth=2, rate=0.05):
    r"""Return the coefficients along gradient descent from :math:`w_\pm = \alpha`, of shape (steps // every + 1, d).

    .. math:: w_\pm' = w_\pm \mp \rho\, D\, w_\pm^{D-1} X^\top (X\beta - y) / N, \qquad \beta = w_+^D - w_-^D .

    X is of shape (N, d), D is the `depth` (1 is the linear model), and :math:`\rho` is `rate` over a curvature.

    >>> path = descend(jnp.array([[1.0, 0.5]]), jnp.ones(1), 0.01, steps=1000)
    >>> path.shape, bool(path[-1, 0] > 0.95)  # the sparse interpolant is (1, 0)
    ((1001, 2), True)
    """
    size = jnp.sum(inputs**2) if len(inputs) == 1 else jnp.linalg.norm(inputs, 2) ** 2 / len(targets)
    rate = rate / (size * (1 + 4 * alpha**2 if depth > 1 else 1))

    slope = jax.grad(lambda w: ((inputs @ (w[0] ** depth - w[1] ** depth) - targets) ** 2).mean() / 2)

    def record(w, _):
        w = jax.lax.fori_loop(0, every, lambda _, w: w - rate * slope(w), w)
        return w, w[0] ** depth - w[1] ** depth

    start = jnp.broadcast_to(jnp.asarray(alpha, inputs.dtype), (2, inputs.shape[1]))
    _, path = jax.lax.scan(record, start, None, length=steps // every)
    return jnp.concatenate([jnp.zeros_like(path[:1]), path])


def least_potential(inputs, targets, alpha):
    r"""Return the interpolant of least potential, by Newton's method in float64 on the dual problem.

    .. math:: \beta = 2\alpha^2 \sinh X^\top\nu, ~ \nu = \arg\min 2\alpha^2 \sum_i \cosh (X^\top\nu)_i - \nu^\top y .

    >>> least_potential([[1.0, 0.5]], [1.0], 10.0).round(3)  # nearly the least l2 norm, (0.8, 0.4)
    array([0.8, 0.4])
    """
    _checks.positive("alpha", alpha, example="least_potential([[1.0, 0.5]], [1.0], 0.1)")
    x, y, scale = np.asarray(inputs, float), np.asarray(targets, float), 2.0 * alpha**2
    with np.errstate(over="ignore"):  # a step so long that it overflows is refused
        found = scipy.optimize.minimize(
            lambda nu: np.cosh(nu @ x).sum() - nu @ y / scale,
            np.zeros(len(y)),
            jac=lambda nu: x @ np.sinh(nu @ x) - y / scale,
            hess=lambda nu: (x * np.cosh(nu @ x)) @ x.T,
            method="trust-exact",
            options={"gtol": 1e-10 * max(1.0, 1 / scale)},
        )
    return scale * np.sinh(found.x @ x)


@functools.partial(jax.jit, static_argnames=("steps", "depth"))
def _train(inputs, targets, alphas, *, steps, depth):
    train = functools.partial(descend, steps=steps, every=steps, depth=depth)
    return jax.vmap(jax.vmap(train, (None, None, 0)), (0, 0, None))(inputs, targets, alphas)[:, :, -1]


def measure(*, key, sets=8, samples=30, features=60, nonzero=3, alphas=ALPHAS, steps=60_000, depth=2):
    """Train on `sets` random sparse problems from each scale (depth 1 breaks the method) and return `Measured`.

    Raises:
        ValueError: for sizes that do not fit, or scales that do not grow from above zero.
    """
    call = "measure(key=simulate.key(1040), samples=30, features=60, nonzero=3)"
    _checks.whole("depth", depth, minimum=1, example="depth=2")
    if not (0 < nonzero < samples < features and alphas[0] > 0 and np.all(np.diff(alphas) > 0)):
        found = f"{nonzero}, {samples}, {features}, {alphas}"
        raise ValueError(f"need 0 < nonzero < samples < features and growing alphas, found {found}; for example {call}")
    truth, norm = (np.arange(features) < nonzero) * nonzero**-0.5, np.linalg.norm
    with jax.enable_x64(True):
        inputs = np.asarray(jax.random.normal(key, (sets, samples, features), jnp.float64))
        args = inputs, inputs @ truth, jnp.asarray(alphas, jnp.float64)
        found, linear = (np.asarray(_train(*args, steps=steps, depth=d)) for d in (depth, 1))
    rows = []
    for x, betas in zip(inputs, found, strict=True):
        y, first = x @ truth, np.linalg.lstsq(x, x @ truth, rcond=None)[0]
        pursuit = scipy.optimize.linprog(np.ones(2 * features), A_eq=np.hstack([x, -x]), b_eq=y).fun
        for alpha, beta in zip(alphas, betas, strict=True):
            best, kernel = least_potential(x, y, alpha), (x * np.sqrt(beta**2 / 4 / alpha**4 + 1)) @ x.T
            row = norm(beta - truth) ** 2, np.abs(beta).sum() / pursuit - 1, norm(beta - first) / norm(first)
            rows.append((*row, norm(beta - best) / norm(best), norm(kernel - x @ x.T) / norm(x @ x.T)))
    columns = np.moveaxis(np.reshape(rows, (sets, len(alphas), -1)), -1, 0)
    return Measured(np.array(alphas), *columns, norm(linear[:, 0] - truth, axis=-1) ** 2)


def replication(measured):
    """Return the evidence: both regimes, the way from one to the other, and the linear model as control."""
    m, one = measured, int(np.searchsorted(measured.alphas, 1.0))
    parts = []
    for name, statement, relation, bound, values in (
        ("error", "Squared error from the smallest start", "<", 1e-3, m.error[:, 0]),
        ("sparse", "l1 norm above the least one from the smallest start", "<", 0.02, m.excess[:, 0]),
        ("short", "Distance from the least l2 norm at scale 1", "<", 0.01, m.from_kernel[:, one]),
        ("lazy", "Squared error at scale 1", ">", 0.3, m.error[:, one]),
        ("between", "Least growth of the l1 norm from a scale to the next", ">", 0.0, np.diff(m.excess).min(1)),
        ("potential", "Largest distance from the least potential, all scales", "<", 0.02, m.from_potential.max(1)),
        ("tangent", "Change of the tangent kernel from the largest start", "<", 0.01, m.moved[:, -1]),
        ("control", "Squared error of the linear model from the smallest start", ">", 0.3, m.control),
    ):
        kind = {"relation": relation, "source": "woodworth2020", "test": TEST, "seed": simulate.BOOK_SEED}
        spread = {"tolerance": 0.0, **evidence.mean(values)}
        statement += f", relative, mean of {len(values)} data sets."
        parts.append(evidence.record(f"kernel-or-rich-{name}", statement=statement, predicted=bound, **spread, **kind))
    return evidence.replication(
        "neighbour-kernel-or-rich",
        statement="The scale of the start decides whether descent finds the solution of least l2 or of least l1 norm.",
        source="woodworth2020",
        parts=parts,
        reason="At every scale training ends at the predicted solution; the linear model does not feel its start."
        if not evidence.failed(parts)
        else "Only differences of squares were predicted to feel the scale of the start; other models fail parts.",
        test=TEST,
        seed=simulate.BOOK_SEED,
    )
