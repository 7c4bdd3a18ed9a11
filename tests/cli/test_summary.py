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
    ("own_code.py:number", "'own_code.py:number' gives int, not a network; name a Module, or a function that makes one"),
    ("own_code.py:wrong", "'own_code.py:wrong' gives int, not a network; name a Module, or a function that makes one"),
])
def test_wrong_places_are_explained(call, place, message):
    assert call(place, "--input", "3x8x8") == (2, "", f"striate: {message}\n")
