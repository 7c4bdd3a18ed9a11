"""Sizes between the usual ones, and the layers of the benchmarked networks: `python -m benchmarks.sizes [--only TEXT]`.

Layers are timed in training as benchmarks/operators/measure.py does it; with `--threads 1` in processor time, so that a table
can be made on a busy machine too. Rows are sorted by the ratio, what loses comes first. `--save docs/sizes.md` writes them.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import striate as st
from benchmarks.networks import NETWORKS
from benchmarks.operators.case import Case
from benchmarks.operators.measure import Seconds, Trained, best, in_turns, theirs
from benchmarks.report import processor
from striate import nn, ops
from striate.cpu.peak import peak
from striate.graph import Node

FORMATS = torch.channels_last, torch.contiguous_format
PIXELS, CHANNELS, BATCHES = (7, 13, 27, 55, 227), (3, 24, 40, 100, 728), (1, 4, 16)
LEAST, MOST, FLOATS = 10**6, 10**9, 2**23
"""A case is left out where its forward pass takes fewer or more multiply-accumulates, or its arrays more numbers."""


def block(n: Any, c: int, k: int) -> Any:
    return n.Sequential(n.Conv2d(c, k, 3, padding=1, bias=False), n.BatchNorm2d(k), n.ReLU())


@dataclass(frozen=True)
class Kind:
    """A layer of c channels in and k out: taps and stride of its window, and groups as a divisor of the products."""

    make: Callable[[Any, int, int], Any]
    taps: int
    stride: int = 1
    groups: Callable[[int], int] = lambda c: 1
    channels: tuple[int, ...] = CHANNELS


KINDS = {
    "1x1": Kind(lambda n, c, k: n.Conv2d(c, k, 1), 1),
    "3x3": Kind(lambda n, c, k: n.Conv2d(c, k, 3, padding=1), 3),
    "3x3 s2": Kind(lambda n, c, k: n.Conv2d(c, k, 3, 2, 1), 3, 2),
    "5x5": Kind(lambda n, c, k: n.Conv2d(c, k, 5, padding=2), 5),
    "7x7 s2": Kind(lambda n, c, k: n.Conv2d(c, k, 7, 2, 3), 7, 2, channels=(3, 24)),
    "11x11 s4": Kind(lambda n, c, k: n.Conv2d(c, k, 11, 4, 2), 11, 4, channels=(3, 24)),
    "depthwise 3x3": Kind(lambda n, c, k: n.Conv2d(c, c, 3, padding=1, groups=c), 3, 1, lambda c: c),
    "depthwise 3x3 s2": Kind(lambda n, c, k: n.Conv2d(c, c, 3, 2, 1, groups=c), 3, 2, lambda c: c),
    "depthwise 5x5": Kind(lambda n, c, k: n.Conv2d(c, c, 5, padding=2, groups=c), 5, 1, lambda c: c),
    "3x3 in 4 groups": Kind(lambda n, c, k: n.Conv2d(c, k, 3, padding=1, groups=4), 3, 1, lambda c: 4, (24, 40, 100, 728)),
    "conv, norm, relu": Kind(block, 3),
}


def sweep() -> Iterator[Case]:
    """Awkward sizes: every kind of layer over pixels, channels and batches, as far as it is neither tiny nor huge."""
    for name, kind in KINDS.items():
        for size in PIXELS:
            for c in kind.channels:
                k = c if c > 3 else 32
                for batch in BATCHES:
                    macs = batch * (size // kind.stride) ** 2 * kind.taps**2 * c * k // kind.groups(c)
                    if LEAST <= macs <= MOST and batch * c * size * size <= FLOATS:
                        yield Case(f"{name}, {c} channels, {size} px, batch {batch}", _with(kind, c, k), (batch, c, size, size))
    for c in CHANNELS[1:]:
        for rows in (1, 4, 16, 100):
            yield Case(f"linear, {c} to 1000, {rows} rows", lambda n, c=c: n.Linear(c, 1000), (rows, c))


def _with(kind: Kind, c: int, k: int) -> Callable[[Any], Any]:
    return lambda n: kind.make(n, c, k)


def layers() -> Iterator[Case]:
    """Every distinct convolution and linear layer of the benchmarked networks, at their batch."""
    known: set[Any] = set()
    for name, network in NETWORKS.items():
        for node in st.trace(network.make(nn), (network.batch, *network.shape)).nodes:
            if isinstance(node.op, (ops.Conv2d, ops.Linear)):
                x, weight = (v.shape for v in node.inputs[:2])
                key = node.op, x, weight
                if key not in known:
                    known.add(key)
                    yield _layer(name, node.op, x, weight)


def _layer(network: str, op: Any, x: tuple[int, ...], weight: tuple[int, ...]) -> Case:
    if isinstance(op, ops.Linear):
        return Case(f"{network} linear {weight[1]} to {weight[0]}", lambda n: n.Linear(weight[1], weight[0], bias=False), x)
    w = op.window[0]
    name = f"{network} {w.size}x{w.size}" + (f" s{w.stride}" if w.stride > 1 else "") + (" depthwise" if op.groups > 1 else "")
    return Case(f"{name} {x[1]} to {weight[0]}, {x[2]} px",
                lambda n: n.Conv2d(x[1], weight[0], w.size, w.stride, w.pads[0], groups=op.groups, bias=False), x)


@dataclass(frozen=True)
class Row:
    """What was measured for one case: seconds and multiply-accumulates, forward and backward, and the kernels that ran."""

    name: str
    striate: Seconds
    torch: Seconds
    macs: tuple[int, int]
    kernels: tuple[str, str]

    @property
    def ratios(self) -> tuple[float, float]:
        """PyTorch's time over striate's."""
        return self.torch[0] / max(self.striate[0], 1e-9), self.torch[1] / max(self.striate[1], 1e-9)

    def rates(self) -> tuple[float, float]:
        """FLOPs a second of the direct algorithm."""
        return 2 * self.macs[0] / max(self.striate[0], 1e-9), 2 * self.macs[1] / max(self.striate[1], 1e-9)


def measure(case: Case, rounds: int, seconds: float) -> Row:
    """With one thread in processor time, which does not suffer from what else the machine does; else in turns, by the clock."""
    trained = Trained(case)
    if st.get_num_threads() == 1:
        own, other = processor_time(trained, seconds), best([theirs(case, seconds, form, time.thread_time) for form in FORMATS])
    else:
        own, other, _ = in_turns(case, rounds, seconds)
    macs, kernels = [], []
    for side in (0, 1):
        calls = [c for c, p in zip(trained.program.calls, trained.passes, strict=True) if p == side]
        macs.append(sum(macs_of(node) for node in dict.fromkeys(c.node for c in calls) if node))
        kernels.append(" ".join(dict.fromkeys(c.kernel.name for c in calls if c.node and macs_of(c.node))))
    return Row(case.name, own, other, (macs[0], macs[1]), (kernels[0], kernels[1]))


def processor_time(trained: Trained, seconds: float) -> Seconds:
    """Seconds of each call's shortest run, added up forward and backward."""
    program, shortest = trained.program, [float("inf")] * len(trained.program.calls)
    space, rounds, end = program.workspace(), 0, time.perf_counter() + seconds
    program.begin(space, trained.inputs, (0, 0))
    while rounds < 5 or time.perf_counter() < end:
        for i in range(len(shortest)):
            start = time.thread_time()
            program.execute(space, i, i + 1)
            shortest[i] = min(shortest[i], time.thread_time() - start)
        rounds += 1
    program.release(space)
    ahead, back = (sum(t for t, p in zip(shortest, trained.passes, strict=True) if p == side) for side in (0, 1))
    return ahead, back


