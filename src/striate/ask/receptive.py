"""The receptive field: which pixels of the input a position of a layer sees, and which of them are padding.

Along each axis a chain of layers with strides s_i and windows of extent D_i = d_i (k_i - 1) + 1 gives

    stride (jump)   j = s_1 s_2 ... s_l                    pixels from one position's field to the next one's
    size            r = 1 + sum_i (D_i - 1) s_1 ... s_{i-1}
    padding         P = sum_i p_i s_1 ... s_{i-1}          pixels of the first position's field before the image
    start           r / 2 - P                              its centre, where pixel i spans i .. i + 1
    center          start - 1/2                            the same in pixel numbers

and of branches that meet the union counts. Here this is one walk over any graph (ask/laws.py), with what operators say of
themselves (`Op.sees`). Pooling is a window like any other; padding moves the field and does not change its size.

Sources: Dumoulin & Visin, arXiv:1603.07285; Araujo, Norris & Sim, Computing receptive fields of convolutional neural networks,
Distill 2019, equations 1 to 7.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from striate.ask import laws
from striate.ask.tables import Answer, Column, Table, as_csv
from striate.ask.tracing import name_of, network, traced
from striate.errors import ArgumentError
from striate.graph import Graph, Value

if TYPE_CHECKING:
    from striate.draw.svg import Drawing

Range = tuple[int, int]
LABEL, WIDE, LINE = 130, 460, 18
"""Pixels of the drawing: names, the widest bar, the height of a bar's line."""


@dataclass(frozen=True)
class Box:
    """What one position sees, as (first, stop) pixels for each axis: with padding, and cut to the image.

    >>> Box(((-1, 3), (3, 6)), ((0, 3), (3, 6))).on_padding
    0.25
    """

    unclipped: tuple[Range, ...]
    clipped: tuple[Range, ...]

    @property
    def on_padding(self) -> float:
        """The share of the field that lies outside the image, 0 to 1."""
        real, full = (math.prod(max(0, b - a) for a, b in box) for box in (self.clipped, self.unclipped))
        return 1 - real / full if full else 0.0

    @property
    def slices(self) -> tuple[slice, ...]:
        """For indexing an image: image[(..., *box.slices)]."""
        return tuple(slice(*ends) for ends in self.clipped)


@dataclass(frozen=True)
class Field:
    """What the positions of one layer's output see of a source, the network's input or a lower layer.

    size, stride, start, center and padding have one number for each spatial axis, (height, width) for images; start, center
    and padding are those of the first position. Where all positions see the same, the stride is 0.
    """

    value: Value = field(repr=False)
    source: Value = field(repr=False)
    laws: tuple[laws.Law, ...] = field(repr=False)
    graph: Graph = field(repr=False, compare=False)

    @property
    def layer(self) -> str:
        """The module's path."""
        return self.value.producer.module if self.value.producer else ""

    @property
    def op(self) -> str:
        return self.value.producer.op.name if self.value.producer else "input"

    @property
    def size(self) -> tuple[int, ...]:
        """Pixels; padding counts, so a field may be larger than the image. Of what sees everything: the whole image."""
        return tuple(law.size for law in self.laws)

    @property
    def stride(self) -> tuple[int | Fraction, ...]:
        """Pixels between the fields of neighbours; a fraction after upsampling."""
        steps = (Fraction(law.shift, law.period) for law in self.laws)
        return tuple(int(s) if s.denominator == 1 else s for s in steps)

    @property
    def start(self) -> tuple[float, ...]:
        """The centre of the first position's field, where pixel i spans i .. i + 1."""
        return tuple((sum(law.ends(0)) + 1) / 2 for law in self.laws)

    @property
    def center(self) -> tuple[float, ...]:
        """The same centre in pixel numbers: 0 is the middle of the first pixel."""
        return tuple(sum(law.ends(0)) / 2 for law in self.laws)

    @property
    def padding(self) -> tuple[int, ...]:
        """Effective padding: pixels of the first position's field before the image; negative where it begins inside."""
        return tuple(-law.ends(0)[0] for law in self.laws)

    @property
    def whole(self) -> bool:
        """Whether the field does not move and is all of the source."""
        sizes = [self.source.shape[axis] for axis in laws.spatial(self.source)]
        return all(law.axis is None and law.size == n for law, n in zip(self.laws, sizes))

    @property
    def aligned(self) -> bool:
        """Whether all branches on the way have the same centres: where not, a sum or a concatenation mixes shifted views."""
        return all(law.aligned for law in self.laws)

    def box(self, position: Sequence[int] = ()) -> Box:
        """What one position (p, q) sees; without one, where no axis moves, what all positions see together.

        The clipped box is exact: the smallest that holds all real pixels which the output depends on. Pixels that padding
        mirrors or repeats count where they come from.

        Raises ArgumentError: a position outside the map.
        """
        masks = [np.ones(n, bool) for n in self.value.shape]
        for i, axis in enumerate(self.position_axes(position)):
            if axis is not None:
                masks[axis] = np.arange(len(masks[axis])) == self._inside(position, i, axis)
        found = laws.seen(self.graph, self.source, reached(self.graph, self.source), self.value, masks)
        ends = [law.ends(position[i] if law.axis is not None else 0) for i, law in enumerate(self.laws)]
        cut = [laws.fixed(mask).ends(0) for mask in found]
        return Box(*(tuple((first, last + 1) for first, last in both) for both in (ends, cut)))

    def position_axes(self, position: Sequence[int]) -> list[int | None]:
        """The axis of the value that each number of a position counts along; None where it has no meaning."""
        if len(position) != len(self.laws) and (position or any(law.axis is not None for law in self.laws)):
            raise ArgumentError(f"a position has {len(self.laws)} numbers, one for each axis of the map, got {tuple(position)}")
        usual = [*laws.spatial(self.source)] if position and self.value.ndim == self.source.ndim else [None] * len(self.laws)
        return [axis if law.axis is None else law.axis for law, axis in zip(self.laws, usual)]

    def _inside(self, position: Sequence[int], i: int, axis: int) -> int:
        n = self.value.shape[axis]
        if not 0 <= position[i] < n:
            raise ArgumentError(f"position {tuple(position)} is outside the map: axis {i} of layer '{self.layer or self.op}' has "
                                f"{n} positions; use 0 to {n - 1}")
        return int(position[i])

    def __repr__(self) -> str:
        return f"{type(self).__name__}(size={self.size}, stride={self.stride}, start={self.start}, padding={self.padding})"

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        numbers = {name: getattr(self, name) for name in ("size", "start", "center", "padding", "aligned", "whole")}
        return {"layer": self.layer, "op": self.op, **numbers, "stride": tuple(map(float, self.stride))}


