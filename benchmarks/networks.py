"""The benchmarked networks, written once for striate and PyTorch alike: `lib` is `striate.nn` or `torch.nn`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
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


def normed(lib: Any, c: int, k: int, size: int, stride: int = 1, groups: int = 1) -> list[Any]:
    """A convolution without bias and its batch norm."""
    return [lib.Conv2d(c, k, size, stride, size // 2, groups=groups, bias=False), lib.BatchNorm2d(k)]


def residual(lib: Any, body: list[Any], shortcut: list[Any]) -> Any:
    """relu(body(x) + shortcut(x)). He et al., arXiv:1512.03385."""

    class Residual(lib.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.shortcut = lib.Sequential(*body), lib.Sequential(*shortcut)

        def forward(self, x: Any) -> Any:
            return (self.body(x) + (self.shortcut(x) if shortcut else x)).relu()

    return Residual()


def resnet(lib: Any, blocks: tuple[int, ...], bottleneck: bool) -> Any:
    """ResNet v1.5 for 224x224, with the stride on the 3x3."""
    layers, c = [*normed(lib, 3, 64, 7, 2), lib.ReLU(), lib.MaxPool2d(3, 2, 1)], 64
    for stage, count in enumerate(blocks):
        width = 64 * 2**stage
        k = 4 * width if bottleneck else width
        for i in range(count):
            stride = 2 if stage and not i else 1
            if bottleneck:
                body = [*normed(lib, c, width, 1), lib.ReLU(), *normed(lib, width, width, 3, stride), lib.ReLU(),
                        *normed(lib, width, k, 1)]
            else:
                body = [*normed(lib, c, width, 3, stride), lib.ReLU(), *normed(lib, width, k, 3)]
            layers.append(residual(lib, body, [] if stride == 1 and c == k else normed(lib, c, k, 1, stride)))
            c = k
    return lib.Sequential(*layers, lib.AdaptiveAvgPool2d(1), lib.Flatten(), lib.Linear(c, 1000))


def mobilenet_v1(lib: Any) -> Any:
    """Depthwise separable convolutions. Howard et al., arXiv:1704.04861."""
    layers, c = [*normed(lib, 3, 32, 3, 2), lib.ReLU()], 32
    for k, stride in [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]:
        layers += [*normed(lib, c, c, 3, stride, c), lib.ReLU(), *normed(lib, c, k, 1), lib.ReLU()]
        c = k
    return lib.Sequential(*layers, lib.AdaptiveAvgPool2d(1), lib.Flatten(), lib.Linear(c, 1000))


def vgg16(lib: Any) -> Any:
    """VGG-16, configuration D, without its dropout. Simonyan & Zisserman, arXiv:1409.1556."""
    layers, c = [], 3
    for k, count in [(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)]:
        for _ in range(count):
            layers += [lib.Conv2d(c, k, 3, padding=1), lib.ReLU()]
            c = k
        layers.append(lib.MaxPool2d(2))
    return lib.Sequential(*layers, lib.Flatten(), lib.Linear(512 * 49, 4096), lib.ReLU(), lib.Linear(4096, 4096), lib.ReLU(),
                          lib.Linear(4096, 1000))


@dataclass(frozen=True)
class Network:
    """How a network is made and what it is measured on: images at a time, and (C, H, W)."""

    make: Callable[[Any], Any]
    batch: int
    shape: tuple[int, int, int]


NETWORKS = {
    "lenet": Network(lenet, 64, (1, 28, 28)),
    "small_cnn": Network(small_cnn, 64, (1, 28, 28)),
    "resnet18": Network(partial(resnet, blocks=(2, 2, 2, 2), bottleneck=False), 16, (3, 224, 224)),
    "resnet50": Network(partial(resnet, blocks=(3, 4, 6, 3), bottleneck=True), 8, (3, 224, 224)),
    "mobilenet_v1": Network(mobilenet_v1, 16, (3, 224, 224)),
    "vgg16": Network(vgg16, 4, (3, 224, 224)),
}
