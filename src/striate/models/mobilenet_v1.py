"""MobileNet v1: every 3x3 convolution is taken apart into one window for each channel and a 1x1 convolution over them.

    depthwise separable = conv 3x3 with groups = channels, norm, relu6;  conv 1x1, norm, relu6
    its work beside a full convolution's:  1/K + 1/9                                        paper, section 3.1

    (N, 3, 224, 224)
      conv 3x3 stride 2, norm, relu6                          (N, 32 w, 112, 112)
      thirteen separable convolutions, four of stride 2       (N, 1024 w, 7, 7)
      mean of all pixels, linear num_classes

`width_mult` is the paper's multiplier alpha: 1, 0.75, 0.5 or 0.25; the resolution multiplier is the size of the images that you
give. ReLU6, min(max(x, 0), 6), stands in the authors' code; the paper says ReLU. Names are those of timm's
`mobilenetv1_100`, whose weights load.

Source: Howard et al., MobileNets: efficient convolutional neural networks for mobile vision applications,
arXiv:1704.04861, section 3 and table 1.
"""

from __future__ import annotations

from collections.abc import Sequence

from striate import nn
from striate.errors import ArgumentError
from striate.graph import Value
from striate.models.registry import register
from striate.models.start import kaiming
from striate.nn import functional as F

STAGES = ((64, 1, 1), (128, 2, 2), (256, 2, 2), (512, 2, 6), (1024, 2, 2))
"""Channels, stride of the first, number of separable convolutions."""


class Separable(nn.Module):
    """Depthwise 3x3 and pointwise 1x1, each with norm and ReLU6: (N, C, H, W) -> (N, K, H/stride, W/stride)."""

    def __init__(self, in_channels: int, out_channels: int, stride: int):
        super().__init__()
        self.conv_dw = nn.Conv2d(in_channels, in_channels, 3, stride=stride, padding=1, groups=in_channels, bias=False)
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv_pw = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)

    def forward(self, x: Value) -> Value:
        return F.relu6(self.bn2(self.conv_pw(F.relu6(self.bn1(self.conv_dw(x))))))


class MobileNetV1(nn.Module):
    """Logits (N, num_classes) of images (N, 3, H, W), H and W from 32 up."""

    def __init__(self, num_classes: int, width_mult: float, dropout: float, stem: int = 32,
                 stages: Sequence[tuple[int, int, int]] = STAGES):
        super().__init__()
        if not width_mult > 0:
            raise ArgumentError(f"width_mult multiplies the channels and must be greater than 0, got {width_mult}")
        channels = max(1, int(stem * width_mult))
        self.conv_stem = nn.Conv2d(3, channels, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        rows = []
        for full, first, depth in stages:
            row = []
            for i in range(depth):
                row.append(Separable(channels, max(1, int(full * width_mult)), first if i == 0 else 1))
                channels = max(1, int(full * width_mult))
            rows.append(nn.Sequential(*row))
        self.blocks = nn.Sequential(*rows)
        self.global_pool, self.dropout = nn.AdaptiveAvgPool2d((1, 1)), nn.Dropout(dropout)
        self.classifier = nn.Linear(channels, num_classes)
        kaiming(self)

    def forward(self, x: Value) -> Value:
        x = self.blocks(F.relu6(self.bn1(self.conv_stem(x))))
        return self.classifier(self.dropout(self.global_pool(x).flatten(1)))


@register
def mobilenet_v1(num_classes: int = 1000, width_mult: float = 1.0, dropout: float = 0.0) -> MobileNetV1:
    """Depthwise separable convolutions: 4,231,976 parameters, 569 million multiply-accumulates."""
    return MobileNetV1(num_classes, width_mult, dropout)


@register(input_shape=(3, 32, 32))
def mobilenet_v1_tiny(num_classes: int = 10) -> MobileNetV1:
    """Three separable convolutions, for tests and first steps.

    >>> mobilenet_v1_tiny().blocks[1][0].conv_dw
    Conv2d(16, 16, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1), groups=16, bias=False)
    """
    return MobileNetV1(num_classes, 1.0, 0.0, 8, ((16, 1, 1), (24, 2, 2)))
