"""How long a network's first call takes, before and after its kernels are in the cache: `python benchmarks/first_call.py`.

Every model of the registry (or those named) answers one image of 224 x 224 pixels, or of its own size where it takes no such
image, in a process of its own with an empty cache, then in a second process with the cache that the first one left.
Reported are the seconds of the first call and, in brackets, of the processor; what came before it, which is the import and the
drawing of random weights; the kernels compiled; and the memory that was planned before the call.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from typing import Any

SIZE = 224
HEAD = f"{'model':22s} {'input':>14s} {'before':>7s} {'cold':>15s} {'cached':>15s} {'kernels':>8s} {'planned memory':>15s}"


def measured(name: str) -> dict[str, Any]:
    """One first call, in this process."""
    begun = time.perf_counter()
    import numpy as np

    import striate as st
    from striate import engine, models
    from striate.cpu.cache import library

    net = models.create(name).eval()
    shape = models.input_shape(net)
    x = image(shape, np, SIZE)
    before = time.perf_counter() - begun
    try:
        st.trace(net, x)
    except st.errors.ShapeError:
        x = image(shape, np, None)
    wall, busy = time.perf_counter(), time.process_time()
    net(x)
    wall, busy = time.perf_counter() - wall, time.process_time() - busy
    return {"shape": x.shape, "before": before, "wall": wall, "busy": busy, "kernels": library.compiled,
            "memory": engine.forward_program(net, x).memory.total}


def image(shape: Any, np: Any, size: int | None) -> Any:
    """One item to run on: an image of size x size pixels, or of the model's own size."""
    rng = np.random.default_rng(0)
    if hasattr(shape, "dtype"):
        return rng.integers(0, 100, (1, *shape.shape))
    return rng.random((1, shape[0], *((size, size) if size else shape[1:])), np.float32)


def child(name: str, cache: str) -> dict[str, Any]:
    """A first call in a process of its own."""
    command = [sys.executable, __file__, "--child", name]
    done = subprocess.run(command, env={**os.environ, "STRIATE_CACHE": cache}, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def row(name: str) -> str:
    with tempfile.TemporaryDirectory() as cache:
        cold, warm = child(name, cache), child(name, cache)
    shape = " x ".join(map(str, cold["shape"][1:]))
    times = [f"{c['wall']:6.2f} s ({c['busy']:.2f})" for c in (cold, warm)]
    return (f"{name:22s} {shape:>14s} {cold['before']:5.2f} s {times[0]:>15s} {times[1]:>15s} {cold['kernels']:8d} "
            f"{cold['memory'] / 2**20:11.1f} MiB")


def main() -> None:
    if sys.argv[1:2] == ["--child"]:
        print(json.dumps(measured(sys.argv[2])))
        return
    from striate import models

    print(HEAD)
    for name in sys.argv[1:] or [n for n in models.list() if "_tiny" not in n]:
        print(row(name), flush=True)


if __name__ == "__main__":
    main()
