"""Batch normalisation on the CPU: statistics in parts, one pass that normalises, two passes back."""

from __future__ import annotations

from striate import ops
from striate.cpu.fuse import Group
from striate.cpu.kernels import norm as kernels
from striate.cpu.layout import channels_last, plain
from striate.cpu.lower import Lowering, rule
from striate.cpu.rules.conv import PARTS


@rule(ops.BatchNorm)
def batch_norm(low: Lowering, group: Group) -> None:
    node = group.node
    (x, weight, bias), (y, mean, variance) = node.inputs, node.outputs
    C, eps = x.shape[1], node.op.eps
    rows, form, vector = x.spec.size // C, channels_last(x.shape), plain((C,))
    source = low.need(x, form)
    part, rstd = low.buffer(f"{y.name}.parts", PARTS * 3 * C), low.buffer(f"{y.name}.rstd", C)
    low.call(kernels.NormStatistics(C, PARTS), N=1, rows=rows, x=source, part=part)
    means, variances = low.make(mean, vector), low.make(variance, vector)
    low.call(kernels.NormFinish(C, PARTS, eps), part=part, mean=means, variance=variances, rstd=rstd)
    scale, shift = low.need(weight, vector), low.need(bias, vector)
    chain, places = low.chain(group, form)
    low.call(kernels.Normalise(C, chain), rows=rows, x=source, weight=scale, bias=shift, mean=means, rstd=rstd, **places)
    low.deviations[variance] = rstd


@rule(ops.BatchNormGradient)
def batch_norm_gradient(low: Lowering, group: Group) -> None:
    node = group.node
    (dy, x, weight, mean, variance), (dx, dweight, dbias) = node.inputs, node.outputs
    C = x.shape[1]
    rows, form, vector = x.spec.size // C, channels_last(x.shape), plain((C,))
    gradient, source, means, rstd = low.need(dy, form), low.need(x, form), low.need(mean, vector), low.deviations[variance]
    part = low.buffer(f"{dx.name}.parts", PARTS * 2 * C)
    low.call(kernels.NormGradientParts(C, PARTS), N=1, rows=rows, x=source, dy=gradient, mean=means, rstd=rstd, part=part)
    scales, shifts = low.make(dweight, vector), low.make(dbias, vector)
    low.call(kernels.NormGradientFinish(C), N=PARTS, part=part, dweight=scales, dbias=shifts)
    chain, places = low.chain(group, form)
    low.call(kernels.NormGradient(C, chain), rows=rows, x=source, dy=gradient, weight=low.need(weight, vector), mean=means,
             rstd=rstd, dweight=scales, dbias=shifts, **places)
