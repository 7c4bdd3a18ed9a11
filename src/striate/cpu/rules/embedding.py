"""Embeddings on the CPU: rows of a table, and the sums of rows that are their gradient."""

from __future__ import annotations

from striate import ops
from striate.cpu.fuse import Group
from striate.cpu.kernels import embedding as kernels
from striate.cpu.layout import plain
from striate.cpu.lower import Lowering, kind_of, rule


@rule(ops.Embedding)
def embedding(low: Lowering, group: Group) -> None:
    node = group.node
    (index, weight), y = node.inputs, node.output
    V, D = weight.shape
    low.call(kernels.Embedding(V, D, kind_of(index)), rows=index.spec.size, index=low.need(index, plain(index.shape)),
             weight=low.need(weight, plain(weight.shape)), y=low.make(y, plain(y.shape)))


@rule(ops.EmbeddingGradient)
def embedding_gradient(low: Lowering, group: Group) -> None:
    node = group.node
    (dy, index), dweight, op = node.inputs, node.output, node.op
    V, D = dweight.shape
    kernel = kernels.EmbeddingGradient(V, D, -1 if op.padding_idx is None else op.padding_idx, kind_of(index))
    low.call(kernel, rows=index.spec.size, dy=low.need(dy, plain(dy.shape)), index=low.need(index, plain(index.shape)),
             dweight=low.make(dweight, plain(dweight.shape)))
