"""Every module of striate.nn compiled: output, dx, gradients and new buffers as its reference and as PyTorch in float64.

Tolerances: `helpers.FORWARD` and `helpers.GRADIENT`, relative to the largest number of an array.
"""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.cpu.helpers import FORWARD, check_module, check_network, close, floats

import striate as st
from striate import nn
from striate.errors import ArgumentError

CONVOLUTIONS = [
    # (in, out, window, settings, height, width, batch)
    (1, 1, 1, {}, 1, 1, 1),
    (3, 5, 3, {"padding": 1}, 7, 9, 3),
    (5, 3, 3, {"padding": 1, "bias": False}, 6, 5, 1),
    (4, 8, 3, {"stride": 2, "padding": 1, "groups": 2}, 9, 8, 1),
    (6, 6, 3, {"padding": 1, "groups": 6}, 5, 5, 3),
    (6, 12, 3, {"padding": 1, "stride": 2, "groups": 6}, 5, 7, 1),
    (17, 17, 3, {"groups": 17, "dilation": 2, "padding": 2}, 6, 7, 1),
    (24, 24, 5, {"groups": 24, "stride": 2, "padding": 2, "bias": False}, 7, 6, 3),
    (2, 17, 5, {"stride": 3, "padding": (1, 2)}, 13, 17, 3),
    (17, 3, (3, 2), {"stride": (2, 1), "padding": 1, "dilation": (1, 2)}, 6, 11, 1),
    (8, 16, 1, {}, 5, 5, 3),
    (16, 8, 1, {"stride": 2}, 5, 5, 1),
    (7, 9, 1, {"padding": 1}, 4, 3, 3),
    (9, 40, 1, {"groups": 1, "bias": False}, 3, 3, 1),
    (3, 4, 7, {"stride": 2, "padding": 3}, 5, 5, 1),  # a window larger than the input
    (2, 3, 5, {"padding": 4, "dilation": 2}, 3, 4, 1),
    (40, 24, 3, {"padding": 1}, 6, 6, 3),
    (12, 9, 3, {"padding": 2, "dilation": 2, "groups": 3}, 8, 5, 1),
    (10, 11, 2, {"stride": 4}, 9, 9, 3),  # pixels that no window reads
    (13, 14, 3, {"stride": 3, "dilation": 2, "padding": 1}, 11, 8, 1),
    (15, 8, (1, 3), {"padding": (0, 1)}, 4, 20, 1),
    (8, 15, (3, 1), {"padding": (1, 0), "stride": (1, 2)}, 20, 4, 3),
    (1, 8, 5, {"padding": 2}, 28, 28, 1),
    (24, 16, 3, {"padding": "same"}, 14, 14, 1),
    (5, 5, 4, {"padding": "same", "dilation": (1, 2)}, 9, 8, 1),  # PyTorch's odd pixel goes high
    (4, 6, 3, {"padding": 1, "stride": (3, 2)}, 1, 9, 3),
]


@pytest.mark.parametrize("case", CONVOLUTIONS, ids=str)
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")
def test_convolution(case):
    channels, out, window, settings, height, width, batch = case
    check_module(lambda n: n.Conv2d(channels, out, window, **settings), batch, channels, height, width, modes=(True,))


@pytest.mark.parametrize("channels", range(1, 18))
def test_channels_that_fill_no_vector(channels):
    make = lambda n: n.Conv2d(channels, 18 - channels, 3, stride=1 + channels % 2, padding=1)  # noqa: E731
    check_module(make, 1 + channels % 3, channels, 5, 6, modes=(True,))


