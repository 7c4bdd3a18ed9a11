"""Losses and distances compiled, beside PyTorch in float64: the value, and the gradient of every number that is compared."""

import numpy as np
import pytest
import torch
from tests.cpu.helpers import FORWARD, GRADIENT, check_network, close, floats

import striate as st
from striate import nn
from striate.errors import ArgumentError, DataError, ShapeError
from striate.nn import functional as F

REDUCTIONS = ["mean", "sum", "none"]
numbers = lambda shape, seed: floats(*shape, seed=seed)  # noqa: E731
chances = lambda shape, seed: 0.5 + 0.4 * np.tanh(floats(*shape, seed=seed))  # noqa: E731
counts = lambda shape, seed: np.round(2 * np.abs(floats(*shape, seed=seed)))  # noqa: E731
signs = lambda shape, seed: np.sign(floats(*shape, seed=seed))  # noqa: E731
logs = lambda shape, seed: np.log(chances(shape, seed))  # noqa: E731
W = [0.5, 1.0, 2.0, 0.25, 3.0]


def tensor(n, array):
    """Weights for either side."""
    return np.array(array, np.float32) if n is nn else torch.tensor(array, dtype=torch.float64)


ELEMENTS = [
    (lambda n, r: n.MSELoss(reduction=r), numbers, numbers),
    (lambda n, r: n.L1Loss(reduction=r), numbers, numbers),
    (lambda n, r: n.SmoothL1Loss(reduction=r, beta=0.7), numbers, numbers),
    (lambda n, r: n.SmoothL1Loss(reduction=r, beta=0.0), numbers, numbers),
    (lambda n, r: n.HuberLoss(r, 0.7), numbers, numbers),
    (lambda n, r: n.BCELoss(reduction=r), chances, chances),
    (lambda n, r: n.BCELoss(tensor(n, W), reduction=r), chances, chances),
    (lambda n, r: n.BCEWithLogitsLoss(reduction=r), numbers, chances),
    (lambda n, r: n.BCEWithLogitsLoss(tensor(n, W), reduction=r, pos_weight=tensor(n, W[::-1])), numbers, chances),
    (lambda n, r: n.KLDivLoss(reduction=r), logs, chances),
    (lambda n, r: n.KLDivLoss(reduction=r, log_target=True), logs, logs),
    (lambda n, r: n.PoissonNLLLoss(reduction=r), numbers, counts),
    (lambda n, r: n.PoissonNLLLoss(False, True, reduction=r), chances, counts),
    (lambda n, r: n.HingeEmbeddingLoss(0.8, reduction=r), numbers, signs),
    (lambda n, r: n.SoftMarginLoss(reduction=r), numbers, signs),
    (lambda n, r: n.MultiLabelSoftMarginLoss(reduction=r), numbers, chances),
    (lambda n, r: n.MultiLabelSoftMarginLoss(tensor(n, W), reduction=r), numbers, chances),
]  # fmt: skip


class Call(nn.Module):
    """A module whose forward is one function."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *inputs):
        return self.function(*inputs)


def check(make, *arrays: np.ndarray) -> None:
    """The loss as a module of its inputs; the last array is a target, which PyTorch gives no gradient for here."""
    arrays = tuple(np.asarray(a, np.float32) if np.asarray(a).dtype.kind == "f" else np.asarray(a) for a in arrays)
    ours, theirs = make(nn), make(torch.nn)
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    y, pullback = st.vjp(ours, *arrays)
    tensors = [torch.tensor(a.astype(np.float64) if a.dtype.kind == "f" else a) for a in arrays]
    compared = [t.requires_grad_() for t in tensors[:-1] or tensors]
    wanted = theirs(*tensors)
    close(y, wanted.detach(), FORWARD)
    dy = floats(*wanted.shape, seed=9)
    wanted.backward(torch.tensor(dy, dtype=torch.float64))
    dx, _ = pullback(dy)
    for got, t in zip(dx if isinstance(dx, tuple) else (dx,), compared):
        close(got, t.grad, GRADIENT)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", [(5,), (3, 5), (2, 3, 4, 5)], ids=str)
@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")
@pytest.mark.parametrize("make, first, second", ELEMENTS, ids=range(len(ELEMENTS)))
def test_losses_of_elements(make, first, second, shape, reduction):
    check(lambda n: make(n, reduction), first(shape, 0), second(shape, 1))


def test_saturated_probabilities():
    """PyTorch's numbers: logarithms of -100, and finite gradients."""
    check(lambda n: n.BCELoss(reduction="sum"), np.array([0.0, 1.0, 1.0, 0.5]), np.array([0.0, 1.0, 0.0, 1.0]))
    check(lambda n: n.BCEWithLogitsLoss(reduction="none"), np.array([-200.0, -20, 0, 20, 200]), np.array([1.0, 0, 0.5, 1, 0]))


