"""Cross-entropy: each row's loss, their sum, and the gradient, against the operator and PyTorch."""

import numpy as np
import pytest
import torch
from tests.kernels.harness import check, floats

from striate import ops
from striate.cpu.kernels.loss import CrossEntropy, CrossEntropyFinish, CrossEntropyGradient, OneHot

CASES = [(3, 0.0, False), (10, 0.0, True), (10, 0.1, False), (37, 0.2, True), (16, 1.0, True)]


def batch(C, rows=7):
    """Logits, targets of which one is ignored, and weights."""
    target = np.random.default_rng(C).integers(0, C, rows)
    target[2] = 1
    return 3 * floats(rows, C), target, np.abs(floats(C)) + np.float32(0.1)


def parts_of(x, target, weight, C, smoothing, ignore):
    op = ops.CrossEntropy(smoothing, ignore, "none")
    losses = op.reference(x, target, weight)
    return np.stack([losses, np.where(target == ignore, 0, weight[np.clip(target, 0, C - 1)])], 1).astype(np.float32)


def moments_of(x):
    """The largest number of each row, and the inverse of what its exponentials add up to."""
    peak = x.max(1).astype(np.float64)
    with np.errstate(invalid="ignore"):
        return np.stack([peak, 1 / np.exp(x - peak[:, None]).sum(1)], 1).astype(np.float32)


@pytest.mark.parametrize(("C", "smoothing", "weighted"), CASES)
@pytest.mark.parametrize("ignore", [-100, 1])
def test_rows(C, smoothing, weighted, ignore):
    x, target, weight = batch(C)
    weight = weight if weighted else np.ones_like(weight)
    inputs = {"rows": 7, "x": x, "target": target} | ({"weight": weight} if weighted else {})
    part = parts_of(x, target, weight, C, smoothing, ignore)
    check(CrossEntropy(C, smoothing, ignore, weighted), inputs, {"part": part, "moments": moments_of(x)})


@pytest.mark.parametrize("rows", [1, 7, 33])
def test_finish(rows):
    part = np.abs(floats(rows, 2))
    loss, weight = part.sum(0)
    for reduction, y in (("mean", loss / weight), ("sum", loss), ("none", part[:, 0])):
        whole = {"whole": np.atleast_1d(weight)} if reduction == "mean" else {}
        check(CrossEntropyFinish(reduction), {"rows": rows, "part": part}, {"y": np.atleast_1d(y)} | whole)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize(("C", "smoothing", "weighted"), CASES)
def test_gradient(C, smoothing, weighted, reduction):
    x, target, weight = batch(C)
    dloss = floats(7) if reduction == "none" else floats(1)
    part = parts_of(x, target, weight if weighted else np.ones_like(weight), C, smoothing, 1)
    logits = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    scales = torch.tensor(weight, dtype=torch.float64) if weighted else None
    loss = torch.nn.functional.cross_entropy(logits, torch.tensor(target), scales, ignore_index=1, reduction=reduction,
                                             label_smoothing=smoothing)
    loss.backward(torch.tensor(dloss, dtype=torch.float64).reshape(loss.shape))
    inputs = {"rows": 7, "dloss": dloss, "x": x, "target": target, "moments": moments_of(x)}
    inputs |= ({"weight": weight} if weighted else {}) | ({"whole": part[:, 1:].sum(0)} if reduction == "mean" else {})
    check(CrossEntropyGradient(C, smoothing, 1, weighted, reduction), inputs, {"dx": logits.grad.numpy().astype(np.float32)})


@pytest.mark.parametrize("label", [-1, 3, 2**40, -(2**40)])
def test_a_label_that_is_no_class_gives_nan(label):
    x, target, weight = batch(3)
    target[4] = label
    part = parts_of(x, np.where(target == label, 0, target), weight, 3, 0.0, -100)
    part[4] = np.nan
    given = {"rows": 7, "x": x, "target": target, "weight": weight}
    check(CrossEntropy(3, weighted=True), given, {"part": part, "moments": moments_of(x)})
    dx = np.full((7, 3), np.nan, np.float32)
    inputs = given | {"dloss": floats(1), "moments": moments_of(x), "whole": part[:, 1:].sum(0)}
    check(CrossEntropyGradient(3, weighted=True), inputs, {"dx": dx})


def test_ignored_rows_count_for_nothing():
    x, target = floats(2, 3), np.array([-100, -100])
    x[0, 1] = np.inf
    part = np.zeros((2, 2), np.float32)
    check(CrossEntropy(3), {"rows": 2, "x": x, "target": target}, {"part": part, "moments": moments_of(x)})
    nothing = np.zeros(1, np.float32)
    check(CrossEntropyFinish("mean"), {"rows": 2, "part": part}, {"y": np.full(1, np.nan, np.float32), "whole": nothing})
    inputs = {"rows": 2, "dloss": floats(1), "x": x, "target": target, "moments": moments_of(x), "whole": nothing}
    check(CrossEntropyGradient(3), inputs, {"dx": np.zeros((2, 3), np.float32)})


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("C", [1, 3, 17, 37])
def test_log_probabilities(C, weighted):
    x, target, weight = batch(C)
    target = np.minimum(target, C - 1)
    own = {"weight": weight} if weighted else {}
    scales = np.where(target == 0, 0, weight[target] if weighted else 1).astype(np.float32)
    part = np.stack([-scales * x[np.arange(7), target], scales], 1)
    check(CrossEntropy(C, 0.0, 0, weighted, False), {"rows": 7, "x": x, "target": target} | own, {"part": part})
    dloss = floats(7)
    dx = -(scales * dloss)[:, None] * (target[:, None] == np.arange(C))
    inputs = {"rows": 7, "dloss": dloss, "x": x, "target": target} | own
    check(CrossEntropyGradient(C, 0.0, 0, weighted, "none", False), inputs, {"dx": dx.astype(np.float32)})


@pytest.mark.parametrize("C", [1, 3, 17, 37])
@pytest.mark.parametrize("rows", [1, 9])
def test_one_hot(C, rows):
    x = np.arange(rows, dtype=np.int64) % (C + 1)  # the last is no class
    check(OneHot(C), {"rows": rows, "x": x}, {"y": (x[:, None] == np.arange(C)).astype(np.float32)}, 0.0)
