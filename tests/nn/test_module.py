"""The habits of a module: attributes, walks, state, copies, print, and parameters inside forward."""

import copy
import pickle

import numpy as np
import pytest
import torch
from tests.helpers import close, draw
from tests.nn.helpers import check_state, gradients, graph_of, run

import striate as st
from striate import nn
from striate.errors import ArgumentError, DtypeError, ShapeError, StateDictError


def network(nn):
    """A network with a block used twice, a shared weight, a buffer of each kind and a name with nothing behind it."""

    class Block(nn.Module):
        def __init__(self, channels):
            super().__init__()
            self.conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
            self.norm = nn.BatchNorm2d(channels)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("mean", np.zeros(2, np.float32) if nn is not torch.nn else torch.zeros(2))
            self.register_buffer("hidden", np.zeros(1, np.float32) if nn is not torch.nn else torch.zeros(1), persistent=False)
            self.register_parameter("nothing", None)
            self.block = Block(2)
            self.again = self.block
            self.layers = nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2)])
            self.layers[1].weight = self.layers[0].weight
            self.head = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
            self.gate = nn.Parameter(np.zeros(2, np.float32) if nn is not torch.nn else torch.zeros(2))

    return Net()


def test_walks_are_pytorchs():
    ours, theirs = network(nn), network(torch.nn)
    assert [n for n, _ in ours.named_modules()] == [n for n, _ in theirs.named_modules()]
    assert [n for n, _ in ours.named_modules(remove_duplicate=False)] == [
        n for n, _ in theirs.named_modules(remove_duplicate=False)
    ]
    assert [n for n, _ in ours.named_parameters()] == [n for n, _ in theirs.named_parameters()]
    assert [n for n, _ in ours.named_parameters(recurse=False)] == ["gate"]
    assert [n for n, _ in ours.named_buffers()] == [n for n, _ in theirs.named_buffers()]
    assert sum(p.numel() for p in ours.parameters()) == sum(p.numel() for p in theirs.parameters())
    assert ours.get_submodule("block.conv") is ours.block.conv and ours.get_submodule("") is ours
    assert repr(ours) == repr(theirs)


def test_state_dict_is_pytorchs():
    ours, theirs = network(nn), network(torch.nn)
    check_state(ours.state_dict(), theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())
    for name, tensor in theirs.state_dict().items():
        assert (ours.state_dict()[name] == tensor.numpy()).all()
    theirs.load_state_dict({name: torch.tensor(array) for name, array in network(nn).state_dict().items()})


def test_state_dict_is_a_copy():
    layer = nn.Linear(2, 2)
    layer.state_dict()["weight"][:] = 7
    assert not (layer.weight.data == 7).any()
    with pytest.raises(ValueError, match="read-only"):
        layer.weight.data[0] = 1


LOADS = {
    "the state_dict does not fit Linear: missing: 'bias'; strict=False skips missing and unexpected keys":
        lambda d: d.pop("bias"),
    "the state_dict does not fit Linear: unexpected: 'scale'; strict=False skips missing and unexpected keys":
        lambda d: d.update(scale=1),
    "the state_dict does not fit Linear: 'weight' has shape (2, 3), the model's is (3, 2)":
        lambda d: d.update(weight=np.zeros((2, 3))),
    "the state_dict does not fit Linear: 'bias' has shape (), the model's is (3,); missing: 'weight'; "
    "unexpected: 'a', 'b', 'c', 'd', 'e', 'f' and 1 more":
        lambda d: (d.pop("weight"), d.update(dict.fromkeys("abcdefg", 0), bias=0)),
}  # fmt: skip


@pytest.mark.parametrize("message", LOADS)
def test_load_state_dict_errors(message):
    layer = nn.Linear(2, 3)
    before, state = layer.state_dict(), nn.Linear(2, 3).state_dict()
    LOADS[message](state)
    with pytest.raises(StateDictError) as error:
        layer.load_state_dict(state)
    assert str(error.value) == message and len(error.value.args) == 1
    assert all((layer.state_dict()[k] == before[k]).all() for k in before)


def test_load_state_dict_not_strict():
    layer = nn.Linear(2, 3)
    skipped = layer.load_state_dict({"weight": np.ones((3, 2)), "scale": 1}, strict=False)
    assert skipped == (["bias"], ["scale"]) and skipped.missing_keys == ["bias"] and skipped.unexpected_keys == ["scale"]
    assert (layer.weight.data == 1).all()
    with pytest.raises(StateDictError, match=r"'weight' has shape \(2, 3\), the model's is \(3, 2\)$"):
        layer.load_state_dict({"weight": np.ones((2, 3))}, strict=False)


