"""The summary of a network: one row per layer with its output, parameters, arithmetic and memory, for one item.

The network is traced in eval mode. A parameter counts in the row that reads it first, so the rows' parameters add up to
those that evaluation needs; `parameters` counts all that the network has.

    MACs          multiply-accumulates; FLOPs = 2 * MACs + the other arithmetic operations
    CPR           batch * MACs / parameters: how often a parameter is used, M * N for a convolution without bias that makes
                  maps of M x N pixels, 1 for a linear layer
    connections   MACs + additions of biases: the wires of the layer, of which weight sharing makes few parameters
    activation    bytes of the output
    field         the receptive field: pixels of the (first) input that one position of the output sees, padding among them

A row is a layer of striate.nn, or one operator that a `forward` calls by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from striate.ask import tables, tree
from striate.ask.cost import CONVENTIONS
from striate.ask.receptive import fields
from striate.ask.tracing import batched, name_of, network, specs_of, traced
from striate.graph import Graph, Node

Shape = tuple[int, ...]
COLUMNS = (tables.Column("layer"), tables.Column("kind"), tables.Column("output"), tables.Column("parameters", True),
           tables.Column("", spare=3), tables.Column("MACs", True), tables.Column("", spare=2),
           tables.Column("FLOPs", True, spare=5), tables.Column("CPR", True, spare=1),
           tables.Column("connections", True, spare=7), tables.Column("activation", True, spare=4),
           tables.Column("field", True, spare=6))


@dataclass(frozen=True)
class Row:
    """One layer: its path, operator, output without the batch axis; parameters, MACs and the others as the file's head says."""

    layer: str
    op: str
    output: Shape
    parameters: int
    macs: int
    flops: int
    cpr: float
    connections: int
    activation: int
    field: Shape


