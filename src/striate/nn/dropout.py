"""Dropout: layers that do something in training only. What each computes stands in `striate.nn.functional.dropout`.

The masks depend on `striate.seed`, the step, the layer and the element, so they are the same for any number of threads.
inplace is accepted and without meaning: memory is planned for the whole network.
"""

from __future__ import annotations

from striate.graph import Value
from striate.nn import functional as F
from striate.nn.module import Module


class _Dropout(Module):
    """What all share: the probability p to drop."""

    def __init__(self, p: float = 0.5, inplace: bool = False):
        super().__init__()
        F.check_dropout(p)
        self.p, self.inplace = p, inplace

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_Dropout):
    """In training, zeroes each element with probability p and divides the others by 1 - p; else gives its input back.

    mode: 'upscale_in_train' (that, the default), or 'downscale_in_infer' (Paddle 1.x: 'downgrade_in_infer'), which leaves the
    kept elements as they are in training and multiplies by 1 - p in evaluation. Raises ArgumentError.

    >>> Dropout(0.2)
    Dropout(p=0.2, inplace=False)
    """

    def __init__(self, p: float = 0.5, inplace: bool = False, mode: str = "upscale_in_train"):
        super().__init__(p, inplace)
        F.check_dropout(p, mode)
        self.mode = mode

    def forward(self, input: Value) -> Value:
        return F.dropout(input, self.p, self.training, mode=self.mode)

    def extra_repr(self) -> str:
        return super().extra_repr() + ("" if self.mode == "upscale_in_train" else f", mode={self.mode!r}")


class Dropout1d(_Dropout):
    """Drops whole channels of (N, C, L) or (C, L) in training.

    >>> Dropout1d(0.2)
    Dropout1d(p=0.2, inplace=False)
    """

    def forward(self, input: Value) -> Value:
        return F.dropout1d(input, self.p, self.training)


class Dropout2d(_Dropout):
    """Drops whole channels of (N, C, H, W) in training; three axes are (N, C, L).

    >>> Dropout2d(0.2)
    Dropout2d(p=0.2, inplace=False)
    """

    def forward(self, input: Value) -> Value:
        return F.dropout2d(input, self.p, self.training)


class Dropout3d(_Dropout):
    """Drops whole channels of (N, C, D, H, W) or (C, D, H, W) in training.

    >>> Dropout3d(0.2)
    Dropout3d(p=0.2, inplace=False)
    """

    def forward(self, input: Value) -> Value:
        return F.dropout3d(input, self.p, self.training)


class AlphaDropout(_Dropout):
    """For networks of `SELU`: in training, dropped elements take selu's lowest value, and mean and variance stay.

    >>> AlphaDropout(0.2)
    AlphaDropout(p=0.2, inplace=False)
    """

    def forward(self, input: Value) -> Value:
        return F.alpha_dropout(input, self.p, self.training)


class FeatureAlphaDropout(_Dropout):
    """`AlphaDropout` of whole channels of (N, C, ...).

    >>> FeatureAlphaDropout(0.2)
    FeatureAlphaDropout(p=0.2, inplace=False)
    """

    def forward(self, input: Value) -> Value:
        return F.feature_alpha_dropout(input, self.p, self.training)