@pytest.mark.parametrize("pads", [(0, 1, 2, 0), (3, 0, 0, 1), ((2, 1), (0, 3))], ids=str)
@pytest.mark.parametrize("stride, dilation", [(1, 1), (2, 1), (2, 2)])
def test_padding_of_each_side(pads, stride, dilation):
    """PyTorch pads both sides alike, so it is given a padded image."""
    top, bottom, left, right = pads if len(pads) == 4 else (*pads[0], *pads[1])
    net = nn.Conv2d(3, 6, 3, stride=stride, dilation=dilation, padding=pads)
    x = floats(2, 3, 6, 7)
    weight, bias = (torch.tensor(p.numpy(), dtype=torch.float64, requires_grad=True) for p in net.parameters())
    tx = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    ty = torch.nn.functional.conv2d(torch.nn.functional.pad(tx, (left, right, top, bottom)), weight, bias, stride, 0, dilation)
    y, pullback = st.vjp(net, x)
    close(y, ty.detach(), FORWARD)
    dy = floats(*y.shape, seed=1)
    ty.backward(torch.tensor(dy, dtype=torch.float64))
    dx, gradients = pullback(dy)
    close(dx, tx.grad, 1e-4)
    close(gradients["weight"], weight.grad, 1e-4)
    close(gradients["bias"], bias.grad, 1e-4)


@pytest.mark.parametrize("batch, inside, out", [(1, 5, 3), (3, 17, 40), (64, 100, 33), (7, 3, 1), (1, 1, 1), (16, 24, 16)])
def test_linear(batch, inside, out):
    check_module(lambda n: n.Linear(inside, out), batch, inside, modes=(True,))


@pytest.mark.parametrize("shape", [(6,), (2, 3, 6), (2, 2, 3, 6)], ids=str)
def test_linear_of_other_ranks(shape):
    check_module(lambda n: n.Linear(6, 5), *shape, modes=(True,))


@pytest.mark.parametrize("channels, batch", [(1, 3), (2, 1), (7, 3), (16, 1), (17, 3), (40, 3)])
def test_batch_norm(channels, batch):
    check_module(lambda n: n.BatchNorm2d(channels), batch, channels, 3, 5)


@pytest.mark.parametrize("settings", [{"affine": False}, {"momentum": None}, {"momentum": 0.3, "eps": 0.1},
                                      {"track_running_stats": False}], ids=str)
def test_batch_norm_settings(settings):
    check_module(lambda n: n.BatchNorm2d(5, **settings), 3, 5, 4, 3)


@pytest.mark.parametrize("shape", [(5, 7), (3, 7, 5)], ids=str)
def test_batch_norm_of_other_ranks(shape):
    check_module(lambda n: n.BatchNorm1d(7), *shape)


POOLS = [
    ("MaxPool2d", {"kernel_size": 2}), ("MaxPool2d", {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True}),
    ("MaxPool2d", {"kernel_size": 3, "stride": 2, "dilation": 2}),
    ("MaxPool2d", {"kernel_size": (2, 3), "stride": (1, 2), "padding": (1, 0)}),
    ("MaxPool2d", {"kernel_size": 20, "padding": 9}), ("MaxPool2d", {"kernel_size": 3, "stride": 1, "padding": 1}),
    ("AvgPool2d", {"kernel_size": 2}), ("AvgPool2d", {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True}),
    ("AvgPool2d", {"kernel_size": 3, "stride": 2, "ceil_mode": True, "count_include_pad": False, "padding": 1}),
    ("AvgPool2d", {"kernel_size": (2, 3), "stride": (1, 2), "padding": (1, 0), "divisor_override": 3}),
    ("AvgPool2d", {"kernel_size": 12, "padding": 6}),
    ("AdaptiveAvgPool2d", {"output_size": 1}), ("AdaptiveAvgPool2d", {"output_size": (2, 3)}),
    ("AdaptiveAvgPool2d", {"output_size": (12, None)}),
    ("AdaptiveMaxPool2d", {"output_size": 1}), ("AdaptiveMaxPool2d", {"output_size": (2, 3)}),
]


@pytest.mark.parametrize("name, settings", POOLS, ids=str)
@pytest.mark.parametrize("shape", [(2, 5, 9, 11), (1, 16, 8, 8), (1, 17, 9, 8), (3, 1, 8, 9)], ids=str)
def test_pooling(name, settings, shape):
    check_module(lambda n: getattr(n, name)(**settings), *shape, modes=(True,))


