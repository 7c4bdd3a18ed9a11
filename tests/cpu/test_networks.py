"""Networks as users write them, compiled, beside the references: outputs, gradients of inputs and of parameters."""

from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from tests.cpu.helpers import FORWARD, GRADIENT, check_network, close, floats
from tests.cpu.random_networks import RandomNetwork

import striate as st
from striate import nn, optim
from striate.errors import ShapeError
from striate.nn import functional as F

SHAPES = [(2, 3, 7, 6), (1, 5, 6, 6), (3, 8, 5, 7), (2, 16, 4, 4), (2, 1, 6, 5), (4, 24)]
SEEDS = [1, 3, 4, 5, 9, 12, 16, 19, 20, 26, 28, 33, 43, 46, 52, 55, 59, 67]


@pytest.mark.parametrize("seed", SEEDS)
def test_random_networks(seed):
    shape = SHAPES[seed % len(SHAPES)]
    st.seed(seed)
    net = RandomNetwork(seed, shape, length=12)
    check_network(net, floats(*shape, seed=seed), seed=seed)


class Net(nn.Module):
    """A network out of layers by name and a function."""

    def __init__(self, function, **parts):
        super().__init__()
        vars(self)["function"] = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, *inputs):
        return self.function(self, *inputs)


def block():
    def forward(net, x):
        y = net.bn1(net.conv1(x)).relu()
        return (net.bn2(net.conv2(y)) + net.short(x)).relu()

    return Net(forward, conv1=nn.Conv2d(5, 9, 3, stride=2, padding=1, bias=False), bn1=nn.BatchNorm2d(9),
               conv2=nn.Conv2d(9, 9, 3, padding=1), bn2=nn.BatchNorm2d(9), short=nn.Conv2d(5, 9, 1, stride=2))


def inception():
    def forward(net, x):
        return F.cat([net.a(x).relu(), net.c(net.b(x)).relu(), net.d(F.max_pool2d(x, 3, 1, 1)), x], 1)

    return Net(forward, a=nn.Conv2d(5, 3, 1), b=nn.Conv2d(5, 2, 1), c=nn.Conv2d(2, 17, 5, padding=2), d=nn.Conv2d(5, 8, 1))


def tied():
    """One convolution used three times, and its weight as a number and turned round."""

    def forward(net, x):
        y = net.conv(net.conv(x).relu())
        return y * net.conv.weight.mean() + F.conv2d(x, net.conv.weight.permute(1, 0, 2, 3), padding=1)

    return Net(forward, conv=nn.Conv2d(5, 5, 3, padding=1))


def there_and_back():
    def forward(net, x):
        y = net.fc(net.conv(x).flatten(1)).relu()
        return net.last(net.up(y).reshape(-1, 6, 3, 4))

    return Net(forward, conv=nn.Conv2d(5, 4, 3, stride=2, padding=1), fc=nn.Linear(4 * 12, 20), up=nn.Linear(20, 72),
               last=nn.Conv2d(6, 3, 3))


def channel_scale_before_linear():
    """A number a feature, behind a flattened image: the backward kernel writes features in another order."""

    def forward(net, x):
        return net.fc(net.conv(x).flatten(1) * net.scale + net.shift)

    return Net(forward, conv=nn.Conv2d(5, 4, 3), fc=nn.Linear(4 * 20, 7), scale=nn.Parameter(floats(80)),
               shift=nn.Parameter(floats(1, 80)))


def drop_before_linear():
    """A mask behind a flattened image is drawn in the logical order."""
    return nn.Sequential(nn.Conv2d(5, 4, 3), nn.Flatten(), nn.Dropout(0.4), nn.Linear(4 * 20, 7), nn.Dropout(0.4))


def drop_in_rank_four():
    """A linear layer over the last axis of an image: the mask counts channels last."""
    return nn.Sequential(nn.Linear(7, 6), nn.Dropout(0.4), nn.Linear(6, 3), nn.Dropout(0.2), nn.ReLU())