def test_modes():
    net = network(nn)
    assert net.training and net.train() is net and net.eval() is net
    assert not any(m.training for m in net.modules())
    net.block.train()
    assert net.block.norm.training and not net.head.training
    assert not any(p.requires_grad for p in net.requires_grad_(False).parameters())


def test_apply_goes_to_children_first():
    seen = []
    network(nn).head.apply(lambda m: seen.append(type(m).__name__))
    assert seen == ["Linear", "ReLU", "Sequential"]


def test_attributes():
    layer = nn.Linear(2, 3, bias=False)
    assert layer.bias is None and "weight" in dir(layer)
    layer.bias = nn.Parameter(np.zeros(3))
    assert [n for n, _ in layer.named_parameters()] == ["weight", "bias"]
    layer.bias = None
    assert [n for n, _ in layer.named_parameters()] == ["weight"]
    norm = nn.BatchNorm1d(2)
    norm.running_mean = [1.0, 2.0]
    assert norm.running_mean.data.tolist() == [1, 2] and isinstance(norm.running_mean, nn.Buffer)
    del layer.weight
    with pytest.raises(AttributeError, match=r"^Linear has no attribute 'weight'$"):
        layer.weight  # noqa: B018
    with pytest.raises(AttributeError, match=r"^Linear has no attribute 'weight'$"):
        del layer.weight
    with pytest.raises(AttributeError, match=r"^Net has no module 'neck' \(looking for 'neck.0'\)$"):
        network(nn).get_submodule("neck.0")


def test_a_buffer_may_come_late():
    module = nn.Module()
    module.register_buffer("mean", None)
    assert module.mean is None and not module.state_dict()
    module.mean = np.ones(2)
    assert list(module.state_dict()) == ["mean"]


def test_super_init_may_be_forgotten():
    class Net(nn.Module):
        def __init__(self):
            self.layer = nn.Linear(2, 2)

    assert list(Net().state_dict()) == ["layer.weight", "layer.bias"]


def test_parameters_are_not_replaced_by_arrays():
    with pytest.raises(ArgumentError) as error:
        nn.Linear(2, 3).weight = np.zeros((3, 2))
    assert str(error.value) == "'weight' is a parameter of Linear; assign an nn.Parameter, or an array to .weight.data"
    with pytest.raises(ArgumentError, match=r"^this parameter has shape \(3, 2\), got an array of shape \(2, 3\)$"):
        nn.Linear(2, 3).weight.data = np.zeros((2, 3))


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies(duplicate):
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    net._programs["key"] = lambda: None  # what a compiled program is like: not to be copied
    net[0].weight.refresh = lambda: setattr(net[0].weight, "refresh", None)
    other = duplicate(net)
    assert repr(other) == repr(net) and other._programs == {} and other[0].weight.refresh is None
    assert all((other.state_dict()[k] == v).all() for k, v in net.state_dict().items())
    other[0].weight.data = np.zeros((2, 2))
    assert net[0].weight.data.any()
    assert run(other.eval(), draw(3, 2)).shape == (3, 2)


def test_a_copy_keeps_sharing():
    net = copy.deepcopy(network(nn))
    assert net.layers[0].weight is net.layers[1].weight and net.block is net.again


