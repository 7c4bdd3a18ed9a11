"""How one axis of the input is seen: the law that a layer's positions follow, and the exact set of pixels of some positions.

A law says for every position p along one axis of a value which pixels first(p) .. last(p) of the input it sees, as if the image
and all maps between went on without end: padding is part of it. It repeats itself: `period` positions on, the same pixels
follow `shift` pixels further. The period is 1 but after upsampling, where stride = shift / period is a fraction.

    through a layer   the law of its input, read at the ends of what the layer sees     (ops/sight.py)
    branches          the lowest first and the highest last                             S098: "max over paths"

Where all positions see the same (global pooling, linear layers), a law is fixed: it holds real pixels only. They are found by
`seen`, which walks back through the graph with a mask of positions for each axis, and is exact everywhere: holes, edges, all.

Sources: Dumoulin & Visin, arXiv:1603.07285; Araujo, Norris & Sim, Computing receptive fields of convolutional neural networks,
Distill 2019, equations 1 to 7.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from striate.ask.tracing import specs_of
from striate.graph import Graph, Node, Value
from striate.ops.base import Array
from striate.ops.sight import Sight, View

Masks = list[Array]


@dataclass(frozen=True)
class Law:
    """Pixels first[p] .. last[p] of one axis of the input for the positions 0 .. period - 1 along `axis` of a value.

    axis None: the pixels that all positions see together, because they see the same or because branches with different
    strides meet. aligned: all branches on the way have the same centres.
    """

    axis: int | None
    shift: int
    first: tuple[int, ...]
    last: tuple[int, ...]
    aligned: bool = True

    @property
    def period(self) -> int:
        return len(self.first)

    @property
    def size(self) -> int:
        """Pixels from the first to the last, of the position that sees most."""
        return max(0, max(b - a + 1 for a, b in zip(self.first, self.last)))

    def ends(self, p: int) -> tuple[int, int]:
        """(first, last) of a position, which may lie outside the map."""
        turns, rest = divmod(p, self.period)
        return self.first[rest] + turns * self.shift, self.last[rest] + turns * self.shift

    def through(self, sight: Sight, axis: int) -> Law:
        """The law of a layer's output along its `axis`, where it sees this law's axis by `sight`.

        >>> up = Law(2, 1, (0,), (0,)).through(Sight(num=1, den=2, low=-1), 2)     # nearest neighbour, twice the size
        >>> up.through(Sight(low=-1, high=1), 2)                                  # then a window of 3
        Law(axis=2, shift=1, first=(-1, 0), last=(0, 1), aligned=True)
        """
        period = sight.den * self.period // math.gcd(sight.num, sight.den * self.period)
        low, high = (sight.first, sight.last) if self.shift >= 0 else (sight.last, sight.first)  # behind a mirror
        return Law(axis, period * sight.num * self.shift // (sight.den * self.period),
                   tuple(self.ends(low(p))[0] for p in range(period)), tuple(self.ends(high(p))[1] for p in range(period)),
                   self.aligned)

    def join(self, other: Law) -> Law | None:
        """The law of two branches together; None where they do not move in step."""
        if self.axis != other.axis or self.shift * other.period != other.shift * self.period:
            return None
        period = math.lcm(self.period, other.period)
        pairs = [(self.ends(p), other.ends(p)) for p in range(period)]
        moves = self.axis is not None
        return Law(self.axis, self.shift * period // self.period,
                   tuple(min(a[0], b[0]) for a, b in pairs), tuple(max(a[1], b[1]) for a, b in pairs),
                   self.aligned and other.aligned and not (moves and any(sum(a) != sum(b) for a, b in pairs)))


def fixed(mask: Array, aligned: bool = True) -> Law:
    """The law of a value whose positions together see the marked pixels.

    >>> fixed(np.array([False, True, True]))
    Law(axis=None, shift=0, first=(1,), last=(2,), aligned=True)
    """
    found = np.flatnonzero(mask)
    return Law(None, 0, (int(found[0]),), (int(found[-1]),), aligned) if len(found) else Law(None, 0, (0,), (-1,), aligned)


def laws(graph: Graph, source: Value) -> dict[Value, tuple[Law, ...]]:
    """For every value that depends on the source: the laws of the source's spatial axes, `spatial(source)`."""
    found = {source: tuple(Law(axis, 1, (0,), (0,)) for axis in spatial(source))}
    for node in graph.nodes:
        known = [(x, view) for x, view in zip(node.inputs, views(node)) if x in found]
        if not known or source in node.outputs:
            continue
        for value in node.outputs:
            branches = ([(x, view, found[x][i]) for x, view in known] for i in range(len(found[source])))
            found[value] = tuple(law_of(graph, source, found, value, branch, i) for i, branch in enumerate(branches))
    return found


def law_of(graph: Graph, source: Value, found: dict[Value, tuple[Law, ...]], value: Value,
           branches: Sequence[tuple[Value, View, Law]], i: int) -> Law:
    """The law of one axis of a node's output: all branches joined, or what is seen where they cannot be."""
    n = source.shape[spatial(source)[i]]
    met: list[Law] = []
    for x, view, law in branches:
        link = view[law.axis] if law.axis is not None else None
        if link is not None:
            law = law.through(link[1], link[0])
        elif law.axis is not None:
            law = fixed(pixels(graph, source, found, x)[i], law.aligned)
        if law.axis is None and law.size == n:
            return law
        met.append(law)
    joined: Law | None = met[0]
    for law in met[1:]:
        joined = joined and joined.join(law)
    if joined and value.shape == value.producer.output.shape:  # type: ignore[union-attr]
        return joined
    moving = sum(law.axis is not None for law in met)
    return fixed(pixels(graph, source, found, value)[i], moving < 2 and all(law.aligned for law in met))


def spatial(source: Value) -> range:
    """The axes that a field is measured along: all after batch and channels; of (N, L) the last."""
    return range(min(2, source.ndim - 1), source.ndim)


def pixels(graph: Graph, source: Value, reached: Collection[Value], value: Value) -> Masks:
    """`seen` by all positions of a value."""
    return seen(graph, source, reached, value, [np.ones(n, bool) for n in value.shape])


def seen(graph: Graph, source: Value, reached: Collection[Value], value: Value, positions: Masks) -> Masks:
    """A mask for each spatial axis of the source: the pixels that some positions of a value see.

    positions: a mask for each axis of the value. reached: the values that depend on the source.
    """
    table: dict[Value, Masks] = {value: positions}
    for node in reversed(graph.nodes):
        marked = [table[v] for v in node.outputs if v in table and v is not source]
        if not marked:
            continue
        whole = any(tuple(map(len, masks)) != node.output.shape for masks in marked)  # a statistic of a batch norm, say
        outputs = [np.ones(n, bool) for n in node.output.shape] if whole else [np.any(masks, 0) for masks in zip(*marked)]
        for x, view in zip(node.inputs, views(node)):
            if x in reached:
                mark(table, x, view, outputs)
    empty = [np.zeros(n, bool) for n in source.shape]
    return [table.get(source, empty)[axis] for axis in spatial(source)]


def mark(table: dict[Value, Masks], x: Value, view: View, outputs: Masks) -> None:
    """Add to x's masks what the outputs see of it."""
    masks = [np.ones(n, bool) if link is None else link[1].seen(outputs[link[0]], n) for n, link in zip(x.shape, view)]
    if all(mask.any() for mask in masks):
        table[x] = [a | b for a, b in zip(table[x], masks)] if x in table else masks


def views(node: Node) -> Sequence[View]:
    return node.op.sees(specs_of(node.inputs), specs_of(node.outputs))