@dataclass(frozen=True)
class Summary(tables.Answer):
    """Rows and totals. `print(summary.text())` shows the table; `to_dict()`, `to_json()` and `to_csv()` are plain data."""

    network: str
    inputs: tuple[Shape, ...]
    rows: tuple[Row, ...]
    parameters: int
    trainable: int
    batch: int = 1
    kinds: tuple[tuple[str, str], ...] = ()
    """(path, class) of every module, for the tree."""
    fold: bool = False

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one item."""
        return sum(row.macs for row in self.rows)

    @property
    def flops(self) -> int:
        """All arithmetic operations for one item, two for each multiply-accumulate."""
        return sum(row.flops for row in self.rows)

    @property
    def activations(self) -> int:
        """Bytes of all outputs for one item."""
        return sum(row.activation for row in self.rows)

    def shares(self) -> dict[str, tuple[float, float]]:
        """By operator: its part of the rows' parameters and of the MACs, from 0 to 1.

        >>> from striate import nn
        >>> net = nn.Sequential(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 28 * 28, 10))
        >>> for op, (parameters, macs) in summary(net, (1, 28, 28), show=False).shares().items():
        ...     print(f"{op}: {parameters:.1%} of the parameters, {macs:.1%} of the MACs")
        conv2d: 0.3% of the parameters, 71.4% of the MACs
        linear: 99.7% of the parameters, 28.6% of the MACs
        """
        read, found = sum(row.parameters for row in self.rows), {}
        for op in dict.fromkeys(row.op for row in self.rows if row.parameters or row.macs):
            own = [row for row in self.rows if row.op == op]
            found[op] = (sum(r.parameters for r in own) / max(1, read), sum(r.macs for r in own) / max(1, self.macs))
        return found

    def advice(self) -> list[str]:
        """Where making the network faster and smaller would pay: at what does most of the work, and at what holds most weights.

        >>> from striate import nn
        >>> net = nn.Sequential(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 28 * 28, 10))
        >>> print(*summary(net, (1, 28, 28), show=False).advice(), sep="\\n")
        conv2d does 71.4% of the MACs, most of them in '0': to be faster, spare channels, taps or pixels there
        linear holds 99.7% of the parameters, most of them in '3': to be smaller, spare features there
        """
        shares, found = self.shares(), []
        for measure, place, does, gain in (("macs", 1, "does {:.1%} of the MACs", "faster"),
                                           ("parameters", 0, "holds {:.1%} of the parameters", "smaller")):
            op = max(shares, key=lambda name: shares[name][place], default="")
            most = max((row for row in self.rows if row.op == op), key=lambda row: getattr(row, measure), default=None)
            if most:
                spare = "features" if op == "linear" else "channels or taps" if place == 0 else "channels, taps or pixels"
                found.append(f"{op} {does.format(shares[op][place])}, most of them in '{most.layer}': to be {gain}, "
                             f"spare {spare} there")
        return found

    def to_dict(self) -> dict[str, Any]:
        """Plain data: totals, the modules from the top, and one dict for each row."""
        return {"network": self.network, "inputs": self.inputs, "batch": self.batch, "parameters": self.parameters,
                "trainable": self.trainable, "macs": self.macs, "flops": self.flops, "activations": self.activations,
                "modules": tuple({"path": path, "kind": kind} for path, kind in self.kinds),
                "rows": tuple(map(dict, map(vars, self.rows)))}

    def totals(self) -> str:
        """`61,706 parameters, 416,520 MACs`, and how many of the parameters are not trained or not used."""
        unused = self.parameters - sum(row.parameters for row in self.rows)
        fixed = self.parameters - self.trainable
        parts = [f"{self.parameters:,} parameters", f"{fixed:,} of them fixed" if fixed else "",
                 f"{unused:,} of them not used in evaluation" if unused else "", f"{self.macs:,} MACs"]
        return ", ".join(filter(None, parts))

    def notes(self) -> list[str]:
        """The totals, then which operators hold the parameters and do the work."""
        memory = f"{tables.memory(4 * self.parameters)} of parameters, {tables.memory(self.activations)} of activations"
        shares = [f"{op}: {parameters:.1%} of the parameters, {macs:.1%} of the MACs"
                  for op, (parameters, macs) in self.shares().items()]
        return [f"{self.totals()}, {self.flops:,} FLOPs", memory, *shares]

    def table(self) -> tables.Table:
        title = f"{self.network} on {', '.join(map(tables.shape, self.inputs))}"
        return tables.Table(title + (f", CPR for batch {self.batch}" if self.batch > 1 else ""), self.notes(), COLUMNS,
                            list(self.lines()))

    def lines(self) -> Iterator[tuple[str, ...]]:
        """The cells of the table: modules with their sums, and the rows below them."""
        read, done, kinds = sum(row.parameters for row in self.rows), self.macs, dict(self.kinds)
        for depth, name, kind, rows, leaf in tree.lines(self.rows, kinds, self.fold):
            parameters, macs = sum(r.parameters for r in rows), sum(r.macs for r in rows)
            yield ("  " * depth + name, kind or rows[-1].op, tables.shape(rows[-1].output), tables.count(parameters),
                   tables.share(parameters, read) if leaf else "", tables.count(macs),
                   tables.share(macs, done) if leaf else "", tables.count(sum(r.flops for r in rows)),
                   f"{self.batch * macs / parameters:,.1f}" if parameters and macs else "",
                   tables.count(sum(r.connections for r in rows)), tables.memory(sum(r.activation for r in rows)),
                   tables.shape(rows[-1].field) if rows[-1].field else "")

    def __repr__(self) -> str:
        return f"Summary({self.network}: {self.totals()})"


def summary(net: Any, input_shape: Any, show: bool = True, batch: int = 1, fold: bool = False) -> Summary:
    """Layers, sizes, parameters, arithmetic and memory of a network, printed as a table unless `show` is False.

    `input_shape` is that of one item, without the batch axis: (C, H, W); a list of shapes, or of Specs with a dtype, for a
    network of several inputs. All numbers are for one item, but for the CPR, which `batch` multiplies. fold: equal
    neighbours, such as the blocks of a residual network, are shown once.

    Raises ShapeError: sizes that do not fit, with the layer and the mend (`explain` shows the way there).

    >>> from striate import nn
    >>> net = nn.Sequential(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 28 * 28, 10))
    >>> summary(net, (1, 28, 28), show=False)
    Summary(Sequential: 47,206 parameters, 164,640 MACs)
    """
    net, inputs = network(net), tuple(spec.shape[1:] for spec in batched(input_shape, batch))
    graph = traced(net, input_shape)
    modules = list(net.named_modules())
    sizes = [(p.size, p.requires_grad) for p in net.parameters()]
    own = {path for path, module in modules if type(module).__module__.startswith("striate.nn.")}
    found = Summary(name_of(net), inputs, tuple(rows(graph, own, batch)), sum(n for n, _ in sizes),
                    sum(n for n, trained in sizes if trained), batch, tuple((p, type(m).__name__) for p, m in modules), fold)
    if show:
        tables.show(found)
    return found


def rows(graph: Graph, layers: Iterable[str] = (), batch: int = 1) -> Iterator[Row]:
    """One row for each node, or for all nodes of one of the `layers`; each parameter counts once."""
    left, seen = set(graph.parameters.values()), fields(graph)
    for nodes in runs(graph.nodes, set(layers)):
        read = left.intersection(v for node in nodes for v in node.inputs)
        left -= read
        field = seen.get(nodes[-1].output)
        yield row(nodes, sum(v.spec.size for v in read), batch, field.size if field else ())


def runs(nodes: Iterable[Node], layers: set[str]) -> Iterator[list[Node]]:
    """Nodes one by one, but those of one call of a layer together: the next call starts with the same operator again."""
    run: list[Node] = []
    for node in nodes:
        if run and not (node.module == run[0].module in layers and type(node.op) is not type(run[0].op)):
            yield run
            run = []
        run.append(node)
    if run:
        yield run


def row(nodes: Sequence[Node], parameters: int, batch: int, field: Shape) -> Row:
    """The row of some nodes that follow each other."""
    costs = [node.op.cost(specs_of(node.inputs), specs_of(node.outputs)) for node in nodes]
    macs, last = sum(c.macs for c in costs), nodes[-1].output
    return Row(nodes[0].module, " + ".join(dict.fromkeys(node.op.name for node in nodes)), last.shape[1:], parameters, macs,
               sum(map(CONVENTIONS["flops"], costs)), batch * macs / parameters if parameters else 0.0,
               macs + sum(c.biases for c in costs), last.spec.bytes, field)
