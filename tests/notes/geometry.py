"""Published networks as their geometry alone: one channel, every window a convolution, branches added up."""

import striate as st
from striate import nn


class Branches(nn.Module):
    """Branches over one input, joined."""

    def __init__(self, *branches):
        super().__init__()
        self.branches = nn.ModuleList(nn.Sequential(*branch) for branch in branches)

    def forward(self, x):
        ways = [branch(x) for branch in self.branches]
        return sum(ways[1:], ways[0])


def window(size, stride=1, padding="same", dilation=1):
    return nn.Conv2d(1, 1, size, stride, padding, dilation, bias=False)


def valid(size, stride=1):
    return window(size, stride, 0)


def field(*layers, size=224, **asked):
    return st.receptive_field(nn.Sequential(*layers), (1, size, size), **asked)


def vgg16():
    """Configuration D of arXiv:1409.1556, up to pool5."""
    return [layer for convolutions in (2, 2, 3, 3, 3)
            for layer in (*(window(3, padding=1) for _ in range(convolutions)), nn.MaxPool2d(2))]


def alexnet():
    """Five convolutions with overlapping pooling, without padding in the first, up to pool5."""
    return [valid(11, 4), nn.MaxPool2d(3, 2), window(5, padding=2), nn.MaxPool2d(3, 2), *(window(3, padding=1) for _ in range(3)),
            nn.MaxPool2d(3, 2)]


def resnet(depths, kind):
    """arXiv:1512.03385 up to its last sum; kind: 'basic', 'v1' (stride on the first 1x1) or 'v1.5' (stride on the 3x3)."""
    layers = [window(7, 2, 3), nn.MaxPool2d(3, 2, 1)]
    for stage, depth in enumerate(depths):
        for i in range(depth):
            s = 2 if stage and not i else 1
            way = {"basic": (window(3, s, 1), window(3, padding=1)), "v1": (valid(1, s), window(3, padding=1), valid(1)),
                   "v1.5": (valid(1), window(3, s, 1), valid(1))}[kind]
            layers.append(Branches(way, [valid(1, s)] if s > 1 else []))
    return layers


def mobilenet_v1():
    """arXiv:1704.04861: a convolution and thirteen depthwise separable ones."""
    strides = [1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1]
    return [window(3, 2, 1), *(layer for s in strides for layer in (window(3, s, 1), valid(1)))]


def stairs(*sizes, last=()):
    return [*map(window, sizes), *last]


def inception_v2():
    """arXiv:1502.03167 with the separable first convolution and 'same' windows throughout, on 224 pixels."""
    def mixed():
        return Branches(stairs(1), stairs(1, 3), stairs(1, 3, 3), stairs(3, 1))

    def smaller():
        return Branches([window(1), window(3, 2)], [window(1), window(3), window(3, 2)], [window(3, 2)])

    return [window(7, 2), window(3, 2), window(1), window(3), window(3, 2), *(mixed() for _ in range(2)), smaller(),
            *(mixed() for _ in range(4)), smaller(), *(mixed() for _ in range(2))]


def wide(pairs):
    """1x7 and 7x1 in turn."""
    return [window(size) for _ in range(pairs) for size in ((1, 7), (7, 1))]


def reductions():
    """From 35 to 17 and from 17 to 8 pixels, the same in versions 3 and 4."""
    return (Branches([valid(3, 2)], [window(1), window(3), valid(3, 2)], [nn.MaxPool2d(3, 2)]),
            Branches([window(1), valid(3, 2)], [window(1), *wide(1), valid(3, 2)], [nn.MaxPool2d(3, 2)]))


def b_block():
    return Branches(stairs(1), [window(1), *wide(1)], [window(1), *wide(2)], stairs(3, 1))


def inception_v3():
    """arXiv:1512.00567, table 1, on 299 pixels."""
    first, second = reductions()
    split = [Branches([window((1, 3))], [window((3, 1))])]
    return [valid(3, 2), valid(3), window(3), nn.MaxPool2d(3, 2), valid(1), valid(3), nn.MaxPool2d(3, 2),
            *(Branches(stairs(1), stairs(1, 5), stairs(1, 3, 3), stairs(3, 1)) for _ in range(3)), first,
            *(b_block() for _ in range(4)), second,
            *(Branches(stairs(1), stairs(1, last=split), stairs(1, 3, last=split), stairs(3, 1)) for _ in range(2))]


def inception_v4():
    """arXiv:1602.07261, figures 3 to 9, on 299 pixels."""
    first, second = reductions()
    split = [Branches([window((1, 3))], [window((3, 1))])]
    return [valid(3, 2), valid(3), window(3), Branches([nn.MaxPool2d(3, 2)], [valid(3, 2)]),
            Branches([window(1), valid(3)], [window(1), *wide(1), valid(3)]), Branches([valid(3, 2)], [nn.MaxPool2d(3, 2)]),
            *(Branches(stairs(1), stairs(1, 3), stairs(1, 3, 3), stairs(3, 1)) for _ in range(4)), first,
            *(b_block() for _ in range(7)), second,
            *(Branches(stairs(1), stairs(1, last=split), stairs(1, (3, 1), (1, 3), last=split), stairs(3, 1)) for _ in range(3))]
