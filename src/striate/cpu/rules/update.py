"""The end of a program: optimizer updates over whole arenas, running statistics, and outputs in plain order.

Parameters of one optimizer group lie one after the other, and so do their gradients and their state: the region "store" and
the regions "gradient" and "state..." have the same offsets. One call updates them all.

A large parameter is updated alone, right after the last call that reads its gradient or its old value. So the gradient lies
in the arena, in memory that others have before and after it, and is still in a cache. Of a linear layer with few rows it
need not lie anywhere: its kernel ends in the update. Clipping wants all gradients first and keeps them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from striate import ops
from striate.cpu.kernels import update as kernels
from striate.cpu.kernels.gemm import GemmUpdate, GemmWeights
from striate.cpu.kernels.pointwise import FULL, Chain, Pointwise
from striate.cpu.layout import plain
from striate.cpu.lower import Call, Lowering, rule
from striate.cpu.plan import Buffer, aligned

if TYPE_CHECKING:
    from striate.cpu.fuse import Group
    from striate.cpu.layout import Form
    from striate.graph import Node

NORM_PARTS = 64
LARGE = 2**20
"""Bytes of a parameter that is updated alone."""
FEW_ROWS = 64
"""Rows of a linear layer whose gradient goes into the update at once: all of them pass over a tile of the weights together."""


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
    """Lay out each group's parameters, gradients and states side by side, and update them; large parameters one by one."""
    groups: dict[tuple, list[Node]] = {}
    for node in low.updates:
        groups.setdefault((node.op, node.inputs[2 + _states(node)]), []).append(node)
    alone = [] if low.clipping else [node for node in low.updates if _is_large(low, node)]
    offset, spans = 0, []
    for key, nodes in groups.items():
        start = offset
        for node in nodes:
            offset = offset if node in alone else _settle(low, node, offset)
        if offset > start:
            spans.append((key, nodes[0], start, offset))
    low.gradient_bytes = offset
    scale = _clip_scale(low, spans)
    for (op, hyper), node, start, end in spans:
        kernel, names = _kernel(op, scale is not None)
        places = {"parameter": _span("store", start, end), "gradient": _span("gradient", start, end)}
        places |= {name: _span(f"state.{name}", start, end) for name in names}
        places["hyper"] = low.need(hyper, plain(hyper.shape))
        if scale is not None:
            places["scale"] = scale
        low.node = node
        low.call(kernel, rows=(end - start) // 4, **places)
    low.node = None
    low.store_bytes = _update_alone(low, alone, offset)


def _states(node: Node) -> int:
    """How many arrays of state an update keeps."""
    return len(node.inputs) - 3


def _gradient(low: Lowering, node: Node) -> tuple[Form, Buffer]:
    """The form of a parameter, and its gradient in that form."""
    parameter, gradient, *_ = node.inputs
    if parameter not in low.homes:
        low.need(parameter, plain(parameter.shape))
    form = low.homes[parameter][0]
    return form, low.need(gradient, form)


def _is_large(low: Lowering, node: Node) -> bool:
    """Whether a parameter is worth a call of its own, and its gradient lies in memory that nothing else will change."""
    form, source = _gradient(low, node)
    return form.size * 4 >= LARGE and source.region == "arena"


def _settle(low: Lowering, node: Node, offset: int) -> int:
    """Give a parameter, its gradient and its state their common offset; returns the next one."""
    gradient, (form, source) = node.inputs[1], _gradient(low, node)
    if source.region != "arena" or source.offset or source.claimed:
        target = low.buffer(f"{gradient.name}.own", form.size)
        copy(low, source, target, form.size)
        source = target
    source.region, source.claimed, source.offset = "gradient", True, offset
    _place(low, node, offset)
    return offset + aligned(form.size * 4)


def _place(low: Lowering, node: Node, offset: int) -> dict[str, Buffer]:
    """Give a parameter and its state their common offset; returns what an update's kernel takes but for the gradient."""
    parameter, _, *states = node.inputs[: 2 + _states(node)]
    form, home = low.homes[parameter]
    home.offset = offset
    places = {"parameter": home}
    for value, name in zip(states, _state_names(node.op), strict=True):
        places[name] = low.need(value, form)
        places[name].region, places[name].offset = f"state.{name}", offset
    low.settled.append((parameter, form, offset))
    return places


def _update_alone(low: Lowering, nodes: list[Node], offset: int) -> int:
    """Lay out these parameters, update each as soon as that may be, and count the calls anew; returns the next offset."""
    after: dict[int, list[Call]] = {}
    users, kept = low.graph.users(), {*low.graph.outputs, *low.graph.updates.values()}
    for node in nodes:
        gradient, hyper = node.inputs[1], node.inputs[-1]
        form, source = _gradient(low, node)
        places = _place(low, node, offset) | {"hyper": low.need(hyper, plain(hyper.shape))}
        named = [i for i, call in enumerate(low.calls) if source in call.arguments.values()]
        read = [i for i, call in enumerate(low.calls) if places["parameter"] in call.arguments.values()]
        kernel, _ = _kernel(node.op, clipped=False)
        only = len(named) == 1 and users[gradient] == [node] and gradient not in kept and max(read, default=-1) < named[0]
        joined = _with_update(low.calls[named[0]], kernel, places) if only else None
        if joined:
            low.calls[named[0]] = joined
        else:
            call = Call(kernel, {"rows": form.size, "gradient": source, **places}, node)
            after.setdefault(max(named + read), []).append(call)
        offset += aligned(form.size * 4)
    low.calls = [call for i, each in enumerate(low.calls) for call in (each, *after.get(i, ()))]
    _count_anew(low)
    return offset


def _with_update(call: Call, update: kernels.Update, places: dict[str, Buffer]) -> Call | None:
    """A call that makes a gradient, ending in the update; None where its kernel does not know a gradient at once."""
    old, rows = call.kernel, call.arguments.get("M")
    if not isinstance(old, GemmWeights) or old.parts > 1 or not isinstance(rows, int) or rows > FEW_ROWS:
        return None
    kernel = GemmUpdate(old.C, old.K, old.lanes, old.channels, old.vectors, update=update)
    kept = {name: value for name, value in call.arguments.items() if name != "dw"}
    return replace(call, kernel=kernel, arguments=kept | places)


def _count_anew(low: Lowering) -> None:
    """When each buffer is first and last named, now that calls have moved."""
    named = [[b for b in call.arguments.values() if isinstance(b, Buffer)] for call in low.calls]
    for buffer in (b for buffers in named for b in buffers):
        buffer.first = buffer.last = -1
    for i, buffers in enumerate(named):
        for buffer in buffers:
            buffer.use(i)


def _span(region: str, start: int, end: int) -> Buffer:
    return Buffer(f"{region}[{start}:{end}]", end - start, region, start)


def _state_names(op: ops.Op) -> tuple[str, ...]:
    return {ops.SgdPlainUpdate: (), ops.SgdUpdate: ("momentum_buffer",), ops.AdamUpdate: ("mean", "square")}[type(op)]


def _kernel(op: ops.Op, clipped: bool) -> tuple[kernels.Update, tuple[str, ...]]:
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
