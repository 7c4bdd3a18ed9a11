"""ZFNet: AlexNet with a finer first look, found by looking at what its layers had learned.

    (N, 3, 224, 224)
      conv 7x7 stride 2 pad 1, ReLU, max of 3x3 stride 2 pad 1, LRN       (N, 96, 55, 55)
      conv 5x5 stride 2, ReLU, max of 3x3 stride 2 pad 1, LRN             (N, 256, 13, 13)
      conv 3x3 to 384, conv 3x3 to 384, conv 3x3 to 256                   (N, 256, 13, 13), each with pad 1 and ReLU
      max of 3x3 stride 2, dropout, linear 4096, ReLU, dropout, linear 4096, ReLU, linear num_classes

62,357,608 parameters. The paper divides each map by its contrast where others, and this file, use local response
normalisation. The network stood close behind the winner of ImageNet's contest of 2013, an entry of the company that its
first author had founded.

Source: Zeiler & Fergus, Visualizing and understanding convolutional networks, arXiv:1311.2901, section 4.1 and figure 3.
"""

from __future__ import annotations

from striate import nn
from striate.models.alexnet import AlexNet, response_norm, tail
from striate.models.registry import register


def features(part: int = 1) -> list[nn.Module]:
    """All convolutions, up to the last pooling; `part` divides the channels."""
    first, second, wide = 96 // part, 256 // part, 384 // part
    return [
        nn.Conv2d(3, first, 7, stride=2, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2, padding=1), response_norm(),
        nn.Conv2d(first, second, 5, stride=2), nn.ReLU(), nn.MaxPool2d(3, 2, padding=1), response_norm(),
        *tail(second, (wide, wide, second), groups=1),
    ]  # fmt: skip


@register
def zfnet(num_classes: int = 1000, dropout: float = 0.5) -> AlexNet:
    """ZFNet: 62,357,608 parameters, 1.17 billion multiply-accumulates."""
    return AlexNet(features(), 256, num_classes, dropout)


@register(input_shape=(3, 64, 64))
def zfnet_tiny(num_classes: int = 10, dropout: float = 0.5) -> AlexNet:
    """A sixteenth of the channels, for tests and first steps.

    >>> zfnet_tiny().features[0]
    Conv2d(3, 6, kernel_size=(7, 7), stride=(2, 2), padding=(1, 1))
    """
    return AlexNet(features(part=16), 16, num_classes, dropout, hidden=32)
