"""`striate profile`: where the time goes, as table, trace and plot."""

import json

import pytest

from striate.cli.main import run


@pytest.mark.parametrize("extra, title", [
    ((), "Roofline of lenet, batch 2"), (("--train",), "Roofline of lenet, training, batch 2")])
def test_a_profile_with_its_plot(extra, title, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(["profile", "lenet", "--batch", "2", "--runs", "1", "--trace", "lenet.json", "--plot", "lenet.svg", *extra]) == 0
    out = capsys.readouterr().out
    assert "ConvDirect" in out and "median of 1 runs" in out and "wrote lenet.json\nwrote lenet.svg\n" in out
    assert title in (tmp_path / "lenet.svg").read_text()
    assert any("conv2d" in event["name"] for event in json.loads((tmp_path / "lenet.json").read_text())["traceEvents"])


def test_networks_of_words_and_of_several_heads(capsys):
    for arguments in (("textcnn", "--input", "12"), ("googlenet_tiny", "--train", "--batch", "2", "--input", "3x96x96")):
        assert run(["profile", *arguments, "--runs", "1"]) == 0
        assert "median of 1 runs" in capsys.readouterr().out


def test_wrong_use(capsys):
    assert run(["profile", "lenet", "--input", "3x28x28"]) == 1
    assert capsys.readouterr().err == ("striate: conv2d '0': x has 3 channels but the weight (6, 1, 5, 5) with groups=1 reads "
                                       "1 * 1 = 1; use in_channels=3\n")
