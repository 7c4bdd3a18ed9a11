"""Resampling on the CPU: an axis becomes a table, that of a transposed axis sorted by what is written."""

from __future__ import annotations

import numpy as np

from striate import ops
from striate.cpu.fuse import Group
from striate.cpu.kernels import resample as kernels
from striate.cpu.layout import channels_last
from striate.cpu.lower import Lowering, rule
from striate.cpu.plan import Buffer


def table_of(axis: ops.ResampleAxis, transposed: bool) -> tuple[kernels.Table, dict[str, np.ndarray]]:
    """The table of an axis and its arrays: index, and start and weight where the kernel reads them."""
    pixels, weights = axis.index(), axis.weight()
    outputs = np.repeat(np.arange(axis.size), pixels.shape[1])
    index, weight, size, taps = pixels.reshape(-1), weights.reshape(-1), axis.size, pixels.shape[1]
    arrays: dict[str, np.ndarray] = {}
    if transposed:
        order = np.argsort(index, kind="stable")
        counts = np.bincount(index, minlength=axis.n)
        index, weight, size = outputs[order], weight[order], axis.n
        taps = int(counts[0]) if (counts == counts[0]).all() else 0
        if not taps:
            arrays["start"] = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    weighted = bool((weight != 1).any())
    if weighted:
        arrays["weight"] = weight.astype(np.float32)
    n = axis.size if transposed else axis.n
    return kernels.Table(n, size, len(index), taps, weighted), {"index": index, **arrays}


def constant(low: Lowering, name: str, array: np.ndarray) -> Buffer:
    """Memory that holds an array from the start."""
    made = low.buffer(name, array.size, array.itemsize, "constant")
    low.constants[made] = array
    return made


@rule(ops.Resample)
def resample(low: Lowering, group: Group) -> None:
    node = group.node
    x, y = node.inputs[0], node.output
    source = low.need(x, channels_last(x.shape))
    tables, arrays = [], {}
    for i, axis in enumerate(node.op.axes):
        table, made = table_of(axis, node.op.transposed)
        tables.append(table)
        arrays |= {f"{name}{i}": constant(low, f"{y.name}.{name}{i}", array) for name, array in made.items()}
    chain, places = low.chain(group, channels_last(y.shape))
    low.call(kernels.Resample(x.shape[1], tuple(tables), chain), N=x.shape[0], x=source, **arrays, **places)
