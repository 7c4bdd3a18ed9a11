"""Every layer against PyTorch's: print, state_dict, outputs in both modes, gradients."""

import inspect

import numpy as np
import pytest
import torch
from tests.helpers import close, draw
from tests.nn.helpers import both, check_module, graph_of, run

import striate.nn
from striate import nn
from striate.errors import ArgumentError, ShapeError

LAYERS = [
    (lambda nn: nn.Conv2d(3, 4, 3), (2, 3, 7, 8)),
    (lambda nn: nn.Conv2d(3, 4, 3), (3, 7, 8)),
    (lambda nn: nn.Conv2d(1, 6, 5, padding=2), (2, 1, 9, 8)),
    (lambda nn: nn.Conv2d(4, 6, (3, 2), (2, 1), (1, 0), (1, 2), 2, False), (2, 4, 9, 8)),
    (lambda nn: nn.Conv2d(4, 4, 3, groups=4, padding="same", dilation=2), (2, 4, 6, 7)),
    (lambda nn: nn.Conv2d(2, 3, (2, 4), padding="same"), (2, 2, 6, 7)),
    (lambda nn: nn.Conv2d(2, 3, 3, padding="valid", bias=False), (2, 2, 6, 7)),
    (lambda nn: nn.Linear(5, 3), (2, 5)),
    (lambda nn: nn.Linear(5, 3, bias=False), (2, 4, 5)),
    (lambda nn: nn.MaxPool2d(2), (2, 3, 6, 7)),
    (lambda nn: nn.MaxPool2d(2), (3, 6, 7)),
    (lambda nn: nn.MaxPool2d(3, 2, 1), (2, 3, 6, 7)),
    (lambda nn: nn.MaxPool2d((2, 3), stride=(2, 1), padding=(1, 0), dilation=(1, 2), ceil_mode=True), (2, 3, 7, 8)),
    (lambda nn: nn.AvgPool2d(2), (2, 3, 6, 7)),
    (lambda nn: nn.AvgPool2d(2), (3, 6, 7)),
    (lambda nn: nn.AvgPool2d(3, 2, 1, count_include_pad=False), (2, 3, 6, 7)),
    (lambda nn: nn.AvgPool2d((3, 2), 2, (1, 0), True, True, 5), (2, 3, 6, 7)),
    (lambda nn: nn.AvgPool2d(3, 2, 1, ceil_mode=True), (2, 3, 6, 8)),
    (lambda nn: nn.AdaptiveAvgPool2d(1), (2, 3, 6, 7)),
    (lambda nn: nn.AdaptiveAvgPool2d((3, 2)), (2, 3, 6, 7)),
    (lambda nn: nn.AdaptiveAvgPool2d((None, 7)), (3, 6, 7)),
    (lambda nn: nn.AdaptiveAvgPool2d((4, 9)), (2, 3, 6, 7)),
    (lambda nn: nn.AdaptiveMaxPool2d((3, 7)), (2, 3, 6, 7)),
    (lambda nn: nn.AdaptiveMaxPool2d((4, None)), (2, 3, 6, 7)),
    (lambda nn: nn.AdaptiveMaxPool2d(2), (3, 6, 8)),
    (lambda nn: nn.BatchNorm1d(4), (5, 4)),
    (lambda nn: nn.BatchNorm1d(4, eps=1e-3, affine=False), (5, 4, 3)),
    (lambda nn: nn.BatchNorm2d(3), (2, 3, 4, 5)),
    (lambda nn: nn.BatchNorm2d(3, track_running_stats=False), (2, 3, 4, 5)),
    (lambda nn: nn.BatchNorm2d(3, 1e-3, 0.2, False, False), (2, 3, 4, 5)),
    (lambda nn: nn.BatchNorm2d(3, bias=False), (2, 3, 4, 5)),
    (lambda nn: nn.ReLU(), (2, 5)),
    (lambda nn: nn.Sequential(nn.Linear(5, 4), nn.ReLU(inplace=True)), (2, 5)),
    (lambda nn: nn.Tanh(), (2, 5)),
    (lambda nn: nn.Sigmoid(), (2, 5)),
    (lambda nn: nn.Softmax(dim=1), (2, 5)),
    (lambda nn: nn.Softmax(-2), (2, 5, 3)),
    (lambda nn: nn.LogSoftmax(1), (2, 5, 2, 2)),
    (lambda nn: nn.Dropout(0.0), (2, 5)),
    (lambda nn: nn.Flatten(), (2, 3, 4, 5)),
    (lambda nn: nn.Flatten(0, 2), (2, 3, 4, 5)),
    (lambda nn: nn.Unflatten(1, (2, 3)), (2, 6, 4)),
    (lambda nn: nn.Unflatten(-1, (2, -1)), (2, 6)),
    (lambda nn: nn.Identity(54, unused=True), (2, 5)),
    (lambda nn: nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(32, 3)), (2, 1, 6, 6)),
]


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")  # PyTorch's
@pytest.mark.parametrize("make, shape", LAYERS, ids=[" ".join(f"{make(nn)}".split()) + f" {shape}" for make, shape in LAYERS])
def test_layer(make, shape):
    check_module(make, draw(*shape))


