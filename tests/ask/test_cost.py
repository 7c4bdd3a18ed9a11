"""The cost of networks: against counting every product one by one, and against PyTorch's counter of both passes."""

from functools import reduce
from itertools import product
from operator import add
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import striate as st
from striate import models, nn, optim
from striate.ask.cost import CONVENTIONS, cost
from striate.errors import ArgumentError
from striate.nn import functional as F
from striate.nn import init
from striate.ops.base import Spec
from striate.ops.conv import conv_of, input_gradient_of, weight_gradient_of
from striate.ops.conv_transpose import conv_transpose_of
from striate.window import Window, windows

CONVOLUTIONS = [
    (windows(3, padding=1), 1, (2, 3, 5, 6), 4), (windows(3, stride=2, padding=1), 1, (1, 2, 7, 6), 3),
    (windows((2, 3), dilation=2, padding=2), 2, (1, 4, 6, 5), 2), (windows(3, padding=(0, 1, 2, 0)), 4, (1, 4, 4, 5), 8),
    (windows(5, padding=4), 1, (1, 1, 3, 3), 1), (windows(4, stride=4, rank=1), 1, (1, 2, 9), 2),
    (windows(2, stride=2, padding=1, rank=3), 1, (1, 2, 3, 4, 3), 2),
]


class Number:
    """A number that counts what is done with it."""

    def __init__(self, counts, real=True):
        self.counts, self.real = counts, real

    def __mul__(self, other):
        self.counts["products"] += 1
        self.counts["real"] += self.real and other.real
        return Number(self.counts)

    def __add__(self, other):
        self.counts["additions"] += 1
        return Number(self.counts)


