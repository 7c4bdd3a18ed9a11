"""Xception in plain torch.nn, named as in timm's legacy_xception. Source: Chollet, arXiv:1610.02357, figure 5."""

import torch
from torch import nn


class SeparableConv2d(nn.Module):
    def __init__(self, channels, width):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.pointwise = nn.Conv2d(channels, width, 1, bias=False)

    def forward(self, x):
        return self.pointwise(self.conv1(x))


class Block(nn.Module):
    """grow_first: whether the first separable convolution changes the channels, or the last."""

    def __init__(self, channels, width, reps, stride, start_with_relu=True, grow_first=True):
        super().__init__()
        if width != channels or stride != 1:
            self.skip, self.skipbn = nn.Conv2d(channels, width, 1, stride, bias=False), nn.BatchNorm2d(width)
        else:
            self.skip = self.skipbn = nn.Identity()
        rep = []
        for i in range(reps):
            grown = i > 0 if grow_first else False
            before, after = width if grown else channels, width if grow_first or i == reps - 1 else channels
            rep += [nn.ReLU(), SeparableConv2d(before, after), nn.BatchNorm2d(after)]
        rep = rep if start_with_relu else rep[1:]
        self.rep = nn.Sequential(*rep, *([nn.MaxPool2d(3, stride, 1)] if stride != 1 else []))

    def forward(self, x):
        return self.rep(x) + self.skipbn(self.skip(x))


class Xception(nn.Module):
    def __init__(self, part, middle, num_classes):
        super().__init__()
        a, b, c, d, e, f, g, h = (n // part for n in (32, 64, 128, 256, 728, 1024, 1536, 2048))
        self.conv1, self.bn1 = nn.Conv2d(3, a, 3, 2, 0, bias=False), nn.BatchNorm2d(a)
        self.conv2, self.bn2 = nn.Conv2d(a, b, 3, bias=False), nn.BatchNorm2d(b)
        blocks = [Block(b, c, 2, 2, start_with_relu=False), Block(c, d, 2, 2), Block(d, e, 2, 2),
                  *(Block(e, e, 3, 1) for _ in range(middle)), Block(e, f, 2, 2, grow_first=False)]
        for i, block in enumerate(blocks, 1):
            self.add_module(f"block{i}", block)
        self.count = len(blocks)
        self.conv3, self.bn3 = SeparableConv2d(f, g), nn.BatchNorm2d(g)
        self.conv4, self.bn4 = SeparableConv2d(g, h), nn.BatchNorm2d(h)
        self.fc = nn.Linear(h, num_classes)

    def forward(self, x):
        x = torch.relu(self.bn1(self.conv1(x)))
        x = torch.relu(self.bn2(self.conv2(x)))
        for i in range(1, self.count + 1):
            x = getattr(self, f"block{i}")(x)
        x = torch.relu(self.bn3(self.conv3(x)))
        return self.fc(torch.relu(self.bn4(self.conv4(x))).mean((2, 3)))


def xception(part=1, middle=8, num_classes=1000):
    return Xception(part, middle, num_classes)
