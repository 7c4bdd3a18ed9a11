"""Inception v3 in plain torch.nn, named as in torchvision. Source: Szegedy et al., arXiv:1512.00567, sections 3 to 6.

A module is a table of branches; a branch is a row of convolutions, by name: (name, channels, size, stride, padding).
"""

import torch
from torch import nn
from torch.nn.functional import adaptive_avg_pool2d, avg_pool2d, max_pool2d

MEAN, MAX = "mean", "max"


class BasicConv2d(nn.Module):
    def __init__(self, channels, width, size, stride=1, padding=0):
        super().__init__()
        self.conv = nn.Conv2d(channels, width, size, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(width, eps=0.001)

    def forward(self, x):
        return torch.relu(self.bn(self.conv(x)))


class Branches(nn.Module):
    """Branches side by side. One starts with MEAN or MAX, or with the name of the convolution whose output it reads."""

    def __init__(self, channels, branches):
        super().__init__()
        self.branches = branches
        widths = {}
        for start, *row in branches:
            before = widths.get(start, channels)
            for name, width, *window in row:
                self.add_module(name, BasicConv2d(before, width, *window))
                before = widths[name] = width
        read = [start for start, *_ in branches]
        self.ends = [row[-1][0] if row else start for start, *row in branches]
        self.ends = [end for end in self.ends if end not in read or end == MAX]
        self.width = sum(widths.get(end, channels) for end in self.ends)

    def forward(self, x):
        found = {"": x, MEAN: avg_pool2d(x, 3, stride=1, padding=1)}
        if MAX in self.ends:
            found[MAX] = max_pool2d(x, 3, stride=2)
        for start, *row in self.branches:
            y = found[start]
            for name, *_ in row:
                y = found[name] = getattr(self, name)(y)
        return torch.cat([found[end] for end in self.ends], 1)


def a(channels, pool, part):
    n = [48 // part, 64 // part, 96 // part]
    return Branches(channels, [
        ("", ("branch1x1", n[1], 1)),
        ("", ("branch5x5_1", n[0], 1), ("branch5x5_2", n[1], 5, 1, 2)),
        ("", ("branch3x3dbl_1", n[1], 1), ("branch3x3dbl_2", n[2], 3, 1, 1), ("branch3x3dbl_3", n[2], 3, 1, 1)),
        (MEAN, ("branch_pool", pool // part, 1))])


def b(channels, part):
    n = 96 // part
    return Branches(channels, [
        ("", ("branch3x3", 384 // part, 3, 2)),
        ("", ("branch3x3dbl_1", 64 // part, 1), ("branch3x3dbl_2", n, 3, 1, 1), ("branch3x3dbl_3", n, 3, 2)),
        (MAX,)])


def c(channels, width, part):
    n, out = width // part, 192 // part
    row, column = ((1, 7), 1, (0, 3)), ((7, 1), 1, (3, 0))
    return Branches(channels, [
        ("", ("branch1x1", out, 1)),
        ("", ("branch7x7_1", n, 1), ("branch7x7_2", n, *row), ("branch7x7_3", out, *column)),
        ("", ("branch7x7dbl_1", n, 1), ("branch7x7dbl_2", n, *column), ("branch7x7dbl_3", n, *row),
         ("branch7x7dbl_4", n, *column), ("branch7x7dbl_5", out, *row)),
        (MEAN, ("branch_pool", out, 1))])


def d(channels, part):
    n = 192 // part
    return Branches(channels, [
        ("", ("branch3x3_1", n, 1), ("branch3x3_2", 320 // part, 3, 2)),
        ("", ("branch7x7x3_1", n, 1), ("branch7x7x3_2", n, (1, 7), 1, (0, 3)), ("branch7x7x3_3", n, (7, 1), 1, (3, 0)),
         ("branch7x7x3_4", n, 3, 2)),
        (MAX,)])


def e(channels, part):
    n = 384 // part
    row, column = ((1, 3), 1, (0, 1)), ((3, 1), 1, (1, 0))
    return Branches(channels, [
        ("", ("branch1x1", 320 // part, 1)),
        ("", ("branch3x3_1", n, 1)),
        ("branch3x3_1", ("branch3x3_2a", n, *row)), ("branch3x3_1", ("branch3x3_2b", n, *column)),
        ("", ("branch3x3dbl_1", 448 // part, 1), ("branch3x3dbl_2", n, 3, 1, 1)),
        ("branch3x3dbl_2", ("branch3x3dbl_3a", n, *row)), ("branch3x3dbl_2", ("branch3x3dbl_3b", n, *column)),
        (MEAN, ("branch_pool", 192 // part, 1))])


class Auxiliary(nn.Module):
    def __init__(self, channels, part, num_classes):
        super().__init__()
        self.conv0 = BasicConv2d(channels, 128 // part, 1)
        self.conv1 = BasicConv2d(128 // part, 768 // part, 5)
        self.fc = nn.Linear(768 // part, num_classes)

    def forward(self, x):
        x = self.conv1(self.conv0(avg_pool2d(x, 5, stride=3)))
        return self.fc(torch.flatten(adaptive_avg_pool2d(x, 1), 1))


class Inception3(nn.Module):
    def __init__(self, part, num_classes, aux_logits):
        super().__init__()
        rows = [("1a_3x3", 32, 3, 2), ("2a_3x3", 32, 3), ("2b_3x3", 64, 3, 1, 1), ("3b_1x1", 80, 1), ("4a_3x3", 192, 3)]
        channels = 3
        for name, width, *window in rows:
            self.add_module(f"Conv2d_{name}", BasicConv2d(channels, width // part, *window))
            channels = width // part
        mixed = {"5b": (a, 32), "5c": (a, 64), "5d": (a, 64), "6a": (b,), "6b": (c, 128), "6c": (c, 160), "6d": (c, 160),
                 "6e": (c, 192), "7a": (d,), "7b": (e,), "7c": (e,)}
        self.AuxLogits = Auxiliary(768 // part, part, num_classes) if aux_logits else None
        for name, (make, *sizes) in mixed.items():
            module = make(channels, *sizes, part)
            self.add_module(f"Mixed_{name}", module)
            channels = module.width
        self.mixed, self.dropout, self.fc = list(mixed), nn.Dropout(), nn.Linear(channels, num_classes)

    def forward(self, x):
        x = max_pool2d(self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x))), 3, stride=2)
        x = max_pool2d(self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x)), 3, stride=2)
        middle = x
        for name in self.mixed:
            x = getattr(self, f"Mixed_{name}")(x)
            middle = x if name == "6e" else middle
        logits = self.fc(self.dropout(x.mean((2, 3))))
        return (logits, self.AuxLogits(middle)) if self.training and self.AuxLogits else logits


def inception_v3(part=1, num_classes=1000, aux_logits=True):
    return Inception3(part, num_classes, aux_logits)