def counted(window, groups, x, k, bias):
    """A convolution written as loops, on numbers that count: products, products with real pixels, additions."""
    counts = {"products": 0, "real": 0, "additions": 0}
    n, c, *size = x
    outs = [w.out(m) for w, m in zip(window, size)]
    for _ in product(range(n), range(k)):
        for place in product(*map(range, outs)):
            terms = []
            for _, *taps in product(range(c // groups), *(range(w.size) for w in window)):
                pixel = [p * w.stride + t * w.dilation - w.pads[0] for p, t, w in zip(place, taps, window)]
                real = all(0 <= i < m for i, m in zip(pixel, size))
                terms.append(Number(counts, real) * Number(counts))
            reduce(add, [*terms, Number(counts)] if bias else terms)
    return counts


def weight_of(window, groups, x, k):
    return Spec((k, x[1] // groups, *(w.size for w in window)))


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("window, groups, x, k", CONVOLUTIONS)
def test_a_convolution_counts_what_its_loops_do(window, groups, x, k, bias):
    op = conv_of(window, groups)
    inputs = [Spec(x), weight_of(window, groups, x, k), *([Spec((k,))] if bias else [])]
    found, counts = op.cost(inputs, [op.infer(*inputs)]), counted(window, groups, x, k, bias)
    assert found.macs == counts["products"]
    assert found.macs - found.padded == counts["real"]
    assert CONVENTIONS["notes_bias"](found) == counts["products"] + counts["additions"]


@pytest.mark.parametrize("window, groups, x, k", CONVOLUTIONS)
def test_gradients_and_the_transposed_convolution_do_the_same_products(window, groups, x, k):
    weight = weight_of(window, groups, x, k)
    forward = conv_of(window, groups)
    y = forward.infer(Spec(x), weight)
    wanted = forward.cost([Spec(x), weight], [y])
    for op, inputs in ((input_gradient_of(window, groups, x[2:]), [y, weight]),
                       (conv_transpose_of(window, groups, x[2:]), [y, weight]),
                       (weight_gradient_of(window, groups), [Spec(x), y])):
        found = op.cost(inputs, [op.infer(*inputs)])
        assert (found.macs, found.padded) == (wanted.macs, wanted.padded)


def test_real_pixels_of_a_window():
    for size, stride, dilation, low, high, n in product((1, 2, 3, 4), (1, 2, 3), (1, 2, 3), (0, 1, 4), (0, 1, 3), (1, 2, 5, 8)):
        window = Window(size, stride, dilation, (low, high))
        if n + low + high >= window.extent:
            read = [len(window.taps_inside(p, n)) for p in range(window.out(n))]
            assert window.products(n) == sum(read)


class Shared(nn.Module):
    """One layer used twice, a function with a weight of its own, and a product of matrices."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1, bias=False)
        self.weight = nn.Parameter(np.zeros((8, 3, 3, 3), np.float32))
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        return self.head(F.conv2d(self.conv(self.conv(x)), self.weight, padding=1).permute(0, 2, 3, 1))


def test_every_use_of_a_layer_counts_and_functions_do_too():
    assert cost(Shared(), (3, 8, 8)).total == 2 * 64 * 81 + 64 * 8 * 27 + 64 * 8 * 5


def test_both_passes_agree_with_pytorch():
    net = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU(), nn.ConvTranspose2d(8, 4, 3, 2, 1, 1),
                        nn.Conv2d(4, 4, 1), nn.Flatten(), nn.Linear(4 * 64, 10))
    twin = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, stride=2, padding=1), torch.nn.ReLU(),
                               torch.nn.ConvTranspose2d(8, 4, 3, 2, 1, 1), torch.nn.Conv2d(4, 4, 1), torch.nn.Flatten(),
                               torch.nn.Linear(4 * 64, 10))
    with FlopCounterMode(display=False) as counter:
        y = twin(torch.zeros(2, 3, 8, 8))
        forward = counter.get_total_flops()
        y.sum().backward()
    found = cost(net, (3, 8, 8), batch=2, training=True)
    assert (2 * found.forward, 2 * found.backward) == (forward, counter.get_total_flops() - forward)


def test_pytorch_counts_the_weight_gradient_of_groups_as_if_there_were_none():
    """What docs/cost.md says of PyTorch's own counter."""
    with FlopCounterMode(display=False) as counter:
        torch.nn.Conv2d(8, 8, 3, padding=1, groups=8)(torch.zeros(1, 8, 8, 8)).sum().backward()
    found = cost(nn.Conv2d(8, 8, 3, padding=1, groups=8), (8, 8, 8), training=True)
    assert counter.get_flop_counts()["Global"][torch.ops.aten.convolution_backward] == 8 * 2 * found.backward
    assert found.backward == found.forward == 8 * 64 * 9


def test_frozen_parameters_have_no_backward_pass():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Conv2d(2, 3, 3))
    every = cost(net, (1, 8, 8), training=True)
    assert every.backward == 36 * 18 + 2 * 16 * 54  # no gradient of the image; both gradients of the second layer
    net[0].requires_grad_(False)
    assert cost(net, (1, 8, 8), training=True).backward == 16 * 54
    assert cost(net, (1, 8, 8), training=True).forward == every.forward


def test_the_update_counts_under_flops():
    net = nn.Linear(10, 4)
    found = cost(net, (10,), "flops", optimizer=optim.Adam(net.parameters()))
    assert found.update == 16 * 44
    assert {row.layer for row in found.rows} == {""} and found.total == found.forward + found.backward + found.update
    assert cost(net, (10,), "flops", optimizer=optim.SGD()).update == 4 * 44
    assert cost(net, (10,), "macs", optimizer=optim.SGD()).left_out == {"sum": 4, "sgd_plain_update": 176}


def test_asking_leaves_the_optimizer_free():
    optimizer = optim.Adam()
    cost(nn.Linear(3, 2), (3,), optimizer=optimizer)
    assert optimizer._net is None and not optimizer.state


def test_bytes_and_intensity():
    found = cost(nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.MaxPool2d(2), nn.Flatten()), (3, 10, 10), "flops")
    conv, pool, flatten = found.rows
    assert (conv.read, conv.written) == (4 * (300 + 216), 4 * 512)
    assert (pool.read, pool.written) == (4 * 512, 2 * 4 * 128)  # with the place of each maximum
    assert (flatten.read, flatten.written) == (0, 0)
    assert conv.intensity == 2 * 512 * 27 / (4 * (516 + 512))
    assert found.bytes == 4 * (516 + 512 + 512 + 256)


def test_whole_numbers_are_eight_bytes():
    class Pick(nn.Module):
        def forward(self, x):
            return x[:, 2:4]

    row, = cost(Pick(), Spec((7,), "int64")).rows
    assert row.written == 16


def test_what_a_convention_leaves_out_is_said():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2))
    assert cost(net, (1, 8, 8)).left_out == {"relu": 72, "max_pool2d": 72}
    assert cost(net, (1, 8, 8), "flops").left_out == {}
    assert cost(net, (1, 8, 8)).totals() == ("648 macs, 1.6 KiB moved, 0.9 FLOPs a byte; "
                                             "not counted: relu 72, max_pool2d 72")


def test_adaptive_pooling_counts_bins_that_overlap():
    assert cost(nn.AdaptiveAvgPool2d(3), (4, 7, 7), "flops").total == 4 * 9 * 9


