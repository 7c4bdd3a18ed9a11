"""benchmarks/accuracy.py on a few drawn stripes: both systems train alike, and the report says so."""

import importlib
import re
from pathlib import Path

import pytest

from striate import data

BENCHMARKS = Path(__file__).parent.parent.parent / "benchmarks"


@pytest.fixture
def accuracy(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("accuracy")


@pytest.mark.parametrize("name", ["resnet", "vgg", "mobilenet"])
def test_both_systems_train_alike(accuracy, name, tmp_path, capsys):
    train, test = (accuracy.Images(*data.stripes(count, seed=seed).batch(range(count))) for count, seed in ((256, 1), (64, 2)))
    found = accuracy.trainings([name], [0], 5, train, test)
    assert [(t.system, t.seed, len(t.losses)) for t in found] == [("PyTorch", 0, 5), ("striate", 0, 5)]
    assert found[1].losses[0] == pytest.approx(found[0].losses[0], rel=1e-5)
    assert found[1].losses == pytest.approx(found[0].losses, rel=2e-2)  # at a rate of 0.1 rounding grows with every step
    assert len(capsys.readouterr().out.splitlines()) == 2
    accuracy.save(found, 5, tmp_path / "page")
    page, share = (tmp_path / "page.md").read_text(), r"\d+\.\d\d% ± 0.00%"
    assert re.search(rf"\| {name} \| {share} \| {share} \| [+-]\d", page) and "5 steps of\n64 images" in page
    assert {path.name for path in tmp_path.iterdir()} == {"page.md", "page.svg", "page.json"}


def test_every_picture_once_before_one_comes_again(accuracy):
    x, y = data.stripes(200, seed=1).batch(range(200))
    batches = list(accuracy.Images(x, y).batches(6, seed=0))
    assert [len(each) for each, _ in batches] == [64] * 6
    seen = {image.tobytes() for each, _ in batches[:3] for image in each}
    assert len(seen) == 192
    again = list(accuracy.Images(x, y).batches(6, seed=0))
    assert all((a[0] == b[0]).all() for a, b in zip(batches, again))
