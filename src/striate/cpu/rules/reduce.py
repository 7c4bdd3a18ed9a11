"""Sums, means and maxima over axes: one pass for each run of neighbouring axes in memory."""

from __future__ import annotations

import math

from striate import ops
from striate.cpu.fuse import Group
from striate.cpu.kernels.reduce import Reduce, ReduceParts, strands
from striate.cpu.layout import layout_of
from striate.cpu.lower import Lowering, rule
from striate.cpu.plan import Buffer
from striate.cpu.rules.conv import PARTS
from striate.cpu.rules.shapes import axis_order

KINDS = {ops.Sum: "sum", ops.Mean: "mean", ops.Max: "max"}


@rule(*KINDS)
def reduce(low: Lowering, group: Group) -> None:
    node = group.node
    x, y, axes = node.inputs[0], node.output, node.op.axes
    order = axis_order(x.shape)
    runs: list[tuple[int, bool]] = []
    for axis in order:
        extent, gone = x.shape[axis], axis in axes
        if extent > 1 and runs and runs[-1][1] == gone:
            runs[-1] = runs[-1][0] * extent, gone
        elif extent > 1:
            runs.append((extent, gone))
    kept = [a for a in range(x.ndim) if a not in axes]
    form = layout_of([x.shape[a] for a in kept], [kept.index(a) for a in order if a in kept])
    source = low.need(x, layout_of(x.shape, order))
    if not any(gone for _, gone in runs):
        low.alias(y, form, source)
        return
    while any(gone for _, gone in runs):
        last = max(i for i, (_, gone) in enumerate(runs) if gone)
        final = sum(gone for _, gone in runs) == 1
        before, extent, after = (math.prod(n for n, _ in part) for part in (runs[:last], runs[last: last + 1], runs[last + 1:]))
        target = low.make(y, form) if final else low.buffer(f"{y.name}.partial", before * after)
        one(low, KINDS[type(node.op)], source, target, before, extent, after)
        source = target
        runs = _merge(runs[:last] + runs[last + 1:])


def one(low: Lowering, kind: str, x: Buffer, y: Buffer, A: int, B: int, C: int) -> None:
    """(A, B, C) -> (A, C). A single long run is cut into parts, so that threads can share it."""
    if A > 1 or B < 8 * PARTS:
        low.call(Reduce(kind, C), A=A, B=B, x=x, y0=y)
        return
    several = strands(C, low.machine.lanes)
    rows = PARTS * max(1, several)
    part = low.buffer("reduce.parts", rows * C)
    inner = "max" if kind == "max" else "sum"
    low.call(ReduceParts(inner, C, PARTS, several), B=B, x=x, part=part)
    scale = 1.0 / B if kind == "mean" else 1.0
    low.call(Reduce(inner, C, scale=scale), A=1, B=rows, x=part, y0=y)


def _merge(runs: list[tuple[int, bool]]) -> list[tuple[int, bool]]:
    merged: list[tuple[int, bool]] = []
    for extent, gone in runs:
        if merged and merged[-1][1] == gone:
            merged[-1] = merged[-1][0] * extent, gone
        else:
            merged.append((extent, gone))
    return merged
