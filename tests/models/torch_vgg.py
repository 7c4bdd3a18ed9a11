"""VGG in plain torch.nn, named as in torchvision. Source: Simonyan & Zisserman, arXiv:1409.1556, table 1."""

import torch
from torch import nn

TABLE = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}


class VGG(nn.Module):
    def __init__(self, layers, last, hidden, num_classes):
        super().__init__()
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
        self.classifier = nn.Sequential(
            nn.Linear(last * 49, hidden), nn.ReLU(True), nn.Dropout(), nn.Linear(hidden, hidden), nn.ReLU(True), nn.Dropout(),
            nn.Linear(hidden, num_classes))

    def forward(self, x):
        return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))


def vgg(depths=16, batch_norm=False, widths=(64, 128, 256, 512, 512), hidden=4096, num_classes=1000):
    """depths: the number in the network's name, or the convolutions of each stage."""
    layers, channels = [], 3
    for depth, width in zip(TABLE.get(depths, depths), widths, strict=True):
        for _ in range(depth):
            layers.append(nn.Conv2d(channels, width, kernel_size=3, padding=1))
            layers += [nn.BatchNorm2d(width)] * batch_norm
            layers.append(nn.ReLU(inplace=True))
            channels = width
        layers.append(nn.MaxPool2d(kernel_size=2, stride=2))
    return VGG(layers, widths[-1], hidden, num_classes)
