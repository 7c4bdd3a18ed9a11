"""ResNet: blocks that add what they compute to what they were given.

    y = relu(F(x) + x)                                  equation 1; where the size changes, F(x) + norm(conv1x1(x))

    basic block        F = norm conv 3x3, relu, norm conv 3x3                               resnet18, resnet34
    bottleneck         F = norm conv 1x1, relu, norm conv 3x3, relu, norm conv 1x1          resnet50, resnet101, resnet152

    (N, 3, 224, 224)
      conv 7x7 stride 2 pad 3, norm, relu, max of 3x3 stride 2      (N, 64, 56, 56)
      four stages; each but the first halves the size               (N, 512 or 2048, 7, 7)
      mean of all pixels, linear num_classes

A bottleneck halves the size in its first convolution in the paper (`stride_in_1x1=True`, known as v1), and in its 3x3
convolution in the version that torchvision and most others have trained since (v1.5, the default): 12 % more work at equal
parameters, and better by half a percent. `zero_init_residual=True` starts every block as the identity (Goyal et al., Accurate,
large minibatch SGD, arXiv:1706.02677, section 5.1).

Names are torchvision's, whose weights load.

Source: He, Zhang, Ren & Sun, Deep residual learning for image recognition, arXiv:1512.03385, section 3 and table 1.
"""

from __future__ import annotations

from collections.abc import Sequence

from striate import nn
from striate.graph import Value
from striate.models.registry import register
from striate.models.start import kaiming


def conv3x3(in_channels: int, out_channels: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)


def conv1x1(in_channels: int, out_channels: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut: (N, C, H, W) -> (N, width, H/stride, W/stride)."""

    expansion = 1

    def __init__(self, in_channels: int, width: int, stride: int, downsample: nn.Module | None, stride_in_1x1: bool):
        super().__init__()
        self.conv1, self.bn1 = conv3x3(in_channels, width, stride), nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.conv2, self.bn2 = conv3x3(width, width), nn.BatchNorm2d(width)
        self.downsample = downsample

    @property
    def last_norm(self) -> nn.BatchNorm2d:
        return self.bn2

    def forward(self, x: Value) -> Value:
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions beside a shortcut: (N, C, H, W) -> (N, 4 * width, H/stride, W/stride)."""

    expansion = 4

    def __init__(self, in_channels: int, width: int, stride: int, downsample: nn.Module | None, stride_in_1x1: bool):
        super().__init__()
        first, second = (stride, 1) if stride_in_1x1 else (1, stride)
        self.conv1, self.bn1 = conv1x1(in_channels, width, first), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = conv3x3(width, width, second), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = conv1x1(width, width * self.expansion), nn.BatchNorm2d(width * self.expansion)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample

    @property
    def last_norm(self) -> nn.BatchNorm2d:
        return self.bn3

    def forward(self, x: Value) -> Value:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn3(self.conv3(self.relu(self.bn2(self.conv2(y)))))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


Block = type[BasicBlock] | type[Bottleneck]


class ResNet(nn.Module):
    """Logits (N, num_classes) of images (N, 3, H, W), H and W from 32 up. depths: blocks in each stage."""

    def __init__(self, block: Block, depths: Sequence[int], num_classes: int, zero_init_residual: bool,
                 stride_in_1x1: bool = False, width: int = 64):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False)
        self.bn1, self.relu = nn.BatchNorm2d(width), nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        channels = width
        for i, depth in enumerate(depths):
            made = stage(block, channels, width << i, depth, 1 if i == 0 else 2, stride_in_1x1)
            self.add_module(f"layer{i + 1}", made)
            channels = (width << i) * block.expansion
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(channels, num_classes)
        kaiming(self)
        if zero_init_residual:
            for module in self.modules():
                if isinstance(module, (BasicBlock, Bottleneck)):
                    nn.init.zeros_(module.last_norm.weight)

    def forward(self, x: Value) -> Value:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for name, module in self.named_children():
            if name.startswith("layer"):
                x = module(x)
        return self.fc(self.avgpool(x).flatten(1))


def stage(block: Block, in_channels: int, width: int, depth: int, stride: int, stride_in_1x1: bool) -> nn.Sequential:
    """Blocks of one size; the first may halve it."""
    channels = width * block.expansion
    change = stride != 1 or in_channels != channels
    downsample = nn.Sequential(conv1x1(in_channels, channels, stride), nn.BatchNorm2d(channels)) if change else None
    blocks = [block(in_channels, width, stride, downsample, stride_in_1x1)]
    blocks += [block(channels, width, 1, None, stride_in_1x1) for _ in range(depth - 1)]
    return nn.Sequential(*blocks)


@register
def resnet18(num_classes: int = 1000, zero_init_residual: bool = False) -> ResNet:
    """18 layers of basic blocks: 11,689,512 parameters, 1.81 billion multiply-accumulates."""
    return ResNet(BasicBlock, (2, 2, 2, 2), num_classes, zero_init_residual)


@register
def resnet34(num_classes: int = 1000, zero_init_residual: bool = False) -> ResNet:
    """34 layers of basic blocks: 21,797,672 parameters."""
    return ResNet(BasicBlock, (3, 4, 6, 3), num_classes, zero_init_residual)


@register
def resnet50(num_classes: int = 1000, zero_init_residual: bool = False, stride_in_1x1: bool = False) -> ResNet:
    """50 layers of bottlenecks: 25,557,032 parameters, 4.09 billion multiply-accumulates (3.86 with stride_in_1x1)."""
    return ResNet(Bottleneck, (3, 4, 6, 3), num_classes, zero_init_residual, stride_in_1x1)


@register
def resnet101(num_classes: int = 1000, zero_init_residual: bool = False, stride_in_1x1: bool = False) -> ResNet:
    """101 layers of bottlenecks: 44,549,160 parameters."""
    return ResNet(Bottleneck, (3, 4, 23, 3), num_classes, zero_init_residual, stride_in_1x1)


@register
def resnet152(num_classes: int = 1000, zero_init_residual: bool = False, stride_in_1x1: bool = False) -> ResNet:
    """152 layers of bottlenecks: 60,192,808 parameters."""
    return ResNet(Bottleneck, (3, 8, 36, 3), num_classes, zero_init_residual, stride_in_1x1)


@register(input_shape=(3, 32, 32))
def resnet_tiny(num_classes: int = 10, bottleneck: bool = False, stride_in_1x1: bool = False) -> ResNet:
    """Two stages of eight channels, for tests and first steps.

    >>> [name for name, _ in resnet_tiny().named_children()]
    ['conv1', 'bn1', 'relu', 'maxpool', 'layer1', 'layer2', 'avgpool', 'fc']
    """
    return ResNet(Bottleneck if bottleneck else BasicBlock, (1, 2), num_classes, False, stride_in_1x1, width=8)
