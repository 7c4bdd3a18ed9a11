"""The effective receptive field: how much each pixel of the theoretical field really counts.

    E[h,w] = mean over inputs x of sum_c | d (sum_k y[k,p,q]) / d x[c,h,w] |        for one position (p, q) of a layer

Most of a field's pixels hardly count: through random 3x3 layers E is close to a Gaussian whose width grows with the square
root of the depth, while the theoretical size grows with the depth. Its size is measured as in the paper: pixels above
1 - 95.45 % of the largest, and the side of a square of that area.

Source: Luo, Li, Urtasun & Zemel, Understanding the effective receptive field in deep convolutional neural networks, NeurIPS
2016, arXiv:1701.04128, sections 2 and 3.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from striate.ask.receptive import Box, Field, fields, find
from striate.ask.tracing import network, traced
from striate.errors import ArgumentError
from striate.graph import Graph
from striate.ops.base import Array

THRESHOLD = 1 - 0.9545
"""Two standard deviations of a Gaussian: what is below this share of the largest gradient does not count."""


@dataclass(frozen=True)
class EffectiveField:
    """`picture` holds E for each pixel of the input, the largest is 1; `theoretical` is the field of the layer."""

    picture: Array = field(repr=False)
    theoretical: Field
    box: Box = field(repr=False)
    position: tuple[int, ...]

    @property
    def size(self) -> float:
        """Side of a square with as many pixels as count, in pixels."""
        return int((self.picture > THRESHOLD).sum()) ** (1 / self.picture.ndim)

    @property
    def ratio(self) -> float:
        """Its size as a share of the theoretical one."""
        side = math.prod(self.theoretical.size) ** (1 / self.picture.ndim)
        return self.size / side if side else 0.0

    def __repr__(self) -> str:
        return f"EffectiveField(size={self.size:.1f}, ratio={self.ratio:.0%} of {self.theoretical.size})"

    def save(self, path: str | Path, scale: int = 4) -> Path:
        """A PNG: E from black to white, and a red frame around the theoretical field; each pixel `scale` pixels large.

        Raises ArgumentError: the picture has not one or two axes.
        """
        from PIL import Image, ImageDraw

        if self.picture.ndim > 2:
            raise ArgumentError(f"a field of {self.picture.ndim} axes is no picture; save a slice of `picture`")
        grey = Image.fromarray((np.atleast_2d(self.picture) * 255).round().astype(np.uint8))
        image = grey.resize((grey.width * scale, grey.height * scale), Image.Resampling.NEAREST).convert("RGB")
        (left, right), (top, bottom) = (*reversed(self.box.clipped), (0, 1))[:2]
        frame = (left * scale, top * scale, right * scale - 1, bottom * scale - 1)
        ImageDraw.Draw(image).rectangle(frame, outline=(220, 50, 47))
        image.save(path)
        return Path(path)


def effective_receptive_field(
    net: Any, input_shape: Any, of: str | None = None, position: Sequence[int] | None = None, inputs: Any = None,
    samples: int = 8, seed: int = 0,
) -> EffectiveField:  # fmt: skip
    """The gradient's magnitude at every pixel of the input, for one position of a layer, averaged over inputs.

    input_shape: one item, (C, H, W). of: the layer's path, the network's output unless given. position: (p, q), the middle of
    the map unless given. inputs: an array (N, C, H, W), `samples` draws of normal numbers by `seed` unless given. The network
    runs in eval mode, with its weights as they are.

    Raises ArgumentError: an unknown layer, a position outside the map, a layer that does not depend on the input.

    >>> from striate import nn
    >>> net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3))
    >>> effective_receptive_field(net, (1, 9, 9), samples=2).theoretical.size
    (5, 5)
    """
    net = network(net)
    if isinstance(input_shape[0], (tuple, list)):
        raise ArgumentError("an effective field is asked of networks with one input; give its shape, such as (3, 224, 224)")
    drawn = np.random.default_rng(seed).standard_normal((samples, *input_shape)) if inputs is None else np.asarray(inputs)
    x = drawn.astype(np.float32)
    graph = traced(net, input_shape, len(x))
    value = find(graph, of) if of else graph.outputs[0]
    found = fields(graph).get(value)
    if found is None:
        raise ArgumentError(f"'{of or value.name}' does not depend on the input")
    axes = found.position_axes((0,) * len(found.laws))
    middle = tuple(0 if axis is None else value.shape[axis] // 2 for axis in axes)
    at = middle if position is None else tuple(int(p) for p in position)
    box = found.box(at)
    gradient = np.abs(_gradient(graph, found, at, x))
    sums = gradient.mean(0).sum(tuple(range(gradient.ndim - 1 - len(found.laws))))
    picture = np.zeros_like(sums)
    picture[box.slices] = sums[box.slices]  # outside there is nothing but the rounding of fast convolutions
    return EffectiveField(picture / max(picture.max(), np.finfo(np.float32).tiny), found, box, at)


def _gradient(graph: Graph, found: Field, at: tuple[int, ...], x: Array) -> Array:
    """dx of the sum over all channels at one position."""
    from striate.gradient import differentiate

    dy = np.zeros(found.value.shape, np.float32)
    moving = dict(zip(found.position_axes(at), at))
    dy[tuple(moving.get(axis, slice(None)) for axis in range(dy.ndim))] = 1
    seed = graph.input(dy.shape, name="dy")
    (dx,) = differentiate(graph, [found.value], [seed], [found.source])
    if dx is None:
        raise ArgumentError(f"'{found.layer}' has no gradient with respect to the input")
    graph.outputs, graph.structure = [dx], lambda outputs: outputs[0]
    given = {found.source: x, seed: dy}
    return graph.prune().run(*(given[v] for v in graph.inputs))
