"""Normalisation layers and embeddings compiled: output, dx, gradients of parameters and new buffers as PyTorch in float64."""

import copy

import numpy as np
import pytest
import torch
from tests.cpu.helpers import FORWARD, GRADIENT, both, check_module, check_network, close, floats

import striate as st
from striate import nn, optim
from striate.cpu import lower
from striate.errors import ArgumentError
from striate.nn import functional as F


@pytest.mark.parametrize("name, shape", [
    ("BatchNorm1d", (5, 3)), ("BatchNorm1d", (17, 1)), ("BatchNorm1d", (3, 17, 5)), ("BatchNorm2d", (1, 5, 3, 3)),
    ("BatchNorm3d", (2, 3, 2, 3, 4)), ("BatchNorm3d", (1, 17, 3, 1, 2)),
    ("InstanceNorm1d", (2, 3, 5)), ("InstanceNorm1d", (3, 5)), ("InstanceNorm2d", (2, 17, 3, 4)), ("InstanceNorm2d",
    (1, 1, 3, 4)),
    ("InstanceNorm2d", (5, 3, 4)), ("InstanceNorm3d", (2, 3, 2, 3, 4)), ("InstanceNorm3d", (16, 2, 3, 4)),
], ids=str)  # fmt: skip
@pytest.mark.parametrize("settings", [{}, {"affine": True, "track_running_stats": True, "momentum": 0.3},
                                      {"affine": True, "bias": False, "eps": 0.1}], ids=str)
def test_norms_with_averages(name, shape, settings):
    unbatched = name.startswith("Instance") and len(shape) == int(name[-2]) + 1
    channels = shape[0] if unbatched else shape[1]
    check_module(lambda n: getattr(n, name)(channels, **settings), *shape)


@pytest.mark.parametrize("channels", range(1, 18))
def test_channels_that_fill_no_vector(channels):
    shape = 1 + channels % 3, channels, 3, 4
    check_module(lambda n: n.InstanceNorm2d(channels, affine=True), *shape, modes=(True,))
    check_module(lambda n: n.GroupNorm(1, channels), *shape, modes=(True,))
    check_module(lambda n: n.LayerNorm([channels, 3, 4]), *shape, modes=(True,))
    check_module(lambda n: n.LocalResponseNorm(3, alpha=0.5), *shape, modes=(True,))


@pytest.mark.parametrize("groups, shape", [
    (2, (2, 6, 4, 5)), (3, (1, 6, 4, 5)), (6, (3, 6, 2, 2)), (1, (2, 40, 3)), (4, (3, 16)), (2, (2, 34, 3, 3, 2)), (32,
    (2, 64, 9, 9)),
], ids=str)  # fmt: skip
@pytest.mark.parametrize("settings", [{}, {"affine": False}, {"bias": False, "eps": 1e-2}], ids=str)
def test_group_norm(groups, shape, settings):
    check_module(lambda n: n.GroupNorm(groups, shape[1], **settings), *shape, modes=(True,))


def test_group_norm_of_one_large_image():
    """One sample cut into several parts."""
    check_module(lambda n: n.GroupNorm(4, 24), 1, 24, 50, 45, modes=(True,))


@pytest.mark.parametrize("places, shape", [
    (6, (4, 6)), ((6,), (2, 3, 6)), ((3, 4), (5, 3, 4)), ((5, 3, 4), (2, 5, 3, 4)), ((4,), (2, 5, 3, 4)),
    ((2, 3, 2, 2), (3, 2, 3, 2, 2)), ((100,), (40, 100)), ((7,), (7,)), ((3, 60, 61), (2, 3, 60, 61)),
], ids=str)  # fmt: skip
@pytest.mark.parametrize("settings", [{}, {"elementwise_affine": False}, {"bias": False}], ids=str)
def test_layer_norm(places, shape, settings):
    check_module(lambda n: n.LayerNorm(places, **settings), *shape, modes=(True,))


@pytest.mark.parametrize("places, shape", [((6,), (4, 6)), ((17,), (2, 3, 17)), ((5, 3, 4), (2, 5, 3, 4)), ((90, 100),
    (3, 90, 100))],
                         ids=str)  # fmt: skip
@pytest.mark.parametrize("affine", [True, False])
def test_rms_norm(places, shape, affine):
    check_module(lambda n: n.RMSNorm(places, 1e-6, affine), *shape, modes=(True,))


