"""The benchmarked networks, written once for striate and PyTorch alike: `lib` is `striate.nn` or `torch.nn`."""

from __future__ import annotations

from typing import Any


def lenet(lib: Any) -> Any:
    """LeNet on 28x28: 61,706 parameters, 416,520 multiply-accumulates."""
    return lib.Sequential(
        lib.Conv2d(1, 6, 5, padding=2), lib.Tanh(), lib.AvgPool2d(2),
        lib.Conv2d(6, 16, 5), lib.Tanh(), lib.AvgPool2d(2), lib.Flatten(),
        lib.Linear(400, 120), lib.Tanh(), lib.Linear(120, 84), lib.Tanh(), lib.Linear(84, 10),
    )  # fmt: skip


def small_cnn(lib: Any) -> Any:
    """Four 3x3 convolutions with batch norm on 28x28."""

    def block(c: int, k: int) -> list[Any]:
        return [lib.Conv2d(c, k, 3, padding=1), lib.BatchNorm2d(k), lib.ReLU()]

    return lib.Sequential(
        *block(1, 32), *block(32, 32), lib.MaxPool2d(2), *block(32, 64), *block(64, 64), lib.MaxPool2d(2),
        lib.Flatten(), lib.Linear(64 * 7 * 7, 10),
    )  # fmt: skip


NETWORKS = {"lenet": (lenet, 64, (1, 28, 28)), "small_cnn": (small_cnn, 64, (1, 28, 28))}
"""name: constructor, batch, input shape"""
