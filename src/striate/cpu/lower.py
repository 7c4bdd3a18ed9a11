"""From a graph to a list of kernel calls and the buffers that they name.

Groups of nodes (fuse.py) are taken in order; the rule of the anchor's operator (rules/) chooses kernels and layouts. A value
may lie in several forms; `need` gives it in the one that a kernel wants, and converts it once if it has to. Parameters take
the form that their first reader wants, and keep it for the life of the program, so nothing is packed inside a step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from striate import ops
from striate.cpu.empty import settle
from striate.cpu.fuse import Group, channel_axis, fuse, reads_alike, simplify
from striate.cpu.kernels.base import Kernel, Tallying
from striate.cpu.kernels.pointwise import CHANNEL, FULL, RANDOM, SCALAR, Chain, Pointwise, PointwiseTotal
from striate.cpu.kernels.reduce import Reduce
from striate.cpu.kernels.tally import Tally
from striate.cpu.layout import Form, Layout, canonical, channels_last, layout_of, plain
from striate.cpu.plan import Buffer
from striate.errors import KernelError
from striate.graph import Graph, Node, Value
from striate.kernel.machine import Machine
from striate.ops.base import Op

Rule = Callable[["Lowering", Group], None]
RULES: dict[type[Op], Rule] = {}
TOTAL_PARTS = 64
"""Into how many parts an array is cut whose numbers are added up."""
PAST_THE_CACHES = 12 * 2**20
"""Bytes of an array that is too large to be found in the last-level cache by whoever reads it next: it is written to memory."""


def kind_of(value: Value) -> str:
    """The kernel language's name of a value's type."""
    return {"float32": "f32", "uint8": "u8", "int32": "i32", "int64": "i64"}[value.dtype]


def rule(*kinds: type[Op]) -> Callable[[Rule], Rule]:
    """Register the CPU's rule of operators."""

    def register(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(kinds, function))
        return function

    return register


@dataclass
class Call:
    """One kernel with its arguments: buffers and whole numbers by name; `node` says whose work it is."""

    kernel: Kernel
    arguments: dict[str, Buffer | int]
    node: Node | None = None
    prologue: bool = False


@dataclass(frozen=True)
class Norm:
    """A batch norm in training: where its input, statistics (rstd = 1 / sqrt(variance + eps)) and parameters lie; `rectified`
    is its result where that is rectified at once."""

    x: Buffer
    mean: Buffer
    rstd: Buffer
    weight: Buffer
    bias: Buffer
    rectified: Buffer | None


