"""Kernel GANs: the Fourier form beside random features and the expansion that grows with every update."""

import numpy as np

from benchmarks.compare import Form, Work

STEPS, BANDWIDTH, RIDGE = 1000, 0.6, 0.3

COUNT, RATES = 256, (48.0, 0.5)
"""True and generated points of the large system, and its rates; a point has the mass 1 / 256."""

FEATURES, FEATURE_STEPS = 1024, 200

EXACT_STEPS = 40

SYSTEMS, SMALL_RATES = 4096, (0.4, 0.3)
"""Small systems, with two true and three generated points each."""

MEMORY_SYSTEMS = {"numba": 128, "JAX": 16}
"""How many of the small systems the growing expansions do: all updates, so that their memory grows as long as ours."""


def large():
    """Return true points on a ring of eight clusters, and generated ones in its middle, float32."""
    rng = np.random.default_rng(7)
    turn = rng.integers(8, size=COUNT) * np.pi / 4
    true = 1.3 * np.stack([np.cos(turn), np.sin(turn)], 1) + 0.05 * rng.normal(size=(COUNT, 2))
    return true.astype(np.float32), (0.5 * rng.normal(size=(COUNT, 2))).astype(np.float32)


def small(dimension):
    """Return true points (2, d), starts (4096, 3, d), masses (4096, 3) and ridges (4096,), float32."""
    rng = np.random.default_rng(8)
    true = 0.6 * np.array([-np.ones(dimension), np.ones(dimension)])
    starts, masses = rng.uniform(-0.6, 0.6, (SYSTEMS, 3, dimension)), rng.dirichlet(9 * np.ones(3), SYSTEMS)
    ridges = np.geomspace(0.7, 2.0, SYSTEMS)
    return tuple(part.astype(np.float32) for part in (true, starts, masses, ridges))


def fourier(steps=STEPS):
    """Ours: the last points (256, 2)."""
    from gansde_lib import kernel_gan

    true, start = large()
    masses = np.full(COUNT, 1 / COUNT)

    def run():
        found = kernel_gan.run_fourier(
            true, masses, start, masses, bandwidth=BANDWIDTH, ridge=RIDGE, lr=RATES, steps=steps, every=steps
        )
        return np.where(found.inside, found.points[-1], np.nan)

    return run


def random_frequencies():
    """Frequencies (2, 1024) and phases (1024,): the kernel is the mean of 2 cos(w x + b) cos(w y + b)."""
    rng = np.random.default_rng(9)
    frequencies, phases = rng.normal(size=(2, FEATURES)) / BANDWIDTH, rng.uniform(0, 2 * np.pi, FEATURES)
    return frequencies.astype(np.float32), phases.astype(np.float32)


def random_features_jax():
    """The same updates with 1,024 random features, in one compiled loop."""
    import jax
    import jax.numpy as jnp

    from gansde_lib.simulate import options

    norm = np.float32((2 / FEATURES) ** 0.5)

    def train(true, start, frequencies, phases):
        source = norm * jnp.cos(true @ frequencies + phases).mean(0)

        def step(state, _):
            points, weights = state
            angle = points @ frequencies + phases
            slopes = -norm * (jnp.sin(angle) * weights) @ frequencies.T
            gained = source - norm * jnp.cos(angle).mean(0)
            after = (1 - RATES[1] * RIDGE) * weights + RATES[1] * gained
            return (points + RATES[0] / COUNT * slopes, after), None

        return jax.lax.scan(step, (start, jnp.zeros(FEATURES, start.dtype)), length=FEATURE_STEPS)[0][0]

    program = jax.jit(train, compiler_options=options.compiler_options())
    given = *large(), *random_frequencies()
    return lambda: np.asarray(program(*given))


