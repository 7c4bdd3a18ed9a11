"""The command line: what each command prints, its errors as one line, its exit codes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import striate
from striate import load, load_metadata, models, nn, save
from striate.cli.main import run
from striate.errors import DataError
from striate.train import Trainer


@pytest.fixture
def shades(tmp_path, monkeypatch):
    """A folder of grey pictures, bright and dark, in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    rng = np.random.default_rng(0)
    for name, low in (("bright", 150), ("dark", 0)):
        (tmp_path / "shades" / name).mkdir(parents=True)
        for i in range(10):
            pixels = rng.integers(low, low + 100, (20, 30), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "shades" / name / f"{i}.png")
    return tmp_path


@pytest.fixture
def call(capsys):
    """Run a command; exit code, standard output, standard error."""

    def called(*arguments):
        code = run(list(map(str, arguments)))
        return code, *capsys.readouterr()

    return called


TRAIN = ("train", "shades", "--grey", "--model", "lenet", "--batch-size", "8")


def refused(result, text, code=2):
    assert result[0] == code
    assert result[2] == f"striate: {text}\n"


def test_train_then_predict(shades, call):
    code, out, err = call(*TRAIN, "--epochs", 6, "--augment", "--seed", 1)
    lines = out.splitlines()
    assert (code, err) == (0, "")
    assert lines[0] == "lenet on shades: 61,026 parameters, 16 images to train, 4 to validate"
    assert " of memory: arena " in lines[1]
    assert [line.split("  ")[0] for line in lines[2:8]] == [f"epoch {n}/6" for n in range(1, 7)]
    assert lines[8].endswith("was the best; it is in shades.safetensors")
    told = load_metadata("shades.safetensors")
    assert told == {"data": "shades", "input_shape": [1, 28, 28], "mean": [0.5], "std": [0.25], "classes": ["bright", "dark"]}
    code, out, err = call("predict", "shades.safetensors", "shades/bright/1.png", "shades/dark/1.png", "--top", 2)
    rows = [line.replace("│", " ").split() for line in out.splitlines()[2:]]
    assert (code, err) == (0, "")
    assert [row[0] for row in rows[::2]] == ["shades/bright/1.png", "shades/dark/1.png"]
    assert [row[-2] for row in rows[::2]] == ["bright", "dark"]
    assert all(float(row[-1].rstrip("%")) >= 50 for row in rows[::2])
    code, out, _ = call("summary", "shades.safetensors")
    assert "lenet on 1 x 28 x 28" in out
    assert "61,026 parameters" in out


def test_every_schedule_and_optimizer(shades, call):
    for schedule, optimizer in (("none", "sgd"), ("step", "adam"), ("onecycle", "adamw")):
        code, _, err = call(*TRAIN, "--epochs", 2, "--schedule", schedule, "--optimizer", optimizer, "--out", "net.st")
        assert (code, err) == (0, "")


def test_the_same_seed_gives_the_same_network(shades, call):
    for out, seed in (("a", 5), ("b", 5), ("c", 6)):
        assert call(*TRAIN, "--epochs", 2, "--augment", "--seed", seed, "--out", out)[0] == 0
    first, second, third = (load(name).state_dict()["0.weight"] for name in "abc")
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, third)


def test_folders_that_are_split_already(shades, call):
    for part in ("train", "val", "test"):
        for name in ("bright", "dark"):
            (shades / "split" / part / name).mkdir(parents=True)
            for i in range(3):
                os.link(shades / "shades" / name / f"{i}.png", shades / "split" / part / name / f"{i}.png")
    code, out, err = call("train", "split", "--grey", "--model", "lenet", "--epochs", 1, "--limit", 4)
    assert (code, err) == (0, "")
    assert out.startswith("lenet on split: 61,026 parameters, 4 images to train, 6 to validate\n")
    assert "test: loss " in out
    (shades / "split" / "val" / "dark").rename(shades / "split" / "val" / "night")
    refused(call("train", "split"), "split/val has the classes ['bright', 'night'] but split/train has ['bright', 'dark']; "
                                    "give both the same folders")


def test_captchas(shades, call, monkeypatch):
    pytest.importorskip("captcha")
    monkeypatch.setenv("STRIATE_CACHE", str(shades / "cache"))
    code, out, err = call("train", "captcha", "--limit", 20, "--epochs", 1, "--length", 2, "--alphabet", "ab", "--size", "24x32")
    assert (code, err) == (0, "")
    assert "whole_sequence" in out
    assert load("captcha.safetensors").config["height"] == 24
    code, out, _ = call("predict", "captcha.safetensors", "shades/dark/1.png")
    text = out.splitlines()[2].replace("│", " ").split()[1]
    assert (code, len(text), set(text) <= set("ab")) == (0, 2, True)


def test_time_is_up(shades, call):
    code, out, _ = call(*TRAIN, "--epochs", 9, "--minutes", 0)
    assert (code, out.count("epoch 1/9"), out.count("epoch 2/9")) == (0, 1, 0)


