"""Pooling layers with windows. What each computes stands in `striate.ops.pool`; how arguments are read, in
`striate.nn.functional.pooling`. All take (N, C, ...) or one image without N, and have no parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from striate.errors import ArgumentError
from striate.graph import Value
from striate.nn import functional as F
from striate.nn.module import Module
from striate.window import pair, windows


class _Windows(Module):
    """A layer with a window on each of `rank` axes."""

    rank: ClassVar[int]
    function: ClassVar[Callable[..., Any]]

    def check(self, kernel_size: Any, stride: Any, padding: Any, dilation: Any = 1) -> None:
        """Raise what is wrong, at the user's line."""
        F.check_half(windows(kernel_size, stride, padding, dilation, False, self.rank, (1,) * self.rank))


class _MaxPool(_Windows):
    def __init__(
        self, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, return_indices: bool = False,
        ceil_mode: bool = False,
    ):  # fmt: skip
        super().__init__()
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.dilation, self.return_indices, self.ceil_mode = padding, dilation, return_indices, ceil_mode
        self.check(kernel_size, self.stride, padding, dilation)

    def forward(self, input: Value) -> Any:
        settings = self.padding, self.dilation, self.ceil_mode, self.return_indices
        return self.function(input, self.kernel_size, self.stride, *settings)

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, dilation={self.dilation}, "
            f"ceil_mode={self.ceil_mode}"
        )


class MaxPool1d(_MaxPool):
    """The largest value of each window of (N, C, W): `striate.ops.MaxPool1d`; see `MaxPool2d`.

    >>> MaxPool1d(3, stride=2)
    MaxPool1d(kernel_size=3, stride=2, padding=0, dilation=1, ceil_mode=False)
    """

    rank = 1
    function = staticmethod(F.max_pool1d)


class MaxPool2d(_MaxPool):
    """The largest value of each window: `striate.ops.MaxPool2d`. The stride is the kernel's size unless given.

    With return_indices also the places of the maxima in the plane, h * W + w (int32), as `MaxUnpool2d` takes them.

    >>> MaxPool2d(2)
    MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)
    """

    rank = 2
    function = staticmethod(F.max_pool2d)


class MaxPool3d(_MaxPool):
    """The largest value of each window of (N, C, D, H, W): `striate.ops.MaxPool3d`; see `MaxPool2d`.

    >>> MaxPool3d((1, 2, 2))
    MaxPool3d(kernel_size=(1, 2, 2), stride=(1, 2, 2), padding=0, dilation=1, ceil_mode=False)
    """

    rank = 3
    function = staticmethod(F.max_pool3d)


class AvgPool1d(_Windows):
    """The mean of each window of (N, C, W): `striate.ops.AvgPool1d`; see `AvgPool2d`.

    >>> AvgPool1d(3, stride=2)
    AvgPool1d(kernel_size=(3,), stride=(2,), padding=(0,))
    """

    rank = 1

    def __init__(
        self, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False, count_include_pad: bool = True
    ):
        super().__init__()
        self.kernel_size = pair(kernel_size, "kernel_size", 1)
        self.stride = self.kernel_size if stride is None else pair(stride, "stride", 1)
        self.padding = padding if isinstance(padding, (str, tuple, list)) else pair(padding, "padding", 1)
        self.ceil_mode, self.count_include_pad = ceil_mode, count_include_pad
        self.check(self.kernel_size, self.stride, self.padding)

    def forward(self, input: Value) -> Value:
        return F.avg_pool1d(input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class _AvgPool(_Windows):
    def __init__(
        self, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
        count_include_pad: bool = True, divisor_override: int | None = None,
    ):  # fmt: skip
        super().__init__()
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.ceil_mode, self.count_include_pad = padding, ceil_mode, count_include_pad
        self.divisor_override = divisor_override
        self.check(kernel_size, self.stride, padding)
        if divisor_override == 0:
            raise ArgumentError("divisor_override must not be 0; None divides by the number of taps")

    def forward(self, input: Value) -> Value:
        return self.function(
            input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad, self.divisor_override
        )

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool2d(_AvgPool):
    """The mean of each window: `striate.ops.AvgPool2d`. The stride is the kernel's size unless given.

    count_include_pad=False leaves padding out of the count; divisor_override replaces the count.

    >>> AvgPool2d(3, stride=2)
    AvgPool2d(kernel_size=3, stride=2, padding=0)
    """

    rank = 2
    function = staticmethod(F.avg_pool2d)


class AvgPool3d(_AvgPool):
    """The mean of each window of (N, C, D, H, W): `striate.ops.AvgPool3d`; see `AvgPool2d`.

    >>> AvgPool3d(2)
    AvgPool3d(kernel_size=2, stride=2, padding=0)
    """

    rank = 3
    function = staticmethod(F.avg_pool3d)


class _OwnPool2d(_Windows):
    """Pooling over windows that PyTorch has not: the arguments that its modules share."""

    rank = 2

    def __init__(self, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False):
        super().__init__()
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.ceil_mode = padding, ceil_mode
        self.check(kernel_size, self.stride, padding)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class SumPool2d(_OwnPool2d):
    """The sum of each window: k * k times the average. Not in PyTorch; the stride is the kernel's size unless given.

    >>> import numpy as np
    >>> float(SumPool2d(2)(np.ones((1, 1, 2, 2))).item())
    4.0
    """

    def forward(self, input: Value) -> Value:
        return F.sum_pool2d(input, self.kernel_size, self.stride, self.padding, self.ceil_mode)


class _LPPool(_Windows):
    def __init__(self, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False):
        super().__init__()
        self.norm_type, self.kernel_size, self.stride, self.ceil_mode = norm_type, kernel_size, stride, ceil_mode
        F.check_norm(norm_type)
        self.check(kernel_size, kernel_size if stride is None else stride, 0)

    def forward(self, input: Value) -> Value:
        return self.function(input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)

    def extra_repr(self) -> str:
        return (
            f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}, ceil_mode={self.ceil_mode}"
        )