@dataclass(frozen=True)
class ReceptiveField(Field, Answer):
    """The field of a network's output, or of the layer that was asked for; `layers` holds those of all operators before it."""

    network: str = ""
    layers: tuple[Field, ...] = field(default=(), repr=False)

    def __getitem__(self, layer: str) -> Field:
        """The field of a layer, by its path."""
        value = find(self.graph, layer)
        return next(f for f in self.layers if f.value is value)

    def covering(self, pixels: int) -> Field:
        """The first layer whose field holds an object of so many pixels, real ones on its image: deeper ones see more around it.

        Objects of several sizes want features of several layers.

        Raises ArgumentError: none does, or the object is larger than the image.
        """
        sizes = [self.source.shape[axis] for axis in laws.spatial(self.source)]
        found = next((f for f in self.layers if min(f.size) >= pixels), None) if 0 < pixels <= min(sizes) else None
        if found is None:
            widest = max((min(f.size) for f in self.layers), default=0)
            raise ArgumentError(f"no layer sees an object of {pixels} pixels: fields go up to {widest} on an image of "
                                f"{times(sizes)}; use more layers, strides or dilation")
        return found

    def table(self) -> Table:
        """One row for each operator."""
        numbers = [Column(name, True, i) for i, name in enumerate(("field", "stride", "start", "padding"))]
        rows = [(f.layer, f.op, *map(times, (f.size, f.stride, f.start, f.padding)),
                 "whole" if f.whole else "" if f.aligned else "misaligned") for f in self.layers]
        columns = [Column("layer"), Column("op"), *numbers, *([Column("")] if any(row[-1] for row in rows) else [])]
        pixels = times([self.source.shape[axis] for axis in laws.spatial(self.source)])
        return Table(f"{self.network}: receptive fields on {pixels} pixels", [], columns, [row[:len(columns)] for row in rows])

    def drawing(self) -> Drawing:
        """How wide each layer sees: a bar where a field is another one than before, around the middle of the image (the band)."""
        from striate.draw.svg import BLUE, FAINT, RED, SAND, Drawing

        shown = [f for f, before in zip(self.layers, (None, *self.layers)) if before is None or f.size != before.size]
        image = self.source.shape[-1]
        scale, top = WIDE / max(image, *(f.size[-1] for f in shown)), 40
        drawing = Drawing(LABEL + WIDE + 70, top + LINE * len(shown) + 30, f"Receptive fields of {self.network}, pixels in width")
        drawing.text(16, 24, drawing.title, size=14, weight="bold")
        middle, high = LABEL + WIDE / 2, LINE * len(shown)
        drawing.box(middle - scale * image / 2, top, scale * image, high, fill=SAND)
        drawing.text(middle, top + high + 16, f"image: {image}", size=11, fill=FAINT, anchor="middle")
        for i, f in enumerate(shown):
            y, half = top + LINE * i, scale * f.size[-1] / 2
            drawing.text(LABEL - 8, y + 13, f"{f.layer or f.op}", size=11, anchor="end")
            drawing.box(middle - half, y + 3, 2 * half, LINE - 6, fill=BLUE if f.aligned else RED, stroke=None)
            drawing.text(middle + half + 4, y + 13, str(f.size[-1]), size=11)
        return drawing

    def save(self, path: str | Path) -> Path:
        """Write the drawing as SVG."""
        return self.drawing().save(path)

    def to_dict(self) -> dict[str, Any]:
        return {**super().to_dict(), "network": self.network, "layers": [f.to_dict() for f in self.layers]}

    def to_csv(self) -> str:
        """A head line, then the layers."""
        return as_csv(self.to_dict()["layers"])

    __repr__ = Field.__repr__


