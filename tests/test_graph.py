"""Graphs: building, names and places, printing, pruning, evaluation, and every error, whole."""

import inspect
from pathlib import Path

import numpy as np
import pytest
from tests.helpers import close, draw

from striate import ops
from striate.errors import ArgumentError, DtypeError, ShapeError
from striate.graph import Graph, as_spec, check_inputs, trace
from striate.nn.module import Module, Parameter
from striate.ops import Spec
from striate.window import windows

FILE = Path(__file__).name


class Conv(Module):
    """A convolution of 3 x 3 without padding."""

    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.weight = Parameter(draw(out_channels, in_channels, 3, 3))

    def forward(self, x):
        return x.graph.apply(ops.Conv2d(windows(3)), x, self.weight)


class Net(Module):
    """Two convolutions, the second of which is used twice."""

    def __init__(self, channels=4):
        super().__init__()
        self.first = Conv(1, channels)
        self.second = Conv(4, 4)

    def forward(self, x):
        x = self.first(x).relu()
        return self.second(self.second(x)) * 0.5


def here(offset=0):
    """file:line of the caller, some lines on."""
    return f"{FILE}:{inspect.currentframe().f_back.f_lineno + offset}"


def test_print():
    assert str(trace(Net(), (2, 1, 9, 9))) == """\
input x: float32 (2, 1, 9, 9)
parameter first.weight: (4, 1, 3, 3)
parameter second.weight: (4, 4, 3, 3)
conv2d = conv2d(x, first.weight) window=3x3 -> (2, 4, 7, 7)    # first
relu = relu(conv2d) -> (2, 4, 7, 7)
conv2d_1 = conv2d(relu, second.weight) window=3x3 -> (2, 4, 5, 5)    # second
conv2d_2 = conv2d(conv2d_1, second.weight) window=3x3 -> (2, 4, 3, 3)    # second
multiply = multiply(conv2d_2, 0.5) -> (2, 4, 3, 3)
return multiply"""


def test_print_of_several_outputs_and_updates():
    graph = Graph()
    x = graph.input((1, 1, 4, 4))
    y, tap = graph.apply(ops.MaxPool2d(windows(2, 2)), x)
    buffer = graph.source(Parameter(np.zeros((1, 1, 2, 2))), "buffer")
    graph.outputs, graph.updates = [y, tap], {buffer: y}
    assert str(graph) == """\
input x: float32 (1, 1, 4, 4)
buffer buffer: (1, 1, 2, 2)
max_pool2d, max_pool2d_1 = max_pool2d(x) window=2x2 stride 2x2 -> (1, 1, 2, 2) (1, 1, 2, 2)
update buffer <- max_pool2d
return max_pool2d, max_pool2d_1"""


def test_names_are_unique():
    graph = Graph()
    x, y = graph.input((2,)), graph.input((2,))
    values = [x, y, x.relu(), y.relu(), x + y, graph.constant([1.0]), graph.constant([2.0])]
    assert [v.name for v in values] == ["x", "x_1", "relu", "relu_1", "add", "constant", "constant_1"]
    assert repr(x) == "Value(x: float32 (2,))"
    assert repr(graph.constant(2.5)) == "Value(2.5: float32 ())"


def test_a_node_knows_its_place():
    graph = trace(Net(), (2, 1, 9, 9))
    conv, relu = graph.nodes[:2]
    line = inspect.getsourcelines(Net.forward)[1]
    assert (conv.module, relu.module) == ("first", "")
    assert conv.location == f"{FILE}:{inspect.getsourcelines(Conv.forward)[1] + 1}"
    assert relu.place == f"relu ({FILE}:{line + 1})"
    assert conv.output.producer is conv and conv.output.index == 0


def test_an_error_names_operator_module_and_line():
    line = inspect.getsourcelines(Conv.forward)[1] + 1
    with pytest.raises(ShapeError) as error:
        trace(Net(channels=3), (2, 1, 9, 9))
    assert error.value.args == (f"conv2d 'second' ({FILE}:{line}): x has 3 channels but the weight (4, 4, 3, 3) with groups=1 "
                                "reads 4 * 1 = 4; use in_channels=3",)
    assert error.value.__cause__ is None and error.value.__suppress_context__


def test_an_error_outside_of_modules_names_the_line():
    graph = Graph()
    with pytest.raises(ShapeError) as error:
        graph.input((2, 3)) + graph.input((4,))
    assert error.value.args == (f"add ({here(-1)}): a (2, 3) and b (4,) do not broadcast: axis -1 has 3 and 4; "
                                "make the sizes equal, or one of them 1",)


def test_an_error_keeps_its_type():
    graph = Graph()
    with pytest.raises(DtypeError) as error:
        graph.input((2,), "uint8").relu()
    assert error.value.args == (f"relu ({here(-1)}): x has dtype uint8 but needs float32; "
                                "convert x with astype('float32')",)


def test_if_on_a_value():
    with pytest.raises(ArgumentError) as error:
        if Graph().input((1,)):
            pass
    assert error.value.args == ("'x' is symbolic: its numbers are not known while the network is traced, so `if` and `while` "
                                "cannot ask for them; decide on shapes and attributes instead",)


def test_a_value_of_another_trace():
    x, other = Graph().input((2,)), Graph().input((2,), name="other")
    with pytest.raises(ArgumentError) as error:
        x + other
    assert error.value.args == ("'other' belongs to another trace; use only values of this call of forward",)


