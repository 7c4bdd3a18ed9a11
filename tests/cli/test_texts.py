"""`striate train` and `predict` on a table of sentences."""

import csv

import pytest

from striate import load, load_metadata, text
from striate.cli.main import run


@pytest.fixture
def reviews(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    with open("reviews.csv", "w", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *zip(*text.sentences(800, seed=1))])
    return tmp_path


def test_train_then_predict(reviews, capsys):
    assert run(["train", "reviews.csv", "--epochs", "3", "--batch-size", "32"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("textcnn on reviews: ")
    assert lines[0].endswith(" parameters, 640 sentences to train, 160 to validate")
    assert lines[5].endswith("was the best; it is in reviews.safetensors")
    told = load_metadata("reviews.safetensors")
    assert told["classes"] == ["bad", "good"] and told["input_shape"] == [24] and "camera" in told["tokens"]
    assert load("reviews.safetensors").config["num_embeddings"] == len(told["tokens"]) + 2
    assert run(["predict", "reviews.safetensors", "that camera was not good", "this book was never bad !"]) == 0
    rows = [line.replace("│", " ").split() for line in capsys.readouterr().out.splitlines()[2:]]
    assert [row[-2] for row in rows] == ["bad", "good"] and rows[0][:5] == ["that", "camera", "was", "not", "good"]


def test_what_does_not_fit(reviews, capsys):
    assert run(["train", "reviews.csv", "--model", "lenet"]) == 2
    assert capsys.readouterr().err.startswith("striate: lenet does not take sentences of 24: ")
    (reviews / "one.csv").write_text("text,label\nso good,1\n")
    assert run(["train", "one.csv"]) == 2
    assert capsys.readouterr().err == ("striate: one.csv has 1 texts; a network needs one to learn from and one that judges it: "
                                       "give two or more\n")
