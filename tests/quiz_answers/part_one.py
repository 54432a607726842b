"""Games, Gradient descent-ascent, Real networks on real digits."""

import jax
import jax.numpy as jnp
import numpy as np
import scipy.integrate
import scipy.optimize

from gansde_lib import games, gda, neural
from gansde_lib.games import Players
from quiz_answers._chosen import chosen

ORIGIN = Players(0.0, 0.0)


def rates(game):
    """Return the eigenvalues of the derivative of a game's field at the origin."""
    return np.linalg.eigvals(games.field_jacobian(game, ORIGIN))


def notions():
    found = games.equilibrium(games.quadratic(-2.0, 2.0, 1.0), ORIGIN)
    return {(False, True, False): "flow moves away", (False, True, True): "that is stable"}[
        bool(found.differential_nash), bool(found.minimax), bool(found.stable)
    ]


def flow_distance():
    field = jax.jit(games.dirac().field)
    path = scipy.integrate.solve_ivp(lambda t, x: np.array(field(Players(*x))), (0, 100), [1.0, 1.0], rtol=1e-8)
    return "As far" if abs(np.linalg.norm(path.y[:, -1]) - np.sqrt(2)) < 1e-3 else "closer"


def what_damps():
    changed = {
        "noise": games.dirac("wasserstein", noise=0.5),
        "hinge": games.dirac("hinge"),
        "penalty": games.dirac("wasserstein", penalty=0.1),
        "loss": games.dirac("logistic"),
    }
    words = {"noise": "Instance noise", "hinge": "hinge loss", "penalty": "R1 penalty", "loss": "Another zero-sum"}
    return chosen({name: rates(game).real.max() < -1e-6 for name, game in changed.items()}, words)


def crawl():
    """Integrate the flow of the non-saturating game: one over the squared distance grows steadily."""
    field = jax.jit(games.dirac("non-saturating").field)
    with jax.enable_x64(True):
        path = scipy.integrate.solve_ivp(
            lambda t, x: np.array(field(Players(*x))), (0, 3000), [0.2, 0.0], rtol=1e-8, t_eval=[0, 1000, 2000, 3000]
        )
    inverse = 1 / (path.y**2).sum(axis=0)
    assert np.allclose(np.diff(inverse), 1000 / 8, rtol=0.05), "the power of the distance is not that of the answer"
    return (0.1 / 0.02) ** 2


def growth():
    lr, game = (0.1, 0.4), games.bilinear(2.0)
    path = gda.run(game, Players(0.3, -0.7), lr=lr, steps=1)
    energy = path.theta**2 / lr[0] + path.omega**2 / lr[1]
    return energy[1] / energy[0]


def gain():
    game = games.quadratic(0.5, 1.5, 0.5)
    return gda.stability_limit(game, ORIGIN, update="alternating") / gda.stability_limit(game, ORIGIN)


def inner_steps():
    radius = gda.spectral_radius(games.bilinear(1.0), ORIGIN, lr=1.2, update=gda.alternating(4))
    return "grow exponentially" if radius > 1.01 else "stay bounded"


def which_converges():
    factors = {
        "plain": gda.linear_factors(1j, lr=0.05, update="alternating"),
        "positive": gda.linear_factors(1j, lr=0.05, update=gda.momentum(0.9)),
        "simultaneous": gda.linear_factors(1j, lr=0.05, update=gda.momentum(-0.3, "simultaneous")),
        "negative": gda.linear_factors(1j, lr=0.05, update=gda.momentum(-0.3)),
    }
    words = {
        "plain": "Alternating updates.",
        "positive": "0.9",
        "simultaneous": "Simultaneous updates with",
        "negative": "Alternating updates with momentum $\\beta = -0.3$",
    }
    return chosen({name: abs(found).max() < 1 - 1e-5 for name, found in factors.items()}, words)


def strong_damping():
    limits = {order: gda.rotation_limit(2.0, 0.5, update=order) for order in ("simultaneous", "alternating")}
    return "Simultaneous" if limits["simultaneous"] > limits["alternating"] else "Alternating"


def beyond():
    game = games.dirac(penalty=0.1)
    assert 1 < gda.spectral_radius(game, ORIGIN, lr=0.42) < 1.0015
    path = gda.run(game, Players(0.1, 0.05), lr=0.42, steps=20_000)
    ends = np.hypot(path.theta, path.omega)[-1000:]
    return "ends on a cycle" if ends.min() > 0.3 and ends.max() < 1.5 else "divergence"


def silent_payoff():
    game, x = neural.digits_gan(penalty=1.0, key=jax.random.key(0), real=neural.digits()[:64])
    silent = (*x.omega[:-1], jax.tree.map(jnp.zeros_like, x.omega[-1]))
    others = jax.tree.map(lambda leaf: 3 * leaf + 1, x.theta)
    values = [float(game.value(Players(theta, silent))) for theta in (x.theta, others)]
    return "Nothing about the images" if np.allclose(values, -2 * np.log(2), atol=1e-5) else "law of the data"


def constant_score():
    value = jax.nn.log_sigmoid(1.0) + jax.nn.log_sigmoid(-1.0)
    return {-1.0: "smaller", 0.0: "equal", 1.0: "larger"}[float(np.sign(value + 2 * np.log(2)))]


def average():
    """Compare the last point with the average, in a game that circles and in one that has settled."""
    gains = {}
    for name, damping in (("B", 0.0), ("A", 0.5)):
        path = gda.run(
            games.quadratic(damping, 1.0, damping), Players(1.0, 0.0), lr=0.1, steps=2000, update="alternating"
        )
        mean = gda.ema(path, 0.995)
        gains[name] = np.hypot(path.theta[-1], path.omega[-1]) - np.hypot(mean.theta[-1], mean.omega[-1])
    return "For B" if gains["B"] > 0.5 and abs(gains["A"]) < 0.01 else "For A"


def collapse():
    images, labels = neural.digits(), neural.labels()
    found = neural.quality(
        images[::2][labels[::2] == 8], neural.reference(images[1::2], labels[1::2])
    )  # perfect eights: real ones
    assert found.precision > 0.8
    return "classes covered" if int(found.covered) == 1 else "precision"


def pair():
    return gda.stability_limit(games.quadratic(0.0, 2.0, 3.0), ORIGIN, update="alternating")


def sharpness():
    """Return the curvature at which one step of the rate 0.25 leaves the unit circle."""

    def beyond_edge(curvature):
        return gda.spectral_radius(games.quadratic(curvature, 0.0, curvature), ORIGIN, lr=0.25) - 1

    return scipy.optimize.brentq(beyond_edge, 5.0, 12.0)


NUMBERS = {
    "games-eigenvalues": lambda: rates(games.quadratic(3.0, 2.0, 1.0)).real[0],
    "games-overdamped": lambda: -rates(games.dirac(penalty=1.25)).real.max(),
    "games-crawl": crawl,
    "gda-growth": growth,
    "gda-gain": gain,
    "neural-pair": pair,
    "neural-edge": sharpness,
}
CHOICES = {
    "games-notions": notions,
    "games-longer": flow_distance,
    "games-what-damps": what_damps,
    "gda-inner": inner_steps,
    "gda-which-converges": which_converges,
    "gda-strong-damping": strong_damping,
    "gda-beyond": beyond,
    "neural-payoff": silent_payoff,
    "neural-constant": constant_score,
    "neural-average": average,
    "neural-collapse": collapse,
}
