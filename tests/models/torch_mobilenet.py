"""MobileNet v1, named as in timm, and v2, named as in torchvision, in plain torch.nn.

Sources: Howard et al., arXiv:1704.04861, table 1; Sandler et al., arXiv:1801.04381, table 2.
"""

import torch
from torch import nn
from torch.nn.functional import relu6

V1 = ((64, 1, 1), (128, 2, 2), (256, 2, 2), (512, 6, 2), (1024, 2, 2))
"""Channels, repetitions, stride of the first."""
V2 = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
"""The paper's t, c, n, s."""


class Separable(nn.Module):
    def __init__(self, channels, width, stride):
        super().__init__()
        self.conv_dw = nn.Conv2d(channels, channels, 3, stride, 1, groups=channels, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv_pw = nn.Conv2d(channels, width, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)

    def forward(self, x):
        return relu6(self.bn2(self.conv_pw(relu6(self.bn1(self.conv_dw(x))))))


class MobileNetV1(nn.Module):
    def __init__(self, stem, stages, num_classes):
        super().__init__()
        self.conv_stem, self.bn1 = nn.Conv2d(3, stem, 3, 2, 1, bias=False), nn.BatchNorm2d(stem)
        rows, channels = [], stem
        for width, count, stride in stages:
            ins, strides = [channels] + [width] * (count - 1), [stride] + [1] * (count - 1)
            rows.append(nn.Sequential(*(Separable(c, width, s) for c, s in zip(ins, strides))))
            channels = width
        self.blocks, self.classifier = nn.Sequential(*rows), nn.Linear(channels, num_classes)

    def forward(self, x):
        return self.classifier(self.blocks(relu6(self.bn1(self.conv_stem(x)))).mean((2, 3)))


def mobilenet_v1(stem=32, stages=V1, num_classes=1000):
    return MobileNetV1(stem, stages, num_classes)


def row(channels, width, size, stride=1, groups=1):
    return nn.Sequential(nn.Conv2d(channels, width, size, stride, (size - 1) // 2, groups=groups, bias=False),
                         nn.BatchNorm2d(width), nn.ReLU6())


class InvertedResidual(nn.Module):
    def __init__(self, channels, width, stride, t):
        super().__init__()
        self.add = stride == 1 and channels == width
        layers = [row(channels, t * channels, 1)] if t != 1 else []
        layers += [row(t * channels, t * channels, 3, stride, t * channels),
                   nn.Conv2d(t * channels, width, 1, bias=False), nn.BatchNorm2d(width)]
        self.conv = nn.Sequential(*layers)

    def forward(self, x):
        return x + self.conv(x) if self.add else self.conv(x)


class MobileNetV2(nn.Module):
    def __init__(self, stem, stages, last, num_classes):
        super().__init__()
        layers, channels = [row(3, stem, 3, 2)], stem
        for t, width, count, stride in stages:
            for i in range(count):
                layers.append(InvertedResidual(channels, width, stride if i == 0 else 1, t))
                channels = width
        self.features = nn.Sequential(*layers, row(channels, last, 1))
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(last, num_classes))

    def forward(self, x):
        return self.classifier(torch.flatten(nn.functional.adaptive_avg_pool2d(self.features(x), 1), 1))


def mobilenet_v2(stem=32, stages=V2, last=1280, num_classes=1000):
    return MobileNetV2(stem, stages, last, num_classes)
