"""GoogLeNet: modules that look at each place through windows of several sizes at once.

    inception(x) = cat( conv1x1(x),  conv3x3(conv1x1(x)),  conv5x5(conv1x1(x)),  conv1x1(maxpool3x3(x)) )

The 1x1 convolutions in front make the others cheap: they have fewer channels to read. Each convolution ends in ReLU.

    (N, 3, 224, 224)
      conv 7x7 stride 2, max of 3x3 stride 2, LRN                     (N, 64, 56, 56)
      conv 1x1, conv 3x3, LRN, max of 3x3 stride 2                    (N, 192, 28, 28)
      inception 3a 3b, max of 3x3 stride 2                            (N, 480, 14, 14)
      inception 4a 4b 4c 4d 4e, max of 3x3 stride 2                   (N, 832, 7, 7)
      inception 5a 5b                                                 (N, 1024, 7, 7)
      mean of all pixels, dropout 0.4, linear num_classes

`googlenet` is the paper's; 5,973,552 of its 6,998,552 parameters stand in convolutions. `aux_logits=True` adds the two heads
behind 4a and 4d; in training the network then gives (logits, auxiliary logits of 4d, of 4a): see
`striate.models.AuxiliaryLoss`. The halvings round up, as Caffe's do, to give the paper's sizes.

`googlenet_bn` is torchvision's, whose weights load: batch normalisation instead of LRN and biases, 3x3 instead of 5x5
windows (an old slip that the weights were trained with), a max of 2x2 in front of 5a, dropout 0.2.

Source: Szegedy et al., Going deeper with convolutions, arXiv:1409.4842, section 5 and table 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from striate import nn
from striate.graph import Value
from striate.models.convs import BasicConv2d, to_half
from striate.models.registry import register
from striate.models.start import truncated
from striate.nn import functional as F

Widths = tuple[int, int, int, int, int, int]
STEM = (64, 64, 192)
TABLE: dict[str, Widths] = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
"""Channels of each module: 1x1; in front of 3x3, 3x3; in front of 5x5, 5x5; behind the pooling."""


class Inception(nn.Module):
    """Four branches side by side: (N, C, H, W) -> (N, sum of their channels, H, W)."""

    def __init__(self, in_channels: int, widths: Widths, batch_norm: bool):
        super().__init__()
        one, before3, three, before5, five, pooled = widths
        size = 3 if batch_norm else 5
        self.out_channels = one + three + five + pooled
        self.branch1 = BasicConv2d(in_channels, one, 1, batch_norm)
        self.branch2 = nn.Sequential(
            BasicConv2d(in_channels, before3, 1, batch_norm), BasicConv2d(before3, three, 3, batch_norm, padding=1)
        )
        self.branch3 = nn.Sequential(
            BasicConv2d(in_channels, before5, 1, batch_norm), BasicConv2d(before5, five, size, batch_norm, padding=size // 2)
        )
        self.branch4 = nn.Sequential(
            nn.MaxPool2d(3, stride=1, padding=1, ceil_mode=True), BasicConv2d(in_channels, pooled, 1, batch_norm)
        )

    def forward(self, x: Value) -> Value:
        return F.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


class Auxiliary(nn.Module):
    """Logits from the middle of the network, which carry a gradient to its first half; used in training only."""

    def __init__(self, in_channels: int, num_classes: int, batch_norm: bool, widths: tuple[int, int] = (128, 1024)):
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d((4, 4)) if batch_norm else nn.AvgPool2d(5, stride=3)
        self.conv = BasicConv2d(in_channels, widths[0], 1, batch_norm)
        self.fc1, self.fc2 = nn.Linear(widths[0] * 4 * 4, widths[1]), nn.Linear(widths[1], num_classes)
        self.dropout = nn.Dropout(0.7)

    def forward(self, x: Value) -> Value:
        x = self.conv(self.pool(x)).flatten(1)
        return self.fc2(self.dropout(F.relu(self.fc1(x))))


class GoogLeNet(nn.Module):
    """Logits (N, num_classes) of images (N, 3, H, W); with auxiliary heads, three of them in training."""

    not_in_file = ("aux1.", "aux2.")

    def __init__(self, num_classes: int, aux_logits: bool, batch_norm: bool, transform_input: bool = False,
                 stem: tuple[int, int, int] = STEM, table: dict[str, Widths] = TABLE):
        super().__init__()
        self.transform_input = transform_input
        self.conv1 = BasicConv2d(3, stem[0], 7, batch_norm, stride=2, padding=3)
        self.conv2 = BasicConv2d(stem[0], stem[1], 1, batch_norm)
        self.conv3 = BasicConv2d(stem[1], stem[2], 3, batch_norm, padding=1)
        self.maxpool = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.maxpool4 = nn.MaxPool2d(2, stride=2, ceil_mode=True) if batch_norm else self.maxpool
        self.norm: Any = nn.Identity() if batch_norm else nn.LocalResponseNorm(5)
        channels, seen = stem[2], {}
        for name, widths in table.items():
            module = Inception(channels, widths, batch_norm)
            self.add_module(f"inception{name}", module)
            channels = seen[name] = module.out_channels
        self.aux1 = Auxiliary(seen["4a"], num_classes, batch_norm) if aux_logits else None
        self.aux2 = Auxiliary(seen["4d"], num_classes, batch_norm) if aux_logits else None
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.dropout = nn.Dropout(0.2 if batch_norm else 0.4)
        self.fc = nn.Linear(channels, num_classes)
        if batch_norm:
            truncated(self, 0.01)

    def forward(self, x: Value) -> Any:
        x = to_half(x) if self.transform_input else x
        x = self.norm(self.maxpool(self.conv1(x)))
        x = self.maxpool(self.norm(self.conv3(self.conv2(x))))
        x = self.maxpool(self.row(x, ("3a", "3b")))
        x = first = self.row(x, ("4a",))
        x = second = self.row(x, ("4b", "4c", "4d"))
        x = self.maxpool4(self.row(x, ("4e",)))
        x = self.avgpool(self.row(x, ("5a", "5b"))).flatten(1)
        logits = self.fc(self.dropout(x))
        if self.aux1 is None or self.aux2 is None or not self.training:
            return logits
        return logits, self.aux2(second), self.aux1(first)

    def row(self, x: Value, names: Sequence[str]) -> Value:
        """Inception modules one after another."""
        for name in names:
            x = getattr(self, f"inception{name}")(x)
        return x


@register
def googlenet(num_classes: int = 1000, aux_logits: bool = False) -> GoogLeNet:
    """The paper's network: 6,998,552 parameters without its auxiliary heads, 1.58 billion multiply-accumulates."""
    return GoogLeNet(num_classes, aux_logits, batch_norm=False)


@register
def googlenet_bn(num_classes: int = 1000, aux_logits: bool = False, transform_input: bool = False) -> GoogLeNet:
    """torchvision's network: batch normalisation, 3x3 windows for 5x5; 6,624,904 parameters without auxiliary heads."""
    return GoogLeNet(num_classes, aux_logits, batch_norm=True, transform_input=transform_input)


@register(input_shape=(3, 96, 96))
def googlenet_tiny(num_classes: int = 10, aux_logits: bool = False, batch_norm: bool = True,
                   transform_input: bool = False) -> GoogLeNet:
    """All modules with few channels, for tests and first steps.

    >>> googlenet_tiny().inception3a.out_channels
    10
    """
    table = {name: (2, 2, 4, 1, 2, 2) for name in TABLE}
    return GoogLeNet(num_classes, aux_logits, batch_norm, transform_input, (4, 4, 8), table)
