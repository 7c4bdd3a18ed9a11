"""Which nodes become one kernel, and what the rewrites before it keep."""

import numpy as np
import pytest
from tests.cpu.helpers import FORWARD, check_network, close, floats, reference_vjp

import striate as st
from striate import nn, ops
from striate.cpu.fuse import fuse, simplify, written
from striate.cpu.layout import canonical, channels_last, plain
from striate.engine import _vjp_builder
from striate.graph import Graph
from striate.nn import functional as F


class Net(nn.Module):
    def __init__(self, function, **parts):
        super().__init__()
        vars(self)["function"] = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, *inputs):
        return self.function(self, *inputs)


def groups_of(net, *shapes):
    """The names of the nodes of each group that is more than one node."""
    graph = simplify(st.trace(net, *shapes))
    found = fuse(graph, graph.nodes)
    assert [n for g in found for n in g.nodes if n in graph.nodes] and sum(len(g.nodes) for g in found) == len(graph.nodes)
    check_order(found)
    return [" ".join(n.op.name for n in group.nodes) for group in found if len(group.nodes) > 1]


def check_order(groups):
    """Each group reads only what earlier groups, or its own earlier nodes, have made."""
    everything, ready = {v for g in groups for n in g.nodes for v in n.outputs}, set()
    for group in groups:
        for node in group.nodes:
            assert all(v in ready for v in node.inputs if v in everything)
            ready.update(node.outputs)


def test_a_residual_block_is_two_kernels():
    def forward(net, x):
        return (net.b(net.a(x).relu()) * net.scale + x).relu()

    net = Net(forward, a=nn.Conv2d(4, 4, 3, padding=1), b=nn.Conv2d(4, 4, 3, padding=1), scale=nn.Parameter(np.ones((4, 1, 1))))
    assert groups_of(net, (2, 4, 5, 5)) == ["conv2d relu", "conv2d multiply add relu"]


def test_a_loss_is_added_up_where_it_is_computed():
    assert groups_of(nn.MSELoss(), (2, 3, 4, 5), (2, 3, 4, 5)) == ["subtract multiply mean"]
    assert groups_of(Net(lambda net, x, y: (x - y).abs().sum() * 2), (5, 7), (5, 7)) == ["subtract abs sum"]


@pytest.mark.parametrize("forward", [
    lambda net, x, y: ((x * y).sum() * x - y).relu(),
    lambda net, x, y: (z := x * y) / z.mean() + (z * y).sum() + z.sum(),
    lambda net, x, y: (x * y[:1]).mean(),
    lambda net, x, y: nn.functional.dropout(x * y, 0.5).sum(),
    lambda net, x, y: (x.mean() * y.mean() + (x - x.mean()).square().mean()),
])  # fmt: skip
def test_totals_and_what_follows_from_them(forward):
    net, x, y = Net(forward), floats(2, 3, 4, 5), floats(2, 3, 4, 5, seed=1)
    check_network(net, x, y)


def test_equal_nodes_are_computed_once_and_numbers_are_not_spread_out():
    """The gradient of x * x is dy * x twice, where dy is one number."""
    graph, *_ = _vjp_builder(nn.MSELoss())(floats(2, 3), floats(2, 3))
    names = [n.op.name for n in simplify(graph).nodes]
    assert "expand" not in names and names.count("multiply") == 2


def test_fixed_batch_norm_joins_the_convolution():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()).eval()
    assert "conv2d multiply add relu" in groups_of(net, (2, 3, 5, 5))


def test_the_batch_norm_of_training_ends_in_a_chain():
    net = nn.Sequential(nn.BatchNorm2d(4), nn.ReLU())
    assert "batch_norm relu" in groups_of(net, (2, 4, 5, 5))


def test_what_is_not_ready_does_not_join():
    """The other operand is made later than the convolution, so the sum joins the later one."""
    net = Net(lambda net, x: net.a(x) + net.b(x), a=nn.Conv2d(3, 4, 1), b=nn.Conv2d(3, 4, 1))
    assert groups_of(net, (2, 3, 5, 5)) == ["conv2d add"]
    net = Net(lambda net, x: net.a(x) * net.a(x).mean(), a=nn.Conv2d(3, 4, 1))
    assert groups_of(net, (2, 3, 5, 5)) == []


