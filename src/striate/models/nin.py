"""Network in network: small networks of 1x1 convolutions after each window, and no fully connected layer at the end.

    (N, 3, 32, 32)
      conv 5x5 to 192, conv 1x1 to 160, conv 1x1 to 96, max of 3x3 stride 2, dropout       (N, 96, 16, 16)
      conv 5x5, conv 1x1, conv 1x1, all to 192, mean of 3x3 stride 2, dropout              (N, 192, 8, 8)
      conv 3x3 to 192, conv 1x1 to 192, conv 1x1 to num_classes                            (N, num_classes, 8, 8)
      mean of all pixels: one map for each class is all that the classifier is

Every convolution ends in ReLU. The paper leaves the channels open; these are of the authors' published configuration for
CIFAR-10, whose second pooling takes means. Other sizes of input do too.

Source: Lin, Chen & Yan, Network in network, arXiv:1312.4400, sections 3 and 4.
"""

from __future__ import annotations

from striate import nn
from striate.models.registry import register


def mlpconv(in_channels: int, widths: tuple[int, int, int], kernel_size: int) -> list[nn.Module]:
    """A window and two 1x1 convolutions behind it, each with ReLU; the size stays."""
    first, second, third = widths
    return [
        nn.Conv2d(in_channels, first, kernel_size, padding=kernel_size // 2), nn.ReLU(),
        nn.Conv2d(first, second, 1), nn.ReLU(), nn.Conv2d(second, third, 1), nn.ReLU(),
    ]  # fmt: skip


def network(widths: tuple[tuple[int, int, int], ...], num_classes: int, dropout: float) -> nn.Sequential:
    first, second, (wide, last, _) = widths
    return nn.Sequential(
        *mlpconv(3, first, 5), nn.MaxPool2d(3, stride=2, ceil_mode=True), nn.Dropout(dropout),
        *mlpconv(first[-1], second, 5), nn.AvgPool2d(3, stride=2, ceil_mode=True), nn.Dropout(dropout),
        *mlpconv(second[-1], (wide, last, num_classes), 3),
        nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(),
    )  # fmt: skip


@register(input_shape=(3, 32, 32))
def nin(num_classes: int = 10, dropout: float = 0.5) -> nn.Sequential:
    """Network in network for CIFAR-10: 966,986 parameters.

    >>> sum(p.numel() for p in nin().parameters())
    966986
    """
    return network(((192, 160, 96), (192, 192, 192), (192, 192, num_classes)), num_classes, dropout)


@register(input_shape=(3, 32, 32))
def nin_tiny(num_classes: int = 10, dropout: float = 0.0) -> nn.Sequential:
    """The same with few channels, for tests and first steps.

    >>> sum(p.numel() for p in nin_tiny().parameters())
    5594
    """
    return network(((16, 8, 8), (16, 8, 8), (8, 8, num_classes)), num_classes, dropout)