def random_features_torch():
    """The same updates with 1,024 random features, eagerly."""
    import torch

    true, start, frequencies, phases = map(torch.from_numpy, (*large(), *random_frequencies()))
    norm = (2 / FEATURES) ** 0.5

    @torch.no_grad()
    def run():
        source = norm * torch.cos(torch.addmm(phases, true, frequencies)).mean(0)
        points, weights = start, torch.zeros(FEATURES)
        for _ in range(FEATURE_STEPS):
            angle = torch.addmm(phases, points, frequencies)
            slopes = (torch.sin(angle) * weights) @ frequencies.T
            gained = source - norm * torch.cos(angle).mean(0)
            weights = torch.add((1 - RATES[1] * RIDGE) * weights, gained, alpha=RATES[1])
            points = torch.add(points, slopes, alpha=-norm * RATES[0] / COUNT)
        return points.numpy()

    return run


def discrepancy(points):
    """Return the squared kernel distance between generated and true points: what the generator makes small."""
    true, _ = large()

    def mean(x, y):
        return np.exp(-((x[:, None] - y) ** 2).sum(-1) / 2 / BANDWIDTH**2).mean(dtype=float)

    return mean(true, true) - 2 * mean(true, points) + mean(points, points)


def check_large(results):
    """The Fourier form against the whole memory in float64; random features, another kernel, by what they reach."""
    import jax

    from gansde_lib import kernel_gan

    true, start = large()
    masses = np.full(COUNT, 1 / COUNT)
    with jax.enable_x64(True):
        exact = kernel_gan.run(
            true, masses, start, masses, bandwidth=BANDWIDTH, ridge=RIDGE, lr=RATES, steps=EXACT_STEPS
        ).points[-1]
    error, moved = np.abs(fourier(EXACT_STEPS)() - exact).max(), np.abs(exact - start).max()
    assert error < 1e-6 < moved / 1e3, f"after {EXACT_STEPS} updates: error {error:.1e}, largest move {moved:.1e}"
    begun = discrepancy(start)
    for name, points in results.items():
        left = discrepancy(points) / begun
        assert left < 0.05, f"{name} leaves {left:.2g} of the squared kernel distance to the data, expected < 0.05"


def systems_fourier(dimension):
    """Ours: the last points (4096, 3, d)."""

    def make():
        from gansde_lib import kernel_gan

        true, starts, masses, ridges = small(dimension)

        def run():
            found = kernel_gan.run_fourier(
                true, [0.5, 0.5], starts, masses, bandwidth=BANDWIDTH, ridge=ridges, lr=SMALL_RATES, steps=STEPS,
                every=STEPS,
            )  # fmt: skip
            return np.where(found.inside[:, None, None], found.points[:, -1], np.nan)

        return run

    return make


