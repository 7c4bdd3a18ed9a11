"""Networks that name what is in an image: blocks of the literature, small."""

from collections import OrderedDict

import numpy as np
from tests.peer.network import array, network

CLASSES = 5


@network((3, 13, 11), other=(3, 16, 9))
def squeezenet(n, t):
    """Fire modules (arXiv:1602.07360): squeeze, and two expansions side by side; a convolution as the classifier."""

    class Fire(n.Module):
        def __init__(self, inputs, squeezed, expanded):
            super().__init__()
            self.squeeze = n.Conv2d(inputs, squeezed, kernel_size=1)
            self.expand1x1 = n.Conv2d(squeezed, expanded, kernel_size=1)
            self.expand3x3 = n.Conv2d(squeezed, expanded, kernel_size=3, padding=1)
            self.activation = n.ReLU(inplace=True)

        def forward(self, x):
            x = self.activation(self.squeeze(x))
            return t.cat([self.activation(self.expand1x1(x)), self.activation(self.expand3x3(x))], 1)

    class SqueezeNet(n.Module):
        def __init__(self):
            super().__init__()
            self.features = n.Sequential(n.Conv2d(3, 16, 3, stride=2), n.ReLU(inplace=True),
                                         n.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True), Fire(16, 4, 8), Fire(16, 8, 8))
            self.classifier = n.Sequential(n.Dropout(p=0.5), n.Conv2d(16, CLASSES, kernel_size=1), n.ReLU(inplace=True),
                                           n.AdaptiveAvgPool2d((1, 1)))

        def forward(self, x):
            return self.classifier(self.features(x)).flatten(1)

    return SqueezeNet()


@network((3, 13, 11), other=(3, 12, 15))
def densenet(n, t):
    """Every layer reads all before it (arXiv:1608.06993); transitions halve the channels."""
    F = n.functional

    class Layer(n.Module):
        def __init__(self, channels, growth):
            super().__init__()
            self.norm1, self.conv1 = n.BatchNorm2d(channels), n.Conv2d(channels, 4 * growth, 1, bias=False)
            self.norm2, self.conv2 = n.BatchNorm2d(4 * growth), n.Conv2d(4 * growth, growth, 3, padding=1, bias=False)

        def forward(self, features):
            x = self.conv1(F.relu(self.norm1(t.cat(features, 1))))
            return self.conv2(F.relu(self.norm2(x)))

    class Block(n.ModuleDict):
        def __init__(self, layers, channels, growth):
            super().__init__()
            for i in range(layers):
                self.add_module(f"denselayer{i + 1}", Layer(channels + i * growth, growth))

        def forward(self, x):
            features = [x]
            for _, layer in self.items():
                features.append(layer(features))
            return t.cat(features, 1)

    class DenseNet(n.Module):
        def __init__(self):
            super().__init__()
            self.features = n.Sequential(OrderedDict([("conv0", n.Conv2d(3, 8, 3, padding=1, bias=False)), ("block0", Block(3,
                                                                                                            8, 4))]))
            self.features.add_module("transition", n.Sequential(
                n.BatchNorm2d(20), n.ReLU(), n.Conv2d(20, 10, 1, bias=False), n.AvgPool2d(2, 2)))
            self.features.add_module("norm5", n.BatchNorm2d(10))
            self.classifier = n.Linear(10, CLASSES)

        def forward(self, x):
            out = F.relu(self.features(x), inplace=True)
            out = F.adaptive_avg_pool2d(out, (1, 1)).view(x.size(0), -1)
            return self.classifier(out)

    return DenseNet()


