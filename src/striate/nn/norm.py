"""Batch normalisation layers."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from striate.errors import ShapeError
from striate.graph import Value
from striate.nn import functional as F
from striate.nn import init
from striate.nn.module import Module, Parameter, check_sizes
from striate.ops import Increment


class BatchNorm(Module):
    """Normalises each channel by the batch in training, by running averages in evaluation: `striate.ops.BatchNorm`.

    momentum is the new batch's share of the running averages; None averages over all batches alike. affine=False leaves
    out weight and bias, bias=False the bias alone; without track_running_stats the batch is used in evaluation too.

    Parameters: weight (num_features,) of ones, bias (num_features,) of zeros. Buffers: running_mean, running_var (with
    M / (M - 1), M values a channel), num_batches_tracked. Raises ArgumentError, ShapeError.
    """

    ranks: ClassVar[tuple[int, ...]]
    shapes: ClassVar[str]

    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = True,
        track_running_stats: bool = True, *, bias: bool = True,
    ):  # fmt: skip
        super().__init__()
        check_sizes(num_features=num_features)
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        for name, present in (("weight", affine), ("bias", affine and bias)):
            self.register_parameter(name, Parameter(np.empty(num_features, np.float32)) if present else None)
        # the average over all batches divides by their number, so there it is kept as a float
        count = np.zeros((), np.int64 if momentum is not None else np.float32)
        self.register_buffer("running_mean", np.zeros(num_features, np.float32) if track_running_stats else None)
        self.register_buffer("running_var", np.ones(num_features, np.float32) if track_running_stats else None)
        self.register_buffer("num_batches_tracked", count if track_running_stats else None)
        self.reset_parameters()

    def reset_running_stats(self) -> None:
        """Forget the batches seen."""
        if self.track_running_stats:
            for name, value in (("running_mean", 0), ("running_var", 1), ("num_batches_tracked", 0)):
                buffer = getattr(self, name)
                buffer.data = np.full(buffer.shape, value)

    def reset_parameters(self) -> None:
        """Forget the batches seen, and set weight and bias back to ones and zeros."""
        self.reset_running_stats()
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def forward(self, input: Value) -> Value:
        if input.ndim not in self.ranks:
            raise ShapeError(f"x has {input.ndim} axes, shape {input.shape}", fix=f"give it the shape {self.shapes}")
        by_batch = self.training or self.running_mean is None
        momentum = self._count() if self.training and self.track_running_stats else None
        return F.batch_norm(
            input, self.running_mean, self.running_var, self.weight, self.bias, by_batch, momentum, self.eps
        )

    def _count(self) -> Any:
        """Count this batch; its share in the running averages."""
        if self.momentum is None:
            return 1 / F.update(self.num_batches_tracked, lambda count: count + 1)
        F.update(self.num_batches_tracked, lambda count: count.graph.apply(Increment(), count))
        return self.momentum

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )


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
