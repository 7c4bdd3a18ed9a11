"""GoogLeNet in plain torch.nn, named as in torchvision: as in the paper, and with batch normalisation as torchvision trains it.

Source: Szegedy et al., arXiv:1409.4842, section 5 and table 1.
"""

import torch
from torch import nn

TABLE = {
    "3a": (64, (96, 128), (16, 32), 32), "3b": (128, (128, 192), (32, 96), 64), "4a": (192, (96, 208), (16, 48), 64),
    "4b": (160, (112, 224), (24, 64), 64), "4c": (128, (128, 256), (24, 64), 64), "4d": (112, (144, 288), (32, 64), 64),
    "4e": (256, (160, 320), (32, 128), 128), "5a": (256, (160, 320), (32, 128), 128), "5b": (384, (192, 384), (48, 128), 128),
}


class BasicConv2d(nn.Module):
    def __init__(self, channels, width, norm, **window):
        super().__init__()
        self.conv = nn.Conv2d(channels, width, bias=not norm, **window)
        self.bn = nn.BatchNorm2d(width, eps=0.001) if norm else nn.Identity()

    def forward(self, x):
        return torch.relu(self.bn(self.conv(x)))


class Inception(nn.Module):
    def __init__(self, channels, one, three, five, pool, norm):
        super().__init__()
        large = {"kernel_size": 3, "padding": 1} if norm else {"kernel_size": 5, "padding": 2}
        self.branch1 = BasicConv2d(channels, one, norm, kernel_size=1)
        self.branch2 = nn.Sequential(BasicConv2d(channels, three[0], norm, kernel_size=1),
                                     BasicConv2d(*three, norm, kernel_size=3, padding=1))
        self.branch3 = nn.Sequential(BasicConv2d(channels, five[0], norm, kernel_size=1), BasicConv2d(*five, norm, **large))
        self.branch4 = nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), BasicConv2d(channels, pool, norm, kernel_size=1))
        self.width = one + three[1] + five[1] + pool

    def forward(self, x):
        return torch.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], dim=1)


class Auxiliary(nn.Module):
    def __init__(self, channels, num_classes, norm):
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(4) if norm else nn.AvgPool2d(5, stride=3)
        self.conv = BasicConv2d(channels, 128, norm, kernel_size=1)
        self.fc1, self.fc2, self.dropout = nn.Linear(2048, 1024), nn.Linear(1024, num_classes), nn.Dropout(0.7)

    def forward(self, x):
        return self.fc2(self.dropout(torch.relu(self.fc1(torch.flatten(self.conv(self.pool(x)), 1)))))


class GoogLeNet(nn.Module):
    def __init__(self, norm, stem, table, num_classes, aux_logits):
        super().__init__()
        self.conv1 = BasicConv2d(3, stem[0], norm, kernel_size=7, stride=2, padding=3)
        self.conv2 = BasicConv2d(stem[0], stem[1], norm, kernel_size=1)
        self.conv3 = BasicConv2d(stem[1], stem[2], norm, kernel_size=3, padding=1)
        self.pool = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.pool5 = nn.MaxPool2d(2, stride=2, ceil_mode=True) if norm else self.pool
        self.norm = nn.Identity() if norm else nn.LocalResponseNorm(5)
        channels, widths = stem[2], {}
        for name, sizes in table.items():
            module = Inception(channels, *sizes, norm)
            self.add_module(f"inception{name}", module)
            channels = widths[name] = module.width
        self.aux1 = Auxiliary(widths["4a"], num_classes, norm) if aux_logits else None
        self.aux2 = Auxiliary(widths["4d"], num_classes, norm) if aux_logits else None
        self.dropout, self.fc = nn.Dropout(0.2 if norm else 0.4), nn.Linear(channels, num_classes)

    def forward(self, x):
        x = self.norm(self.pool(self.conv1(x)))
        x = self.pool(self.norm(self.conv3(self.conv2(x))))
        x = self.pool(self.inception3b(self.inception3a(x)))
        low = self.inception4a(x)
        high = self.inception4d(self.inception4c(self.inception4b(low)))
        x = self.inception5b(self.inception5a(self.pool5(self.inception4e(high))))
        logits = self.fc(self.dropout(x.mean((2, 3))))
        return (logits, self.aux2(high), self.aux1(low)) if self.training and self.aux1 else logits


def googlenet(norm=False, stem=(64, 64, 192), table=TABLE, num_classes=1000, aux_logits=False):
    return GoogLeNet(norm, stem, table, num_classes, aux_logits)


def googlenet_tiny(norm, aux_logits):
    return googlenet(norm, (4, 4, 8), dict.fromkeys(TABLE, (2, (2, 4), (1, 2), 2)), 10, aux_logits)
