"""Operators in every layout: broadcasting, reductions, movements and elementary functions, with their gradients.

Each test is one network with many outputs, so that one program covers a sweep.
"""

import itertools

import numpy as np
import pytest
from tests.cpu.helpers import check_network, close, floats

import striate as st
from striate import nn, ops
from striate.nn import functional as F


class Sweep(nn.Module):
    """The outputs of many functions of x: of x plain, behind a convolution (channels last), and behind a transpose."""

    def __init__(self, functions, channels=0, **parameters):
        super().__init__()
        vars(self)["functions"] = functions
        self.conv = nn.Conv2d(channels, channels, 1) if channels else None
        for name, array in parameters.items():
            setattr(self, name, nn.Parameter(array))

    def forward(self, x):
        forms = [x, self.conv(x), (x * 2).permute(0, 3, 2, 1).relu().permute(0, 3, 2, 1)] if self.conv is not None else [x]
        return [f(self, form) for form in forms for f in self.functions]


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (1, 17, 2, 3), (3, 1, 4, 4), (2, 16, 1, 1)], ids=str)
def test_broadcasting(shape):
    st.seed(0)
    masks = itertools.product((0, 1), repeat=4)
    kinds = {"".join(map(str, ones)): tuple(1 if one else n for one, n in zip(ones, shape)) for ones in masks}
    kinds |= {"3": shape[1:], "2": shape[2:], "1": shape[3:], "31": (shape[1], 1, 1), "0": ()}
    parameters = {f"p{name}": floats(*own) for name, own in kinds.items()}
    verbs = [lambda a, b: a + b, lambda a, b: b * a, lambda a, b: b - a, lambda a, b: a / (b * b + 1)]
    functions = [lambda net, x, name=name, verb=verbs[i % 4]: verb(x, getattr(net, name)) for i, name in enumerate(parameters)]
    check_network(Sweep(functions, shape[1], **parameters), floats(*shape))


@pytest.mark.parametrize("a, b", [
    ((3, 1), (1, 4)), ((5,), (2, 1)), ((2, 1, 3), (4, 1)), ((1,), (1, 1)), ((), (3,)), ((2, 1, 1, 1), (3, 1, 4)),
], ids=str)  # fmt: skip
def test_both_sides_broadcast(a, b):
    check_network(Sweep([lambda net, x: x * net.p, lambda net, x: net.p - x.tanh()], p=floats(*b)), floats(*a))


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (1, 17, 3, 2), (3, 1, 4, 1)], ids=str)
@pytest.mark.parametrize("verb", ["sum", "mean", "amax"])
def test_reductions(verb, shape):
    """Every set of axes, kept and not."""
    st.seed(0)
    sets = [axes for n in range(1, 5) for axes in itertools.combinations(range(4), n)]
    functions = [lambda net, x, axes=axes, keep=i % 2 > 0: getattr(x, verb)(axes, keep) for i, axes in enumerate(sets)]
    check_network(Sweep(functions, shape[1]), floats(*shape))


@pytest.mark.parametrize("shape", [(700,), (3, 900), (900, 3), (2, 2, 2, 2, 3)], ids=str)
def test_long_reductions(shape):
    sets = [axes for n in range(1, len(shape) + 1) for axes in itertools.combinations(range(len(shape)), n)]
    functions = [lambda net, x, axes=axes, verb=verb: getattr(x, verb)(axes) for axes in sets for verb in ("sum", "mean", "amax")]
    check_network(Sweep(functions), floats(*shape))


def test_ties_of_maxima():
    x = np.round(floats(3, 4, 5, 2))
    sets = [(0,), (1,), (2, 3), (0, 1, 2, 3)]
    net = Sweep([lambda net, x, axes=axes: (x * 1).amax(axes) for axes in sets])
    y, pullback = st.vjp(net, x)
    dy = [floats(*v.shape, seed=1) for v in y]
    wanted = sum(ops.MaxGradient(axes).reference(d.astype(np.float64), x, v) for axes, d, v in zip(sets, dy, y))
    close(pullback(dy)[0], wanted, 1e-5)


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (1, 17, 3, 2), (2, 1, 4, 1)], ids=str)
def test_permutations(shape):
    st.seed(0)
    functions = [lambda net, x, axes=axes: x.permute(axes).tanh() for axes in itertools.permutations(range(4))]
    check_network(Sweep(functions, shape[1]), floats(*shape))


