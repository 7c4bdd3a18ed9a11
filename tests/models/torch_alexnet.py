"""AlexNet, ZFNet and SPPNet in plain torch.nn, named as in torchvision's AlexNet.

Sources: Krizhevsky, Sutskever & Hinton, NIPS 2012, section 3, and arXiv:1404.5997; Zeiler & Fergus, arXiv:1311.2901, figure 3;
He, Zhang, Ren & Sun, arXiv:1406.4729, figure 3.
"""

import torch
from torch import nn


def norm():
    """alpha is divided by the 5 channels of the sum here, not in the paper: 5 * 1e-4."""
    return nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2)


def convolutions(stem, wide, out, groups):
    """The layers `stem`, then three 3x3 convolutions and the last maximum."""
    layers, channels = list(stem), [m.out_channels for m in stem if isinstance(m, nn.Conv2d)][-1]
    for width, parts in ((wide, 1), (wide, groups), (out, groups)):
        layers += [nn.Conv2d(channels, width, 3, padding=1, groups=parts), nn.ReLU(inplace=True)]
        channels = width
    return nn.Sequential(*layers, nn.MaxPool2d(3, stride=2))


class AlexNet(nn.Module):
    def __init__(self, features, channels, hidden, num_classes):
        super().__init__()
        self.features = features
        self.avgpool = nn.AdaptiveAvgPool2d((6, 6))
        self.classifier = nn.Sequential(
            nn.Dropout(), nn.Linear(channels * 36, hidden), nn.ReLU(inplace=True),
            nn.Dropout(), nn.Linear(hidden, hidden), nn.ReLU(inplace=True), nn.Linear(hidden, num_classes))

    def forward(self, x):
        return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))


def alexnet(part=1, groups=1, hidden=4096, num_classes=1000):
    a, b, wide = 96 // part, 256 // part, 384 // part
    stem = [nn.Conv2d(3, a, 11, stride=4), nn.ReLU(), norm(), nn.MaxPool2d(3, stride=2),
            nn.Conv2d(a, b, 5, padding=2, groups=groups), nn.ReLU(), norm(), nn.MaxPool2d(3, stride=2)]
    return AlexNet(convolutions(stem, wide, b, groups), b, hidden, num_classes)


def alexnet_owt(num_classes=1000):
    stem = [nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, stride=2),
            nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, stride=2)]
    tail = [nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(), nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(),
            nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, stride=2)]
    return AlexNet(nn.Sequential(*stem, *tail), 256, 4096, num_classes)


def zf_convolutions(part):
    a, b = 96 // part, 256 // part
    stem = [nn.Conv2d(3, a, 7, stride=2, padding=1), nn.ReLU(), nn.MaxPool2d(3, stride=2, padding=1), norm(),
            nn.Conv2d(a, b, 5, stride=2), nn.ReLU(), nn.MaxPool2d(3, stride=2, padding=1), norm()]
    return convolutions(stem, 384 // part, b, 1)


def zfnet(part=1, hidden=4096, num_classes=1000):
    return AlexNet(zf_convolutions(part), 256 // part, hidden, num_classes)


class SPPNet(AlexNet):
    """ZFNet's convolutions without their last pooling, maxima over grids of n x n parts in its place."""

    def __init__(self, part, levels, hidden, num_classes):
        super().__init__(zf_convolutions(part)[:-1], 256 // part, hidden, num_classes)
        self.levels, self.avgpool = levels, nn.Identity()
        self.classifier[1] = nn.Linear(256 // part * sum(n * n for n in levels), hidden)

    def forward(self, x):
        x = self.features(x)
        return self.classifier(torch.cat([nn.functional.adaptive_max_pool2d(x, n).flatten(1) for n in self.levels], 1))


def sppnet(part=1, levels=(1, 2, 4), hidden=4096, num_classes=1000):
    return SPPNet(part, levels, hidden, num_classes)