def receptive_field(net: Any, input_shape: Any, of: str | None = None, to: str | None = None) -> ReceptiveField:
    """What the output of a network sees of its input, and what every layer does; nothing is run.

    input_shape: one item without the batch axis, (C, H, W), (C, L) or (C, D, H, W). of: the layer whose output looks, by its
    path ("features.3"), or an operator's name as `print(st.trace(...))` shows it; the network's first output unless given.
    to: the lower layer whose output is looked at, or an input's name; the first input unless given.

    Raises ArgumentError: an unknown layer, or one that does not depend on the other.

    >>> from striate import nn
    >>> net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.MaxPool2d(2), nn.Conv2d(8, 8, 3, padding=1))
    >>> found = receptive_field(net, (3, 32, 32))
    >>> found.size, found.stride, found.start, found.padding
    ((8, 8), (2, 2), (1.0, 1.0), (3, 3))
    >>> found.box((0, 5)).clipped
    ((0, 5), (7, 15))
    """
    net = network(net)
    graph = traced(net, input_shape)
    source = find(graph, to) if to else graph.inputs[0]
    target = find(graph, of) if of else graph.outputs[0]
    table = fields(graph, source)
    if target not in table:
        raise ArgumentError(f"'{of or target.name}' does not depend on '{to or source.name}'; name a layer that lies before it")
    before = {v for node in graph.needed_for([target]) for v in node.outputs}
    layers = tuple(table[n.output] for n in graph.nodes if n.output in table and n.output in before and n.output is not source)
    last = table[target]
    return ReceptiveField(last.value, last.source, last.laws, graph, name_of(net), layers)


def fields(graph: Graph, source: Value | None = None) -> dict[Value, Field]:
    """The field of every value that depends on the source, the graph's first input unless given.

    >>> from striate import nn, trace
    >>> graph = trace(nn.Conv2d(1, 1, 5), (1, 1, 8, 8))
    >>> fields(graph)[graph.outputs[0]].size
    (5, 5)
    """
    root = graph.inputs[0] if source is None else source
    return {value: Field(value, root, found, graph) for value, found in laws.laws(graph, root).items()}


def find(graph: Graph, name: str) -> Value:
    """The last output of a layer by its path, or a value by its name."""
    inside = [node.output for node in graph.nodes if node.module == name or node.module.startswith(name + ".")]
    named = [v for v in (*graph.inputs, *(v for node in graph.nodes for v in node.outputs)) if v.name == name]
    if found := inside[-1:] or named[-1:]:
        return found[0]
    known = list(dict.fromkeys([*(node.module for node in graph.nodes), *(node.output.name for node in graph.nodes)]))
    near = get_close_matches(name, known, 3, 0.4) or known[:3]
    raise ArgumentError(f"there is no layer '{name}' in the graph; did you mean {', '.join(repr(n) for n in near if n)}?")


def reached(graph: Graph, source: Value) -> set[Value]:
    """The values that depend on the source."""
    found = {source}
    for node in graph.nodes:
        if found.intersection(node.inputs):
            found.update(node.outputs)
    return found


def times(numbers: Sequence[Any]) -> str:
    """`212 x 212`, or the one number of an axis."""
    return " x ".join(f"{n:g}" if isinstance(n, float) else str(n) for n in numbers)