@dataclass
class Lowering:
    """The state of one walk from a graph to calls."""

    graph: Graph
    machine: Machine
    threads: int
    precise: bool = False
    calls: list[Call] = field(default_factory=list)
    places: dict[Value, dict[Form, Buffer]] = field(default_factory=dict)
    homes: dict[Value, tuple[Form, Buffer]] = field(default_factory=dict)
    """Parameters and buffers of the network: the form in which the program keeps them."""
    constants: dict[Buffer, np.ndarray] = field(default_factory=dict)
    updates: list[Node] = field(default_factory=list)
    """Optimizer updates, merged into few calls at the end."""
    counters: list[Value] = field(default_factory=list)
    """Sources that count the runs; the host adds one to each."""
    clipping: list[Node] = field(default_factory=list)
    settled: list[tuple[Value, Form, int]] = field(default_factory=list)
    """Trained parameters with their form and their offset in the store."""
    store_bytes: int = 0
    norms: dict[Value, Norm] = field(default_factory=dict)
    """What a batch norm has read and found, by its variance, for its gradient."""
    gradient_bytes: int = 0
    """The front of the store, whose gradients lie beside it."""
    row_losses: dict[tuple[Any, ...], dict[str, Buffer]] = field(default_factory=dict)
    """What a cross-entropy has found of its rows, for its gradient."""
    results: list[Buffer] = field(default_factory=list)
    split: int = 0
    """Calls before this one compute the first outputs and the updates."""
    node: Node | None = None

    # memory
    def buffer(self, name: str, size: int, item: int = 4, region: str = "arena") -> Buffer:
        """Memory for `size` elements of `item` bytes."""
        return Buffer(name, max(1, size) * item, region)

    def make(self, value: Value, form: Form) -> Buffer:
        """Memory for a value that the next call computes."""
        self.places.setdefault(value, {})[form] = made = self.buffer(value.name, form.size, np.dtype(value.dtype).itemsize)
        return made

    def alias(self, value: Value, form: Form, buffer: Buffer) -> None:
        """The value lies in memory that is there already."""
        self.places.setdefault(value, {})[form] = buffer

    def forms(self, value: Value) -> dict[Form, Buffer]:
        """Where a value lies now; a source that nobody has read yet lies plain."""
        if not self.places.get(value):
            self._root(value, plain(value.shape))
        return self.places[value]

    def need(self, value: Value, form: Form) -> Buffer:
        """The value's memory in this form."""
        if not self.places.get(value):
            self._root(value, form)
        known = self.places[value]
        if form not in known:
            from striate.cpu.rules.convert import convert

            convert(self, value, form)
        return known[form]

    def _root(self, value: Value, form: Form) -> None:
        """First use of an input, a parameter, a constant or the random state."""
        own: Form = form
        if value.constant is not None:
            made = self.buffer(value.name, form.size, value.constant.itemsize, "constant")
            self.constants[made] = form.pack(value.constant)
        elif value in self.graph.sources:
            made = self.buffer(value.name, form.size, region="store")
            self.homes[value] = form, made
        elif value is self.graph.random:
            made = self.buffer(value.name, 2, 8, region="random")
        elif value in self.graph.inputs:
            own = plain(value.shape)
            item, region = np.dtype(value.dtype).itemsize, f"input{self.graph.inputs.index(value)}"
            made = self.buffer(value.name, value.spec.size, item, region)
        else:
            raise KernelError(f"'{value.name}' is read before it is made")
        self.places[value] = {own: made}

    # calls
    def call(self, kernel: Kernel, /, partial: Any = False, **arguments: Buffer | int) -> None:
        """Append a kernel; its arguments are named as the kernel names them.

        What depends on fixed parameters alone becomes part of the prologue, but not a `partial` result: others write it too.
        """
        missing = set(kernel.arguments) ^ set(arguments)
        if missing:
            raise KernelError(f"{kernel.name}: arguments {sorted(missing)} do not match")
        buffers = [b for b in arguments.values() if isinstance(b, Buffer)]
        read = [b for b in buffers if b.first >= 0 or b.region != "arena"]
        prologue = bool(read) and not partial and all(self._fixed(b) for b in read)
        for b in buffers:
            if prologue and b.first < 0 and b.region == "arena":
                b.region = "prepared"
            b.use(len(self.calls))
        self.calls.append(Call(kernel, arguments, self.node, prologue))

    def writer(self, buffer: Buffer, kind: type[Tally]) -> tuple[int, int] | None:
        """The call whose chain writes a whole array and may take sums of it, and the array's number among the chain's outputs."""
        for i in reversed(range(len(self.calls))):
            call = self.calls[i]
            names = [name for name, b in call.arguments.items() if b is buffer and name[0] == "y" and name[1:].isdigit()]
            if names:
                kernel = call.kernel
                free = isinstance(kernel, Tallying) and not kernel.chain.tally and kernel.tallies(kind, call.arguments)
                return (i, int(names[0][1:])) if free and not call.prologue else None
        return None

    def chain_of(self, index: int) -> Chain:
        """The chain at the end of the kernel of a call that `writer` found."""
        return self.calls[index].kernel.chain  # type: ignore[attr-defined]

    def amend(self, index: int, chain: Chain, **more: Buffer) -> None:
        """Give such a call another chain, and what that reads and writes beside."""
        call = self.calls[index]
        call.kernel = call.kernel.ending(chain)  # type: ignore[attr-defined]
        call.arguments |= more
        for buffer in more.values():
            buffer.use(index)

    def _fixed(self, buffer: Buffer) -> bool:
        """Whether its content stays the same from run to run."""
        if buffer.region == "store":
            return not any(home[1] is buffer and value in self.graph.updates for value, home in self.homes.items())
        return buffer.region in ("constant", "prepared")

    # chains
    def chain(self, group: Group, form: Layout, bias: Value | None = None,
              channels: Layout | None = None) -> tuple[Chain, dict[str, Buffer]]:
        """The end of an anchor's kernel: the group's elementwise nodes, a bias before them, and where results go.

        channels: the order of the channels in memory, where it differs from the logical one.
        """
        anchor = group.anchor
        if anchor is None:
            raise KernelError("a chain without an anchor is a kernel of its own")
        shape = anchor.output.shape
        builder = ChainBuilder(self, shape, form, channels or plain((shape[channel_axis(anchor)],)))
        head = builder.step(ops.Add(), 0, builder.operand(bias)) if bias is not None else 0
        builder.refs[anchor.output] = head
        for node in group.chain:
            builder.node(node)
        return builder.finish(group.stored or [group.nodes[-1].output])