def test_movements():
    st.seed(0)
    functions = [
        lambda net, x: x.reshape(-1, 6),
        lambda net, x: x.reshape(6, 4, 10).transpose(0, 2).tanh(),
        lambda net, x: x.flatten(),
        lambda net, x: x[:, 1],
        lambda net, x: x[1],
        lambda net, x: x[..., ::2, 1:],
        lambda net, x: x[0, 1, 2, 3],
        lambda net, x: x[:, None, -2:],
        lambda net, x: F.cat([x, x.relu(), x[:, :1]], 1),
        lambda net, x: F.cat([x, x], 0),
        lambda net, x: F.cat([x, x * 2], 3),
        lambda net, x: F.stack([x, x], 0),
        lambda net, x: F.pad(x, (1, 2, 3, 0, 0, 1), value=-1.0),
        lambda net, x: F.pad(x, (0, 0, 0, 0, 1, 1, 1, 0)),
        lambda net, x: x[:, :1].expand(-1, 7, -1, -1),
        lambda net, x: x[:1, :1, :1, :1].expand(2, 3, 4, 5),
        lambda net, x: x.mean((2, 3), True).expand(2, 6, 3, 2),
        lambda net, x: F.cat(x.chunk(4, 1), 2),
        lambda net, x: F.cat([v.unsqueeze(0) for v in x], 1),
        lambda net, x: x.squeeze().unsqueeze(-1),
        lambda net, x: F.cat([x.flatten(1), x.mean((2, 3))], 1),
        lambda net, x: x.transpose(1, 3)[:, ::3].reshape(2, -1).softmax(0),
    ]
    check_network(Sweep(functions, 6), floats(2, 6, 4, 5))


def test_elementary_functions():
    """Over their whole range, and beside NumPy within a few units in the last place."""
    x = np.concatenate([floats(400) * 3, floats(400) * 0.01, np.linspace(-90, 90, 361), [0.0, 1e-20, -1e-20, 20, -20]])
    x = x.astype(np.float32)
    positive = np.abs(x) + np.float32(1e-20)
    cases = [
        (lambda v: v.exp(), np.exp, np.minimum(x, 88)),
        (lambda v: v.log(), np.log, positive),
        (lambda v: v.tanh(), np.tanh, x),
        (lambda v: v.sigmoid(), lambda v: 1 / (1 + np.exp(-v)), x),
        (lambda v: v.sqrt(), np.sqrt, positive),
        (lambda v: v.abs(), np.abs, x),
        (lambda v: v ** -0.5, lambda v: v ** -0.5, positive),
        (lambda v: v ** 3, lambda v: v ** 3, x),
        (lambda v: v ** -2, lambda v: v ** -2.0, x[:800]),
        (lambda v: v ** 1.7, lambda v: v ** 1.7, positive[:800]),
        (lambda v: 1 / v, lambda v: 1 / v, positive),
    ]
    for i, (function, exact, given) in enumerate(cases):
        with np.errstate(all="ignore"):
            wanted = exact(given.astype(np.float64))
        got = Sweep([lambda net, v, function=function: function(v)])(given)[0]
        inside = (np.abs(wanted) < 3e38) & (np.abs(wanted) > 1.2e-38)
        worst = np.max(np.abs(got[inside] - wanted[inside]) / np.abs(wanted[inside]))
        assert worst < 2e-6, (i, worst)


def test_gradients_of_elementary_functions():
    functions = [
        lambda net, x: x.exp(),
        lambda net, x: (x.abs() + 0.5).log(),
        lambda net, x: x.tanh(),
        lambda net, x: x.sigmoid(),
        lambda net, x: x.abs(),
        lambda net, x: (x * x + 1).sqrt(),
        lambda net, x: (x.abs() + 1) ** -1.3,
        lambda net, x: x ** 4,
        lambda net, x: -x,
        lambda net, x: x.relu(),
        lambda net, x: 1 / (x.exp() + 1),
        lambda net, x: x.softmax(-1),
        lambda net, x: x.log_softmax(0),
    ]
    check_network(Sweep(functions), floats(7, 9))
    check_network(Sweep(functions), floats(2, 3, 5, 4))


def test_a_long_chain_is_few_kernels_and_right():
    """Fifty elementwise operators, with branches that meet again: one kernel, or two where a convolution takes the first."""

    def chain(net, x):
        a, b = x, x * 0.5
        for i in range(10):
            a, b = (a + b).tanh() + i * 0.1, a * 0.3 - b
        return a * b

    net = Sweep([chain], 3)
    check_network(net, floats(2, 3, 4, 5))
    (program, _), = net._programs["forward"].known.values()
    assert sum(c.kernel.name == "Pointwise" for c in program.calls) <= 8


def test_large_arrays():
    """More than one block, tile and part of everything."""
    st.seed(0)
    net = nn.Sequential(nn.Conv2d(3, 20, 3, stride=2), nn.BatchNorm2d(20), nn.ReLU(), nn.MaxPool2d(3, 2, 1),
                        nn.Conv2d(20, 33, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(33, 10))
    check_network(net, floats(5, 3, 45, 51))
    x = floats(33, 3, 45, 51)
    close(net.eval()(x)[:5], net(x[:5]), 1e-6)  # another batch is another program
