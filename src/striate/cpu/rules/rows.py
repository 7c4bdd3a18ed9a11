"""Softmax, log-softmax and cross-entropy: kernels that see one row of classes at a time."""

from __future__ import annotations

from striate import ops
from striate.cpu.fuse import Group
from striate.cpu.kernels import loss, softmax
from striate.cpu.layout import Layout, last, plain
from striate.cpu.lower import Lowering, rule
from striate.graph import Value


@rule(ops.Softmax, ops.LogSoftmax)
def forward(low: Lowering, group: Group) -> None:
    node = group.node
    x, axis = node.inputs[0], node.op.axis
    form, C = last(x.shape, axis), x.shape[axis]
    kernel = softmax.Softmax(C) if isinstance(node.op, ops.Softmax) else softmax.LogSoftmax(C)
    low.call(kernel, rows=x.spec.size // C, x=low.need(x, form), y=low.make(node.output, form))


@rule(ops.SoftmaxGradient, ops.LogSoftmaxGradient)
def gradient(low: Lowering, group: Group) -> None:
    node = group.node
    (dy, y), axis = node.inputs, node.op.axis
    form, C = last(y.shape, axis), y.shape[axis]
    kernel = softmax.SoftmaxGradient(C) if isinstance(node.op, ops.SoftmaxGradient) else softmax.LogSoftmaxGradient(C)
    low.call(kernel, rows=y.spec.size // C, dy=low.need(dy, form), y=low.need(y, form), dx=low.make(node.output, form))


def classes(logits: Value) -> tuple[Layout, int]:
    """Logits with their classes innermost, and how many classes there are."""
    axis = 0 if logits.ndim == 1 else 1
    return last(logits.shape, axis), logits.shape[axis]


@rule(ops.CrossEntropy)
def cross_entropy(low: Lowering, group: Group) -> None:
    node = group.node
    op, (x, target, *weight) = node.op, node.inputs
    form, C = classes(x)
    rows = x.spec.size // C
    extra = {"weight": low.need(weight[0], plain((C,)))} if weight else {}
    part = low.buffer(f"{node.output.name}.parts", 2 * rows)
    kernel = loss.CrossEntropy(C, op.label_smoothing, op.ignore_index, bool(weight), op.logits)
    low.call(kernel, rows=rows, x=low.need(x, form), target=low.need(target, plain(target.shape)), part=part, **extra)
    y = low.make(node.output, plain(node.output.shape))
    low.call(loss.CrossEntropyFinish(op.reduction), rows=rows, part=part, y=y)
    low.row_losses[op.ignore_index, x, target, *weight] = part


@rule(ops.CrossEntropyGradient)
def cross_entropy_gradient(low: Lowering, group: Group) -> None:
    node = group.node
    op, (dloss, x, target, *weight) = node.op, node.inputs
    form, C = classes(x)
    rows = x.spec.size // C
    extra = {"weight": low.need(weight[0], plain((C,)))} if weight else {}
    kernel = loss.CrossEntropyGradient(C, op.label_smoothing, op.ignore_index, bool(weight), op.reduction, op.logits)
    low.call(kernel, rows=rows, dloss=low.need(dloss, plain(dloss.shape)), x=low.need(x, form),
             target=low.need(target, plain(target.shape)), part=low.row_losses[op.ignore_index, x, target, *weight],
             dx=low.make(node.output, form), **extra)


@rule(ops.OneHot)
def one_hot(low: Lowering, group: Group) -> None:
    node = group.node
    x, y = node.inputs[0], node.output
    low.call(loss.OneHot(node.op.classes), rows=x.spec.size, x=low.need(x, plain(x.shape)), y=low.make(y, plain(y.shape)))
