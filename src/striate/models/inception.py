"""Inception v3: large windows taken apart into small ones, 5x5 into two 3x3, 7x7 into 1x7 and 7x1.

    (N, 3, 299, 299)
      conv 3x3 stride 2, conv 3x3, conv 3x3 pad 1, max of 3x3 stride 2       (N, 64, 73, 73)
      conv 1x1, conv 3x3, max of 3x3 stride 2                                (N, 192, 35, 35)
      A A A       1x1; 5x5; two 3x3; mean                                    (N, 288, 35, 35)
      B           halves: 3x3 stride 2; two 3x3; max                         (N, 768, 17, 17)
      C C C C     1x1; 1x7 7x1; 7x1 1x7 7x1 1x7; mean                        (N, 768, 17, 17), an auxiliary head
      D           halves: 3x3; 1x7 7x1 3x3; max                              (N, 1280, 8, 8)
      E E         1x1; 1x3 beside 3x1; 3x3, then 1x3 beside 3x1; mean        (N, 2048, 8, 8)
      mean of all pixels, dropout 0.5, linear num_classes

A 1x1 convolution stands in front of every branch; each convolution has batch normalisation and ReLU. With the auxiliary
head, which is the default, it has 27,161,264 parameters, without it 23,834,568; in training it gives (logits, auxiliary
logits): see `striate.models.AuxiliaryLoss`. The layers are those of the authors' later code, as in torchvision, whose
weights load; the paper's table 1 leaves the channels of the branches open.

Source: Szegedy, Vanhoucke, Ioffe, Shlens & Wojna, Rethinking the Inception architecture for computer vision,
arXiv:1512.00567, sections 3 to 6.
"""

from __future__ import annotations

from typing import Any

from striate import nn
from striate.graph import Value
from striate.models.convs import BasicConv2d, to_half
from striate.models.registry import register
from striate.models.start import truncated
from striate.nn import functional as F

ROW: dict[str, Any] = {"kernel_size": (1, 7), "padding": (0, 3)}
COLUMN: dict[str, Any] = {"kernel_size": (7, 1), "padding": (3, 0)}
SMALL_ROW: dict[str, Any] = {"kernel_size": (1, 3), "padding": (0, 1)}
SMALL_COLUMN: dict[str, Any] = {"kernel_size": (3, 1), "padding": (1, 0)}
SQUARE: dict[str, Any] = {"kernel_size": 3, "padding": 1}
HALVING: dict[str, Any] = {"kernel_size": 3, "stride": 2}


class Branches(nn.Module):
    """Convolutions side by side and in rows; `row` calls those whose names start alike, one after another."""

    def row(self, x: Value, prefix: str) -> Value:
        for name, module in self.named_children():
            if name.startswith(prefix):
                x = module(x)
        return x

    def mean(self, x: Value) -> Value:
        return self.branch_pool(F.avg_pool2d(x, 3, stride=1, padding=1))


