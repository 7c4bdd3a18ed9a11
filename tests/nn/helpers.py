"""Modules side by side with PyTorch's of the same name, in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from tests.helpers import close, draw

import striate.nn
from striate import nn
from striate.gradient import differentiate
from striate.graph import Graph, trace
from striate.ops import Array, Spec

Maker = Callable[[Any], Any]
"""Builds a module out of a namespace with PyTorch's names: striate.nn or torch.nn."""


def both(make: Maker) -> tuple[nn.Module, torch.nn.Module]:
    """The same module twice, with PyTorch's weights."""
    ours, theirs = make(striate.nn), make(torch.nn)
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs.double()


def graph_of(module: Any, *arrays: Array) -> Graph:
    """The trace for arrays of these shapes; numbers are float32."""
    return trace(module, *(Spec(a.shape, "float32" if a.dtype.kind == "f" else str(a.dtype)) for a in arrays))


def run(module: Any, *arrays: Array) -> Any:
    """The outputs, in float64."""
    return graph_of(module, *arrays).run(*arrays, target="reference", dtype=np.float64)


def step(module: nn.Module, *arrays: Array) -> Any:
    """The outputs in float64; buffers take their new values, as after a step of training."""
    graph = graph_of(module, *arrays)
    values = graph.evaluate(arrays, np.float64)
    for old, new in graph.updates.items():
        graph.sources[old].data = values[new]
    return graph.structure([values[v] for v in graph.outputs])


def gradients(module: nn.Module, *arrays: Array) -> dict[str, Array]:
    """{name: gradient of <output, draw(...)>} for the parameters, and 'x' for the first input."""
    graph = graph_of(module, *arrays)
    dy = graph.input(graph.outputs[0].shape)
    wanted = {**graph.parameters, "x": graph.inputs[0]}
    found = differentiate(graph, graph.outputs[:1], [dy], wanted.values())
    values = graph.evaluate([*arrays, draw(*dy.shape)], np.float64)
    return {name: values[g] for name, g in zip(wanted, found, strict=True) if g is not None}


def torch_gradients(module: torch.nn.Module, *arrays: Array) -> dict[str, Array]:
    """The same by PyTorch."""
    module.zero_grad()
    tensors = [torch.tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays]
    y = module(*tensors)
    y.backward(torch.tensor(draw(*y.shape)))
    found = {name: p.grad.numpy() for name, p in module.named_parameters() if p.grad is not None}
    return {**found, "x": tensors[0].grad.numpy()}


def check_module(make: Maker, *arrays: Array) -> None:
    """Print, keys, shapes, dtypes, outputs in both modes and gradients are PyTorch's."""
    ours, theirs = both(make)
    assert repr(ours) == repr(theirs)
    check_state(ours.state_dict(), make(torch.nn).state_dict())
    assert [n for n, _ in ours.named_parameters()] == [n for n, _ in theirs.named_parameters()]
    make(torch.nn).load_state_dict({name: torch.tensor(a) for name, a in ours.state_dict().items()})
    for mode in (False, True):  # training last: it changes PyTorch's running statistics
        ours.train(mode), theirs.train(mode)
        close(run(ours, *arrays), theirs(*map(torch.tensor, arrays)).detach().numpy())
        mine, wanted = gradients(ours, *arrays), torch_gradients(theirs, *arrays)
        assert mine.keys() == wanted.keys()
        for name in mine:
            close(mine[name], wanted[name], rtol=1e-6)


def check_state(mine: dict[str, Array], wanted: dict[str, torch.Tensor]) -> None:
    """Keys in PyTorch's order, shapes and dtypes."""
    assert [(k, a.shape, str(a.dtype)) for k, a in mine.items()] == [
        (k, tuple(t.shape), str(t.dtype).removeprefix("torch.")) for k, t in wanted.items()
    ]
