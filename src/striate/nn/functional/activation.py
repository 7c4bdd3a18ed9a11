"""Activations, softmax and dropout as functions."""

from __future__ import annotations

from striate import ops
from striate.errors import ArgumentError
from striate.graph import Value
from striate.nn.functional.arguments import Tensor, symbol


def relu(input: Tensor, inplace: bool = False) -> Value:
    """max(x, 0): `striate.ops.ReLU`. inplace is ignored: memory is planned for the whole graph."""
    return symbol(input).relu()


def tanh(input: Tensor) -> Value:
    """`striate.ops.Tanh`."""
    return symbol(input).tanh()


def sigmoid(input: Tensor) -> Value:
    """1 / (1 + exp(-x)): `striate.ops.Sigmoid`."""
    return symbol(input).sigmoid()


def softmax(input: Tensor, dim: int | None = None) -> Value:
    """`striate.ops.Softmax` along `dim`, which must be given."""
    return symbol(input).softmax(_dim(dim, "softmax"))


def log_softmax(input: Tensor, dim: int | None = None) -> Value:
    """`striate.ops.LogSoftmax` along `dim`, which must be given."""
    return symbol(input).log_softmax(_dim(dim, "log_softmax"))


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Value:
    """`striate.ops.Dropout` in training, each call with a mask of its own; otherwise the input. inplace is ignored."""
    x = symbol(input)
    if not training or p == 0:
        return x
    graph = x.graph
    used = [node.op.stream for node in graph.nodes if isinstance(node.op, ops.Dropout)]
    return graph.apply(ops.Dropout(p, max(used, default=-1) + 1), x, graph.random_state())


def _dim(dim: int | None, name: str) -> int:
    if dim is None:
        raise ArgumentError(f"{name} needs the axis along which it sums to 1; give dim=1 for classes in (N, C)")
    return dim
