"""Xception: depthwise separable convolutions in residual blocks, as many as Inception v3 has parameters.

    separable(x) = conv1x1(conv3x3 with groups = channels (x))          nothing between the two

    (N, 3, 299, 299)
      conv 3x3 stride 2, norm, relu, conv 3x3, norm, relu                                  (N, 64, 147, 147)
      entry    three blocks of two separable convolutions, a max of 3x3 stride 2;
               shortcuts of conv 1x1 stride 2                                              (N, 728, 19, 19)
      middle   eight blocks of three separable convolutions                                (N, 728, 19, 19)
      exit     one more block that halves, two separable convolutions                      (N, 2048, 10, 10)
      mean of all pixels, linear num_classes

22,855,952 parameters. Keras counts 22,910,480 because it also counts the 54,528 running means and variances.

Names and paddings are those of timm's `legacy_xception`, whose weights load: 3x3 maxima with one pixel of padding, where
Keras's SAME pads on one side only.

Source: Chollet, Xception: deep learning with depthwise separable convolutions, arXiv:1610.02357, section 3 and figure 5.
"""

from __future__ import annotations

from striate import nn
from striate.graph import Value
from striate.models.registry import register
from striate.models.start import kaiming


class SeparableConv2d(nn.Module):
    """Depthwise 3x3 and pointwise 1x1: (N, C, H, W) -> (N, K, H, W)."""

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, in_channels, 3, padding=1, groups=in_channels, bias=False)
        self.pointwise = nn.Conv2d(in_channels, out_channels, 1, bias=False)

    def forward(self, x: Value) -> Value:
        return self.pointwise(self.conv1(x))


class Block(nn.Module):
    """Separable convolutions beside a shortcut: (N, C, H, W) -> (N, widths[-1], H/stride, W/stride).

    first_relu: whether an activation stands in front of the first.
    """

    def __init__(self, in_channels: int, widths: tuple[int, ...], stride: int, first_relu: bool = True):
        super().__init__()
        change = stride != 1 or widths[-1] != in_channels
        self.skip = nn.Conv2d(in_channels, widths[-1], 1, stride=stride, bias=False) if change else None
        self.skipbn = nn.BatchNorm2d(widths[-1]) if change else None
        layers: list[nn.Module] = []
        for before, after in zip((in_channels, *widths), widths):
            layers += [nn.ReLU(), SeparableConv2d(before, after), nn.BatchNorm2d(after)]
        pool = [nn.MaxPool2d(3, stride, 1)] if stride > 1 else []
        self.rep = nn.Sequential(*layers[0 if first_relu else 1 :], *pool)

    def forward(self, x: Value) -> Value:
        return self.rep(x) + (x if self.skip is None or self.skipbn is None else self.skipbn(self.skip(x)))


class Xception(nn.Module):
    """Logits (N, num_classes) of images (N, 3, H, W), H and W from 36 up. part divides the channels everywhere."""

    def __init__(self, num_classes: int, dropout: float, middle: int = 8, part: int = 1):
        super().__init__()
        stem, second, third, wide = 32 // part, 64 // part, 728 // part, 1024 // part
        self.conv1, self.bn1 = nn.Conv2d(3, stem, 3, stride=2, bias=False), nn.BatchNorm2d(stem)
        self.conv2, self.bn2 = nn.Conv2d(stem, second, 3, bias=False), nn.BatchNorm2d(second)
        self.relu = nn.ReLU()
        self.block1 = Block(second, (128 // part,) * 2, 2, first_relu=False)
        self.block2 = Block(128 // part, (256 // part,) * 2, 2)
        self.block3 = Block(256 // part, (third,) * 2, 2)
        for i in range(4, 4 + middle):
            self.add_module(f"block{i}", Block(third, (third,) * 3, 1))
        self.add_module(f"block{4 + middle}", Block(third, (third, wide), 2))
        self.blocks = 4 + middle
        self.conv3, self.bn3 = SeparableConv2d(wide, 1536 // part), nn.BatchNorm2d(1536 // part)
        self.conv4, self.bn4 = SeparableConv2d(1536 // part, 2048 // part), nn.BatchNorm2d(2048 // part)
        self.global_pool, self.dropout = nn.AdaptiveAvgPool2d((1, 1)), nn.Dropout(dropout)
        self.fc = nn.Linear(2048 // part, num_classes)
        kaiming(self)

    def forward(self, x: Value) -> Value:
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.relu(self.bn2(self.conv2(x)))
        for i in range(1, self.blocks + 1):
            x = getattr(self, f"block{i}")(x)
        x = self.relu(self.bn3(self.conv3(x)))
        x = self.relu(self.bn4(self.conv4(x)))
        return self.fc(self.dropout(self.global_pool(x).flatten(1)))


@register(input_shape=(3, 299, 299))
def xception(num_classes: int = 1000, dropout: float = 0.5) -> Xception:
    """Separable convolutions in residual blocks: 22,855,952 parameters."""
    return Xception(num_classes, dropout)


@register(input_shape=(3, 71, 71))
def xception_tiny(num_classes: int = 10) -> Xception:
    """One block in the middle and an eighth of the channels, for tests and first steps.

    >>> xception_tiny().block4.rep[1].pointwise.weight.shape
    (91, 91, 1, 1)
    """
    return Xception(num_classes, 0.0, middle=1, part=8)
