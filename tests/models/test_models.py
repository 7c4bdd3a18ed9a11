"""The registry, and every model: it runs, trains all its parameters, and can be built again from its config."""

import json
from collections import OrderedDict

import numpy as np
import pytest
import torch
from tests.helpers import close, draw
from tests.nn.helpers import check_module, gradients, run, step

from striate import models, nn
from striate.errors import ArgumentError
from striate.models import registry

INPUTS = {"lenet": (2, 1, 28, 28), "small_cnn": (2, 1, 28, 28), "captcha": (2, 1, 30, 80)}
OWN = [
    ("lenet", {"num_classes": 3}, (2, 1, 28, 28), (2, 3)),
    ("small_cnn", {"num_classes": 4, "in_channels": 3}, (2, 3, 28, 28), (2, 4)),
    ("captcha", {"alphabet": "ABCDEF", "length": 5, "in_channels": 3, "height": 24, "width": 50}, (2, 3, 24, 50), (2, 6, 5)),
]


def test_list():
    assert models.list() == sorted(models.list()) and set(INPUTS) <= set(models.list())


@pytest.mark.parametrize("name", sorted(INPUTS))
def test_every_parameter_is_trained(name):
    net = models.create(name)
    found = gradients(net, draw(*INPUTS[name]))
    assert set(found) == {n for n, _ in net.named_parameters()} | {"x"}
    assert all(np.isfinite(g).all() and g.any() for n, g in found.items() if not before_norm(net, n))


def before_norm(net: nn.Module, parameter: str) -> bool:
    """Whether it is the bias of a convolution that batch normalisation follows, whose gradient is 0."""
    parts = parameter.split(".")
    return parts[-1] == "bias" and parts[0].isdigit() and isinstance(net[min(int(parts[0]) + 1, len(net) - 1)], nn.BatchNorm2d)


@pytest.mark.parametrize("name, arguments, shape, out", OWN)
def test_arguments_and_config(name, arguments, shape, out):
    net = models.create(name, **arguments)
    assert net.config == {"name": name, **arguments}
    again = models.create(**json.loads(json.dumps(net.config)))
    again.load_state_dict(net.state_dict())
    x = draw(*shape)
    y = run(net.eval(), x)
    assert y.shape == out
    close(run(again.eval(), x), y)


def test_a_direct_call_records_the_same():
    assert models.lenet(7).config == models.lenet(num_classes=7).config == {"name": "lenet", "num_classes": 7}
    assert models.captcha().config == {
        "name": "captcha", "alphabet": "0123456789", "length": 4, "in_channels": 1, "height": 30, "width": 80,
    }  # fmt: skip


def test_lenet_is_pytorchs():
    def lenet(nn):
        features = [nn.Conv2d(1, 6, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2)]
        head = [nn.Linear(400, 120), nn.Tanh(), nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10)]
        return nn.Sequential(*features, nn.Flatten(), *head) if nn is torch.nn else models.lenet()

    check_module(lenet, draw(2, 1, 28, 28))


def test_captcha_reads_the_place_that_it_looks_at():
    """Where one column gets all the weight, the logits are the scores of that column."""
    net = models.captcha("AB", length=2, height=16, width=32).eval()
    bias = np.zeros((2, 4))
    bias[0, 1] = bias[1, 3] = 1000
    net.places.bias.data = bias.ravel()
    x = draw(1, 1, 16, 32)
    close(run(net, x), run(Scores(net), x)[:, :, 0, [1, 3]])


class Scores(nn.Module):
    """The scores (N, alphabet, 1, columns) of a captcha reader."""

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net.scores(self.net.bands(self.net.features(1 - x)))


def test_captcha_trains_with_cross_entropy():
    class Training(nn.Module):
        def __init__(self):
            super().__init__()
            self.net, self.loss = models.captcha(), nn.CrossEntropyLoss()

        def forward(self, x, target):
            return self.loss(self.net(x), target)

    target = np.arange(8).reshape(2, 4)
    assert abs(step(Training(), np.abs(draw(2, 1, 30, 80)), target) - np.log(10)) < 0.5


def test_register(monkeypatch):
    monkeypatch.setattr(registry, "MODELS", OrderedDict())

    @models.register
    def tiny(width: int, depth: int = 1) -> nn.Module:
        """Doc."""
        return nn.Sequential(*(nn.Linear(width, width) for _ in range(depth)))

    assert tiny(3).config == {"name": "tiny", "width": 3, "depth": 1} and tiny.__doc__ == "Doc."
    assert models.list() == ["tiny"] and len(models.create("tiny", width=2, depth=3)) == 3


WRONG = {
    "there is no model 'lenett'; did you mean 'lenet' or 'lenet5' or 'alexnet'?": lambda: models.create("lenett"),
    "there is no model 'xyz'; there are " + ", ".join(models.list()): lambda: models.create("xyz"),
    "model 'lenet' got an unexpected keyword argument 'classes'; it takes num_classes=10":
        lambda: models.create("lenet", classes=3),
    "alphabet must be one or more different characters, got 'AA'": lambda: models.captcha("AA"),
    "4 characters need 8 pixels of height and 8 * 4 of width, got 30 x 31; use larger pictures":
        lambda: models.captcha(width=31),
}  # fmt: skip


@pytest.mark.parametrize("message", WRONG)
def test_wrong_arguments(message):
    with pytest.raises(ArgumentError) as error:
        WRONG[message]()
    assert str(error.value) == message
