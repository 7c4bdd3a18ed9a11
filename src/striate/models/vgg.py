"""VGG: nothing but 3x3 convolutions, more and more of them between halvings of the size.

    (N, 3, 224, 224)
      five stages of 1 to 4 convolutions 3x3 pad 1 with ReLU, each ended by a max of 2x2      (N, 512, 7, 7)
      flatten, linear 4096, ReLU, dropout, linear 4096, ReLU, dropout, linear num_classes

Two 3x3 windows in a row see what one 5x5 window sees, with 18 weights instead of 25; three see 7x7 with 27 instead of 49.

The columns A, B, D and E of the paper's table 1 are vgg11, vgg13, vgg16 and vgg19; `_bn` adds batch normalisation, which
is younger than the paper. Other sizes of input are pooled to 7 x 7. Names are torchvision's, whose weights load.

Source: Simonyan & Zisserman, Very deep convolutional networks for large-scale image recognition, arXiv:1409.1556,
section 2.1 and table 1.
"""

from __future__ import annotations

from collections.abc import Sequence

from striate import nn
from striate.graph import Value
from striate.models.registry import register
from striate.models.start import kaiming, normal_linear

WIDTHS = (64, 128, 256, 512, 512)
"""Channels of the five stages."""


class VGG(nn.Module):
    """Logits (N, num_classes) of images (N, 3, H, W), H and W from 32 up.

    depths, widths: convolutions in each stage, and their channels; hidden: features of the two linear layers.
    """

    def __init__(self, depths: Sequence[int], widths: Sequence[int], hidden: int, num_classes: int, batch_norm: bool,
                 dropout: float):
        super().__init__()
        self.features = nn.Sequential(*stages(depths, widths, batch_norm))
        self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
        with nn.init.skipped():  # normal_linear draws these
            self.classifier = nn.Sequential(
                nn.Linear(widths[-1] * 7 * 7, hidden), nn.ReLU(True), nn.Dropout(dropout),
                nn.Linear(hidden, hidden), nn.ReLU(True), nn.Dropout(dropout),
                nn.Linear(hidden, num_classes),
            )  # fmt: skip
        kaiming(self)
        normal_linear(self)

    def forward(self, x: Value) -> Value:
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


def stages(depths: Sequence[int], widths: Sequence[int], batch_norm: bool) -> list[nn.Module]:
    """The layers of all stages in a row."""
    layers: list[nn.Module] = []
    channels = 3
    for depth, width in zip(depths, widths, strict=True):
        for _ in range(depth):
            layers += [nn.Conv2d(channels, width, 3, padding=1), *([nn.BatchNorm2d(width)] if batch_norm else []), nn.ReLU(True)]
            channels = width
        layers.append(nn.MaxPool2d(2, 2))
    return layers


@register
def vgg11(num_classes: int = 1000, dropout: float = 0.5) -> VGG:
    """Eight convolutions, three linear layers: 132,863,336 parameters."""
    return VGG((1, 1, 2, 2, 2), WIDTHS, 4096, num_classes, False, dropout)


@register
def vgg11_bn(num_classes: int = 1000, dropout: float = 0.5) -> VGG:
    """vgg11 with batch normalisation."""
    return VGG((1, 1, 2, 2, 2), WIDTHS, 4096, num_classes, True, dropout)


@register
def vgg13(num_classes: int = 1000, dropout: float = 0.5) -> VGG:
    """Ten convolutions, three linear layers: 133,047,848 parameters."""
    return VGG((2, 2, 2, 2, 2), WIDTHS, 4096, num_classes, False, dropout)


@register
def vgg13_bn(num_classes: int = 1000, dropout: float = 0.5) -> VGG:
    """vgg13 with batch normalisation."""
    return VGG((2, 2, 2, 2, 2), WIDTHS, 4096, num_classes, True, dropout)


@register
def vgg16(num_classes: int = 1000, dropout: float = 0.5) -> VGG:
    """Thirteen convolutions, three linear layers: 138,357,544 parameters."""
    return VGG((2, 2, 3, 3, 3), WIDTHS, 4096, num_classes, False, dropout)


@register
def vgg16_bn(num_classes: int = 1000, dropout: float = 0.5) -> VGG:
    """vgg16 with batch normalisation."""
    return VGG((2, 2, 3, 3, 3), WIDTHS, 4096, num_classes, True, dropout)


@register
def vgg19(num_classes: int = 1000, dropout: float = 0.5) -> VGG:
    """Sixteen convolutions, three linear layers: 143,667,240 parameters."""
    return VGG((2, 2, 4, 4, 4), WIDTHS, 4096, num_classes, False, dropout)


@register
def vgg19_bn(num_classes: int = 1000, dropout: float = 0.5) -> VGG:
    """vgg19 with batch normalisation."""
    return VGG((2, 2, 4, 4, 4), WIDTHS, 4096, num_classes, True, dropout)


@register(input_shape=(3, 32, 32))
def vgg_tiny(num_classes: int = 10, batch_norm: bool = True) -> VGG:
    """Four convolutions for 32 x 32 pixels, for tests and first steps.

    >>> vgg_tiny().features[0]
    Conv2d(3, 8, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))
    """
    return VGG((1, 1, 2), (8, 16, 16), 32, num_classes, batch_norm, 0.5)
