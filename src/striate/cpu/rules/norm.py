"""Batch normalisation on the CPU: statistics in parts, one pass that normalises, two passes back."""

from __future__ import annotations

from dataclasses import replace

from striate import ops
from striate.cpu.fuse import Group
from striate.cpu.kernels import norm as kernels
from striate.cpu.kernels.pointwise import CHANNEL, FULL
from striate.cpu.kernels.tally import Moments, Sums
from striate.cpu.layout import channels_last, plain
from striate.cpu.lower import Lowering, Norm, rule
from striate.cpu.plan import Buffer
from striate.cpu.rules.conv import PARTS


@rule(ops.BatchNorm)
def batch_norm(low: Lowering, group: Group) -> None:
    node = group.node
    (x, weight, bias), (y, mean, variance) = node.inputs, node.outputs
    C, eps = x.shape[1], node.op.eps
    rows, form, vector = x.spec.size // C, channels_last(x.shape), plain((C,))
    source = low.need(x, form)
    part, rstd = low.buffer(f"{y.name}.parts", PARTS * 3 * C), low.buffer(f"{y.name}.rstd", C)
    if not moments_while_written(low, source, part):
        low.call(kernels.NormStatistics(C, PARTS), N=1, rows=rows, x=source, part=part)
    means, variances = low.make(mean, vector), low.make(variance, vector)
    low.call(kernels.NormFinish(C, PARTS, eps), part=part, mean=means, variance=variances, rstd=rstd)
    scale, shift = low.need(weight, vector), low.need(bias, vector)
    chain, places = low.chain(group, form)
    low.call(kernels.Normalise(C, chain), rows=rows, x=source, weight=scale, bias=shift, mean=means, rstd=rstd, **places)
    rectified = places["y0"] if chain.steps == ((ops.ReLU(), (0,)),) and chain.outputs == (1,) else None
    low.norms[variance] = Norm(source, means, rstd, scale, shift, rectified)


@rule(ops.BatchNormGradient)
def batch_norm_gradient(low: Lowering, group: Group) -> None:
    node = group.node
    (dy, x, weight, _, variance), (dx, dweight, dbias) = node.inputs, node.outputs
    C = x.shape[1]
    rows, form, vector = x.spec.size // C, channels_last(x.shape), plain((C,))
    norm = low.norms[variance]
    gradient, source, means, rstd = low.need(dy, form), norm.x, norm.mean, norm.rstd
    part = low.buffer(f"{dx.name}.parts", PARTS * 2 * C)
    if not sums_while_written(low, norm, gradient, part):
        low.call(kernels.NormGradientParts(C, PARTS), N=1, rows=rows, x=source, dy=gradient, mean=means, rstd=rstd, part=part)
    scales, shifts = low.make(dweight, vector), low.make(dbias, vector)
    low.call(kernels.NormGradientFinish(C), N=PARTS, part=part, dweight=scales, dbias=shifts)
    chain, places = low.chain(group, form)
    low.call(kernels.NormGradient(C, chain), rows=rows, x=source, dy=gradient, weight=low.need(weight, vector), mean=means,
             rstd=rstd, dweight=scales, dbias=shifts, **places)


def moments_while_written(low: Lowering, x: Buffer, part: Buffer) -> bool:
    """Let the kernel that writes x take its moments too, if it can."""
    if (found := low.writer(x, Moments)) is None:
        return False
    call, output = found
    chain = low.chain_of(call)
    low.amend(call, replace(chain, tally=Moments((chain.outputs[output],), PARTS)), part=part)
    return True


def sums_while_written(low: Lowering, norm: Norm, dy: Buffer, part: Buffer) -> bool:
    """Let the kernel that writes dy take the sums of dy and dy * xhat too, if it can; xhat = (x - mean) * rstd.

    Where that kernel asks for the rectified result, only to know where it is above 0, it finds this out of x as well.
    """
    if (found := low.writer(dy, Sums)) is None:
        return False
    call, output = found
    chain, arguments = low.chain_of(call), low.calls[call].arguments
    first = len(chain.operands) + 1
    x, mean, rstd, weight, bias, centred, normal, scale, scaled, result = range(first, first + 10)
    chain = chain.ahead((FULL, CHANNEL, CHANNEL, CHANNEL, CHANNEL), (
        (ops.Subtract(), (x, mean)), (ops.Multiply(), (centred, rstd)), (ops.Multiply(), (rstd, weight)),
        (ops.Multiply(), (centred, scale)), (ops.Add(), (scaled, bias))))
    for i in range(1, first):
        if arguments.get(f"e{i - 1}") is norm.rectified:
            chain = chain.instead(ops.ReLUGradient, i, result)
    gradient = chain.outputs[output]
    chain, product = chain.then(ops.Multiply(), gradient, normal)
    buffers = dict(zip((f"e{ref - 1}" for ref in (x, mean, rstd, weight, bias)),
                       (norm.x, norm.mean, norm.rstd, norm.weight, norm.bias), strict=True))
    low.amend(call, replace(chain, tally=Sums((gradient, product), PARTS)), part=part, **buffers)
    return True