@pytest.mark.parametrize("shape", [(2, 7, 3), (1, 5, 3, 4), (2, 40, 3, 3), (1, 96, 4, 4), (1, 3, 2, 2, 3)], ids=str)
@pytest.mark.parametrize("settings", [{"size": 5, "alpha": 0.3}, {"size": 2, "alpha": 1.0, "beta": 0.5, "k": 2.0},
                                      {"size": 1, "alpha": 0.4, "beta": 1.3}, {"size": 41, "alpha": 2.0}], ids=str)
def test_local_response_norm(shape, settings):
    check_module(lambda n: n.LocalResponseNorm(**settings), *shape, modes=(True,))


@pytest.mark.parametrize("make, shape", [
    (lambda n: n.Sequential(n.Conv2d(3, 8, 3), n.GroupNorm(2, 8), n.ReLU()), (2, 3, 7, 6)),
    (lambda n: n.Sequential(n.Conv2d(8, 4, 1, bias=False), n.InstanceNorm2d(4), n.Tanh()), (2, 8, 5, 6)),
    (lambda n: n.Sequential(n.Linear(6, 10), n.LayerNorm(10), n.ReLU(), n.Linear(10, 4), n.LayerNorm(4)), (3, 5, 6)),
    (lambda n: n.Sequential(n.Conv2d(3, 6, 3), n.LayerNorm([6, 5, 4]), n.Sigmoid(), n.Flatten(), n.Linear(120, 5)), (2, 3, 7, 6)),
    (lambda n: n.Sequential(n.Conv2d(3, 18, 3), n.ReLU(), n.LocalResponseNorm(5), n.MaxPool2d(2), n.Conv2d(18, 4, 1)),
    (2, 3, 8, 8)),
], ids=str)  # fmt: skip
def test_chains(make, shape):
    check_module(make, *shape)


class Residual(nn.Module):
    """Normalised by rows beside what it began with."""

    def __init__(self):
        super().__init__()
        self.norm, self.line, self.scale = nn.LayerNorm(7), nn.Linear(7, 7), nn.Parameter(np.full(7, 0.5))

    def forward(self, x):
        return x + self.scale * self.line(self.norm(x) * 2 + x)


def test_residual():
    check_network(Residual(), floats(2, 5, 7))


class Call(nn.Module):
    """A function of the input and one number that is trained."""

    def __init__(self, function):
        super().__init__()
        self.function, self.scale = function, nn.Parameter(np.ones(1))

    def forward(self, x):
        return self.function(x * self.scale)


@pytest.mark.parametrize("p, dim", [(2.0, 1), (1.0, 1), (3.0, -1), (2.0, (2, 3))], ids=str)
def test_normalize(p, dim):
    x = floats(2, 5, 3, 4)
    x[0, :, 1, 1] = 0
    y, pullback = st.vjp(Call(lambda v: F.normalize(v, p, dim)), x)
    tx = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    ty = torch.nn.functional.normalize(tx, p, dim)
    close(y, ty.detach(), FORWARD)
    dy = floats(*y.shape, seed=1)
    dy[x == 0] = 0
    ty.backward(torch.tensor(dy, dtype=torch.float64))
    close(pullback(dy)[0], tx.grad, GRADIENT)


@pytest.mark.parametrize("make, shape", [(lambda n: n.LayerNorm(300), (5, 300)), (lambda n: n.GroupNorm(2, 6), (2, 6, 9, 9)),
                                         (lambda n: n.InstanceNorm2d(5), (2, 5, 12, 12)),
                                         (lambda n: n.BatchNorm2d(5), (4, 5, 8, 8))],
                         ids=str)  # fmt: skip
@pytest.mark.parametrize("mean", [1e3, 1e4])
def test_a_mean_far_from_zero(make, shape, mean):
    """Mean 1e4, deviation 1: a variance out of sums of squares would have no digit left. An input near 1e4 is itself only
    known to 1e4 * 2^-24 = 6e-4, but the difference of two such inputs is exact."""
    x = (floats(*shape) + mean).astype(np.float32)
    ours, theirs = both(make)
    wanted = theirs.train()(torch.tensor(x, dtype=torch.float64)).detach()
    y, _ = st.vjp(ours.train(), x)
    assert np.abs(y - wanted.numpy()).max() <= mean * 2**-22


