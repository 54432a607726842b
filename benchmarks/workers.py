"""The processes in which `benchmarks.compare` makes and times forms of a work, and what else the machine is doing."""

import importlib
import multiprocessing
import os
import time

import psutil

QUIET = 0.25
"""A moment is quiet when others use less than this many cores."""

LEAST = 0.2
"""Short work is repeated, so that one timing takes this many seconds."""


class Worker:
    """A process that makes forms and times them when asked."""

    def __init__(self, flags):
        context, before = multiprocessing.get_context("spawn"), dict(os.environ)
        self.connection, far = context.Pipe()
        self.process = context.Process(target=serve, args=(far,), daemon=True)
        compiled_anew = {"JAX_ENABLE_COMPILATION_CACHE": "false", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
        os.environ.update(compiled_anew, XLA_FLAGS=flags, GANSDE_PROGRESS="0")
        try:
            self.process.start()
        finally:
            os.environ.clear()
            os.environ.update(before)
        far.close()

    def ask(self, *order):
        """Return the answer to an order; raise what it raised there."""
        try:
            self.connection.send(order)
            answer = self.connection.recv()
        except (EOFError, BrokenPipeError):
            raise ImportError(f"the process ended at {order}") from None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self):
        """End the process."""
        self.connection.close()
        self.process.join(5)
        self.process.terminate()


def serve(connection):
    """Answer orders until the other end is closed; the worker's main function."""
    runs = {}

    def about():
        import jax

        return {"platform": jax.default_backend(), "device": jax.devices()[0].device_kind}

    def make(module, work, peer):
        found = next(candidate for candidate in importlib.import_module(module).WORKS if candidate.name == work)
        form, begin = found.ours if peer == "ours" else found.peers[peer], time.perf_counter()
        run = form.make()
        result, first = run(), time.perf_counter() - begin
        begin = time.perf_counter()
        run()
        runs[peer] = run, min(100, max(1, round(LEAST / (time.perf_counter() - begin))))
        return result, form.amount, first

    def timed(peer):
        run, times = runs[peer]
        begin, processor = time.perf_counter(), time.process_time()
        for _ in range(times):
            run()
        return (time.perf_counter() - begin) / times, (time.process_time() - processor) / times, times

    orders = {"about": about, "make": make, "time": timed, "forget": runs.clear}
    while True:
        try:
            name, *rest = connection.recv()
        except EOFError:
            return
        try:
            connection.send(orders[name](*rest))
        except ImportError as error:
            connection.send(ImportError(str(error)))
        except Exception as error:
            connection.send(RuntimeError(f"{' '.join([name, *rest])}: {type(error).__name__}: {error}"))


def busy_seconds():
    """Return the processor seconds that the whole machine has spent so far."""
    spent = psutil.cpu_times()
    return sum(spent) - spent.idle - getattr(spent, "iowait", 0) - getattr(spent, "guest", 0)


def wait_for_quiet(longest=1.0):
    """Wait until others use few cores, for a second at most."""
    end = time.monotonic() + longest
    while psutil.cpu_percent(0.06) / 100 * psutil.cpu_count() > QUIET and time.monotonic() < end:
        pass