def two_flattened_orders():
    """One weight behind two inputs whose features lie in different orders."""

    def forward(net, x):
        y = net.conv(x)
        return net.fc(y.flatten(1)) + net.fc(y.reshape(-1, 80).tanh().reshape(-1, 4, 4, 5).permute(0, 2, 3, 1).flatten(1))

    return Net(forward, conv=nn.Conv2d(5, 4, 3), fc=nn.Linear(80, 6))


def gated():
    def forward(net, x):
        y = net.conv(x)
        weights = net.fc2(net.fc1(y.mean((2, 3))).relu()).sigmoid()
        return y * weights.reshape(y.shape[0], -1, 1, 1) + y.amax((2, 3), keepdim=True)

    return Net(forward, conv=nn.Conv2d(5, 17, 3), fc1=nn.Linear(17, 4), fc2=nn.Linear(4, 17))


def attention():
    """Softmax in the middle, over pixels, and rank 3."""

    def forward(net, x):
        y = net.conv(x).flatten(2)
        weights = y[:, :1].softmax(-1)
        pooled = (y * weights).sum(-1)
        return net.norm(pooled), weights.squeeze(1)

    return Net(forward, conv=nn.Conv2d(5, 8, 1), norm=nn.BatchNorm1d(8))


def shuffled():
    """Channel shuffle: reshape, transpose, reshape; and halves that go different ways."""

    def forward(net, x):
        y = net.conv(x)
        n, c, h, w = y.shape
        y = y.reshape(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)
        a, b = y.chunk(2, 1)
        return F.cat([a, net.deep(b)], 1)[:, 1:, ::2, 1:]

    return Net(forward, conv=nn.Conv2d(5, 8, 1), deep=nn.Conv2d(4, 4, 3, padding=1, groups=4))


def option_a():
    """A shortcut that pads channels with constant zeros by concatenation and by pad."""

    def forward(net, x):
        zeros = np.zeros((x.shape[0], 4, *x.shape[2:]), np.float32)
        return net.conv(x) + F.cat([x, zeros], 1) + F.pad(x, (0, 0, 0, 0, 1, 3), value=0.5)

    return Net(forward, conv=nn.Conv2d(5, 9, 3, padding=1))


def several_outputs():
    def forward(net, x):
        y = net.conv(x)
        return {"y": y, "again": y, "x": x, "flat": y.flatten(1), "mean": y.mean(), "weight": net.conv.weight}

    return Net(forward, conv=nn.Conv2d(5, 6, 3))


def constants():
    def forward(net, x):
        table = np.arange(6, dtype=np.float64).reshape(6, 1)
        return (net.conv(x) * 0.5 - 1) / 3 + table * x.mean() - table, 2 - x

    return Net(forward, conv=nn.Conv2d(5, 4, 1))


def frozen_batch_norm():
    return nn.Sequential(nn.Conv2d(5, 8, 3, padding=1), nn.BatchNorm2d(8).eval(), nn.ReLU(), nn.Conv2d(8, 8, 3),
                         nn.BatchNorm2d(8))


def norm_twice():
    """One batch norm used twice: its averages move twice."""

    def forward(net, x):
        return net.norm(net.norm(x).relu() * 2 + 1)

    return Net(forward, norm=nn.BatchNorm2d(5))


NETWORKS = [
    block, inception, tied, there_and_back, channel_scale_before_linear, drop_before_linear, drop_in_rank_four,
    two_flattened_orders, gated, attention, shuffled, option_a, several_outputs, constants, frozen_batch_norm, norm_twice,
]  # fmt: skip


@pytest.mark.parametrize("make", NETWORKS)
@pytest.mark.parametrize("batch", [1, 3])
def test_networks(make, batch):
    st.seed(0)
    net = make().train(make is not attention or batch > 1)  # a batch norm of vectors needs two of them
    check_network(net, floats(batch, 5, 6, 7))


def test_norm_twice_counts_twice():
    net, x = norm_twice(), floats(3, 5, 4, 4)
    net(x)
    assert net.norm.num_batches_tracked.data == 2
    twin = torch.nn.BatchNorm2d(5).double()
    twin(twin(torch.tensor(x, dtype=torch.float64)).relu() * 2 + 1)
    close(net.norm.running_var.data, twin.running_var, FORWARD)


