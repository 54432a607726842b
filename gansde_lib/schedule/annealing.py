r"""The best schedule for a quadratic loss, if it may not look at the state: closed forms.

Loss :math:`\tfrac a2 x^2`, time :math:`t = \eta k`, rate :math:`\eta u(t)` with :math:`0 \le u \le 1`, and noise of
variance s in the gradient. With :math:`n = \eta s` the equation and its mean loss m are

.. math:: dX = -a u X\,dt + u \sqrt n\,dW, \qquad m' = -2 a u m + \tfrac{a n}{2} u^2 .
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize

from gansde_lib import _checks

EXAMPLE = "optimal(curvature=1.0, noise=0.2, loss=1.125)"


class Optimal(NamedTuple):
    """The best open-loop schedule: `curvature` a, `noise` n, `loss` at the start; `rate(t)`, `loss_at(t)`, `switch`."""

    curvature: Any
    noise: Any
    loss: Any

    @property
    def first(self):
        """The rate at the start: 1, or less if the noise already dominates."""
        return jnp.minimum(1.0, 2 * self.loss / self.noise)

    @property
    def switch(self):
        """The time at which the rate begins to fall; 0 if it does so at once."""
        floor = self.noise / 4
        return jnp.where(self.loss > 2 * floor, jnp.log(jnp.abs(self.loss - floor) / floor) / (2 * self.curvature), 0.0)

    def rate(self, t):
        """Return u at the times `t`."""
        return 1 / (1 / self.first + self.curvature * jnp.maximum(jnp.asarray(t) - self.switch, 0))

    def loss_at(self, t):
        """Return the mean loss at the times `t`."""
        constant = constant_loss(1.0, t, curvature=self.curvature, noise=self.noise, loss=self.loss)
        return jnp.where(jnp.asarray(t) < self.switch, constant, self.noise / 2 * self.rate(t))


def optimal(*, curvature, noise, loss):
    r"""Return the schedule with the smallest mean loss at every time.

    .. math:: u^* = \min\Bigl(1, \frac{2m}{n}\Bigr) = \begin{cases} 1, & t < t^*, \\
              \dfrac{1}{1 + a (t - t^*)}, & t \ge t^*, \end{cases} \qquad
              t^* = \frac1{2a} \ln\frac{m_0 - n/4}{n/4} ,

    if :math:`m_0 > n/2`, that is, twice the stationary loss n/4; otherwise the rate starts at :math:`2 m_0 / n` and
    falls at once. From the switch on the loss is :math:`n u^* / 2`.

    Args:
        curvature: a.
        noise: n, the rate times the variance of the gradient.
        loss: :math:`m_0`, the mean loss at the start.

    Returns:
        An `Optimal`.

    Raises:
        ValueError: for numbers that are not positive.

    Source: Li, Tai and E (2017) for annealing of this form.

    >>> best = optimal(curvature=1.0, noise=0.2, loss=1.125)
    >>> f"{best.switch:.3f} {best.loss_at(10.0):.5f}"
    '1.534 0.01056'
    """
    for name, value in {"curvature": curvature, "noise": noise, "loss": loss}.items():
        _checks.positive(name, value, example=EXAMPLE)
    return Optimal(curvature, noise, loss)


def constant_loss(rate, t, *, curvature, noise, loss):
    r"""Return the mean loss at the times `t` under a constant rate u.

    .. math:: m(t) = \tfrac{n u}{4} + \bigl(m_0 - \tfrac{n u}{4}\bigr)\, e^{-2 a u t} .

    >>> f"{constant_loss(1.0, 10.0, curvature=1.0, noise=0.2, loss=1.125):.4f}"
    '0.0500'
    """
    settled = noise * rate / 4
    return settled + (loss - settled) * jnp.exp(-2 * curvature * rate * jnp.asarray(t))


def best_constant(t, *, curvature, noise, loss):
    """Return `(rate, loss)` of the constant rate in [0, 1] with the smallest mean loss at the time `t`.

    >>> rate, loss = best_constant(10.0, curvature=1.0, noise=0.2, loss=1.125)
    >>> round(rate, 3), round(loss, 5)
    (0.305, 0.01774)
    """
    optimal(curvature=curvature, noise=noise, loss=loss)  # refuses what is not positive
    _checks.positive("t", t, example="best_constant(10.0, curvature=1.0, noise=0.2, loss=1.125)")

    def final(rate):
        settled = noise * rate / 4
        return settled + (loss - settled) * np.exp(-2 * curvature * rate * t)

    # A coarse scan first: with little noise or time the loss may fall all the way to the rate 1.
    rates = np.linspace(0, 1, 1001)
    near = rates[np.argmin(final(rates))]
    bounds = (max(near - 1e-3, 0.0), min(near + 1e-3, 1.0))
    found = scipy.optimize.minimize_scalar(final, bounds=bounds, method="bounded", options={"xatol": 1e-12})
    return float(found.x), float(found.fun)


def loss_along(rates, dt, *, curvature, noise, loss):
    """Return the mean loss before and after each of the steps of length `dt` with constant `rates`, exactly.

    Args:
        rates: u, of shape (K,).
        dt: the length of a step.
        curvature, noise, loss: as in `optimal`.

    Returns:
        The losses, of shape (K + 1,).

    >>> f"{loss_along(jnp.ones(10), 1.0, curvature=1.0, noise=0.2, loss=1.125)[-1]:.4f}"
    '0.0500'
    """

    def advance(m, rate):
        m = constant_loss(rate, dt, curvature=curvature, noise=noise, loss=m)
        return m, m

    start = jnp.asarray(loss, jnp.result_type(float))
    _, losses = jax.lax.scan(advance, start, jnp.asarray(rates, start.dtype))
    return jnp.concatenate([start[None], losses])


def descent_loss(rates, *, curvature, variance, loss):
    r"""Return the mean loss before and after each step of gradient descent itself, at the rates :math:`\eta_k`.

    .. math:: m_{k+1} = (1 - \eta_k a)^2 m_k + \tfrac{a s}{2} \eta_k^2 .

    Args:
        rates: :math:`\eta_k`, of shape (K,).
        curvature: a.
        variance: s, of the gradient.
        loss: :math:`m_0`.

    >>> f"{descent_loss(jnp.full(200, 0.05), curvature=1.0, variance=4.0, loss=1.125)[-1]:.4f}"
    '0.0513'
    """

    def advance(m, rate):
        m = (1 - rate * curvature) ** 2 * m + curvature * variance / 2 * rate**2
        return m, m

    start = jnp.asarray(loss, jnp.result_type(float))
    _, losses = jax.lax.scan(advance, start, jnp.asarray(rates, start.dtype))
    return jnp.concatenate([start[None], losses])


def descent_optimal(steps, *, curvature, variance, loss, most):
    r"""Return the best rates for gradient descent itself, and the mean loss before and after each step.

    .. math:: \eta_k = \min\Bigl(\eta, \frac{2 m_k}{2 a m_k + s}\Bigr) .

    The smallest loss after each step is the best start for the next, so that one step at a time is best for all.
    Where the bound does not bind, :math:`1/m_{k+1} = 1/m_k + 2a/s`: the precision of a mean of k more gradients.

    Args:
        steps: their number.
        curvature, variance, loss: as in `descent_loss`.
        most: :math:`\eta`, the largest rate, not above 1 / a.

    >>> rates, losses = descent_optimal(200, curvature=1.0, variance=4.0, loss=1.125, most=0.05)
    >>> f"{losses[-1]:.4f}"
    '0.0105'
    """
    _checks.whole("steps", steps, minimum=1, example="descent_optimal(200, ...)")

    def advance(m, _):
        rate = jnp.minimum(most, 2 * m / (2 * curvature * m + variance))
        m = (1 - rate * curvature) ** 2 * m + curvature * variance / 2 * rate**2
        return m, (rate, m)

    start = jnp.asarray(loss, jnp.result_type(float))
    _, (rates, losses) = jax.lax.scan(advance, start, length=steps)
    return rates, jnp.concatenate([start[None], losses])