class InceptionA(Branches):
    """35 x 35: 1x1; 5x5; two 3x3; mean."""

    def __init__(self, in_channels: int, pooled: int, part: int):
        super().__init__()
        self.branch1x1 = BasicConv2d(in_channels, 64 // part, 1)
        self.branch5x5_1 = BasicConv2d(in_channels, 48 // part, 1)
        self.branch5x5_2 = BasicConv2d(48 // part, 64 // part, 5, padding=2)
        self.branch3x3dbl_1 = BasicConv2d(in_channels, 64 // part, 1)
        self.branch3x3dbl_2 = BasicConv2d(64 // part, 96 // part, **SQUARE)
        self.branch3x3dbl_3 = BasicConv2d(96 // part, 96 // part, **SQUARE)
        self.branch_pool = BasicConv2d(in_channels, pooled // part, 1)

    def forward(self, x: Value) -> Value:
        return F.cat([self.branch1x1(x), self.row(x, "branch5x5_"), self.row(x, "branch3x3dbl_"), self.mean(x)], 1)


class InceptionB(Branches):
    """35 x 35 to 17 x 17: 3x3 stride 2; two 3x3; max."""

    def __init__(self, in_channels: int, part: int):
        super().__init__()
        self.branch3x3 = BasicConv2d(in_channels, 384 // part, **HALVING)
        self.branch3x3dbl_1 = BasicConv2d(in_channels, 64 // part, 1)
        self.branch3x3dbl_2 = BasicConv2d(64 // part, 96 // part, **SQUARE)
        self.branch3x3dbl_3 = BasicConv2d(96 // part, 96 // part, **HALVING)

    def forward(self, x: Value) -> Value:
        return F.cat([self.branch3x3(x), self.row(x, "branch3x3dbl_"), F.max_pool2d(x, 3, stride=2)], 1)


class InceptionC(Branches):
    """17 x 17: 1x1; 1x7 7x1; 7x1 1x7 7x1 1x7; mean."""

    def __init__(self, in_channels: int, width: int, part: int):
        super().__init__()
        inner, out = width // part, 192 // part
        self.branch1x1 = BasicConv2d(in_channels, out, 1)
        self.branch7x7_1 = BasicConv2d(in_channels, inner, 1)
        self.branch7x7_2 = BasicConv2d(inner, inner, **ROW)
        self.branch7x7_3 = BasicConv2d(inner, out, **COLUMN)
        self.branch7x7dbl_1 = BasicConv2d(in_channels, inner, 1)
        self.branch7x7dbl_2 = BasicConv2d(inner, inner, **COLUMN)
        self.branch7x7dbl_3 = BasicConv2d(inner, inner, **ROW)
        self.branch7x7dbl_4 = BasicConv2d(inner, inner, **COLUMN)
        self.branch7x7dbl_5 = BasicConv2d(inner, out, **ROW)
        self.branch_pool = BasicConv2d(in_channels, out, 1)

    def forward(self, x: Value) -> Value:
        return F.cat([self.branch1x1(x), self.row(x, "branch7x7_"), self.row(x, "branch7x7dbl_"), self.mean(x)], 1)


class InceptionD(Branches):
    """17 x 17 to 8 x 8: 3x3; 1x7 7x1 3x3; max."""

    def __init__(self, in_channels: int, part: int):
        super().__init__()
        inner = 192 // part
        self.branch3x3_1 = BasicConv2d(in_channels, inner, 1)
        self.branch3x3_2 = BasicConv2d(inner, 320 // part, **HALVING)
        self.branch7x7x3_1 = BasicConv2d(in_channels, inner, 1)
        self.branch7x7x3_2 = BasicConv2d(inner, inner, **ROW)
        self.branch7x7x3_3 = BasicConv2d(inner, inner, **COLUMN)
        self.branch7x7x3_4 = BasicConv2d(inner, inner, **HALVING)

    def forward(self, x: Value) -> Value:
        return F.cat([self.row(x, "branch3x3_"), self.row(x, "branch7x7x3_"), F.max_pool2d(x, 3, stride=2)], 1)


class InceptionE(Branches):
    """8 x 8: 1x1; 1x3 beside 3x1; 3x3, then 1x3 beside 3x1; mean."""

    def __init__(self, in_channels: int, part: int):
        super().__init__()
        inner = 384 // part
        self.branch1x1 = BasicConv2d(in_channels, 320 // part, 1)
        self.branch3x3_1 = BasicConv2d(in_channels, inner, 1)
        self.branch3x3_2a = BasicConv2d(inner, inner, **SMALL_ROW)
        self.branch3x3_2b = BasicConv2d(inner, inner, **SMALL_COLUMN)
        self.branch3x3dbl_1 = BasicConv2d(in_channels, 448 // part, 1)
        self.branch3x3dbl_2 = BasicConv2d(448 // part, inner, **SQUARE)
        self.branch3x3dbl_3a = BasicConv2d(inner, inner, **SMALL_ROW)
        self.branch3x3dbl_3b = BasicConv2d(inner, inner, **SMALL_COLUMN)
        self.branch_pool = BasicConv2d(in_channels, 192 // part, 1)

    def forward(self, x: Value) -> Value:
        one, two = self.branch3x3_1(x), self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        return F.cat([self.branch1x1(x), self.branch3x3_2a(one), self.branch3x3_2b(one), self.branch3x3dbl_3a(two),
                      self.branch3x3dbl_3b(two), self.mean(x)], 1)  # fmt: skip


class Auxiliary(nn.Module):
    """Logits from 17 x 17 pixels, which train the layers below; used in training only."""

    def __init__(self, in_channels: int, num_classes: int, part: int):
        super().__init__()
        self.conv0 = BasicConv2d(in_channels, 128 // part, 1)
        self.conv1 = BasicConv2d(128 // part, 768 // part, 5)
        self.fc = nn.Linear(768 // part, num_classes)

    def forward(self, x: Value) -> Value:
        x = self.conv1(self.conv0(F.avg_pool2d(x, 5, stride=3)))
        return self.fc(F.adaptive_avg_pool2d(x, (1, 1)).flatten(1))


class Inception3(nn.Module):
    """Logits (N, num_classes) of images (N, 3, H, W), H and W from 75 up; with the auxiliary head, two of them in training.

    part divides the number of channels everywhere.
    """

    not_in_file = ("AuxLogits.",)

    def __init__(self, num_classes: int, aux_logits: bool, transform_input: bool, dropout: float, part: int = 1):
        super().__init__()
        self.transform_input = transform_input
        self.Conv2d_1a_3x3 = BasicConv2d(3, 32 // part, **HALVING)
        self.Conv2d_2a_3x3 = BasicConv2d(32 // part, 32 // part, 3)
        self.Conv2d_2b_3x3 = BasicConv2d(32 // part, 64 // part, **SQUARE)
        self.maxpool1 = nn.MaxPool2d(3, stride=2)
        self.Conv2d_3b_1x1 = BasicConv2d(64 // part, 80 // part, 1)
        self.Conv2d_4a_3x3 = BasicConv2d(80 // part, 192 // part, 3)
        self.maxpool2 = nn.MaxPool2d(3, stride=2)
        self.mixed(part, Auxiliary(768 // part, num_classes, part) if aux_logits else None)
        self.avgpool, self.dropout = nn.AdaptiveAvgPool2d((1, 1)), nn.Dropout(dropout)
        self.fc = nn.Linear(2048 // part, num_classes)
        truncated(self, 0.1)
        if self.AuxLogits is not None:
            truncated(self.AuxLogits.conv1, 0.01)
            truncated(self.AuxLogits.fc, 0.001)

    def mixed(self, part: int, auxiliary: Auxiliary | None) -> None:
        """The modules of branches in order, the auxiliary head among them."""
        for name, channels, pooled in (("5b", 192, 32), ("5c", 256, 64), ("5d", 288, 64)):
            self.add_module(f"Mixed_{name}", InceptionA(channels // part, pooled, part))
        self.Mixed_6a = InceptionB(288 // part, part)
        for name, width in (("6b", 128), ("6c", 160), ("6d", 160), ("6e", 192)):
            self.add_module(f"Mixed_{name}", InceptionC(768 // part, width, part))
        self.AuxLogits = auxiliary
        self.Mixed_7a = InceptionD(768 // part, part)
        for name, channels in (("7b", 1280), ("7c", 2048)):
            self.add_module(f"Mixed_{name}", InceptionE(channels // part, part))

    def forward(self, x: Value) -> Any:
        x = to_half(x) if self.transform_input else x
        x = self.maxpool1(self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x))))
        x = self.maxpool2(self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x)))
        x = middle = self.row(x, ("5b", "5c", "5d", "6a", "6b", "6c", "6d", "6e"))
        x = self.avgpool(self.row(x, ("7a", "7b", "7c")))
        logits = self.fc(self.dropout(x).flatten(1))
        return logits if self.AuxLogits is None or not self.training else (logits, self.AuxLogits(middle))

    def row(self, x: Value, names: tuple[str, ...]) -> Value:
        """Modules of branches one after another."""
        for name in names:
            x = getattr(self, f"Mixed_{name}")(x)
        return x


@register(input_shape=(3, 299, 299))
def inception_v3(num_classes: int = 1000, aux_logits: bool = True, transform_input: bool = False,
                 dropout: float = 0.5) -> Inception3:
    """Inception v3: 27,161,264 parameters with the auxiliary head, 5.71 billion multiply-accumulates."""
    return Inception3(num_classes, aux_logits, transform_input, dropout)


@register(input_shape=(3, 299, 299))
def inception_v3_tiny(num_classes: int = 10, aux_logits: bool = True, dropout: float = 0.0) -> Inception3:
    """A sixteenth of the channels, for tests and first steps.

    >>> inception_v3_tiny().Mixed_5b.branch1x1.conv.weight.shape
    (4, 12, 1, 1)
    """
    return Inception3(num_classes, aux_logits, False, dropout, part=16)
