"""Layers of regions of interest: called with a feature map and boxes. Names and arguments are torchvision.ops'."""

from __future__ import annotations

from typing import Any

from striate.graph import Value
from striate.nn import functional as F
from striate.nn.module import Module


class RoIPool(Module):
    """The maximum of each bin of each box: `striate.ops.RoIPool`, arguments as in `nn.functional.roi_pool`.

    >>> import numpy as np
    >>> boxes = np.array([[0, 0, 0, 31, 15], [0, 16, 0, 31, 31]], np.float32)     # image, x1, y1, x2, y2
    >>> RoIPool(7, spatial_scale=1 / 16)(np.ones((1, 64, 14, 14)), boxes).shape
    (2, 64, 7, 7)
    """

    def __init__(self, output_size: Any, spatial_scale: float):
        super().__init__()
        F.region_size(output_size)  # raises what is wrong, at the user's line
        self.output_size, self.spatial_scale = output_size, spatial_scale

    def forward(self, input: Value, rois: Any) -> Value:
        return F.roi_pool(input, rois, self.output_size, self.spatial_scale)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}, spatial_scale={self.spatial_scale}"


class RoIAlign(Module):
    """The mean of interpolated points of each bin of each box: `striate.ops.RoIAlign`, arguments as in
    `nn.functional.roi_align`.

    >>> RoIAlign((7, 7), 0.25, sampling_ratio=2)
    RoIAlign(output_size=(7, 7), spatial_scale=0.25, sampling_ratio=2, aligned=False)
    """

    def __init__(self, output_size: Any, spatial_scale: float, sampling_ratio: int, aligned: bool = False):
        super().__init__()
        F.region_size(output_size)  # raises what is wrong, at the user's line
        self.output_size, self.spatial_scale, self.sampling_ratio = output_size, spatial_scale, sampling_ratio
        self.aligned = aligned

    def forward(self, input: Value, rois: Any) -> Value:
        return F.roi_align(input, rois, self.output_size, self.spatial_scale, self.sampling_ratio, self.aligned)

    def extra_repr(self) -> str:
        return (
            f"output_size={self.output_size}, spatial_scale={self.spatial_scale}, sampling_ratio={self.sampling_ratio}, "
            f"aligned={self.aligned}"
        )
