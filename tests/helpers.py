"""Checks that every operator must pass: shapes, costs, gradients, and agreement with PyTorch in float64."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from striate import ops
from striate.gradient import differentiate
from striate.graph import Graph, Value
from striate.ops import Array, Op, Spec
from striate.window import Window

STEP = 1e-6
torch.set_num_threads(1)


def draw(*shape: int, seed: int = 0) -> Array:
    """Normal numbers, float64."""
    return np.random.default_rng([seed, *shape]).standard_normal(shape)


def specs_of(arrays: Sequence[Array]) -> list[Spec]:
    """Specs as in a graph: numbers are float32."""
    return [Spec(a.shape, "float32" if a.dtype.kind == "f" else str(a.dtype)) for a in arrays]


def check_op(op: Op, *arrays: Array) -> None:
    """All that an operator promises: `check_forward`, and the gradient by adjoint or finite differences."""
    check_forward(op, *arrays)
    check_gradient(op, *arrays)


def check_forward(op: Op, *arrays: Array) -> None:
    """infer == the reference's shapes and types, repr gives the operator back, the cost counts what is written."""
    specs = specs_of(arrays)
    inferred = outputs_of(op.infer(*specs))
    assert all(isinstance(n, int) for spec in inferred for n in spec.shape)
    for dtype in (np.float32, np.float64):
        made = outputs_of(op.reference(*(a.astype(dtype) if a.dtype.kind == "f" else a for a in arrays)))
        wanted = [(s.shape, np.dtype(dtype) if s.dtype == "float32" else np.dtype(s.dtype)) for s in inferred]
        assert [(np.shape(m), m.dtype) for m in made] == wanted
    assert eval(repr(op), {**vars(ops), "Window": Window, "inf": np.inf}) == op
    cost = op.cost(specs, inferred)
    assert min(cost.macs, cost.operations, cost.reads) >= 0 and cost.writes in (0, sum(s.size for s in inferred))


def check_gradient(op: Op, *arrays: Array) -> None:
    """<gradient(dy), v> equals <dy, change of the output along v>, for every float input."""
    dy = draw(*outputs_of(op.infer(*specs_of(arrays)))[0].shape, seed=1)
    gradients = gradients_of(op, arrays, dy)
    for i, (array, gradient) in enumerate(zip(arrays, gradients, strict=True)):
        if array.dtype.kind != "f":
            assert gradient is None
            continue
        v = draw(*array.shape, seed=2)
        got = 0.0 if gradient is None else np.vdot(gradient, v)
        linear = op.inputs[min(i, len(op.inputs) - 1)] in op.linear_in
        ends = (v, np.zeros_like(v), 1.0) if linear else (array + STEP * v, array - STEP * v, 2 * STEP)
        change = (first_output(op, arrays, i, ends[0]) - first_output(op, arrays, i, ends[1])) / ends[2]
        scale = 1 + np.linalg.norm(dy) * np.linalg.norm(change)
        assert abs(np.vdot(dy, change) - got) <= (1e-11 if linear else 1e-7) * scale, (op, i)


def check_torch(op: Op, function: Callable[..., torch.Tensor], *arrays: Array) -> None:
    """The reference and the gradients of all float inputs against PyTorch and its autograd, in float64."""
    tensors = [torch.tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays]
    y = function(*tensors)
    close(outputs_of(op.reference(*arrays))[0], y.detach().numpy())
    dy = draw(*y.shape, seed=1)
    floats = [t for t in tensors if t.requires_grad]
    wanted = iter(torch.autograd.grad(y, floats, torch.tensor(dy), allow_unused=True))
    for tensor, got in zip(tensors, gradients_of(op, arrays, dy), strict=True):
        expected = next(wanted) if tensor.requires_grad else None
        if expected is not None:
            close(got, expected.numpy())


def gradients_of(op: Op, arrays: Sequence[Array], dy: Array) -> list[Array | None]:
    """Gradients of <dy, first output> with respect to every input, computed through the graph in float64."""
    graph, inputs, outputs = graph_of(op, *arrays)
    seed = graph.input(dy.shape, name="dy")
    wanted = [v for v in inputs if v.dtype == "float32"]
    found = dict(zip(wanted, differentiate(graph, outputs[:1], [seed], wanted), strict=True))
    results = graph.evaluate([*arrays, dy], np.float64)
    gradients = [found.get(v) for v in inputs]
    assert all(g.shape == v.shape for g, v in zip(gradients, inputs) if g is not None)
    return [None if g is None else results[g] for g in gradients]


def graph_of(op: Op, *arrays: Array) -> tuple[Graph, list[Value], tuple[Value, ...]]:
    """A graph of one node, with an input for each array."""
    graph = Graph()
    inputs = [graph.input(spec.shape, spec.dtype) for spec in specs_of(arrays)]
    made = graph.apply(op, *inputs)
    return graph, inputs, made if isinstance(made, tuple) else (made,)


def first_output(op: Op, arrays: Sequence[Array], i: int, replaced: Array) -> Array:
    """The first output with input i replaced."""
    return outputs_of(op.reference(*arrays[:i], replaced, *arrays[i + 1 :]))[0]


def outputs_of(made):
    return made if isinstance(made, tuple) else (made,)


def close(got, wanted, rtol: float = 1e-10) -> None:
    """Equal up to rounding, relative to the largest number."""
    scale = np.max(np.abs(wanted), initial=0, where=np.isfinite(wanted))
    np.testing.assert_allclose(got, wanted, rtol=rtol, atol=rtol * max(1.0, scale))
