"""Random networks, written as users write them: branches, gates, shared layers, slices, reshapes, several outputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from striate import nn
from striate.graph import Value
from striate.nn import functional as F

Move = Callable[[Any, Value, list[Value]], Value]
MOVES: list[Move] = []


def move(function: Move) -> Move:
    MOVES.append(function)
    return function


class RandomNetwork(nn.Module):
    """`length` moves, drawn for the seed. Layers are made at the first trace, for the shape that they meet."""

    def __init__(self, seed: int, shape: tuple[int, ...], length: int = 10):
        super().__init__()
        self.seed, self.length = seed, length
        self.layers = nn.ModuleList()
        self.building = True
        from striate.graph import trace

        trace(self, shape)
        self.building = False

    def layer(self, make: Callable[[], nn.Module]) -> nn.Module:
        """The next layer; now and then one of its kind and shape that was used before."""
        self.used += 1
        made, again = make(), self.draw.random() < 0.5
        if self.building:
            same = [m for m in self.layers if repr(m) == repr(made)]
            self.layers.append(same[0] if same and again else made)
        return self.layers[self.used - 1]

    def parameter(self, *shape: int) -> nn.Parameter:
        name = f"p{self.named}"
        self.named += 1
        if self.building:
            setattr(self, name, nn.Parameter(np.random.default_rng(self.named).standard_normal(shape) * 0.5 + 1))
        return getattr(self, name)

    def pick(self, *options: Any) -> Any:
        return options[int(self.draw.integers(len(options)))]

    def forward(self, x: Value) -> Any:
        vars(self).update(draw=np.random.default_rng(self.seed), used=0, named=0)
        values = [x]
        while len(values) <= self.length:
            chosen = MOVES[int(self.draw.integers(len(MOVES)))]
            source = values[-1] if self.draw.random() < 0.8 else values[int(self.draw.integers(len(values)))]
            if (made := chosen(self, source, values)) is not None:
                values.append(made)
        kind, last, early = self.pick("one", "tuple", "dict"), values[-1], values[len(values) // 2]
        return last if kind == "one" else (last, early) if kind == "tuple" else {"last": last, "early": early}


def image(x: Value) -> bool:
    return x.ndim == 4


@move
def convolve(net, x, values):
    if not image(x) or min(x.shape[2:]) < 2 or x.numel() > 4000:
        return None
    groups = net.pick(1, 1, x.shape[1])
    size, stride, padding, bias = net.pick(1, 2, 3), net.pick(1, 1, 2), net.pick(0, 1), net.pick(True, False)
    if size > min(x.shape[2:]) + 2 * padding:
        return None
    out = x.shape[1] if groups > 1 else net.pick(3, 8, x.shape[1])
    return net.layer(lambda: nn.Conv2d(x.shape[1], out, size, stride=stride, padding=padding, groups=groups, bias=bias))(x)


@move
def normalise(net, x, values):
    if not image(x) or x.numel() == x.shape[1] * x.shape[0]:
        return None
    return net.layer(lambda: nn.BatchNorm2d(x.shape[1]))(x)


@move
def activate(net, x, values):
    return net.pick(F.relu, F.tanh, F.sigmoid)(x)


@move
def residual(net, x, values):
    same = [v for v in values if v.shape == x.shape and v is not x]
    return x + same[-1] if same else (x + x.tanh()).relu()


@move
def arithmetic(net, x, values):
    return net.pick(lambda: (x * 2 - 1) / (x.abs() + 1), lambda: (-x * x).exp() + 0.5, lambda: (x.abs() + 1).log() * 3.0,
                    lambda: 1 - x.tanh() ** 3, lambda: (x * x + 0.1).sqrt(), lambda: 1.0 / (x * x + 1))()


@move
def scale(net, x, values):
    shapes = [(1,), x.shape[-1:], (*x.shape[1:2], *(1,) * (x.ndim - 2)), (1,) * x.ndim, x.shape[1:]]
    shape = shapes[int(net.draw.integers(len(shapes)))] if x.ndim > 1 else (1,)
    return net.pick(lambda a: x * a, lambda a: a + x, lambda a: x - a, lambda a: x / a)(net.parameter(*shape))


@move
def gate(net, x, values):
    if not image(x):
        return None
    return x * net.pick(lambda: x.mean((2, 3), keepdim=True).sigmoid(), lambda: x.amax((2, 3), keepdim=True).tanh(),
                        lambda: x.mean(1, keepdim=True).tanh(), lambda: x.softmax(1), lambda: x.mean((0, 2, 3), keepdim=True))()


@move
def squeeze_and_excite(net, x, values):
    if not image(x):
        return None
    weights = net.layer(lambda: nn.Linear(x.shape[1], x.shape[1]))(x.mean((2, 3))).sigmoid()
    return x * weights.reshape(*x.shape[:2], 1, 1)


@move
def pool(net, x, values):
    if not image(x) or min(x.shape[2:]) < 3:
        return None
    return net.pick(lambda: F.max_pool2d(x, 2), lambda: F.avg_pool2d(x, 3, stride=2, padding=1), lambda: F.max_pool2d(x, 3, 1, 1),
                    lambda: F.adaptive_avg_pool2d(x, 2), lambda: F.adaptive_max_pool2d(x, (2, 3)))()


@move
def concatenate(net, x, values):
    same = [v for v in values if v.ndim == x.ndim and v.ndim > 1 and v.shape[:1] + v.shape[2:] == x.shape[:1] + x.shape[2:]]
    if not same or x.ndim < 2 or x.shape[1] > 24:
        return None
    return F.cat([same[0], x], 1)


@move
def slices(net, x, values):
    if x.ndim < 2 or x.shape[1] < 2:
        return None
    return net.pick(lambda: x[:, ::2], lambda: x[:, 1:], lambda: x[..., : max(1, x.shape[-1] - 1)], lambda: x.chunk(2, 1)[0],
                    lambda: x[:, None, 0] if x.ndim == 2 else x[:, -1:])()


@move
def turn(net, x, values):
    if image(x):
        return net.pick(lambda: x.transpose(2, 3), lambda: x.permute(0, 2, 3, 1), lambda: x.permute(0, 3, 1, 2),
                        lambda: x.permute(2, 1, 0, 3).permute(2, 1, 0, 3))()
    return x.transpose(1, 2) if x.ndim == 3 else None


@move
def dense(net, x, values):
    if x.ndim < 2 or x.numel() > 2000:
        return None
    flat = x.flatten(1) if net.draw.random() < 0.7 else x
    return net.layer(lambda: nn.Linear(flat.shape[-1], net.pick(7, 24, 24), bias=net.pick(True, False)))(flat)


@move
def back_to_image(net, x, values):
    return x.reshape(-1, 2, 3, 4) if x.ndim == 2 and x.shape[1] == 24 else x.flatten(2) if image(x) else None


@move
def joined(net, x, values):
    return x.reshape(x.shape[0], x.shape[1] * x.shape[2], -1) if image(x) else None


@move
def lift(net, x, values):
    return x.unsqueeze(net.pick(1, -1)) if x.ndim == 3 else None


@move
def soften(net, x, values):
    return net.pick(lambda: x.softmax(-1), lambda: x.log_softmax(min(1, x.ndim - 1)))() if x.ndim > 1 else None


@move
def drop(net, x, values):
    return F.dropout(x, net.pick(0.2, 0.5))


@move
def pad(net, x, values):
    return F.pad(x, (1, 0) if x.ndim < 2 else (1, 0, 0, 2), value=net.pick(0.0, 0.5)) if 1 < x.ndim and x.numel() < 3000 else None


@move
def reduce(net, x, values):
    return net.pick(lambda: x.sum(-1, keepdim=True), lambda: x.mean(1, keepdim=True), lambda: x.amax(-1, keepdim=True),
                    lambda: x - x.mean())() if x.ndim > 1 else None


@move
def spread(net, x, values):
    return x.expand(*x.shape[:-1], 3) if x.shape[-1] == 1 else None


@move
def stacked(net, x, values):
    return F.stack([x, x.tanh()], 1).sum(1) if x.ndim > 1 else None


@move
def plain_weight(net, x, values):
    """A convolution's weight read as a number too."""
    if not image(x) or x.numel() > 3000:
        return None
    layer = net.layer(lambda: nn.Conv2d(x.shape[1], x.shape[1], 3, padding=1))
    return layer(x) * (layer.weight * layer.weight).mean() + layer.bias.reshape(-1, 1, 1)
