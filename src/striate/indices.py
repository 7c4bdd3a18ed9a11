"""Whole numbers that point into something: labels into classes, numbers into the rows of an embedding.

Machine code must not read past the end, and there is no one to ask while it runs: inputs of a program that are read as such
numbers are found once in its graph, and looked at before each run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from striate import ops
from striate.errors import RangeError
from striate.graph import Graph, Node, Value
from striate.ops.base import Array, Op
from striate.ops.shape import Movement

OUTSIDE = {
    "label": "the network has {} classes; mend the labels or give the last layer more outputs",
    "index": "the embedding has {} rows; use a larger num_embeddings or mend the numbers",
}
"""What is said about a number out of range."""


@dataclass(frozen=True)
class Numbers:
    """Which input holds them, what the network does to it on the way (slices, reshapes), and what they must be below.

    ignored: a number that may lie outside. what: 'label' or 'index'.
    """

    source: int
    way: tuple[Op, ...]
    size: int
    ignored: int | None
    what: str


def numbers_of(graph: Graph) -> list[Numbers]:
    """The inputs of a graph that are read as numbers of classes or rows; numbers that are computed are the kernels' to bear."""
    found: dict[Numbers, None] = {}
    for node in graph.nodes:
        if isinstance(node.op, (ops.CrossEntropy, ops.OneHot, ops.Embedding)):
            value, size, ignored, what = _rule(node)
            way: list[Op] = []
            while value.producer is not None and isinstance(value.producer.op, Movement) and len(value.producer.inputs) == 1:
                way.insert(0, value.producer.op)
                value = value.producer.inputs[0]
            if value in graph.inputs:
                found[Numbers(graph.inputs.index(value), tuple(way), size, ignored, what)] = None
    return list(found)


def _rule(node: Node) -> tuple[Value, int, int | None, str]:
    """The numbers that a node reads, what they must be below, the one that does not count, and what they are."""
    if isinstance(node.op, ops.Embedding):
        return node.inputs[0], node.inputs[1].shape[0], None, "index"
    if isinstance(node.op, ops.OneHot):
        return node.inputs[0], node.op.classes, node.op.ignore_index, "label"
    return node.inputs[1], node.inputs[0].shape[1], node.op.ignore_index, "label"


def check_numbers(rules: Sequence[Numbers], inputs: Sequence[Array]) -> None:
    """Refuse numbers out of range."""
    for item in rules:
        given = inputs[item.source]
        for op in item.way:
            given = np.asarray(op.reference(given))
        if given.size and (int(given.min()) < 0 or int(given.max()) >= item.size):
            _refuse(given, item)


def _refuse(given: Array, item: Numbers) -> None:
    wrong = (given < 0) | (given >= item.size)
    if item.ignored is not None:
        wrong &= given != item.ignored
    if wrong.any():
        index = tuple(int(i) for i in np.argwhere(wrong)[0])
        place = index[0] if len(index) == 1 else index
        raise RangeError(f"{item.what} {int(given[index])} at index {place} is outside 0..{item.size - 1}: "
                         + OUTSIDE[item.what].format(item.size))
