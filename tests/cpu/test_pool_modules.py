"""Pooling modules compiled: output and gradients as their references and as PyTorch in float64, alone and in chains.

Tolerances: `helpers.FORWARD` and `helpers.GRADIENT`, relative to the largest number of an array.
"""

import numpy as np
import pytest
import torch
from tests.cpu.helpers import FORWARD, GRADIENT, check_module, check_network, close, floats

import striate as st
from striate import nn

LINES = [(2, 5, 9), (1, 16, 8), (3, 1, 12), (1, 17, 11), (5, 10)]
VOLUMES = [(2, 3, 6, 5, 7), (1, 16, 4, 4, 4), (1, 17, 5, 6, 5), (3, 1, 4, 7, 6), (3, 4, 5, 6)]
MAXIMA = [{"kernel_size": 2}, {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True},
          {"kernel_size": 2, "stride": 1, "dilation": 2}, {"kernel_size": 3, "stride": 1, "padding": 1}]  # fmt: skip
MEANS = [{"kernel_size": 2}, {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True},
         {"kernel_size": 3, "stride": 2, "padding": 1, "count_include_pad": False}]  # fmt: skip
NORMS = [{"norm_type": 2, "kernel_size": 2}, {"norm_type": 3, "kernel_size": 3, "stride": 2},
         {"norm_type": 1.5, "kernel_size": 2}, {"norm_type": 2, "kernel_size": 2, "stride": 3, "ceil_mode": True}]  # fmt: skip
CASES = [(f"{kind}Pool{rank}d", settings, shape)
         for rank, shapes in ((1, LINES), (3, VOLUMES)) for shape in shapes
         for kind, several in (("Max", MAXIMA), ("Avg", MEANS), ("AdaptiveAvg", [{"output_size": n} for n in (1, 3, 6)]),
                               ("AdaptiveMax", [{"output_size": n} for n in (1, 3, 6)]))
         for settings in several]  # fmt: skip
CASES += [(f"{kind}Pool3d", settings, shape) for shape in VOLUMES[:2] for kind, settings in (
    ("Max", {"kernel_size": (1, 2, 3), "stride": (2, 1, 2), "padding": (0, 1, 1)}),
    ("Avg", {"kernel_size": (2, 1, 3), "stride": (1, 2, 2), "padding": (1, 0, 1), "divisor_override": 5}),
    ("AdaptiveAvg", {"output_size": (2, None, 4)}), ("AdaptiveMax", {"output_size": (None, 2, 1)}),
)]  # fmt: skip


@pytest.mark.parametrize(("name", "settings", "shape"), CASES, ids=str)
def test_lines_and_volumes(name, settings, shape):
    check_module(lambda n: getattr(n, name)(**settings), *shape, modes=(True,))