SHAPES = [(1,), (7,), (3, 5), (2, 3, 4), (2, 17, 3, 5), (1, 16, 2, 2)]


@pytest.mark.parametrize("name", ["ReLU", "Tanh", "Sigmoid", "Identity"])
def test_activations(name):
    for shape in SHAPES:
        check_module(lambda n: getattr(n, name)(), *shape, modes=(True,))


@pytest.mark.parametrize("name", ["Softmax", "LogSoftmax"])
@pytest.mark.parametrize("shape, dim", [
    ((5,), 0), ((3, 1), 1), ((3, 40), -1), ((2, 17, 3, 5), 1), ((2, 5, 3, 4), 3), ((4, 3, 2), 0),
], ids=str)  # fmt: skip
def test_softmax(name, shape, dim):
    check_module(lambda n: getattr(n, name)(dim), *shape, modes=(True,))


@pytest.mark.parametrize("make, shape", [
    (lambda n: n.Flatten(), (2, 3, 4, 5)), (lambda n: n.Flatten(0, 2), (2, 3, 4, 5)), (lambda n: n.Flatten(2), (2, 3, 4, 5)),
    (lambda n: n.Unflatten(1, (3, 4)), (2, 12)), (lambda n: n.Unflatten(1, (2, -1)), (2, 6, 3, 5)),
], ids=str)  # fmt: skip
def test_shapes(make, shape):
    check_module(make, *shape, modes=(True,))


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("shape", [(40,), (5, 17), (3, 4, 5), (2, 17, 3, 5), (2, 1, 4, 6)], ids=str)
def test_dropout_draws_the_reference_mask(p, shape):
    net, x = nn.Dropout(p), floats(*shape)
    st.seed(4)
    y, pullback = st.vjp(net, x)
    wanted = st.trace(net, shape).evaluate([x], np.float64, (4, 1)) if p else {"x": x}
    close(y, list(wanted.values())[-1], 1e-6)
    dx, _ = pullback(np.ones_like(x))
    close(dx, np.where(y != 0, 1 / (1 - p) if p < 1 else 0, 0), 1e-6)
    st.seed(4)
    assert np.array_equal(net(x), y) and np.array_equal(net.eval()(x), x)


@pytest.mark.parametrize("loss", [nn.MSELoss(), nn.L1Loss(), nn.MSELoss(reduction="sum")], ids=str)
@pytest.mark.parametrize("shape", [(5,), (3, 7), (2, 3, 4, 5)], ids=str)
def test_losses_of_differences(loss, shape):
    net, twin = nn.Linear(shape[-1], shape[-1]), torch.nn.Linear(shape[-1], shape[-1])
    net.load_state_dict(twin.state_dict())
    x, y = floats(*shape), floats(*shape, seed=1)
    theirs = getattr(torch.nn, type(loss).__name__)(reduction=loss.reduction)
    wanted = theirs(twin.double()(torch.tensor(x, dtype=torch.float64)), torch.tensor(y, dtype=torch.float64))
    wanted.backward()
    value, gradients = st.value_and_grad(net, loss)(x, y)
    close(value, wanted.item(), FORWARD)
    for name, p in twin.named_parameters():
        close(gradients[name], p.grad, 1e-4, name)


@pytest.mark.parametrize("weighted, settings", [
    (False, {}), (True, {}), (False, {"reduction": "sum"}), (True, {"ignore_index": 2}),
], ids=str)  # fmt: skip
@pytest.mark.parametrize("shape", [(4, 5), (2, 5, 3, 4)], ids=str)
def test_losses_of_classes(weighted, settings, shape):
    classes = np.random.default_rng(0).integers(5, size=(shape[0], *shape[2:]))
    x = floats(*shape)
    weight = np.arange(1, 6, dtype=np.float32) if weighted else None
    for name, first in (("CrossEntropyLoss", "Identity"), ("NLLLoss", "LogSoftmax")):
        net = Scaled(getattr(nn, first)(*([1] if first == "LogSoftmax" else [])))
        value, gradients = st.value_and_grad(net, getattr(nn, name)(weight, **settings))(x, classes)
        scale = torch.ones(1, dtype=torch.float64, requires_grad=True)
        own = getattr(torch.nn, first)(*([1] if first == "LogSoftmax" else []))
        loss = getattr(torch.nn, name)(None if weight is None else torch.tensor(weight, dtype=torch.float64), **settings)
        wanted = loss(own(torch.tensor(x, dtype=torch.float64) * scale), torch.tensor(classes))
        wanted.backward()
        close(value, wanted.item(), FORWARD, name)
        close(gradients["scale"], scale.grad, 1e-4, name)