def test_batchmean_and_certain_targets():
    check(lambda n: n.KLDivLoss(reduction="batchmean"), logs((3, 4), 0), np.eye(4)[:3])


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("variance", [(3, 5), (3, 1), (3,)], ids=str)
@pytest.mark.parametrize("full", [False, True])
def test_gaussian(variance, reduction, full):
    arrays = floats(3, 5), floats(3, 5, seed=1), 0.1 + np.abs(floats(*variance, seed=2))
    check(lambda n: n.GaussianNLLLoss(full=full, reduction=reduction), *arrays)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_losses_of_pairs(reduction):
    target = np.array([1.0, -1, 1, -1], np.float32)
    check(lambda n: n.MarginRankingLoss(0.3, reduction=reduction), floats(4), floats(4, seed=1), target)
    check(lambda n: n.CosineEmbeddingLoss(0.2, reduction=reduction), floats(4, 6), floats(4, 6, seed=1), target)
    check(lambda n: n.CosineEmbeddingLoss(reduction=reduction), floats(6), floats(6, seed=1), np.array(1.0))


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("settings", [{}, {"p": 1.0}, {"swap": True, "margin": 2.0}, {"p": 3.0}], ids=str)
@pytest.mark.parametrize("shape", [(6,), (4, 6), (2, 3, 6)], ids=str)
def test_triplets(shape, settings, reduction):
    arrays = [floats(*shape, seed=i) for i in range(3)]
    check(lambda n: n.TripletMarginLoss(**settings, reduction=reduction), *arrays)


@pytest.mark.parametrize("make", [
    lambda n: n.CosineSimilarity(), lambda n: n.CosineSimilarity(-1, 1e-3), lambda n: n.PairwiseDistance(),
    lambda n: n.PairwiseDistance(1.0), lambda n: n.PairwiseDistance(3.0, keepdim=True),
], ids=range(5))  # fmt: skip
@pytest.mark.parametrize("shape", [(4, 6), (2, 6, 5), (2, 3, 4, 5)], ids=str)
def test_distances(make, shape):
    check(make, floats(*shape), floats(*shape, seed=1))


def test_cosine_similarity_broadcasts():
    check(lambda n: n.CosineSimilarity(2), floats(2, 1, 5), floats(1, 3, 5, seed=1))


CLASSES = [
    lambda n, r: n.CrossEntropyLoss(reduction=r), lambda n, r: n.CrossEntropyLoss(tensor(n, W), reduction=r, label_smoothing=0.1),
    lambda n, r: n.NLLLoss(reduction=r), lambda n, r: n.NLLLoss(tensor(n, W), ignore_index=2, reduction=r),
    lambda n, r: n.MultiMarginLoss(reduction=r), lambda n, r: n.MultiMarginLoss(2, 0.7, tensor(n, W), reduction=r),
]  # fmt: skip


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", [(5,), (4, 5), (3, 5, 7), (2, 5, 3, 4)], ids=str)
@pytest.mark.parametrize("make", CLASSES, ids=range(len(CLASSES)))
def test_losses_of_classes(make, shape, reduction):
    if len(shape) > 2 and isinstance(make(nn, "mean"), nn.MultiMarginLoss):
        pytest.skip("scores are (N, C)")
    target = np.random.default_rng(1).integers(5, size=shape[:1] + shape[2:] if len(shape) > 1 else ())
    target[target == 2] = 3
    if target.ndim:
        target.flat[-1] = 2
    check(lambda n: make(n, reduction), floats(*shape), target)


