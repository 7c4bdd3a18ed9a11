"""A small modern network for 28 x 28 images: 3x3 convolutions, batch normalisation, ReLU.

    (N, 1, 28, 28)
      2 x (conv 3x3, batch norm, ReLU), max of 2x2      (N, 32, 14, 14)
      2 x (conv 3x3, batch norm, ReLU), max of 2x2      (N, 64, 7, 7)
      flatten, linear num_classes

The convolutions have a bias, as `nn.Conv2d` has by default, though batch normalisation takes it out again.

Sources: Simonyan & Zisserman, Very deep convolutional networks, arXiv:1409.1556, section 2.1 (pairs of 3x3 convolutions);
Ioffe & Szegedy, Batch normalization, arXiv:1502.03167, section 3.2.
"""

from __future__ import annotations

from striate import nn
from striate.models.registry import register


@register(input_shape=(1, 28, 28))
def small_cnn(num_classes: int = 10, in_channels: int = 1) -> nn.Sequential:
    """Logits (N, num_classes) of images (N, in_channels, 28, 28); 96,746 parameters for digits.

    >>> sum(p.numel() for p in small_cnn().parameters())
    96746
    """
    return nn.Sequential(
        *conv_norm_relu(in_channels, 32), *conv_norm_relu(32, 32), nn.MaxPool2d(2),
        *conv_norm_relu(32, 64), *conv_norm_relu(64, 64), nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(64 * 7 * 7, num_classes),
    )  # fmt: skip


def conv_norm_relu(in_channels: int, out_channels: int) -> list[nn.Module]:
    """A 3x3 convolution that keeps the size, batch normalisation and ReLU."""
    return [nn.Conv2d(in_channels, out_channels, 3, padding=1), nn.BatchNorm2d(out_channels), nn.ReLU()]
