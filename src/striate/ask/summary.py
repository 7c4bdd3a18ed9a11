"""The summary of a network: one row per operator with its output, parameters and multiply-accumulates, for one item.

The network is traced in eval mode. A parameter counts in the row that reads it first, so the rows' parameters add up to
those that evaluation needs; `parameters` counts all that the network has. MACs are multiply-accumulates: FLOPs are twice
as many.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from striate.errors import ArgumentError
from striate.graph import Graph, Node, Value, trace
from striate.nn.module import Module
from striate.ops.base import Spec

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Row:
    """One operator: the module that it stands in, its output without the batch axis, its parameters and MACs."""

    layer: str
    op: str
    output: Shape
    parameters: int
    macs: int


@dataclass(frozen=True)
class Summary:
    """Rows and totals. `print(summary.text())` shows the table; `to_dict()` is plain data."""

    network: str
    inputs: tuple[Shape, ...]
    rows: tuple[Row, ...]
    parameters: int
    trainable: int

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one item."""
        return sum(row.macs for row in self.rows)

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "macs": self.macs}

    def __rich__(self) -> Any:
        from rich.table import Table

        table = Table(title=f"{self.network} on {', '.join(map(size, self.inputs))}", caption=self.totals(), show_edge=False)
        for name, justify in (("layer", "left"), ("op", "left"), ("output", "left"), ("parameters", "right"), ("MACs", "right")):
            table.add_column(name, justify=justify)  # type: ignore[arg-type]
        for row in self.rows:
            table.add_row(row.layer, row.op, size(row.output), count(row.parameters), count(row.macs))
        return table

    def totals(self) -> str:
        """`61,706 parameters, 416,520 MACs`, and how many of the parameters are not trained or not used."""
        unused = self.parameters - sum(row.parameters for row in self.rows)
        fixed = self.parameters - self.trainable
        parts = [f"{self.parameters:,} parameters", f"{fixed:,} of them fixed" if fixed else "",
                 f"{unused:,} of them not used in evaluation" if unused else "", f"{self.macs:,} MACs"]
        return ", ".join(filter(None, parts))

    def text(self, width: int = 110) -> str:
        """The table as plain text."""
        from rich.console import Console

        console = Console(width=width, color_system=None, force_terminal=False, legacy_windows=False)
        with console.capture() as captured:
            console.print(self)
        return captured.get()

    def __repr__(self) -> str:
        return f"Summary({self.network}: {self.totals()})"


def summary(net: Module, input_shape: Any, show: bool = True) -> Summary:
    """Layers, sizes, parameters and MACs of a network, printed as a table unless `show` is False.

    `input_shape` is that of one item, without the batch axis: (C, H, W); a list of shapes, or of Specs with a dtype, for a
    network of several inputs.

    Raises ShapeError: sizes that do not fit, with the layer and the mend.

    >>> from striate import nn
    >>> net = nn.Sequential(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 28 * 28, 10))
    >>> summary(net, (1, 28, 28), show=False)
    Summary(Sequential: 47,206 parameters, 164,640 MACs)
    """
    inputs = tuple(batch_of_one(spec) for spec in specs(input_shape))
    with evaluating(net):
        graph = trace(net, *inputs)
    name = getattr(net, "config", {}).get("name", type(net).__name__)
    found = Summary(name, tuple(spec.shape[1:] for spec in inputs), tuple(rows(graph)),
                    sum(p.size for p in net.parameters()), sum(p.size for p in net.parameters() if p.requires_grad))
    if show:
        from rich.console import Console

        Console().print(found)
    return found


def rows(graph: Graph) -> Iterator[Row]:
    """One row per node; each parameter counts once."""
    left = set(graph.parameters.values())
    for node in graph.nodes:
        own = left.intersection(node.inputs)
        left -= own
        yield Row(node.module, node.op.name, node.output.shape[1:], sum(v.spec.size for v in own), macs(node))


def macs(node: Node) -> int:
    return node.op.cost(list(map(spec_of, node.inputs)), list(map(spec_of, node.outputs))).macs


def spec_of(value: Value) -> Spec:
    return value.spec


def specs(input_shape: Any) -> list[Any]:
    """Shapes or Specs, one per input, out of one or a list of them."""
    if isinstance(input_shape, Spec):
        return [input_shape]
    if isinstance(input_shape, Sequence) and input_shape and all(isinstance(n, int) for n in input_shape):
        return [input_shape]
    if isinstance(input_shape, Sequence) and input_shape and all(isinstance(s, (Spec, tuple, list)) for s in input_shape):
        return list(input_shape)
    raise ArgumentError(f"input_shape is the shape of one item, such as (3, 224, 224), or a list of shapes, got {input_shape!r}")


def batch_of_one(item: Any) -> Spec:
    if isinstance(item, Spec):
        return Spec((1, *item.shape), item.dtype)
    return Spec((1, *item))


@contextmanager
def evaluating(net: Module) -> Iterator[None]:
    """Eval mode within, every module's own mode again afterwards."""
    modes = [(module, module.training) for module in net.modules()]
    net.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def size(shape: Shape) -> str:
    """`3 x 224 x 224`."""
    return " x ".join(map(str, shape)) or "1"


def count(number: int) -> str:
    return f"{number:,}" if number else ""
