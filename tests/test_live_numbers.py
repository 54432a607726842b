"""Every live figure of the book computes the library's numbers: at the corners of its controls and at random points
between, against `jax.jit`; and Chromium computes the very bits of wasmtime."""

import base64
import itertools

import figures
import jax
import numpy as np
import pytest
from compiled import TOLERANCE, same
from test_live_pages import folder, opened, site  # noqa: F401 (fixtures)

from gansde_lib.live import Choice, Point, Seed, Size, Slider, compiler


def starts(result, steps, *names):
    """The result with the first steps only of what is unstable or chaotic: later its last digit has grown."""
    return result | {name: result[name][:steps] for name in names}


def without(result, *names):
    """The result without some outputs."""
    return {name: array for name, array in result.items() if name not in names}


# What is compared where a float32 rounding error grows along the run; of everything else, all.
COMPARED = {
    # Past the stability limit the path diverges or winds onto a cycle, where its phase depends on the last digit.
    "damped_rotation": lambda result, values: starts(result, 20, "theta", "omega"),
    "dirac_rules": lambda result, values: starts(result, 20, "theta", "omega", "energy"),
    "convergence_map": lambda result, values: starts(result, 20, "theta", "omega"),
    # The corners are far beyond the limits, and there the sign that symplectic adjustment takes is one of roundings.
    "repaired_rules": lambda result, values: starts(result, 4, "theta", "omega", "distance", "theory"),
    # Training a network is chaotic: two compilers agree on the start and, at slow rates, on 40 steps. What becomes of
    # the run is compared by its mean over seeds, below.
    "ten_digits": lambda result, values: {"payoff": result["payoff"][: 2 if values["eta"] < 0.1 else 1]},
}

# With a weak ridge pairs of points burst, and a last digit decides which of the two is thrown out; nothing is compared
# then of where they end.
COMPARED |= {
    "two_points": lambda result, values: (
        result if values["eta"] < 0.1 else starts(without(result, "witness", "covered"), 12, "x", "first", "second")
    ),
    "split_pair": lambda result, values: result if values["ridge"] > 0.5 else starts(result, 40, "x", "y", "distance"),
    "ring": lambda result, values: (
        result if values["ridge"] > 0.5 else starts(without(result, "witness", "covered"), 40, "x", "y")
    ),
}

# Where two eigenvalues meet, a radius found by squaring and the slope of a logarithm take the roundings of all steps.
TOLERANCES = {("convergence_map", "rate"): 1e-4, ("repaired_rules", "radius"): 1e-4, ("repaired_rules", "theory"): 5e-4}
TOLERANCES |= {("minibatch_cloud", "correlation"): 1e-3}  # near 0 a sum of 400 products that cancel
TOLERANCES |= {("averages", "z"): 5e-4}  # the largest stable draws are powers of cosines near 0
TOLERANCES |= {("settled", "u"): 2e-3, ("settled", "v"): 2e-3}  # at weak coupling fluxes that nearly cancel
# The sides of the payoff relation are differences that nearly cancel, and a ratio divides by one of them.
TOLERANCES |= {("filling", name): tolerance for name, tolerance in {"ratio": 2e-3, "found": 2e-3, "z": 2e-2}.items()}
# Distances between two paths that nearly agree, and weak errors, are small differences of large numbers.
TOLERANCES |= {("corrections", name): 5e-4 for name in ("miss", "miss_modified")}
TOLERANCES |= {("weak_errors", name): 2e-3 for name in ("error", "first", "second")} | {("weak_errors", "slope"): 2e-2}
TOLERANCES |= {("two_points", "witness"): 5e-4}  # sums of 94 features that cancel, where points run up to each other
TOLERANCES |= {("ring", name): 5e-4 for name in "xy"}  # points on one site swing about it for 400 steps
# Sums over thousands of steps of small distances from a saddle that lies up to 7 away from zero.
TOLERANCES |= {
    ("watched_rates", f"{what}_{rule}"): 1e-3 for what in ("error", "late", "ratio") for rule in ("sum", "exact")
}

# Beyond the limits a point is thrown out, and overshoots by more from update to update.
COMPARED |= {
    "phase_diagram": lambda result, values: starts(result, 4, "path"),
    "modes": lambda result, values: starts(result, 4, "points"),
}
# Where two roots meet, their distance is the root of a rounding.
TOLERANCES |= {("phase_diagram", name): 1e-3 for name in ("radius", "turning")}
TOLERANCES |= {("modes", name): 1e-3 for name in ("real", "imaginary", "radius", "points")}

# Where data contradict themselves the slope crosses kinks, and a step may fall on either side.
TOLERANCES |= {("divided_descent", "ratio"): 5e-3}
TOLERANCES |= {("eight_runs", "last"): 3e-3}  # under heavy-tailed kicks a rounding grows for a while