class Positive(torch.nn.Module):
    """Something behind exp, for powers that want numbers above 0."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x.exp())


class OurPositive(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x.exp())


@pytest.mark.parametrize("settings", NORMS, ids=str)
@pytest.mark.parametrize("name, shape", [("LPPool1d", (2, 5, 9)), ("LPPool2d", (3, 17, 6, 7)), ("LPPool2d", (3, 6, 7)),
                                         ("LPPool3d", (1, 3, 5, 4, 6))])
def test_norms(name, shape, settings):
    check_module(lambda n: (OurPositive if n is nn else Positive)(getattr(n, name)(**settings)), *shape, modes=(True,))


def test_norms_of_zeros_have_no_gradient():
    x = np.zeros((1, 2, 4, 4), np.float32)
    for p in (1, 1.5, 2, 3):
        y, pullback = st.vjp(nn.LPPool2d(p, 2), x)
        assert not y.any() and not pullback(np.ones_like(y))[0].any()


@pytest.mark.parametrize("keepdim", [True, False])
@pytest.mark.parametrize("shape", [(2, 5, 9), (3, 17, 4, 5), (2, 3, 4, 3, 2), (1, 1, 7, 7), (1, 40, 1, 1)], ids=str)
@pytest.mark.parametrize("kind", ["Avg", "Max"])
def test_global(kind, shape, keepdim):
    rank = len(shape) - 2

    def make(n):
        if n is nn:
            return getattr(n, f"Global{kind}Pool{rank}d")(keepdim)
        pool = getattr(n, f"Adaptive{kind}Pool{rank}d")(1)
        return pool if keepdim else n.Sequential(pool, n.Flatten())

    check_module(make, *shape, modes=(True,))


def test_one_image_and_names_of_all_global_pools():
    for kind in (nn.GlobalAvgPool1d, nn.GlobalMaxPool1d, nn.GlobalAvgPool2d, nn.GlobalMaxPool2d, nn.GlobalAvgPool3d,
                 nn.GlobalMaxPool3d):  # fmt: skip
        shape = (4, 3, 2, 5)[: kind.rank + 1]
        x, reduce = floats(*shape), np.mean if "Avg" in kind.__name__ else np.max
        close(kind(keepdim=False)(x), reduce(x.reshape(4, -1), 1), FORWARD)


class SumPool2d(torch.nn.Module):
    def __init__(self, kernel_size, stride, padding):
        super().__init__()
        self.settings = kernel_size, stride, padding

    def forward(self, x):
        return torch.nn.functional.avg_pool2d(x, *self.settings, divisor_override=1)


@pytest.mark.parametrize("shape", [(2, 5, 9, 8), (1, 16, 6, 6), (3, 7, 7)], ids=str)
def test_sums(shape):
    check_module(lambda n: (nn if n is nn else SumPool2dOf).SumPool2d(3, 2, 1), *shape, modes=(True,))


class SumPool2dOf:
    SumPool2d = SumPool2d


def torch_pyramid(levels, kind):
    """A spatial pyramid of PyTorch's layers."""

    class Pyramid(torch.nn.Module):
        def forward(self, x):
            pool = getattr(torch.nn.functional, f"adaptive_{kind}_pool2d")
            return torch.cat([pool(x, n).flatten(1) for n in levels], 1)

    return Pyramid()


@pytest.mark.parametrize("kind", ["max", "avg"])
@pytest.mark.parametrize("shape", [(2, 5, 13, 13), (1, 16, 7, 9), (2, 17, 4, 3), (1, 1, 1, 1)], ids=str)
def test_pyramids(shape, kind):
    theirs = torch_pyramid((1, 2, 4), kind)
    check_module(lambda n: n.SpatialPyramidPool2d(kind=kind) if n is nn else theirs, *shape, modes=(True,))


@pytest.mark.parametrize("kind", ["max", "avg"])
@pytest.mark.parametrize("size", [(13, 13), (13, 10), (8, 12)], ids=str)
def test_pyramids_of_the_paper(size, kind):
    check_network(nn.SpatialPyramidPool2d((1, 2, 3, 4), kind, "paper"), floats(2, 6, *size))


