"""Batch and instance normalisation layers: both may keep running averages of means and variances."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from striate.errors import ArgumentError, ShapeError
from striate.graph import Value
from striate.nn import functional as F
from striate.nn import init
from striate.nn.module import Module, Parameter, check_sizes
from striate.ops import Increment


class Normalisation(Module):
    """Parameters and running averages of batch and instance normalisation.

    Running averages, after each batch, with this batch's mean and variance:

        running = (1 - momentum) * running + momentum * new        momentum None: the average over all batches alike

    Keyword-only are the conventions of others: decay=0.9 is the old average's share, so momentum=0.1 (Keras, Paddle);
    unbiased=False keeps the biased variance (Keras, Paddle), where PyTorch multiplies it by M / (M - 1), M values a channel;
    initial_variance is what running_var starts with. affine=False leaves out weight and bias, bias=False the bias alone.

    Parameters: weight (num_features,) of ones, bias (num_features,) of zeros. Buffers: running_mean, running_var,
    num_batches_tracked. Raises ArgumentError, ShapeError.
    """

    ranks: ClassVar[tuple[int, ...]]
    shapes: ClassVar[str]

    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = True,
        track_running_stats: bool = True, *, bias: bool = True, decay: float | None = None, unbiased: bool = True,
        initial_variance: float = 1.0,
    ):  # fmt: skip
        super().__init__()
        check_sizes(num_features=num_features)
        if decay is not None and not 0 <= decay <= 1:
            raise ArgumentError(f"decay must be from 0 to 1, got {decay}; it is the old average's share, 1 - momentum")
        self.num_features, self.eps, self.momentum = num_features, eps, momentum if decay is None else round(1 - decay, 12)
        self.affine, self.track_running_stats = affine, track_running_stats
        self.unbiased, self.initial_variance = unbiased, initial_variance
        for name, present in (("weight", affine), ("bias", affine and bias)):
            self.register_parameter(name, Parameter.empty(num_features) if present else None)
        # the average over all batches divides by their number, so there it is kept as a float
        count = np.zeros((), np.int64 if self.momentum is not None else np.float32)
        self.register_buffer("running_mean", np.zeros(num_features, np.float32) if track_running_stats else None)
        self.register_buffer("running_var", np.ones(num_features, np.float32) if track_running_stats else None)
        self.register_buffer("num_batches_tracked", count if track_running_stats else None)
        self.reset_parameters()

    def reset_running_stats(self) -> None:
        """Forget the batches seen."""
        if self.track_running_stats:
            start = {"running_mean": 0, "running_var": self.initial_variance, "num_batches_tracked": 0}
            for name, value in start.items():
                buffer = getattr(self, name)
                buffer.data = np.full(buffer.shape, value)

    def reset_parameters(self) -> None:
        """Forget the batches seen, and set weight and bias back to ones and zeros."""
        self.reset_running_stats()
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def check(self, input: Value) -> None:
        """Refuse an input of other ranks."""
        if input.ndim not in self.ranks:
            raise ShapeError(f"x has {input.ndim} axes, shape {input.shape}", fix=f"give it the shape {self.shapes}")

    def extra_repr(self) -> str:
        shown = (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )
        shown += "" if self.unbiased else ", unbiased=False"
        return shown if self.initial_variance == 1 else f"{shown}, initial_variance={self.initial_variance}"


class BatchNorm(Normalisation):
    """Normalises each channel by the batch in training, by running averages in evaluation: `striate.ops.BatchNorm`.

    Without track_running_stats the batch is used in evaluation too. See `Normalisation` for arguments and conventions.

    >>> BatchNorm2d(3, eps=1e-3, decay=0.99, unbiased=False)                    # as Keras
    BatchNorm2d(3, eps=0.001, momentum=0.01, affine=True, bias=True, track_running_stats=True, unbiased=False)
    """

    def forward(self, input: Value) -> Value:
        self.check(input)
        by_batch = self.training or self.running_mean is None
        momentum = self._count() if self.training and self.track_running_stats else None
        return F.batch_norm(
            input, self.running_mean, self.running_var, self.weight, self.bias, by_batch, momentum, self.eps,
            unbiased=self.unbiased,
        )  # fmt: skip

    def _count(self) -> Any:
        """Count this batch; its share in the running averages."""
        if self.momentum is None:
            return 1 / F.update(self.num_batches_tracked, lambda count: count + 1)
        F.update(self.num_batches_tracked, lambda count: count.graph.apply(Increment(), count))
        return self.momentum


class BatchNorm1d(BatchNorm):
    """Batch normalisation of (N, C) or (N, C, L): see `BatchNorm`.

    >>> BatchNorm1d(4, affine=False).state_dict().keys()
    dict_keys(['running_mean', 'running_var', 'num_batches_tracked'])
    """

    ranks = (2, 3)
    shapes = "(N, C) or (N, C, L)"


class BatchNorm2d(BatchNorm):
    """Batch normalisation of (N, C, H, W): see `BatchNorm`.

    >>> BatchNorm2d(4)
    BatchNorm2d(4, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)
    """

    ranks = (4,)
    shapes = "(N, C, H, W)"


class BatchNorm3d(BatchNorm):
    """Batch normalisation of (N, C, D, H, W): see `BatchNorm`."""

    ranks = (5,)
    shapes = "(N, C, D, H, W)"


class InstanceNorm(Normalisation):
    """Normalises each channel of each sample by its own pixels: `striate.ops.GroupNorm` with one channel a group.

    With track_running_stats, evaluation uses running averages. One sample without N goes in and comes out as it is. See
    `Normalisation` for arguments and conventions.
    """

    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = False,
        track_running_stats: bool = False, *, bias: bool = True,
    ):  # fmt: skip
        super().__init__(num_features, eps, momentum, affine, track_running_stats, bias=bias)

    def forward(self, input: Value) -> Value:
        self.check(input)
        if input.ndim == self.ranks[0]:
            return self.forward(input.unsqueeze(0)).squeeze(0)
        by_input = self.training or not self.track_running_stats
        if input.shape[1] != self.num_features:
            raise ShapeError(f"x {input.shape} has {input.shape[1]} channels, the layer {self.num_features}",
                             fix=f"use num_features={input.shape[1]}")
        return F.instance_norm(
            input, self.running_mean, self.running_var, self.weight, self.bias, by_input, self.momentum or 0.0, self.eps
        )


class InstanceNorm1d(InstanceNorm):
    """Instance normalisation of (N, C, L) or (C, L): see `InstanceNorm`."""

    ranks = (2, 3)
    shapes = "(N, C, L) or (C, L)"


class InstanceNorm2d(InstanceNorm):
    """Instance normalisation of (N, C, H, W) or (C, H, W): see `InstanceNorm`.

    >>> InstanceNorm2d(3)
    InstanceNorm2d(3, eps=1e-05, momentum=0.1, affine=False, bias=False, track_running_stats=False)
    """

    ranks = (3, 4)
    shapes = "(N, C, H, W) or (C, H, W)"


class InstanceNorm3d(InstanceNorm):
    """Instance normalisation of (N, C, D, H, W) or (C, D, H, W): see `InstanceNorm`."""

    ranks = (4, 5)
    shapes = "(N, C, D, H, W) or (C, D, H, W)"
