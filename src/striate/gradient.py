"""Reverse-mode differentiation: one walk backwards over the graph that adds the gradients as nodes.

    dL/dx = sum over the nodes that read x of (dy/dx)^T dL/dy

Source: Griewank & Walther, Evaluating Derivatives, section 3.2.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from striate.graph import Graph, Value


def differentiate(graph: Graph, outputs: Sequence[Value], seeds: Sequence[Value], wanted: Iterable[Value]) -> list[Value | None]:
    """Gradients of sum(<seed, output>) with respect to the wanted values; None where no path leads.

    Outputs that are whole numbers, such as the places of maxima, have none.
    """
    wanted = list(wanted)
    reached = _reached(graph, set(wanted))
    found: dict[Value, Value] = {}
    for output, seed in zip(outputs, seeds, strict=True):
        if output.dtype.startswith("float"):
            _add(graph, found, output, seed)
    for node in reversed(list(graph.nodes)):
        if not any(v in found for v in node.outputs) or not any(v in reached for v in node.inputs):
            continue
        dy = [found.get(v) for v in node.outputs]
        with graph.at(node):
            for value, gradient in zip(node.inputs, node.op.gradient(graph, node.inputs, node.outputs, dy), strict=True):
                if gradient is not None and value in reached:
                    _add(graph, found, value, gradient)
    return [found.get(value) for value in wanted]


def _reached(graph: Graph, start: set[Value]) -> set[Value]:
    """Values that depend on the wanted ones: only these need gradients."""
    for node in graph.nodes:
        if start.intersection(node.inputs):
            start.update(node.outputs)
    return start


def _add(graph: Graph, found: dict[Value, Value], value: Value, gradient: Value) -> None:
    found[value] = found[value] + gradient if value in found else gradient
