"""Normalisation of each sample by itself: over its last axes, over groups of channels, over neighbouring channels."""

from __future__ import annotations

from collections.abc import Sequence

from striate.errors import ArgumentError
from striate.graph import Value
from striate.nn import functional as F
from striate.nn import init
from striate.nn.module import Module, Parameter, check_sizes


class Affine(Module):
    """A module with a weight of ones and a bias of zeros, each None where it is left out."""

    def _make(self, shape: tuple[int, ...], weight: bool, bias: bool) -> None:
        for name, present in (("weight", weight), ("bias", bias)):
            self.register_parameter(name, Parameter.empty(shape) if present else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set weight and bias back to ones and zeros."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)


class LayerNorm(Affine):
    """Normalises each sample over its last axes: `striate.ops.LayerNorm`. (C, H, W) takes all but N of an image.

    Parameters: weight (normalized_shape) of ones, bias (normalized_shape) of zeros. Raises ArgumentError, ShapeError.

    >>> LayerNorm((3, 8, 8))
    LayerNorm((3, 8, 8), eps=1e-05, elementwise_affine=True, bias=True)
    """

    def __init__(
        self, normalized_shape: int | Sequence[int], eps: float = 1e-5, elementwise_affine: bool = True, bias: bool = True
    ):
        super().__init__()
        self.normalized_shape, self.eps, self.elementwise_affine = F.sizes(normalized_shape), eps, elementwise_affine
        self._make(self.normalized_shape, elementwise_affine, elementwise_affine and bias)

    def forward(self, input: Value) -> Value:
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        parts = f"elementwise_affine={self.elementwise_affine}, bias={self.bias is not None}"
        return f"{self.normalized_shape}, eps={self.eps}, {parts}"


class RMSNorm(Affine):
    """Divides each sample by the root of the mean square over its last axes: `striate.nn.functional.rms_norm`.

    Parameters: weight (normalized_shape) of ones. eps None is float32's, 1.2e-7.
    """

    def __init__(self, normalized_shape: int | Sequence[int], eps: float | None = None, elementwise_affine: bool = True):
        super().__init__()
        self.normalized_shape, self.eps, self.elementwise_affine = F.sizes(normalized_shape), eps, elementwise_affine
        self.register_parameter("weight", Parameter.empty(self.normalized_shape) if elementwise_affine else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the weight back to ones."""
        if self.weight is not None:
            init.ones_(self.weight)

    def forward(self, x: Value) -> Value:
        return F.rms_norm(x, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class GroupNorm(Affine):
    """Normalises the channels of each sample in num_groups groups: `striate.ops.GroupNorm`. Input (N, C, ...).

    Parameters: weight (num_channels,) of ones, bias (num_channels,) of zeros. Raises ArgumentError, ShapeError.

    >>> GroupNorm(2, 6)
    GroupNorm(2, 6, eps=1e-05, affine=True, bias=True)
    """

    def __init__(self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True, *, bias: bool = True):
        super().__init__()
        check_sizes(num_groups=num_groups, num_channels=num_channels)
        if num_channels % num_groups:
            raise ArgumentError(f"num_channels={num_channels} is no multiple of num_groups={num_groups}; use a number of groups "
                                "that divides the channels")  # fmt: skip
        self.num_groups, self.num_channels, self.eps, self.affine = num_groups, num_channels, eps, affine
        self._make((num_channels,), affine, affine and bias)

    def forward(self, input: Value) -> Value:
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, bias={self.bias is not None}"


class LocalResponseNorm(Module):
    """Divides by a power of the squares of `size` neighbouring channels: `striate.ops.LocalResponseNorm`.

    AlexNet's n = 5, alpha = 1e-4, beta = 0.75, k = 2 is LocalResponseNorm(5, alpha=5e-4, k=2.0): alpha is divided by size here.

    >>> LocalResponseNorm(5)
    LocalResponseNorm(5, alpha=0.0001, beta=0.75, k=1.0)
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0):
        super().__init__()
        check_sizes(size=size)
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, input: Value) -> Value:
        return F.local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"
