"""Layers that work along one axis: softmax and its kin, glu, maxout. See `striate.nn.functional.activation`."""

from __future__ import annotations

from striate.errors import ShapeError
from striate.graph import Value
from striate.nn import functional as F
from striate.nn.module import Module


class Softmax(Module):
    """exp(x) / sum exp(x) along the axis `dim`.

    >>> Softmax(dim=1)
    Softmax(dim=1)
    """

    def __init__(self, dim: int | None = None):
        super().__init__()
        self.dim = dim

    def forward(self, input: Value) -> Value:
        return F.softmax(input, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class Softmin(Softmax):
    """exp(-x) / sum exp(-x) along the axis `dim`.

    >>> Softmin(dim=1)
    Softmin(dim=1)
    """

    def forward(self, input: Value) -> Value:
        return F.softmin(input, self.dim)


class LogSoftmax(Softmax):
    """x - ln sum exp(x) along the axis `dim`.

    >>> LogSoftmax(dim=1)
    LogSoftmax(dim=1)
    """

    def forward(self, input: Value) -> Value:
        return F.log_softmax(input, self.dim)


class Softmax2d(Module):
    """Softmax over the channels of (N, C, H, W) or (C, H, W)."""

    def forward(self, input: Value) -> Value:
        if input.ndim not in (3, 4):
            raise ShapeError(f"x has {input.ndim} axes, shape {input.shape}, but needs (N, C, H, W) or (C, H, W)",
                             fix="reshape x", place="softmax2d")  # fmt: skip
        return F.softmax(input, -3)


class GLU(Module):
    """a * sigmoid(b), where a and b are the halves of x along the axis `dim`.

    >>> GLU()
    GLU(dim=-1)
    """

    def __init__(self, dim: int = -1):
        super().__init__()
        self.dim = dim

    def forward(self, input: Value) -> Value:
        return F.glu(input, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class Maxout(Module):
    """The largest of each `groups` neighbours along the axis `dim`, as in Paddle: (N, C, ...) -> (N, C / groups, ...).

    Behind a convolution or a linear layer it is the largest of several linear pieces.

    >>> Maxout(2)
    Maxout(groups=2, dim=1)
    """

    def __init__(self, groups: int, dim: int = 1):
        super().__init__()
        self.groups, self.dim = groups, dim

    def forward(self, input: Value) -> Value:
        return F.maxout(input, self.groups, self.dim)

    def extra_repr(self) -> str:
        return f"groups={self.groups}, dim={self.dim}"
