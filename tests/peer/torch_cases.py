"""PyTorch's own test cases: what its test-suite calls modules and functions with, and the comparison with striate.

The cases are internals of PyTorch, without promises: where they are missing, the tests that read them are skipped.
"""

from __future__ import annotations

import sys
import types
import unittest
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch

import striate as st
from striate import nn

FORWARD, GRADIENT = 2e-5, 2e-4
"""Largest error beside the largest number: float32 compiled against PyTorch in float64."""
ROUNDING = 1e-6
"""A gradient below this share of the input's size is a difference of nearly equal numbers: nothing but rounding."""


def internals(name: str) -> Any:
    """A module of torch.testing._internal; skips where it is not to be had."""
    if "expecttest" not in sys.modules:  # PyTorch's helpers ask for it when they are imported, the cases never
        stub = types.ModuleType("expecttest")
        stub.TestCase = unittest.TestCase  # type: ignore[attr-defined]
        sys.modules["expecttest"] = stub
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip(f"torch.testing._internal.{name}", exc_type=ImportError)


class Call(nn.Module):
    """A module whose forward is one function."""

    def __init__(self, function: Callable[..., Any]):
        super().__init__()
        self.function = function

    def forward(self, *inputs):
        return self.function(*inputs)


def spread(cases: Sequence[Any], most: int) -> list[Any]:
    """At most so many of the cases, first to last."""
    return [cases[round(i * (len(cases) - 1) / (most - 1))] for i in range(most)] if len(cases) > most else list(cases)


def double(item: Any) -> Any:
    """Tensors of numbers as float64, in lists and tuples too."""
    if isinstance(item, torch.Tensor):
        return item.detach().double() if item.is_floating_point() else item.detach()
    return type(item)(map(double, item)) if type(item) in (list, tuple) else item


def plain(item: Any) -> Any:
    """Tensors as arrays, in lists and tuples too."""
    if isinstance(item, torch.Size):
        return tuple(item)
    if isinstance(item, torch.Tensor):
        return item.detach().numpy()
    return type(item)(map(plain, item)) if type(item) in (list, tuple) else item


def taken_apart(item: Any, leaves: list[torch.Tensor]) -> Callable[[Sequence[Any]], Any]:
    """Collect the tensors of nested arguments; the function returned puts others into their places."""
    if isinstance(item, torch.Tensor):
        at = len(leaves)
        leaves.append(item)
        return lambda values: values[at]
    if isinstance(item, torch.Size):
        return lambda values: tuple(item)
    if isinstance(item, (list, tuple)):
        parts = [taken_apart(part, leaves) for part in item]
        return lambda values: type(item)(part(values) for part in parts)
    if isinstance(item, dict):
        named = {name: taken_apart(part, leaves) for name, part in item.items()}
        return lambda values: {name: part(values) for name, part in named.items()}
    return lambda values: item


def differs(got: Any, wanted: Any, tolerance: float, scale: float = 0.0) -> str:
    """What is wrong with an array; nothing if all is right. NaN and infinities stand in the same places."""
    got, wanted = np.asarray(got, np.float64), np.asarray(wanted, np.float64)
    if got.shape != wanted.shape:
        return f"shape {got.shape}, not {wanted.shape}"
    finite = np.isfinite(wanted)
    if not np.array_equal(got[~finite], wanted[~finite], equal_nan=True) or not np.isfinite(got[finite]).all():
        return "NaN or infinity elsewhere"
    error = np.abs(got[finite] - wanted[finite]).max(initial=0) / max(np.abs(wanted[finite]).max(initial=0), scale, 1e-30)
    return "" if error <= tolerance else f"error {error:.1e}"


def compare(ours: nn.Module, theirs: Any, tensors: Sequence[torch.Tensor], wants: Sequence[bool] = ()) -> list[str]:
    """What differs in outputs, gradients of inputs and parameters. wants: which inputs have a gradient in PyTorch."""
    asked = wants or [True] * len(tensors)
    inputs = [t.clone().requires_grad_(want) if t.is_floating_point() else t for t, want in zip(tensors, asked)]
    made = theirs(*inputs)
    wanted = list(made) if isinstance(made, (tuple, list)) else [made]
    y, pullback = st.vjp(ours, *(t.float().numpy() if t.is_floating_point() else t.numpy() for t in tensors))
    got = list(y) if isinstance(y, (tuple, list)) else [y]
    found = [differs(a, b.detach(), FORWARD) for a, b in zip(got, wanted, strict=True)]
    if not any(found):
        found += gradients(pullback, theirs, inputs, wanted)
    return [text for text in found if text]


def gradients(pullback: Callable[..., Any], theirs: Any, inputs: Sequence[torch.Tensor],
              wanted: Sequence[torch.Tensor]) -> list[str]:
    """What differs in the gradients of a random dy."""
    rng = np.random.default_rng(0)
    dy = [rng.standard_normal(tuple(t.shape)).astype(np.float32) * t.is_floating_point() for t in wanted]
    named = dict(theirs.named_parameters()) if isinstance(theirs, torch.nn.Module) else {}
    leaves = [t for t in inputs if t.requires_grad]
    roots = [(t, torch.tensor(d, dtype=torch.float64)) for t, d in zip(wanted, dy) if t.requires_grad]
    if not roots:
        return []
    tensors, seeds = zip(*roots)
    expected = torch.autograd.grad(tensors, [*leaves, *named.values()], seeds, allow_unused=True)
    dx, dparameters = pullback(*dy)
    given = [d for d in (dx if isinstance(dx, tuple) else (dx,)) if d is not None]
    mine = [d for d, t in zip(given, [t for t in inputs if t.is_floating_point()], strict=True) if t.requires_grad]
    if dparameters.keys() != named.keys():
        return [f"parameters {list(dparameters)}, not {list(named)}"]
    pairs = list(zip([*mine, *dparameters.values()], expected, [*leaves, *named.values()], strict=True))
    largest = max((float(g.nan_to_num(0, 0, 0).abs().max()) for _, g, _ in pairs if g is not None and g.numel()), default=0.0)
    scale = max(1e-3 * largest, ROUNDING * max((float(np.abs(d).max(initial=0)) for d in dy), default=0.0) / GRADIENT)
    return [differs(a, torch.zeros_like(t) if g is None else g, GRADIENT, scale) for a, g, t in pairs]
