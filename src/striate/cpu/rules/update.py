"""The end of a program: optimizer updates over whole arenas, running statistics, and outputs in plain order.

Parameters of one optimizer group lie one after the other, and so do their gradients and their state: the region "store" and
the regions "gradient" and "state..." have the same offsets. One call updates them all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from striate import ops
from striate.cpu.kernels import update as kernels
from striate.cpu.kernels.pointwise import FULL, Chain, Pointwise
from striate.cpu.layout import plain
from striate.cpu.lower import Lowering, rule
from striate.cpu.plan import Buffer, aligned

if TYPE_CHECKING:
    from striate.cpu.fuse import Group
    from striate.graph import Node

NORM_PARTS = 64


@rule(ops.SgdUpdate, ops.SgdPlainUpdate, ops.AdamUpdate)
def update(low: Lowering, group: Group) -> None:
    """Kept for the end, where all updates of a kind become one call."""
    low.updates.append(group.node)


@rule(ops.GradientNorm, ops.ClipScale)
def clip(low: Lowering, group: Group) -> None:
    """Kept for the end too: the norm runs over the arena of gradients."""
    low.clipping.append(group.node)


@rule(ops.Increment)
def increment(low: Lowering, group: Group) -> None:
    """A count of runs: the host adds one, twice where a module was called twice."""
    count = group.node.inputs[0]
    while count.producer is not None and isinstance(count.producer.op, ops.Increment):
        count = count.producer.inputs[0]
    low.counters.append(count)


def copy(low: Lowering, source: Buffer, target: Buffer, size: int) -> None:
    """A flat copy of floats."""
    low.call(Pointwise(Chain((FULL,), (), (1,)), (), ((True,),)), rows=size, y0=target, e0=source)


def finish_updates(low: Lowering) -> None:
    """Optimizer updates, then everything else that the graph changes: all out of the values before the run."""
    handled = {v for n in low.updates for v in n.outputs}
    moves = []
    for old, new in low.graph.updates.items():
        if new in handled or (new.producer is not None and isinstance(new.producer.op, ops.Increment)):
            continue
        low.need(old, plain(old.shape))
        form, home = low.homes[old]
        moves.append((_apart(low, low.need(new, form), form.size), home, form.size))
    if low.updates:
        _optimize(low)
    for source, home, size in moves:
        copy(low, source, home, size)


def _apart(low: Lowering, source: Buffer, size: int) -> Buffer:
    """Memory of its own for what lies in the store, where another update may change it first."""
    if source.region != "store":
        return source
    target = low.buffer(f"{source.name}.old", size)
    copy(low, source, target, size)
    return target


def _optimize(low: Lowering) -> None:
    """Lay out each group's parameters, gradients and states side by side, and update them."""
    groups: dict[tuple, list[Node]] = {}
    for node in low.updates:
        groups.setdefault((node.op, node.inputs[2 + _states(node)]), []).append(node)
    offset, spans = 0, []
    for key, nodes in groups.items():
        start = offset
        for node in nodes:
            offset = _settle(low, node, offset)
        spans.append((key, nodes, start, offset))
    low.store_bytes = offset
    scale = _clip_scale(low, spans)
    for (op, hyper), nodes, start, end in spans:
        kernel, names = _kernel(op, scale is not None)
        places = {"parameter": _span("store", start, end), "gradient": _span("gradient", start, end)}
        places |= {name: _span(f"state.{name}", start, end) for name in names}
        places["hyper"] = low.need(hyper, plain(hyper.shape))
        if scale is not None:
            places["scale"] = scale
        low.node = nodes[0]
        low.call(kernel, rows=(end - start) // 4, **places)
    low.node = None


def _states(node: Node) -> int:
    """How many arrays of state an update keeps."""
    return len(node.inputs) - 3


def _settle(low: Lowering, node: Node, offset: int) -> int:
    """Give a parameter, its gradient and its state their common offset; returns the next one."""
    parameter, gradient, *states = node.inputs[: 2 + _states(node)]
    if parameter not in low.homes:
        low.need(parameter, plain(parameter.shape))
    form, home = low.homes[parameter]
    source = low.need(gradient, form)
    if source.region != "arena" or source.offset or source.claimed:
        target = low.buffer(f"{gradient.name}.own", form.size)
        copy(low, source, target, form.size)
        source = target
    source.region, source.claimed = "gradient", True
    home.offset = source.offset = offset
    for value, name in zip(states, _state_names(node.op), strict=True):
        state = low.need(value, form)
        state.region, state.offset = f"state.{name}", offset
    low.settled.append((parameter, form, offset))
    return offset + aligned(form.size * 4)


def _span(region: str, start: int, end: int) -> Buffer:
    return Buffer(f"{region}[{start}:{end}]", end - start, region, start)


def _state_names(op: ops.Op) -> tuple[str, ...]:
    return {ops.SgdPlainUpdate: (), ops.SgdUpdate: ("momentum_buffer",), ops.AdamUpdate: ("mean", "square")}[type(op)]


def _kernel(op: ops.Op, clipped: bool) -> tuple[kernels.Sgd | kernels.Adam, tuple[str, ...]]:
    if isinstance(op, ops.AdamUpdate):
        return kernels.Adam(op.decoupled, clip=clipped), _state_names(op)
    nesterov = isinstance(op, ops.SgdUpdate) and op.nesterov
    return kernels.Sgd(nesterov, isinstance(op, ops.SgdPlainUpdate), clip=clipped), _state_names(op)


def _clip_scale(low: Lowering, spans: list) -> Buffer | None:
    """The factor of gradient clipping, from the norm of all gradients."""
    limit = next((n.op for n in low.clipping if isinstance(n.op, ops.ClipScale)), None)
    if limit is None:
        return None
    part = low.buffer("norm.parts", NORM_PARTS)
    norm, scale = low.buffer("norm", 1), low.buffer("scale", 1)
    first, last = spans[0][2], spans[-1][3]
    low.call(kernels.SquareParts(NORM_PARTS), rows=(last - first) // 4, x=_span("gradient", first, last), part=part)
    low.call(kernels.NormFromParts(NORM_PARTS), part=part, norm=norm)
    low.call(kernels.ClipScale(limit.max_norm), norm=norm, scale=scale)
    return scale
