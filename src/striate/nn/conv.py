"""Convolution and transposed convolution layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from striate.errors import ArgumentError
from striate.graph import Value
from striate.nn import functional as F
from striate.nn import init
from striate.nn.module import Module, Parameter, check_sizes
from striate.window import pad_pairs, pair, read_padding, windows

PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


class ConvLayer(Module):
    """What all of them share: a window, groups, a weight, and a bias that starts as the weight does.

    The weight and the bias start uniform within 1 / sqrt(fan_in), fan_in = weight.shape[1] * the window's taps.
    """

    rank: ClassVar[int]
    """Spatial axes."""

    def _start(self, in_channels: int, out_channels: int, kernel_size: Any, stride: Any, dilation: Any, groups: int) -> None:
        check_sizes(in_channels=in_channels, out_channels=out_channels, groups=groups)
        for name, channels in (("in_channels", in_channels), ("out_channels", out_channels)):
            if channels % groups:
                raise ArgumentError(
                    f"{name}={channels} does not divide into groups={groups}: {channels} % {groups} = {channels % groups}; "
                    f"make {name} a multiple of groups"
                )
        window = windows(kernel_size, stride, 0, dilation, rank=self.rank)
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = tuple(w.size for w in window)
        self.stride = tuple(w.stride for w in window)
        self.dilation = tuple(w.dilation for w in window)

    def _pad(self, padding: Any) -> None:
        pads = read_padding(padding, self.rank)
        self.padding = pads if isinstance(pads, str) else _shown(pads)

    def _parameters_of(self, rows: int, columns: int, bias: bool) -> None:
        self.weight = Parameter.empty((rows, columns, *self.kernel_size))
        self.register_parameter("bias", Parameter.empty(self.out_channels) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new weights."""
        init.uniform_by_fan_in_(self.weight, self.bias)

    def extra_repr(self) -> str:
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        if isinstance(self.padding, str) or any(self.padding):
            text += f", padding={self.padding}"
        for name, usual in (("dilation", 1), ("output_padding", 0)):
            if any(n != usual for n in getattr(self, name, ())):
                text += f", {name}={getattr(self, name)}"
        if self.groups != 1:
            text += f", groups={self.groups}"
        if self.bias is None:
            text += ", bias=False"
        if getattr(self, "padding_mode", "zeros") != "zeros":
            text += f", padding_mode={self.padding_mode}"
        return text + (", flip=True" if getattr(self, "flip", False) else "")


