"""Sequential, ModuleList and ModuleDict against PyTorch's: print, keys, and what the usual list and dict methods do."""

from collections import OrderedDict

import pytest
import torch
from tests.helpers import draw
from tests.nn.helpers import check_module, check_state, run

from striate import nn
from striate.errors import ArgumentError


def edited(nn):
    net = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 3))
    net.append(nn.Tanh())
    net.insert(1, nn.Linear(4, 4))
    net.extend([nn.Linear(3, 2), nn.Sigmoid()])
    net[3] = nn.Linear(4, 3, bias=False)
    del net[2]
    del net[-1:]
    return net


SEQUENCES = [
    lambda nn: nn.Sequential(OrderedDict(first=nn.Linear(4, 3), act=nn.ReLU())),
    lambda nn: nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))[:2],
    lambda nn: nn.Sequential(nn.ReLU(), nn.Linear(4, 3), nn.Linear(3, 2))[1:],
    lambda nn: nn.Sequential(nn.Sequential(nn.Linear(4, 3)), nn.Sequential(nn.ReLU(), nn.Linear(3, 3))),
    edited,
]


@pytest.mark.parametrize("make", SEQUENCES)
def test_sequential(make):
    check_module(make, draw(2, 4))


def test_sequential_is_a_list():
    net = nn.Sequential(nn.ReLU(), nn.Tanh(), nn.Sigmoid())
    assert len(net) == 3 and [type(m).__name__ for m in net] == ["ReLU", "Tanh", "Sigmoid"]
    assert net[-1] is net[2] and isinstance(net[:1], nn.Sequential) and isinstance(nn.Sequential()[0:], nn.Sequential)
    with pytest.raises(IndexError, match="index 3 is outside a Sequential of 3 modules"):
        net[3]
    assert repr(nn.Sequential()) == repr(torch.nn.Sequential())
    x = draw(2, 2)
    assert (run(nn.Sequential(nn.Identity()), x) == x).all()


LISTS = [
    lambda nn: nn.ModuleList(),
    lambda nn: nn.ModuleList([nn.Linear(2, 3), nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 3)]),
    lambda nn: nn.ModuleList([nn.Sequential(nn.Linear(2, 2)) for _ in range(3)]).append(nn.ReLU()),
    lambda nn: nn.ModuleList(nn.Linear(i + 1, 2) for i in range(4))[1:3],
    lambda nn: nn.Sequential(nn.ModuleList([nn.ReLU(), nn.ReLU()])),
    lambda nn: nn.ModuleDict(),
    lambda nn: nn.ModuleDict({"a": nn.Linear(2, 3), "b": nn.Sequential(nn.ReLU())}),
    lambda nn: nn.ModuleDict([("a", nn.Linear(2, 3)), ("b", nn.ReLU())]),
]


@pytest.mark.parametrize("make", LISTS)
def test_lists_and_dicts_print_alike(make):
    assert repr(make(nn)) == repr(make(torch.nn))
    check_state(make(nn).state_dict(), make(torch.nn).state_dict())


def test_module_list_is_a_list():
    layers = nn.ModuleList([nn.ReLU()])
    layers += [nn.Tanh()]
    layers.insert(0, nn.Sigmoid())
    layers[1] = nn.Identity()
    assert [type(m).__name__ for m in layers] == ["Sigmoid", "Identity", "Tanh"] and len(layers) == 3
    del layers[0]
    assert list(layers._modules) == ["0", "1"]


def test_module_dict_is_a_dict():
    layers = nn.ModuleDict({"a": nn.ReLU()})
    layers["b"] = nn.Tanh()
    layers.update({"c": nn.Sigmoid()})
    assert list(layers) == list(layers.keys()) == ["a", "b", "c"] and len(layers) == 3 and "b" in layers
    assert [type(m).__name__ for m in layers.values()] == ["ReLU", "Tanh", "Sigmoid"]
    assert type(layers.pop("b")).__name__ == "Tanh"
    del layers["a"]
    assert [k for k, _ in layers.items()] == ["c"]
    layers.clear()
    assert not len(layers)


def test_containers_call_their_modules():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList([nn.Linear(3, 3), nn.Linear(3, 2)])
            self.acts = nn.ModuleDict({"relu": nn.ReLU()})

        def forward(self, x):
            for layer in self.layers:
                x = self.acts["relu"](layer(x))
            return x

    assert run(Net(), draw(2, 3)).shape == (2, 2)


WRONG = {
    "'1' of Sequential must be a module, got 3": lambda: nn.Sequential(nn.ReLU(), 3),
    "'0' of Sequential must be a module, got [ReLU()]; unpack a list with *": lambda: nn.Sequential([nn.ReLU()]),
    "'0' of ModuleList must be a module, got 'relu'": lambda: nn.ModuleList(["relu"]),
    "a module's name is part of a dotted path: it must not be empty or hold a '.', got 'a.b'":
        lambda: nn.ModuleDict({"a.b": nn.ReLU()}),
}  # fmt: skip


@pytest.mark.parametrize("message", WRONG)
def test_wrong_arguments(message):
    with pytest.raises(ArgumentError) as error:
        WRONG[message]()
    assert str(error.value) == message
