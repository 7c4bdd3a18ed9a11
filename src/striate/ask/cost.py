"""What a network costs: arithmetic and memory traffic of every operator, forward, backward and update.

An operator says what it does (`ops.base.Cost`); a convention says what of it counts:

    macs        multiply-accumulates: what papers, torchvision and most tools give, some of them as "FLOPs"
    real_macs   those of them whose pixel is a pixel, not padding
    flops       2 * macs + every other arithmetic operation (exp and the like counted as one)
    notes       2 * macs - sums + the others: n products need n - 1 additions, and biases are left out
    notes_bias  the same, and one more addition for each result that starts from a bias

A convolution has N K P Q sums of C/G R S products, a linear layer N K sums of C. The backward pass is the graph of the
gradients, so its cost is counted, not taken to be twice that of the forward pass.

    arithmetic intensity = FLOPs / bytes, every operator reading its inputs and writing its outputs once

Sources: Williams, Waterman & Patterson, Roofline, CACM 52(4), 2009 (intensity); docs/cost.md compares other tools.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from striate.ask import tables
from striate.ask.tracing import name_of, network, specs_of, traced
from striate.errors import ArgumentError
from striate.gradient import differentiate
from striate.graph import Graph, Node, Value
from striate.nn.module import Module
from striate.ops.base import Cost, Spec

if TYPE_CHECKING:
    from striate.optim.optimizer import Optimizer

CONVENTIONS: dict[str, Callable[[Cost], int]] = {
    "macs": lambda c: c.macs,
    "real_macs": lambda c: c.macs - c.padded,
    "flops": lambda c: 2 * c.macs + c.operations,
    "notes": lambda c: 2 * c.macs - c.sums + c.operations,
    "notes_bias": lambda c: 2 * c.macs - c.sums + c.biases + c.operations,
}
"""What of an operator's work a convention counts."""
PHASES = ("forward", "backward", "update")


@dataclass(frozen=True)
class Work:
    """One operator's work: the layer that it stands in, its phase, and the bytes that it reads and writes."""

    layer: str
    op: str
    phase: str
    cost: Cost
    read: int
    written: int

    @property
    def flops(self) -> int:
        return CONVENTIONS["flops"](self.cost)

    @property
    def intensity(self) -> float:
        """FLOPs for each byte."""
        return self.flops / max(1, self.read + self.written)


@dataclass(frozen=True)
class Costs(tables.Answer):
    """The work of all operators for a batch, and its sums under one convention. `print(costs.text())` shows a table."""

    network: str
    batch: int
    convention: str
    rows: tuple[Work, ...]

    def count(self, row: Work) -> int:
        """What the convention counts of one row."""
        return CONVENTIONS[self.convention](row.cost)

    def of(self, phase: str) -> int:
        """The count of 'forward', 'backward' or 'update'."""
        return sum(self.count(row) for row in self.rows if row.phase == phase)

    @property
    def forward(self) -> int:
        return self.of("forward")

    @property
    def backward(self) -> int:
        return self.of("backward")

    @property
    def update(self) -> int:
        return self.of("update")

    @property
    def total(self) -> int:
        return sum(map(self.count, self.rows))

    @property
    def bytes(self) -> int:
        """Read and written, every operator by itself: what fusion and caches save is not in here."""
        return sum(row.read + row.written for row in self.rows)

    @property
    def intensity(self) -> float:
        """FLOPs for each byte."""
        return sum(row.flops for row in self.rows) / max(1, self.bytes)

    @property
    def left_out(self) -> dict[str, int]:
        """Operators that the convention does not count at all, with the operations that they do."""
        found: dict[str, int] = {}
        for row in self.rows:
            if row.cost.operations and not self.count(row):
                found[row.op] = found.get(row.op, 0) + row.cost.operations
        return found

    @property
    def moves(self) -> dict[str, int]:
        """Operators that do no arithmetic but copy, and how often each is there: with `left_out` all that is not counted."""
        found: dict[str, int] = {}
        for row in self.rows:
            if not row.flops:
                found[row.op] = found.get(row.op, 0) + 1
        return found

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        rows = [{"layer": r.layer, "op": r.op, "phase": r.phase, "count": self.count(r), "macs": r.cost.macs, "flops": r.flops,
                 "read": r.read, "written": r.written} for r in self.rows]
        return {"network": self.network, "batch": self.batch, "convention": self.convention, "total": self.total,
                **{phase: self.of(phase) for phase in PHASES}, "bytes": self.bytes, "intensity": self.intensity,
                "left_out": self.left_out, "moves": self.moves, "rows": rows}

    def totals(self) -> str:
        """The sums in words."""
        phases = [f"{phase} {self.of(phase):,}" for phase in PHASES if any(r.phase == phase for r in self.rows)]
        text = f"{self.total:,} {self.convention}" + (f" ({', '.join(phases)})" if len(phases) > 1 else "")
        text += f", {tables.memory(self.bytes)} moved, {self.intensity:.1f} FLOPs a byte"
        missing = ", ".join(f"{name} {count:,}" for name, count in self.left_out.items())
        return text + (f"; not counted: {missing}" if missing else "")

    def table(self) -> tables.Table:
        columns = [tables.Column("layer"), tables.Column("op"), tables.Column(self.convention, True), tables.Column("share"),
                   tables.Column("read", True), tables.Column("written", True), tables.Column("FLOPs/byte", True)]
        total = self.total
        rows = [(r.layer, r.op, tables.count(self.count(r)), tables.share(self.count(r), total), tables.memory(r.read),
                 tables.memory(r.written), f"{r.intensity:.1f}") for r in self.rows if r.flops or r.read]
        return tables.Table(f"{self.network}, batch {self.batch}", self.totals().split("; "), columns, rows)

    def __repr__(self) -> str:
        return f"Costs({self.network}: {self.totals()})"


