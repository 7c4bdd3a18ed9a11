"""ResNet for 32 x 32 pixels, and the plain network that it is compared with.

    (N, 3, 32, 32)
      conv 3x3, norm, relu                                                    (N, 16, 32, 32)
      three stages of 2n convolutions 3x3 with norm; 16, 32, 64 channels      (N, 64, 8, 8)
      mean of all pixels, linear num_classes

6n + 2 layers: 20, 32, 44, 56, 110. A residual block adds its input to its second convolution; where the size halves, the
shortcut takes every second pixel and fills the new channels with zeros, which needs no parameters (option A of the paper).
With `plain=True` nothing is added: equal layers, equal parameters, and from some 20 layers on a worse training error. That
is the degradation which residual networks cure (figure 6 of the paper).

Source: He, Zhang, Ren & Sun, Deep residual learning for image recognition, arXiv:1512.03385, section 4.2.
"""

from __future__ import annotations

from striate import nn
from striate.errors import ArgumentError
from striate.graph import Value
from striate.models.registry import register
from striate.models.resnet import conv3x3
from striate.models.start import kaiming
from striate.nn import functional as F


class Block(nn.Module):
    """Two 3x3 convolutions, (N, C, H, W) -> (N, width, H/stride, W/stride); with a shortcut unless `plain`."""

    def __init__(self, in_channels: int, width: int, stride: int, plain: bool):
        super().__init__()
        self.stride, self.more, self.plain = stride, width - in_channels, plain
        self.conv1, self.bn1 = conv3x3(in_channels, width, stride), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = conv3x3(width, width), nn.BatchNorm2d(width)

    def forward(self, x: Value) -> Value:
        y = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))
        return y.relu() if self.plain else (y + self.shortcut(x)).relu()

    def shortcut(self, x: Value) -> Value:
        """x, with every `stride`-th pixel and zeros in the new channels."""
        x = x[:, :, :: self.stride, :: self.stride] if self.stride > 1 else x
        return F.pad(x, (0, 0, 0, 0, 0, self.more)) if self.more else x


class CifarResNet(nn.Module):
    """Logits (N, num_classes) of images (N, 3, H, W)."""

    def __init__(self, depth: int, num_classes: int, plain: bool, channels: int):
        super().__init__()
        if depth < 8 or depth % 6 != 2:
            raise ArgumentError(f"depth must be 6n + 2, such as 20, 32, 44, 56 or 110, got {depth}")
        self.conv1, self.bn1 = conv3x3(3, channels), nn.BatchNorm2d(channels)
        width = channels
        for i in range(3):
            blocks = []
            for j in range((depth - 2) // 6):
                blocks.append(Block(channels, width << i, 2 if i > 0 and j == 0 else 1, plain))
                channels = width << i
            self.add_module(f"layer{i + 1}", nn.Sequential(*blocks))
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(channels, num_classes)
        kaiming(self)

    def forward(self, x: Value) -> Value:
        x = self.bn1(self.conv1(x)).relu()
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(self.avgpool(x).flatten(1))


@register(input_shape=(3, 32, 32))
def resnet_cifar(depth: int = 20, num_classes: int = 10, plain: bool = False, channels: int = 16) -> CifarResNet:
    """A residual network of 6n + 2 layers for 32 x 32 pixels; 269,722 parameters for 20 layers, the same where plain.

    >>> sum(p.numel() for p in resnet_cifar(plain=True).parameters())
    269722
    """
    return CifarResNet(depth, num_classes, plain, channels)