def test_several_inputs():
    st.seed(0)

    def forward(net, image, vector, scale):
        return net.fc(F.cat([net.conv(image).flatten(1), vector], 1)) * scale

    net = Net(forward, conv=nn.Conv2d(2, 3, 3), fc=nn.Linear(3 * 6 + 4, 5))
    check_network(net, floats(2, 2, 4, 5), floats(2, 4), floats(1))
    net(floats(3, 2, 4, 5), floats(3, 4), np.float32(2))


def test_inputs_of_whole_numbers():
    """Labels that go through the network, and a loss inside of it."""

    def forward(net, x, y):
        return F.cross_entropy(net.fc(x), y[:, 1]), y[:, ::2], y

    st.seed(0)
    net = Net(forward, fc=nn.Linear(6, 5))
    x, y = floats(4, 6), np.random.default_rng(0).integers(5, size=(4, 3))
    loss, part, whole = net(x, y.astype(np.int32))
    weight, bias = (torch.tensor(p.numpy()) for p in net.parameters())
    close(loss, torch.nn.functional.cross_entropy(torch.tensor(x) @ weight.T + bias, torch.tensor(y[:, 1])), FORWARD)
    assert np.array_equal(part, y[:, ::2]) and np.array_equal(whole, y) and whole.dtype == np.int64


def test_indices_of_maxima():
    net = Net(lambda net, x: F.adaptive_max_pool2d(x, (2, 3), return_indices=True))
    x = floats(2, 5, 7, 8)
    y, index = net(x)
    wanted, places = torch.nn.functional.adaptive_max_pool2d(torch.tensor(x), (2, 3), return_indices=True)
    assert np.array_equal(y, wanted) and np.array_equal(index, places) and index.dtype == np.int32


def test_images_without_a_batch():
    st.seed(0)
    check_network(nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 4, 1)), floats(3, 8, 9))


@pytest.mark.parametrize("shape", [(), (1,), (9,), (1, 1, 1, 1)], ids=str)
def test_scalars_and_vectors(shape):
    check_network(Net(lambda net, x: ((x * 2 + net.p).tanh(), x.sum()), p=nn.Parameter(np.float32(0.3))), floats(*shape))
    close(Net(lambda net, x: x.relu() + 1)(floats(*shape)), np.maximum(floats(*shape), 0) + 1, 1e-6)


def test_a_python_number():
    assert nn.ReLU()(-3.0) == 0 and nn.ReLU()(2.0).shape == ()


@pytest.mark.parametrize("form", ["transposed", "reversed", "float64", "float16", "list", "torch", "read-only", "strided"])
def test_arrays_of_any_kind(form):
    st.seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Tanh())
    x = floats(2, 3, 6, 5)
    x = np.round(x * 64) / 64  # exact in float16
    y = net(x)
    given = {
        "transposed": np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2),
        "reversed": np.ascontiguousarray(x[::-1, :, ::-1])[::-1, :, ::-1],
        "float64": x.astype(np.float64), "float16": x.astype(np.float16), "list": x.tolist(), "torch": torch.tensor(x),
        "strided": np.repeat(x, 2, 3)[..., ::2], "read-only": x.copy(),
    }[form]  # fmt: skip
    if form == "read-only":
        given.flags.writeable = False
    assert np.array_equal(net(given), y)
    assert np.array_equal(st.vjp(net, given)[0], y)
    assert y.dtype == np.float32 and y.flags.c_contiguous and y.flags.writeable


def test_results_are_the_callers_own():
    net = nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU())
    x = floats(2, 1, 3, 3)
    y = net(x)
    kept = y.copy()
    net(x * 5)
    assert np.array_equal(y, kept)
    same = nn.Identity()(x)
    same[:] = 0
    assert np.abs(x).max() > 0


