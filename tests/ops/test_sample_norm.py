"""Layer, group and local response normalisation and embedding: references and gradients against PyTorch; errors."""

import numpy as np
import pytest
import torch
import torch.nn.functional as TF
from tests.helpers import check_forward, check_op, check_torch, close, draw, graph_of

from striate import nn, ops
from striate.errors import ArgumentError, DataError, DtypeError, ShapeError
from striate.gradient import differentiate
from striate.graph import trace
from striate.nn import functional as F
from striate.ops import Spec

EPS = 1e-5


@pytest.mark.parametrize("places, shape", [((6,), (4, 6)), ((3, 4), (2, 3, 4)), ((5, 3, 2), (2, 5, 3, 2)), ((4,), (2, 3, 2, 4))],
                         ids=str)  # fmt: skip
def test_layer_norm(places, shape):
    x, weight, bias = 2 + draw(*shape), draw(*places), draw(*places, seed=1)
    check_op(ops.LayerNorm(1e-2), x, weight, bias)
    check_torch(ops.LayerNorm(EPS), lambda x, w, b: TF.layer_norm(x, places, w, b, EPS), x, weight, bias)
    check_op(ops.LayerNorm(1e-2, centred=False), x, weight, bias)
    check_torch(ops.LayerNorm(EPS, centred=False), lambda x, w, b: TF.rms_norm(x, places, w, EPS) + b, x, weight, bias)
    statistic = shape[: len(shape) - len(places)]
    check_forward(ops.LayerNormGradient(EPS), x, x, weight, draw(*statistic), draw(*statistic) ** 2)


@pytest.mark.parametrize("groups, shape", [(2, (2, 6, 3)), (6, (2, 6, 3, 2)), (1, (3, 5)), (3, (1, 3, 2, 2, 2))], ids=str)
def test_group_norm(groups, shape):
    x, weight, bias = 2 + draw(*shape), draw(shape[1]), draw(shape[1], seed=1)
    check_op(ops.GroupNorm(groups, 1e-2), x, weight, bias)
    check_torch(ops.GroupNorm(groups, EPS), lambda x, w, b: TF.group_norm(x, groups, w, b, EPS), x, weight, bias)
    statistic = shape[0], groups
    check_forward(ops.GroupNormGradient(groups, EPS), x, x, weight, draw(*statistic), draw(*statistic) ** 2)


@pytest.mark.parametrize("settings", [(5,), (2, 0.3, 0.5, 2.0), (1, 1.0, 1.2), (9, 0.8)], ids=str)
@pytest.mark.parametrize("shape", [(2, 5, 3), (1, 3, 2, 2), (2, 7, 2, 1, 2)], ids=str)
def test_local_response_norm(shape, settings):
    op = ops.LocalResponseNorm(*settings)
    check_op(op, 3 * draw(*shape))
    check_torch(op, lambda x: TF.local_response_norm(x, *settings), 3 * draw(*shape))
    check_forward(ops.LocalResponseNormGradient(*settings), draw(*shape), draw(*shape))


@pytest.mark.parametrize("padding", [None, 0, 3])
@pytest.mark.parametrize("shape", [(), (7,), (2, 3, 2)], ids=str)
def test_embedding(shape, padding):
    index, weight = np.random.default_rng(0).integers(4, size=shape), draw(4, 5)
    check_torch(ops.Embedding(padding), lambda i, w: TF.embedding(i, w, padding), index, weight)
    if padding is None:
        check_op(ops.Embedding(), index, weight)
    check_op(ops.EmbeddingGradient(4, padding), draw(*shape, 5), index)


ERRORS = [
    (ops.LayerNorm(EPS), (Spec((2, 3)), Spec((4,)), Spec((4,))),
     "x (2, 3) does not end in the shape (4,) of weight; use normalized_shape of x's last axes"),
    (ops.GroupNorm(2, EPS), (Spec((2, 3, 4)), Spec((3,)), Spec((3,))),
     "the 3 channels of x (2, 3, 4) do not fall into 2 equal groups; use a number of groups that divides the channels"),
    (ops.GroupNorm(3, EPS), (Spec((1, 3, 1, 1)), Spec((3,)), Spec((3,))),
     "x (1, 3, 1, 1) has one value in each of its 3 groups, whose variance is 0; use fewer groups or a larger input"),
    (ops.GroupNorm(1, EPS), (Spec((2, 3, 4)), Spec((4,)), Spec((4,))),
     "x (2, 3, 4) has 3 channels but weight has shape (4,); use num_features=3"),
    (ops.LocalResponseNorm(5), (Spec((2, 3)),), "x (2, 3) has 2 axes; give it the shape (N, C, ...) with pixels behind C"),
    (ops.Embedding(), (Spec((2,), "int64"), Spec((4,))),
    "weight has 1 axes, shape (4,), but needs 2: (V, D); reshape weight to (V, D)"),
    (ops.Embedding(4), (Spec((2,), "int64"), Spec((4, 3))), "padding_idx 4 is none of the 4 rows of weight; use 0 to 3"),
    (ops.EmbeddingGradient(4), (Spec((2, 3)), Spec((3,), "int64")),
    "dy (2, 3) does not fit index (3,); give one row for each index"),
]  # fmt: skip


