"""Transfer learning: new heads, frozen parts, a learning rate for each part; beside PyTorch, and what a frozen part saves."""

import numpy as np
import pytest
import torch
from tests.cpu.helpers import both, close, floats

import striate as st
from striate import models, nn, optim

STEP = 2e-4
"""Largest error of parameters after five steps, beside the largest; see tests/cpu/test_training.py."""


def network(n):
    """Three convolutions with batch norm and a linear layer, for images of 3 x 8 x 8: layers 0, 3, 6 and 11 have weights."""
    def block(c, k, *more):
        return [n.Conv2d(c, k, 3, padding=1, bias=False), n.BatchNorm2d(k), n.ReLU(), *more]

    return n.Sequential(*block(3, 8), *block(8, 8), *block(8, 16), n.AvgPool2d(2), n.Flatten(), n.Linear(16 * 16, 5))


def batch(seed, size=6):
    return floats(size, 3, 8, 8, seed=seed), np.random.default_rng(seed).integers(5, size=size)


def train(net, twin, optimizer, other, steps=5):
    """Both networks, side by side."""
    step = st.compile(net, nn.CrossEntropyLoss(), optimizer)
    for seed in range(steps):
        x, y = batch(seed)
        other.zero_grad()
        wanted = torch.nn.functional.cross_entropy(twin(torch.tensor(x, dtype=torch.float64)), torch.tensor(y))
        wanted.backward()
        other.step()
        close(step(x, y), wanted.item(), STEP, "loss")


def same(net, twin):
    state = net.state_dict()
    for name, wanted in twin.state_dict().items():
        close(state[name], wanted, STEP, name)


@pytest.mark.parametrize("fixed", [False, True], ids=["norms move", "norms stand"])
def test_a_new_head_on_a_frozen_body(fixed):
    """In train mode the running statistics of a frozen body still move, as PyTorch's do; in eval mode they do not."""
    net, twin = both(network)
    twin[-1] = torch.nn.Linear(256, 5, dtype=torch.float64)
    net[-1] = nn.Linear(256, 5)
    net[-1].load_state_dict(twin[-1].state_dict())
    before = net.state_dict()
    for body in (net[:-1], twin[:-1]):
        body.requires_grad_(False).train(not fixed)
    train(net, twin, optim.SGD(net[-1].parameters(), lr=0.1, momentum=0.9, weight_decay=0.01),
          torch.optim.SGD(twin[-1].parameters(), lr=0.1, momentum=0.9, weight_decay=0.01))
    same(net, twin)
    moved = {name for name, array in net.state_dict().items() if (array != before[name]).any()}
    statistics = {f"{i}.{name}" for i in (1, 4, 7) for name in ("running_mean", "running_var", "num_batches_tracked")}
    assert moved == {"11.weight", "11.bias"} | (set() if fixed else statistics)


@pytest.mark.parametrize("name, settings", [("SGD", {"lr": 0.1, "momentum": 0.9}), ("AdamW", {"lr": 0.01, "eps": 1e-3})])
def test_a_learning_rate_for_each_part(name, settings):
    """The head at the optimizer's rate, the body at a hundredth of it, the first layer frozen."""
    net, twin = both(network)
    groups = [[{"params": list(n[3:-1].parameters()), "lr": settings["lr"] / 100}, {"params": list(n[-1].parameters())}]
              for n in (net, twin)]  # fmt: skip
    before = net.state_dict()
    for n in (net, twin):
        n[:3].requires_grad_(False)
    train(net, twin, getattr(optim, name)(groups[0], **settings), getattr(torch.optim, name)(groups[1], **settings))
    same(net, twin)
    assert (net[0].weight.data == before["0.weight"]).all() and (net[3].weight.data != before["3.weight"]).any()
    change = {key: np.abs(net.state_dict()[key] - before[key]).max() for key in ("3.weight", "11.weight")}
    assert change["11.weight"] > 10 * change["3.weight"]


def test_thawed_layer_by_layer():
    """The body is frozen, then its last block trained too, with one optimizer all the time."""
    net, twin = both(network)
    settings = {"lr": 0.05, "momentum": 0.9}
    own, other = optim.SGD(net.parameters(), **settings), torch.optim.SGD(twin.parameters(), **settings)
    for n in (net, twin):
        n[:-1].requires_grad_(False)
    train(net, twin, own, other)
    first = net[6].weight.numpy()
    for n in (net, twin):
        n[6].requires_grad_(True)
    train(net, twin, own, other)
    same(net, twin)
    assert (net[6].weight.data != first).any()