def test_pullbacks_keep_what_they_need():
    """Several forwards under way, a caller who writes over x, and a forward of other shape in between."""
    st.seed(0)
    net = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.Tanh(), Net(lambda net, x: F.pad(x, (1, 1))), nn.Conv2d(4, 3, 3))
    xs = [floats(2, 2, 5, 5, seed=i) for i in range(3)]
    dy = floats(2, 3, 3, 5)
    wanted = [st.vjp(net, x)[1](dy)[0] for x in xs]
    pullbacks = []
    for x in xs:
        mine = x.copy()
        pullbacks.append(st.vjp(net, mine)[1])
        mine[:] = np.nan
    net(floats(1, 2, 5, 5))
    for pullback, dx in reversed(list(zip(pullbacks, wanted, strict=True))):
        assert np.array_equal(pullback(dy)[0], dx)
        close(pullback(2 * dy)[0], 2 * dx, 1e-6)


def test_value_and_grad_is_vjp_of_the_loss():
    st.seed(0)
    net, loss = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(36, 5)), nn.CrossEntropyLoss()
    x, y = floats(4, 2, 5, 5), np.array([0, 4, 2, 2])
    value, gradients = st.value_and_grad(net, loss)(x, y)
    out, pullback = st.vjp(net, x)
    chance = np.exp(out - out.max(1, keepdims=True))
    chance /= chance.sum(1, keepdims=True)
    close(value, -np.log(chance[np.arange(4), y]).mean(), FORWARD)
    _, wanted = pullback((chance - np.eye(5)[y]) / 4)
    assert isinstance(value, float) and gradients.keys() == wanted.keys()
    for name in wanted:
        close(gradients[name], wanted[name], GRADIENT, name)


def test_frozen_parameters_have_no_gradient():
    st.seed(0)
    net = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    net[0].requires_grad_(False)
    _, gradients = st.vjp(net, floats(2, 3))[1](np.ones((2, 2)))
    assert list(gradients) == ["1.weight", "1.bias"]
    _, gradients = st.value_and_grad(net, nn.MSELoss())(floats(2, 3), floats(2, 2))
    assert list(gradients) == ["1.weight", "1.bias"]
    net.requires_grad_(False)
    assert st.vjp(net, floats(2, 3))[1](np.ones((2, 2)))[1] == {}


def test_modules_may_be_exchanged():
    """A program belongs to the modules that it was traced with, even where a new one takes an old one's place in memory."""
    net = nn.Sequential(nn.ReLU())
    x = floats(3, 4)
    for kind, wanted in [(nn.ReLU, np.maximum(x, 0)), (nn.Tanh, np.tanh(x)), (nn.Identity, x)] * 4:
        net[0] = kind()
        close(net(x), wanted, FORWARD)


def test_attributes_and_parameters_may_change():
    st.seed(0)
    net = Net(lambda net, x: x * net.factor + net.p, p=nn.Parameter(np.zeros(2)))
    net.factor = 2.0
    x = floats(3, 2)
    close(net(x), 2 * x, 1e-6)
    net.factor = 3.0
    net.p = nn.Parameter(np.ones(2))
    close(net(x), 3 * x + 1, 1e-6)


def test_the_users_graph_stays_as_it_was():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).eval()
    graph = st.trace(net, (2, 3, 5, 5))
    text = str(graph)
    close(graph.run(floats(2, 3, 5, 5)), net(floats(2, 3, 5, 5)), 1e-6)
    assert str(graph) == text


def test_infinities_and_nan_go_through():
    x = np.array([[np.inf, -np.inf, np.nan, 1.0]], np.float32)
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(nn.ReLU()(x), np.maximum(x, 0))
        np.testing.assert_allclose(nn.Tanh()(x), np.tanh(x), rtol=1e-6)
    assert np.isnan(nn.Softmax(1)(x)).all()
    pooled = nn.MaxPool2d(2)(np.array([[[[1, np.nan], [2, 3]]]], np.float32))
    assert np.isnan(pooled).all()


class Both(NamedTuple):
    first: Any
    second: Any


def test_outputs_come_back_in_the_form_of_forward():
    x = floats(2, 3)
    for form in (tuple, list, lambda two: Both(*two), lambda two: dict(zip("ab", two, strict=True))):
        y = Net(lambda net, x, form=form: form([x * 2, x.sum()]))(x)
        wanted = form([x * 2, x.sum()])
        assert type(y) is type(wanted)
        for got, exact in zip(y.values() if isinstance(y, dict) else y, wanted.values() if isinstance(wanted, dict) else wanted):
            close(got, exact, 1e-6)


