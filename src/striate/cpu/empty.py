"""Arrays without elements, such as a batch of no images: nothing is computed for them.

A node whose outputs hold nothing is no work. What follows from nothing, such as the gradient of a weight, a sum over no images,
is the same whatever else the node reads: it is computed once, by the reference, and is a constant of the program.
"""

from __future__ import annotations

import numpy as np

from striate import ops
from striate.errors import ShapeError
from striate.graph import Graph, Node, Value
from striate.ops.base import Array


def settle(graph: Graph) -> None:
    """Take the nodes that read or make nothing out of the graph; their outputs become constants. Raises ShapeError."""
    kept = []
    for node in graph.nodes:
        if all(v.spec.size for v in (*node.inputs, *node.outputs)):
            kept.append(node)
        elif not any(v.spec.size for v in node.outputs):
            for value in node.outputs:
                value.constant = np.zeros(value.shape, value.dtype)
        elif isinstance(node.op, ops.Concat):
            node.inputs = tuple(v for v in node.inputs if v.spec.size)
            kept.append(node)
        else:
            for value, array in zip(node.outputs, _of_nothing(node), strict=True):
                value.constant = array.astype(value.dtype)
    graph.nodes = kept


def _of_nothing(node: Node) -> list[Array]:
    """The outputs, if there are any and they do not depend on the inputs that hold numbers."""
    one, other = (_outputs(node, number) for number in (1, 2))
    if not one or not all(np.array_equal(a, b, equal_nan=True) for a, b in zip(one, other, strict=True)):
        shapes = ", ".join(str(v.shape) for v in node.inputs)
        raise ShapeError(f"the inputs have shapes {shapes}, of which one holds no numbers",
                         fix="keep at least one element along each axis", place=node.place)
    return one


def _outputs(node: Node, number: int) -> list[Array]:
    """What a node makes of this number in all places."""
    try:
        with np.errstate(all="ignore"):
            made = node.op.reference(*(_standing_for(v, number) for v in node.inputs))
    except (ArithmeticError, ValueError):
        return []
    return [np.asarray(a) for a in (made if isinstance(made, tuple) else (made,))]


def _standing_for(value: Value, number: int) -> Array:
    return value.constant if value.constant is not None else np.full(value.shape, number, value.dtype)
