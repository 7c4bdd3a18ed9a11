"""ResNet in plain torch.nn, named as in torchvision. Source: He, Zhang, Ren & Sun, arXiv:1512.03385, table 1."""

import torch
from torch import nn

DEPTHS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


class Block(nn.Module):
    """Convolutions of the sizes given, each with norm, beside a shortcut; all strides are 1 but that of `at`."""

    def __init__(self, channels, widths, sizes, stride, at):
        super().__init__()
        self.count = len(sizes)
        before = channels
        for i, (width, size) in enumerate(zip(widths, sizes), 1):
            conv = nn.Conv2d(before, width, size, stride if i == at else 1, size // 2, bias=False)
            self.add_module(f"conv{i}", conv)
            self.add_module(f"bn{i}", nn.BatchNorm2d(width))
            before = width
        self.relu = nn.ReLU()
        if stride > 1 or before != channels:
            self.downsample = nn.Sequential(nn.Conv2d(channels, before, 1, stride, bias=False), nn.BatchNorm2d(before))
        else:
            self.downsample = nn.Identity()

    def forward(self, x):
        y = x
        for i in range(1, self.count + 1):
            y = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(y))
            y = self.relu(y) if i < self.count else y
        return self.relu(y + self.downsample(x))


class ResNet(nn.Module):
    def __init__(self, depths, bottleneck, stride_in_1x1, width, num_classes):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1, self.relu = nn.BatchNorm2d(width), nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        channels, self.stages = width, len(depths)
        for i, depth in enumerate(depths):
            inner = width * 2**i
            widths, sizes = ((inner, inner, 4 * inner), (1, 3, 1)) if bottleneck else ((inner, inner), (3, 3))
            at = 2 if bottleneck and not stride_in_1x1 else 1
            blocks = []
            for j in range(depth):
                blocks.append(Block(channels, widths, sizes, 2 if i and not j else 1, at))
                channels = widths[-1]
            self.add_module(f"layer{i + 1}", nn.Sequential(*blocks))
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(channels, num_classes)

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for i in range(self.stages):
            x = getattr(self, f"layer{i + 1}")(x)
        return self.fc(torch.flatten(self.avgpool(x), 1))


def resnet(depths=18, bottleneck=False, stride_in_1x1=False, width=64, num_classes=1000):
    """depths: the number in the network's name, or the blocks of each stage."""
    return ResNet(DEPTHS.get(depths, depths), bottleneck, stride_in_1x1, width, num_classes)