@network((3, 14, 11))
def shufflenet_v1(n, t):
    """Grouped 1x1 convolutions and a shuffle of the channels between them (arXiv:1707.01083)."""
    F = n.functional

    def shuffle(x, groups):
        batch, channels, height, width = x.shape
        x = x.view(batch, groups, channels // groups, height, width)
        return x.transpose(1, 2).contiguous().view(batch, -1, height, width)

    class Unit(n.Module):
        def __init__(self, inputs, outputs, groups, stride):
            super().__init__()
            self.groups, self.stride = groups, stride
            outputs = outputs - inputs if stride == 2 else outputs
            self.compress, self.bn1 = n.Conv2d(inputs, 8, 1, groups=groups, bias=False), n.BatchNorm2d(8)
            self.depthwise, self.bn2 = n.Conv2d(8, 8, 3, stride=stride, padding=1, groups=8, bias=False), n.BatchNorm2d(8)
            self.expand, self.bn3 = n.Conv2d(8, outputs, 1, groups=groups, bias=False), n.BatchNorm2d(outputs)

        def forward(self, x):
            y = shuffle(F.relu(self.bn1(self.compress(x))), self.groups)
            y = self.bn3(self.expand(self.bn2(self.depthwise(y))))
            if self.stride == 2:
                return F.relu(t.cat((F.avg_pool2d(x, 3, stride=2, padding=1), y), dim=1))
            return F.relu(x + y)

    return n.Sequential(n.Conv2d(3, 8, 3, padding=1), Unit(8, 16, 2, 2), Unit(16, 16, 2, 1), n.AdaptiveAvgPool2d(1), n.Flatten(),
                        n.Linear(16, CLASSES))


@network((3, 13, 11))
def shufflenet_v2(n, t):
    """Half of the channels pass, half are transformed (arXiv:1807.11164)."""

    def branch(inputs, outputs, stride):
        return n.Sequential(n.Conv2d(inputs, outputs, 1, bias=False), n.BatchNorm2d(outputs), n.ReLU(inplace=True),
                            n.Conv2d(outputs, outputs, 3, stride, 1, groups=outputs, bias=False), n.BatchNorm2d(outputs),
                            n.Conv2d(outputs, outputs, 1, bias=False), n.BatchNorm2d(outputs), n.ReLU(inplace=True))

    class Unit(n.Module):
        def __init__(self, inputs, outputs, stride):
            super().__init__()
            self.stride, half = stride, outputs // 2
            self.branch1 = n.Sequential()
            if stride > 1:
                self.branch1 = n.Sequential(n.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs, bias=False),
                                            n.BatchNorm2d(inputs),
                                            n.Conv2d(inputs, half, 1, bias=False), n.BatchNorm2d(half), n.ReLU(inplace=True))
            self.branch2 = branch(inputs if stride > 1 else half, half, stride)

        def forward(self, x):
            if self.stride == 1:
                x1, x2 = x.chunk(2, dim=1)
                out = t.cat((x1, self.branch2(x2)), dim=1)
            else:
                out = t.cat((self.branch1(x), self.branch2(x)), dim=1)
            b, c, h, w = out.size()
            return out.view(b, 2, c // 2, h, w).transpose(1, 2).contiguous().view(b, c, h, w)

    class ShuffleNet(n.Module):
        def __init__(self):
            super().__init__()
            self.stage = n.Sequential(Unit(3, 16, 2), Unit(16, 16, 1))
            self.fc = n.Linear(16, CLASSES)

        def forward(self, x):
            return self.fc(self.stage(x).mean([2, 3]))

    return ShuffleNet()


def _inverted(n, activation, gate):
    """Mobile inverted bottlenecks, with an activation and a gate to choose."""

    class Excite(n.Module):
        def __init__(self, channels, squeezed):
            super().__init__()
            self.avgpool = n.AdaptiveAvgPool2d(1)
            self.fc1, self.fc2 = n.Conv2d(channels, squeezed, 1), n.Conv2d(squeezed, channels, 1)
            self.activation, self.scale_activation = activation(), gate()

        def forward(self, x):
            scale = self.scale_activation(self.fc2(self.activation(self.fc1(self.avgpool(x)))))
            return scale * x

    class Bottleneck(n.Module):
        def __init__(self, inputs, outputs, ratio, kernel, stride):
            super().__init__()
            wide, layers = inputs * ratio, []
            if ratio != 1:
                layers += [n.Conv2d(inputs, wide, 1, bias=False), n.BatchNorm2d(wide, eps=1e-3, momentum=0.01), activation()]
            layers += [n.Conv2d(wide, wide, kernel, stride, (kernel - 1) // 2, groups=wide, bias=False), n.BatchNorm2d(wide),
                       activation(), Excite(wide, 4), n.Conv2d(wide, outputs, 1, bias=False), n.BatchNorm2d(outputs)]
            self.conv, self.use_res_connect = n.Sequential(*layers), stride == 1 and inputs == outputs

        def forward(self, x):
            return x + self.conv(x) if self.use_res_connect else self.conv(x)

    return n.Sequential(n.Conv2d(3, 8, 3, 2, 1, bias=False), n.BatchNorm2d(8), activation(), Bottleneck(8, 8, 1, 3, 1),
                        Bottleneck(8, 16, 2, 5, 2), Bottleneck(16, 16, 2, 3, 1), n.AdaptiveAvgPool2d(1), n.Flatten(1),
                        n.Dropout(0.2),
                        n.Linear(16, CLASSES))


@network((3, 15, 13))
def efficientnet(n, t):
    """Inverted bottlenecks with SiLU and squeeze-and-excitation (arXiv:1905.11946)."""
    return _inverted(n, n.SiLU, n.Sigmoid)


@network((3, 15, 13))
def mobilenet_v3(n, t):
    """The same with hard functions (arXiv:1905.02244)."""
    return _inverted(n, n.Hardswish, n.Hardsigmoid)


@network((3, 12, 13), other=(3, 9, 16))
def convnext(n, t):
    """Depthwise 7x7, layer norm over the channels put last, GELU, a scale for each channel (arXiv:2201.03545)."""
    F = n.functional

    class LayerNorm2d(n.LayerNorm):
        def forward(self, x):
            x = x.permute(0, 2, 3, 1)
            x = F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)
            return x.permute(0, 3, 1, 2)

    class Block(n.Module):
        def __init__(self, dim):
            super().__init__()
            self.dwconv = n.Conv2d(dim, dim, kernel_size=7, padding=3, groups=dim)
            self.norm = n.LayerNorm(dim, eps=1e-6)
            self.pwconv1, self.act, self.pwconv2 = n.Linear(dim, 4 * dim), n.GELU(), n.Linear(4 * dim, dim)
            self.gamma = n.Parameter(self.pwconv2.bias.data * 0 + 0.5)

        def forward(self, x):
            y = self.dwconv(x).permute(0, 2, 3, 1)
            y = self.gamma * self.pwconv2(self.act(self.pwconv1(self.norm(y))))
            return x + y.permute(0, 3, 1, 2)

    class ConvNeXt(n.Module):
        def __init__(self):
            super().__init__()
            self.stem = n.Sequential(n.Conv2d(3, 8, kernel_size=2, stride=2), LayerNorm2d(8, eps=1e-6))
            self.blocks = n.Sequential(*[Block(8) for _ in range(2)])
            self.norm, self.head = n.LayerNorm(8, eps=1e-6), n.Linear(8, CLASSES)

        def forward(self, x):
            x = self.blocks(self.stem(x))
            return self.head(self.norm(x.mean([-2, -1])))

    return ConvNeXt()


@network((3, 12, 11))
def resnext(n, t):
    """Grouped 3x3 convolutions in a bottleneck (arXiv:1611.05431), as in RegNet."""
    F = n.functional

    class Block(n.Module):
        expansion = 2

        def __init__(self, inputs, planes, stride=1, groups=4):
            super().__init__()
            self.conv1, self.bn1 = n.Conv2d(inputs, planes, 1, bias=False), n.BatchNorm2d(planes)
            self.conv2, self.bn2 = n.Conv2d(planes, planes, 3, stride, 1, groups=groups, bias=False), n.BatchNorm2d(planes)
            self.conv3, self.bn3 = n.Conv2d(planes, planes * 2, 1, bias=False), n.BatchNorm2d(planes * self.expansion)
            self.downsample = None
            if stride != 1 or inputs != planes * 2:
                self.downsample = n.Sequential(n.Conv2d(inputs, planes * 2, 1, stride, bias=False), n.BatchNorm2d(planes * 2))

        def forward(self, x):
            identity = x
            out = F.relu(self.bn1(self.conv1(x)))
            out = F.relu(self.bn2(self.conv2(out)))
            out = self.bn3(self.conv3(out))
            if self.downsample is not None:
                identity = self.downsample(x)
            out += identity
            return F.relu(out)

    class ResNeXt(n.Module):
        def __init__(self):
            super().__init__()
            self.layer1, self.layer2 = Block(3, 8), Block(16, 8, stride=2)
            self.avgpool, self.fc = n.AdaptiveAvgPool2d((1, 1)), n.Linear(16, CLASSES)

        def forward(self, x):
            x = self.avgpool(self.layer2(self.layer1(x)))
            return self.fc(x.reshape(x.shape[0], -1))

    return ResNeXt()


@network((3, 12, 11))
def wide_resnet(n, t):
    """Pre-activation, with dropout between the convolutions (arXiv:1605.07146); the shortcut reads the activated input."""
    F = n.functional

    class Block(n.Module):
        def __init__(self, inputs, outputs, stride, rate):
            super().__init__()
            self.bn1, self.conv1 = n.BatchNorm2d(inputs), n.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
            self.bn2, self.conv2 = n.BatchNorm2d(outputs), n.Conv2d(outputs, outputs, 3, padding=1, bias=False)
            self.drop, self.equal = n.Dropout(rate), inputs == outputs
            self.shortcut = ((not self.equal) and n.Conv2d(inputs, outputs, 1, stride=stride, bias=False)) or None

        def forward(self, x):
            if not self.equal:
                x = F.relu(self.bn1(x))
            out = F.relu(self.bn1(x)) if self.equal else x
            out = self.conv2(self.drop(F.relu(self.bn2(self.conv1(out)))))
            return (x if self.equal else self.shortcut(x)) + out

    class Wide(n.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.fc = n.Conv2d(3, 8, 3, padding=1, bias=False), n.Linear(16, CLASSES)
            self.block1, self.block2, self.bn1 = Block(8, 16, 2, 0.3), Block(16, 16, 1, 0.3), n.BatchNorm2d(16)
            for m in self.modules():
                if isinstance(m, n.Conv2d):
                    n.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
                elif isinstance(m, n.BatchNorm2d):
                    n.init.constant_(m.weight, 1)
                    n.init.zeros_(m.bias)

        def forward(self, x):
            out = F.relu(self.bn1(self.block2(self.block1(self.conv1(x)))))
            out = F.avg_pool2d(out, out.shape[2:])
            return self.fc(out.view(-1, 16))

    return Wide()


@network((3, 13, 12))
def se_resnet(n, t):
    """Squeeze and excitation by linear layers (arXiv:1709.01507); average pooling in the shortcut (ResNet-D)."""

    class SELayer(n.Module):
        def __init__(self, channel, reduction=4):
            super().__init__()
            self.avg_pool = n.AdaptiveAvgPool2d(1)
            self.fc = n.Sequential(n.Linear(channel, channel // reduction, bias=False), n.ReLU(inplace=True),
                                   n.Linear(channel // reduction, channel, bias=False), n.Sigmoid())

        def forward(self, x):
            b, c, _, _ = x.size()
            y = self.avg_pool(x).view(b, c)
            y = self.fc(y).view(b, c, 1, 1)
            return x * y.expand_as(x)

    class Block(n.Module):
        def __init__(self, inputs, planes, stride):
            super().__init__()
            self.body = n.Sequential(n.Conv2d(inputs, planes, 3, stride, 1, bias=False), n.BatchNorm2d(planes),
                                     n.ReLU(inplace=True),
                                     n.Conv2d(planes, planes, 3, 1, 1, bias=False), n.BatchNorm2d(planes), SELayer(planes))
            self.short = n.Sequential(n.AvgPool2d(stride, stride, ceil_mode=True, count_include_pad=False),
                                      n.Conv2d(inputs, planes, 1, bias=False), n.BatchNorm2d(planes))
            self.relu = n.ReLU(inplace=True)

        def forward(self, x):
            return self.relu(self.body(x) + self.short(x))

    return n.Sequential(Block(3, 8, 2), Block(8, 16, 2), n.AdaptiveAvgPool2d(1), n.Flatten(), n.Linear(16, CLASSES))


@network((3, 11, 12), other=(3, 8, 9))
def cbam(n, t):
    """Attention of channels and of places (arXiv:1807.06521): means and maxima of both."""
    F = n.functional

    class ChannelGate(n.Module):
        def __init__(self, channels):
            super().__init__()
            self.mlp = n.Sequential(n.Linear(channels, 4), n.ReLU(), n.Linear(4, channels))

        def forward(self, x):
            total = None
            for kind in ("avg", "max"):
                pool = F.avg_pool2d if kind == "avg" else F.max_pool2d
                pooled = pool(x, (x.size(2), x.size(3)), stride=(x.size(2), x.size(3)))
                raw = self.mlp(pooled.flatten(1))
                total = raw if total is None else total + raw
            return x * total.sigmoid().unsqueeze(2).unsqueeze(3).expand_as(x)

    class SpatialGate(n.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.bn = n.Conv2d(2, 1, 7, padding=3, bias=False), n.BatchNorm2d(1, eps=1e-5, momentum=0.01, affine=True)

        def forward(self, x):
            compressed = t.cat((x.max(1)[0].unsqueeze(1), x.mean(1).unsqueeze(1)), dim=1)
            return x * self.bn(self.conv(compressed)).sigmoid()

    return n.Sequential(n.Conv2d(3, 8, 3, padding=1), ChannelGate(8), SpatialGate(), n.AdaptiveMaxPool2d(1), n.Flatten(),
                        n.Linear(8, CLASSES))


@network((3, 13, 11))
def nin(n, t):
    """1x1 convolutions as small networks at every pixel; a mean for each class (arXiv:1312.4400)."""

    def block(inputs, outputs, *window):
        return [n.Conv2d(inputs, outputs, *window), n.ReLU(), n.Conv2d(outputs, outputs, 1), n.ReLU()]

    return n.Sequential(*block(3, 8, 5, 1, 2), n.MaxPool2d(3, 2, ceil_mode=True), n.Dropout(), *block(8, CLASSES, 3, 1, 1),
                        n.AdaptiveAvgPool2d((1, 1)), n.Flatten())


@network((3, 9, 10))
def maxout(n, t):
    """The largest of some convolutions (arXiv:1302.4389), as a maximum over a new axis and element by element."""

    class Maxout(n.Module):
        def __init__(self, inputs, outputs, pieces):
            super().__init__()
            self.pieces, self.conv = pieces, n.Conv2d(inputs, outputs * pieces, 3, padding=1)

        def forward(self, x):
            y = self.conv(x)
            y = y.view(y.shape[0], -1, self.pieces, *y.shape[2:])
            return y.max(dim=2).values

    class Net(n.Module):
        def __init__(self):
            super().__init__()
            self.first, self.a, self.b = Maxout(3, 8, 2), n.Linear(8, CLASSES), n.Linear(8, CLASSES)

        def forward(self, x):
            x = self.first(x).amax(dim=(2, 3))
            return t.maximum(self.a(x), self.b(x))

    return Net()


@network((3, 9, 11))
def capsules(n, t):
    """Primary capsules and two rounds of routing by agreement (arXiv:1710.09829)."""
    F = n.functional

    def squash(x, dim=-1):
        norm = (x ** 2).sum(dim=dim, keepdim=True)
        return norm / (1 + norm) * x / (norm + 1e-8).sqrt()

    class Net(n.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.primary = n.Conv2d(3, 8, 3), n.Conv2d(8, 8, 3, stride=2)
            self.routes = n.Linear(4, CLASSES * 6, bias=False)

        def forward(self, x):
            x = self.primary(F.relu(self.conv(x)))
            u = squash(x.view(x.size(0), -1, 4))
            votes = self.routes(u).view(x.size(0), u.size(1), CLASSES, 6)
            logits = votes.sum(-1) * 0
            for _ in range(2):
                weights = F.softmax(logits, dim=2).unsqueeze(-1)
                out = squash((weights * votes).sum(dim=1))
                logits = logits + (votes * out.unsqueeze(1)).sum(-1)
            return (out ** 2).sum(-1)

    return Net()


@network((3, 10, 9))
def stochastic_depth(n, t):
    """Blocks that are left out now and then in training (arXiv:1603.09382): a mask of one number for each image."""
    F = n.functional

    class Block(n.Module):
        def __init__(self, channels, rate):
            super().__init__()
            self.conv, self.norm, self.drop = n.Conv2d(channels, channels, 3, padding=1), n.BatchNorm2d(channels), n.Dropout(rate)

        def forward(self, x):
            keep = self.drop(x[:, :1, :1, :1] * 0 + 1)
            return F.relu(x + keep * self.norm(self.conv(x)))

    return n.Sequential(n.Conv2d(3, 8, 1), *(Block(8, 0.1 * i) for i in range(3)), n.AdaptiveAvgPool2d(1), n.Flatten(),
                        n.Linear(8, CLASSES))


@network((3, 11, 9))
def group_norm_resnet(n, t):
    """Group norm and standardised weights (arXiv:1903.10520)."""
    F = n.functional

    class Conv(n.Conv2d):
        def forward(self, x):
            w = self.weight
            mean = w.mean(dim=1, keepdim=True).mean(dim=2, keepdim=True).mean(dim=3, keepdim=True)
            w = w - mean
            std = w.view(w.size(0), -1).std(dim=1).view(-1, 1, 1, 1) + 1e-5
            return F.conv2d(x, w / std.expand_as(w), self.bias, self.stride, self.padding, self.dilation, self.groups)

    class Block(n.Module):
        def __init__(self, channels):
            super().__init__()
            self.conv1, self.conv2 = Conv(channels, channels, 3, padding=1), Conv(channels, channels, 3, padding=1)
            self.gn1, self.gn2 = n.GroupNorm(4, channels), n.GroupNorm(num_groups=2, num_channels=channels)

        def forward(self, x):
            y = F.relu(self.gn1(self.conv1(x)))
            return F.relu(x + self.gn2(self.conv2(y)))

    return n.Sequential(n.Conv2d(3, 8, 3), Block(8), Block(8), n.AdaptiveAvgPool2d(1), n.Flatten(), n.Linear(8, CLASSES))


@network((3, 11, 12))
def ghostnet(n, t):
    """Cheap maps made of few, and cut to the wanted number (arXiv:1911.11907)."""

    class Ghost(n.Module):
        def __init__(self, inputs, outputs):
            super().__init__()
            self.outputs = outputs
            self.primary = n.Sequential(n.Conv2d(inputs, 4, 1, bias=False), n.BatchNorm2d(4), n.ReLU(inplace=True))
            self.cheap = n.Sequential(n.Conv2d(4, 8, 3, 1, 1, groups=4, bias=False), n.BatchNorm2d(8), n.ReLU(inplace=True))

        def forward(self, x):
            x1 = self.primary(x)
            return t.cat([x1, self.cheap(x1)], dim=1)[:, :self.outputs, :, :]

    return n.Sequential(Ghost(3, 10), Ghost(10, 11), n.AdaptiveAvgPool2d(1), n.Flatten(), n.Linear(11, CLASSES))


@network((3, 9, 11))
def res2net(n, t):
    """A hierarchy of small residuals inside one block (arXiv:1904.01169)."""
    F = n.functional

    class Block(n.Module):
        def __init__(self, channels, scale):
            super().__init__()
            self.width = channels // scale
            self.convs = n.ModuleList([n.Conv2d(self.width, self.width, 3, padding=1) for _ in range(scale - 1)])
            self.bns = n.ModuleList([n.BatchNorm2d(self.width) for _ in range(scale - 1)])

        def forward(self, x):
            parts = x.split(self.width, 1)
            y = out = F.relu(self.bns[0](self.convs[0](parts[0])))
            for i in range(1, len(self.convs)):
                y = F.relu(self.bns[i](self.convs[i](y + parts[i])))
                out = t.cat((out, y), 1)
            return t.cat((out, parts[len(self.convs)]), 1) + x

    return n.Sequential(n.Conv2d(3, 16, 1), Block(16, 4), n.AdaptiveAvgPool2d(1), n.Flatten(), n.Linear(16, CLASSES))


@network((3, 9, 11))
def selective_kernels(n, t):
    """Branches of several dilations, weighed by a softmax over the branches (arXiv:1903.06586)."""

    class Select(n.Module):
        def __init__(self, channels, branches):
            super().__init__()
            self.branches = n.ModuleList()
            for i in range(branches):
                self.branches.append(n.Sequential(n.Conv2d(channels, channels, 3, padding=1 + i, dilation=1 + i, groups=2),
                                                  n.BatchNorm2d(channels), n.ReLU()))
            self.fc = n.Linear(channels, 4)
            self.fcs = n.ModuleList([n.Linear(4, channels) for _ in range(branches)])
            self.softmax = n.Softmax(dim=1)

        def forward(self, x):
            features = t.stack([branch(x) for branch in self.branches], dim=1)
            z = self.fc(features.sum(dim=1).mean(-1).mean(-1))
            weights = self.softmax(t.stack([fc(z) for fc in self.fcs], 1))
            return (features * weights.unsqueeze(-1).unsqueeze(-1)).sum(dim=1)

    return n.Sequential(n.Conv2d(3, 8, 3), Select(8, 3), n.AdaptiveAvgPool2d(1), n.Flatten(), n.Linear(8, CLASSES))


@network((3, 10, 9))
def efficient_channel_attention(n, t):
    """A convolution along the channels (arXiv:1910.03151)."""

    class ECA(n.Module):
        def __init__(self):
            super().__init__()
            self.avg_pool, self.conv, self.sigmoid = n.AdaptiveAvgPool2d(1), n.Conv1d(1, 1, 3, padding=1, bias=False), n.Sigmoid()

        def forward(self, x):
            y = self.avg_pool(x)
            y = self.conv(y.squeeze(-1).transpose(-1, -2)).transpose(-1, -2).unsqueeze(-1)
            return x * self.sigmoid(y).expand_as(x)

    return n.Sequential(n.Conv2d(3, 8, 3), ECA(), n.ReLU(), n.Conv2d(8, 8, 3), ECA(), n.AdaptiveAvgPool2d(1), n.Flatten(),
                        n.Linear(8, CLASSES))


@network((3, 10, 9))
def coordinate_attention(n, t):
    """Means along each axis, joined, and split again (arXiv:2103.02907)."""

    class Coordinates(n.Module):
        def __init__(self, channels):
            super().__init__()
            self.pool_h, self.pool_w = n.AdaptiveAvgPool2d((None, 1)), n.AdaptiveAvgPool2d((1, None))
            self.conv1, self.bn1, self.act = n.Conv2d(channels, 4, 1), n.BatchNorm2d(4), n.Hardswish()
            self.conv_h, self.conv_w = n.Conv2d(4, channels, 1), n.Conv2d(4, channels, 1)

        def forward(self, x):
            _, _, h, w = x.size()
            x_h, x_w = self.pool_h(x), self.pool_w(x).permute(0, 1, 3, 2)
            y = self.act(self.bn1(self.conv1(t.cat([x_h, x_w], dim=2))))
            x_h, x_w = y.split([h, w], dim=2)
            return x * self.conv_h(x_h).sigmoid() * self.conv_w(x_w.permute(0, 1, 3, 2)).sigmoid()

    return n.Sequential(n.Conv2d(3, 8, 3), Coordinates(8), n.AdaptiveAvgPool2d(1), n.Flatten(), n.Linear(8, CLASSES))


@network((3, 12, 9))
def highway(n, t):
    """T(x) * H(x) + (1 - T(x)) * x (arXiv:1505.00387), with max blur pooling by a fixed filter (arXiv:1904.11486)."""
    F = n.functional

    class Highway(n.Module):
        def __init__(self, channels):
            super().__init__()
            self.plain, self.gate = n.Conv2d(channels, channels, 3, padding=1), n.Conv2d(channels, channels, 3, padding=1)
            n.init.constant_(self.gate.bias, -1.0)

        def forward(self, x):
            gate = F.sigmoid(self.gate(x))
            return F.relu(self.plain(x)) * gate + x * (1 - gate)

    class Blur(n.Module):
        def __init__(self, channels):
            super().__init__()
            self.channels, self.pad = channels, n.ReflectionPad2d(1)
            row = np.array([1.0, 2.0, 1.0], np.float32)
            self.register_buffer("filter", array(t, np.tile(np.outer(row, row) / 16, (channels, 1, 1, 1))))

        def forward(self, x):
            return F.conv2d(self.pad(F.max_pool2d(x, 2, stride=1)), self.filter, stride=2, groups=self.channels)

    return n.Sequential(n.Conv2d(3, 8, 3), Highway(8), Blur(8), n.Flatten(), n.Linear(8 * 5 * 3, CLASSES))


@network((3, 12, 8), other=(3, 8, 16))
def patch_transformer(n, t):
    """Patches by a convolution, positions, one block of attention with two heads (arXiv:2010.11929)."""

    class Attention(n.Module):
        def __init__(self, dim, heads):
            super().__init__()
            self.heads, self.scale = heads, (dim // heads) ** -0.5
            self.qkv, self.proj = n.Linear(dim, 3 * dim, bias=False), n.Linear(dim, dim)

        def forward(self, x):
            b, length, c = x.shape
            qkv = self.qkv(x).reshape(b, length, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
            q, k, v = qkv[0], qkv[1], qkv[2]
            attention = (q @ k.transpose(-2, -1)) * self.scale
            x = attention.softmax(dim=-1) @ v
            return self.proj(x.transpose(1, 2).reshape(b, length, c))

    class Transformer(n.Module):
        def __init__(self):
            super().__init__()
            self.patch = n.Conv2d(3, 8, kernel_size=4, stride=4)
            self.cls_token = n.Parameter(n.Linear(1, 8).weight.data.reshape(1, 1, 8))
            self.norm1, self.norm2, self.attn = n.LayerNorm(8), n.LayerNorm(8), Attention(8, 2)
            self.mlp = n.Sequential(n.Linear(8, 16), n.GELU(), n.Linear(16, 8))
            self.head = n.Linear(8, CLASSES)

        def forward(self, x):
            x = self.patch(x).flatten(2).transpose(1, 2)
            x = t.cat((self.cls_token.expand(x.shape[0], -1, -1), x), dim=1)
            x = x + self.attn(self.norm1(x))
            x = x + self.mlp(self.norm2(x))
            return self.head(x[:, 0])

    return Transformer()


@network((3, 10, 8))
def conv_mixer(n, t):
    """Residuals around a depthwise convolution with padding='same' (arXiv:2201.09792)."""

    class Residual(n.Module):
        def __init__(self, fn):
            super().__init__()
            self.fn = fn

        def forward(self, x):
            return self.fn(x) + x

    return n.Sequential(
        n.Conv2d(3, 8, kernel_size=2, stride=2), n.GELU(), n.BatchNorm2d(8),
        *[n.Sequential(Residual(n.Sequential(n.Conv2d(8, 8, 5, groups=8, padding="same"), n.GELU(), n.BatchNorm2d(8))),
                       n.Conv2d(8, 8, kernel_size=1), n.GELU(), n.BatchNorm2d(8)) for _ in range(2)],
        n.AdaptiveAvgPool2d((1, 1)), n.Flatten(), n.Linear(8, CLASSES))


@network((3, 9, 9))
def mlp_mixer(n, t):
    """Linear layers over places, then over channels (arXiv:2105.01601)."""

    class Mixer(n.Module):
        def __init__(self, tokens, channels):
            super().__init__()
            self.norm1, self.norm2 = n.LayerNorm(channels), n.LayerNorm(channels)
            self.tokens = n.Sequential(n.Linear(tokens, 12), n.GELU(), n.Linear(12, tokens))
            self.channels = n.Sequential(n.Linear(channels, 12), n.GELU(approximate="tanh"), n.Linear(12, channels))

        def forward(self, x):
            y = self.norm1(x).transpose(1, 2)
            x = x + self.tokens(y).transpose(1, 2)
            return x + self.channels(self.norm2(x))

    class Net(n.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.mixer, self.fc = n.Conv2d(3, 8, 3, stride=3), Mixer(9, 8), n.Linear(8, CLASSES)

        def forward(self, x):
            x = self.stem(x).flatten(2).permute(0, 2, 1)
            return self.fc(self.mixer(x).mean(dim=1))

    return Net()


@network((3, 9, 10))
def involution(n, t):
    """Filters made of the image itself, put to patches by unfold (arXiv:2103.06255)."""
    F = n.functional

    class Involution(n.Module):
        def __init__(self, channels, size, groups):
            super().__init__()
            self.size, self.groups = size, groups
            self.reduce, self.span = n.Conv2d(channels, 4, 1), n.Conv2d(4, size * size * groups, 1)

        def forward(self, x):
            b, c, h, w = x.shape
            weight = self.span(F.relu(self.reduce(x))).view(b, self.groups, self.size ** 2, h, w).unsqueeze(2)
            patches = F.unfold(x, self.size, padding=self.size // 2)
            patches = patches.view(b, self.groups, c // self.groups, self.size ** 2, h, w)
            return (weight * patches).sum(dim=3).view(b, c, h, w)

    return n.Sequential(n.Conv2d(3, 8, 3), Involution(8, 3, 2), n.ReLU(), n.AdaptiveAvgPool2d(1), n.Flatten(), n.Linear(8,
                                                                                                                        CLASSES))


@network((3, 10, 9))
def cosine_classifier(n, t):
    """Cosines of normalised features and normalised class weights, scaled (arXiv:1801.07698)."""
    F = n.functional

    class Cosine(n.Module):
        def __init__(self, inputs, classes):
            super().__init__()
            self.weight = n.Parameter(n.Linear(inputs, classes).weight.data)
            self.scale = n.Parameter(self.weight.data.mean() * 0 + 4.0)

        def forward(self, x):
            return F.linear(F.normalize(x), F.normalize(self.weight, dim=1)) * self.scale

    return n.Sequential(n.Conv2d(3, 8, 3, padding=1), n.LeakyReLU(0.1), n.AdaptiveAvgPool2d((2, 2)), n.Flatten(), Cosine(32,
                                                                                                                         CLASSES))


@network((3, 17, 17))
def inception(n, t):
    """Four branches with asymmetric windows, and an auxiliary head that only training has (arXiv:1512.00567)."""
    F = n.functional

    class BasicConv2d(n.Module):
        def __init__(self, inputs, outputs, **kwargs):
            super().__init__()
            self.conv = n.Conv2d(inputs, outputs, bias=False, **kwargs)
            self.bn = n.BatchNorm2d(outputs, eps=0.001)

        def forward(self, x):
            return F.relu(self.bn(self.conv(x)), inplace=True)

    class Inception(n.Module):
        def __init__(self):
            super().__init__()
            self.stem = BasicConv2d(3, 8, kernel_size=3, stride=2)
            self.a, self.b1 = BasicConv2d(8, 4, kernel_size=1), BasicConv2d(8, 4, kernel_size=1)
            self.b2 = BasicConv2d(4, 4, kernel_size=(1, 7), padding=(0, 3))
            self.b3 = BasicConv2d(4, 4, kernel_size=(7, 1), padding=(3, 0))
            self.c, self.d = BasicConv2d(8, 4, kernel_size=3, stride=1, padding=1), BasicConv2d(8, 4, kernel_size=1)
            self.aux, self.fc = n.Linear(8, CLASSES), n.Linear(16, CLASSES)

        def forward(self, x):
            x = self.stem(x)
            aux = self.aux(F.adaptive_avg_pool2d(x, 1).flatten(1)) if self.training else None
            outputs = [self.a(x), self.b3(self.b2(self.b1(x))), self.c(x), self.d(F.avg_pool2d(x, kernel_size=3, stride=1,
                                                                                               padding=1))]
            y = self.fc(F.adaptive_avg_pool2d(t.cat(outputs, 1), (1, 1)).flatten(1))
            return (y, aux) if self.training else y

    return Inception()


NETWORKS = [item for item in list(globals().values()) if type(item).__name__ == "Network"]