def test_ctrl_c_keeps_what_there_is(shades, call, monkeypatch):
    step = Trainer.step

    def interrupted(self, x, y, place):
        if place == "batch 1 of epoch 3":
            raise KeyboardInterrupt
        return step(self, x, y, place)

    monkeypatch.setattr(Trainer, "step", interrupted)
    code, out, err = call(*TRAIN, "--epochs", 5)
    assert (code, err) == (130, "")
    assert out.endswith("stopped by Ctrl-C; the network is in shades.safetensors\n")
    assert load("shades.safetensors").config == {"name": "lenet", "num_classes": 2}


def test_ctrl_c_elsewhere(call, monkeypatch):
    monkeypatch.setattr(models, "list", lambda: (_ for _ in ()).throw(KeyboardInterrupt))
    assert call("list") == (130, "", "")


def test_a_real_ctrl_c(shades):
    command = [sys.executable, "-m", "striate", *TRAIN, "--epochs", "1000000"]
    source = {**os.environ, "PYTHONPATH": str(Path(striate.__file__).parents[1])}  # the current folder is another one here
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=source,
                          preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)) as process:  # it may be ignored here
        assert any(line.startswith("epoch 3/") for line in process.stdout)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "")
    assert out.endswith("stopped by Ctrl-C; the network is in shades.safetensors\n")


def test_help_teaches_and_is_quick():
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "striate", "--help"], capture_output=True, text=True, check=True)
    assert time.perf_counter() - start < 5
    assert "striate train fashion-mnist --epochs 3" in done.stdout
    for command in ("train", "predict", "summary", "list"):
        assert command in done.stdout


@pytest.mark.parametrize("command", ["train", "predict", "summary"])
def test_commands_show_examples(command, call):
    code, out, _ = call(command, "--help")
    assert code == 0
    assert f"striate {command} fashion-mnist" in out


def test_list_and_version(call):
    code, out, _ = call("list")
    assert code == 0
    assert all(name in out for name in models.list())
    assert call("--version")[1].startswith("striate 0.")


def test_summary_of_a_name(call):
    code, out, _ = call("summary", "captcha", "--input", "1x30x80")
    assert (code, "captcha on 1 x 30 x 80" in out) == (0, True)
    assert "captcha on 1 x 30 x 80" in call("summary", "captcha")[1]
    assert "lenet on 1 x 28 x 28" in call("summary", "lenet")[1]


WRONG = [
    (("fly",), "No such command 'fly'; see striate --help"),
    (("train",), "Missing argument 'DATA'; see striate train --help"),
    (("train", "nowhere"), "there is no folder 'nowhere'; give captcha, mnist, fashion-mnist, cifar10, a folder with one "
                           "folder of images for each class, or a .csv file with the columns text and label"),
    (("train", "shades", "--size", "big"),
     "a size is a number of pixels, such as 64, or HEIGHTxWIDTH, such as 60x160; got 'big'"),
    (("train", "shades", "--model", "lanet"), "there is no model 'lanet'; did you mean 'lenet' or 'lenet5' or 'alexnet'?"),
    (("train", "shades", "--out", "no/where.st"),
     "Invalid value for --out: the folder {}/no does not exist; see striate train --help"),
    (("train", "shades", "--model", "lenet"),
     "lenet does not take images of 3 x 28 x 28: x has 3 channels but the weight (6, 1, 5, 5) with groups=1 reads 1 * 1 = 1; "
     "try another --model, --size or --grey"),
    (("summary", "lenet", "--input", "1x"),
     "Invalid value for --input: the input's size is numbers with x between them, such as 1x28x28, got '1x'; "
     "see striate summary --help"),
]


@pytest.mark.parametrize("arguments, text", WRONG, ids=[" ".join(a) for a, _ in WRONG])
def test_wrong_use_is_one_line_and_2(arguments, text, shades, call):
    refused(call(*arguments), text.format(shades))


def test_failures_are_one_line_and_1(shades, call, monkeypatch):
    refused(call("predict", "none.st", "a.png"), "there is no model file none.st; check the path", 1)
    save(nn.ReLU(), "bare.st")
    refused(call("predict", "bare.st", "a.png"),
            "bare.st does not say what its inputs and outputs are; st.save(net, path, metadata=...) with input_shape and classes "
            "does, as `striate train` writes them", 1)
    (shades / "shades" / "bright" / "0.png").unlink()
    save(models.create("lenet"), "net.st", {"input_shape": (1, 28, 28), "classes": list("0123456789")})
    code, _, err = call("predict", "net.st", "shades/bright/0.png")
    assert (code, err.count("\n"), err.startswith("striate: shades/bright/0.png cannot be read as an image")) == (1, 1, True)
    monkeypatch.setattr(models, "list", lambda: 1 / 0)
    refused(call("list"), "unexpected ZeroDivisionError: division by zero; STRIATE_DEBUG=1 shows where", 1)
    monkeypatch.setenv("STRIATE_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        run(["list"])


def test_errors_of_several_lines_become_one(call, monkeypatch):
    def broken():
        raise DataError("first\nsecond")

    monkeypatch.setattr(models, "list", broken)
    refused(call("list"), "first second", 1)
