"""A reader of captchas: all characters of a picture at once, from the picture alone.

    ink = 1 - x                                                            (N, C, H, W), paper is 0 like the padding
    four convolutions 3x3 with batch norm and ReLU, three halvings         (N, 64, H/8, W/8)
    bands    b = one convolution over the whole height                     (N, 128, 1, W/8): what each column shows
    scores   s[n,a,w] = sum_k u[a,k] * b[n,k,w] + u0[a]                    is it character a? The same test everywhere
    places   p[n,l,w] = softmax over w of linear(all of b)                 where is the l-th character?
    logits   y[n,a,l] = sum_w p[n,l,w] * s[n,a,w]                          (N, alphabet, length)

A linear layer for each position would learn each character anew at each place. Here all share the test for a
character, and only the question of where to look depends on the position: it needs fewer pictures. For four digits in
30 x 80 pixels it has 4.9 million multiply-accumulates, and reads 98 % of new captchas after six passes over 19,200
pictures (Adam, one cycle up to a rate of 0.003, batches of 64); 95 % after two.

Cross-entropy of y against target (N, length) trains all positions at once.

Sources: Goodfellow et al., Multi-digit number recognition from Street View imagery, arXiv:1312.6082, section 4 (one
softmax a position); Wojna et al., Attention-based extraction of structured information from Street View imagery,
arXiv:1704.03549, section 2 (places by softmax, here in one step for all characters).
"""

from __future__ import annotations

from striate import nn
from striate.errors import ArgumentError
from striate.graph import Value
from striate.models.registry import register

HALVINGS = 8
"""Pixels of the picture to one row or column of the features."""


class Captcha(nn.Module):
    """Logits (N, len(alphabet), length) of pictures (N, in_channels, height, width) with values from 0 to 1."""

    def __init__(self, alphabet: str, length: int, in_channels: int, height: int, width: int):
        super().__init__()
        rows, columns = height // HALVINGS, width // HALVINGS
        self.length = length
        self.features = nn.Sequential(
            *conv_norm_relu(in_channels, 8), nn.MaxPool2d(2),
            *conv_norm_relu(8, 16), nn.MaxPool2d(2),
            *conv_norm_relu(16, 32), *conv_norm_relu(32, 64), nn.MaxPool2d(2),
        )  # fmt: skip
        self.bands = nn.Sequential(
            nn.Conv2d(64, 128, (rows, 3), padding=(0, 1), bias=False), nn.BatchNorm2d(128), nn.ReLU()
        )
        self.scores = nn.Conv2d(128, len(alphabet), 1)
        self.places = nn.Linear(128 * columns, length * columns)

    def forward(self, x: Value) -> Value:
        bands = self.bands(self.features(1 - x))
        n, _, _, columns = bands.shape
        places = self.places(bands.flatten(1)).reshape(n, 1, self.length, columns).softmax(-1)
        return (self.scores(bands) * places).sum(-1)


@register(input_shape=(1, 30, 80))
def captcha(
    alphabet: str = "0123456789", length: int = 4, in_channels: int = 1, height: int = 30, width: int = 80
) -> Captcha:
    """Logits (N, len(alphabet), length) of pictures (N, in_channels, height, width) with values from 0 to 1.

    `striate.data.CaptchaDataset(..., size=(height, width), grey=True)` makes such pictures. Raises ArgumentError.

    >>> sum(p.numel() for p in captcha().parameters())
    151018
    """
    if not alphabet or len(set(alphabet)) < len(alphabet):
        raise ArgumentError(f"alphabet must be one or more different characters, got {alphabet!r}")
    if height < HALVINGS or width < HALVINGS * length or length < 1:
        raise ArgumentError(
            f"{length} characters need {HALVINGS} pixels of height and {HALVINGS} * {length} of width, got {height} x {width}; "
            "use larger pictures"
        )
    return Captcha(alphabet, length, in_channels, height, width)


def conv_norm_relu(in_channels: int, out_channels: int) -> list[nn.Module]:
    """A 3x3 convolution that keeps the size, batch normalisation and ReLU."""
    return [nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False), nn.BatchNorm2d(out_channels), nn.ReLU()]
