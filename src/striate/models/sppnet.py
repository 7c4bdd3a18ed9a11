"""SPPNet: pooling to a pyramid of fixed grids, so that images of any size give one number of features.

    (N, 3, H, W)
      the convolutions of ZFNet                                             (N, 256, h, w)
      maxima over grids of 1x1, 2x2 and 4x4 parts of the whole map          (N, 256 * (1 + 4 + 16)) = (N, 5376)
      dropout, linear 4096, ReLU, dropout, linear 4096, ReLU, linear num_classes

The paper trains on 224 and on 180 pixels in turn, and reads pictures of any size. Figure 3 draws the grids 1, 2 and 4; its
best network has `levels=(1, 2, 3, 6)`, 50 parts in all. The grids are exact for every size (adaptive pooling), where the
paper's window ceil(a/n) and stride floor(a/n) leave pixels over for some.

Source: He, Zhang, Ren & Sun, Spatial pyramid pooling in deep convolutional networks for visual recognition,
arXiv:1406.4729, sections 2.2 and 3.1.
"""

from __future__ import annotations

from collections.abc import Sequence

from striate import nn
from striate.graph import Value
from striate.models.alexnet import head
from striate.models.registry import register
from striate.models.zfnet import features


class SPPNet(nn.Module):
    """Logits (N, num_classes) of images (N, 3, H, W), H and W from 63 up. levels: parts of each grid along an axis."""

    def __init__(self, num_classes: int, levels: Sequence[int], dropout: float, part: int = 1, hidden: int = 4096):
        super().__init__()
        self.features = nn.Sequential(*features(part)[:-1])
        self.pyramid = nn.SpatialPyramidPool2d(levels)
        self.classifier = head(256 // part * sum(n * n for n in levels), hidden, num_classes, dropout)

    def forward(self, x: Value) -> Value:
        return self.classifier(self.pyramid(self.features(x)))


@register
def sppnet(num_classes: int = 1000, levels: Sequence[int] = (1, 2, 4), dropout: float = 0.5) -> SPPNet:
    """Spatial pyramid pooling behind ZFNet's convolutions, for images of any size: 46,628,968 parameters."""
    return SPPNet(num_classes, levels, dropout)


@register(input_shape=(3, 64, 64))
def sppnet_tiny(num_classes: int = 10, levels: Sequence[int] = (1, 2), dropout: float = 0.5) -> SPPNet:
    """A sixteenth of the channels, for tests and first steps.

    >>> sppnet_tiny().classifier[1].in_features
    80
    """
    return SPPNet(num_classes, levels, dropout, part=16, hidden=32)
