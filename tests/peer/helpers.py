"""A network of this folder beside its twin of PyTorch: weights, outputs, gradients, steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from tests.cpu.helpers import close, floats
from tests.peer.network import Network

import striate as st
from striate import nn

Array = np.ndarray


def twins(network: Network) -> tuple[nn.Module, torch.nn.Module]:
    """The network of striate, and PyTorch's with the same weights, in float64."""
    torch.manual_seed(0)
    ours, theirs = network.build(nn, st), network.build(torch.nn, torch)
    theirs = theirs.double()
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def inputs_of(network: Network, batch: int, other: bool = False, seed: int = 0) -> list[Array]:
    """Arrays for a batch: normal numbers, or words."""
    shapes = network.other if other else network.shapes
    if network.words:
        return [np.random.default_rng([seed, i]).integers(network.words, size=(batch, *s)) for i, s in enumerate(shapes)]
    return [floats(batch, *s, seed=seed + i) for i, s in enumerate(shapes)]


def tensors(arrays: list[Array], dtype: torch.dtype = torch.float64) -> list[torch.Tensor]:
    """The same for PyTorch: floats with gradients, or int64."""
    return [torch.tensor(a, dtype=dtype, requires_grad=True) if a.dtype.kind == "f" else torch.tensor(a) for a in arrays]


def backward(net: torch.nn.Module, given: list[torch.Tensor]) -> tuple[Any, list[torch.Tensor], dict[str, torch.Tensor]]:
    """PyTorch's outputs, the gradients that they were given, and those of inputs and parameters by name."""
    outputs = net(*given)
    normal = torch.manual_seed(1)
    seeds = [torch.randn(leaf.shape, dtype=torch.float64, generator=normal) for leaf in leaves(outputs)]
    torch.autograd.backward(leaves(outputs), [s.to(leaf.dtype) for s, leaf in zip(seeds, leaves(outputs), strict=True)])
    named = {f"dx {i}": x for i, x in enumerate(given) if x.requires_grad} | dict(net.named_parameters())
    return outputs, seeds, {name: torch.zeros_like(v) if v.grad is None else v.grad for name, v in named.items()}


def leaves(outputs: Any) -> list[Any]:
    """The arrays or tensors of an output, in order."""
    if isinstance(outputs, dict):
        outputs = list(outputs.values())
    return [leaf for item in outputs for leaf in leaves(item)] if isinstance(outputs, (tuple, list)) else [outputs]


def close_outputs(got: Any, wanted: Any, tolerance: float) -> None:
    ours, theirs = leaves(got), leaves(wanted)
    assert type(got).__name__ == type(wanted).__name__ or not isinstance(got, (tuple, list, dict))
    assert len(ours) == len(theirs)
    for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        close(a, b.detach(), tolerance, f"output {i}")


def still(module: Any) -> None:
    """No dropout: its masks are not PyTorch's."""
    if type(module).__name__.startswith("Dropout"):
        module.p = 0.0


def loss_of(n: Any) -> Any:
    """The sum over all outputs of the mean square of the distance to a target of one number."""

    def add(outputs: Any, y: Any) -> Any:
        return sum(((leaf - y) * (leaf - y)).mean() for leaf in leaves(outputs))

    class Loss(n.Module):
        def forward(self, outputs, y):
            return add(outputs, y)

    return Loss()
