"""How questions reach a network: its graph for inputs that are given without the batch axis, in eval or train mode."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from striate.errors import ArgumentError, ShapeError
from striate.graph import Graph, Value, finish, paths_of, trace_values
from striate.nn.module import Module
from striate.ops.base import Spec

IMAGE_LAYERS = ("striate.nn.conv", "striate.nn.pool", "striate.nn.pool_adaptive", "striate.nn.separable")
"""Where layers live that also take one image without a batch."""


def traced(net: Module, input_shape: Any, batch: int = 1, training: bool = False) -> Graph:
    """The graph of a network for `batch` items of `input_shape`; the modules' own modes are left as they are.

    >>> from striate import nn
    >>> traced(nn.ReLU(), (3, 8, 8), batch=2).outputs
    [Value(relu: float32 (2, 3, 8, 8))]
    """
    inputs = batched(input_shape, batch)
    with mode(net, training):
        graph, error = partial(net, inputs)
    if error is not None:
        raise error
    return graph


def partial(net: Module, inputs: Sequence[Spec]) -> tuple[Graph, ShapeError | None]:
    """The graph, or as far as it goes with the error that ends it."""
    graph = Graph()
    graph.paths.update(paths_of(net))
    try:
        finish(graph, trace_values(net, [graph.input(spec.shape, spec.dtype) for spec in inputs]))
    except ShapeError as error:
        return with_batch(net, graph), error
    return with_batch(net, graph.prune()), None


def with_batch(net: Module, graph: Graph) -> Graph:
    """The same graph. Raises ArgumentError where a layer took the batch for channels: an image was given without any."""
    for node in graph.nodes:
        item = node.inputs[0].shape if node.inputs and node.inputs[0] in graph.inputs else None
        if item and node.op.name == "reshape" and node.output.shape == (1, *item):
            layer = dict(net.named_modules()).get(node.module)
            if type(layer).__module__ in IMAGE_LAYERS:
                raise ArgumentError(f"one item has shape {item[1:]}, of which layer '{node.module}' ({type(layer).__name__}) "
                                    f"makes {node.output.shape}; give channels too, such as (3, 224, 224)")
    return graph


def batched(input_shape: Any, batch: int = 1) -> list[Spec]:
    """One Spec with a batch axis for each input, out of the shape or Spec of one item, or a list of them.

    >>> batched((3, 32, 32), 8)
    [Spec(shape=(8, 3, 32, 32), dtype='float32')]
    """
    if not isinstance(batch, int) or batch < 1:
        raise ArgumentError(f"batch must be a whole number of at least 1, got {batch!r}")
    return [Spec((batch, *item.shape), item.dtype) if isinstance(item, Spec) else Spec((batch, *item))
            for item in _items(input_shape)]


def _items(input_shape: Any) -> list[Any]:
    """Shapes or Specs, one for each input."""
    if isinstance(input_shape, Spec):
        return [input_shape]
    if isinstance(input_shape, Sequence) and input_shape and all(isinstance(n, int) for n in input_shape):
        return [input_shape]
    if isinstance(input_shape, Sequence) and input_shape and all(isinstance(s, (Spec, tuple, list)) for s in input_shape):
        return list(input_shape)
    raise ArgumentError(f"input_shape is the shape of one item, such as (3, 224, 224), or a list of shapes, got {input_shape!r}")


@contextmanager
def mode(net: Module, training: bool) -> Iterator[None]:
    """Train or eval mode within, every module's own mode again afterwards."""
    modes = [(module, module.training) for module in net.modules()]
    net.train(training)
    try:
        yield
    finally:
        for module, before in modes:
            module.training = before


def name_of(net: Module) -> str:
    """The registry's name of a network, or its class."""
    return getattr(net, "config", {}).get("name", type(net).__name__)


def specs_of(values: Sequence[Value]) -> list[Spec]:
    return [value.spec for value in values]


def network(net: Any) -> Module:
    """The network itself; a torch.nn.Module as a network of striate's with its weights. Raises ArgumentError for others."""
    if isinstance(net, Module):
        return net
    if not any(kind.__module__.startswith("torch.nn") for kind in type(net).__mro__):
        mend = f"make one: {net.__name__}(...)" if isinstance(net, type) else "give a striate.nn.Module or a torch.nn.Module"
        raise ArgumentError(f"questions are about networks, got {net if isinstance(net, type) else type(net).__name__}; {mend}")
    from striate.ask.torch_bridge import from_torch  # only for who has torch

    return from_torch(net)