class Scale(nn.Module):
    """Arithmetic of parameters and buffers, with each other, with numbers, arrays and values."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Parameter(draw(3)), nn.Parameter(draw(3, seed=1))
        self.shift = nn.Buffer(np.ones(3))
        self.weight = nn.Parameter(draw(4, 3))

    def forward(self, x):
        weight = self.weight - self.weight.mean(1, keepdim=True)
        product = -self.a * self.b + np.full(3, 2.0) * self.a - 1 / (self.b**2 + self.shift)
        return nn.functional.linear(x * product, weight[:2]) + self.a[0] * x.sum()


def torch_scale(net: Scale, x: np.ndarray):
    a, b, shift, weight = (torch.tensor(v.data, dtype=torch.double, requires_grad=True)
                           for v in (net.a, net.b, net.shift, net.weight))  # fmt: skip
    x = torch.tensor(x, requires_grad=True)
    product = -a * b + 2 * a - 1 / (b**2 + shift)
    centred = weight - weight.mean(1, keepdim=True)
    return torch.nn.functional.linear(x * product, centred[:2]) + a[0] * x.sum(), {"a": a, "b": b, "weight": weight, "x": x}


def test_parameters_in_forward():
    net, x = Scale(), draw(2, 3)
    y, leaves = torch_scale(net, x)
    close(run(net, x), y.detach().numpy())
    y.backward(torch.tensor(draw(*y.shape)))
    mine = gradients(net, x)
    assert mine.keys() == leaves.keys()
    for name, leaf in leaves.items():
        close(mine[name], leaf.grad.numpy())


def test_parameters_outside_forward_are_arrays():
    a, b = nn.Parameter([1.0, 2.0]), nn.Parameter([3.0, 4.0])
    assert (a * b).tolist() == [3, 8] and (2 - a).tolist() == [1, 0] and (np.ones(2) * b).tolist() == [3, 4]
    assert (-a).tolist() == [-1, -2] and a[1] == 2 and len(a) == 2 and list(a) == [1, 2] and (a**2).tolist() == [1, 4]
    assert np.asarray(a).dtype == np.float32 and np.mean(a) == 1.5 and repr(a) == "Parameter(2,)"
    with pytest.raises(AttributeError, match=r"^Parameter has no attribute 'mean'; outside forward use .data.mean$"):
        a.mean()
    with pytest.raises(AttributeError, match=r"^Parameter has no attribute 'shap'$"):
        a.shap  # noqa: B018


def test_keyword_arguments_between_modules():
    class Inner(nn.Module):
        def forward(self, x, *, extra, scale=1.0):
            return extra["bias"] + x * scale

    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = Inner()

        def forward(self, x):
            return self.inner(x=x, extra={"bias": x}, scale=3.0)

    x = draw(2, 2)
    close(run(Outer(), x), 4 * x)
    with pytest.raises(DtypeError, match=r"^extra has dtype object; give an array of numbers, float32 for images and int64 for "):
        Inner()(x, extra={"bias": x})


def test_arguments_of_a_call():
    """Arrays by position and by name are inputs; numbers, words and sizes by name are part of the trace."""

    class Net(nn.Module):
        def forward(self, x, y=None, scale=1.0, size=None, kind="sum"):
            x = x if y is None else x - y if kind == "difference" else x + y
            return (x * scale).reshape(x.shape if size is None else size)

    net, x, y = Net(), draw(2, 3).astype(np.float32), draw(2, 3, seed=1).astype(np.float32)
    close(net(x, y), x + y, 1e-6)
    close(net(x, y=y, kind="difference"), x - y, 1e-6)
    close(net(y=y, x=x, scale=2.0, size=[3, 2]), (2 * (x + y)).reshape(3, 2), 1e-6)
    close(net(x, None, True, (6,), "sum"), x.reshape(6), 1e-6)
    z, pullback = st.vjp(net, x, y=y, kind="difference", scale=3.0)
    dx, dy = pullback(np.ones_like(z))[0]
    assert dx.tolist() == np.full((2, 3), 3.0).tolist() and dy.tolist() == np.full((2, 3), -3.0).tolist()


def test_a_module_may_be_called_on_a_parameter():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.token, self.layer = nn.Parameter(np.ones(2)), nn.Linear(2, 2)

        def forward(self, x):
            return x + self.layer(self.token)

    assert gradients(Net(), draw(3, 2)).keys() == {"token", "layer.weight", "layer.bias", "x"}


def test_errors_name_the_module_and_the_line():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(3, 4), nn.Linear(3, 4)

        def forward(self, x):
            return self.second(self.first(x))

    line = Net.forward.__code__.co_firstlineno + 1
    with pytest.raises(ShapeError, match=rf"^linear 'second' \(test_module.py:{line}\): x \(2, 4\) does not end in the 3"):
        run(Net(), draw(2, 3))


def test_a_module_without_forward():
    with pytest.raises(NotImplementedError, match=r"^ModuleList needs a forward method that says what it computes$"):
        run(nn.ModuleList(), draw(2))


def test_a_failed_trace_leaves_nothing_behind():
    with pytest.raises(NotImplementedError):
        run(nn.ModuleList(), draw(2))
    assert (nn.Parameter([1.0]) * 2).tolist() == [2]
    assert graph_of(nn.ReLU(), draw(2)).nodes