@pytest.mark.parametrize("shape", [(5,), (4, 5), (2, 5, 3)], ids=str)
@pytest.mark.parametrize("weight", [None, W])
def test_probabilities_as_targets(shape, weight):
    chance = np.exp(floats(*shape, seed=1))
    chance /= chance.sum(min(1, len(shape) - 1), keepdims=True)
    own = lambda n: None if weight is None else tensor(n, weight)  # noqa: E731
    check(lambda n: n.CrossEntropyLoss(own(n), label_smoothing=0.1), floats(*shape), chance)


@pytest.mark.parametrize("reduction, scale", [("sum", 1), ("mean", 1 / 12), ("batchmean", 1 / 3), ("none", 1)])
def test_half_squared_error(reduction, scale):
    x, t = floats(3, 4), floats(3, 4, seed=1)
    y, pullback = st.vjp(nn.HalfSquaredError(reduction), x, t)
    each = (x - t) ** 2 / 2
    close(y, each if reduction == "none" else each.sum() * scale, FORWARD)
    close(pullback(np.ones_like(y))[0][0], (x - t) * scale, FORWARD)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("lead", [(4,), (2, 3)], ids=str)
def test_bilinear(bias, lead):
    ours, theirs = nn.Bilinear(5, 6, 7, bias), torch.nn.Bilinear(5, 6, 7, bias)
    assert repr(ours) == repr(theirs)
    ours.load_state_dict(theirs.state_dict())
    arrays = floats(*lead, 5), floats(*lead, 6, seed=1)
    close(ours(*arrays), theirs(*map(torch.tensor, arrays)).detach(), FORWARD)
    check_network(ours, *arrays)


@pytest.mark.parametrize("loss", [nn.NLLLoss(), nn.MultiMarginLoss(), nn.CrossEntropyLoss()], ids=repr)
def test_labels_that_are_no_class_are_refused(loss):
    net = nn.Sequential(nn.Linear(3, 4), nn.LogSoftmax(1))
    with pytest.raises(DataError) as error:
        st.value_and_grad(net, loss)(floats(2, 3), np.array([0, 7]))
    assert str(error.value) == ("label 7 at index 1 is outside 0..3: the network has 4 classes; "
                                "mend the labels or give the last layer more outputs")


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_classes_of_a_row(reduction):
    """Each row's classes end at the first -1, whatever follows; all classes and none are allowed."""
    targets = np.array([[3, 0, -1, 1], [-1, 2, 2, 2], [1, -1, -1, -1], [0, 1, 2, 3]])
    check(lambda n: n.MultiLabelMarginLoss(reduction=reduction), floats(4, 4), targets)
    check(lambda n: n.MultiLabelMarginLoss(reduction=reduction), floats(4), targets[0])
    with pytest.raises(DataError, match=r"^label 4 at index \(0, 1\) is outside 0\.\.3: the network has 4 "):
        nn.MultiLabelMarginLoss()(floats(4), np.array([0, 4, -1, 0]))


@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_triplets_of_any_distance(reduction, swap):
    arrays = [floats(5, 4, seed=i) for i in range(3)]
    check(lambda n: n.TripletMarginWithDistanceLoss(margin=0.7, swap=swap, reduction=reduction), *arrays)
    distance = lambda n: {"distance_function": lambda a, b: 1 - n.functional.cosine_similarity(a, b)}  # noqa: E731
    check(lambda n: n.TripletMarginWithDistanceLoss(**distance(n), swap=swap, reduction=reduction), *arrays)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "huber_loss"])
