"""Programs: machine forms, workspaces, the prologue, and how variables and stores keep in step."""

import copy
import pickle

import numpy as np
import pytest
from tests.cpu.helpers import FORWARD, GRADIENT, close, floats, reference_vjp

import striate as st
from striate import nn, optim
from striate.cpu.program import Program
from striate.engine import _vjp_builder
from striate.graph import trace
from striate.kernel.machine import host, named


def network():
    st.seed(0)
    return nn.Sequential(nn.Conv2d(3, 9, 3, padding=1), nn.BatchNorm2d(9), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True),
                         nn.Dropout(0.3), nn.Conv2d(9, 18, 3, stride=2, padding=1, groups=3), nn.Tanh(), nn.AvgPool2d(2, 1),
                         nn.Conv2d(18, 5, 1), nn.Flatten(), nn.Linear(20, 20), nn.Sigmoid(), nn.Linear(20, 4), nn.LogSoftmax(1))


@pytest.mark.parametrize("form", ["host", "avx2", "sse2"])
def test_machine_forms(form):
    """AVX2: 8 lanes and 16 registers. SSE2: 4 lanes, no fused multiply-add, no masks. Both run on every x86 with AVX2."""
    machine = host() if form == "host" else named(form)
    net, x, dy = network(), floats(3, 3, 9, 11), floats(3, 4, seed=1)
    graph, (_, names, count, _) = _vjp_builder(net)(x)
    found = Program(graph, machine=machine).run([x, dy], (7, 1))
    wanted = reference_vjp(net, [x], (7, 1))([dy], np.float64)
    close(found[0], wanted["output 0"], FORWARD)
    close(found[1], wanted["dx 0"], GRADIENT)
    scale = max(np.abs(wanted[n]).max() for n in names) * 1e-3
    for name, array in zip(names, found[count + 1:], strict=True):
        close(array, wanted[name], GRADIENT, name, scale)


def test_winograd_and_direct_agree():
    """`precise` turns Winograd's algorithm off; where it is on, its rounding stays near 1e-5."""
    st.seed(0)
    net, x = nn.Conv2d(64, 64, 3, padding=1), floats(2, 64, 20, 20)
    graph = trace(net, x)
    wanted = graph.run(x, target="reference", dtype=np.float64)
    fast, precise = Program(graph.copy()), Program(graph.copy(), precise=True)
    assert [c.kernel.name for c in precise.calls if "Conv" in c.kernel.name] == ["ConvDirect"]
    close(precise.run([x])[0], wanted, 2e-6)
    close(fast.run([x])[0], wanted, 2e-5)


def test_the_module_says_that_it_wants_to_be_precise():
    st.seed(0)
    net, x = nn.Sequential(nn.Conv2d(64, 64, 3, padding=1)), floats(2, 64, 20, 20)
    net.precise = True
    close(net(x), trace(net, x).run(x, target="reference", dtype=np.float64), 2e-6)
    (program, _), = net._programs["forward"].known.values()
    assert "ConvDirect" in [c.kernel.name for c in program.calls]


def test_the_prologue_runs_when_parameters_change():
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)).eval()
    x = floats(2, 3, 4, 4)
    program = Program(trace(net, x))
    assert program.prologue and [c.kernel.name for c in program.calls] == ["StridedCopy", "Gemm", "StridedCopy"]
    first = program.run([x])[0]
    state = program.prepared.copy()
    assert np.array_equal(program.run([x])[0], first) and np.array_equal(program.prepared, state)
    net[1].weight.data = floats(4)
    close(program.run([x])[0], trace(net, x).run(x, target="reference", dtype=np.float64), FORWARD)


def test_a_step_does_not_repeat_its_prologue():
    """What follows from frozen layers is made once, though the learning rate changes every step."""
    st.seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(64, 3))
    net[0].requires_grad_(False), net[1].requires_grad_(False).eval()
    step = st.compile(net, nn.CrossEntropyLoss(), optim.Adam(lr=0.01))
    step(floats(2, 3, 4, 4), np.array([0, 1]))
    (program, _), = step.programs.known.values()
    assert program.prologue
    prepared = program.prepared_for
    step(floats(2, 3, 4, 4), np.array([0, 1]))
    assert program.prepared_for is prepared