def backward(net, trained):
    """(gradient, layer) of the convolutions and linear layers in a step that trains some layers."""
    for index, module in enumerate(net):
        module.requires_grad_(index in trained)
    step = st.compile(net, nn.CrossEntropyLoss(), optim.SGD(lr=0.1))
    return {(node.op.name, node.module) for node in step.graph(*batch(0)).nodes if "gradient" in node.op.name}


def test_a_step_has_no_gradients_that_nothing_needs():
    """No weight gradient of a frozen layer, no input gradient of the lowest trained layer or below."""
    net = network(nn)
    every = {i for i, layer in enumerate(net) if any(True for _ in layer.parameters())}
    assert every == {0, 1, 3, 4, 6, 7, 11}
    whole = backward(net, every)
    convs = {(f"conv2d_{what}_gradient", f"{i}") for what in ("input", "weight") for i in (0, 3, 6)}
    assert {g for g in whole if g[0].startswith("conv")} == convs - {("conv2d_input_gradient", "0")}
    head = backward(net, {11})
    assert {module for _, module in head} <= {"11", "loss", ""} and not any(name.startswith("conv") for name, _ in head)
    middle = backward(net, {3})
    assert {g for g in middle if g[0].startswith("conv")} == {("conv2d_weight_gradient", "3"), ("conv2d_input_gradient", "6")}
    assert "1" not in {module for _, module in middle} and "0" not in {module for _, module in middle}


def compiled(net):
    return st.compile(net, nn.CrossEntropyLoss(), optim.SGD(lr=0.1)).program(*batch(0, size=64))


def test_a_frozen_body_costs_no_kernels_and_no_memory():
    """The compiled step: calls of kernels, and bytes of activations that only the way back would have read."""
    st.seed(0)
    net = network(nn)
    whole = compiled(net)
    names = {call.kernel.name for call in whole.calls}
    assert {"ConvWeights", "TurnWeights", "NormFinish", "NormGradient", "GemmWeights", "Sgd"} <= names
    net[:-1].requires_grad_(False).eval()
    frozen = compiled(net)
    left = {call.kernel.name for call in frozen.calls}
    assert not left & {"ConvWeights", "TurnWeights", "NormFinish", "NormGradient"} and {"GemmWeights", "Sgd"} <= left
    assert len(frozen.calls) < len(whole.calls) / 4 and frozen.arena_bytes < whole.arena_bytes / 2


def test_a_head_may_be_replaced_between_steps():
    """An optimizer of all parameters trains the new head; one of named parameters says that it does not know it."""
    st.seed(0)
    net = network(nn)
    x, y = batch(0)
    free, named = optim.SGD(lr=0.1), optim.SGD(net.parameters(), lr=0.1)
    step, strict = (st.compile(net, nn.CrossEntropyLoss(), optimizer) for optimizer in (free, named))
    step(x, y), strict(x, y)
    net[-1] = nn.Linear(256, 7)
    before = net[-1].weight.numpy()
    step(x, y)
    assert step.output.shape == (6, 7) and (net[-1].weight.data != before).any()
    with pytest.raises(st.errors.ArgumentError) as error:
        strict(x, y)
    assert str(error.value) == ("2 parameters of the optimizer are not this network's; "
                                "make the optimizer with net.parameters() of the network that you train")


def test_a_head_of_another_size(tmp_path):
    """The weights of a file without its head; the new head keeps what it was drawn with."""
    st.seed(0)
    old, net = models.resnet_tiny(num_classes=10), models.resnet_tiny(num_classes=3)
    with pytest.raises(st.errors.StateDictError) as error:
        net.load_state_dict(old.state_dict())
    assert str(error.value).startswith("the state_dict does not fit ResNet: 'fc.weight' has shape (10, ")
    body = {name: array for name, array in old.state_dict().items() if not name.startswith("fc.")}
    keys = net.load_state_dict(body, strict=False)
    assert keys.missing_keys == ["fc.weight", "fc.bias"] and keys.unexpected_keys == []
    np.testing.assert_array_equal(net.conv1.weight.data, old.conv1.weight.data)
    assert net(floats(2, 3, 32, 32)).shape == (2, 3)
