"""The numbers that the prerequisites record as evidence, found again by other means than on their pages.

The pages simulate in JAX; here the claims are checked by closed forms, enumeration or quadrature in NumPy and SciPy.
"""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.linalg import eigvals, solve_discrete_lyapunov
from scipy.stats import binom, chi2

from gansde_lib import Players, games, gda


def norm_of_power(matrix, k):
    return np.linalg.norm(np.linalg.matrix_power(matrix, k), 2)


def alternating_step(c, m, eta):
    """Matrix of one alternating update on the damped rotation, and the matrix through which the noise enters."""
    theta = np.array([[1 - eta * m, -eta * c], [0, 1]])
    omega = np.array([[1, 0], [eta * c, 1 - eta * m]])
    return theta @ omega, eta * np.array([[-1, -eta * c], [0, 1]])


def test_quadratic_variation():
    pieces = 256
    assert chi2(pieces).mean() / pieces == pytest.approx(1)
    assert chi2(pieces).std() / pieces == pytest.approx((2 / 256) ** 0.5)


def test_ito_and_stratonovich_sums():
    dw = np.random.default_rng(0).normal(size=(50, 128)) / 128**0.5
    w = np.concatenate([np.zeros((50, 1)), dw.cumsum(axis=1)], axis=1)
    left = (w[:, :-1] * dw).sum(axis=1)
    both = ((w[:, :-1] + w[:, 1:]) / 2 * dw).sum(axis=1)
    np.testing.assert_allclose(left, (w[:, -1] ** 2 - (dw**2).sum(axis=1)) / 2, atol=1e-12)
    np.testing.assert_allclose(both, w[:, -1] ** 2 / 2, atol=1e-12)


def test_ou_second_moment():
    moment = solve_ivp(lambda t, v: -2 * v + 1, (0, 2), [1.5**2], rtol=1e-10, atol=1e-12).y[0, -1]
    assert moment == pytest.approx(1.5**2 * np.exp(-4) + (1 - np.exp(-4)) / 2, abs=1e-8)


def test_gbm_exponent():
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    h = 1e-5
    growth = weights / weights.sum() @ np.log(1 + 0.3 * h + np.sqrt(h) * nodes) / h
    assert growth == pytest.approx(0.3 - 0.5, abs=1e-4)


def test_weak_orders():
    """Two-point Euler by summing over all numbers of heads; the second-order factor by its moments."""
    mu, nu = -0.3, 0.5
    exact = np.exp(4 * mu + 6 * nu**2)

    def euler(n):
        h, heads = 1 / n, np.arange(n + 1)
        up, down = (1 + mu * h + sign * nu * h**0.5 for sign in (1, -1))
        return binom(n, 0.5).pmf(heads) @ (up ** (4 * heads) * down ** (4 * (n - heads)))

    def second(n, xi, weight):
        h = 1 / n
        noise = nu * h**0.5 * xi
        factor = 1 + mu * h + noise + (noise**2 - nu**2 * h) / 2 + mu * h * noise + (mu * h) ** 2 / 2
        return (weight @ factor**4) ** n

    def order(value):
        errors = [abs(value(n) - exact) for n in (512, 1024)]
        return np.log2(errors[0] / errors[1])

    three = np.array([-(3**0.5), 0, 3**0.5]), np.array([1, 4, 1]) / 6
    two = np.array([-1.0, 1.0]), np.array([0.5, 0.5])
    assert order(euler) == pytest.approx(1, abs=0.01)
    assert order(lambda n: second(n, *three)) == pytest.approx(2, abs=0.01)
    assert order(lambda n: second(n, *two)) == pytest.approx(1, abs=0.01)


def test_strong_order():
    """The mean square error of Euler on GBM has a closed form, because both solutions are products over the steps."""
    mu, nu = -0.3, 0.5

    def error(n):
        h = 1 / n
        cross = np.exp(mu * h) * (1 + mu * h + nu**2 * h)
        square = (1 + mu * h) ** 2 + nu**2 * h
        return np.sqrt(square**n + np.exp(2 * mu + nu**2) - 2 * cross**n)

    assert np.log2(error(1024) / error(2048)) == pytest.approx(0.5, abs=0.01)


