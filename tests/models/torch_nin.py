"""Network in network in plain torch.nn. Source: Lin, Chen & Yan, arXiv:1312.4400, sections 3 and 4."""

from torch import nn

CIFAR = ((5, 192, 160, 96), (5, 192, 192, 192), (3, 192, 192, 10))
"""The window and the three widths of each mlpconv layer, as the authors published them for CIFAR-10."""


def nin(rows=CIFAR):
    layers, channels = [], 3
    pools = (nn.MaxPool2d(3, stride=2, ceil_mode=True), nn.AvgPool2d(3, stride=2, ceil_mode=True))
    for i, (size, *widths) in enumerate(rows):
        for width, window in zip(widths, (size, 1, 1)):
            layers += [nn.Conv2d(channels, width, window, padding=window // 2), nn.ReLU()]
            channels = width
        layers += [pools[i], nn.Dropout()] if i < len(pools) else []
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
