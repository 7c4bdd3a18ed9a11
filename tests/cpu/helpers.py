"""What the tests of the CPU target share: compiled networks beside the references in float64."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

import striate as st
from striate import nn
from striate.gradient import differentiate
from striate.graph import Graph, unpack

torch.set_num_threads(1)

Array = np.ndarray
FORWARD, GRADIENT = 1e-5, 1e-4
"""Largest error beside the largest number of an array. A float32 sum of n products errs by about sqrt(n) * 6e-8: 2e-6 for
the sums of these tests. A gradient is a sum over all pixels of a product of two such sums, and may cancel."""


def floats(*shape: int, seed: int = 0) -> Array:
    """Normal numbers, float32."""
    return np.random.default_rng([seed, *shape]).standard_normal(shape, np.float32)


def error(got: Any, wanted: Any, scale: float = 1e-30) -> float:
    """The largest difference beside the largest number wanted, or beside `scale` where that is larger."""
    got, wanted = np.asarray(got, np.float64), np.asarray(wanted, np.float64)
    assert got.shape == wanted.shape
    if not got.size or np.array_equal(got, wanted):
        return 0.0
    return float(np.abs(got - wanted).max() / max(np.abs(wanted).max(), scale))


def close(got: Any, wanted: Any, tolerance: float, what: str = "", scale: float = 1e-30) -> None:
    assert error(got, wanted, scale) <= tolerance, (what, error(got, wanted, scale))


def close_gradients(got: Sequence[Any], wanted: Sequence[Any], names: Sequence[str]) -> None:
    """Gradients of one network. One that is nothing but rounding, such as a bias before batch norm, counts beside the others."""
    scale = 1e-3 * max((float(np.abs(np.asarray(w)).max()) for w in wanted if np.size(w)), default=1.0)
    for a, b, name in zip(got, wanted, names, strict=True):
        close(a, b, GRADIENT, name, scale)


def both(make: Callable[[Any], Any]) -> tuple[nn.Module, torch.nn.Module]:
    """A module out of striate.nn, and with the same weights out of torch.nn in float64."""
    torch.manual_seed(0)
    ours, theirs = make(nn), make(torch.nn)
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs.double()


def check_module(make: Callable[[Any], Any], *shape: int, modes: Sequence[bool] = (False, True)) -> None:
    """Output, dx, gradients of parameters and new buffers of a compiled module: as its reference and as PyTorch."""
    x = floats(*shape)
    for training in modes:
        ours, theirs = both(make)
        ours.train(training), theirs.train(training)
        ty = theirs(tx := torch.tensor(x, dtype=torch.float64, requires_grad=True))
        dy = floats(*ty.shape, seed=1)
        ty.backward(torch.tensor(dy, dtype=torch.float64))
        close(st.trace(ours, shape).run(x, target="reference", dtype=np.float64), ty.detach(), 1e-9, "reference")
        y, pullback = st.vjp(ours, x)
        close(y, ty.detach(), FORWARD, "y of vjp")
        for name, wanted in theirs.named_buffers():
            close(ours.state_dict()[name], wanted, FORWARD, name)
        dx, gradients = pullback(dy)
        wanted = {name: parameter.grad for name, parameter in theirs.named_parameters()}
        assert gradients.keys() == wanted.keys()
        close_gradients([dx, *(gradients[name] for name in wanted)], [tx.grad, *wanted.values()], ["dx", *wanted])
        close(ours(x), theirs(tx).detach(), FORWARD, "y")


def reference_vjp(net: nn.Module, inputs: Sequence[Array], random: tuple[int, int] = (0, 0)) -> Callable[..., Any]:
    """`f(dy, dtype) -> {name: array}` by the references: outputs, gradients of float inputs and of parameters."""
    graph = Graph()
    graph.paths.update({id(p): name for name, p in net.named_parameters()})
    graph.paths.update({id(b): name for name, b in net.named_buffers()})
    values = [graph.input(x.shape, "float32" if x.dtype.kind == "f" else str(x.dtype)) for x in inputs]
    outputs, _ = unpack(graph, net(*values))
    seeds = [graph.input(v.shape) for v in outputs]
    wanted = [v for v in values if v.dtype == "float32"] + list(graph.parameters.values())
    found = differentiate(graph, outputs, seeds, wanted)

    count = len(wanted) - len(graph.parameters)
    names = [*(f"output {i}" for i in range(len(outputs))), *(f"dx {i}" for i in range(count)), *graph.parameters]
    zeros = {w: np.zeros(w.shape) for w in wanted}

    def run(dy: Sequence[Array], dtype: Any) -> dict[str, Array]:
        arrays = graph.evaluate([*inputs, *dy], dtype, random)
        arrays.update({v: v.constant for v in outputs if v.constant is not None})
        made = [arrays[v] for v in outputs] + [zeros[w] if g is None else arrays[g] for w, g in zip(wanted, found, strict=True)]
        return dict(zip(names, made, strict=True))

    return run


def listed(outputs: Any) -> list[Array]:
    """Outputs of a network as a list."""
    if isinstance(outputs, dict):
        return list(outputs.values())
    return list(outputs) if isinstance(outputs, (tuple, list)) else [outputs]


def check_network(net: nn.Module, *inputs: Array, seed: int = 0) -> None:
    """Forward and gradients of a compiled network against the references in float64; pullback may be called again.

    Where float32 itself falls short, as in a difference of nearly equal numbers, the reference in float32 says how far.
    """
    state, shapes = net.state_dict(), [v.shape for v in listed(st.trace(net, *inputs).outputs)]
    dy = [floats(*shape, seed=2) for shape in shapes]
    reference = reference_vjp(net, inputs, (seed, 1))
    exact, rough = reference(dy, np.float64), reference(dy, np.float32)

    largest = max((float(np.abs(a).max()) for name, a in exact.items() if not name.startswith("output")), default=0.0)

    def compare(got: dict[str, Array], tolerance: float) -> None:
        for name, array in got.items():
            scale = 1e-30 if name.startswith("output") else max(1e-3 * largest, 1e-30)
            own = error(rough[name], exact[name], scale)
            assert error(array, exact[name], scale) <= max(tolerance, 10 * own), (name, error(array, exact[name], scale), own)

    st.seed(seed)
    y, pullback = st.vjp(net, *inputs)
    outputs = [f"output {i}" for i in range(len(shapes))]
    compare(dict(zip(outputs, listed(y), strict=True)), FORWARD)
    for _ in range(2):
        dx, gradients = pullback(*dy)
        given = [g for g in (dx if isinstance(dx, tuple) else (dx,)) if g is not None]
        assert [*outputs, *(f"dx {i}" for i in range(len(given))), *gradients] == list(exact)
        compare({f"dx {i}": g for i, g in enumerate(given)} | gradients, GRADIENT)
    net.load_state_dict(state)  # running averages have moved
    st.seed(seed)
    compare(dict(zip(outputs, listed(net(*inputs)), strict=True)), FORWARD)