@dataclass
class ChainBuilder:
    """Collects operands and steps of one chain; see `Chain` for what references mean."""

    low: Lowering
    shape: tuple[int, ...]
    form: Layout
    channels: Layout
    refs: dict[Value, int] = field(default_factory=dict)
    kinds: list[Any] = field(default_factory=list)
    buffers: list[Buffer | None] = field(default_factory=list)
    steps: list[tuple[Op, tuple[Any, ...]]] = field(default_factory=list)

    def operand(self, value: Value) -> Any:
        """A reference to a value: one of the chain, or an operand that is read."""
        if value in self.refs:
            return self.refs[value]
        if value.constant is not None and value.spec.size == 1:
            self.kinds.append(float(value.constant.reshape(())))
            self.buffers.append(None)
        elif value is self.low.graph.random:
            self.kinds.append(RANDOM)
            self.buffers.append(self.low.need(value, plain(value.shape)))
        elif value.spec.size == 1 and value.shape != self.shape:
            self.kinds.append(SCALAR)
            self.buffers.append(self.low.need(value, plain(value.shape)))
        elif value.shape == self.shape:
            self.kinds.append(FULL)
            self.buffers.append(self.low.need(value, self.form))
        else:
            self.kinds.append(CHANNEL)
            self.buffers.append(self.low.need(value, self.channels))
        self.refs[value] = -len(self.kinds)  # operands count down until their number is known
        return self.refs[value]

    def step(self, op: Op, *refs: Any) -> Any:
        self.steps.append((op, refs))
        return 1000 + len(self.steps) - 1

    def node(self, node: Node) -> None:
        self.refs[node.output] = self.step(node.op, *(self.operand(v) for v in node.inputs))

    def number(self, ref: int) -> int:
        """The chain's own numbers: head, operands, steps."""
        return -ref if ref < 0 else ref - 1000 + len(self.kinds) + 1 if ref >= 1000 else 0

    def finish(self, stored: Sequence[Value]) -> tuple[Chain, dict[str, Buffer]]:
        arguments = {f"y{i}": self.low.make(v, self.form) for i, v in enumerate(stored)}
        arguments |= {f"e{i}": b for i, b in enumerate(self.buffers) if b is not None}
        steps = tuple((op, tuple(self.number(r) for r in refs)) for op, refs in self.steps)
        past = self.form.size * 4 >= PAST_THE_CACHES
        return Chain(tuple(self.kinds), steps, tuple(self.number(self.refs[v]) for v in stored), past), arguments


def lower(graph: Graph, machine: Machine, threads: int, precise: bool = False) -> Lowering:
    """The calls that run a graph on a machine: those for the first outputs (all of them by default), then the rest."""
    from striate.cpu import rules  # rules register themselves here

    rules.load()
    settle(graph)
    low, first = Lowering(simplify(graph), machine, threads, precise), graph.first
    if first is None:
        _stage(low, graph.nodes)
        rules.finish(low, graph.outputs)
        low.split = len(low.calls)
        return low
    ahead = graph.needed_for([*graph.outputs[:first], *graph.updates.values()])
    _stage(low, ahead)
    rules.finish(low, graph.outputs[:first])
    low.split = len(low.calls)
    done = set(ahead)
    _stage(low, [n for n in graph.nodes if n not in done])
    rules.finish_outputs(low, graph.outputs[first:])
    for buffer in {b for c in low.calls for b in c.arguments.values() if isinstance(b, Buffer)}:
        if buffer.first < low.split <= buffer.last:
            buffer.use(len(low.calls))
    return low


