"""Regions of interest as functions, with torchvision.ops' names and arguments."""

from __future__ import annotations

from typing import Any

import numpy as np

from striate import ops
from striate.errors import ArgumentError, ShapeError
from striate.graph import Value
from striate.nn.functional.adaptive import adaptive_size
from striate.nn.functional.arguments import Tensor, symbol
from striate.nn.functional.shape import cat


def roi_pool(input: Tensor, boxes: Any, output_size: Any, spatial_scale: float = 1.0) -> Value:
    """`striate.ops.RoIPool`: the maximum of each bin of each box, x (N, C, H, W) -> (B, C, P, Q).

    boxes: (B, 5) of (image, x1, y1, x2, y2), or for each image its boxes (B_i, 4), in pixels of the image; spatial_scale
    takes them to the map. They are data, and have no gradient.
    """
    x = symbol(input)
    op = ops.RoIPool(region_size(output_size), float(spatial_scale))
    return x.graph.apply(op, x, _boxes(x, boxes))[0]


def roi_align(
    input: Tensor, boxes: Any, output_size: Any, spatial_scale: float = 1.0, sampling_ratio: int = -1, aligned: bool = False
) -> Value:
    """`striate.ops.RoIAlign`: the mean of interpolated points of each bin of each box, x (N, C, H, W) -> (B, C, P, Q).

    boxes, spatial_scale: as for `roi_pool`. sampling_ratio: points along a side of a bin; as many as it has pixels, rounded
    up, where that is 0 or less. aligned: shift by half a pixel, as a pixel's centre asks for.
    """
    x = symbol(input)
    op = ops.RoIAlign(region_size(output_size), float(spatial_scale), max(int(sampling_ratio), 0), bool(aligned))
    return x.graph.apply(op, x, _boxes(x, boxes))


def region_size(output_size: Any) -> tuple[int, ...]:
    """(P, Q) out of a number or a pair."""
    if None in (output_size if isinstance(output_size, (tuple, list)) else (output_size,)):
        raise ArgumentError(f"output_size of a region must be a number or a pair, got {output_size}")
    return adaptive_size(output_size, (1, 1))


def _boxes(x: Value, boxes: Any) -> Value:
    """(B, 5), out of itself or of one (B_i, 4) for each image."""
    if not isinstance(boxes, (tuple, list)):
        return x.graph.lift(boxes)
    each = [x.graph.lift(part) for part in boxes]
    if len(each) != x.shape[0]:
        raise ShapeError(f"{len(each)} arrays of boxes for {x.shape[0]} images", fix="give one (boxes, 4) for each image")
    return cat([_numbered(part, i) for i, part in enumerate(each)])


def _numbered(boxes: Value, image: int) -> Value:
    """(B, 4) with the number of the image in front."""
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ShapeError(f"the boxes of image {image} have shape {boxes.shape} but need (boxes, 4): x1, y1, x2, y2",
                         fix="give four numbers for each box")
    number = np.full((boxes.shape[0], 1), image, np.float32)
    return cat([boxes.graph.lift(number), boxes], 1)
