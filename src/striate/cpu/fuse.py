"""Which nodes become one kernel.

A group is an anchor (a convolution, a pooling, ...) with the elementwise nodes that follow it, or elementwise nodes alone.
A node joins the latest group among the makers of its inputs, when all its other inputs are ready before that group: then
one pass computes it while its input is still in a register. Values that somebody outside reads are stored as well.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from striate import ops
from striate.cpu.kernels.pointwise import EMIT
from striate.cpu.layout import Layout, canonical, channels_last, plain
from striate.errors import KernelError
from striate.graph import Graph, Node, Value

ANCHORS = (ops.Conv, ops.ConvInputGradient, ops.Linear, ops.LinearInputGradient, ops.MatMul, ops.MaxPool, ops.MaxPoolGradient,
           ops.AvgPool, ops.AvgPoolGradient, ops.AdaptiveAvgPool, ops.AdaptiveAvgPoolGradient, ops.AdaptiveMaxPool,
           ops.AdaptiveMaxPoolGradient, ops.MaxUnpoolGradient, ops.StochasticPool2d, ops.RoIPool, ops.RoIAlign,
           ops.BatchNorm, ops.BatchNormGradient,
           ops.GroupNorm, ops.GroupNormGradient, ops.LayerNorm, ops.LayerNormGradient, ops.LocalResponseNorm,
           ops.LocalResponseNormGradient, ops.Resample)
"""Operators whose kernels end in a chain."""
PRODUCTS = (ops.Linear, ops.LinearInputGradient, ops.MatMul)
"""Those whose lanes run along the last axis."""
ROWS = (ops.LayerNorm, ops.LayerNormGradient)
"""Those that take an array as it lies: their chains read whole arrays and single numbers."""

LONG = 96
"""Steps of a chain; a quarter of them behind an anchor, whose kernel repeats them for each of its tiles. More take long to
compile, and compute for so long that another pass over memory costs little."""


@dataclass
class Group:
    """Nodes that run as one kernel: an anchor or none, then elementwise nodes in order, and the total of one of these."""

    anchor: Node | None
    chain: list[Node] = field(default_factory=list)
    stored: list[Value] = field(default_factory=list)
    """Values of the chain (or the anchor's first output) that are read outside of the group."""
    total: Node | None = None
    """The sum or mean of all numbers of one value of the chain, found in the same pass."""

    @property
    def node(self) -> Node:
        """The anchor, where there must be one."""
        if self.anchor is None:
            raise KernelError("elementwise nodes have no anchor")
        return self.anchor

    @property
    def nodes(self) -> list[Node]:
        return [n for n in (self.anchor, *self.chain, self.total) if n]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.nodes[0].output.shape


def channel_axis(node: Node) -> int:
    """The axis along which an anchor's kernel keeps its lanes."""
    return len(node.output.shape) - 1 if isinstance(node.op, PRODUCTS) else -1 if isinstance(node.op, ROWS) else 1


def written(node: Node) -> Layout | None:
    """The layout in which an anchor's kernel writes; None where it follows from how weights lie."""
    if isinstance(node.op, (ops.LinearInputGradient, *ROWS)):
        return None
    shape = node.output.shape
    return plain(shape) if isinstance(node.op, PRODUCTS) else channels_last(shape)


def fuse(graph: Graph, nodes: Sequence[Node]) -> list[Group]:
    """These nodes of the graph as groups, in an order in which they can run."""
    groups: list[Group] = []
    maker: dict[Value, int] = {}
    for node in nodes:
        index = _home(node, groups, maker) if type(node.op) in EMIT else None
        if (summed := _summed(node, groups, maker)) is not None:
            groups[summed].total, index = node, summed
        elif index is None:
            elementwise = type(node.op) in EMIT
            groups.append(Group(None if elementwise else node, [node] if elementwise else []))
            index = len(groups) - 1
        else:
            groups[index].chain.append(node)
        maker.update(dict.fromkeys(node.outputs, index))
    _note_stored(graph, groups, maker)
    return groups


def _home(node: Node, groups: list[Group], maker: dict[Value, int]) -> int | None:
    """The group that an elementwise node joins."""
    made = [(maker[v], v) for v in node.inputs if v in maker]
    if not made:
        return None
    index, value = max(made, key=lambda item: item[0])
    group = groups[index]
    if node.output.shape != group.shape or not _accepts(group, node, value):
        return None
    return index


def _summed(node: Node, groups: list[Group], maker: dict[Value, int]) -> int | None:
    """The elementwise group of which a node adds up all numbers."""
    index = maker.get(node.inputs[0]) if isinstance(node.op, (ops.Sum, ops.Mean)) and node.output.spec.size == 1 else None
    group = groups[index] if index is not None else None
    free = group and not group.anchor and not group.total and all(reads_alike(group, n) for n in group.nodes)
    return index if free else None


def reads_alike(group: Group, node: Node) -> bool:
    """Whether a node reads arrays of the group's shape and single numbers only; masks are drawn from whole numbers."""
    return all(v.shape == group.shape or v.spec.size == 1 or v.dtype == "int64" for v in node.inputs)


def _accepts(group: Group, node: Node, value: Value) -> bool:
    inner = {v for n in group.nodes for v in n.outputs}
    if group.total and (group.total.output in node.inputs or not reads_alike(group, node)):
        return False
    if len(group.chain) >= (LONG if group.anchor is None else LONG // 4):
        return False
    if group.anchor is None:
        return not (isinstance(node.op, ops.Drawn) and any(len(v.shape) != len(group.shape) for v in node.inputs[:1]))
    if not isinstance(group.anchor.op, ANCHORS) or any(v in group.anchor.outputs[1:] for v in node.inputs):
        return False
    if isinstance(node.op, ops.Drawn) and written(group.anchor) != canonical(group.shape):
        return False
    return all(v in inner or _operand_fits(group, v) for v in node.inputs)


def _operand_fits(group: Group, value: Value) -> bool:
    """An anchor's chain reads whole arrays, one number a channel, or one number."""
    shape, full = value.shape, group.shape
    if value.dtype == "int64":
        return True  # the random state
    if shape == full or value.spec.size == 1:
        return True
    aligned = (1,) * (len(full) - len(shape)) + shape
    axis = channel_axis(group.anchor) if group.anchor else 1
    return all(n == 1 or i == axis for i, n in enumerate(aligned)) and aligned[axis] == full[axis]


def _note_stored(graph: Graph, groups: list[Group], maker: dict[Value, int]) -> None:
    outside = set(graph.outputs) | set(graph.updates.values())
    for node in graph.nodes:
        index = maker.get(node.output)
        outside.update(v for v in node.inputs if maker.get(v) != index)
    for group in groups:
        heads = [group.anchor.output] if group.anchor else []
        made = heads + [v for n in group.chain for v in n.outputs]
        group.stored = [v for v in made if v in outside]


def simplify(graph: Graph) -> Graph:
    """Rewrites: what is composed of other operators, so that it joins their kernels; and what follows from parameters first."""
    late = rectified_maxima(graph)
    nodes, graph.nodes = graph.nodes, []
    renamed: dict[Value, Value] = {}
    for node in nodes:
        node.inputs = tuple(renamed.get(v, v) for v in node.inputs)
        if node in late:
            with graph.at(node):
                _rectify_maxima(graph, node, renamed)
        elif type(node.op) in REWRITES:
            with graph.at(node):
                renamed[node.output] = REWRITES[type(node.op)](graph, node)
        else:
            graph.nodes.append(node)
    _rename(graph, renamed)
    _tidy(graph)
    varying = {*graph.inputs, graph.random}
    for node in graph.nodes:
        if varying.intersection(node.inputs):
            varying.update(node.outputs)
    graph.nodes.sort(key=lambda node: node.output in varying)  # so that it is ready for every chain
    return graph


def _tidy(graph: Graph) -> None:
    """Elementwise nodes read a number as it is instead of an array full of it, and of two that are equal one is left."""
    known: dict[tuple[ops.Op, tuple[Value, ...]], Value] = {}
    renamed: dict[Value, Value] = {}
    for node in graph.nodes:
        node.inputs = tuple(renamed.get(v, v) for v in node.inputs)
        if type(node.op) not in EMIT:
            continue
        if any(v.shape == node.output.shape and not _is_repeated(v) for v in node.inputs):
            node.inputs = tuple(v.producer.inputs[0] if v.producer and _is_repeated(v) else v for v in node.inputs)
        if (same := known.setdefault((node.op, node.inputs), node.output)) is not node.output:
            renamed[node.output] = same
    _rename(graph, renamed)
    users, kept = graph.users(), {*graph.outputs, *graph.updates.values()}
    graph.nodes = [n for n in graph.nodes if n.output not in renamed and
                   (n.output in users or n.output in kept or not _is_repeated(n.output))]


def _rename(graph: Graph, renamed: dict[Value, Value]) -> None:
    """Outputs and updates that have another name now."""
    graph.outputs = [renamed.get(v, v) for v in graph.outputs]
    graph.updates = {old: renamed.get(new, new) for old, new in graph.updates.items()}


def _is_repeated(value: Value) -> bool:
    """Whether a value is one number, expanded."""
    return value.producer is not None and isinstance(value.producer.op, ops.Expand) and value.producer.inputs[0].spec.size == 1


def rectified_maxima(graph: Graph) -> set[Node]:
    """The nodes of all pools of a rectified array that nobody else reads: ReLU, pool, and the gradients of both.

    max(relu(x)) = relu(max(x)), and where a maximum is above 0 its place is the same; elsewhere the gradient is 0 anyway. So
    the ReLU may wait for the pool: it has fewer numbers to go through, and the large array need not be kept for its gradient.
    """
    users, kept, found = graph.users(), {*graph.outputs, *graph.updates.values()}, set()
    for pool in graph.nodes:
        rectifier = pool.inputs[0].producer if isinstance(pool.op, ops.MaxPool) else None
        if rectifier is None or not isinstance(rectifier.op, ops.ReLU):
            continue
        tap = pool.outputs[1]
        back = users.get(tap, [])
        last = [n for node in back for n in users.get(node.output, [])]
        hidden = kept.isdisjoint([rectifier.output, tap, *(n.output for n in back)])
        alone = hidden and {*users[rectifier.output]} == {pool, *last}
        kinds = *((n.op, ops.MaxPoolGradient) for n in back), *((n.op, ops.ReLUGradient) for n in last)
        if alone and all(isinstance(op, kind) for op, kind in kinds) and all(n.inputs[0].producer in back for n in last):
            found.update([rectifier, pool, *back, *last])
    return found


def _rectify_maxima(graph: Graph, node: Node, renamed: dict[Value, Value]) -> None:
    """One of these nodes, with the ReLU behind the pool."""
    if isinstance(node.op, (ops.ReLU, ops.ReLUGradient)):
        renamed[node.output] = node.inputs[0]
        return
    pool = node.inputs[-1].producer
    if isinstance(node.op, ops.MaxPoolGradient) and pool:
        dy, tap = node.inputs
        node.inputs = graph.apply(ops.ReLUGradient(), dy, renamed[pool.output]), tap
    graph.nodes.append(node)
    if isinstance(node.op, ops.MaxPool):
        renamed[node.output] = graph.apply(ops.ReLU(), node.output)


def _scale_and_shift(graph: Graph, node: Node) -> Value:
    """Batch norm with fixed statistics: a product and a sum by channel."""
    x, weight, bias, mean, variance = node.inputs
    scale = weight * (variance + node.op.eps) ** -0.5
    shift = bias - mean * scale
    shape = (x.shape[1], *(1,) * (x.ndim - 2))
    return x * scale.reshape(shape) + shift.reshape(shape)


def _share_of_ties(graph: Graph, node: Node) -> Value:
    """The gradient of a maximum: dy, shared equally by the elements that are not below it."""
    dy, x, y = node.inputs
    kept = node.op.kept(x.shape)
    largest = graph.apply(ops.Compare("ge"), x, y.reshape(kept))
    return dy.reshape(kept) / largest.sum(node.op.axes, keepdim=True) * largest


def _one_matrix(graph: Graph, node: Node) -> Value:
    """A product with one matrix, which may be packed: what takes a linear layer's gradient back through its weights."""
    if node.inputs[1].ndim == 2:
        return graph.apply(ops.LinearInputGradient(), *node.inputs)
    return graph.apply(node.op, *node.inputs)


REWRITES: dict[type[ops.Op], Callable[[Graph, Node], Value]] = {
    ops.BatchNormInference: _scale_and_shift,
    ops.Detach: lambda graph, node: node.inputs[0],
    ops.MatMul: _one_matrix,
    ops.MaxGradient: _share_of_ties,
}