def test_what_the_kernel_cannot_read_does_not_join():
    """A chain reads whole arrays, numbers by channel, or one number; not numbers by row or image."""
    joins, does_not = [(4, 1, 1), (), (2, 4, 3, 3), (1, 4, 1, 1)], [(3,), (2, 1, 1, 1), (1, 4, 3, 3)]
    for shape, fits in [*((shape, True) for shape in joins), *((shape, False) for shape in does_not)]:
        net = Net(lambda net, x: net.a(x) + net.p, a=nn.Conv2d(3, 4, 1), p=nn.Parameter(floats(*shape)))
        assert (groups_of(net, (2, 3, 3, 3)) == ["conv2d add"]) == fits, shape


def test_masks_join_where_memory_is_in_the_order_that_they_count():
    chain = lambda *layers: nn.Sequential(*layers)  # noqa: E731
    assert groups_of(chain(nn.Conv2d(3, 4, 1), nn.Dropout()), (2, 3, 3, 3)) == ["conv2d dropout"]
    assert groups_of(chain(nn.Linear(3, 4), nn.Dropout()), (2, 3)) == ["linear dropout"]
    assert groups_of(chain(nn.Linear(3, 4), nn.Dropout()), (2, 3, 3, 3)) == []
    assert "batch_norm dropout" not in groups_of(chain(nn.BatchNorm1d(3), nn.Dropout()), (2, 3, 4))
    assert "batch_norm dropout" in groups_of(chain(nn.BatchNorm2d(3), nn.Dropout()), (2, 3, 4, 4))


def test_written_layouts():
    graph = Graph()
    x, w = graph.input((2, 3, 4, 5)), graph.input((7, 5))
    y = graph.apply(ops.Linear(), x, w)
    assert written(y.producer) == plain(y.shape) != canonical(y.shape)
    assert written(graph.apply(ops.LinearInputGradient(), y, w).producer) is None
    assert written(graph.apply(ops.Conv2d(nn.Conv2d(3, 3, 1).forward(x).producer.op.window, 1), x,
                               graph.input((3, 3, 1, 1))).producer) == channels_last((2, 3, 4, 5))


def test_outputs_in_the_middle_are_stored():
    net = Net(lambda net, x: (y := net.a(x), y.relu(), y.relu().tanh()), a=nn.Conv2d(3, 4, 1))
    graph = st.trace(net, (2, 3, 5, 5))
    group = next(g for g in fuse(graph, graph.nodes) if g.anchor is not None)
    assert len(group.nodes) == 4 and len(group.stored) == 3
    x = floats(2, 3, 5, 5)
    for got, wanted in zip(net(x), graph.run(x, target="reference", dtype=np.float64), strict=True):
        close(got, wanted, FORWARD)


def test_the_forward_pass_does_not_wait_for_dy():
    """In vjp a backward node never joins a forward kernel, though all but dy is ready there."""
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Tanh())
    y, _ = st.vjp(net, floats(2, 3, 5, 5))
    close(y, net(floats(2, 3, 5, 5)), 1e-6)
    (program, _), = net._programs["vjp"].known.values()
    forward = program.calls[: program.split]
    assert not any("tanh_gradient" in repr(c.kernel) or "TanhGradient" in repr(c.kernel) for c in forward)
    assert any("TanhGradient" in repr(c.kernel) for c in program.calls[program.split:])


@pytest.mark.parametrize("shape, axes, keep", [
    ((2, 3, 4, 5), (2, 3), True), ((2, 3, 4, 5), 1, False), ((6, 4), None, False), ((5,), 0, True),
], ids=str)  # fmt: skip
def test_ties_of_a_maximum_share(shape, axes, keep):
    net = Net(lambda net, x: x.relu().amax(axes, keep))
    x = np.round(floats(*shape))
    y, pullback = st.vjp(net, x)
    graph = Graph()
    value = graph.input(shape)
    made = value.relu().amax(axes, keep)
    dy = floats(*made.shape, seed=1)
    largest = ops.MaxGradient(made.producer.op.axes, keep).reference(dy.astype(np.float64), np.maximum(x, 0), np.asarray(y))
    close(pullback(dy)[0], largest * (x > 0), FORWARD)


