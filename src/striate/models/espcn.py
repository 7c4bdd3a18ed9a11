"""Super-resolution: an image of twice the size, or more, from a small one.

    conv 5x5, tanh                (N, 64, H, W)
    conv 3x3, tanh                (N, 32, H, W)
    conv 3x3                      (N, r^2 C, H, W)        r^2 values for each pixel
    pixel shuffle                 (N, C, r H, r W)        y[n, c, r h + i, r w + j] = x[n, c r^2 + i r + j, h, w]
    + the image, each pixel r x r times

All arithmetic is done at the small size, which is what makes it quick. Different from the paper, the network learns only what
is missing from the enlarged image: its first answer is the image itself.

Source: Shi et al., Real-time single image and video super-resolution using an efficient sub-pixel convolutional neural
network, arXiv:1609.05158, section 3; learning the difference: Kim, Lee & Lee, arXiv:1511.04587, section 3.1.
"""

from __future__ import annotations

from striate import nn
from striate.graph import Value
from striate.models.registry import register


class ESPCN(nn.Module):
    """Images (N, C, r H, r W) of images (N, C, H, W); see the head of the file."""

    def __init__(self, scale: int, channels: int):
        super().__init__()
        self.scale, self.channels = scale, channels
        self.features = nn.Sequential(nn.Conv2d(channels, 64, 5, padding=2), nn.Tanh(),
                                      nn.Conv2d(64, 32, 3, padding=1), nn.Tanh(),
                                      nn.Conv2d(32, channels * scale**2, 3, padding=1))
        self.shuffle = nn.PixelShuffle(scale)
        nn.init.zeros_(self.features[4].weight)
        nn.init.zeros_(self.features[4].bias)

    def forward(self, x: Value) -> Value:
        n, c, height, width = x.shape
        again = x.reshape(n, c, 1, height, width).expand(n, c, self.scale**2, height, width)
        return self.shuffle(self.features(x) + again.reshape(n, c * self.scale**2, height, width))


@register(input_shape=(1, 28, 28))
def espcn(scale: int = 2, in_channels: int = 1) -> ESPCN:
    """Images (N, in_channels, scale * H, scale * W) of images (N, in_channels, H, W).

    >>> sum(p.numel() for p in espcn().parameters())
    21284
    """
    return ESPCN(scale, in_channels)