class LPPool1d(_LPPool):
    """(sum of x^p over each window of (N, C, W))^(1/p): `nn.functional.lp_pool2d` says more.

    >>> LPPool1d(2, 3)
    LPPool1d(norm_type=2, kernel_size=3, stride=None, ceil_mode=False)
    """

    rank = 1
    function = staticmethod(F.lp_pool1d)


class LPPool2d(_LPPool):
    """(sum of x^p over each window)^(1/p): `nn.functional.lp_pool2d`.

    >>> import numpy as np
    >>> float(LPPool2d(2, 1, 2)(np.full((1, 1, 1, 1), 3.0)).item())
    3.0
    """

    rank = 2
    function = staticmethod(F.lp_pool2d)


class LPPool3d(_LPPool):
    """(sum of x^p over each window of (N, C, D, H, W))^(1/p): `nn.functional.lp_pool2d` says more.

    >>> LPPool3d(2, (1, 2, 2))
    LPPool3d(norm_type=2, kernel_size=(1, 2, 2), stride=None, ceil_mode=False)
    """

    rank = 3
    function = staticmethod(F.lp_pool3d)


class _MaxUnpool(_Windows):
    def __init__(self, kernel_size: Any, stride: Any = None, padding: Any = 0):
        super().__init__()
        self.kernel_size = pair(kernel_size, "kernel_size", self.rank)
        self.stride = self.kernel_size if stride is None else pair(stride, "stride", self.rank)
        self.padding = pair(padding, "padding", self.rank)
        self.check(self.kernel_size, self.stride, self.padding)

    def forward(self, input: Value, indices: Value, output_size: Any = None) -> Value:
        return self.function(input, indices, self.kernel_size, self.stride, self.padding, output_size)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool1d(_MaxUnpool):
    """(N, C, Q) back to (N, C, W) by the indices of `MaxPool1d`; see `MaxUnpool2d`.

    >>> MaxUnpool1d(2)
    MaxUnpool1d(kernel_size=(2,), stride=(2,), padding=(0,))
    """

    rank = 1
    function = staticmethod(F.max_unpool1d)


class MaxUnpool2d(_MaxUnpool):
    """Values back at the places that `MaxPool2d(..., return_indices=True)` gives, 0 elsewhere: `striate.ops.MaxUnpool`.

    Called with values, indices, and output_size where the smallest size that pooling could have come from is not it.

    >>> import numpy as np
    >>> values, indices = MaxPool2d(2, return_indices=True)(np.array([[[[1.0, 5], [2, 3]]]]))
    >>> MaxUnpool2d(2)(values, indices).tolist()
    [[[[0.0, 5.0], [0.0, 0.0]]]]
    """

    rank = 2
    function = staticmethod(F.max_unpool2d)


class MaxUnpool3d(_MaxUnpool):
    """(N, C, O, P, Q) back to (N, C, D, H, W) by the indices of `MaxPool3d`; see `MaxUnpool2d`.

    >>> MaxUnpool3d(2, stride=1)
    MaxUnpool3d(kernel_size=(2, 2, 2), stride=(1, 1, 1), padding=(0, 0, 0))
    """

    rank = 3
    function = staticmethod(F.max_unpool3d)


class StochasticPool2d(_OwnPool2d):
    """A pixel of each window, drawn in proportion to its value, in training; what that gives on average in evaluation.

    Negative inputs count as 0, so it belongs behind a ReLU. Not in PyTorch; `nn.functional.stochastic_pool2d` says more.

    >>> import numpy as np
    >>> round(float(StochasticPool2d(2).eval()(np.array([[[[1.6, 0], [0, 2.4]]]])).item()), 6)
    2.08
    """

    def forward(self, input: Value) -> Value:
        return F.stochastic_pool2d(input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.training)