@pytest.mark.parametrize("make", [lambda: nn.BatchNorm2d(5, eps=0.1), lambda: nn.BatchNorm2d(5, affine=False)])
def test_rewritten_batch_norm(make):
    net, x = make().eval(), floats(2, 5, 3, 4)
    net.running_mean.data, net.running_var.data = floats(5), np.abs(floats(5, seed=1))
    graph = st.trace(net, x)
    wanted = graph.run(x, target="reference", dtype=np.float64)
    close(graph.run(x), wanted, FORWARD)
    rewritten = simplify(graph)
    assert not any(isinstance(n.op, ops.BatchNormInference) for n in rewritten.nodes)
    close(rewritten.run(x, target="reference", dtype=np.float64), wanted, 1e-7)  # eps becomes a float32


def test_pads_in_front_of_a_convolution_and_slices_behind():
    net = Net(lambda net, x: net.a(F.pad(x, (1, 2, 0, 1), value=2.0))[:, :, 1::2, ::3], a=nn.Conv2d(3, 4, 3))
    x = floats(2, 3, 5, 6)
    close(net(x), st.trace(net, x).run(x, target="reference", dtype=np.float64), FORWARD)


POOLED = {
    "window": (nn.MaxPool2d(2), (2, 4, 6, 6)),
    "overlapping, padded": (nn.MaxPool2d(3, 2, 1), (3, 4, 7, 9)),
    "one axis": (nn.MaxPool1d(3, 2), (2, 5, 11)),
    "three axes": (nn.MaxPool3d(2), (2, 3, 4, 5, 6)),
}


@pytest.mark.parametrize("name", POOLED)
def test_a_rectifier_waits_for_the_maximum(name):
    """Zeros tie and values below zero win where all are, which makes no difference."""
    pool, shape = POOLED[name]
    net = Net(lambda net, x: net.pool((x * 2).relu()), pool=pool)
    names = [n.op.name for n in simplify(st.trace(net, shape)).nodes]
    assert names.index("relu") > names.index(f"max_pool{len(shape) - 2}d") and names.count("relu") == 1
    x = np.round(floats(*shape))
    y, pullback = st.vjp(net, x)
    dy = floats(*y.shape, seed=1)
    wanted = reference_vjp(net, [x])([dy], np.float32)
    assert np.array_equal(y, wanted["output 0"])
    close(pullback(dy)[0], wanted["dx 0"], 1e-6)


def large_arrays(net, *shape):
    """Names of the nodes of both passes whose outputs are as large as the input."""
    graph, _ = _vjp_builder(net)(floats(*shape))
    return [n.op.name for n in simplify(graph).nodes if n.output.spec.size == np.prod(shape)]


def test_what_waits_needs_no_large_array():
    net = nn.Sequential(nn.ReLU(), nn.MaxPool2d(2))
    assert large_arrays(net, 2, 4, 6, 6) == ["max_pool2d_gradient"]


@pytest.mark.parametrize("forward", [
    lambda net, x: net.pool(y := x.relu()) + y[:, :, ::2, ::2],
    lambda net, x: net.pool(x.relu()) + nn.functional.max_pool2d(x.relu() + 1, 2),
    lambda net, x: sum(pool(y) for y in [x.relu()] for pool in (net.pool, nn.MaxPool2d(2))),
    lambda net, x: (y := x.relu(), net.pool(y))[::-1],
    lambda net, x: nn.MaxPool2d(2, return_indices=True)(x.relu()),
])  # fmt: skip
def test_rectifiers_that_others_read(forward):
    net, x = Net(forward, pool=nn.MaxPool2d(2)), floats(2, 3, 4, 6)
    check_network(net, x)
