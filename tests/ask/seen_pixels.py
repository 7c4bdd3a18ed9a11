"""Which pixels an output really depends on, by its gradient: all weights are positive, so nothing cancels."""

import numpy as np

from striate import nn
from striate.gradient import differentiate
from striate.graph import trace
from striate.nn import functional as F


def support(net, shape, position, axes=(2, 3)):
    """(first, stop) for each axis after the channels: the box around the gradient, (0, 0) where it is 0."""
    graph = trace(net, shape)
    y = graph.outputs[0]
    dy = np.zeros(y.shape)
    dy[tuple(dict(zip(axes, position)).get(axis, slice(None)) for axis in range(dy.ndim))] = 1
    seed = graph.input(dy.shape, name="dy")
    (dx,) = differentiate(graph, [y], [seed], [graph.inputs[0]])
    graph.outputs = [dx]
    x = np.random.default_rng(0).uniform(0.5, 1, shape)
    found = np.abs(graph.run(x, dy, target="reference", dtype=np.float64)).sum((0, 1))
    marks = [found.any(tuple(j for j in range(found.ndim) if j != i)) for i in range(found.ndim)]
    return tuple((int(np.flatnonzero(m)[0]), int(np.flatnonzero(m)[-1]) + 1) if m.any() else (0, 0) for m in marks)


def positive(net):
    """The same network with positive weights."""
    draw = np.random.default_rng(1)
    for parameter in net.parameters():
        parameter.data = draw.uniform(0.5, 1.5, parameter.shape)
    return net.eval()


class RandomDag(nn.Module):
    """Windows, branches and what moves pixels, drawn for a seed. plain: windows, sums and concatenations only."""

    def __init__(self, seed, plain=False, steps=7):
        super().__init__()
        self.seed, self.plain, self.steps = seed, plain, steps
        self.layers = nn.ModuleList()

    def layer(self, make):
        self.used += 1
        if len(self.layers) < self.used:
            self.layers.append(positive(make()))
        return self.layers[self.used - 1]

    def forward(self, x):
        draw = np.random.default_rng(self.seed)
        vars(self)["used"] = 0
        values = [x]
        while len(values) <= self.steps:
            source = values[-1] if draw.random() < 0.7 else values[int(draw.integers(len(values)))]
            moves = [conv, conv, pool, residual, join] + ([] if self.plain else [transposed, upsample, crop, pad, grid, turn])
            made = moves[int(draw.integers(len(moves)))](self, source, values, lambda *of: of[int(draw.integers(len(of)))])
            values += [made.relu()] if made is not None and 2 <= min(made.shape[2:]) and max(made.shape[2:]) <= 90 else []
        return values[-1]


def fits(x, size, dilation, pads):
    return min(x.shape[2:]) + 2 * pads >= dilation * (size - 1) + 2


def conv(net, x, values, pick):
    size, stride, dilation, pads = pick(1, 2, 3, 5), pick(1, 1, 2, 3), pick(1, 1, 2, 3), pick(0, 1, 2)
    if not fits(x, size, dilation, pads):
        return None
    padding = pick(pads, (pads, pads + 1, pads, pads), "same", "same_lower")
    groups = pick(1, 2 if x.shape[1] == 2 else 1)
    return net.layer(lambda: nn.Conv2d(x.shape[1], 2, size, stride, padding, dilation, groups, bias=False))(x)


def pool(net, x, values, pick):
    size, stride = pick(2, 3), pick(1, 2, 3)
    return F.avg_pool2d(x, size, stride, pick(0, 1)) if fits(x, size, 1, 0) else None


def residual(net, x, values, pick):
    same = [v for v in values if v.shape == x.shape and v is not x]
    return x + same[0] if same else None


def join(net, x, values, pick):
    same = [v for v in values if v.shape[2:] == x.shape[2:]]
    return F.cat([same[0], x], 1) if x.shape[1] < 7 else None


def transposed(net, x, values, pick):
    size, stride, padding, dilation = pick(2, 3, 4), pick(1, 2, 3), pick(0, 1), pick(1, 2)
    more = pick(0, stride - 1)
    return net.layer(lambda: nn.ConvTranspose2d(x.shape[1], 2, size, stride, padding, more, dilation=dilation, bias=False))(x)


def upsample(net, x, values, pick):
    return F.interpolate(x, scale_factor=2, mode=pick("nearest", "bilinear"))


def crop(net, x, values, pick):
    return x[:, :, pick(0, 1) :: pick(1, 2), pick(0, 2) :]


def pad(net, x, values, pick):
    return F.pad(x, (1, 0, 2, 1), mode=pick("constant", "reflect", "replicate", "circular")) if min(x.shape[2:]) > 3 else None


def grid(net, x, values, pick):
    return F.adaptive_avg_pool2d(x, (pick(3, 5), 4))


def turn(net, x, values, pick):
    return x.transpose(2, 3) if pick(0, 0, 1) else x + x.mean((2, 3), keepdim=True)
