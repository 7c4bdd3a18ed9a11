"""Two small networks that give every pixel a class.

segmenter_transposed    down and up again: strided steps lose the place of things, transposed convolutions bring the maps back
                        to the input's size, and joints hand over the fine maps of the way down (U-Net)

    conv 3x3 twice                      (N, w, H, W)      ─────────────────────────┐
    max 2, conv 3x3 twice               (N, 2w, H/2, W/2) ──────────┐              │
    max 2, conv 3x3 twice               (N, 4w, H/4, W/4)           │              │
    transposed conv 2x2 stride 2, joint with ... , conv 3x3 twice ──┘              │
    transposed conv 2x2 stride 2, joint with ... , conv 3x3 twice ─────────────────┘
    conv 1x1                            (N, num_classes, H, W)

segmenter_dilated       the map stays at a quarter of the size; taps 1, 2, 4 and 8 pixels apart see as much as four more
                        halvings would, and a bilinear resize, which learns nothing, brings the scores to the input's size

    conv 3x3 stride 2, twice            (N, 2w, H/4, W/4)
    conv 3x3 dilation 1, 2, 4, 8        (N, 4w, H/4, W/4)
    conv 1x1, bilinear times 4          (N, num_classes, H, W)

All 3x3 convolutions have batch normalisation and ReLU. Cross-entropy of the logits against labels (N, H, W) trains them.

Sources: Ronneberger, Fischer & Brox, U-Net, arXiv:1505.04597; Long, Shelhamer & Darrell, Fully convolutional networks,
arXiv:1411.4038, section 3.3; Yu & Koltun, Multi-scale context aggregation by dilated convolutions, arXiv:1511.07122;
Chen et al., DeepLab, arXiv:1606.00915, section 3.1.
"""

from __future__ import annotations

from striate import nn
from striate.errors import ShapeError
from striate.graph import Value
from striate.models.registry import register

STEP = 4
"""Height and width are multiples of it: both networks halve them twice."""


def conv_norm_relu(in_channels: int, out_channels: int, stride: int = 1, dilation: int = 1) -> list[nn.Module]:
    """A 3x3 convolution that keeps the size, or divides it by the stride; batch normalisation and ReLU."""
    conv = nn.Conv2d(in_channels, out_channels, 3, stride, padding=dilation, dilation=dilation, bias=False)
    return [conv, nn.BatchNorm2d(out_channels), nn.ReLU()]


def twice(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(*conv_norm_relu(in_channels, out_channels), *conv_norm_relu(out_channels, out_channels))


def check_size(x: Value) -> None:
    """Refuse sizes that come back as others."""
    height, width = x.shape[-2:]
    if height % STEP or width % STEP:
        raise ShapeError(f"an image of {height} x {width} pixels does not divide into {STEP} x {STEP}: "
                         f"{height} % {STEP} = {height % STEP}, {width} % {STEP} = {width % STEP}",
                         fix=f"pad or scale it to multiples of {STEP}")  # fmt: skip


class SegmenterTransposed(nn.Module):
    """Logits (N, num_classes, H, W) of images (N, in_channels, H, W); see the head of the file."""

    def __init__(self, num_classes: int, in_channels: int, width: int):
        super().__init__()
        self.down = nn.ModuleList([twice(in_channels, width), twice(width, 2 * width), twice(2 * width, 4 * width)])
        self.pool = nn.MaxPool2d(2)
        self.up = nn.ModuleList([nn.ConvTranspose2d(4 * width, 2 * width, 2, stride=2),
                                 nn.ConvTranspose2d(2 * width, width, 2, stride=2)])
        self.joint = nn.ModuleList([twice(4 * width, 2 * width), twice(2 * width, width)])
        self.head = nn.Conv2d(width, num_classes, 1)

    def forward(self, x: Value) -> Value:
        check_size(x)
        fine = self.down[0](x)
        middle = self.down[1](self.pool(fine))
        coarse = self.down[2](self.pool(middle))
        for up, joint, skipped in zip(self.up, self.joint, (middle, fine)):
            coarse = joint(nn.functional.cat([skipped, up(coarse)], 1))
        return self.head(coarse)


class SegmenterDilated(nn.Module):
    """Logits (N, num_classes, H, W) of images (N, in_channels, H, W); see the head of the file."""

    def __init__(self, num_classes: int, in_channels: int, width: int):
        super().__init__()
        self.stem = nn.Sequential(*conv_norm_relu(in_channels, width, stride=2), *conv_norm_relu(width, 2 * width, stride=2))
        rates = [(2 * width, 1), *((4 * width, rate) for rate in (2, 4, 8))]
        self.context = nn.Sequential(*(layer for channels, rate in rates
                                       for layer in conv_norm_relu(channels, 4 * width, dilation=rate)))
        self.head = nn.Conv2d(4 * width, num_classes, 1)
        self.up = nn.Upsample(scale_factor=STEP, mode="bilinear")

    def forward(self, x: Value) -> Value:
        check_size(x)
        return self.up(self.head(self.context(self.stem(x))))


@register(input_shape=(3, 64, 64))
def segmenter_transposed(num_classes: int = 4, in_channels: int = 3, width: int = 16) -> SegmenterTransposed:
    """A small U-Net: logits (N, num_classes, H, W) of images (N, in_channels, H, W), H and W multiples of 4.

    >>> sum(p.numel() for p in segmenter_transposed().parameters())
    117412
    """
    return SegmenterTransposed(num_classes, in_channels, width)


@register(input_shape=(3, 64, 64))
def segmenter_dilated(num_classes: int = 4, in_channels: int = 3, width: int = 16) -> SegmenterDilated:
    """Dilated convolutions and a bilinear resize: logits (N, num_classes, H, W) of images (N, in_channels, H, W).

    >>> sum(p.numel() for p in segmenter_dilated().parameters())
    134932
    """
    return SegmenterDilated(num_classes, in_channels, width)