def test_constant_outputs():
    y = Net(lambda net, x: (x, 2.5, np.arange(3), np.array([1, 255], np.uint8), np.eye(2)))(floats(2))
    assert y[1] == 2.5 and y[2].tolist() == [0, 1, 2] and y[3].tolist() == [1, 255] and np.array_equal(y[4], np.eye(2))


def test_updates_read_the_values_before_the_run():
    """Two buffers change places, a third follows a trained weight, and a convolution's filter is a running average."""

    def forward(net, x):
        values = {name: x.graph.lift(getattr(net, name)) for name in ("a", "b", "behind", "weight")}
        x.graph.updates.update({values["a"]: values["b"], values["b"]: values["a"], values["behind"]: values["weight"]})
        F.update(net.filter, lambda old: old * 0.5 + net.weight * 0.5)
        return F.conv2d(F.conv2d(x, net.filter, padding=1), net.weight, padding=1)

    buffers = {"a": np.zeros(2), "b": np.ones(2), "behind": np.zeros((4, 4, 3, 3)), "filter": np.ones((4, 4, 3, 3))}
    net = Net(forward, weight=nn.Parameter(floats(4, 4, 3, 3)), **{name: nn.Buffer(array) for name, array in buffers.items()})
    step, x = st.compile(net, nn.MSELoss(), optim.SGD(lr=0.1)), floats(2, 4, 5, 5)
    first = net.weight.numpy()
    step(x, x)
    assert net.a.data.tolist() == [1, 1] and net.b.data.tolist() == [0, 0]
    assert np.array_equal(net.behind.data, first) and not np.array_equal(net.weight.data, first)
    close(net.filter.data, 0.5 + 0.5 * first, 1e-6)
    second = net.weight.numpy()
    step(x, x)
    assert np.array_equal(net.behind.data, second) and net.a.data.tolist() == [0, 0]
    close(net.filter.data, 0.25 + 0.25 * first + 0.5 * second, 1e-6)


def test_arrays_without_elements():
    """Nothing is computed for them, and a sum over nothing is 0."""
    assert Net(lambda net, x: x[:, 3:])(floats(2, 3)).shape == (2, 0)
    x = floats(2, 3)
    assert Net(lambda net, x: st.cat([x[:, 3:].exp(), x], 1) + x[:, 3:].sum())(x).tolist() == x.tolist()
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(36, 5))
    y, pullback = st.vjp(net, floats(0, 3, 5, 5))
    dx, gradients = pullback(y)
    assert y.shape == (0, 5) and dx.shape == (0, 3, 5, 5)
    assert gradients.keys() == dict(net.named_parameters()).keys() and not any(g.any() for g in gradients.values())
    assert not net[1].running_mean.data.any() and net.eval()(floats(0, 3, 5, 5)).shape == (0, 5)


def test_nothing_beside_something_that_decides():
    with pytest.raises(ShapeError) as caught:
        Net(lambda net, x: F.linear(x[:, 3:], np.zeros((4, 0)), net.bias), bias=nn.Parameter(np.ones(4)))(floats(2, 3))
    line = test_nothing_beside_something_that_decides.__code__.co_firstlineno + 2
    assert str(caught.value) == (f"linear (test_networks.py:{line}): the inputs have shapes (2, 0), (4, 0), (4,), of which one "
                                 "holds no numbers; keep at least one element along each axis")


def test_dy_of_several_outputs():
    net = Net(lambda net, x: (x * 2, x.sum()))
    _, pullback = st.vjp(net, floats(2, 3))
    for dy in ((np.ones((2, 3)), 1.0), ([np.ones((2, 3)), 1.0],), ((np.ones((2, 3)), 1.0),)):
        close(pullback(*dy)[0], np.full((2, 3), 3.0), 1e-6)
    with pytest.raises(ShapeError) as caught:
        pullback(np.ones((2, 3)))
    assert str(caught.value) == "dy has shape (2, 3) but the output has (2, 3), (); give dy the output's shape"
