"""Rounding of convolutions: `python -m benchmarks.rounding [--save docs/rounding.md]`.

Every distinct 3x3 convolution at stride 1 of the benchmarked networks, on one image: how far outputs, gradients of the input and
gradients of the weights are from float64, by Winograd's algorithm, by striate's direct kernels (`precise = True`) and by PyTorch.
Outputs once more by the larger form of Winograd's algorithm, which inference uses ("6x6 y").
The error is the largest difference beside the largest number of the array. Inputs are rectified normal numbers, weights He et
al.'s, gradients normal.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch

import striate as st
from benchmarks.networks import NETWORKS
from striate import nn, ops
from striate.cpu.kernels.winograd import FOUR, SIX, Form
from striate.cpu.rules import conv as rules

Arrays = tuple[np.ndarray, ...]
FORMS = ("y", "dx", "dw")
WAYS = ("Winograd", "direct", "PyTorch")


def layers() -> Iterator[tuple[str, int, int, int]]:
    """(network, channels in, channels out, pixels), each size once."""
    known = set()
    for name, network in NETWORKS.items():
        for node in st.trace(network.make(nn), (1, *network.shape)).nodes:
            if isinstance(node.op, ops.Conv2d) and node.op.groups == 1:
                size = node.inputs[0].shape[1], node.output.shape[1], node.output.shape[2]
                if size not in known and size[0] > 3 and [(w.size, w.stride) for w in node.op.window] == [(3, 1)] * 2:
                    known.add(size)
                    yield name, *size


def arrays(c: int, k: int, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x, weight, dy"""
    rng = np.random.default_rng(0)
    x, weight, dy = (rng.standard_normal(shape, np.float32) for shape in ((1, c, size, size), (k, c, 3, 3), (1, k, size, size)))
    return np.maximum(x, 0), weight * np.float32(np.sqrt(2 / (9 * c))), dy


def always(form: Form) -> Any:
    """Winograd, in this form where there is a choice, whether it pays or not."""
    return mock.patch.multiple(rules, winograd_pays=lambda *sizes: True, winograd_weights_pays=lambda *sizes: True,
                               winograd_form=lambda *sizes: form)


def ours(x: np.ndarray, weight: np.ndarray, dy: np.ndarray, precise: bool) -> Arrays:
    """y, dx, dw; where not precise, by Winograd's algorithm whether it pays for one image or not."""
    net = nn.Conv2d(weight.shape[1], weight.shape[0], 3, padding=1, bias=False)
    net.weight.data, net.precise = weight, precise
    with always(FOUR):
        y, pullback = st.vjp(net, x)
    dx, gradients = pullback(dy)
    return y, dx, gradients["weight"]


def larger(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """y by the larger form."""
    net = nn.Conv2d(weight.shape[1], weight.shape[0], 3, padding=1, bias=False)
    net.weight.data = weight
    with always(SIX):
        return net(x)


def theirs(x: np.ndarray, weight: np.ndarray, dy: np.ndarray, dtype: torch.dtype) -> Arrays:
    a, w = (torch.tensor(v, dtype=dtype, requires_grad=True) for v in (x, weight))
    y = torch.nn.functional.conv2d(a, w, padding=1)
    return tuple(v.detach().numpy() for v in (y, *torch.autograd.grad(y, (a, w), torch.tensor(dy, dtype=dtype))))


def error(got: np.ndarray, exact: np.ndarray) -> float:
    return float(np.abs(got - exact).max() / np.abs(exact).max())


def rows() -> Iterator[tuple[str, list[float]]]:
    """A layer's name and its errors: forms within ways."""
    for name, c, k, size in layers():
        x, weight, dy = arrays(c, k, size)
        exact = theirs(x, weight, dy, torch.float64)
        found = ours(x, weight, dy, precise=False), ours(x, weight, dy, precise=True), theirs(x, weight, dy, torch.float32)
        errors = [error(a, b) for way in found for a, b in zip(way, exact, strict=True)]
        yield f"{name} {c} to {k}, {size} px", [*errors, error(larger(x, weight), exact[0])]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--save", type=Path)
    options = parser.parse_args()
    found: list[tuple[str, list[float]]] = []
    for name, errors in rows():
        found.append((name, errors))
        print(f"{name:32s}" + "".join(f"{e:9.1e}" for e in errors), flush=True)
    if options.save:
        options.save.write_text(page(found), encoding="utf-8")


def page(found: Any) -> str:
    """The table as Markdown."""
    head = ["layer", *(f"{way} {form}" for way in WAYS for form in FORMS), "6x6 y"]
    worst = [max(errors[3 * i + j] for _, errors in found for j in range(3)) for i in range(3)]
    largest = max(errors[-1] for _, errors in found)
    lines = ["# Rounding of convolutions", "", "Written by `python -m benchmarks.rounding --save docs/rounding.md`.", "",
             *" ".join((__doc__ or "").split("\n\n")[1].split("\n")).split("\n"), "",
             "A test holds Winograd's errors below 1e-5 in all three forms, and below 1e-4 with the larger tiles of inference; "
             "`net.precise = True` keeps Winograd and Strassen out. "
             f"The largest error of the table is {worst[0]:.1e} with Winograd, {largest:.1e} with larger tiles, "
             f"{worst[1]:.1e} with direct kernels and {worst[2]:.1e} with PyTorch. "
             "Why the points 0, ±5/8, ±3/2 and infinity are taken, which make the error small, stands in "
             "[winograd.py](../src/striate/cpu/kernels/winograd.py). Training with either is the same within what another order "
             "of sums changes: [a test](../tests/cpu/test_winograd_error.py) compares the losses.",
             "", "| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *(f"| {name} | " + " | ".join(f"{e:.1e}" for e in errors) + " |" for name, errors in found), ""])


if __name__ == "__main__":
    main()
