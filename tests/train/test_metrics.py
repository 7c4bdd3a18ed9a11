"""Metrics on scores and labels worked out by hand, and against torch."""

import math

import numpy as np
import pytest
import torch

from striate.train.history import History
from striate.train.meter import Meter
from striate.train.metrics import Accuracy, Loss, Metric, TopK, WholeSequence, default_metrics

SCORES = np.array([[0.1, 0.9, 0.0], [0.8, 0.1, 0.1], [0.2, 0.3, 0.5], [0.4, 0.3, 0.2]], np.float32)


def value(metric, *batches):
    for batch in batches:
        metric.update(*batch)
    return metric.value()


def test_accuracy_over_batches_of_different_sizes():
    assert value(Accuracy(), (SCORES[:3], np.array([1, 0, 0])), (SCORES[3:], np.array([0]))) == 3 / 4


def test_labels_that_are_ignored_do_not_count():
    assert value(Accuracy(), (SCORES, np.array([1, -100, 0, -100]))) == 1 / 2
    assert value(TopK(1, ignore_index=9), (SCORES, np.array([1, 9, 9, 9]))) == 1
    assert math.isnan(value(Accuracy(), (SCORES, np.full(4, -100))))


def test_top_k_is_torchs():
    rng = np.random.default_rng(0)
    scores, labels = rng.normal(size=(50, 10)), rng.integers(10, size=50)
    for k in (1, 3, 10):
        best = torch.topk(torch.tensor(scores), k, dim=1).indices.numpy()
        assert value(TopK(k), (scores, labels)) == (best == labels[:, None]).any(axis=1).mean()
    assert TopK(3).name == "top3"


def test_nan_scores_are_never_right():
    assert value(TopK(2), (np.full((4, 3), np.nan), np.zeros(4, int))) == 0


def test_whole_sequences():
    scores = np.stack([SCORES, SCORES[::-1]]).transpose(0, 2, 1)  # (2, 3, 4)
    labels = np.array([[1, 0, 2, 0], [0, 2, 0, 0]])
    assert value(WholeSequence(), (scores, labels)) == 1 / 2
    assert value(Accuracy(), (scores, labels)) == 7 / 8
    labels[1, 3] = -100
    assert value(WholeSequence(), (scores, labels)) == 1


def test_loss_is_the_mean_over_items():
    assert value(Loss(), (SCORES[:3], np.zeros(3), 1.0), (SCORES[:1], np.zeros(1), 5.0)) == 2.0


@pytest.mark.parametrize("output, target, names", [
    ((8, 10), np.zeros(8, int), ["accuracy"]),
    ((8, 10, 5), np.zeros((8, 5), int), ["whole_sequence", "accuracy"]),
    ((8, 10, 4, 4), np.zeros((8, 4, 4), int), ["accuracy"]),
    ((8, 10), np.zeros((8, 10), np.float32), []),
    ((8, 1), np.zeros((8, 1), int), []),
])
def test_labels_choose_the_metrics(output, target, names):
    assert [metric.name for metric in default_metrics(output, target)] == names


def test_a_metric_of_ones_own_says_how_many_are_right():
    class Positive(Metric):
        name = "positive"

        def count(self, output, target):
            return int((output > 0).sum()), output.size

    meter = Meter([Positive()])
    meter.update(np.array([[1.0, -1.0]]), np.array([0]), 0.25)
    assert meter.values() == {"loss": 0.25, "positive": 0.5}
    with pytest.raises(NotImplementedError, match="Metric needs a method count"):
        Metric().update(SCORES, np.zeros(4))


def test_history_has_lists_and_a_table():
    history = History()
    assert (history.last, len(history), str(history), repr(history)) == ({}, 0, "", "History(0 epochs, running)")
    history.add({"epoch": 1, "loss": 0.5})
    history.add({"epoch": 2, "loss": 0.25, "val_loss": 1.0})
    assert history["loss"] == [0.5, 0.25]
    assert math.isnan(history["val_loss"][0])
    assert str(history) == "epoch    loss  val_loss\n    1  0.5000          \n    2  0.2500    1.0000"
    assert history.to_dict()["epoch"] == [1, 2]
    with pytest.raises(KeyError, match="nothing was recorded as 'accuracy'; there are epoch, loss, val_loss"):
        history["accuracy"]