@pytest.mark.parametrize("item", [None, "text", np.array(["a"]), 1j], ids=str)
def test_what_is_no_array(item):
    with pytest.raises(ArgumentError) as error:
        Graph().input((2,)) + item
    assert error.value.args == (f"{type(item).__name__} {item!r} is no array or number; use values, arrays and numbers",)


def test_constants():
    graph, array = Graph(), np.arange(3)
    assert [graph.constant(c).dtype for c in (1, True, 2.5, [1.0], np.float16(1), array)] == ["float32"] * 5 + ["int64"]
    constant = graph.constant(array)
    array[0] = 7
    assert constant.constant[0] == 0  # a copy: later changes of the array do not reach the graph


def test_sizes_of_a_value():
    x = Graph().input((2, 3))
    assert (x.shape, x.ndim, x.dim(), x.size(), x.size(1), x.numel(), len(x)) == ((2, 3), 2, 2, (2, 3), 3, 6, 2)
    assert x.contiguous() is x


def test_prune_keeps_what_outputs_and_updates_need():
    graph = Graph()
    x = graph.input((2,))
    kept, dropped, updated = x.relu(), x.tanh(), x.exp()
    dropped.abs()
    graph.outputs, graph.updates = [kept + 1], {x: updated}
    assert [n.op.name for n in graph.prune().nodes] == ["relu", "exp", "add"]


def test_users():
    graph = Graph()
    x = graph.input((2,))
    y = x.relu()
    z = y * y
    assert graph.users() == {x: [y.producer], y: [z.producer, z.producer]}


def test_one_value_for_each_parameter():
    graph, weight = Graph(), Parameter(draw(2))
    assert graph.lift(weight) is graph.lift(weight)
    assert graph.sources == {graph.lift(weight): weight} and list(graph.parameters) == ["parameter"]


def test_random_state_is_one_value():
    graph = Graph()
    assert graph.random_state() is graph.random_state() and graph.random_state().spec == Spec((2,), "int64")


def test_evaluate_and_run():
    net, x = Net(), draw(2, 1, 9, 9)
    graph = trace(net, x)
    y = graph.run(x, target="reference", dtype=np.float64)
    assert y.dtype == np.float64 and graph.run(x, target="reference").dtype == np.float32
    (output,) = graph.outputs
    close(graph.evaluate([x], np.float64)[output], y)


def test_dropout_is_evaluated_with_the_random_state():
    graph, x = Graph(), np.ones(64)
    y = graph.apply(ops.Dropout(0.5, 0), graph.input((64,)), graph.random_state())
    close(graph.evaluate([x], random=(3, 4))[y], ops.Dropout(0.5, 0).reference(x, np.array([3, 4])))


@pytest.mark.parametrize("form", [lambda x: (x, x + 1), lambda x: [x * 2], lambda x: {"a": x, "b": x.relu()}, lambda x: x])
def test_outputs_come_back_in_the_form_of_forward(form):
    x = np.array([1.0, -2.0])
    made = trace(form, (2,)).run(x, target="reference")
    relu = {"a": x, "b": np.maximum(x, 0)}
    wanted = relu if isinstance(made, dict) else form(x)
    assert type(made) is type(wanted)
    close(list(made.values()) if isinstance(made, dict) else made, list(wanted.values()) if isinstance(made, dict) else wanted)


def test_constant_outputs():
    assert trace(lambda x: (x, 3.0), (2,)).run(np.zeros(2), target="reference")[1] == 3


def test_forward_that_returns_no_value():
    with pytest.raises(ArgumentError) as error:
        trace(lambda x: None, (2,))
    assert error.value.args == ("forward returned NoneType; return a value, or a tuple, list or dict of values",)


def test_run_errors():
    graph = trace(lambda x: x * 2, (2,))
    with pytest.raises(ArgumentError) as error:
        graph.run(np.zeros(2), target="gpu")
    assert error.value.args == ("unknown target 'gpu'; use 'reference' or 'cpu'",)
    with pytest.raises(DtypeError) as error:
        graph.run(np.zeros(2), dtype=np.float64)
    assert error.value.args == ("the cpu target computes in float32 only; use target='reference' for float64",)


INPUTS = [
    ([np.zeros((2, 3))], ArgumentError, "the graph takes 2 inputs, got 1"),
    ([np.zeros((3, 2)), np.zeros(2, int)], ShapeError,
     "input 'x' has shape (3, 2), the graph was traced for (2, 3); trace again for this shape"),
    ([np.zeros((2, 3), int), np.zeros(2, int)], DtypeError,
     "input 'x' has dtype int64, the graph was traced for float32; convert it with astype('float32')"),
    ([np.zeros((2, 3)), np.zeros(2)], DtypeError,
     "input 'target' has dtype float64, the graph was traced for int64; convert it with astype('int64')"),
]


@pytest.mark.parametrize("arrays, kind, text", INPUTS)
def test_inputs_are_checked(arrays, kind, text):
    graph = Graph()
    graph.input((2, 3)), graph.input((2,), "int64", "target")
    with pytest.raises(kind) as error:
        check_inputs(graph, arrays)
    assert error.value.args == (text,)
    check_inputs(graph, [np.zeros((2, 3)), np.zeros(2, np.int32)])


def test_specs():
    assert as_spec([2, 3]) == as_spec(np.zeros((2, 3))) == as_spec(Spec((2, 3))) == Spec((2, 3))
    assert as_spec(np.zeros(2, np.int64)) == Spec((2,), "int64")
    for wrong in (5, "abc"):
        with pytest.raises(ArgumentError) as error:
            as_spec(wrong)
        assert error.value.args == (f"trace needs a shape such as (1, 3, 224, 224), got {wrong!r}",)