def cost(net: Any, input_shape: Any, convention: str = "macs", batch: int = 1, training: bool = False,
         optimizer: Optimizer | None = None) -> Costs:
    """The work of a network for a batch of inputs, counted by a named convention (the head of ask/cost.py lists them).

    input_shape: of one item, without the batch axis: (C, H, W). training: in train mode, with the backward pass from the
    outputs to the parameters that require a gradient; the loss is not part of it. optimizer: with its update too.

    Raises ArgumentError for an unknown convention, ShapeError where sizes do not fit.

    >>> from striate import nn
    >>> net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU())
    >>> cost(net, (3, 32, 32)).total, cost(net, (3, 32, 32), "real_macs").total, cost(net, (3, 32, 32), "flops").total
    (221184, 212064, 450560)
    """
    if convention not in CONVENTIONS:
        raise ArgumentError(f"unknown convention '{convention}'; use {', '.join(CONVENTIONS)}")
    net, training = network(net), training or optimizer is not None
    graph = traced(net, input_shape, batch, training)
    phases = dict.fromkeys(graph.nodes, "forward")
    if training:
        gradients = _backward(graph)
        phases = {node: phases.get(node, "backward") for node in graph.nodes}
        if optimizer is not None:
            _update(graph, net, optimizer, gradients)
    return Costs(name_of(net), batch, convention, tuple(work(node, phases.get(node, "update")) for node in graph.nodes))


def work(node: Node, phase: str = "forward") -> Work:
    """What one node does."""
    inputs, outputs = specs_of(node.inputs), specs_of(node.outputs)
    found = node.op.cost(inputs, outputs)
    return Work(node.module, node.op.name, phase, found, _bytes(found.reads, inputs), _bytes(found.writes, outputs))


def _bytes(elements: int, specs: Sequence[Spec]) -> int:
    """Bytes of all elements of some arrays, or of so many elements of the first."""
    if elements == sum(spec.size for spec in specs):
        return sum(spec.bytes for spec in specs)
    return elements * np.dtype(specs[0].dtype).itemsize


def _backward(graph: Graph) -> dict[str, Value]:
    """Add the gradients of the parameters to a graph; returns those that there are."""
    outputs = [v for v in graph.outputs if v.dtype.startswith("float")]
    seeds = [graph.input(v.shape, v.dtype, "dy") for v in outputs]
    names = [name for name, v in graph.parameters.items() if graph.sources[v].requires_grad]
    found = differentiate(graph, outputs, seeds, [graph.parameters[name] for name in names])
    gradients = {name: gradient for name, gradient in zip(names, found, strict=True) if gradient is not None}
    graph.outputs = [*graph.outputs, *gradients.values()]
    graph.prune()
    return gradients


def _update(graph: Graph, net: Module, optimizer: Optimizer, gradients: dict[str, Value]) -> None:
    """Add the optimizer's update of every parameter that has a gradient."""
    rules = copy.copy(optimizer)  # asking must not bind it to the network
    names = {id(parameter): name for name, parameter in net.named_parameters()}
    for group in rules.groups_for(net):
        hyper = graph.input(group.hyper(1).shape, name="hyper")
        for name in (names[id(p)] for p in group.parameters if names[id(p)] in gradients):
            old = graph.parameters[name]
            states = [graph.input(old.shape, name=state) for state in group.state_names]
            with graph.at(Node(group.op, (), name.rpartition(".")[0], "")):
                graph.apply(group.op, old, gradients[name], *states, hyper)
