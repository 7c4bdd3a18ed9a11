"""`striate summary` of names, files of models, and networks in a user's own code; as table, CSV, JSON and HTML."""

import csv
import io
import json

import pytest

from striate.cli.main import run

CODE = """
from striate import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
    def forward(self, x):
        return self.conv(x).relu()

ready = nn.Sequential(nn.Conv2d(3, 4, 3))

def made():
    return nn.Linear(4, 2)

number = 3

def wrong():
    return 3
"""


@pytest.fixture
def call(capsys, tmp_path, monkeypatch):
    """Run `striate summary` in a folder with the file own_code.py; exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own_code.py").write_text(CODE)

    def called(*arguments):
        code = run(["summary", *arguments])
        return code, *capsys.readouterr()

    return called


@pytest.mark.parametrize("place, size, parameters", [
    ("own_code.py:Net", "3x32x32", 224), ("own_code:ready", "3x8x8", 112), ("own_code.py:made", "4", 10),
    ("striate.models.lenet:lenet", "1x28x28", 61706)])
def test_networks_in_code(call, place, size, parameters):
    code, out, _ = call(place, "--input", size, "--format", "json")
    assert code == 0 and json.loads(out)["parameters"] == parameters


def test_a_file_with_one_network_needs_no_name(call, tmp_path):
    (tmp_path / "one.py").write_text("from striate import nn\n\nclass Net(nn.Sequential):\n    def __init__(self):\n"
                                     "        super().__init__(nn.Conv2d(3, 8, 3))\n")
    assert "224 parameters" in call("one.py", "--input", "3x32x32")[1]
    (tmp_path / "two.py").write_text("from striate import nn\n\nclass Block(nn.ReLU):\n    pass\n\n"
                                     "class Net(nn.ReLU):\n    pass\n")
    (tmp_path / "none.py").write_text("number = 3\n")
    assert call("own_code.py", "--input", "3x8x8")[1].startswith("Sequential on 3 x 8 x 8\n")  # ready, not what could be made
    assert call("two.py") == (2, "", "striate: 'two.py' has the networks Block, Net; write two.py:Net\n")
    assert call("none.py") == (2, "", "striate: 'none.py' has no network; write file.py:name of a network or of what makes one\n")


def test_networks_of_torch(call, tmp_path):
    (tmp_path / "theirs.py").write_text("import torch\n\nnet = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU())\n")
    assert "224 parameters" in call("theirs.py:net", "--input", "3x32x32")[1]


def test_errors_name_the_layer_and_no_line_of_others(call):
    assert call("lenet", "--input", "1x8x8") == (1, "", (
        "striate: conv2d '3': height: a window of 5 = 1 * (5 - 1) + 1 pixels does not fit in 4 = 4 + 0 + 0 (input + padding); "
        "pad by at least 1 more or use a larger input\n"))
    code, _, err = call("own_code.py:Net", "--input", "1x8x8")
    assert code == 1 and err.startswith("striate: conv2d 'conv' (own_code.py:9): ")


def test_sizes_are_explained(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text("from striate import nn\n\nnet = nn.Sequential(nn.Conv2d(1, 6, 5), nn.Flatten(),\n"
                                     "                    nn.Linear(4704, 10))\n")
    assert run(["explain", "lenet"]) == 0
    assert "height, width: (14 - 5) / 1 + 1 = 10" in capsys.readouterr().out
    assert run(["explain", "net.py", "--input", "1x28x28"]) == 1
    out = capsys.readouterr().out
    assert "use in_features=3456\nto keep sizes on the way:\n    0: padding=2 keeps 28 x 28\n" in out
    assert run(["explain", "nothing.py"]) == 2
    assert capsys.readouterr().err == "striate: there is no file 'nothing.py'; write file.py:name or module:name\n"


def test_whole_numbers_stay_whole_numbers(call):
    assert call("textcnn", "--input", "20")[1].startswith("textcnn on 20\n")


def test_formats(call):
    code, out, _ = call("lenet", "--format", "csv", "--batch", "2")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert code == 0 and rows[0]["output"] == "6x28x28" and float(rows[11]["cpr"]) == pytest.approx(2 * 840 / 850)
    assert call("lenet", "--format", "html")[1].startswith("<table>")
    assert call("lenet", "--batch", "2")[1].startswith("lenet on 1 x 28 x 28, CPR for batch 2\n")


def test_blocks_are_folded(call):
    assert "(2 times)" in call("resnet18", "--fold", "--input", "3x64x64")[1]
    assert "(2 times)" not in call("resnet18", "--input", "3x64x64")[1]


@pytest.mark.parametrize("place, message", [
    ("own_code.py:no", "'own_code.py' has no 'no'; write file.py:name or module:name of a network or of what makes one"),
    ("none.py:Net", "there is no file 'none.py'; write file.py:name or module:name"),
    ("no_such_module:Net", "there is no module 'no_such_module'; write file.py:name or module:name"),
    ("striate.nosuch:Net", "there is no module 'striate.nosuch'; write file.py:name or module:name"),
    ("striate.nn:Linear", "'striate.nn:Linear' needs arguments: missing a required argument: 'in_features'; name a function of "
                          "none that makes the network"),
    ("own_code.py:number", "'own_code.py:number' gives int, not a network; name a Module, or a function that makes one"),
    ("own_code.py:wrong", "'own_code.py:wrong' gives int, not a network; name a Module, or a function that makes one"),
])
def test_wrong_places_are_explained(call, place, message):
    assert call(place, "--input", "3x8x8") == (2, "", f"striate: {message}\n")
