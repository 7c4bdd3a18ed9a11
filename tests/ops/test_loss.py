"""Cross-entropy against PyTorch: smoothing, weights, ignored targets, several heads."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tests.helpers import check_forward, check_op, check_torch, close, draw, gradients_of

from striate import ops
from striate.errors import ArgumentError, DataError, DtypeError, ShapeError
from striate.gradient import differentiate
from striate.graph import Graph
from striate.ops import Spec

SHAPES = [(4, 5), (1, 3), (6, 4, 3), (2, 3, 4, 2), (5, 1)]


def labels(shape, ignore=None):
    target = np.random.default_rng(3).integers(0, shape[1], shape[:1] + shape[2:])
    if ignore is not None:
        target.flat[0] = ignore
    return target


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_cross_entropy(shape, weighted, smoothing, reduction):
    weight = (0.5 + np.abs(draw(shape[1])),) if weighted else ()
    for ignore in (-100, 0) if shape[0] > 1 and shape[1] > 1 else (-100,):
        logits, target = draw(*shape), labels(shape, ignore)
        if np.all(target == ignore):
            target.flat[-1] = shape[1] - 1
        op = ops.CrossEntropy(smoothing, ignore, reduction)

        def function(x, t, w=None, ignore=ignore):
            return F.cross_entropy(x, t, w, ignore_index=ignore, reduction=reduction, label_smoothing=smoothing)

        close(op.reference(logits, target, *weight), function(*map(torch.tensor, (logits, target, *weight))).numpy())
        close(*gradients(op, function, logits, target, weight))


def gradients(op, function, logits, target, weight):
    """dlogits of this operator and of PyTorch."""
    graph = Graph()
    x = graph.input(logits.shape)
    loss = graph.apply(op, x, *map(graph.constant, (target, *weight)))
    dy = draw(*loss.shape, seed=5)
    (dx,) = differentiate(graph, [loss], [graph.input(dy.shape)], [x])
    tensor = torch.tensor(logits, requires_grad=True)
    rounded = [torch.tensor(w.astype(np.float32).astype(float)) for w in weight]  # constants of a graph are float32
    y = function(tensor, torch.tensor(target), *rounded)
    return graph.evaluate([logits, dy], np.float64)[dx], torch.autograd.grad(y, tensor, torch.tensor(dy))[0].numpy()


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("weighted", [False, True])
def test_shapes_and_costs(weighted, reduction):
    logits, target, weight = draw(4, 5, 3), labels((4, 5, 3)), (np.abs(draw(5)),) if weighted else ()
    loss = ops.CrossEntropy(0.1, -100, reduction)
    check_forward(loss, logits, target, *weight)
    dloss = draw(*np.shape(loss.reference(logits, target, *weight)))
    check_forward(ops.CrossEntropyGradient(0.1, -100, reduction), dloss, logits, target, *weight)


def test_finite_differences():
    check_op(ops.CrossEntropy(0.1), draw(4, 5), labels((4, 5)))
    check_op(ops.CrossEntropy(logits=False), draw(4, 5), labels((4, 5)))


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_log_probabilities(shape, weighted, reduction):
    weight = (0.5 + np.abs(draw(shape[1])),) if weighted else ()
    x, target = draw(*shape), labels(shape, -100 if shape[0] > 1 else None)
    op = ops.CrossEntropy(0.0, -100, reduction, logits=False)

    def function(x, t, w=None):
        return F.nll_loss(x, t, w, reduction=reduction)

    close(op.reference(x, target, *weight), function(*map(torch.tensor, (x, target, *weight))).numpy())
    close(*gradients(op, function, x, target, weight))


def test_binary_cross_entropy():
    x, target = 0.5 + 0.4 * np.tanh(draw(3, 4)), 0.5 + 0.5 * np.tanh(draw(3, 4, seed=1))
    op = ops.BinaryCrossEntropy()
    check_op(op, x, target)
    check_torch(op, lambda x, t: F.binary_cross_entropy(x, t, reduction="none"), x, target)
    ends = np.array([0.0, 1.0, 0.0, 1.0]), np.array([0.0, 1.0, 1.0, 0.0])
    with np.errstate(divide="ignore"):
        close(op.reference(*ends), [0, 0, 100, 100])
    tensors = [torch.tensor(e, requires_grad=i == 0) for i, e in enumerate(ends)]
    F.binary_cross_entropy(*tensors, reduction="sum").backward()
    close(gradients_of(op, ends, np.ones(4))[0], tensors[0].grad.numpy(), 1e-7)  # PyTorch's 1e-12 is a float32


@pytest.mark.parametrize("delta", [0.5, 1.0, 2.0])
def test_huber(delta):
    check_op(ops.Huber(delta), draw(3, 5))
    zero = torch.zeros((), dtype=torch.float64)
    for x in (draw(3, 5), np.array([-2, -1, -0.5, 0, 0.5, 1, 2])):
        check_torch(ops.Huber(delta), lambda x: F.huber_loss(x, zero.expand(x.shape), "none", delta), x)


def test_one_hot():
    x = np.array([[2, 0], [1, 4]])
    assert np.array_equal(ops.OneHot(5).reference(x), F.one_hot(torch.tensor(x), 5).float().numpy())
    assert ops.OneHot(5).infer(Spec((2, 2), "int64")) == Spec((2, 2, 5))
    with pytest.raises(DtypeError) as error:
        ops.OneHot(5).infer(Spec((2, 2)))
    assert error.value.args == ("x has dtype float32 but holds class indices; convert it with astype('int64')",)


@pytest.mark.parametrize("dtype", [np.int32, np.uint8])
def test_other_whole_numbers_as_targets(dtype):
    logits, target = draw(4, 5), labels((4, 5))
    close(ops.CrossEntropy().reference(logits, target.astype(dtype)), ops.CrossEntropy().reference(logits, target))


def test_a_mean_over_nothing_is_nan_as_in_pytorch():
    graph = Graph()
    loss = graph.apply(ops.CrossEntropy(), graph.input((2, 3)), graph.input((2,), "int64"))
    assert np.isnan(graph.evaluate([draw(2, 3), np.full(2, -100)])[loss])


def test_large_logits():
    logits = np.array([[1000.0, -1000], [-1000, 1000]], np.float32)
    close(ops.CrossEntropy(reduction="none").reference(logits, np.array([1, 1])), [2000, 0])


LOGITS = Spec((4, 5))
ERRORS = [
    ((LOGITS, Spec((4, 5), "int64")), "logits (4, 5) (N, C, ...) and target (4, 5) (N, ...) do not fit; "
                                      "give one class index for each row of logits"),
    ((LOGITS, Spec((4,), "int64"), Spec((4,))),
     "weight (4,) does not fit the 5 classes of logits (4, 5); give one weight a class"),
]


@pytest.mark.parametrize("specs, text", ERRORS)
def test_shape_errors(specs, text):
    with pytest.raises(ShapeError) as error:
        ops.CrossEntropy().infer(*specs)
    assert error.value.args == (text,)


def test_other_errors():
    with pytest.raises(DtypeError) as error:
        ops.CrossEntropy().infer(LOGITS, Spec((4,)))
    assert error.value.args == ("target has dtype float32 but holds class indices; convert it with astype('int64')",)
    with pytest.raises(ArgumentError) as error:
        ops.CrossEntropy(label_smoothing=2)
    assert error.value.args == ("label_smoothing must be from 0 to 1, got 2",)
    with pytest.raises(ArgumentError) as error:
        ops.CrossEntropy(reduction="max")
    assert error.value.args == ("reduction must be one of mean, sum, none, got 'max'",)
    with pytest.raises(DataError) as error:
        ops.CrossEntropy().reference(draw(2, 3), np.array([0, 3]))
    assert error.value.args == ("target 3 is not one of the 3 classes 0 to 2; "
                                "use ignore_index=-100 for elements that do not count",)
    with pytest.raises(ShapeError) as error:
        ops.CrossEntropyGradient().infer(Spec((4,)), LOGITS, Spec((4,), "int64"))
    assert error.value.args == ("dloss has shape (4,), the loss has (); give it the loss's shape",)
