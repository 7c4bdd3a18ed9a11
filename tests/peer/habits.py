"""Habits of people who write networks: sharing, lists, dicts, flags, shapes, scalars, several inputs and outputs."""

from collections import OrderedDict, namedtuple

import numpy as np
from tests.peer.network import array, network

CLASSES = 5
Both = namedtuple("Both", "score feature")


@network((8, 7, 6))
def recurrent(n, t):
    """One convolution used three times, one batch norm twice."""

    class Recurrent(n.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm = n.Conv2d(8, 8, 3, padding=1), n.BatchNorm2d(8)

        def forward(self, x):
            y = x
            for step in range(3):
                y = n.functional.relu(self.conv(y) + x)
                y = self.norm(y) if step % 2 == 0 else y
            return y

    return Recurrent()


@network((1, 10, 9), (1, 10, 9))
def siamese(n, t):
    """Two images through one tower; their distance and both features."""
    F = n.functional

    class Siamese(n.Module):
        def __init__(self):
            super().__init__()
            self.cnn = n.Sequential(n.Conv2d(1, 8, 3), n.ReLU(), n.MaxPool2d(2), n.Flatten(), n.Linear(8 * 4 * 3, 6))

        def forward_once(self, x):
            return self.cnn(x)

        def forward(self, input1, input2):
            a, b = self.forward_once(input1), self.forward_once(input2)
            return F.pairwise_distance(a, b), F.cosine_similarity(a, b), a, b

    return Siamese()


@network((3, 9, 8))
def many_heads(n, t):
    """A ModuleDict of heads on one trunk; a dict goes out."""

    class Heads(n.Module):
        def __init__(self):
            super().__init__()
            self.trunk = n.Sequential(n.Conv2d(3, 8, 3), n.ReLU())
            self.heads = n.ModuleDict({"color": n.Linear(8, 3), "shape": n.Linear(8, 4)})
            self.heads["size"] = n.Sequential(n.Linear(8, 4), n.Tanh(), n.Linear(4, 1))

        def forward(self, x):
            x = self.trunk(x).mean(dim=(2, 3))
            return {name: head(x) for name, head in self.heads.items()}

    return Heads()


@network((3, 9, 8))
def nested(n, t):
    """Sequential in Sequential, by OrderedDict, by slices, by add_module, by append."""
    inner = n.Sequential(OrderedDict([("conv", n.Conv2d(3, 8, 3)), ("act", n.ReLU())]))
    outer = n.Sequential(inner, n.Sequential(n.Sequential(n.Conv2d(8, 8, 1)), n.Identity()))
    outer.append(n.Sequential(*[n.Conv2d(8, 8, 1), n.Tanh(), n.Dropout()][:2]))
    outer.add_module("pool", n.AdaptiveAvgPool2d(1))

    class Net(n.Module):
        def __init__(self):
            super().__init__()
            self.features, self.rest = outer[:3], outer[3:]
            self.classifier = n.Linear(8, CLASSES)

        def forward(self, x):
            for layer in self.features:
                x = layer(x)
            return self.classifier(self.rest(x).squeeze())if x.shape[0] > 1 else self.classifier(self.rest(x).flatten(1))

    return Net()


@network((3, 8, 9))
def several_kinds(n, t):
    """A named tuple goes out; in training a stop, detached, in the middle."""

    class Net(n.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.fc, self.side = n.Conv2d(3, 8, 3), n.Linear(8, CLASSES), n.Linear(8, 3)

        def forward(self, x):
            feature = self.conv(x).relu().mean((-1, -2))
            return Both(score=self.fc(feature), feature=self.side(feature.detach()))

    return Net()


@network((3, 8, 9))
def functional_only(n, t):
    """No modules: parameters by name in a ParameterList and a ParameterDict, and functions."""
    F = n.functional

    class Net(n.Module):
        def __init__(self):
            super().__init__()
            layers = [n.Conv2d(3, 8, 3), n.Conv2d(8, 8, 3)]
            self.weights = n.ParameterList([n.Parameter(layer.weight.data) for layer in layers])
            self.biases = n.ParameterList(n.Parameter(layer.bias.data) for layer in layers)
            self.last = n.ParameterDict({"weight": n.Parameter(n.Linear(8, CLASSES).weight.data)})
            self.register_buffer("running_mean", array(t, np.zeros(8, np.float32)))
            self.register_buffer("running_var", array(t, np.ones(8, np.float32)))

        def forward(self, x):
            for i, (weight, bias) in enumerate(zip(self.weights, self.biases)):
                x = F.relu(F.conv2d(x, weight, bias, padding=i))
            x = F.batch_norm(x, self.running_mean, self.running_var, training=self.training, momentum=0.2)
            x = F.dropout(F.avg_pool2d(x, 2), p=0.0, training=self.training)
            return F.log_softmax(F.linear(x.mean(3).mean(2), self.last["weight"]), dim=1)

    return Net()


@network((3, 8, 9))
def rezero(n, t):
    """Residuals that count by a learned number (arXiv:2003.04887), a learned temperature, and a parameter used twice."""

    class Net(n.Module):
        def __init__(self):
            super().__init__()
            self.convs = n.ModuleList(n.Conv2d(8, 8, 3, padding=1) for _ in range(3))
            self.stem, self.fc = n.Conv2d(3, 8, 1), n.Linear(8, CLASSES)
            zero = self.fc.bias.data[:1] * 0
            self.alpha, self.temperature = n.Parameter(zero + 0.1), n.Parameter((zero + 2.0).reshape(()))

        def forward(self, x):
            x = self.stem(x)
            for conv in self.convs:
                x = x + self.alpha * conv(x).relu()
            return self.fc(x.flatten(2).mean(2)) / self.temperature.exp() - self.alpha

    return Net()


@network((3, 9, 7))
def counted_calls(n, t):
    """A buffer that the forward moves by itself: an average of the inputs' means, subtracted."""

    class Centered(n.Module):
        def __init__(self, channels):
            super().__init__()
            self.register_buffer("mean", array(t, np.full((1, channels, 1, 1), 0.25, np.float32)))

        def forward(self, x):
            return (x - self.mean) * 2

    return n.Sequential(Centered(3), n.Conv2d(3, 8, 3), n.Softsign(), n.AdaptiveAvgPool2d(2), n.Flatten(), n.Linear(32, CLASSES))


@network((4, 9, 7))
def fractal(n, t):
    """Joins that are means of a stack, and branches by recursion (arXiv:1605.07648)."""

    class Fractal(n.Module):
        def __init__(self, columns, channels):
            super().__init__()
            self.conv, self.bn = n.Conv2d(channels, channels, 3, padding=1), n.BatchNorm2d(channels)
            self.deeper = None if columns == 1 else n.Sequential(Fractal(columns - 1, channels), Fractal(columns - 1, channels))

        def forward(self, x):
            y = self.bn(self.conv(x)).relu()
            return y if self.deeper is None else t.stack([y, self.deeper(x)]).mean(dim=0)

    return Fractal(2, 4)


@network((4, 9, 8))
def masks(n, t):
    """Comparisons, where, clamps, maxima and minima of values: numbers that decide without an if."""

    class Net(n.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.floor = n.Conv2d(4, 8, 3), n.Parameter(n.Linear(1, 8).bias.data.reshape(8, 1, 1))

        def forward(self, x):
            y = self.conv(x)
            y = t.where(y > 0, y, 0.1 * y)
            y = t.maximum(y, self.floor) - t.minimum(y, -self.floor).clamp(min=-1)
            largest = y.max(dim=1, keepdim=True)[0]
            return y.clamp(-0.5, 0.8) * largest + (y.abs() + 1).log() - y.min(dim=1, keepdim=True).values

    return Net()


@network((4, 9, 8))
def rolled(n, t):
    """Shifts, flips, repeats, splits and joins: shapes only."""

    class Net(n.Module):
        def __init__(self):
            super().__init__()
            self.conv = n.Conv2d(8, 6, 3)

        def forward(self, x):
            a, b = x.split([1, 3], dim=1)
            y = t.cat([a.repeat(1, 3, 1, 1), b, x.flip([3])[:, ::3]], 1)
            z = self.conv(t.cat([y[:, :4].roll(2, 2), y[:, -4:]], dim=1))
            rows = z.unbind(dim=2)
            return t.stack([rows[0], rows[-1]], 1), z.transpose(-1, -2).flatten(1, 2), z[:, [0, 2, 5]], z[..., None].squeeze(-1)

    return Net()


@network((3, 9, 8))
def statistics(n, t):
    """Variance, deviation, norms, and style as a Gram matrix."""

    class Net(n.Module):
        def __init__(self):
            super().__init__()
            self.conv = n.Conv2d(3, 8, 3)

        def forward(self, x):
            y = self.conv(x)
            b, c, h, w = y.size()
            flat = y.view(b, c, h * w)
            gram = flat.bmm(flat.transpose(1, 2)) / (c * h * w)
            mean, var = y.mean(dim=(2, 3), keepdim=True), y.var(dim=(2, 3), keepdim=True, unbiased=False)
            normed = (y - mean) / (var + 1e-5).sqrt()
            return gram, normed, flat.norm(dim=1), y.var((1, 2, 3)), flat.std(-1), y.norm()

    return Net()


@network((3, 12, 8))
def second_moments(n, t):
    """Bilinear pooling (arXiv:1504.07889): outer products, signed square roots, normalised."""
    F = n.functional

    class Bilinear(n.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.fc = n.Conv2d(3, 8, 3), n.Linear(64, CLASSES)

        def forward(self, x):
            y = self.conv(x).sigmoid().flatten(2)
            y = (y @ y.transpose(1, 2) / y.shape[2]).reshape(-1, 64)
            y = y.sign() * (y.abs() + 1e-5).sqrt()
            return self.fc(F.normalize(y, p=2, dim=1))

    return Bilinear()


NETWORKS = [item for item in list(globals().values()) if type(item).__name__ == "Network"]
