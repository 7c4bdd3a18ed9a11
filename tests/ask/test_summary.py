"""The summary of networks whose numbers are known."""

import csv
import io
import json
import time

import numpy as np
import pytest

from striate import models, nn, summary
from striate.errors import ArgumentError, ShapeError
from striate.nn import functional as F
from striate.nn import init
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


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(4)

    def forward(self, x):
        return F.relu(x + self.norm(self.conv(x)))


def blocks(number):
    return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.Sequential(*(Block() for _ in range(number))), nn.Flatten(),
                         nn.Linear(4 * 64, 2))


def test_lenet():
    found = summary(models.create("lenet"), (1, 28, 28), show=False)
    assert (found.parameters, found.trainable, found.macs) == (61706, 61706, 416520)
    assert [row.macs for row in found.rows if row.macs] == [117600, 240000, 48000, 10080, 840]
    assert [row.output for row in found.rows][:4] == [(6, 28, 28), (6, 28, 28), (6, 14, 14), (16, 10, 10)]
    assert repr(found) == "Summary(lenet: 61,706 parameters, 416,520 MACs)"


def test_a_row_says_all_of_its_numbers():
    row, = summary(nn.Conv2d(3, 8, 5, padding=2), (3, 10, 12), show=False, batch=4).rows
    assert (row.output, row.parameters, row.macs, row.flops) == ((8, 10, 12), 608, 72_000, 144_000)
    assert (row.connections, row.activation) == (72_000 + 8 * 120, 4 * 8 * 120)
    assert row.cpr == 4 * 72_000 / 608


def test_plain_data():
    net = nn.Sequential(nn.Conv2d(1, 2, 3, bias=False), nn.ReLU())
    found = summary(net, (1, 5, 5), show=False)
    rows = ({"layer": "0", "op": "conv2d", "output": (2, 3, 3), "parameters": 18, "macs": 162, "flops": 324, "cpr": 9.0,
             "connections": 162, "activation": 72, "field": (3, 3)},
            {"layer": "1", "op": "relu", "output": (2, 3, 3), "parameters": 0, "macs": 0, "flops": 18, "cpr": 0.0,
             "connections": 0, "activation": 72, "field": (3, 3)})
    told = found.to_dict()
    assert told["rows"] == rows
    assert {k: told[k] for k in told if k != "rows"} == {
        "network": "Sequential", "inputs": ((1, 5, 5),), "batch": 1, "parameters": 18, "trainable": 18, "macs": 162, "flops": 342,
        "activations": 144, "modules": ({"path": "", "kind": "Sequential"}, {"path": "0", "kind": "Conv2d"},
                                        {"path": "1", "kind": "ReLU"})}
    assert json.loads(found.to_json())["rows"][1]["output"] == [2, 3, 3]
    read = list(csv.DictReader(io.StringIO(found.to_csv())))
    assert read[0]["output"] == "2x3x3" and read[0]["macs"] == "162" and len(read) == 2


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


def test_the_tree_of_modules():
    lines = summary(blocks(2), (1, 8, 8), show=False).text().splitlines()
    assert [line.split()[:2] for line in lines[3:-6]] == [
        ["0", "Conv2d"], ["1", "Sequential"], ["0", "Block"], ["conv", "Conv2d"], ["norm", "BatchNorm2d"], ["add", "4"],
        ["relu", "4"], ["1", "Block"], ["conv", "Conv2d"], ["norm", "BatchNorm2d"], ["add", "4"], ["relu", "4"],
        ["2", "Flatten"], ["3", "Linear"]]
    indents = [len(line) - len(line.lstrip()) for line in lines[3:7]]
    assert indents == [0, 0, 2, 4]
    sums = next(line for line in lines if "Sequential" in line and "Block" not in line and line.startswith("1"))
    assert "304" in sums and "18,432" in sums  # 2 * (144 + 8) parameters, 2 * 64 * 144 MACs


def test_equal_neighbours_are_folded_on_request():
    whole, folded = (summary(blocks(6), (1, 8, 8), show=False, fold=fold) for fold in (False, True))
    assert "0 .. 5 (6 times)" in folded.text() and "times" not in whole.text()
    assert whole.text().count("\n") - folded.text().count("\n") == 5 * 5
    assert whole.to_dict() == folded.to_dict()
    changed = blocks(6)
    changed[1][3].conv = nn.Conv2d(4, 4, 3, padding=1)  # with a bias: another block
    assert "0 .. 2 (3 times)" in summary(changed, (1, 8, 8), show=False, fold=True).text()


def test_a_layer_of_several_operators_is_one_row():
    class Swish(nn.Module):
        def forward(self, x):
            return x * x.sigmoid()

    own = summary(nn.Sequential(Swish()), (3, 4, 4), show=False)
    assert [row.op for row in own.rows] == ["sigmoid", "multiply"]  # a user's forward is shown operator by operator
    assert own.rows[0].flops == 4 * 48


def test_it_prints_a_table(capsys):
    found = summary(models.create("lenet"), (1, 28, 28))
    printed = capsys.readouterr().out
    assert printed.splitlines()[0] == "lenet on 1 x 28 x 28"
    assert "61,706 parameters, 416,520 MACs, 845,852 FLOPs" in printed
    assert "linear: 95.8% of the parameters, 14.1% of the MACs" in printed
    assert printed == found.text()


def test_narrow_terminals_get_fewer_columns():
    found = summary(models.create("lenet"), (1, 28, 28), show=False)
    wide, narrow = found.text().splitlines(), found.text(width=72).splitlines()
    assert len(wide) == len(narrow)
    assert max(map(len, narrow[1:-4])) <= 72 < max(map(len, wide[1:-4]))
    assert "connections" in wide[1] and "connections" not in narrow[1] and "MACs" in narrow[1]


def test_html_for_notebooks():
    text = summary(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU()), (1, 5, 5), show=False)._repr_html_()
    assert text.startswith("<table><caption>Sequential on 1 x 5 x 5</caption>")
    assert text.count("<tr>") == 4 and "100.0% ██████" in text


def test_inputs_of_whole_numbers():
    assert summary(Tokens(), Spec((7, 2), "int64"), show=False).rows[0].output == (14,)
    assert summary(Tokens(), [Spec((7, 2), "int64")], show=False).inputs == ((7, 2),)


def test_resnet_152_in_less_than_0_3_seconds():
    with init.skipped():
        net = models.create("resnet152")
    times = []
    for _ in range(3):
        start = time.process_time()  # others may be busy on this machine
        found = summary(net, (3, 224, 224), show=False)
        found.text()
        times.append(time.process_time() - start)
    assert found.parameters == 60_192_808
    assert min(times) < 0.3, f"{min(times):.3f} s"


def test_wrong_use_is_explained():
    net = nn.Linear(4, 2)
    for given in (4, (), "1x4", np.zeros(3)):
        with pytest.raises(ArgumentError) as error:
            summary(net, given, show=False)
        assert str(error.value) == ("input_shape is the shape of one item, such as (3, 224, 224), or a list of shapes, "
                                    f"got {given!r}")
    with pytest.raises(ShapeError, match=r"linear \(test_summary.py:\d+\): "):
        summary(net, (5,), show=False)
