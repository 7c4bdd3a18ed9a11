"""The CPU target: from a graph to machine code that runs on every core. docs/architecture.md walks through it in order."""

from __future__ import annotations

from typing import Any

from striate.graph import Graph


def run_graph(graph: Graph, inputs: list[Any]) -> Any:
    """Run a traced graph once."""
    from striate import random
    from striate.cpu.program import Program

    program = Program(graph.copy())  # lowering rewrites; the caller's graph stays as it was traced
    return graph.structure(program.run(inputs, random.run_key()))