class Scaled(nn.Module):
    """A module behind one factor, so that it has a gradient."""

    def __init__(self, inner):
        super().__init__()
        self.scale, self.inner = nn.Parameter(np.ones(1)), inner

    def forward(self, x):
        return self.inner(x * self.scale)


def test_containers():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.steps = nn.ModuleList([nn.Linear(6, 6) for _ in range(3)])
            self.heads = nn.ModuleDict({"a": nn.Linear(6, 2), "b": nn.Linear(6, 3)})

        def forward(self, x):
            for step in self.steps:
                x = step(x).relu()
            return {name: head(x) for name, head in self.heads.items()}

    net, x = Net(), floats(4, 6)
    y, pullback = st.vjp(net, x)
    wanted = st.trace(net, x).run(x, target="reference", dtype=np.float64)
    assert list(y) == ["a", "b"]
    for name in y:
        close(y[name], wanted[name], FORWARD)
    _, gradients = pullback({"b": np.zeros((4, 3)), "a": np.ones((4, 2))})  # by name, in any order
    close(gradients["heads.a.bias"], np.full(2, 4.0), 1e-6)
    close(gradients["heads.b.bias"], np.zeros(3), 1e-6)


@pytest.mark.parametrize("make", [
    lambda n, arrays: n.ParameterList(arrays), lambda n, arrays: n.ParameterDict(zip("abc", arrays, strict=True)),
], ids=["ParameterList", "ParameterDict"])  # fmt: skip
def test_parameters_in_containers(make):
    """Keys, gradients and the usual methods, as PyTorch's."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.scales = make(nn, [floats(4, seed=i) for i in range(3)])

        def forward(self, x):
            scales = self.scales.values() if isinstance(self.scales, nn.ParameterDict) else self.scales
            for scale in scales:
                x = (x * scale).tanh()
            return x

    net, x = Net(), floats(3, 4)
    theirs = make(torch.nn, [torch.nn.Parameter(torch.tensor(floats(4, seed=i))) for i in range(3)])
    assert list(net.scales.state_dict()) == list(theirs.state_dict()) and len(net.scales) == len(theirs) == 3
    check_network(net, x)


def test_lists_and_dicts_of_parameters():
    items = nn.ParameterList([np.zeros(2)])
    items.append(nn.Parameter(np.ones(3)))
    items += [np.full(1, 5.0)]
    items[0] = np.full(2, 7.0)
    assert [p.data.tolist() for p in items[1:]] == [[1, 1, 1], [5]] and items[0].data.tolist() == [7, 7]
    assert repr(nn.ParameterList()) == "ParameterList()"
    table = nn.ParameterDict({"b": np.zeros(2)})
    table["a"] = np.ones(1)
    assert list(table) == ["b", "a"] and "a" in table and table.pop("b").shape == (2,) and list(table.keys()) == ["a"]
    del table["a"]
    assert not len(table)
    with pytest.raises(ArgumentError, match=r"^'0' of ParameterList must be a parameter or an array, got 'w'$"):
        nn.ParameterList(["w"])


def test_every_module_is_compiled_in_a_test():
    texts = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*modules.py"))
    public = set(nn.__all__) - {"Buffer", "Module", "Parameter", "Sequential", "functional", "init"}
    assert public <= set(re.findall(r"\b[A-Z]\w+\b", texts))