NO_LAYERS = {"Buffer", "Module", "Parameter", "functional", "init"}


@pytest.mark.parametrize("name", sorted(set(striate.nn.__all__) & set(dir(torch.nn)) - NO_LAYERS))
def test_constructors_take_the_same_arguments(name):
    ours, theirs = (inspect.signature(getattr(n, name).__init__) for n in (nn, torch.nn))
    wanted = [(p.name, p.default, p.kind) for p in theirs.parameters.values() if p.name not in ("device", "dtype")]
    if name == "Sequential":
        wanted[1] = ("modules", inspect.Parameter.empty, inspect.Parameter.VAR_POSITIONAL)
    if name in ("Tanh", "Sigmoid", "LogSigmoid", "Softmax2d", "Softsign", "Tanhshrink"):  # PyTorch's have no arguments
        wanted = []
        ours = inspect.Signature()
    wanted = [p for p in wanted if p[0] not in ("min_value", "max_value")]  # old names
    own = [(p.name, p.default, p.kind) for p in ours.parameters.values()]
    assert own[: len(wanted)] == wanted  # what PyTorch does not have stands behind


def test_asymmetric_padding():
    conv = nn.Conv2d(2, 3, 3, padding=(0, 1, 2, 0))
    x = draw(2, 2, 6, 7)
    padded = torch.nn.functional.pad(torch.tensor(x), (2, 0, 0, 1))
    weight, bias = (torch.tensor(conv.state_dict()[k]).double() for k in ("weight", "bias"))
    close(run(conv, x), torch.nn.functional.conv2d(padded, weight, bias).numpy())
    assert repr(conv) == "Conv2d(2, 3, kernel_size=(3, 3), stride=(1, 1), padding=(0, 1, 2, 0))"
    assert nn.Conv2d(2, 3, 3, padding=(1, 1, 2, 2)).padding == (1, 2)


def test_changed_attributes_count():
    conv = nn.Conv2d(2, 3, 3, padding=1)
    conv.stride = (2, 2)
    assert graph_of(conv, draw(1, 2, 8, 8)).outputs[0].shape == (1, 3, 4, 4)


def test_even_adaptive_pooling_is_plain_pooling():
    names = [graph_of(m, draw(2, 3, 6, 8)).nodes[0].op.name
             for m in (nn.AdaptiveAvgPool2d(1), nn.AdaptiveAvgPool2d(4), nn.AdaptiveMaxPool2d((3, 2)), nn.AdaptiveMaxPool2d(4))]
    assert names == ["avg_pool2d", "adaptive_avg_pool2d", "max_pool2d", "adaptive_max_pool2d"]