def test_it_is_shown_and_plain_data():
    found = cost(nn.Sequential(nn.Conv2d(1, 2, 3, bias=False), nn.ReLU()), (1, 5, 5))
    assert found.text() == (
        "Sequential, batch 1\n"
        "layer  op      macs  share           read  written  FLOPs/byte\n"
        "──────────────────────────────────────────────────────────────\n"
        "0      conv2d   162  100.0% ██████  172 B     72 B         1.3\n"
        "1      relu                          72 B     72 B         0.1\n"
        "\n"
        "162 macs, 388 B moved, 0.9 FLOPs a byte\n"
        "not counted: relu 18\n")
    assert repr(found) == "Costs(Sequential: 162 macs, 388 B moved, 0.9 FLOPs a byte; not counted: relu 18)"
    assert found.to_dict()["rows"][0] == {"layer": "0", "op": "conv2d", "phase": "forward", "count": 162, "macs": 162,
                                          "flops": 324, "read": 172, "written": 72}
    assert {"forward", "backward", "update", "total", "left_out"} <= set(found.to_dict())


COPIES = {"reshape", "expand", "transpose", "concat", "slice", "slice_gradient", "embedding", "pad", "pad_gradient", "flip",
          "resample", "detach"}
"""All that an operator may do without arithmetic; a resample of nearest neighbours only."""


@pytest.mark.parametrize("convention", ["macs", "flops"])
@pytest.mark.parametrize("name", ["lenet5", "captcha", "textcnn", "googlenet_tiny", "resnet_tiny", "mobilenet_v2_tiny", "espcn"])
def test_every_operator_counts_or_is_listed(name, convention):
    net = models.create(name)
    found = cost(net, models.input_shape(net), convention, batch=2, optimizer=optim.Adam())
    for row in found.rows:
        assert (found.count(row) > 0) + (row.op in found.left_out and not found.count(row)) + (not row.flops) == 1, row
    assert COPIES >= found.moves.keys() and found.to_dict()["moves"] == found.moves


def test_wrong_use_is_explained():
    with pytest.raises(ArgumentError) as error:
        cost(nn.ReLU(), (3,), convention="ops")
    assert str(error.value) == "unknown convention 'ops'; use macs, real_macs, flops, notes, notes_bias"
    with pytest.raises(ArgumentError) as error:
        cost(nn.ReLU(), (3,), batch=0)
    assert str(error.value) == "batch must be a whole number of at least 1, got 0"


TOTALS = {"vgg16": 15_470_264_320, "vgg19": 19_632_062_464, "resnet50": 4_089_184_256}


@pytest.mark.parametrize("name", TOTALS)
def test_published_totals(name):
    with init.skipped():
        net = models.create(name)
    assert st.cost(net, (3, 224, 224), convention="macs").total == TOTALS[name]


PAGE = (Path(__file__).parents[2] / "docs" / "cost.md").read_text(encoding="utf-8")


class Function(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(np.zeros((8, 3, 3, 3), np.float32))

    def forward(self, x):
        return F.conv2d(x, self.w, padding=1)


class Own(nn.Conv2d):
    pass


class Product(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(np.zeros((64, 10), np.float32))

    def forward(self, x):
        return x.flatten(1) @ self.w


ELSEWHERE = [
    ("ConvTranspose2d(8, 4, 3, 2, 1, 1)", nn.ConvTranspose2d(8, 4, 3, 2, 1, 1), (8, 8, 8)),
    ("ConvTranspose2d(8, 4, 4, 4)", nn.ConvTranspose2d(8, 4, 4, 4), (8, 8, 8)),
    ("ConvTranspose2d(8, 8, 3, 2, 1, 1, groups=4)", nn.ConvTranspose2d(8, 8, 3, 2, 1, 1, groups=4), (8, 8, 8)),
    ("ConvTranspose1d(8, 4, 3, 2, 1, 1)", nn.ConvTranspose1d(8, 4, 3, 2, 1, 1), (8, 16)),
    ("Linear(16, 32)", nn.Linear(16, 32), (5, 16)), ("F.conv2d(x, w, padding=1)", Function(), (3, 8, 8)),
    ("Conv2d(3, 8, 3, padding=1)", Own(3, 8, 3, padding=1), (3, 8, 8)), ("x.flatten(1) @ w", Product(), (1, 8, 8)),
]


@pytest.mark.parametrize("name, net, shape", ELSEWHERE, ids=[name for name, _, _ in ELSEWHERE])
def test_the_page_of_wrong_answers_gives_ours(name, net, shape):
    line, = (line for line in PAGE.splitlines() if line.startswith("|") and f"`{name}`" in line)
    assert line.split("|")[2:4] == [f" {' x '.join(map(str, shape))} ", f" {cost(net, shape).total:,} "]


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_the_page_of_conventions_is_true(convention):
    with init.skipped():
        net = models.create("vgg16")
    line, = (line for line in PAGE.splitlines() if line.startswith(f"| `{convention}` |"))
    assert f"{cost(net, (3, 224, 224), convention).total:,}" == line.split("|")[3].strip()