def _stage(low: Lowering, nodes: Sequence[Node]) -> None:
    """Lower some nodes of the graph."""
    for group in fuse(low.graph, nodes):
        low.node = group.nodes[0]
        if group.anchor is None:
            pointwise(low, group)
        elif type(group.anchor.op) in RULES:
            RULES[type(group.anchor.op)](low, group)
        else:
            raise KernelError(f"{group.anchor.place}: the cpu target has no rule for {group.anchor.op.name}")
    low.node = None


def pointwise(low: Lowering, group: Group) -> None:
    """Elementwise nodes alone."""
    shape = group.shape
    inner = {n.output for n in group.chain}
    operands = list(dict.fromkeys(v for n in group.chain for v in n.inputs if v not in inner))
    alike = all(reads_alike(group, n) for n in group.chain)
    form = _pointwise_form(low, group, operands, alike)
    builder = ChainBuilder(low, shape, form, plain(shape[-1:]))
    order = _axes(form, shape)
    varies: list[tuple[bool, ...]] = []
    for value in operands:
        if value.dtype == "int64" or (value.spec.size == 1 and value.shape != shape):
            builder.operand(value)
            varies.append((False,))
            continue
        own = (1,) * (len(shape) - value.ndim) + value.shape
        builder.kinds.append(FULL)
        builder.buffers.append(low.need(value, form if alike else layout_of(own, order)))
        builder.refs[value] = -len(builder.kinds)
        varies.append(tuple(own[a] > 1 for a in order))
    for node in group.chain:
        builder.node(node)
    chain, arguments = builder.finish(group.stored)
    rows, dims, varies = (form.size, (), [v if v == (False,) else (True,) for v in varies]) if alike else \
        _merge([shape[a] for a in order], varies)
    if group.total is None:
        low.call(Pointwise(chain, tuple(dims), tuple(varies)), rows=rows, **arguments)
        return
    summed, part = builder.number(builder.refs[group.total.inputs[0]]), low.buffer("total.parts", TOTAL_PARTS + 1)
    low.call(PointwiseTotal(chain, (), tuple(varies), summed, TOTAL_PARTS), rows=rows, part=part, **arguments)
    scale = 1.0 / form.size if isinstance(group.total.op, ops.Mean) else 1.0
    low.call(Reduce("sum", 1, scale=scale), A=1, B=TOTAL_PARTS + 1, x=part, y0=low.make(group.total.output, plain(())))


def _axes(form: Layout, shape: Sequence[int]) -> list[int]:
    """The physical order of the logical axes: row-major or channels last."""
    rank = len(shape)
    return list(range(rank)) if form == plain(shape) else [0, *range(2, rank), 1]


def _pointwise_form(low: Lowering, group: Group, operands: list[Value], alike: bool) -> Layout:
    """The form that most of the work is in already; masks need the canonical one."""
    if any(isinstance(n.op, ops.Drawn) for n in group.chain):
        return canonical(group.shape)
    full = [v for v in operands if v.shape == group.shape and v.constant is None]
    known = [f for v in full if v not in low.graph.sources for f in low.forms(v) if isinstance(f, Layout)]
    if not known:
        sources = [f for v in full if v in low.places for f in low.forms(v) if isinstance(f, Layout)]
        known = sources or [canonical(group.shape) if full and not alike else plain(group.shape)]
    if alike:
        return known[0]
    return known[0] if known[0] == channels_last(group.shape) else plain(group.shape)


def _merge(extents: Sequence[int], varies: list[tuple[bool, ...]]) -> tuple[int, list[int], list[tuple[bool, ...]]]:
    """Axes that no operand tells apart become one; returns the first extent, the others, and what varies along them."""
    kinds = [tuple(v[i] if len(v) == len(extents) else False for v in varies) for i in range(len(extents))]
    merged: list[tuple[int, tuple[bool, ...]]] = []
    for extent, kind in zip(extents, kinds, strict=True):
        if extent == 1:
            continue
        if merged and merged[-1][1] == kind:
            merged[-1] = merged[-1][0] * extent, kind
        else:
            merged.append((extent, kind))
    merged = merged or [(1, tuple(False for _ in varies))]
    if len(merged) == 1:
        merged = merged if all(merged[0][1]) else [(1, merged[0][1]), merged[0]]
    columns = [tuple(kind[i] for _, kind in merged) for i in range(len(varies))]
    return merged[0][0], [extent for extent, _ in merged[1:]], columns
