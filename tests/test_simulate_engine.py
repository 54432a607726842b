"""The ensemble engine: its random numbers, its paths against plain loops, and independence of who does the work."""

import functools
import os
import socket
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from jax.tree_util import Partial

from gansde_lib import simulate
from gansde_lib.games import Players
from gansde_lib.simulate import counters, engine, options, work

KEY = jax.random.key(11)
KINDS = ("gaussian", "three-point", "two-point")


def turn(rate, x, w):
    """A noisy rotation, with noise that depends on the state."""
    return Players(
        x.theta - rate * x.omega + 0.1 * w.theta * jnp.cos(x.omega),
        x.omega + rate * x.theta + 0.1 * w.omega,
    )


STEP, START = Partial(turn, jnp.float32(0.05)), Players(jnp.float32(1), jnp.zeros((), jnp.float32))


@functools.cache
def ends(kind):
    return simulate.paths(STEP, START, steps=70, size=2500, key=KEY, increments=kind, workers=1)


def same(found, expected):
    for left, right in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_array_equal(left, right)


# ------------------------------------------------------------------------------------------------ random numbers


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_normal_numbers(precision):
    """Four million in each of two parts. Standard errors: variance .0007, fourth moment .005, correlation .0005."""
    with jax.enable_x64(precision == "float64"):
        lanes, steps = jnp.meshgrid(*[jnp.arange(2000, dtype=jnp.uint32)] * 2)
        draw = jax.jit(lambda *of: counters.pairs("gaussian", counters.words_of(KEY), *of, jnp.dtype(precision)))
        z = np.asarray(draw(lanes, steps))  # as arguments: XLA takes a minute to fold constants of this size
        assert z.dtype == {"float32": np.complex64, "float64": np.complex128}[precision]
    parts = z.real.ravel().astype(float), z.imag.ravel().astype(float)
    for part in parts:
        assert abs(part.mean()) < 3.5 * 0.0005
        assert abs(part.var() - 1) < 3.5 * 0.0007
        assert abs((part**3).mean()) < 3.5 * np.sqrt(15 / part.size)
        assert abs((part**4).mean() - 3) < 3.5 * np.sqrt(96 / part.size)
        assert scipy.stats.kstest(part[::10], "norm").pvalue > 1e-3
        assert scipy.stats.binomtest(int((np.abs(part) > 4).sum()), part.size, 6.334e-5).pvalue > 1e-3
    assert abs((parts[0] * parts[1]).mean()) < 3.5 * 0.0005
    assert abs((parts[0] ** 2 * parts[1] ** 2).mean() - 1) < 3.5 * np.sqrt(8 / parts[0].size)
    neighbours = z.real.astype(float)
    assert abs((neighbours[1:] * neighbours[:-1]).mean()) < 3.5 * 0.0005  # steps of a path
    assert abs((neighbours[:, 1:] * neighbours[:, :-1]).mean()) < 3.5 * 0.0005  # paths at a step


def test_box_muller_agrees_with_the_formula_in_double_precision():
    words = counters.threefry(counters.words_of(KEY), jnp.arange(10**5, dtype=jnp.uint32), jnp.uint32(5))
    first, second = (np.asarray(word, float) for word in words)
    uniform = np.float32(np.float32(np.floor(first / 2)) * np.float32(2.0**-31) + np.float32(2.0**-32)).astype(float)
    # The two upper bits of the second word choose a quarter of the circle: 0 right, 1 up, 2 left, 3 down.
    quarter, share = np.divmod(second, 2.0**30)
    angle = np.pi / 2 * (share / 2.0**30 - 0.5)
    turns = {0: (np.cos, np.sin), 1: (np.sin, np.cos)}
    cosine, sine = (
        np.where(quarter >= 2, -1, 1) * np.where(quarter % 2 == 1, turns[1][k](angle), turns[0][k](angle))
        for k in (0, 1)
    )
    radius = np.sqrt(-2 * np.log(uniform))
    z = np.asarray(counters.box_muller(*words))
    np.testing.assert_allclose(z.real, radius * cosine, atol=2e-6)
    np.testing.assert_allclose(z.imag, radius * sine, atol=2e-6)


