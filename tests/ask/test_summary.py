"""The summary of networks whose numbers are known."""

import numpy as np
import pytest

from striate import models, nn, summary
from striate.errors import ArgumentError, ShapeError
from striate.ops.base import Spec


class Two(nn.Module):
    """Two inputs, one weight used twice, one never."""

    def __init__(self):
        super().__init__()
        self.shared = nn.Linear(4, 4, bias=False)
        self.never = nn.Linear(2, 2)

    def forward(self, a, b):
        return self.shared(a) + self.shared(b)


class Tokens(nn.Module):
    def forward(self, x):
        return x.reshape(x.shape[0], -1)


def test_lenet():
    found = summary(models.create("lenet"), (1, 28, 28), show=False)
    assert (found.parameters, found.trainable, found.macs) == (61706, 61706, 416520)
    assert [row.macs for row in found.rows if row.macs] == [117600, 240000, 48000, 10080, 840]
    assert [row.output for row in found.rows][:4] == [(6, 28, 28), (6, 28, 28), (6, 14, 14), (16, 10, 10)]
    assert repr(found) == "Summary(lenet: 61,706 parameters, 416,520 MACs)"


def test_to_dict_is_plain_data():
    net = nn.Sequential(nn.Conv2d(1, 2, 3, bias=False), nn.ReLU())
    assert summary(net, (1, 5, 5), show=False).to_dict() == {
        "network": "Sequential", "inputs": ((1, 5, 5),), "parameters": 18, "trainable": 18, "macs": 162,
        "rows": ({"layer": "0", "op": "conv2d", "output": (2, 3, 3), "parameters": 18, "macs": 162},
                 {"layer": "1", "op": "relu", "output": (2, 3, 3), "parameters": 0, "macs": 0})}


def test_shared_weights_count_once_and_unused_ones_are_named():
    net = Two()
    net.shared.requires_grad_(False)
    found = summary(net, [(4,), (4,)], show=False)
    assert [row.parameters for row in found.rows] == [16, 0, 0]
    assert found.totals() == "22 parameters, 16 of them fixed, 6 of them not used in evaluation, 32 MACs"
    assert found.inputs == ((4,), (4,))


def test_modes_stay_as_they_were():
    net = nn.Sequential(nn.BatchNorm2d(3), nn.Dropout())
    net[1].eval()
    found = summary(net, (3, 4, 4), show=False)
    assert [row.op for row in found.rows] == ["batch_norm_inference"]
    assert [m.training for m in net.modules()] == [True, True, False]


def test_it_prints_a_table(capsys):
    found = summary(models.create("lenet"), (1, 28, 28))
    printed = capsys.readouterr().out
    assert "lenet on 1 x 28 x 28" in printed
    assert "61,706 parameters, 416,520 MACs" in printed
    assert printed.count("\n") == found.text().count("\n") == 16


def test_inputs_of_whole_numbers():
    assert summary(Tokens(), Spec((7, 2), "int64"), show=False).rows[0].output == (14,)
    assert summary(Tokens(), [Spec((7, 2), "int64")], show=False).inputs == ((7, 2),)


def test_wrong_use_is_explained():
    net = nn.Linear(4, 2)
    for given in (4, (), "1x4", np.zeros(3)):
        with pytest.raises(ArgumentError) as error:
            summary(net, given, show=False)
        assert str(error.value) == ("input_shape is the shape of one item, such as (3, 224, 224), or a list of shapes, "
                                    f"got {given!r}")
    with pytest.raises(ShapeError, match=r"linear \(test_summary.py:\d+\): "):
        summary(net, (5,), show=False)