def ends(control):
    """Return the extreme values of a control."""
    if isinstance(control, Slider):
        return [control.lower, control.upper]
    if isinstance(control, Choice):
        return list(control.options)
    if isinstance(control, Point):
        return [control.lower, control.upper, (control.lower[0], control.upper[1])]
    return [0, 2**32 - 1] if isinstance(control, Seed) else [control.start]


def inside(control, rng):
    """Return a random value of a control."""
    if isinstance(control, Slider):
        place = rng.uniform()
        value = control.lower + place * (control.upper - control.lower)
        if control.log:
            value = control.lower * (control.upper / control.lower) ** place
        return round(value) if control.integer else value
    if isinstance(control, Choice):
        return str(rng.choice(list(control.options)))
    if isinstance(control, Point):
        return tuple(rng.uniform(control.lower, control.upper))
    return int(rng.integers(2**32)) if isinstance(control, Seed) else control.start


def places(explorer, random=6):
    """Yield all corners of the controls and a few random points."""
    rng = np.random.default_rng(2026)
    controls = explorer.controls
    for corner in itertools.product(*map(ends, controls.values())):
        yield dict(zip(controls, corner, strict=True))
    for _ in range(random):
        yield {name: inside(control, rng) for name, control in controls.items()}


def compiled_arguments(explorer, values):
    """Return what the compiled simulation takes: everything but sizes, which are fixed when a page is built."""
    arguments = explorer.arguments(**values)
    return {name: a for name, a in arguments.items() if not isinstance(explorer.controls[name], Size)}


@pytest.mark.parametrize("name", figures.NAMES)
def test_the_compiled_figure_has_the_librarys_numbers(name):
    explorer = figures.get(name)
    run, compared = compiler.load(explorer.module), COMPARED.get(name, lambda result, values: result)
    for values in places(explorer):
        found = compared(run(**compiled_arguments(explorer, values)), values)
        expected = compared(jax.device_get(explorer.run(**values)), values)
        assert found.keys() == expected.keys()
        for output, array in expected.items():
            tolerance = TOLERANCES.get((name, output), TOLERANCE)
            same(np.asarray(found[output]), np.asarray(array), tolerance, 0.0, f"{name}, {output} at {values}")


@pytest.mark.parametrize("penalty", [0.0, 3.0])
def test_compiled_training_ends_as_the_librarys_does(penalty):
    """Digits drawn after training: the means over seeds differ by less than three standard errors of the difference."""
    explorer, seeds = figures.get("ten_digits"), range(100, 112)
    run = compiler.load(explorer.module)
    drawn = np.array([
        [one(seed)["drawn"] for seed in seeds]
        for one in (
            lambda seed: run(**explorer.arguments(penalty=penalty, seed=seed)),
            lambda seed: explorer.run(penalty=penalty, seed=seed),
        )
    ], float)  # fmt: skip
    error = np.hypot(*drawn.std(axis=1, ddof=1)) / len(seeds) ** 0.5
    assert abs(np.diff(drawn.mean(axis=1))) < 3 * error and error < 0.7


RUN_HERE = """async ([wasm, manifest, values]) => {
    const { decode, load } = await import("./runtime.mjs");
    const outputs = (await load(await decode(wasm), manifest))(values);
    const bytes = ({ buffer, byteOffset, byteLength }) => new Uint8Array(buffer, byteOffset, byteLength);
    const text = data => btoa(Array.from(bytes(data), byte => String.fromCharCode(byte)).join(""));
    return Object.fromEntries(Object.entries(outputs).map(([path, { data }]) => [path, text(data)]));
}"""


@pytest.mark.parametrize("name", figures.NAMES)
def test_chromium_computes_the_bits_of_wasmtime(opened, folder, name):  # noqa: F811
    explorer = figures.get(name)
    source = (figures.ROOT / "gansde_lib" / "live" / "compiler" / "runtime.js").read_text()
    (folder / "runtime.mjs").write_text(source)
    page, run = opened(name), compiler.load(explorer.module)
    wasm, manifest = compiler.pack(explorer.module.wasm), explorer.module.manifest
    for values in [{}, *list(places(explorer, random=3))[-3:]]:
        arguments = compiled_arguments(explorer, values)
        numbers = {key: np.asarray(a).tolist() for key, a in arguments.items()}
        seen, expected = page.evaluate(RUN_HERE, [wasm, manifest, numbers]), run(**arguments)
        for part in manifest["outputs"]:
            array = expected[part["path"]].astype(np.int32 if part["dtype"] == "bool" else part["dtype"])
            found = np.frombuffer(base64.b64decode(seen[part["path"]]), array.dtype)
            strides = [4 * stride for stride in part["strides"]]
            found = np.lib.stride_tricks.as_strided(found, part["shape"], strides)
            assert found.tobytes() == array.tobytes(), (part["path"], values)
