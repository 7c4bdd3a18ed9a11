"""What the functions share: the normalisation of their arguments, done once before an operator enters the graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from striate.errors import ArgumentError
from striate.graph import Value
from striate.nn.module import TRACED, Variable

Tensor = Value | Variable
"""What a function takes: a symbolic value, or a parameter or buffer that stands for one."""


def symbol(item: Any) -> Value:
    """The symbolic value of an input."""
    if isinstance(item, Value):
        return item
    graph = TRACED.get()
    if graph is None:
        raise ArgumentError(
            f"functions of nn.functional take symbolic values, got {type(item).__name__}; use them inside a module's "
            "forward and call the module with arrays"
        )
    return graph.lift(item)


def symbols(items: Sequence[Any], name: str) -> list[Value]:
    values = [symbol(item) for item in items]
    if not values:
        raise ArgumentError(f"{name} got no values; give it at least one")
    return values


def images(input: Tensor, function: Callable[[Value], Any], rank: int = 2) -> Any:
    """Call a function of (N, C, H, W), `rank` spatial axes; one image (C, H, W) goes in and comes out as a batch of one."""
    x = symbol(input)
    if x.ndim != rank + 1:
        return function(x)
    y = function(x.unsqueeze(0))
    return tuple(v.squeeze(0) for v in y) if isinstance(y, tuple) else y.squeeze(0)


def given(item: Any) -> tuple[Any, ...]:
    return () if item is None else (item,)


def stride_or_size(stride: Any, kernel_size: Any) -> Any:
    return kernel_size if stride is None or stride == () else stride