@pytest.mark.parametrize("shape", [(2, 3, 6, 7), (3, 6, 8)])
def test_adaptive_max_pool_indices(shape):
    ours, theirs = both(lambda nn: nn.AdaptiveMaxPool2d(2, return_indices=True))
    x = draw(*shape)
    for mine, wanted in zip(run(ours, x), theirs(torch.tensor(x)), strict=True):
        assert (mine == wanted.numpy()).all()


def test_dropout_masks():
    """Every layer and every call has a mask of its own, of the right density; evaluation passes everything on."""
    drop = nn.Dropout(0.25)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.drop, self.other = drop, nn.Dropout(0.25)

        def forward(self, x):
            return self.drop(x), self.drop(x), self.other(x)

    masks = run(Net(), np.ones((100, 100)))
    for mask in masks:
        assert set(np.unique(mask)) == {0.0, 1 / 0.75}
        assert abs((mask == 0).mean() - 0.25) < 0.02
    assert not (masks[0] == masks[1]).all() and not (masks[1] == masks[2]).all()
    assert run(Net().eval(), np.ones((2, 2)))[0].all() and not graph_of(Net().eval(), np.ones((2, 2))).nodes
    assert not run(nn.Dropout(1.0), np.ones((2, 2))).any()


WRONG = {
    "in_channels must be a whole number from 1 up, got 0": lambda: nn.Conv2d(0, 4, 3),
    "out_channels must be a whole number from 1 up, got 2.5": lambda: nn.Conv2d(4, 2.5, 3),
    "groups must be a whole number from 1 up, got -1": lambda: nn.Conv2d(4, 4, 3, groups=-1),
    "in_channels=3 does not divide into groups=2: 3 % 2 = 1; make in_channels a multiple of groups":
        lambda: nn.Conv2d(3, 4, 3, groups=2),
    "out_channels=3 does not divide into groups=2: 3 % 2 = 1; make out_channels a multiple of groups":
        lambda: nn.Conv2d(4, 3, 3, groups=2),
    "kernel_size must be one whole number or 2 of them, got (3, 3, 3)": lambda: nn.Conv2d(4, 4, (3, 3, 3)),
    "stride must be one whole number or 2 of them, got ()": lambda: nn.Conv2d(4, 4, 3, stride=()),
    "a window's size must be at least 1, got 0": lambda: nn.Conv2d(4, 4, 0),
    "a window's stride must be at least 1, got 0": lambda: nn.MaxPool2d(2, 0),
    "padding must not be negative, got -1": lambda: nn.AvgPool2d(2, padding=-1),
    "out_features must be a whole number from 1 up, got -3": lambda: nn.Linear(4, -3),
    "divisor_override must not be 0; None divides by the number of taps": lambda: nn.AvgPool2d(2, divisor_override=0),
    "output_size must be a number or a pair, got (1, 2, 3)": lambda: nn.AdaptiveAvgPool2d((1, 2, 3)),
    "output_size must be at least 1, got (0, 2)": lambda: nn.AdaptiveMaxPool2d((0, 2)),
    "num_features must be a whole number from 1 up, got 0": lambda: nn.BatchNorm2d(0),
    "p is the probability to drop an element: it must be from 0 to 1, got 1.5": lambda: nn.Dropout(1.5),
    "softmax needs the axis along which it sums to 1; give dim=1 for classes in (N, C)":
        lambda: run(nn.Softmax(), draw(2, 3)),
}  # fmt: skip


@pytest.mark.parametrize("message", WRONG)
def test_wrong_arguments(message):
    with pytest.raises(ArgumentError) as error:
        WRONG[message]()
    assert str(error.value).startswith(message)  # the window's own messages go on to say how to mend it


def test_errors_of_layers_name_the_place():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm1d(2))
    with pytest.raises(ShapeError) as error:
        run(net, draw(2, 1, 5, 5))
    line = net[1].built_at
    assert line.startswith("test_layers.py:")
    assert str(error.value) == (
        f"BatchNorm1d '1' ({line}): x has 4 axes, shape (2, 2, 3, 3); give it the shape (N, C) or (N, C, L)"
    )