@pytest.mark.parametrize("rank, shape, settings", [
    (1, (2, 5, 9), {"kernel_size": 2}), (2, (2, 17, 6, 7), {"kernel_size": 2}), (2, (3, 6, 6), {"kernel_size": (3, 2)}),
    (2, (1, 4, 7, 9), {"kernel_size": 3, "stride": 2, "padding": 1}), (3, (2, 3, 4, 5, 6), {"kernel_size": 2}),
    (2, (1, 3, 20, 20), {"kernel_size": 17, "stride": 3}),
], ids=str)  # fmt: skip
def test_indices_and_the_way_back(rank, shape, settings):
    class Net:
        """Pool with indices, and unpool to the input's size."""

        def __new__(cls, n):
            class Both(n.Module):
                def __init__(self):
                    super().__init__()
                    self.pool = getattr(n, f"MaxPool{rank}d")(return_indices=True, **settings)
                    self.back = getattr(n, f"MaxUnpool{rank}d")(**settings)

                def forward(self, x):
                    y, index = self.pool(x)
                    return self.back(y * y, index, x.shape[-rank:])

            return Both()

    if settings.get("stride", settings["kernel_size"]) == settings["kernel_size"]:
        check_module(Net, *shape, modes=(True,))
    net, x = Net(nn), floats(*shape)
    check_network(net, x)
    y, index = net.pool(x)
    wanted = getattr(torch.nn, f"MaxPool{rank}d")(return_indices=True, **settings)(torch.tensor(x))
    assert np.array_equal(y, wanted[0]) and np.array_equal(index, wanted[1]) and index.dtype == np.int32


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_unpooling_by_given_indices(rank):
    """Indices as PyTorch has them, int64, and an output larger than the smallest."""
    size = (5, 7, 9)[:rank]
    x = floats(2, 3, *size)
    pool = getattr(torch.nn, f"MaxPool{rank}d")(2, return_indices=True)
    values, index = pool(torch.tensor(x))
    wanted = getattr(torch.nn, f"MaxUnpool{rank}d")(2)(values, index, output_size=size)

    class Back(nn.Module):
        def __init__(self):
            super().__init__()
            self.back = getattr(nn, f"MaxUnpool{rank}d")(2)

        def forward(self, x, index):
            return self.back(x, index, size)

    assert np.array_equal(Back()(values.numpy(), index.numpy()), wanted)


def test_what_was_unpooled_is_pooled_again():
    x = floats(1, 2, 4, 4, 4)
    for pool, unpool, image in ((nn.MaxPool3d, nn.MaxUnpool3d, x), (nn.MaxPool2d, nn.MaxUnpool2d, x[0]),
                                (nn.MaxPool1d, nn.MaxUnpool1d, x[0, 0])):  # fmt: skip
        y, index = pool(2, return_indices=True)(image)
        assert np.array_equal(pool(2)(unpool(2)(y, index)), np.maximum(y, 0))


@pytest.mark.parametrize("settings", MAXIMA[:2], ids=str)
@pytest.mark.parametrize("shape", [(2, 5, 9, 8), (1, 17, 6, 7), (3, 1, 8, 8), (2, 6, 6)], ids=str)
def test_stochastic(shape, settings):
    net, x = nn.StochasticPool2d(**settings), floats(*shape)
    check_network(net, x, seed=3)
    check_network(net.eval(), x)


def test_two_stochastic_layers_draw_apart():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.pool = nn.StochasticPool2d(4)

        def forward(self, x):
            return self.pool(x), self.pool(x)

    net, x = Net(), np.abs(floats(1, 8, 16, 16))
    st.seed(1)
    a, b = net(x)
    c, _ = net(x)
    assert not np.array_equal(a, b) and not np.array_equal(a, c)
    st.seed(1)
    assert np.array_equal(net(x)[0], a)


BOXES = np.array([[0, 0, 0, 15, 12], [1, 3.5, 2, 9, 30], [0, 6, 6, 6, 6], [1, -4, -4, 5, 5]], np.float32)


@pytest.mark.parametrize("shape", [(2, 5, 10, 9), (2, 17, 6, 6), (2, 1, 4, 4)], ids=str)
def test_regions(shape):
    """Against the references here; those against loops over pixels in tests/ops/test_roi.py."""
    x = floats(*shape)
    for net in (nn.RoIPool((3, 2), 0.5), nn.RoIAlign(2, 0.5, -1), nn.RoIAlign((2, 3), 0.5, 2, aligned=True)):
        check_network(net, x, BOXES)


class Detector(nn.Module):
    """Regions between layers: convolution and ReLU in front, a ReLU and a linear layer behind."""

    def __init__(self, roi):
        super().__init__()
        self.conv, self.roi, self.head = nn.Conv2d(3, 6, 3, padding=1), roi, nn.Linear(6 * 4, 5)

    def forward(self, x, boxes):
        return self.head((self.roi(self.conv(x).relu(), boxes) - 0.1).relu().flatten(1))


