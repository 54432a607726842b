"""The live figure in Jupyter: the page's own script, run by this kernel or by the browser."""

import anywidget
import jax
import numpy as np
import traitlets

from gansde_lib.live import script


class LiveFigure(anywidget.AnyWidget):
    """An Explorer's widget. `values` follows the controls, and moves them when it is set.

    The browser runs the compiled simulation itself if there is one; the engines "CPU" and "GPU" ask this kernel, which
    calls the jitted function and answers with binary buffers.
    """

    _esm = script.module()
    _css = script.style()
    spec = traitlets.Dict().tag(sync=True)
    wasm = traitlets.Bytes(b"").tag(sync=True)
    engines = traitlets.List().tag(sync=True)
    values = traitlets.Dict().tag(sync=True)

    def __init__(self, explorer):
        module = explorer.module
        super().__init__(
            spec=explorer.spec() | {"alt": explorer.alt, "caption": explorer.caption},
            wasm=module.wasm if module else b"",
            engines=["this browser"] * (module is not None) + devices(),
            values={name: control.start for name, control in explorer.controls.items()},
        )
        self._explorer = explorer
        self.on_msg(self._answer)

    def _answer(self, _, request, buffers):
        """Run the simulation on the device that a message names and send its arrays, or say what went wrong."""
        try:
            with jax.default_device(jax.devices(request["engine"].lower())[0]):
                result = jax.device_get(self._explorer.run(**request["values"]))
        except (ValueError, RuntimeError) as error:
            self.send({"id": request["id"], "error": str(error)})
            return
        # Bool becomes int32, as in the compiled modules; a page reads only four-byte numbers.
        arrays = {name: a.astype(np.int32) if a.dtype == bool else a for name, a in result.items()}
        outputs = [{"path": name, "dtype": str(a.dtype), "shape": a.shape} for name, a in arrays.items()]
        self.send({"id": request["id"], "outputs": outputs}, buffers=[a.tobytes() for a in arrays.values()])


def devices():
    """Return the kernel engines: the CPU, and the GPU where JAX has one."""
    try:
        return ["CPU", "GPU"] if jax.devices("gpu") else ["CPU"]
    except RuntimeError:
        return ["CPU"]