def macs_of(node: Node) -> int:
    return node.op.cost([v.spec for v in node.inputs], [v.spec for v in node.outputs]).macs


HEAD = ("layer", "forward ms", "PyTorch", "ratio", "peak", "backward ms", "PyTorch", "ratio", "peak", "kernels")


def cells(row: Row, flops: float) -> list[str]:
    """One line of the table."""
    found = [row.name]
    for own, other, ratio, rate in zip(row.striate, row.torch, row.ratios, row.rates(), strict=True):
        found += [f"{own * 1e3:.3f}", f"{other * 1e3:.3f}", f"{ratio:.2f}", f"{rate / flops:.0%}"]
    return [*found, " | ".join(row.kernels)]


def show(found: Sequence[str]) -> str:
    name, *numbers, kernels = found
    return f"{name:44s}" + "".join(f"{n:>{10 if i % 4 < 2 else 7}s}" for i, n in enumerate(numbers)) + "   " + kernels


def page(tables: dict[str, list[Row]], threads: int) -> str:
    """The tables as Markdown."""
    limit = peak()
    lines = ["# Layers at awkward sizes", "",
             "Written by `python -m benchmarks.sizes --save docs/sizes.md`: single layers in training against PyTorch, float32; "
             "what loses or wins least comes first. ratio: PyTorch's time over striate's. peak: the direct algorithm's FLOP/s "
             "over those of this machine's multiply-adds; Winograd can pass 100%.", "",
             f"Machine: {processor()}, {limit.flops_per_second * 1e-9:.0f} GFLOP/s with "
             + (f"{threads} threads, by the clock." if threads > 1 else "one thread, in processor time.")]
    for title, rows in tables.items():
        lost = sum(min(row.ratios) < 1 for row in rows)
        lines += ["", f"## {title}", "", f"{len(rows)} layers; {lost} of them are slower than PyTorch's in a pass.", "",
                  "| " + " | ".join(HEAD) + " |", "|" + "---|" * len(HEAD)]
        lines += ["| " + " | ".join(c.replace(" | ", ", ") for c in cells(row, limit.flops_per_second)) + " |" for row in rows]
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="cases whose name has this in it")
    parser.add_argument("--tables", nargs="*", default=list(TABLES), choices=list(TABLES))
    parser.add_argument("--threads", type=int, default=st.get_num_threads())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.1)
    parser.add_argument("--save", type=Path)
    options = parser.parse_args()
    st.set_num_threads(options.threads)
    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)
    limit, tables = peak().flops_per_second, {}
    for title in options.tables:
        print(show(HEAD))
        rows = []
        for case in TABLES[title]():
            if options.only in case.name:
                rows.append(measure(case, options.rounds, options.seconds))
                print(show(cells(rows[-1], limit)), flush=True)
        tables[title] = sorted(rows, key=lambda row: min(row.ratios))
        print("\n".join(["", "sorted", *(show(cells(row, limit)) for row in tables[title] if min(row.ratios) < 1.1)]))
        if options.save:
            options.save.write_text(page(tables, options.threads), encoding="utf-8")


TABLES = {"layers": layers, "sizes": sweep}


if __name__ == "__main__":
    main()
