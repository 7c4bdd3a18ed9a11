"""Layer, group and local response normalisation on the CPU: each sample by its own numbers."""

from __future__ import annotations

from striate import ops
from striate.cpu.fuse import Group
from striate.cpu.kernels import group_norm as kernels
from striate.cpu.kernels import layer_norm as rows_kernels
from striate.cpu.kernels.local_response import LocalResponse, LocalResponseGradient
from striate.cpu.kernels.norm import NormGradientFinish, NormGradientParts, NormStatistics
from striate.cpu.layout import Layout, channels_last, columns_of, plain
from striate.cpu.lower import Lowering, rule
from striate.cpu.plan import Buffer
from striate.cpu.rules.conv import PARTS
from striate.cpu.rules.pool import is_read
from striate.graph import Value

LONG = 2**13
"""Numbers in a row from which on the sums over rows have a kernel of their own."""


def rows_of(low: Lowering, x: Value, D: int) -> tuple[Layout, Layout]:
    """A layout of x in which samples of D numbers lie one after the other, and the order of the D numbers in it."""
    for form in low.forms(x):
        if isinstance(form, Layout) and (columns := columns_of(form, D)) is not None:
            return form, columns
    return plain(x.shape), plain((D,))


@rule(ops.LayerNorm)
def layer_norm(low: Lowering, group: Group) -> None:
    node = group.node
    op, (x, weight, bias), (_, mean, variance) = node.op, node.inputs, node.outputs
    D = weight.spec.size
    form, columns = rows_of(low, x, D)
    source, scale, shift = low.need(x, form), low.need(weight, columns), low.need(bias, columns)
    statistics = {v: low.make(value, plain(value.shape)) for v, value in (("mean", mean), ("variance", variance))}
    chain, places = low.chain(group, form)
    low.call(rows_kernels.LayerNorm(D, op.eps, op.centred, chain), rows=x.spec.size // D, x=source, weight=scale, bias=shift,
             **statistics, **places)


@rule(ops.LayerNormGradient)
def layer_norm_gradient(low: Lowering, group: Group) -> None:
    node = group.node
    op, (dy, x, weight, mean, variance), (dx, dweight, dbias) = node.op, node.inputs, node.outputs
    D = weight.spec.size
    form, columns = rows_of(low, x, D)
    given = {"rows": x.spec.size // D, "x": low.need(x, form), "dy": low.need(dy, form)}
    given |= {name: low.need(value, plain(value.shape)) for name, value in (("mean", mean), ("variance", variance))}
    scale, trained = low.need(weight, columns), is_read(low, dweight) or is_read(low, dbias)
    parts = 0 if not trained else PARTS if D <= LONG else 4
    part = {"part": low.buffer(f"{dx.name}.parts", parts * 2 * D)} if trained else {}
    if D > LONG and trained:
        low.call(rows_kernels.LayerNormColumns(D, op.eps, parts), **given, **part)
    at_once = D <= LONG and trained
    chain, places = low.chain(group, form)
    kernel = rows_kernels.LayerNormGradient(D, op.eps, op.centred, parts if at_once else 0, chain)
    low.call(kernel, **given, weight=scale, **(part if at_once else {}), **places)
    if trained:
        low.call(NormGradientFinish(D), N=parts, **part, dweight=low.make(dweight, columns), dbias=low.make(dbias, columns))


def parts_of(numbers: int) -> int:
    """Into how many parts a sample is cut: enough to share one image between threads, few for small ones."""
    return max(1, min(PARTS, numbers >> 13))


@rule(ops.GroupNorm)
def group_norm(low: Lowering, group: Group) -> None:
    node = group.node
    op, (x, weight, bias), (y, mean, variance) = node.op, node.inputs, node.outputs
    (N, C), form = x.shape[:2], channels_last(x.shape)
    rows, parts = x.spec.size // (N * C), parts_of(x.spec.size // N)
    source, part = low.need(x, form), low.buffer(f"{y.name}.parts", N * parts * 3 * C)
    low.call(NormStatistics(C, parts), N=N, rows=rows, x=source, part=part)
    statistics = {v: low.make(value, plain(value.shape)) for v, value in (("mean", mean), ("variance", variance))}
    low.call(kernels.GroupMoments(C, op.groups, parts), N=N, part=part, **statistics)
    spread = _spread(low, node, mean, variance)
    scale, shift = low.need(weight, plain((C,))), low.need(bias, plain((C,)))
    chain, places = low.chain(group, form)
    low.call(kernels.GroupNormalise(C, chain), N=N, rows=rows, x=source, weight=scale, bias=shift, **spread, **places)


def _spread(low: Lowering, node, mean: Value, variance: Value) -> dict[str, Buffer]:
    """Mean and rstd of each channel of each sample."""
    (N, G), C = mean.shape, node.output.shape[1]
    made = {name: low.buffer(f"{node.output.name}.{name}", N * C) for name in ("means", "rstds")}
    low.call(kernels.GroupSpread(C, G, node.op.eps), N=N, mean=low.need(mean, plain(mean.shape)),
             variance=low.need(variance, plain(mean.shape)), **made)
    return made


@rule(ops.GroupNormGradient)
def group_norm_gradient(low: Lowering, group: Group) -> None:
    node = group.node
    op, (dy, x, weight, mean, variance), (dx, dweight, dbias) = node.op, node.inputs, node.outputs
    (N, C), form, vector = x.shape[:2], channels_last(x.shape), plain((x.shape[1],))
    rows, parts = x.spec.size // (N * C), parts_of(x.spec.size // N)
    source, gradient, scale = low.need(x, form), low.need(dy, form), low.need(weight, vector)
    spread, part = _spread(low, node, mean, variance), low.buffer(f"{dx.name}.parts", N * parts * 2 * C)
    low.call(NormGradientParts(C, parts), N=N, rows=rows, x=source, dy=gradient, mean=spread["means"], rstd=spread["rstds"],
             part=part)
    lines = {name: low.buffer(f"{dx.name}.{name}", N * C) for name in ("slopes", "shifts")}
    low.call(kernels.GroupSlopes(C, op.groups, parts), N=N, rows=rows, part=part, weight=scale, rstds=spread["rstds"], **lines)
    if is_read(low, dweight) or is_read(low, dbias):
        low.call(NormGradientFinish(C, parts), N=N, part=part, dweight=low.make(dweight, vector), dbias=low.make(dbias, vector))
    chain, places = low.chain(group, form)
    low.call(kernels.GroupGradient(C, chain), N=N, rows=rows, dy=gradient, x=source, weight=scale, **spread, **lines, **places)


@rule(ops.LocalResponseNorm)
def local_response_norm(low: Lowering, group: Group) -> None:
    node = group.node
    op, x = node.op, node.inputs[0]
    form, C = channels_last(x.shape), x.shape[1]
    source = low.need(x, form)
    chain, places = low.chain(group, form)
    low.call(LocalResponse(C, op.size, op.alpha, op.beta, op.k, chain), rows=x.spec.size // C, x=source, **places)


@rule(ops.LocalResponseNormGradient)
def local_response_norm_gradient(low: Lowering, group: Group) -> None:
    node = group.node
    op, (dy, x) = node.op, node.inputs
    form, C = channels_last(x.shape), x.shape[1]
    source, gradient = low.need(x, form), low.need(dy, form)
    chain, places = low.chain(group, form)
    kernel = LocalResponseGradient(C, op.size, op.alpha, op.beta, op.k, chain)
    low.call(kernel, rows=x.spec.size // C, dy=gradient, x=source, **places)
