"""Pooling layers whose output has a known size for inputs of any size: adaptive and global pooling, spatial pyramids.

All take (N, C, ...) or one image without N; none has parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from striate.graph import Value
from striate.nn import functional as F
from striate.nn.module import Module


class _Adaptive(Module):
    rank: ClassVar[int]
    function: ClassVar[Callable[..., Any]]

    def __init__(self, output_size: Any):
        super().__init__()
        F.adaptive_size(output_size, (1,) * self.rank)  # raises what is wrong, at the user's line
        self.output_size = output_size

    def forward(self, input: Value) -> Any:
        return self.function(input, self.output_size)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class _AdaptiveMax(_Adaptive):
    def __init__(self, output_size: Any, return_indices: bool = False):
        super().__init__(output_size)
        self.return_indices = return_indices

    def forward(self, input: Value) -> Any:
        return self.function(input, self.output_size, self.return_indices)


class AdaptiveAvgPool1d(_Adaptive):
    """Means over output_size parts of (N, C, W).

    >>> AdaptiveAvgPool1d(5)
    AdaptiveAvgPool1d(output_size=5)
    """

    rank = 1
    function = staticmethod(F.adaptive_avg_pool1d)


class AdaptiveAvgPool2d(_Adaptive):
    """Means over a grid of output_size parts, whatever the input's size; None in it keeps an axis as it is.

    >>> AdaptiveAvgPool2d((1, 1))
    AdaptiveAvgPool2d(output_size=(1, 1))
    """

    rank = 2
    function = staticmethod(F.adaptive_avg_pool2d)


class AdaptiveAvgPool3d(_Adaptive):
    """Means over a grid of output_size parts of (N, C, D, H, W).

    >>> AdaptiveAvgPool3d((1, None, 7))
    AdaptiveAvgPool3d(output_size=(1, None, 7))
    """

    rank = 3
    function = staticmethod(F.adaptive_avg_pool3d)


class AdaptiveMaxPool1d(_AdaptiveMax):
    """Maxima over output_size parts of (N, C, W), and with return_indices their places (int32).

    >>> AdaptiveMaxPool1d(5)
    AdaptiveMaxPool1d(output_size=5)
    """

    rank = 1
    function = staticmethod(F.adaptive_max_pool1d)


class AdaptiveMaxPool2d(_AdaptiveMax):
    """Maxima over a grid of output_size parts, and with return_indices their places h * W + w (int32).

    >>> AdaptiveMaxPool2d(4)
    AdaptiveMaxPool2d(output_size=4)
    """

    rank = 2
    function = staticmethod(F.adaptive_max_pool2d)


class AdaptiveMaxPool3d(_AdaptiveMax):
    """Maxima over a grid of output_size parts of (N, C, D, H, W), and with return_indices their places (int32).

    >>> AdaptiveMaxPool3d((1, None, 7))
    AdaptiveMaxPool3d(output_size=(1, None, 7))
    """

    rank = 3
    function = staticmethod(F.adaptive_max_pool3d)


class _Global(Module):
    rank: ClassVar[int]
    function: ClassVar[Callable[..., Value]]

    def __init__(self, keepdim: bool = True):
        super().__init__()
        self.keepdim = keepdim

    def forward(self, input: Value) -> Value:
        return self.function(input, self.rank, self.keepdim)

    def extra_repr(self) -> str:
        return "" if self.keepdim else "keepdim=False"


class GlobalAvgPool1d(_Global):
    """The mean of each channel of (N, C, W): (N, C, 1), or (N, C) with keepdim=False.

    >>> GlobalAvgPool1d(keepdim=False)
    GlobalAvgPool1d(keepdim=False)
    """

    rank = 1
    function = staticmethod(F.global_avg_pool)


class GlobalAvgPool2d(_Global):
    """The mean of each channel: (N, C, H, W) -> (N, C, 1, 1), or (N, C) with keepdim=False.

    What PyTorch writes as AdaptiveAvgPool2d(1), and Keras as GlobalAveragePooling2D, whose keepdims is False at first.

    >>> import numpy as np
    >>> GlobalAvgPool2d()(np.ones((1, 1000, 7, 7))).shape
    (1, 1000, 1, 1)
    """

    rank = 2
    function = staticmethod(F.global_avg_pool)


class GlobalAvgPool3d(_Global):
    """The mean of each channel of (N, C, D, H, W): (N, C, 1, 1, 1), or (N, C) with keepdim=False.

    >>> GlobalAvgPool3d()
    GlobalAvgPool3d()
    """

    rank = 3
    function = staticmethod(F.global_avg_pool)


class GlobalMaxPool1d(_Global):
    """The maximum of each channel of (N, C, W): (N, C, 1), or (N, C) with keepdim=False.

    Over the words of a sentence this is the maximum over time: texts of any length give a vector of C numbers.

    >>> import numpy as np
    >>> [GlobalMaxPool1d(keepdim=False)(np.ones((1, 100, words))).shape for words in (5, 9)]
    [(1, 100), (1, 100)]
    """

    rank = 1
    function = staticmethod(F.global_max_pool)


class GlobalMaxPool2d(_Global):
    """The maximum of each channel: (N, C, H, W) -> (N, C, 1, 1), or (N, C) with keepdim=False.

    >>> GlobalMaxPool2d()
    GlobalMaxPool2d()
    """

    rank = 2
    function = staticmethod(F.global_max_pool)


class GlobalMaxPool3d(_Global):
    """The maximum of each channel of (N, C, D, H, W): (N, C, 1, 1, 1), or (N, C) with keepdim=False.

    >>> GlobalMaxPool3d()
    GlobalMaxPool3d()
    """

    rank = 3
    function = staticmethod(F.global_max_pool)


class SpatialPyramidPool2d(Module):
    """n x n bins for each level n, as one vector: (N, C, H, W) of any size -> (N, C * sum of n * n).

    kind: 'max' or 'avg'; mode: 'adaptive' bins come out even for every size, 'paper' is the paper's rule of windows and
    strides, which fails for some. `nn.functional.spatial_pyramid_pool2d` gives the order of the numbers.

    Source: He et al., Spatial pyramid pooling in deep convolutional networks, arXiv:1406.4729.

    >>> import numpy as np
    >>> SpatialPyramidPool2d((1, 2, 4))(np.ones((1, 256, 13, 13))).shape
    (1, 5376)
    """

    def __init__(self, levels: Sequence[int] = (1, 2, 4), kind: str = "max", mode: str = "adaptive"):
        super().__init__()
        F.check_pyramid(levels, kind, mode)
        self.levels, self.kind, self.mode = tuple(levels), kind, mode

    def forward(self, input: Value) -> Value:
        return F.spatial_pyramid_pool2d(input, self.levels, self.kind, self.mode)

    def extra_repr(self) -> str:
        return f"levels={self.levels}, kind='{self.kind}', mode='{self.mode}'"
