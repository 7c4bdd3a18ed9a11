"""MobileNet v2: blocks that widen, look, and narrow again without an activation, with shortcuts between the narrow ends.

    y = x + conv1x1( relu6 dw3x3( relu6 conv1x1(x) ) )      each convolution with norm; x + only where the shapes agree

    (N, 3, 224, 224)
      conv 3x3 stride 2, norm, relu6                                     (N, 32 w, 112, 112)
      seventeen blocks, which widen 6-fold, the first not at all         (N, 320 w, 7, 7)
      conv 1x1 to 1280, norm, relu6, mean of all pixels, dropout 0.2, linear num_classes

`width_mult` multiplies the channels, which are rounded to multiples of 8. Names are torchvision's, whose weights load.

Source: Sandler, Howard, Zhu, Zhmoginov & Chen, MobileNetV2: inverted residuals and linear bottlenecks, arXiv:1801.04381,
sections 3 and 4, table 2.
"""

from __future__ import annotations

from collections.abc import Sequence

from striate import nn
from striate.errors import ArgumentError
from striate.graph import Value
from striate.models.registry import register
from striate.models.start import kaiming, normal_linear

STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
"""How far each block widens, channels, number of blocks, stride of the first."""


def rounded(channels: float) -> int:
    """The nearest multiple of 8, but not less than 90 % of what is asked for.

    >>> rounded(24 * 0.75), rounded(32 * 0.35)
    (24, 16)
    """
    near = max(8, int(channels + 4) // 8 * 8)
    return near + 8 if near < 0.9 * channels else near


def conv_norm(in_channels: int, out_channels: int, kernel_size: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Convolution that keeps the size, but for its stride; norm; ReLU6."""
    conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride, kernel_size // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out_channels), nn.ReLU6(inplace=True))


class InvertedResidual(nn.Module):
    """One block: (N, C, H, W) -> (N, K, H/stride, W/stride)."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, widen: int):
        super().__init__()
        inner = in_channels * widen
        self.add = stride == 1 and in_channels == out_channels
        self.conv = nn.Sequential(
            *([conv_norm(in_channels, inner, 1)] if widen > 1 else []),
            conv_norm(inner, inner, 3, stride, groups=inner),
            nn.Conv2d(inner, out_channels, 1, bias=False), nn.BatchNorm2d(out_channels),
        )  # fmt: skip

    def forward(self, x: Value) -> Value:
        return x + self.conv(x) if self.add else self.conv(x)


class MobileNetV2(nn.Module):
    """Logits (N, num_classes) of images (N, 3, H, W), H and W from 32 up."""

    def __init__(self, num_classes: int, width_mult: float, dropout: float, stem: int = 32, last: int = 1280,
                 stages: Sequence[tuple[int, int, int, int]] = STAGES):
        super().__init__()
        if not width_mult > 0:
            raise ArgumentError(f"width_mult multiplies the channels and must be greater than 0, got {width_mult}")
        channels, last = rounded(stem * width_mult), rounded(last * max(1.0, width_mult))
        blocks: list[nn.Module] = [conv_norm(3, channels, 3, stride=2)]
        for widen, full, depth, first in stages:
            for i in range(depth):
                blocks.append(InvertedResidual(channels, rounded(full * width_mult), first if i == 0 else 1, widen))
                channels = rounded(full * width_mult)
        self.features = nn.Sequential(*blocks, conv_norm(channels, last, 1))
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(last, num_classes))
        kaiming(self)
        normal_linear(self)

    def forward(self, x: Value) -> Value:
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


@register
def mobilenet_v2(num_classes: int = 1000, width_mult: float = 1.0, dropout: float = 0.2) -> MobileNetV2:
    """Inverted residuals: 3,504,872 parameters, 301 million multiply-accumulates."""
    return MobileNetV2(num_classes, width_mult, dropout)


@register(input_shape=(3, 32, 32))
def mobilenet_v2_tiny(num_classes: int = 10) -> MobileNetV2:
    """Four blocks, for tests and first steps.

    >>> [block.add for block in mobilenet_v2_tiny().features[1:-1]]
    [True, False, True, False]
    """
    return MobileNetV2(num_classes, 1.0, 0.2, 8, 32, ((1, 8, 1, 1), (2, 16, 2, 2), (2, 24, 1, 1)))
