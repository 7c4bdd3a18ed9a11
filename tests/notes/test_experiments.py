"""The experiments of examples/14_experiments.py and 13_degradation.py on drawn stripes, small; each asserts what it is about."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from striate import data
from striate.draw import Drawing

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


def script(name, monkeypatch):
    """An example as a module; it finds its neighbours."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def experiment(monkeypatch, capsys):
    """What an experiment draws and prints."""
    module = script("14_experiments", monkeypatch)
    train, test = (module.Set(*data.stripes(count, seed=seed).batch(range(count))) for count, seed in ((3200, 1), (400, 2)))

    def run(name: str, steps: int) -> tuple[Drawing, str]:
        return module.EXPERIMENTS[name](train, test, module.Effort(steps, 3)), capsys.readouterr().out

    return run


def test_S121_gradual_and_one_shot_downsampling(experiment):
    drawing, told = experiment("downsampling", 80)
    assert [line.split()[-6] for line in told.splitlines()] == ["8,890"] * 3  # equal parameters
    assert "gradually" in str(drawing)


def test_S155_larger_learning_rates(experiment):
    drawing, told = experiment("rates", 80)
    assert told.splitlines()[0].split() == ["learning", "rate", "0.001", "0.03", "1"] and drawing.title


def test_S155_less_sensitive_to_initialisation(experiment):
    _, told = experiment("starts", 80)
    assert told.splitlines()[0].split() == ["initial", "weights", "times", "0.1", "3"]


def test_S223_norms_speed_up_convergence(experiment):
    _, told = experiment("speed", 120)
    steps = {line.rsplit(" a loss", 1)[0].strip(): float(line.split()[-2]) for line in told.splitlines()}
    assert max(steps["batch norm"], steps["layer norm"]) < steps["plain"]


def test_S224_more_pictures(experiment):
    _, told = experiment("pictures", 80)
    learnt, new = ([float(value) for value in line.split()[-2:]] for line in told.splitlines()[1:])
    assert learnt[0] > 0.95 and learnt[0] - new[0] > learnt[-1] - new[-1]


def test_S228_more_filters(experiment):
    _, told = experiment("width", 150)
    accuracies = [float(value) for value in told.splitlines()[1].split()[2:]]
    assert accuracies[1] > accuracies[0]


def test_S214_degradation(monkeypatch, capsys):
    """26 plain layers learn worse than 26 residual ones, from the same pictures in the same order."""
    module = script("13_degradation", monkeypatch)
    batches = data.DataLoader(data.stripes(960, size=16, seed=1), 48, shuffle=True, seed=0)
    ends = {plain: np.mean(module.learn(26, plain, batches, epochs=2)[-module.WINDOW :]) for plain in (True, False)}
    assert ends[True] > ends[False] + 0.1
    assert "26 layers" in capsys.readouterr().out