def systems_jax(dimension):
    """The library's whole memory, `kernel_gan.run`, over a batch of systems."""

    def make():
        import jax

        from gansde_lib import kernel_gan

        true, starts, masses, ridges = small(dimension)

        @jax.jit
        @jax.vmap
        def last(start, mass, ridge):
            return kernel_gan.run(
                true, np.array([0.5, 0.5]), start, mass, bandwidth=BANDWIDTH, ridge=ridge, lr=SMALL_RATES, steps=STEPS
            ).points[-1]

        some = slice(None, None, SYSTEMS // MEMORY_SYSTEMS["JAX"])
        return lambda: np.asarray(last(starts[some], masses[some], ridges[some]))

    return make


def systems_numba(dimension):
    """The growing expansion written out, a system at a time, systems spread over threads."""

    def make():
        import numba

        true, starts, masses, ridges = small(dimension)
        some = slice(None, None, SYSTEMS // MEMORY_SYSTEMS["numba"])
        point_rate, witness_rate = map(np.float32, SMALL_RATES)
        one, falls = np.float32(1), np.float32(-0.5 / BANDWIDTH**2)

        @numba.njit(parallel=True, fastmath=True)
        def last(true, starts, masses, ridges, steps):
            count, n, d = starts.shape
            ends = np.empty_like(starts)
            for system in numba.prange(count):
                past = np.empty((d, steps * n), np.float32)
                weights = np.empty(steps * n, np.float32)
                x, pull = starts[system].copy(), np.empty(d, np.float32)
                fading, at_true = one - witness_rate * ridges[system], np.float32(0)
                for k in range(steps):
                    for j in range(n):
                        for i in range(d):
                            past[i, k * n + j] = x[j, i]
                    for j in range(n):
                        pull[:] = 0
                        for i in range(len(true)):
                            square = np.float32(0)
                            for c in range(d):
                                square += (x[j, c] - true[i, c]) ** 2
                            value = at_true * np.float32(0.5) * np.exp(falls * square)
                            for c in range(d):
                                pull[c] += value * (x[j, c] - true[i, c])
                        if d == 1:
                            here, sum0 = x[j, 0], np.float32(0)
                            for s in range(k * n):
                                apart = here - past[0, s]
                                sum0 += weights[s] * np.exp(falls * apart * apart) * apart
                            pull[0] -= sum0
                        else:
                            x0, x1, sum0, sum1 = x[j, 0], x[j, 1], np.float32(0), np.float32(0)
                            for s in range(k * n):
                                a, b = x0 - past[0, s], x1 - past[1, s]
                                value = weights[s] * np.exp(falls * (a * a + b * b))
                                sum0 += value * a
                                sum1 += value * b
                            pull[0] -= sum0
                            pull[1] -= sum1
                        for c in range(d):
                            ends[system, j, c] = x[j, c] + point_rate * masses[system, j] * 2 * falls * pull[c]
                    for s in range(k * n):
                        weights[s] *= fading
                    for j in range(n):
                        weights[k * n + j] = witness_rate * masses[system, j]
                    at_true = fading * at_true + witness_rate
                    x[:] = ends[system]
            return ends

        return lambda: last(true, starts[some], masses[some], ridges[some], STEPS)

    return make


def check_small(results):
    """All forms end at the same points: where a system is not chaotic, which most are not, to 1e-3."""
    ours = results["ours"]
    assert np.isfinite(ours).all(), "points have left the box of the Fourier form"
    for name, points in results.items():
        apart = np.abs(ours[:: len(ours) // len(points)] - points).max((1, 2))
        assert np.median(apart) < 1e-5 and np.quantile(apart, 0.9) < 1e-3, f"{name}: {np.quantile(apart, [0.5, 0.9])}"


def small_work(dimension, targets, bound):
    """Return the work of 4,096 small systems in some dimension."""
    amounts = {name: count * STEPS for name, count in MEMORY_SYSTEMS.items()}
    return Work(
        f"4,096 small kernel systems in {dimension}-d",
        "system-updates",
        Form(systems_fourier(dimension), SYSTEMS * STEPS),
        {
            "growing expansion, numba": Form(systems_numba(dimension), amounts["numba"]),
            "growing expansion, JAX vmap": Form(systems_jax(dimension), amounts["JAX"], xla=True),
        },
        check_small,
        targets,
        bound,
    )


LARGE_BOUND = (
    "An update is three products of a 24 x 24 matrix with the features of 256 points, 0.9 Mflop: 5 to 8 ms for 1,000 "
    "updates at the rate of two cores. By default XLA starts each loop of an update by itself, which costs more."
)
PLANE_BOUND = (
    "An update changes a witness of 24 x 24 numbers and multiplies it twice for each point, 13 kflop: 0.13 s for all "
    "systems at the rate of two cores, if the numbers came from registers and not from the first-level cache."
)
LINE_BOUND = "An update of a witness of 24 numbers is so short that the features of the points take most of the time."

WORKS = [
    Work(
        "kernel GAN, 256 + 256 points in 2-d",
        "updates",
        Form(fourier, STEPS),
        {
            "random features, JAX": Form(random_features_jax, FEATURE_STEPS, xla=True),
            "random features, torch": Form(random_features_torch, FEATURE_STEPS),
        },
        check_large,
        {"random features, JAX": (24, 100), "random features, torch": (8, 35)},
        LARGE_BOUND,
    ),
    small_work(
        2,
        {"growing expansion, numba": (10, 25), "growing expansion, JAX vmap": (50, 300)},
        PLANE_BOUND,
    ),
    small_work(1, {}, LINE_BOUND),
]
