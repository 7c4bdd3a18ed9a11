"""Where every size comes from: the equation of each layer with its numbers; and where sizes do not fit, the way there.

    window       floor((n + low + high - D) / stride) + 1,   D the extent of the taps
    transposed   (n - 1) * stride - low - high + D + output padding
    parameters   the product of each parameter's shape, and the bias

The equations are the operators' own (`Op.formula`, `window.Window.formula`).

Source: Dumoulin & Visin, A guide to convolution arithmetic for deep learning, arXiv:1603.07285.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from striate.ask import tables
from striate.ask.tracing import batched, mode, name_of, network, partial, specs_of
from striate.errors import ShapeError
from striate.graph import Graph, Node
from striate.ops.conv_transpose import ConvTranspose
from striate.window import Window, named_pads

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Step:
    """One operator: shapes without the batch axis, the equation of the output's sizes, and that of the parameters."""

    layer: str
    op: str
    inputs: tuple[Shape, ...]
    output: Shape
    formula: str
    parameters: str

    def __str__(self) -> str:
        inputs = ", ".join(map(tables.shape, self.inputs))
        lines = [f"{self.layer or '-'}  {self.op}: {inputs} -> {tables.shape(self.output)}", self.formula,
                 f"parameters: {self.parameters}" if self.parameters else ""]
        return "\n    ".join(filter(None, lines))


@dataclass(frozen=True)
class Explanation:
    """The steps from the input on; `error` says what does not fit, `mends` what would keep sizes on the way there."""

    network: str
    inputs: tuple[Shape, ...]
    steps: tuple[Step, ...]
    error: ShapeError | None
    mends: tuple[str, ...]

    def text(self) -> str:
        """All of it as text, a few lines for each step."""
        lines = [f"{self.network} on {', '.join(map(tables.shape, self.inputs))}", *map(str, self.steps)]
        if self.error is not None:
            lines += ["does not fit:", f"    {self.error}"]
            lines += ["to keep sizes on the way:", *(f"    {mend}" for mend in self.mends)] if self.mends else []
        return "\n".join(lines) + "\n"

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        ends = f"fails: {self.error}" if self.error else f"output {tables.shape(self.steps[-1].output)}" if self.steps else ""
        return f"Explanation({self.network}: {len(self.steps)} steps, {ends})"


def explain(net: Any, input_shape: Any, show: bool = True) -> Explanation:
    """The equation of every size with its numbers, printed unless `show` is False.

    input_shape: of one item, without the batch axis. Sizes that do not fit are part of the answer, not an exception:
    the steps up to them, what is wrong, and what to change.

    >>> from striate import nn
    >>> answer = explain(nn.Sequential(nn.Conv2d(1, 6, 5), nn.Flatten(), nn.Linear(4704, 10)), (1, 28, 28))
    Sequential on 1 x 28 x 28
    0  conv2d: 1 x 28 x 28 -> 6 x 24 x 24
        height, width: (28 - 5) / 1 + 1 = 24
        parameters: 6 * 1 * 5 * 5 + 6 = 156
    1  reshape: 6 x 24 x 24 -> 3456
        6 * 24 * 24 = 3456
    does not fit:
        linear '2' (...): x (1, 3456) does not end in the 4704 features that the weight (10, 4704) reads; use in_features=3456
    to keep sizes on the way:
        0: padding=2 keeps 28 x 28
    """
    net, inputs = network(net), batched(input_shape)
    with mode(net, training=False):
        graph, error = partial(net, inputs)
    found = Explanation(name_of(net), tuple(spec.shape[1:] for spec in inputs), tuple(steps(graph)), error,
                        tuple(mends(graph)) if error is not None else ())
    if show:
        print(found.text(), end="")
    return found


def steps(graph: Graph) -> Iterator[Step]:
    """One step for each node."""
    left = set(graph.parameters.values())
    for node in graph.nodes:
        own = [v for v in node.inputs if v in left]
        left.difference_update(own)
        products = " + ".join(" * ".join(map(str, v.shape)) for v in own)
        sources = tuple(v.shape[1:] for v in node.inputs if v.constant is None and v not in graph.sources)
        yield Step(node.module, node.op.name, sources, node.output.shape[1:],
                   node.op.formula(specs_of(node.inputs), specs_of(node.outputs)),
                   f"{products} = {sum(v.spec.size for v in own)}" if own else "")


def mends(graph: Graph) -> Iterator[str]:
    """What would have kept the size of each layer on the way, or the stride's share of it, rounded up."""
    for node in graph.nodes:
        window, name = getattr(node.op, "window", ()), node.module or node.op.name
        before, after = node.inputs[0].shape[2:], node.output.shape[2:]
        if not window or len(before) != len(window) or before == after:
            continue
        if all(w.stride == 1 for w in window):
            yield f"{name}: padding={keeping(window)} keeps {tables.shape(before)}"
        elif isinstance(node.op, ConvTranspose):
            yield f"{name}: output_padding=1 makes {tables.shape([n + 1 for n in after])}"
        elif mend := rounding_up(node, before, after):
            yield f"{name}: {mend}"


def rounding_up(node: Node, before: Shape, after: Shape) -> str:
    """How windows with strides would make ceil(n / stride) pixels: pooling by rounding, convolutions by padding."""
    window = node.op.window
    wanted = tuple(-(-n // w.stride) for n, w in zip(before, window))
    if wanted == after:
        return ""
    changes = {f"padding={p}": {"pads": (p, p)} for p in range(1, max(w.extent for w in window))}
    for name, change in ({"ceil_mode=True": {"ceil": True}} if len(node.inputs) == 1 else changes).items():
        if tuple(replace(w, **change).out(n) for w, n in zip(window, before)) == wanted:
            return f"{name} makes {tables.shape(wanted)}"
    return ""


def keeping(window: tuple[Window, ...]) -> str:
    """The padding with which windows of stride 1 keep the size.

    >>> keeping((Window(3), Window(3))), keeping((Window(3), Window(5))), keeping((Window(2), Window(2)))
    ('1', '(1, 2)', "'same'")
    """
    pads = [named_pads("same", w, w.extent) for w in window]
    if any(low != high for low, high in pads):
        return "'same'"
    sides = [low for low, _ in pads]
    return str(sides[0]) if len(set(sides)) == 1 else f"({', '.join(map(str, sides))})"