def test_weights_of_elements(name, reduction):
    """The weighted mean of squares and of sizes divides by the weights, that of Huber's loss by their number, as in PyTorch."""
    x, t, w = floats(2, 3, 4), floats(2, 3, 4, seed=1), np.abs(floats(2, 3, 4, seed=2))
    ours = Call(lambda *a: getattr(F, name)(*a[:2], weight=a[2], reduction=reduction))
    tensors = [torch.tensor(a, dtype=torch.float64, requires_grad=True) for a in (x, t, w)]
    wanted = getattr(torch.nn.functional, name)(*tensors[:2], weight=tensors[2], reduction=reduction)
    y, pullback = st.vjp(ours, x, t, w)
    close(y, wanted.detach(), FORWARD)
    wanted.backward(torch.ones_like(wanted))
    for got, tensor in zip(pullback(np.ones_like(y))[0], tensors, strict=True):
        close(got, tensor.grad, GRADIENT)


@pytest.mark.parametrize("make", [lambda n: n.MarginRankingLoss(0.3), lambda n: n.SoftMarginLoss(), lambda n: n.MSELoss()])
def test_targets_of_whole_numbers_are_calculated_with(make):
    arrays = [floats(6, seed=i) for i in range(2 if isinstance(make(nn), nn.MarginRankingLoss) else 1)]
    check(make, *arrays, np.array([1, -1, 1, 1, -1, 1]))


WRONG = {
    "the input has shape (2, 3) but the target (3,); give both the same shape": (nn.HuberLoss(), floats(2, 3), floats(3)),
    "gaussian_nll_loss: var has shape (4,), the input (2, 3); give var the input's shape, or 1 for one of its axes":
        (nn.GaussianNLLLoss(), floats(2, 3), floats(2, 3), floats(4)),
    "multi_margin_loss: scores (2, 3) (N, C) and target (3,) (N,) do not fit; give one class index a row":
        (nn.MultiMarginLoss(), floats(2, 3), np.array([0, 1, 2])),
    "multilabel_margin_loss: scores (2, 3) and target (2,) must both be (N, C) or (C,); "
    "give each row its classes, then -1 up to C numbers": (nn.MultiLabelMarginLoss(), floats(2, 3), np.array([0, 1])),
    "weight has shape (3,), the input (2, 3); give each element its weight":
        (Call(lambda x, t, w: F.mse_loss(x, t, weight=w)), floats(2, 3), floats(2, 3), floats(3)),
    "cosine_embedding_loss: inputs (2, 3) (N, C) and target (3,) (N,) do not fit; give one target a row":
        (nn.CosineEmbeddingLoss(), floats(2, 3), floats(2, 3), floats(3)),
    "bilinear: a (2, 3) (..., I), b (2, 3) (..., J) and the weight (4, 3, 2) (K, I, J) do not fit; "
    "use in1_features=I, in2_features=J": (nn.Bilinear(3, 2, 4), floats(2, 3), floats(2, 3)),
}  # fmt: skip


@pytest.mark.parametrize("text", WRONG)
def test_errors(text):
    module, *arrays = WRONG[text]
    with pytest.raises(ShapeError) as error:
        module(*arrays)
    assert str(error.value).endswith(text)


ARGUMENTS = {
    "delta must be a number greater than 0, got 0": lambda: nn.HuberLoss(delta=0),
    "delta must be a number greater than 0, got 1j": lambda: nn.HuberLoss(delta=1j),
    "margin must be greater than 0, got 0": lambda: nn.TripletMarginWithDistanceLoss(margin=0),
    "ignore_index=1 is for class indices, the target holds probabilities; leave it out":
        lambda: nn.CrossEntropyLoss(ignore_index=1),
    "beta must not be negative, got -1": lambda: nn.SmoothL1Loss(beta=-1),
    "p must be 1 or 2, got 3": lambda: nn.MultiMarginLoss(3),
    "reduction must be 'batchmean', 'mean', 'sum' or 'none', got 'max'": lambda: nn.KLDivLoss(reduction="max"),
}


@pytest.mark.parametrize("text", ARGUMENTS)
def test_wrong_arguments(text):
    with pytest.raises(ArgumentError) as error:
        made = ARGUMENTS[text]()
        made(floats(2, 3), floats(2, 3))
    assert str(error.value) == text
