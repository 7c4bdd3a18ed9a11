"""Optimizers against torch.optim, and what they say about wrong arguments."""

import numpy as np
import pytest
import torch

from striate import ops, optim
from striate.errors import ArgumentError, StateDictError
from striate.nn.module import Module, Parameter


class Net(Module):
    def __init__(self):
        super().__init__()
        rng = np.random.default_rng(0)
        self.weight = Parameter(rng.normal(size=(3, 4)).astype(np.float32))
        self.bias = Parameter(rng.normal(size=3).astype(np.float32))


def gradients(step):
    rng = np.random.default_rng(100 + step)
    return {"weight": rng.normal(size=(3, 4)).astype(np.float32), "bias": rng.normal(size=3).astype(np.float32)}


def twin(net):
    return {name: torch.nn.Parameter(torch.tensor(p.numpy())) for name, p in net.named_parameters()}


def torch_step(optimizer, parameters, step):
    for name, gradient in gradients(step).items():
        parameters[name].grad = torch.tensor(gradient)
    optimizer.step()


def same(net, parameters, rtol=2e-5):
    for name, p in net.named_parameters():
        np.testing.assert_allclose(p.data, parameters[name].detach().numpy(), rtol=rtol, atol=1e-6)


CASES = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "weight_decay": 0.01}),
    ("SGD", {"lr": 0.1, "momentum": 0.9}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.01}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
    ("Adam", {"lr": 0.01}),
    ("Adam", {"lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1}),
    ("AdamW", {"lr": 0.01}),
    ("AdamW", {"lr": 0.05, "weight_decay": 0.3}),
]


@pytest.mark.parametrize("name, settings", CASES, ids=str)
def test_steps_are_those_of_torch(name, settings):
    net = Net()
    parameters = twin(net)
    own, other = getattr(optim, name)(**settings), getattr(torch.optim, name)(parameters.values(), **settings)
    for step in range(8):
        own.apply(net, gradients(step))
        torch_step(other, parameters, step)
        same(net, parameters)
    assert own.steps == 8


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW"])
def test_defaults_are_those_of_torch(name):
    own = getattr(optim, name)().param_groups[0]
    other = getattr(torch.optim, name)([torch.zeros(1)]).param_groups[0]
    assert {k: v for k, v in own.items() if k != "params"} == {k: other[k] for k in own if k != "params"}


def test_groups_have_settings_of_their_own():
    net = Net()
    parameters = twin(net)
    own = optim.SGD([{"params": [net.weight]}, {"params": [net.bias], "lr": 0.5}], lr=0.1, momentum=0.9)
    twins = [{"params": [parameters["weight"]]}, {"params": [parameters["bias"]], "lr": 0.5}]
    other = torch.optim.SGD(twins, lr=0.1, momentum=0.9)
    for step in range(3):
        own.apply(net, gradients(step))
        torch_step(other, parameters, step)
    same(net, parameters)
    assert [(len(g.parameters), g.op, g.state_names) for g in own.groups_for(net)] == [
        (1, ops.SgdUpdate(False), ("momentum_buffer",)), (1, ops.SgdUpdate(False), ("momentum_buffer",))]


def test_a_changed_lr_counts_at_the_next_step():
    net = Net()
    parameters = twin(net)
    own, other = optim.SGD(lr=0.1), torch.optim.SGD(parameters.values(), lr=0.1)
    [group] = own.groups_for(net)
    for step, lr in enumerate([0.1, 0.01]):
        own.param_groups[0]["lr"] = other.param_groups[0]["lr"] = lr
        assert group.hyper(step + 1)[0] == np.float32(lr)
        own.apply(net, gradients(step))
        torch_step(other, parameters, step)
    same(net, parameters)


def test_hyper_is_what_the_operator_wants():
    net = Net()
    [group] = optim.SGD(lr=0.1, momentum=0.9, dampening=0.25, weight_decay=0.5).groups_for(net)
    np.testing.assert_array_equal(group.hyper(1), np.float32([0.1, 0.9, 1, 0.5]))
    np.testing.assert_array_equal(group.hyper(2), np.float32([0.1, 0.9, 0.75, 0.5]))
    [group] = optim.Adam(lr=0.1, betas=(0.5, 0.75)).groups_for(net)
    np.testing.assert_array_equal(group.hyper(1), np.float32([0.1, 0.5, 0.75, 1e-8, 0, 2, 2]))
    assert group.hyper(1).dtype == np.float32


def test_frozen_parameters_are_left_out():
    net = Net()
    net.bias.requires_grad = False
    [group] = optim.SGD(lr=0.1).groups_for(net)
    assert group.parameters == [net.weight]
    with pytest.raises(ArgumentError) as error:
        optim.SGD(lr=0.1).groups_for(net.requires_grad_(False))
    assert str(error.value) == ("no parameter of this Net requires a gradient, so there is nothing to train; "
                                "call net.requires_grad_(True)")


def test_parameters_may_come_in_many_forms():
    net = Net()
    for given in (net.parameters(), net.named_parameters(), list(net.parameters()), {"a": net.weight, "b": net.bias}.values()):
        [group] = optim.Adam(given).groups_for(net)
        assert group.parameters == [net.weight, net.bias]


def test_state_goes_on_where_it_stopped():
    straight, first, second = Net(), Net(), Net()
    own, before, after = (optim.Adam(net.parameters(), lr=0.01) for net in (straight, first, second))
    for step in range(6):
        own.apply(straight, gradients(step))
    for step in range(3):
        before.apply(first, gradients(step))
    second.load_state_dict(first.state_dict())
    after.load_state_dict(before.state_dict())
    for step in range(3, 6):
        after.apply(second, gradients(step))
    for a, b in zip(straight.parameters(), second.parameters()):
        np.testing.assert_array_equal(a.data, b.data)


def test_state_dict_refuses_what_does_not_fit():
    net = Net()
    own = optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    own.apply(net, gradients(0))
    with pytest.raises(StateDictError, match=r"the optimizer's groups have \[1\] parameters, the state_dict's have \[2\]"):
        optim.SGD([net.weight], lr=0.1).load_state_dict(own.state_dict())
    with pytest.raises(StateDictError, match=r"'momentum_buffer' of parameter 0 has shape \(3, 4\), the parameter's is \(3,\)"):
        optim.SGD([net.bias, net.weight], lr=0.1, momentum=0.9).load_state_dict(own.state_dict())


def test_momentum_cannot_appear_after_compilation():
    net = Net()
    own = optim.SGD(lr=0.1)
    [group] = own.groups_for(net)
    own.param_groups[0]["momentum"] = 0.9
    with pytest.raises(ArgumentError) as error:
        group.hyper(1)
    assert str(error.value) == ("the settings of SGD now need another update rule (sgd_plain_update was compiled); "
                                "compile the step again")


NET = Net()
WRONG = [
    (lambda: optim.SGD(0.1), "the first argument of SGD is the parameters to train, got 0.1; write SGD(lr=0.1)"),
    (lambda: optim.Adam(NET), "the first argument of Adam is the parameters to train, got a Net; "
                              "write net.parameters(), or nothing for all of them"),
    (lambda: optim.SGD(NET.weight),
     "the first argument of SGD is an iterable of parameters, got one Parameter; put it into a list"),
    (lambda: optim.SGD([]), "SGD got an empty list of parameters; write net.parameters(), or nothing for all of them"),
    (lambda: optim.SGD([np.zeros(3)]), "an optimizer trains parameters, got ndarray; write net.parameters()"),
    (lambda: optim.SGD([NET.weight, NET.weight]),
     "a parameter stands in two places of the optimizer's groups; give each parameter once"),
    (lambda: optim.SGD([{"params": [NET.weight], "rate": 1}]),
     "unknown setting 'rate' in a parameter group; SGD knows params, lr, momentum, dampening, weight_decay, nesterov"),
    (lambda: optim.Adam([{"lr": 1}]), "a parameter group has no 'params'; Adam knows params, lr, betas, eps, weight_decay"),
    (lambda: optim.SGD(lr=-1), "lr must be at least 0, got -1"),
    (lambda: optim.SGD(nesterov=True), "nesterov needs momentum > 0 and dampening = 0, got momentum=0 and dampening=0"),
    (lambda: optim.Adam(betas=(0.9, 1.0)), "betas must be two numbers of at least 0 and less than 1, got (0.9, 1.0)"),
    (lambda: optim.SGD([Net().weight]).groups_for(NET),
     "1 parameters of the optimizer are not this network's; "
     "make the optimizer with net.parameters() of the network that you train"),
    (lambda: optim.SGD().load_state_dict({"param_groups": []}),
     "this optimizer does not know its parameters before its first step; make it with net.parameters()"),
]


@pytest.mark.parametrize("call, text", WRONG, ids=[text[:40] for _, text in WRONG])
def test_wrong_use_is_explained(call, text):
    with pytest.raises(ArgumentError) as error:
        call()
    assert str(error.value) == text
    assert len(error.value.args) == 1


def test_one_optimizer_serves_one_network():
    own = optim.SGD(lr=0.1)
    own.groups_for(NET)
    with pytest.raises(ArgumentError) as error:
        own.groups_for(Net())
    assert str(error.value) == "this SGD already trains another network; make a new one for each network"
