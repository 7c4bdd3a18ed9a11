"""Regions of interest: parts of feature maps, each pooled to one size, so that one map serves many boxes.

A box is (n, x1, y1, x2, y2): an image of the batch and two corners in pixels of the image, `scale` times smaller on the map.

roi_pool (max of whole pixels)
    top = round(y1 * scale), bottom = round(y2 * scale), rows = max(bottom - top + 1, 1); columns in the same way
    bin p is rows top + floor(p * rows / P) .. top + ceil((p+1) * rows / P) - 1, clipped to the map
    y[b,c,p,q] = max of x[n,c,h,w] over bin (p, q), 0 where it is empty; index = h*W + w of the first maximum, or -1
    dx[n,c,h,w] = sum of the dy whose index names the pixel

roi_align (mean of interpolated points)
    top = y1 * scale - o, rows = y2 * scale - o - top     o = 1/2 if aligned, else 0 and rows is at least 1
    bin p has g points  y = top + (p + (i + 1/2) / g) * rows / P,  i = 0 .. g-1     g = sampling, or ceil(rows / P) where it is 0
    y[b,c,p,q] = sum over h, w of A[p,h] x[n,c,h,w] B[q,w]
    A[p,h] = mean over the points of what a point reads of row h: y between rows h and h+1 reads 1 - (y - h) of h and y - h of
             h+1; a point from -1 to 0, or past the last row up to H, reads the edge; one further out reads nothing. B by columns
    dx[n,c] = sum over the boxes b of image n of A' dy[b,c] B: roi_align is linear in x

    N batch   C channels   H W map   P Q output   b box

round(a) is away from zero at a half. A box whose n is no image of the batch gives 0. Boxes are data and have no gradient.
Coordinates beyond 2^20 pixels count as that.

Sources: Girshick, Fast R-CNN, arXiv:1504.08083, section 2.1; He et al., Mask R-CNN, arXiv:1703.06870, section 3; names and
arguments are torchvision.ops'. Boxes were proposed by selective search in SPPNet and Fast R-CNN, by a network only later.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from striate.errors import ArgumentError, ShapeError
from striate.ops.base import Array, Cost, Op, Spec, traffic, want_float, want_rank
from striate.ops.sight import View, whole
from striate.window import span


@dataclass(frozen=True)
class Regions(Op):
    """What both kinds share: x (N, C, H, W) and boxes (B, 5) -> (B, C, P, Q) for output_size (P, Q)."""

    output_size: tuple[int, ...]
    scale: float
    inputs = ("x", "boxes")
    far: ClassVar[float] = 2.0**20

    def __post_init__(self):
        if not 0 < self.scale < math.inf:
            raise ArgumentError(f"spatial_scale is map pixels by image pixels: a number above 0, got {self.scale}")

    def sees(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Sequence[View]:
        """Where a box lies is data: an output may see the whole map."""
        return [whole(v.shape) for v in inputs]

    def pooled(self, x: Spec, boxes: Spec) -> Spec:
        """The output; refuses boxes that are none."""
        want_float(x=x, boxes=boxes)
        want_rank(x, 4, "N, C, H, W")
        if len(boxes.shape) != 2 or boxes.shape[1] != 5:
            raise ShapeError(f"boxes have shape {boxes.shape} but need (B, 5): image, x1, y1, x2, y2",
                             fix="put the number of its image in front of each box")
        if 0 in x.shape[2:]:
            raise ShapeError(f"x {x.shape} has no pixels to pool", fix="use a larger input")
        return Spec((boxes.shape[0], x.shape[1], *self.output_size), x.dtype)


@dataclass(frozen=True)
class RoIPool(Regions):
    """x (N, C, H, W), boxes (B, 5) -> y (B, C, P, Q), and index int32 of that shape.

    >>> x = np.arange(16.0).reshape(1, 1, 4, 4)
    >>> RoIPool((2, 2), 1.0).reference(x, np.array([[0.0, 0, 0, 3, 3]]))[0].tolist()
    [[[[5.0, 7.0], [13.0, 15.0]]]]
    """

    name = "roi_pool"

    def infer(self, x: Spec, boxes: Spec) -> tuple[Spec, Spec]:
        y = self.pooled(x, boxes)
        return y, Spec(y.shape, "int32")

    def reference(self, x: Array, boxes: Array) -> tuple[Array, Array]:
        size = x.shape[2:]
        y = np.zeros((len(boxes), x.shape[1], *self.output_size), x.dtype)
        index, pixels = np.full(y.shape, -1, np.int32), np.arange(math.prod(size)).reshape(size)
        for b, box in enumerate(boxes):
            if not 0 <= box[0] < len(x):
                continue
            rows, columns = self.bins(box, size)
            for p, h in enumerate(rows):
                for q, w in enumerate(columns):
                    part = x[int(box[0]), :, h, w].reshape(x.shape[1], -1)
                    if part.size:
                        first = part.argmax(-1)
                        y[b, :, p, q], index[b, :, p, q] = part[np.arange(len(part)), first], pixels[h, w].ravel()[first]
        return y, index

    def bins(self, box: Array, size: Sequence[int]) -> list[list[slice]]:
        """The rows of each bin of a box, and the columns."""
        found = []
        for first, last, n, out in zip((box[2], box[1]), (box[4], box[3]), size, self.output_size, strict=True):
            top, bottom = (int(away(np.clip(c * box.dtype.type(self.scale), -self.far, self.far))) for c in (first, last))
            parts = [span(p, max(bottom - top + 1, 1), out) for p in range(out)]
            found.append([slice(*(min(max(top + edge, 0), n) for edge in part)) for part in parts])
        return found

    def gradient(self, g, x, y, dy):
        return [g.apply(RoIPoolGradient(self.output_size, self.scale, x[0].shape), dy[0], y[1], x[1]), None]

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        """One operation for each output at least; how many pixels a box has is data."""
        return Cost(operations=outputs[0].size, **traffic(inputs, outputs))


@dataclass(frozen=True)
class RoIPoolGradient(Op):
    """dx (N, C, H, W): every dy is added to the pixel that its index names, in its box's image."""

    output_size: tuple[int, ...]
    scale: float
    shape: tuple[int, ...]
    name = "roi_pool_gradient"
    inputs = ("dy", "index", "boxes")
    linear_in = ("dy",)

    def infer(self, dy: Spec, index: Spec, boxes: Spec) -> Spec:
        return Spec(self.shape, dy.dtype)

    def reference(self, dy: Array, index: Array, boxes: Array) -> Array:
        N, C, H, W = self.shape
        dx = np.zeros((N, C, H * W), dy.dtype)
        for grad, places, box in zip(dy.reshape(len(dy), C, -1), index.reshape(len(dy), C, -1), boxes, strict=True):
            c, i = np.nonzero(places >= 0)
            if len(c):
                np.add.at(dx[int(box[0])], (c, places[c, i]), grad[c, i])
        return dx.reshape(self.shape)


