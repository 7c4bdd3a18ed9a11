"""AlexNet: the first deep network to win ImageNet's contest, with ReLU, dropout and overlapping maxima.

    (N, 3, 227, 227)
      conv 11x11 stride 4, ReLU, LRN, max of 3x3 stride 2       (N, 96, 27, 27)
      conv 5x5 pad 2, ReLU, LRN, max of 3x3 stride 2            (N, 256, 13, 13)
      conv 3x3 to 384, conv 3x3 to 384, conv 3x3 to 256         (N, 256, 13, 13), each with pad 1 and ReLU
      max of 3x3 stride 2, dropout, linear 4096, ReLU, dropout, linear 4096, ReLU, linear num_classes

Windows are 11, 5 and 3 pixels wide; maxima of 3x3 that move by 2 overlap.

`alexnet_2gpu` is the paper's: the second, fourth and fifth convolution read only the channels of their own half (groups = 2),
because each half was computed by a GPU of its own: 60,965,224 parameters, the "60 million" of the paper. `alexnet` is the
same in one tower: 62,378,344 parameters. The paper says 224 pixels; its sizes need 227. `alexnet_owt` is torchvision's,
whose weights load: fewer channels, no LRN, 224 pixels with padding 2, as in the author's "One weird trick for parallelizing
convolutional neural networks" (arXiv:1404.5997).

LRN here divides alpha by the number of channels that it sums over, the paper's does not: 1e-4 there is 5e-4 here.

Source: Krizhevsky, Sutskever & Hinton, ImageNet classification with deep convolutional neural networks, NIPS 2012, section 3,
https://papers.nips.cc/paper/4824.
"""

from __future__ import annotations

from striate import nn
from striate.graph import Value
from striate.models.registry import register


def response_norm() -> nn.Module:
    """The paper's local response normalisation, section 3.3."""
    return nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)


def tail(channels: int, widths: tuple[int, int, int], groups: int) -> list[nn.Module]:
    """The last three convolutions, and the pooling behind them; the first of them reads all channels."""
    first, second, third = widths
    return [
        nn.Conv2d(channels, first, 3, padding=1), nn.ReLU(),
        nn.Conv2d(first, second, 3, padding=1, groups=groups), nn.ReLU(),
        nn.Conv2d(second, third, 3, padding=1, groups=groups), nn.ReLU(), nn.MaxPool2d(3, 2),
    ]  # fmt: skip


def head(features: int, hidden: int, num_classes: int, dropout: float) -> nn.Sequential:
    """Three linear layers, each of the first two behind a dropout."""
    return nn.Sequential(
        nn.Dropout(dropout), nn.Linear(features, hidden), nn.ReLU(),
        nn.Dropout(dropout), nn.Linear(hidden, hidden), nn.ReLU(),
        nn.Linear(hidden, num_classes),
    )  # fmt: skip


class AlexNet(nn.Module):
    """Logits (N, num_classes): convolutions, their output pooled to 6 x 6, linear layers."""

    def __init__(self, features: list[nn.Module], channels: int, num_classes: int, dropout: float, hidden: int = 4096):
        super().__init__()
        self.features = nn.Sequential(*features)
        self.avgpool = nn.AdaptiveAvgPool2d((6, 6))
        self.classifier = head(channels * 6 * 6, hidden, num_classes, dropout)

    def forward(self, x: Value) -> Value:
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


def tower(groups: int, part: int = 1) -> list[nn.Module]:
    """The paper's convolutions; `groups` halves are computed apart, `part` divides the channels."""
    first, second, wide = 96 // part, 256 // part, 384 // part
    return [
        nn.Conv2d(3, first, 11, stride=4), nn.ReLU(), response_norm(), nn.MaxPool2d(3, 2),
        nn.Conv2d(first, second, 5, padding=2, groups=groups), nn.ReLU(), response_norm(), nn.MaxPool2d(3, 2),
        *tail(second, (wide, wide, second), groups),
    ]  # fmt: skip


@register(input_shape=(3, 227, 227))
def alexnet(num_classes: int = 1000, dropout: float = 0.5) -> AlexNet:
    """AlexNet in one tower: 62,378,344 parameters, 1.14 billion multiply-accumulates."""
    return AlexNet(tower(groups=1), 256, num_classes, dropout)


@register(input_shape=(3, 227, 227))
def alexnet_2gpu(num_classes: int = 1000, dropout: float = 0.5) -> AlexNet:
    """AlexNet in the two halves of the paper: 60,965,224 parameters, 0.72 billion multiply-accumulates."""
    return AlexNet(tower(groups=2), 256, num_classes, dropout)


@register
def alexnet_owt(num_classes: int = 1000, dropout: float = 0.5) -> AlexNet:
    """torchvision's AlexNet, of "One weird trick": 61,100,840 parameters."""
    features = [
        nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2), *tail(192, (384, 256, 256), 1),
    ]  # fmt: skip
    return AlexNet(features, 256, num_classes, dropout)


@register(input_shape=(3, 67, 67))
def alexnet_tiny(num_classes: int = 10, groups: int = 2, dropout: float = 0.5) -> AlexNet:
    """A sixteenth of the channels, for tests and first steps.

    >>> alexnet_tiny().features[4]
    Conv2d(6, 16, kernel_size=(5, 5), stride=(1, 1), padding=(2, 2), groups=2)
    """
    return AlexNet(tower(groups, part=16), 16, num_classes, dropout, hidden=32)
