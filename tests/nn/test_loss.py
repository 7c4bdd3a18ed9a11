"""Losses against PyTorch's, values and gradients."""

import numpy as np
import pytest
import torch
from tests.helpers import close, draw
from tests.nn.helpers import gradients, graph_of, run, torch_gradients

from striate import nn
from striate.errors import ArgumentError, ShapeError

WEIGHT = [0.5, 1.0, 2.0, 0.25]
OPTIONS = [
    {}, {"reduction": "sum"}, {"reduction": "none"}, {"ignore_index": 1}, {"weight": WEIGHT},
    {"weight": WEIGHT, "ignore_index": 2, "reduction": "none"}, {"weight": WEIGHT, "ignore_index": 0},
]  # fmt: skip
SMOOTH = [{"label_smoothing": 0.1}, {"label_smoothing": 0.2, "weight": WEIGHT, "reduction": "sum"}]


def check_loss(name: str, options: dict, input: np.ndarray, target: np.ndarray) -> None:
    """Print, keys, value and gradient; constants of composed losses are float32, hence the tolerance."""
    ours = getattr(nn, name)(**options)
    weight = {"weight": torch.tensor(options["weight"]).double()} if "weight" in options else {}
    theirs = getattr(torch.nn, name)(**{**options, **weight})
    assert repr(ours) == repr(theirs) and ours.state_dict().keys() == theirs.state_dict().keys()
    close(run(ours, input, target), theirs(torch.tensor(input), torch.tensor(target)).numpy(), rtol=1e-6)
    close(gradients(ours, input, target)["x"], torch_gradients(theirs, input, target)["x"], rtol=1e-6)


@pytest.mark.parametrize("shape", [(5, 4), (2, 4, 3), (2, 4, 3, 2)])
@pytest.mark.parametrize("options", OPTIONS + SMOOTH)
def test_cross_entropy(options, shape):
    target = np.random.default_rng(0).integers(4, size=(shape[0], *shape[2:]))
    check_loss("CrossEntropyLoss", options, 3 * draw(*shape), target)
    check_loss("NLLLoss", {k: v for k, v in options.items() if k != "label_smoothing"}, draw(*shape), target)


@pytest.mark.parametrize("shape", [(5, 4), (2, 4, 3)])
@pytest.mark.parametrize("options", [{}, {"reduction": "sum"}, {"reduction": "none"}, {"weight": WEIGHT}, *SMOOTH])
def test_cross_entropy_of_probabilities(options, shape):
    target = np.exp(draw(*shape, seed=5))
    check_loss("CrossEntropyLoss", options, draw(*shape), target / target.sum(1, keepdims=True))


@pytest.mark.parametrize("name", ["MSELoss", "L1Loss"])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_regression(name, reduction):
    check_loss(name, {"reduction": reduction}, draw(3, 4), draw(3, 4, seed=1))


def test_class_weights_are_state():
    loss = nn.CrossEntropyLoss(weight=[1, 2])
    assert loss.state_dict()["weight"].dtype == np.float32
    assert list(graph_of(loss, draw(3, 2), np.zeros(3, np.int64)).buffers) == ["weight"]


def test_shapes_must_be_equal():
    with pytest.raises(ShapeError) as error:
        run(nn.MSELoss(), draw(4, 1), draw(4))
    assert str(error.value).endswith("the input has shape (4, 1) but the target (4,); give both the same shape")


WRONG = {
    "reduction must be 'mean', 'sum' or 'none', got 'avg'": lambda: nn.MSELoss(reduction="avg"),
    "size_average and reduce are out of use; say reduction='mean', 'sum' or 'none'": lambda: nn.CrossEntropyLoss(None, True),
    "label_smoothing must be from 0 to 1, got 2": lambda: nn.CrossEntropyLoss(label_smoothing=2),
}


@pytest.mark.parametrize("message", WRONG)
def test_wrong_arguments(message):
    with pytest.raises(ArgumentError) as error:
        WRONG[message]()
    assert str(error.value) == message