def test_area_form():
    m, c, eta = 0.2, 1.0, 0.4
    step, _ = alternating_step(c, m, eta)
    x = np.random.default_rng(1).normal(size=(2, 20))

    def area(x):
        return np.array([np.linalg.det(np.stack([column, step @ column], axis=1)) for column in x.T])

    np.testing.assert_allclose(area(step @ x), (1 - eta * m) ** 2 * area(x), rtol=1e-10)
    x0 = Players(jnp.float32(1), jnp.float32(0))
    jacobian = gda.jacobian(games.quadratic(m, c, m), x0, lr=eta, update="alternating")
    np.testing.assert_allclose(jacobian, step, atol=1e-6)


def test_lyapunov_rate():
    generator = np.random.default_rng(2)
    for _ in range(20):
        matrix = generator.normal(size=(3, 3))
        matrix *= 0.9 / abs(eigvals(matrix)).max()
        weight = solve_discrete_lyapunov(matrix.T, np.eye(3))
        rate = eigvals(np.linalg.inv(weight)).real.min()
        x = generator.normal(size=(3, 100))
        before, after = (np.einsum("in,ij,jn->n", y, weight, y) for y in (x, matrix @ x))
        assert (after <= (1 - rate) * before + 1e-9 * before).all()


def test_stationary_covariance():
    m, c, eta, s = 0.2, 1.0, 0.4, 1.0
    step, noise = alternating_step(c, m, eta)
    covariance = solve_discrete_lyapunov(step, s * noise @ noise.T)
    width = 2 - eta * m
    scale = m * (width**2 - eta**2 * c**2)
    expected = np.array([[eta * s * width, -(eta**2) * c * s], [-(eta**2) * c * s, eta * s * width]]) / scale
    np.testing.assert_allclose(covariance, expected, rtol=1e-10)

    half = m / (m**2 + c**2)
    simultaneous = np.array([[1 - half * m, -half * c], [half * c, 1 - half * m]])
    square = np.trace(solve_discrete_lyapunov(simultaneous, half**2 * s * np.eye(2)))
    assert square / (half * s / m) == pytest.approx(2)


def test_transient_growth():
    eta_theta, eta_omega, c, alpha = 0.02, 0.5, 2.0, 0.05
    step = np.array([[1 - alpha, -eta_theta * c], [eta_omega * c, 1 - alpha]])
    value = eigvals(step)[0]
    imbalance = (25**0.5 - 25**-0.5) / 2
    for k in (1, 7, 40):
        closed = abs(value) ** k * np.exp(np.arcsinh(imbalance * abs(np.sin(k * np.angle(value)))))
        assert norm_of_power(step, k) == pytest.approx(closed, rel=1e-10)


def test_kreiss():
    """Both halves of the Kreiss matrix theorem on random stable matrices."""
    generator = np.random.default_rng(3)
    excess, angle = np.meshgrid(np.geomspace(1e-3, 10, 60), np.linspace(-np.pi, np.pi, 241))
    z = (1 + excess) * np.exp(1j * angle)
    for _ in range(5):
        matrix = np.triu(generator.normal(size=(3, 3)) * 2, 1) + np.diag(generator.uniform(-0.8, 0.8, size=3))
        resolvent = 1 / np.linalg.svd(z[..., None, None] * np.eye(3) - matrix, compute_uv=False)[..., -1]
        constant = (excess * resolvent).max()
        largest = max(norm_of_power(matrix, k) for k in range(200))
        assert constant <= largest <= np.e * 3 * constant * 1.01


@pytest.mark.parametrize(("a", "b"), [(2.0, 2.0), (0.5, 8.0)])
def test_jordan_growth(a, b):
    step = np.array([[1 - a * b, -a], [b, 1]])
    for k in (1, 10, 100):
        assert norm_of_power(step, k) == pytest.approx(np.exp(np.arcsinh((a + b) * k / 2)), rel=1e-9)
    x0 = Players(jnp.float32(0), jnp.float32(0))
    jacobian = gda.jacobian(games.bilinear(1.0), x0, lr=(a, b), update="alternating")
    np.testing.assert_allclose(jacobian, step, atol=1e-5)


@pytest.mark.parametrize(("a", "b"), [(0.5, 0.5), (1.0, 3.0), (0.1, 2.0)])
def test_rotation_angle(a, b):
    step = np.array([[1 - a * b, -a], [b, 1]])
    phi = 2 * np.arcsin((a * b) ** 0.5 / 2)
    assert abs(np.angle(eigvals(step)[0])) == pytest.approx(phi)
    for k in (1, 4, 9):
        growth = np.hypot(a - b, a * b) * abs(np.sin(k * phi) / np.sin(phi)) / 2
        assert norm_of_power(step, k) == pytest.approx(np.exp(np.arcsinh(growth)), rel=1e-10)