def test_parameters_are_packed_once():
    """No call of a step packs, unpacks or copies a parameter."""
    net = network()
    step = st.compile(net, nn.NLLLoss(), optim.SGD(lr=0.1, momentum=0.9))
    step(floats(3, 3, 9, 11), np.array([0, 1, 3]))
    (program, _), = step.programs.known.values()
    assert not {c.kernel.name for c in program.calls} & {"PackWeights", "UnpackWeights"}


def test_variables_are_fetched_when_they_are_read():
    st.seed(0)
    net = nn.Linear(3, 2)
    step = st.compile(net, nn.MSELoss(), optim.SGD(lr=0.1))
    before, version = net.weight.numpy(), net.weight.version
    step(floats(4, 3), floats(4, 2)), step(floats(4, 3), floats(4, 2))
    assert net.weight.version == version and net.weight.refresh is not None  # nobody has asked
    assert not np.array_equal(net.weight.data, before) and net.weight.version == version + 1
    assert net.weight.refresh is None and net.bias.refresh is None


def test_copies_take_the_trained_values():
    st.seed(0)
    net = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    step = st.compile(net, nn.MSELoss(), optim.SGD(lr=0.1))
    for _ in range(2):
        step(floats(4, 3), floats(4, 2))
    twin, loaded = copy.deepcopy(net), pickle.loads(pickle.dumps(net))
    step(floats(4, 3), floats(4, 2))
    fresh = net.state_dict()
    for other in (twin, loaded):
        old = other.state_dict()
        assert not np.array_equal(old["0.weight"], fresh["0.weight"]) and old["1.num_batches_tracked"] == 2
        st.compile(other, nn.MSELoss(), optim.SGD(lr=0.1))(floats(4, 3), floats(4, 2))
        for name, array in other.state_dict().items():
            close(array, fresh[name], 1e-6, name)


def test_workspaces_are_used_again():
    net, x = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), floats(2, 3, 6, 6)
    for _ in range(5):
        net(x)
    (program, _), = net._programs["forward"].known.values()
    assert len(program.idle) == 1
    pullbacks = [st.vjp(net, x)[1] for _ in range(3)]
    (program, _), = net._programs["vjp"].known.values()
    assert not program.idle
    del pullbacks
    assert len(program.idle) == 3


def test_two_networks_may_share_a_module():
    st.seed(0)
    body = nn.Linear(4, 4)
    one, two = nn.Sequential(body, nn.Linear(4, 2)), nn.Sequential(body, nn.Linear(4, 3))
    first, second = (st.compile(net, nn.MSELoss(), optim.SGD([*net.parameters()], lr=0.1)) for net in (one, two))
    x = floats(5, 4)
    for i in range(3):
        first(x, floats(5, 2, seed=i)), second(x, floats(5, 3, seed=i))
        close(one(x), trace(one, x).run(x, target="reference"), FORWARD)
        close(two(x), trace(two, x).run(x, target="reference"), FORWARD)
    assert np.array_equal(one[0].weight.data, two[0].weight.data)


def test_an_operator_without_a_rule():
    from striate.errors import KernelError
    from striate.graph import Graph
    from striate.ops.base import Op, Spec

    class Strange(Op):
        def infer(self, x: Spec) -> Spec:
            return x

        def attributes(self) -> str:
            return ""

    Strange.name = "strange"
    graph = Graph()
    graph.outputs = [graph.apply(Strange(), graph.input((2, 3)))]
    with pytest.raises(KernelError) as caught:
        Program(graph)
    line = test_an_operator_without_a_rule.__code__.co_firstlineno + 14
    assert str(caught.value) == f"strange (test_program.py:{line}): the cpu target has no rule for strange"
