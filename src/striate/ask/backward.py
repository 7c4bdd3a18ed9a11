"""What goes backwards through a network: the delta of every layer, by the references in float64.

    delta of a layer  = dC / d(its output)          gradient of a parameter = dC / d(parameter)

Of a multilayer perceptron the rows of the linear layers hold the deltas of the textbooks, delta^l = dC / dz^l. A table of their
norms shows where gradients vanish: each sigmoid multiplies by at most 1/4, so the layers at the front, near the input, get least.

    flat   share of the numbers at which an activation's slope is below 1/1000: it is saturated
    dead   share of the units (channels) of an activation that are 0 for the whole batch

Sources: Rumelhart, Hinton & Williams, Nature 323, 1986; Hochreiter, Untersuchungen zu dynamischen neuronalen Netzen, 1991.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from striate.ask.tracing import network
from striate.errors import ShapeError
from striate.gradient import differentiate
from striate.graph import Graph, Node, Value, as_spec, paths_of, trace_values
from striate.ops.base import Array
from striate.ops.elementwise import Unary

FLAT = 1e-3


@dataclass(frozen=True)
class Delta:
    """One operator: the module that it stands in, its output, the derivative of the cost by it, and their norms."""

    layer: str
    op: str
    output: Array
    delta: Array
    gradients: dict[str, Array]
    """Those of the parameters that the operator reads, by name."""
    flat: float | None = None
    dead: float | None = None

    @property
    def norm(self) -> float:
        """Euclidean norm of the delta."""
        return float(np.linalg.norm(self.delta))

    def text(self) -> str:
        marks = [f"flat {self.flat:.0%}" if self.flat else "", f"dead {self.dead:.0%}" if self.dead else ""]
        marks += [f"|d {name}| {np.linalg.norm(g):.3g}" for name, g in self.gradients.items()]
        shape = " x ".join(map(str, self.delta.shape)) or "1"
        return f"{self.layer:<16} {self.op:<22} {shape:<16} {self.norm:<11.4g} {', '.join(filter(None, marks))}".rstrip()


@dataclass(frozen=True)
class Backward:
    """The cost and the rows, from the input to the cost. `print(found)` shows them from the cost back to the input."""

    cost: float
    rows: tuple[Delta, ...]

    def of(self, layer: str) -> Delta:
        """The row of a layer, by its path; its last operator where it has several."""
        return {row.layer: row for row in self.rows}[layer]

    def __str__(self) -> str:
        head = f"{'layer':<16} {'operator':<22} {'output':<16} {'|delta|':<11} notes"
        return "\n".join([f"cost {self.cost:.6g}", head, *(row.text() for row in reversed(self.rows))])


def explain_backward(net: Any, loss: Callable[..., Any], x: Any, *targets: Any, show: bool = True) -> Backward:
    """The delta of each operator and the gradient of each parameter of loss(net(x), *targets), printed unless `show` is False.

    The network runs in the mode that it is in. Raises ShapeError for a loss that is not one number.

    >>> from striate import nn
    >>> found = explain_backward(nn.Sigmoid(), nn.HalfSquaredError(), np.zeros((1, 1)), np.ones((1, 1)), show=False)
    >>> found.cost, found.rows[0].delta.item()          # (1 - 1/2)^2 / 2,  1/2 - 1
    (0.125, -0.5)
    """
    net, arrays = network(net), [np.asarray(a) for a in (x, *targets)]
    graph = Graph()
    graph.paths.update(paths_of(loss) | paths_of(net))
    values = [graph.input(as_spec(a).shape, as_spec(a).dtype) for a in arrays]
    cost = trace_values(loss, [trace_values(net, values[:1]), *values[1:]])
    if cost.spec.size != 1:
        raise ShapeError(f"the loss has shape {cost.shape}, but the backward pass starts at one number",
                         fix="use reduction='mean' or 'sum'")  # fmt: skip
    nodes = graph.needed_for([cost])
    wanted = [*(v for node in nodes for v in node.inputs if v.dtype == "float32"), *(node.output for node in nodes)]
    wanted = list(dict.fromkeys(wanted))
    found = differentiate(graph, [cost], [graph.constant(np.ones(cost.shape, np.float32))], wanted)
    results = graph.evaluate(arrays, np.float64)
    deltas = {v: results[d] for v, d in zip(wanted, found, strict=True) if d is not None}
    rows = tuple(_row(graph, node, results, deltas) for node in nodes if node.output in deltas)
    answer = Backward(float(results[cost]), rows)
    if show:
        print(answer)
    return answer


def _row(graph: Graph, node: Node, results: dict[Value, Array], deltas: dict[Value, Array]) -> Delta:
    output, names = results[node.output], {v: name for name, v in graph.parameters.items()}
    gradients = {names[v]: deltas[v] for v in node.inputs if v in names and v in deltas}
    flat, dead = None, None
    if isinstance(node.op, Unary):
        flat = float((np.abs(slope(node.op, results[node.inputs[0]])) < FLAT).mean())
        dead = float((output == 0).all(_batch_and_pixels(output)).mean())
    return Delta(node.module, node.op.name, output, deltas[node.output], gradients, flat, dead)


def _batch_and_pixels(output: Array) -> tuple[int, ...]:
    return tuple(i for i in range(output.ndim) if i != 1)


def slope(op: Unary, x: Array) -> Array:
    """The derivative of an elementwise operator at each element.

    >>> from striate import ops
    >>> slope(ops.Sigmoid(), np.zeros(1))
    array([0.25])
    """
    graph = Graph()
    value, one = graph.input(x.shape), graph.input(x.shape)
    (made,) = differentiate(graph, [graph.apply(op, value)], [one], [value])
    return np.zeros(x.shape) if made is None else graph.evaluate([x, np.ones(x.shape)], np.float64)[made]


def gradient_norms(found: Backward) -> dict[str, float]:
    """{parameter: norm of its gradient}, from the input to the cost.

    >>> from striate import nn
    >>> net = nn.Sequential(nn.Linear(2, 2), nn.Sigmoid(), nn.Linear(2, 1))
    >>> found = explain_backward(net, nn.HalfSquaredError(), np.ones((1, 2)), np.ones((1, 1)), show=False)
    >>> list(gradient_norms(found))
    ['0.weight', '0.bias', '2.weight', '2.bias']
    """
    return {name: float(np.linalg.norm(g)) for row in found.rows for name, g in row.gradients.items()}