EMBEDDINGS = [(10, 3, None, (4,)), (10, 16, 0, (2, 5)), (7, 17, -1, (3, 2, 2)), (1, 1, None, (3,)), (50, 130, 3, (2, 40)),
    (5, 64, None, ())]


@pytest.mark.parametrize("rows, width, padding, shape", EMBEDDINGS, ids=str)
def test_embedding(rows, width, padding, shape):
    index = np.random.default_rng(0).integers(rows, size=shape)
    ours, theirs = both(lambda n: n.Embedding(rows, width, padding_idx=padding))
    y, pullback = st.vjp(ours, index)
    ty = theirs(torch.tensor(index))
    dy = floats(*ty.shape, seed=1)
    ty.backward(torch.tensor(dy, dtype=torch.float64))
    assert np.array_equal(y, ty.detach().numpy().astype(np.float32)) and repr(ours) == repr(theirs)
    dx, gradients = pullback(dy)
    assert dx is None
    close(gradients["weight"], theirs.weight.grad, 1e-6)


def test_embedding_of_the_same_row():
    """Many gradients meet in one row, in their order whatever the threads."""
    found = []
    before = st.get_num_threads() if hasattr(st, "get_num_threads") else 2
    for threads in (1, 3):
        st.set_num_threads(threads)
        st.seed(0)
        _, pullback = st.vjp(nn.Embedding(4, 40), np.zeros(1000, np.int64))
        found.append(pullback(floats(1000, 40))[1]["weight"])
    st.set_num_threads(before)
    assert np.array_equal(found[0], found[1]) and not found[0][1:].any()


@pytest.mark.parametrize("numbers, text", [
    ([0, 3, -1, 2], "index 3 at index 1 is outside 0..2: "),
    ([[0, 1], [-1, 2]], "index -1 at index (1, 0) is outside 0..2: "),
])  # fmt: skip
def test_an_index_outside(numbers, text):
    """An IndexError, as in PyTorch: forward, for gradients, and in training."""
    net = nn.Embedding(3, 2)
    step = st.compile(nn.Sequential(net, nn.Flatten(0)), nn.MSELoss(), optim.SGD(lr=0.1))
    for call in (net, lambda x: st.vjp(net, x), lambda x: step(x, np.zeros(2 * x.size))):
        with pytest.raises(IndexError) as error:
            call(np.array(numbers))
        assert str(error.value) == text + "the embedding has 3 rows; use a larger num_embeddings or mend the numbers"


