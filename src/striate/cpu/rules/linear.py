"""Linear layers on the CPU: matrix products with packed weights.

The columns of the weights lie in the order in which the input lies in memory, so flattening an image costs nothing.
"""

from __future__ import annotations

import math

from striate import ops
from striate.cpu.fuse import Group
from striate.cpu.kernels.conv_direct import tile_for
from striate.cpu.kernels.gemm_turned import GemmTurned, turned_pays
from striate.cpu.kernels.matmul import BatchMatMul
from striate.cpu.layout import Layout, Packed, columns_of, layout_of, plain
from striate.cpu.lower import Lowering, rule
from striate.cpu.rules.conv import _gemm, gemm_weights
from striate.graph import Value
from striate.kernel.language import narrow


def linear_form(low: Lowering, K: int, C: int, columns: Layout | None, turned: bool = False) -> Packed:
    """The packed form of a linear layer's weights (K, C)."""
    own = None if columns is None or columns.plain else columns
    return Packed(1, K, C, 1, 1, narrow(C if turned else K, low.machine.lanes), turned, own)


def rows_form(low: Lowering, x: Value) -> tuple[Layout, Layout | None]:
    """A layout of x whose rows lie one after the other, and the order of the columns in it."""
    for form in low.forms(x):
        if isinstance(form, Layout) and (columns := columns_of(form, x.shape[-1])) is not None:
            return form, columns
    return plain(x.shape), None


def weight_columns(low: Lowering, weight: Value) -> Layout | None:
    """The order of columns in which the weights lie already."""
    return next((f.columns for f in low.places.get(weight, {}) if isinstance(f, Packed)), None)


@rule(ops.Linear)
def linear(low: Lowering, group: Group) -> None:
    node = group.node
    x, weight, *bias = node.inputs
    K, C = weight.shape
    layout, columns = rows_form(low, x)
    form = linear_form(low, K, C, columns)
    source, w = low.need(x, layout), low.need(weight, form)
    rows = x.spec.size // C
    chain, places = low.chain(group, plain(node.output.shape), bias=bias[0] if bias else None)
    low.call(_gemm(low, C, K, form.lanes, rows, chain), M=rows, x=source, w=w, **places)


@rule(ops.LinearInputGradient)
def input_gradient(low: Lowering, group: Group) -> None:
    node = group.node
    dy, weight = node.inputs
    K, C = weight.shape
    columns, rows, source = weight_columns(low, weight), dy.spec.size // K, low.need(dy, plain(dy.shape))
    order = columns or plain((C,))
    layout = layout_of((rows, *order.dims), (0, *(a + 1 for a in order.order)))
    chain, places = low.chain(group, layout, channels=order)
    home = linear_form(low, K, C, columns)
    if home in low.places.get(weight, {}) and turned_pays(low.machine, C, home.lanes, rows):
        kernel = GemmTurned(C, K, home.lanes, home.lanes // 2, chain=chain)
        low.call(kernel, M=rows, x=source, w=low.need(weight, home), **places)
        return
    form = linear_form(low, K, C, columns, turned=True)
    low.call(_gemm(low, K, C, form.lanes, rows, chain), M=rows, x=source, w=low.need(weight, form), **places)


@rule(ops.LinearWeightGradient)
def weight_gradient(low: Lowering, group: Group) -> None:
    node = group.node
    x, dy = node.inputs
    K, C = node.output.shape
    layout, columns = rows_form(low, x)
    form = linear_form(low, K, C, columns)
    source, gradient = low.need(x, layout), low.need(dy, plain(dy.shape))
    gemm_weights(low, node.output, form, x.spec.size // C, C, K, source, gradient)


@rule(ops.MatMul)
def matmul(low: Lowering, group: Group) -> None:
    node = group.node
    a, b = node.inputs
    *batch, M, K = node.output.shape
    lanes, rows, vectors = tile_for(low.machine, M, K, 1)
    x_moves, w_moves = (math.prod(v.shape[:-2]) == math.prod(batch) > 1 for v in (a, b))
    x, w = low.need(a, plain(a.shape)), low.need(b, plain(b.shape))
    chain, places = low.chain(group, plain(node.output.shape))
    kernel = BatchMatMul(M, a.shape[-1], K, lanes, rows, vectors, x_moves, w_moves, chain)
    low.call(kernel, B=math.prod(batch), x=x, w=w, **places)
