"""Fully connected layers."""

from __future__ import annotations

from typing import Any

from striate.graph import Value
from striate.nn import functional as F
from striate.nn import init
from striate.nn.module import Module, Parameter, check_sizes


class Linear(Module):
    """(..., in_features) -> (..., out_features): the operator `striate.ops.Linear` with a weight and a bias of its own.

    Parameters: weight (out_features, in_features), bias (out_features,), both uniform within 1 / sqrt(in_features).
    Raises ArgumentError.

    >>> Linear(400, 120)
    Linear(in_features=400, out_features=120, bias=True)
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True):
        super().__init__()
        check_sizes(in_features=in_features, out_features=out_features)
        self.in_features, self.out_features = in_features, out_features
        self.weight = Parameter.empty((out_features, in_features))
        self.register_parameter("bias", Parameter.empty(out_features) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new weights."""
        init.uniform_by_fan_in_(self.weight, self.bias)

    def forward(self, input: Value) -> Value:
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class Bilinear(Module):
    """(..., in1_features) and (..., in2_features) -> (..., out_features): y_k = bias_k + sum_ij a_i * weight_kij * b_j.

    Parameters: weight (out_features, in1_features, in2_features), bias (out_features,), both uniform within
    1 / sqrt(in1_features). Raises ArgumentError.

    >>> Bilinear(20, 30, 40)
    Bilinear(in1_features=20, in2_features=30, out_features=40, bias=True)
    """

    def __init__(self, in1_features: int, in2_features: int, out_features: int, bias: bool = True):
        super().__init__()
        check_sizes(in1_features=in1_features, in2_features=in2_features, out_features=out_features)
        self.in1_features, self.in2_features, self.out_features = in1_features, in2_features, out_features
        self.weight = Parameter.empty((out_features, in1_features, in2_features))
        self.register_parameter("bias", Parameter.empty(out_features) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new weights."""
        bound = self.in1_features**-0.5
        init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input1: Value, input2: Value) -> Value:
        return F.bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self) -> str:
        features = f"in1_features={self.in1_features}, in2_features={self.in2_features}, out_features={self.out_features}"
        return f"{features}, bias={self.bias is not None}"


class Identity(Module):
    """Gives its input back; takes and ignores any arguments, so that it can stand in for another layer.

    >>> Identity()
    Identity()
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__()

    def forward(self, input: Value) -> Value:
        return input
