"""Layers against PyTorch: `python -m benchmarks.operators.run [--only NAME] [--seconds 0.2]`.

For each case both systems compute the forward pass and the gradients of all inputs and parameters. striate's time is that of
the case's kernels inside a compiled program (without the arrays' way in and out of it, as in the middle of a network);
PyTorch's is that of its eager forward and backward, in channels_last where the input is of rank 4. They take turns, two
threads each; what is shown are medians, the ratio, and striate's bytes a second beside those that memory can move.
"""

from __future__ import annotations

import argparse
import importlib
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

import striate as st
from benchmarks.operators.case import Case
from striate import nn
from striate.cpu.peak import peak
from striate.cpu.profile import Profile, profile
from striate.engine import _programs, _vjp_builder, as_images

FAMILIES = sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem not in ("__init__", "case", "run"))


def arrays_of(case: Case) -> list[np.ndarray]:
    """Random numbers; whole ones below `classes` for the last input."""
    rng = np.random.default_rng(0)
    found: list[np.ndarray] = [rng.standard_normal(shape, np.float32) for shape in case.shapes]
    if case.classes is not None:
        found[-1] = rng.integers(0, case.classes, case.shapes[-1])
    return found


def ours(case: Case) -> tuple[float, float, int]:
    """Seconds forward, seconds backward, bytes of the kernels of a case."""
    net, arrays = case.make(nn), [as_images(a) for a in arrays_of(case)]
    program, _ = _programs(net, "vjp", lambda: _vjp_builder(net)).of(*arrays)
    seeds = [np.ones(v.shape, np.float32) for v in program.graph.inputs[len(arrays):]]
    return split(program, profile(program, [*arrays, *seeds], runs=7))


def split(program: Any, found: Profile) -> tuple[float, float, int]:
    """Time before and after the forward's outputs, and the bytes of all; copies that only change a layout are left out."""
    calls = [(name, seconds) for t in found.timings for name, seconds in zip(t.kernels, t.each, strict=True)]
    halves = calls[:program.split], calls[program.split:]
    ahead, back = (sum(seconds for name, seconds in half if name not in COPIES or only_copies(half)) for half in halves)
    return ahead, back, sum(t.bytes for t in found.timings)


COPIES = ("StridedCopy", "Fill")


def only_copies(calls: Sequence[tuple[str, float]]) -> bool:
    """Whether copying is the layer's own work, as in padding."""
    return all(name in COPIES for name, _ in calls)


def theirs(case: Case, seconds: float) -> tuple[float, float]:
    """PyTorch's medians: forward, backward."""
    net = case.make(torch.nn)
    inputs = [torch.from_numpy(a) for a in arrays_of(case)]
    inputs = [x.to(memory_format=torch.channels_last) if x.ndim == 4 and x.is_floating_point() else x for x in inputs]
    inputs = [x.requires_grad_() if x.is_floating_point() else x for x in inputs]
    wanted = [x for x in inputs if x.requires_grad] + list(net.parameters())
    ahead, back, end = [], [], time.perf_counter() + seconds
    while time.perf_counter() < end or len(ahead) < 5:
        start = time.perf_counter()
        y = net(*inputs)
        middle = time.perf_counter()
        y = y[0] if isinstance(y, tuple) else y
        seed = torch.ones_like(y)
        begin = time.perf_counter()
        torch.autograd.grad(y, wanted, seed)
        ahead.append(middle - start)
        back.append(time.perf_counter() - begin)
    return statistics.median(ahead[1:]), statistics.median(back[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="")
    parser.add_argument("--seconds", type=float, default=0.2)
    options = parser.parse_args()
    torch.set_num_threads(st.get_num_threads())
    torch.set_flush_denormal(True)
    best = peak().bytes_per_second
    heads = ("forward ms", "torch", "ratio", "backward ms", "torch", "ratio", "GB/s")
    titles = "".join(f" {head:>{width}s}" for head, width in zip(heads, (11, 8, 6, 12, 8, 6, 6)))
    print(f"{'case':34s}{titles}   (memory {best * 1e-9:.0f} GB/s)")
    for family in FAMILIES:
        for case in importlib.import_module(f"benchmarks.operators.{family}").CASES:
            if options.only not in f"{family} {case.name}":
                continue
            own = ours(case)
            time.sleep(0.3)
            other = theirs(case, options.seconds)
            time.sleep(0.3)
            ratios = [t / max(s, 1e-9) for s, t in zip(own, other)]
            rate = own[2] / max(own[0] + own[1], 1e-9) * 1e-9
            print(f"{case.name:34s} {own[0] * 1e3:11.3f} {other[0] * 1e3:8.3f} {ratios[0]:6.2f} {own[1] * 1e3:12.3f} "
                  f"{other[1] * 1e3:8.3f} {ratios[1]:6.2f} {rate:6.1f}", flush=True)


if __name__ == "__main__":
    main()
