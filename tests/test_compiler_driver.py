"""The driver, the manifest, the cache, the messages, and the loader for pages."""

import json
import shutil
import subprocess
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gansde_lib.live import compiler
from gansde_lib.live.compiler import driver

F = np.float32


def decay(rate, start, count):
    path = jax.lax.scan(lambda z, _: (z * rate, z), start, None, length=6)[1]
    return {"path": path.T, "count": count + 1, "large": path > 0.5}


POINT = dict(rate=F(0.5), start=np.arange(10, dtype=F).reshape(5, 2), count=np.uint32(41))


def test_manifest():
    manifest = compiler.compile(decay, POINT, name="decay").manifest
    assert json.loads(json.dumps(manifest)) == manifest
    assert manifest["entry"] == "run"
    assert manifest["inputs"][1] == {"name": "start", "symbol": "in_start", "dtype": "float32", "shape": [5, 2]}
    assert [(part["path"], part["dtype"], part["shape"]) for part in manifest["outputs"]] == [
        ("count", "uint32", []),
        ("large", "bool", [6, 5, 2]),
        ("path", "float32", [2, 5, 6]),
    ]


def test_paths_name_the_outputs():
    module = compiler.compile(lambda x: (dict(a=x, b=[x, 2 * x]), x), dict(x=F(1)), name="paths")
    assert [part["path"] for part in module.manifest["outputs"]] == ["0.a", "0.b.0", "0.b.1", "1"]
    assert compiler.compile(lambda x: jnp.sin(x), dict(x=F(1)), name="one").manifest["outputs"][0]["path"] == "result"


def test_the_same_function_gives_the_same_bytes():
    first, second = (compiler.compile(decay, POINT, name="decay") for _ in range(2))
    assert first.wasm == second.wasm and first.c_source == second.c_source


def test_cache(tmp_path, monkeypatch):
    first = compiler.compile(decay, POINT, name="decay", cache=tmp_path)
    assert len(list(tmp_path.glob("*.wasm"))) == 1

    def refuse(*_, **__):
        raise AssertionError("the compiler was called again")

    monkeypatch.setattr(driver.subprocess, "run", refuse)
    assert compiler.compile(decay, POINT, name="decay", cache=tmp_path).wasm == first.wasm
    with pytest.raises(AssertionError, match="called again"):
        compiler.compile(lambda rate, start, count: rate * 3, POINT, name="decay", cache=tmp_path)


@pytest.mark.parametrize(
    ("function", "value", "message"),
    [
        (lambda x: jnp.fft.fft(x).real, np.ones(8, F), "primitive 'fft'"),
        (lambda x: jax.scipy.special.gammaln(x), np.ones(8, F), "primitive 'lgamma'"),
        (lambda x: jnp.linalg.cholesky(x), np.eye(2, dtype=F), "primitive 'cholesky'"),
        (lambda x: x.astype(jnp.int8), np.ones(8, F), "int8"),
        (lambda x: jax.random.normal(jax.random.key(0, impl="rbg")) + x, F(1), "rbg"),
        (lambda x: x + 1, np.ones(8, np.float64), "float64"),
        (
            lambda x: jax.lax.scan(lambda c, _: (jnp.linalg.eigh(c)[1], None), x, None, length=3)[0],
            np.eye(3, dtype=F),
            "primitive 'eigh'",
        ),
    ],
)
def test_what_cannot_be_compiled_is_named(function, value, message):
    with pytest.raises(compiler.Unsupported, match="figure 'phase map'") as error:
        compiler.compile(function, dict(x=value), name="phase map")
    assert message in str(error.value)


def test_a_wrong_constant_is_noticed(monkeypatch, tmp_path):
    """The comparison would see a single wrong coefficient of exp."""
    from compiled import compare

    changed = tmp_path / "maths.h"
    changed.write_text(driver.MATHS.read_text().replace("5.0000001201e-1f", "5.0100001201e-1f"))
    monkeypatch.setattr(driver, "MATHS", changed)
    with pytest.raises(AssertionError):
        compare(lambda x: jnp.exp(x), dict(x=np.linspace(-1, 1, 50, dtype=F)))


@pytest.mark.skipif(not shutil.which("node"), reason="needs node")
def test_the_page_loader_gives_the_same_bits(tmp_path):
    module = compiler.compile(decay, POINT, name="decay")
    runtime = Path(driver.__file__).with_name("runtime.js")
    (tmp_path / "runtime.mjs").write_text(runtime.read_text())
    values = json.dumps({name: np.asarray(value).tolist() for name, value in POINT.items()})
    script = f"""
        import {{ decode, load }} from "./runtime.mjs";
        const run = await load(await decode("{compiler.pack(module.wasm)}"), {json.dumps(module.manifest)});
        run({values});
        const found = run({values});
        const parts = Object.entries(found).map(([path, part]) => ({{ path, ...part, data: [...part.data] }}));
        console.log(JSON.stringify(parts));
        try {{ run({{}}); }} catch (error) {{ console.error(error.message); }}
    """
    (tmp_path / "test.mjs").write_text(script)
    done = subprocess.run(["node", "test.mjs"], cwd=tmp_path, capture_output=True, text=True)
    assert "missing input rate" in done.stderr
    expected = compiler.load(module)(**POINT)
    for part in json.loads(done.stdout):
        data = np.array(part["data"]).astype(expected[part["path"]].dtype)
        array = np.lib.stride_tricks.as_strided(data, part["shape"], [s * data.itemsize for s in part["strides"]])
        np.testing.assert_array_equal(array, expected[part["path"]])