@pytest.mark.parametrize("op, specs, text", ERRORS)
def test_errors(op, specs, text):
    with pytest.raises(ShapeError) as error:
        op.infer(*specs)
    assert error.value.args == (text,)


def test_embedding_of_numbers_that_are_no_index():
    with pytest.raises(DtypeError) as error:
        ops.Embedding().infer(Spec((2,)), Spec((4, 3)))
    assert error.value.args == ("index has dtype float32 but holds numbers of rows; convert it with astype('int64')",)
    with pytest.raises(DataError) as data:
        ops.Embedding().reference(np.array([0, 4]), draw(4, 3))
    assert data.value.args == ("index 4 is none of the 4 rows 0 to 3 of the embedding; use a larger num_embeddings or check the "
                               "data",)  # fmt: skip


@pytest.mark.parametrize("op, arrays", [(ops.LayerNorm(EPS), (draw(4, 3), draw(3), draw(3))),
                                        (ops.GroupNorm(1, EPS), (draw(4, 3), draw(3), draw(3)))])
def test_the_statistics_carry_no_gradient(op, arrays):
    graph, inputs, (_, mean, _) = graph_of(op, *arrays)
    with pytest.raises(ArgumentError) as error:
        differentiate(graph, [mean], [graph.input(mean.shape)], inputs)
    assert error.value.args == (f"{op.name}'s mean and variance carry no gradient; compute them from x with mean()",)


ARGUMENTS = {
    "normalized_shape must be one or more sizes of at least 1, got ()": lambda: nn.LayerNorm(()),
    "num_channels=5 is no multiple of num_groups=2; use a number of groups that divides the channels": lambda: nn.GroupNorm(2, 5),
    "decay must be from 0 to 1, got 9; it is the old average's share, 1 - momentum": lambda: nn.BatchNorm2d(3, decay=9),
    "Embedding does not support max_norm, got 1.0; leave it out": lambda: nn.Embedding(3, 2, max_norm=1.0),
    "Embedding does not support sparse, got True; leave it out": lambda: nn.Embedding(3, 2, sparse=True),
    "padding_idx must be from -3 to 2 for 3 rows, got 3": lambda: nn.Embedding(3, 2, padding_idx=3),
    "size must be at least 1 channel, got 0": lambda: ops.LocalResponseNorm(0),
}


@pytest.mark.parametrize("message", ARGUMENTS)
def test_arguments(message):
    with pytest.raises(ArgumentError) as error:
        ARGUMENTS[message]()
    assert str(error.value) == message


def test_wrong_channels_for_instance_norm():
    with pytest.raises(ShapeError) as error:
        trace(nn.InstanceNorm2d(3), (2, 4, 5, 5))
    assert str(error.value).endswith("x (2, 4, 5, 5) has 4 channels, the layer 3; use num_features=4")


def test_group_norm_between_layer_and_instance_norm():
    """G = 1 is layer normalisation over (C, H, W), G = C is instance normalisation."""
    x, ones, zeros = draw(2, 6, 3, 4), np.ones(6), np.zeros(6)
    layer = ops.LayerNorm(EPS).reference(x, np.ones((6, 3, 4)), np.zeros((6, 3, 4)))[0]
    close(ops.GroupNorm(1, EPS).reference(x, ones, zeros)[0], layer)
    each = (x - x.mean((2, 3), keepdims=True)) / np.sqrt(x.var((2, 3), keepdims=True) + EPS)
    close(ops.GroupNorm(6, EPS).reference(x, ones, zeros)[0], each)


def test_functions_without_parameters():
    class Net(nn.Module):
        def forward(self, x):
            return F.layer_norm(x, 4) + F.group_norm(x, 3) + F.rms_norm(x, [4], eps=1e-6) + F.instance_norm(x)

    x = draw(2, 3, 4)
    t = torch.tensor(x)
    wanted = TF.layer_norm(t, [4]) + TF.group_norm(t, 3) + TF.rms_norm(t, [4], eps=1e-6) + TF.instance_norm(t)
    close(trace(Net(), x.shape).run(x, target="reference", dtype=np.float64), wanted.numpy())