@dataclass(frozen=True)
class RoIAlign(Regions):
    """x (N, C, H, W), boxes (B, 5) -> y (B, C, P, Q); sampling: points along a side of a bin, 0 for as many as pixels.

    >>> x = np.arange(16.0).reshape(1, 1, 4, 4)
    >>> RoIAlign((2, 2), 1.0, 0, True).reference(x, np.array([[0.0, 0, 0, 4, 4]])).tolist()
    [[[[2.5, 4.5], [10.5, 12.5]]]]
    """

    sampling: int
    aligned: bool
    name = "roi_align"
    linear_in = ("x",)

    def infer(self, x: Spec, boxes: Spec) -> Spec:
        return self.pooled(x, boxes)

    def reference(self, x: Array, boxes: Array) -> Array:
        y = np.zeros((len(boxes), x.shape[1], *self.output_size), x.dtype)
        for made, box in zip(y, boxes, strict=True):
            if 0 <= box[0] < len(x):
                rows, columns = self.weights(box, x.shape[2:])
                made[...] = rows @ x[int(box[0])] @ columns.T
        return y

    def weights(self, box: Array, size: Sequence[int]) -> list[Array]:
        """A (P, H) and B (Q, W) of a box."""
        found = []
        for first, last, n, out in zip((box[2], box[1]), (box[4], box[3]), size, self.output_size, strict=True):
            scale, half = box.dtype.type(self.scale), box.dtype.type(0.5 if self.aligned else 0)
            top, bottom = (np.clip(c * scale, -self.far, self.far) - half for c in (first, last))
            length = bottom - top if self.aligned else max(bottom - top, box.dtype.type(1))
            points = self.sampling or max(math.ceil(length / box.dtype.type(out)), 0)
            places = top + (np.arange(out)[:, None] + (np.arange(points) + 0.5) / max(points, 1)) * length / out
            read = between(places.reshape(-1), n).reshape(out, points, n)
            found.append((read.sum(1) / max(points, 1)).astype(box.dtype))
        return found

    def gradient(self, g, x, y, dy):
        back = RoIAlignGradient(self.output_size, self.scale, self.sampling, self.aligned, x[0].shape)
        return [g.apply(back, dy[0], x[1]), None]

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        """Four products for each point; with sampling 0 at least one point for each output."""
        return Cost(macs=4 * outputs[0].size * (self.sampling or 1) ** 2, **traffic(inputs, outputs))


@dataclass(frozen=True)
class RoIAlignGradient(Op):
    """dx (N, C, H, W): the transpose of roi_align in x."""

    output_size: tuple[int, ...]
    scale: float
    sampling: int
    aligned: bool
    shape: tuple[int, ...]
    name = "roi_align_gradient"
    inputs = ("dy", "boxes")
    linear_in = ("dy",)

    @property
    def forward(self) -> RoIAlign:
        return RoIAlign(self.output_size, self.scale, self.sampling, self.aligned)

    def infer(self, dy: Spec, boxes: Spec) -> Spec:
        return Spec(self.shape, dy.dtype)

    def reference(self, dy: Array, boxes: Array) -> Array:
        dx = np.zeros(self.shape, dy.dtype)
        for grad, box in zip(dy, boxes, strict=True):
            if 0 <= box[0] < len(dx):
                rows, columns = self.forward.weights(box, self.shape[2:])
                dx[int(box[0])] += rows.T @ grad @ columns
        return dx

    def gradient(self, g, x, y, dy):
        return [g.apply(self.forward, dy[0], x[1]), None]

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        return Cost(macs=4 * inputs[0].size * (self.sampling or 1) ** 2, **traffic(inputs, outputs))


def away(value: Array) -> Array:
    """To the nearest whole number, a half away from zero, as C rounds.

    >>> away(np.array([0.5, 2.5, -0.5]))
    array([ 1.,  3., -1.])
    """
    return np.trunc(value + np.copysign(0.5, value))


def between(places: Array, n: int) -> Array:
    """(points, n): how much a point between the pixels 0 .. n-1 reads of each; rows add up to 1, or to 0 for points outside.

    >>> between(np.array([0.25, -0.5, 5.0]), 3).tolist()
    [[0.75, 0.25, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    """
    inside = (places >= -1) & (places <= n)
    at = np.clip(places, 0, n - 1)
    low = np.minimum(at.astype(np.int64), max(n - 2, 0))
    read, point = np.zeros((len(places), n)), np.arange(len(places))
    read[point, low] = inside * (1 - (at - low))
    read[point, np.minimum(low + 1, n - 1)] += inside * (at - low)
    return read