@pytest.mark.parametrize(("kind", "fourth"), [("three-point", 3), ("two-point", 1), ("gaussian", 3)])
def test_increments_have_the_moments_weak_orders_need(kind, fourth):
    """2.4 million draws: standard error of the variance at most .0009, of the fourth moment .006 (Gaussian)."""
    lanes = jnp.arange(25_000, dtype=jnp.uint32)
    draw = counters.block(kind, counters.words_of(KEY), lanes, 64, 32, jnp.zeros(3))
    found = np.asarray(jax.lax.map(draw, jnp.arange(32)), float)
    assert found.shape == (32, 3, 25_000)
    count = found.size
    assert abs(found.mean()) < 3.5 / np.sqrt(count)
    assert abs((found**3).mean()) < 3.5 * np.sqrt(15 / count)
    assert abs((found**2).mean() - 1) <= 3.5 * np.sqrt((fourth - 1) / count)
    assert abs((found**4).mean() - fourth) <= 3.5 * np.sqrt(96 / count) * (fourth > 1)
    assert set(np.round(np.unique(np.abs(found)), 4)) >= {"two-point": {1.0}, "three-point": {0.0, 1.7321}}.get(
        kind, set()
    )


# ---------------------------------------------------------------------------------------------------------- paths


@pytest.mark.parametrize("kind", KINDS)
def test_paths_are_the_plain_loop(kind):
    x, numbers = START, jnp.arange(2500, dtype=jnp.uint32)
    x = jax.tree.map(lambda leaf: np.full(2500, leaf, float), x)
    for k in range(70):
        first = k // 32 * 32
        draw = counters.block(kind, counters.words_of(KEY), numbers, first, 32, START)
        x = turn(0.05, x, jax.tree.map(lambda leaf: np.asarray(leaf, float), draw(k - first)))
    for found, expected in zip(ends(kind), x, strict=True):
        np.testing.assert_allclose(found, expected, atol=2e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("change", ["workers", "drawn", "size", "unit", "jit", "side by side"])
def test_who_does_the_work_changes_no_bit(kind, change, monkeypatch):
    size, how = 2500, {"workers": 1}
    if change == "workers":
        monkeypatch.setattr(work, "LARGEST", {"cpu": 1})
        how["workers"] = 3
    elif change == "drawn":
        monkeypatch.setattr(engine, "DRAWN", 2048)
    elif change == "unit":
        monkeypatch.setattr(engine, "UNIT", 256)
    elif change == "side by side":  # as on a GPU
        monkeypatch.setattr(work, "_many_at_once", lambda device: True)
    elif change == "size":
        size = 300
    work._program.cache_clear()

    def run(key):
        return simulate.paths(STEP, START, steps=70, size=size, key=key, increments=kind, **how)

    found = jax.jit(run)(KEY) if change == "jit" else run(KEY)
    work._program.cache_clear()
    same(found, jax.tree.map(lambda leaf: leaf[:size], ends(kind)))


def test_another_key_or_stream_gives_other_paths():
    other = simulate.paths(STEP, START, steps=70, size=2500, key=jax.random.key(12))
    assert abs(np.corrcoef(other.theta, ends("gaussian").theta)[0, 1]) < 3.5 / np.sqrt(2500)
    words = counters.words_of(KEY)
    assert len({tuple(np.asarray(counters.stream(words, k))) for k in range(5)}) == 5


def test_several_kinds_of_increments_at_once():
    """x gains a normal number, a sign and a uniform number: variances add up. 40,000 paths, 30 steps."""

    def sums(x, w):
        return x + jnp.stack([w[0], w[1][1], w[2] - 0.5])

    found = simulate.paths(
        sums, jnp.zeros(3), steps=30, size=40_000, key=KEY, increments=("gaussian", "two-point", "uniform"),
        noise=(jnp.float32(0), jnp.zeros(2), jnp.float32(0)),
    )  # fmt: skip
    variances = np.array([30, 30, 30 / 12])
    np.testing.assert_allclose(found.var(0), variances, rtol=3.5 * np.sqrt(2 / 40_000))
    assert np.abs(np.corrcoef(found.T) - np.eye(3)).max() < 3.5 / np.sqrt(40_000)


@pytest.mark.parametrize("kind", KINDS)
def test_second_moments_of_multiplicative_noise_are_exact(kind):
    r"""E x^2 after n steps of x' = x (1 + a + b w) is ((1 + a)^2 + b^2)^n, whatever the increments."""

    def step(x, w):
        return x * (0.98 + 0.1 * w)

    square = simulate.averages(
        step, jnp.float32(1), steps=40, size=30_000, key=KEY, increments=kind, observe=jnp.square, every=10
    )
    expected = (0.98**2 + 0.1**2) ** np.arange(0, 41, 10)
    assert (np.abs(square.mean - expected)[1:] < 3.5 * square.error[1:]).all()
    assert (square.error[1:] < 0.005).all()


def test_double_precision():
    with jax.enable_x64(True):
        start = Players(1.0, 0.0)
        found = simulate.paths(Partial(turn, 0.05), start, steps=70, size=5000, key=KEY, workers=2)
        assert found.theta.dtype == np.float64
        same(found, simulate.paths(Partial(turn, 0.05), start, steps=70, size=5000, key=KEY, workers=1))
        assert (found.theta != found.theta.astype(np.float32)).mean() > 0.99
    # Other normal numbers than in float32, of the same law.
    error = np.sqrt(ends("gaussian").theta.var() * (1 / 5000 + 1 / 2500))
    assert abs(found.theta.mean() - ends("gaussian").theta.mean()) < 3.5 * error


def test_a_diverging_ensemble_is_a_result():
    found = simulate.paths(lambda x, w: 1e20 * x + w, jnp.float32(1), steps=5, size=20, key=KEY)
    assert not np.isfinite(found).any()
    mean = simulate.averages(
        lambda x, w: 1e20 * x + w, jnp.float32(1), steps=5, size=20, key=KEY, observe=jnp.abs, every=1
    )
    assert np.isfinite(mean.mean[1]) and not np.isfinite(mean.mean[-1])


# ------------------------------------------------------------------------------------------------------- averages


def both(x):
    return {"theta": x.theta, "squares": jnp.stack([x.theta**2, x.omega**2])}


@pytest.mark.parametrize("every", [1, 10, None])
def test_averages_are_those_of_the_paths(every):
    found = simulate.averages(STEP, START, steps=70, size=2500, key=KEY, observe=both, every=every)
    x = jax.tree.map(lambda leaf: leaf.astype(float), ends("gaussian"))
    squares = np.stack([x.theta**2, x.omega**2])
    times = 2 if every is None else 70 // every + 1
    assert found.mean["squares"].shape == (times, 2)
    np.testing.assert_allclose(found.mean["theta"][-1], x.theta.mean(), rtol=1e-5)
    np.testing.assert_allclose(found.variance["theta"][-1], x.theta.var(ddof=1), rtol=1e-5)
    np.testing.assert_allclose(found.mean["squares"][-1], squares.mean(1), rtol=1e-5)
    np.testing.assert_allclose(found.variance["squares"][-1], squares.var(1, ddof=1), rtol=1e-5)
    assert found.mean["theta"][0] == 1 and found.variance["theta"][0] == 0
    np.testing.assert_allclose(found.error["theta"][-1], x.theta.std(ddof=1) / 50, rtol=1e-5)


def test_means_alone():
    def run(**how):
        return simulate.averages(STEP, START, steps=70, size=2500, key=KEY, observe=both, every=10, **how)

    alone = run(variance=False)
    same(alone.mean, run().mean)
    assert alone.variance is None


def test_averages_far_from_zero_do_not_cancel():
    found = simulate.averages(
        lambda x, w: x + 0.1 * w, jnp.float32(1e4), steps=4, size=5000, key=KEY, observe=lambda x: x
    )
    ended = simulate.paths(lambda x, w: x + 0.1 * w, jnp.float32(1e4), steps=4, size=5000, key=KEY)
    np.testing.assert_allclose(found.variance[-1], ended.astype(float).var(ddof=1), rtol=1e-4)


def test_averages_do_not_depend_on_who_does_the_work(monkeypatch):
    def run(**how):
        return simulate.averages(STEP, START, steps=40, size=9000, key=KEY, observe=both, every=20, **how)

    expected = run(workers=1)
    monkeypatch.setattr(work, "LARGEST", {"cpu": 2})
    same(run(workers=2), expected)
    inside_jit = jax.jit(lambda key: simulate.averages(STEP, START, steps=40, size=9000, key=key, observe=both)[:2])
    mean, _ = inside_jit(KEY)
    np.testing.assert_allclose(mean["squares"][-1], expected.mean["squares"][-1], rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sizes", [(3, 2), (3, 3)])  # a pair of one shape is packed into one array
def test_a_step_may_take_many_paths_at_once(kind, sizes):
    coupling = np.array([[0.2, -0.1, 0.1], [0.3, 0.1, 0.0], [0.0, 0.4, 0.2]], np.float32)[:, : sizes[1]]

    def step(x, w):  # for one path or, as a matrix multiplies from the left, for many
        return Players(x.theta - coupling @ x.omega + w.theta, 0.5 * x.omega + coupling.T @ x.theta + 0.1 * w.omega)

    start = Players(jnp.ones(sizes[0]), jnp.zeros(sizes[1]))
    how = {"steps": 40, "size": 700, "key": KEY, "increments": kind}
    expected, found = (simulate.paths(step, start, batched=batched, **how) for batched in (False, True))
    for left, right in zip(found, expected, strict=True):
        np.testing.assert_allclose(left, right, atol=2e-5)
    means = simulate.averages(step, start, observe=lambda x: x.theta[0] * x.omega[1], batched=True, **how).mean
    np.testing.assert_allclose(means[-1], (expected.theta[:, 0] * expected.omega[:, 1]).mean(), atol=1e-4)


def test_a_histogram_is_an_average():
    edges = np.linspace(-2, 2, 9)
    found = simulate.averages(
        STEP, START, steps=70, size=2500, key=KEY, observe=lambda x: simulate.inside(edges)(x.theta)
    )
    expected, _ = np.histogram(ends("gaussian").theta, edges)
    np.testing.assert_allclose(found.mean[-1] * 2500, expected, atol=1e-2)


# ------------------------------------------------------------------------------------------------------ long work


def test_work_goes_on_where_it_was_interrupted(tmp_path, monkeypatch):
    expected = jax.tree.map(lambda leaf: leaf[:640], ends("gaussian"))
    monkeypatch.setattr(engine, "UNIT", 32)
    done, plain = [], work._program

    def counted(*arguments):
        program = plain(*arguments)

        def run(job, begins, counts):
            done.append(int(begins[0]))
            if len(done) == 4:
                raise KeyboardInterrupt
            return program(job, begins, counts)

        return run

    def run():
        return simulate.paths(STEP, START, steps=70, size=640, key=KEY, workers=1, store=tmp_path / "run")

    monkeypatch.setattr(work, "_program", counted)
    with pytest.raises(KeyboardInterrupt):
        run()
    assert done == [0, 1, 2, 3]
    same(run(), expected)
    assert done[4:] == [3, 4, 5, 6, 7, 8, 9]
    run()
    assert len(done) == 11  # nothing was done again


def test_a_store_of_other_work_is_refused(tmp_path):
    how = {"steps": 10, "size": 20, "store": tmp_path / "run"}
    simulate.paths(STEP, START, key=KEY, **how)
    for other in ({"key": jax.random.key(0)}, {"key": KEY, "steps": 11}, {"key": KEY, "size": 50}):
        with pytest.raises(ValueError, match="holds pieces of other work"):
            simulate.paths(STEP, START, **how | other)


@pytest.mark.parametrize("shown", [True, False])
def test_a_bar_on_request(shown, capsys, monkeypatch):
    monkeypatch.delenv("GANSDE_PROGRESS", raising=False)
    monkeypatch.setattr(work, "LARGEST", {"cpu": 1})  # 5,000 paths are three units, on any number of cores
    simulate.paths(STEP, START, steps=10, size=5000, key=KEY, progress=shown)
    assert ("/3" in capsys.readouterr().err) == shown
    monkeypatch.setenv("GANSDE_PROGRESS", "0")
    simulate.paths(STEP, START, steps=10, size=5000, key=KEY, progress=True)
    assert capsys.readouterr().err == ""


def test_an_option_that_xla_does_not_know_is_left_out(monkeypatch):
    monkeypatch.setattr(options, "WISHES", {"cpu": {"xla_cpu_prefer_vector_width": 512, "xla_no_such_option": 1}})
    options.compiler_options.cache_clear()
    assert "xla_no_such_option" not in options.compiler_options("cpu")
    options.compiler_options.cache_clear()


# ------------------------------------------------------------------------------------------- devices and hosts

ALONE = """
import os, sys
import jax, numpy as np
sys.path.insert(0, "tests")
number, count, address, out = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
if count > 1:
    jax.distributed.initialize(address, count, number)
from test_simulate_engine import KEY, START, STEP, both, simulate
print(jax.device_count(), jax.process_count())
ends = simulate.paths(STEP, START, steps=70, size=2500, key=KEY)
averages = simulate.averages(STEP, START, steps=40, size=9000, key=KEY, observe=both, every=20, store=out + ".store")
again = simulate.averages(STEP, START, steps=40, size=9000, key=KEY, observe=both, every=20, store=out + ".store")
np.savez(f"{out}_{number}.npz", *jax.tree.leaves((ends, averages[:2], again[:2])))
"""


def on_several(tmp_path, hosts, devices):
    """What every host finds, with so many devices each."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    flags = f"--xla_force_host_platform_device_count={devices}"
    out = str(tmp_path / "found")
    running = [
        subprocess.Popen(
            [sys.executable, "-c", ALONE, str(number), str(hosts), address, out],
            env=os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for number in range(hosts)
    ]  # fmt: skip
    for one in running:
        said, complaint = one.communicate(timeout=240)
        assert one.returncode == 0, complaint
        assert f"{hosts * devices} {hosts}" in said.splitlines()  # beside what the network says
    return [np.load(f"{out}_{number}.npz") for number in range(hosts)]


@pytest.mark.parametrize(("hosts", "devices"), [(1, 3), (2, 1)])
def test_several_devices_or_hosts_change_no_bit(hosts, devices, tmp_path):
    averages = simulate.averages(STEP, START, steps=40, size=9000, key=KEY, observe=both, every=20)
    expected = jax.tree.leaves((ends("gaussian"), averages[:2], averages[:2]))
    for found in on_several(tmp_path, hosts, devices):
        same([found[name] for name in found.files], expected)


# ------------------------------------------------------------------------------------------------------- failures


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": -1}, "steps must be an integer >= 0, found -1; for example paths"),
        ({"size": 0}, "size must be an integer >= 1, found 0; for example paths"),
        ({"increments": "cauchy"}, "increments must be one of 'gaussian', .*found 'cauchy'"),
        ({"workers": 0}, "workers must be an integer >= 1, found 0"),
        ({"key": 3}, "key must be one Threefry key, found 3; for example"),
        ({"key": jax.random.split(KEY)}, "key must be one Threefry key"),
    ],
)
def test_bad_input_is_named(changes, message):
    with pytest.raises(ValueError, match=message):
        simulate.paths(STEP, START, **{"steps": 10, "size": 20, "key": KEY} | changes)


def test_every_divides_the_steps():
    with pytest.raises(ValueError, match="every must divide steps, found 3 and 10"):
        simulate.averages(STEP, START, steps=10, size=20, key=KEY, observe=both, every=3)
