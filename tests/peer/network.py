"""What a network of this folder is: written once, for `torch.nn` and for `striate.nn`.

    @network((3, 13, 11))                   the shape of one item of each input; the batch stands in front
    def squeezenet(n, t):                   n: torch.nn or striate.nn; t: torch or striate, for cat, stack, matmul, where
        ...
        return a module
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Network:
    """A network to build, and what it takes."""

    build: Callable[[Any, Any], Any]
    shapes: tuple[tuple[int, ...], ...]
    other: tuple[tuple[int, ...], ...]
    """Another size of image that the same weights serve; empty where they serve none."""
    words: int
    """Inputs are whole numbers below it; 0 for floats."""

    @property
    def name(self) -> str:
        return self.build.__name__


def network(*shapes: tuple[int, ...], other: tuple[int, ...] = (), words: int = 0) -> Callable[..., Network]:
    """Makes a Network of a function `build(n, t)`."""
    return lambda build: Network(build, shapes, (other,) * len(shapes) if other else (), words)


def array(t: Any, numbers: Any) -> Any:
    """Numbers as a tensor for PyTorch, as they are for striate."""
    return t.from_numpy(numbers) if hasattr(t, "from_numpy") else numbers
