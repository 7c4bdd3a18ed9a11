"""Softmax, log-softmax, gated linear units and cross-entropy: kernels that see one row at a time."""

from __future__ import annotations

import math

from striate import ops
from striate.cpu.fuse import Group
from striate.cpu.kernels import gate, loss, softmax
from striate.cpu.kernels.convert import ToFloat
from striate.cpu.layout import Layout, channels_last, last, plain
from striate.cpu.lower import Lowering, kind_of, rule
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


def halves(x: Value, axis: int, channels: bool) -> tuple[Layout, int]:
    """A layout of x, channels last or plain, and the numbers that lie side by side in half of the axis."""
    if channels:
        return channels_last(x.shape), x.shape[1] // 2
    return plain(x.shape), math.prod(x.shape[axis:]) // 2


@rule(ops.GLU)
def glu(low: Lowering, group: Group) -> None:
    node = group.node
    x, y, axis = node.inputs[0], node.output, node.op.axis
    channels = axis == 1 and x.ndim > 2
    form, B = halves(x, axis, channels)
    made = low.make(y, channels_last(y.shape) if channels else plain(y.shape))
    low.call(gate.Gate(B), rows=x.spec.size // (2 * B), x=low.need(x, form), y=made)


@rule(ops.GLUGradient)
def glu_gradient(low: Lowering, group: Group) -> None:
    node = group.node
    (dy, x), axis = node.inputs, node.op.axis
    channels = axis == 1 and x.ndim > 2
    form, B = halves(x, axis, channels)
    source = low.need(dy, channels_last(dy.shape) if channels else plain(dy.shape))
    low.call(gate.GateGradient(B), rows=x.spec.size // (2 * B), dy=source, x=low.need(x, form), dx=low.make(node.output, form))


def classes(logits: Value) -> tuple[Layout, int]:
    """Logits with their classes innermost, and how many classes there are."""
    axis = 0 if logits.ndim == 1 else 1
    return last(logits.shape, axis), logits.shape[axis]


@rule(ops.CrossEntropy)
def cross_entropy(low: Lowering, group: Group) -> None:
    node = group.node
    op, (x, target, *weight), y = node.op, node.inputs, node.output
    form, C = classes(x)
    rows = x.spec.size // C
    extra = {"weight": low.need(weight[0], plain((C,)))} if weight else {}
    moments = {"moments": low.buffer(f"{y.name}.moments", 2 * rows)} if op.logits else {}
    whole = {"whole": low.buffer(f"{y.name}.whole", 1)} if op.reduction == "mean" else {}
    part = low.buffer(f"{y.name}.parts", 2 * rows)
    kernel = loss.CrossEntropy(C, op.label_smoothing, op.ignore_index, bool(weight), op.logits, kind_of(target))
    low.call(kernel, rows=rows, x=low.need(x, form), target=low.need(target, plain(target.shape)), part=part, **moments, **extra)
    low.call(loss.CrossEntropyFinish(op.reduction), rows=rows, part=part, y=low.make(y, plain(y.shape)), **whole)
    low.row_losses[op.reduction, op.logits, op.ignore_index, x, target, *weight] = moments | whole


@rule(ops.CrossEntropyGradient)
def cross_entropy_gradient(low: Lowering, group: Group) -> None:
    node = group.node
    op, (dloss, x, target, *weight) = node.op, node.inputs
    form, C = classes(x)
    known = low.row_losses[op.reduction, op.logits, op.ignore_index, x, target, *weight]
    extra = {"weight": low.need(weight[0], plain((C,)))} if weight else {}
    kernel = loss.CrossEntropyGradient(C, op.label_smoothing, op.ignore_index, bool(weight), op.reduction, op.logits,
                                       kind_of(target))
    low.call(kernel, rows=x.spec.size // C, dloss=low.need(dloss, plain(dloss.shape)), x=low.need(x, form),
             target=low.need(target, plain(target.shape)), dx=low.make(node.output, form), **known, **extra)


@rule(ops.OneHot)
def one_hot(low: Lowering, group: Group) -> None:
    node = group.node
    x, y = node.inputs[0], node.output
    low.call(loss.OneHot(node.op.classes, kind_of(x)), rows=x.spec.size, x=low.need(x, plain(x.shape)),
             y=low.make(y, plain(y.shape)))


@rule(ops.ToFloat)
def to_float(low: Lowering, group: Group) -> None:
    node = group.node
    x, y = node.inputs[0], node.output
    low.call(ToFloat(kind_of(x)), rows=x.spec.size, x=low.need(x, plain(x.shape)), y=low.make(y, plain(y.shape)))
