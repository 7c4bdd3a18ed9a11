"""LeNet-5 as published in 1998, with all of its 60,000 parameters.

    (N, 1, 32, 32)
      C1  conv 5x5, squash                                            (N, 6, 28, 28)        156 parameters
      S2  sum of 2x2, times a weight, plus a bias, squash             (N, 6, 14, 14)         12
      C3  conv 5x5, each map from 3, 4 or 6 maps below, squash        (N, 16, 10, 10)     1,516
      S4  as S2                                                       (N, 16, 5, 5)          32
      C5  conv 5x5, squash                                            (N, 120, 1, 1)     48,120
      F6  linear, squash                                              (N, 84)            10,164
      output  y[i] = sum_j (x[j] - code[i,j])^2                       (N, 10)             fixed codes

    squash(a) = 1.7159 tanh(2/3 a)                                    appendix A: squash(1) = 1, squash(-1) = -1

The codes are pictures of the digits, 7 x 12 pixels of +1 and -1; the distance to a code is a class's penalty. This network
gives minus the penalties, so that the largest number names the class and nn.CrossEntropyLoss trains it. The paper draws its
codes in figure 3 without printing their numbers; these are of the same kind. S2 and S4 have parameters: pooling is not
always free of them.

Source: LeCun, Bottou, Bengio & Haffner, Gradient-based learning applied to document recognition, Proc. IEEE 86, 1998,
doi:10.1109/5.726791, sections II.B and III.A, table I.
"""

from __future__ import annotations

import numpy as np

from striate import nn
from striate.graph import Value
from striate.models.registry import register
from striate.nn import functional as F
from striate.nn.separable import LENET5

DIGITS = (
    ".#####. ##...## ##...## ##...## ##...## ##...## ##...## ##...## ##...## ##...## ##...## .#####.",
    "...##.. ..###.. .####.. ...##.. ...##.. ...##.. ...##.. ...##.. ...##.. ...##.. ...##.. .######",
    ".#####. ##...## .....## .....## ....##. ...##.. ..##... .##.... ##..... ##..... ##..... #######",
    ".#####. ##...## .....## .....## .....## ..####. .....## .....## .....## .....## ##...## .#####.",
    "....##. ...###. ..####. .##.##. ##..##. ##..##. ####### ....##. ....##. ....##. ....##. ....##.",
    "####### ##..... ##..... ##..... ######. .....## .....## .....## .....## .....## ##...## .#####.",
    "..####. .##.... ##..... ##..... ######. ##...## ##...## ##...## ##...## ##...## ##...## .#####.",
    "####### .....## .....## ....##. ....##. ...##.. ...##.. ..##... ..##... .##.... .##.... .##....",
    ".#####. ##...## ##...## ##...## ##...## .#####. ##...## ##...## ##...## ##...## ##...## .#####.",
    ".#####. ##...## ##...## ##...## ##...## ##...## .###### .....## .....## .....## ....##. .####..",
)
"""Twelve rows of seven pixels for each digit."""


def codes() -> np.ndarray:
    """(10, 84): +1 where a digit's picture has ink, -1 elsewhere.

    >>> codes().shape
    (10, 84)
    """
    return np.array([[1.0 if pixel == "#" else -1.0 for pixel in digit.replace(" ", "")] for digit in DIGITS], np.float32)


def squash(a: Value) -> Value:
    return 1.7159 * (a * (2 / 3)).tanh()


class Subsampling(nn.Module):
    """w[c] * (sum of 2x2 pixels) + b[c]: (N, C, H, W) -> (N, C, H/2, W/2), two parameters a map."""

    def __init__(self, channels: int):
        super().__init__()
        self.weight = nn.Parameter(np.full(channels, 0.25))
        self.bias = nn.Parameter(np.zeros(channels))

    def forward(self, x: Value) -> Value:
        pooled = F.avg_pool2d(x, 2, divisor_override=1)
        return pooled * self.weight.reshape(1, -1, 1, 1) + self.bias.reshape(1, -1, 1, 1)


class LeNet5(nn.Module):
    """Minus the penalties (N, 10) of images (N, 1, 32, 32)."""

    def __init__(self) -> None:
        super().__init__()
        self.c1, self.s2 = nn.Conv2d(1, 6, 5), Subsampling(6)
        self.c3, self.s4 = nn.SparseConv2d(6, 16, 5, LENET5), Subsampling(16)
        self.c5, self.f6 = nn.Conv2d(16, 120, 5), nn.Linear(120, 84)
        self.register_buffer("codes", codes())

    def forward(self, x: Value) -> Value:
        x = squash(self.s2(squash(self.c1(x))))
        x = squash(self.s4(squash(self.c3(x))))
        x = squash(self.f6(squash(self.c5(x)).flatten(1)))
        apart = x.reshape(x.shape[0], 1, -1) - self.codes
        return -(apart * apart).sum(-1)


@register(input_shape=(1, 32, 32))
def lenet5() -> LeNet5:
    """LeNet-5 of 1998: trainable subsampling, a table of connections, radial basis functions; 60,000 parameters.

    >>> sum(p.numel() for p in lenet5().parameters())
    60000
    """
    return LeNet5()