def test_an_index_outside_that_is_computed_is_nan():
    """Nothing outside of the table is read."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Embedding(3, 2)

        def forward(self, x):
            return self.table(x.argmax(1))

    y = Net()(np.eye(5, dtype=np.float32)[[0, 3, 4, 2]])
    assert np.isnan(y[1:3]).all() and np.isfinite(y[[0, 3]]).all()


@pytest.mark.parametrize("mode", ["mean", "sum", "max"])
@pytest.mark.parametrize("padding_idx", [None, 1, -2])
def test_embedding_bag(mode, padding_idx):
    x = np.array([[1, 2, 3], [1, 1, 1], [4, 1, 8], [8, 8, 0]])
    ours, theirs = nn.EmbeddingBag(10, 3, mode=mode, padding_idx=padding_idx), \
        torch.nn.EmbeddingBag(10, 3, mode=mode, padding_idx=padding_idx)
    assert repr(ours) == repr(theirs) and list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())
    y, pullback = st.vjp(ours, x)
    wanted = theirs.double()(torch.tensor(x))
    close(y, wanted.detach(), FORWARD)
    dy = floats(*wanted.shape, seed=1)
    wanted.backward(torch.tensor(dy, dtype=torch.float64))
    close(pullback(dy)[1]["weight"], theirs.weight.grad, GRADIENT)


def test_weights_of_a_bag():
    x, w = np.array([[1, 2, 3], [4, 0, 0]]), floats(2, 3)
    ours, theirs = nn.EmbeddingBag(5, 4, mode="sum"), torch.nn.EmbeddingBag(5, 4, mode="sum")
    ours.load_state_dict(theirs.state_dict())
    close(ours(x, per_sample_weights=w), theirs(torch.tensor(x), per_sample_weights=torch.tensor(w)).detach(), FORWARD)


@pytest.mark.parametrize("text, call", [
    ("embedding_bag takes bags as rows of one length, (N, B), not offsets; pad them with padding_idx",
     lambda: nn.EmbeddingBag(5, 4)(np.array([1, 2]), np.array([0]))),
    ("mode must be 'mean', 'sum' or 'max', got 'all'", lambda: nn.EmbeddingBag(5, 4, mode="all")),
    ("per_sample_weights are for mode='sum', got mode='mean'",
     lambda: nn.EmbeddingBag(5, 4)(np.array([[1, 2]]), per_sample_weights=floats(1, 2))),
    ("Embedding does not support sparse, got True; leave it out", lambda: nn.EmbeddingBag(5, 4, sparse=True)),
])  # fmt: skip
def test_wrong_bags(text, call):
    with pytest.raises(ArgumentError) as error:
        call()
    assert str(error.value) == text


def test_a_table_that_is_there():
    """Frozen unless told otherwise; its gradient is left out then."""
    table = floats(4, 3)
    frozen, trained = nn.Embedding.from_pretrained(table, padding_idx=-1), nn.Embedding.from_pretrained(table, freeze=False)
    assert frozen.padding_idx == 3 and np.array_equal(frozen.weight.data, table) and not frozen.weight.requires_grad
    y, pullback = st.vjp(frozen, np.array([2, 3]))
    assert np.array_equal(y, table[[2, 3]]) and pullback(y)[1] == {}
    assert st.vjp(trained, np.array([2, 2]))[1](np.ones((2, 3)))[1]["weight"].tolist() == [[0] * 3, [0] * 3, [2] * 3, [0] * 3]


class TextNet(nn.Module):
    """Tokens, a convolution over each word's neighbours, the largest response of each filter."""

    def __init__(self):
        super().__init__()
        self.embed, self.line = nn.Embedding(20, 6, padding_idx=0), nn.Linear(8, 3)
        self.conv = nn.Conv2d(1, 8, (3, 6))

    def forward(self, tokens):
        x = self.conv(self.embed(tokens).unsqueeze(1)).relu()
        return self.line(x.amax((2, 3)))


def test_a_network_of_tokens():
    check_network(TextNet(), np.random.default_rng(0).integers(20, size=(3, 9)))


def two_norms(n):
    """A convolution and a product whose results are normalised; the second norm's gradient comes from a product again."""
    layers = n.Conv2d(5, 9, 3, 2, 1, bias=False), n.BatchNorm2d(9), n.ReLU(), n.Conv2d(9, 20, 1, bias=False), n.BatchNorm2d(20)
    return n.Sequential(*layers, n.ReLU(), n.Conv2d(20, 6, 1))


def kernels_of(net, *shape):
    """The names of the kernels of a training step."""
    step = st.compile(net, nn.MSELoss(), optim.SGD(lr=0.1))
    x = floats(*shape)
    target = np.zeros(st.trace(net, shape).outputs[0].shape, np.float32)
    return [call.kernel.name for call in step.program(x, target).calls]


def test_moments_and_sums_while_written():
    """Kernels that end before a batch norm, in either pass, take its sums; and nothing else does."""
    net = two_norms(nn)
    names = kernels_of(net, 4, 5, 32, 32)
    assert "NormStatistics" not in names and "NormGradientParts" not in names and names.count("NormFinish") == 2
    assert kernels_of(two_norms(nn), 1, 5, 9, 9).count("NormGradientParts") == 2  # too few rows to be worth it
    check_module(two_norms, 4, 5, 32, 32)
    check_module(lambda n: n.Sequential(n.Conv2d(3, 4, 1), n.ReLU(), n.BatchNorm2d(4), n.Tanh(), n.Conv2d(4, 3, 1)), 2, 3, 30, 30)


def test_results_past_the_caches(monkeypatch):
    """The same bits."""
    net, x, dy = two_norms(nn), floats(4, 5, 32, 32), floats(4, 6, 16, 16, seed=1)

    def run():
        y, pullback = st.vjp(net, x)
        dx, gradients = pullback(dy)
        return [y, dx, *gradients.values()]

    plain = run()
    monkeypatch.setattr(lower, "PAST_THE_CACHES", 0)
    net = copy.deepcopy(net)
    for got, wanted in zip(run(), plain, strict=True):
        np.testing.assert_array_equal(got, wanted)