@pytest.mark.parametrize("roi", [nn.RoIPool(2, 1.0), nn.RoIAlign(2, 1.0, 2)], ids=str)
def test_regions_in_a_network(roi):
    st.seed(0)
    check_network(Detector(roi), floats(2, 3, 12, 14), BOXES)


def test_boxes_for_each_image():
    class Net(nn.Module):
        def forward(self, x, first, second):
            return nn.functional.roi_align(x, [first, second], 2, sampling_ratio=2)

    x, boxes = floats(2, 3, 8, 8), floats(5, 4, seed=3) + np.array([1, 1, 6, 6], np.float32)
    numbered = np.concatenate([[[0], [0], [1], [1], [1]], boxes], 1).astype(np.float32)
    close(Net()(x, boxes[:2], boxes[2:]), nn.RoIAlign(2, 1.0, 2)(x, numbered), 1e-6)


class TorchVLAD(torch.nn.Module):
    """The paper's equations, pixel by pixel."""

    def __init__(self, num_clusters, dim, normalize_input):
        super().__init__()
        self.normalize_input = normalize_input
        self.conv = torch.nn.Conv2d(dim, num_clusters, 1)
        self.centroids = torch.nn.Parameter(torch.rand(num_clusters, dim))

    def forward(self, x):
        x = torch.nn.functional.normalize(x, dim=1) if self.normalize_input else x
        a = self.conv(x).softmax(1)
        v = (a[:, :, None] * (x[:, None] - self.centroids[:, :, None, None])).sum((-2, -1))
        return torch.nn.functional.normalize(torch.nn.functional.normalize(v, dim=2).flatten(1), dim=1)


@pytest.mark.parametrize("shape", [(2, 8, 3, 4), (1, 5, 6, 6), (3, 17, 2, 2)], ids=str)
@pytest.mark.parametrize("normalize", [True, False])
def test_vlad(shape, normalize):
    make = lambda n: (nn.NetVLAD(4, shape[1], normalize_input=normalize) if n is nn  # noqa: E731
                      else TorchVLAD(4, shape[1], normalize))
    check_module(make, *shape, modes=(True,))


NETS = {
    "text": (lambda n: n.Sequential(n.Unflatten(1, (6, -1)), n.MaxPool1d(3, 2, 1), n.ReLU(), n.AvgPool1d(2), n.Flatten(),
                                    n.Linear(6 * 5, 4)), (3, 120)),
    "video": (lambda n: n.Sequential(n.ReLU(), n.MaxPool3d((1, 2, 2)), n.AvgPool3d(2, 1, 1), n.Sigmoid(),
                                     n.AdaptiveAvgPool3d(1), n.Flatten(), n.Linear(5, 3)), (2, 5, 4, 6, 6)),
    "image": (lambda n: n.Sequential(n.Conv2d(3, 8, 3), n.AdaptiveMaxPool2d((3, 4)), n.Tanh(), n.LPPool2d(2, 2, 1),
                                     n.Flatten(), n.Linear(8 * 6, 3)), (2, 3, 11, 9)),
    "lines": (lambda n: n.Sequential(n.AdaptiveMaxPool1d(5), n.ReLU(), n.AdaptiveAvgPool1d(3)), (2, 6, 13)),
    "solid": (lambda n: n.Sequential(n.AdaptiveMaxPool3d(3), n.ReLU(), n.LPPool3d(2, 2), n.Flatten()), (2, 3, 5, 6, 4)),
}  # fmt: skip


@pytest.mark.parametrize("name", NETS)
def test_chains(name):
    make, shape = NETS[name]
    check_module(make, *shape)


def test_gradients_add_in_overlaps():
    y, pullback = st.vjp(nn.MaxPool2d(3, 2), np.eye(5, dtype=np.float32)[None, None] * 4)
    assert pullback(np.ones_like(y))[0].sum() == y.size
    x = floats(1, 3, 13, 13)
    y, pullback = st.vjp(nn.AvgPool2d(3, 2), x)
    close(pullback(np.ones_like(y))[0].sum(), float(y.size), GRADIENT)