class Convolution(ConvLayer):
    """Convolution over one, two or three axes; one image without a batch is served too.

    padding: pixels, one number an axis, (low, high) for each axis in turn ((top, bottom, left, right)), or 'valid', 'same',
    'same_lower', 'same_full', 'full' (`striate.window.named_pads`; 'same' pads to ceil(n / stride) pixels at any stride).
    padding_mode: 'zeros', 'reflect', 'replicate' or 'circular'. flip=True turns the kernel by 180 degrees: the convolution of
    mathematics in place of the cross-correlation.
    Parameters: weight (out_channels, in_channels / groups, *kernel_size), bias (out_channels,). Raises ArgumentError.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
        groups: int = 1, bias: bool = True, padding_mode: str = "zeros", *, flip: bool = False,
    ):  # fmt: skip
        super().__init__()
        self._start(in_channels, out_channels, kernel_size, stride, dilation, groups)
        if padding_mode not in PADDING_MODES:
            known = ", ".join(f"'{mode}'" for mode in PADDING_MODES)
            raise ArgumentError(f"padding_mode must be one of {known}, got '{padding_mode}'")
        self._pad(padding)
        self.padding_mode, self.flip = padding_mode, flip
        self._parameters_of(out_channels, in_channels // groups, bias)

    def forward(self, input: Value) -> Value:
        padding = self.padding
        if self.padding_mode != "zeros":
            window = windows(self.kernel_size, self.stride, padding, self.dilation, rank=self.rank, size=input.shape[-self.rank:])
            input = F.pad(input, [p for w in reversed(window) for p in w.pads], mode=self.padding_mode)
            padding = 0
        convolve = (F.conv1d, F.conv2d, F.conv3d)[self.rank - 1]
        return convolve(input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups, flip=self.flip)


class Conv1d(Convolution):
    """(N, C, W) or (C, W) -> (N, K, Q): the operator `striate.ops.Conv1d`; arguments as `Convolution` says.

    >>> Conv1d(4, 8, 3, padding=1)
    Conv1d(4, 8, kernel_size=(3,), stride=(1,), padding=(1,))
    """

    rank = 1


class Conv2d(Convolution):
    """(N, C, H, W) or (C, H, W) -> (N, K, P, Q): the operator `striate.ops.Conv2d`; arguments as `Convolution` says.

    >>> conv = Conv2d(1, 6, 5, padding=2)
    >>> conv
    Conv2d(1, 6, kernel_size=(5, 5), stride=(1, 1), padding=(2, 2))
    >>> conv.weight.shape
    (6, 1, 5, 5)
    """

    rank = 2


class Conv3d(Convolution):
    """(N, C, D, H, W) or (C, D, H, W) -> (N, K, O, P, Q): the operator `striate.ops.Conv3d`; arguments as `Convolution` says.

    >>> Conv3d(3, 16, (1, 3, 3), padding="same").weight.shape
    (16, 3, 1, 3, 3)
    """

    rank = 3


class TransposedConvolution(ConvLayer):
    """The transpose of convolution over one, two or three axes: every input pixel scatters its window, `stride` pixels apart.

    An axis of n pixels grows to (n - 1) * stride - low - high + D + output_padding. It is used to
    upsample; it is not the inverse of convolution.
    Parameters: weight (in_channels, out_channels / groups, *kernel_size), bias (out_channels,). Raises ArgumentError.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Any, stride: Any = 1, padding: Any = 0, output_padding: Any = 0,
        groups: int = 1, bias: bool = True, dilation: Any = 1, padding_mode: str = "zeros",
    ):  # fmt: skip
        super().__init__()
        self._start(in_channels, out_channels, kernel_size, stride, dilation, groups)
        if padding_mode != "zeros":
            raise ArgumentError(f"padding_mode of a transposed convolution must be 'zeros', got '{padding_mode}'")
        self.padding, self.padding_mode = _shown(pad_pairs(padding, rank=self.rank)), padding_mode
        self.output_padding = pair(output_padding, "output_padding", self.rank)
        self._parameters_of(in_channels, out_channels // groups, bias)

    def forward(self, input: Value, output_size: Sequence[int] | None = None) -> Value:
        extra = self.output_padding if output_size is None else self.extra_for(input.shape[-self.rank:], output_size)
        grow = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[self.rank - 1]
        return grow(input, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation)

    def extra_for(self, size: Sequence[int], output_size: Sequence[int]) -> tuple[int, ...]:
        """The output_padding that makes an input of `size` as large as output_size asks, with or without batch and channels."""
        wanted = tuple(output_size)[-self.rank:]
        window = windows(self.kernel_size, self.stride, self.padding, self.dilation, rank=self.rank)
        least = tuple(w.grown(n) for w, n in zip(window, size, strict=True))
        most = tuple(n + w.stride - 1 for w, n in zip(window, least, strict=True))
        fits = len(wanted) == self.rank and all(low <= n <= high for low, n, high in zip(least, wanted, most, strict=True))
        if not fits or len(output_size) not in (self.rank, self.rank + 2):
            raise ArgumentError(f"output_size={tuple(output_size)} is out of reach of an input of {tuple(size)}: each axis must "
                                f"be from {least} to {most}")
        return tuple(n - low for n, low in zip(wanted, least, strict=True))


class ConvTranspose1d(TransposedConvolution):
    """(N, C, W) or (C, W) -> (N, K, Q): `striate.ops.ConvTranspose1d`; arguments as `TransposedConvolution` says.

    >>> ConvTranspose1d(4, 2, 3, stride=2).weight.shape
    (4, 2, 3)
    """

    rank = 1


class ConvTranspose2d(TransposedConvolution):
    """(N, C, H, W) or (C, H, W) -> (N, K, P, Q): `striate.ops.ConvTranspose2d`; arguments as `TransposedConvolution` says.

    >>> ConvTranspose2d(16, 8, 3, stride=2, padding=1, output_padding=1)
    ConvTranspose2d(16, 8, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1), output_padding=(1, 1))
    """

    rank = 2


class ConvTranspose3d(TransposedConvolution):
    """(N, C, D, H, W) or (C, D, H, W) -> (N, K, O, P, Q): `striate.ops.ConvTranspose3d`, as `TransposedConvolution` says.

    >>> ConvTranspose3d(4, 2, 2, stride=2).weight.shape
    (4, 2, 2, 2, 2)
    """

    rank = 3


def _shown(pads: Sequence[tuple[int, int]]) -> tuple[int, ...]:
    """One number an axis where both sides are padded alike, else (low, high) for each axis in turn."""
    alike = all(low == high for low, high in pads)
    return tuple(low for low, _ in pads) if alike else tuple(p for both in pads for p in both)
