"""Activations and softmax as functions.

`inplace` is accepted everywhere and without meaning: memory is planned for the whole graph.
"""

from __future__ import annotations

from typing import Any

from striate import ops
from striate.errors import ArgumentError, ShapeError
from striate.graph import Value
from striate.nn.functional.arguments import Tensor, symbol


def curve(input: Tensor, op: ops.Op) -> Value:
    """One elementwise operator on the input."""
    x = symbol(input)
    return x.graph.apply(op, x)


def relu(input: Tensor, inplace: bool = False, at_zero: float = 0.0) -> Value:
    """max(x, 0): `striate.ops.ReLU`. at_zero: the derivative at 0, which is 0 (as in PyTorch) or 1.

    x + max(-x, 0) is the same number, and has the derivative 1 at 0.
    """
    if at_zero not in (0, 1):
        raise ArgumentError(f"the derivative of relu at 0 may be 0 or 1, got at_zero={at_zero}")
    x = symbol(input)
    return x + (-x).relu() if at_zero else x.relu()


def tanh(input: Tensor) -> Value:
    """`striate.ops.Tanh`."""
    return symbol(input).tanh()


def sigmoid(input: Tensor) -> Value:
    """1 / (1 + exp(-x)): `striate.ops.Sigmoid`."""
    return symbol(input).sigmoid()


def relu6(input: Tensor, inplace: bool = False) -> Value:
    """min(max(x, 0), 6)."""
    return curve(input, ops.Hardtanh(0.0, 6.0))


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Value:
    """`striate.ops.LeakyReLU`."""
    return curve(input, ops.LeakyReLU(float(negative_slope)))


def prelu(input: Tensor, weight: Tensor) -> Value:
    """`striate.ops.PReLU`: weight has one slope for each channel of x (N, C, ...), or a single one."""
    x, slopes = symbol(input), symbol(weight)
    channels = x.shape[1] if x.ndim > 1 else 1
    if slopes.ndim > 1 or slopes.numel() not in (1, channels):
        raise ShapeError(f"weight {slopes.shape} does not fit the {channels} channels of x {x.shape}",
                         fix=f"use num_parameters={channels} or 1", place="prelu")  # fmt: skip
    each = slopes.reshape(-1, *(1,) * (x.ndim - 2)) if slopes.numel() > 1 else slopes
    return x.graph.apply(ops.PReLU(), x, each)


def rrelu(
    input: Tensor, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False, inplace: bool = False
) -> Value:  # fmt: skip
    """`striate.ops.RReLU` in training: a slope between lower and upper for each element; otherwise their mean for all."""
    if lower > upper:
        raise ArgumentError(f"lower must not be larger than upper, got {lower} and {upper}")
    x = symbol(input)
    if not training:
        return leaky_relu(x, (lower + upper) / 2)
    return x.graph.apply(ops.RReLU(lower, upper, next_stream(x)), x, x.graph.random_state())


def next_stream(x: Value) -> int:
    """A number for what draws next, so that each draws numbers of its own."""
    return 1 + max((node.op.stream for node in x.graph.nodes if isinstance(node.op, ops.Drawn)), default=-1)


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Value:
    """`striate.ops.ELU`: x where x > 0, else alpha * (e^x - 1)."""
    return curve(input, ops.ELU(float(alpha)))


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Value:
    """x where x > 0, else alpha * (e^(x / alpha) - 1)."""
    if alpha == 0:
        raise ArgumentError("celu divides by alpha, which must not be 0")
    return curve(input, ops.ELU(float(alpha), 1.0, 1 / alpha))


def selu(input: Tensor, inplace: bool = False) -> Value:
    """elu with the alpha and the scale that keep mean 0 and variance 1."""
    return curve(input, ops.ELU(1.6732632423543772848170429916717, 1.0507009873554804934193349852946))


def silu(input: Tensor, inplace: bool = False) -> Value:
    """x * sigmoid(x)."""
    return curve(input, ops.SiLU())


def swish(input: Tensor, beta: float | Tensor = 1.0) -> Value:
    """x * sigmoid(beta * x); beta is a number, or a parameter that is learned."""
    x = symbol(input)
    return curve(x, ops.SiLU(float(beta))) if isinstance(beta, (int, float)) else x * (x * symbol(beta)).sigmoid()


def hardswish(input: Tensor, inplace: bool = False) -> Value:
    """x * relu6(x + 3) / 6."""
    return curve(input, ops.Hardswish())


def hardsigmoid(input: Tensor, inplace: bool = False) -> Value:
    """relu6(x + 3) / 6."""
    return curve(input, ops.Hardsigmoid())


def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Value:
    """min(max(x, min_val), max_val)."""
    return curve(input, ops.Hardtanh(float(min_val), float(max_val)))


def gelu(input: Tensor, approximate: str = "none") -> Value:
    """`striate.ops.GELU`; approximate is 'none' or 'tanh'."""
    return curve(input, ops.GELU(approximate))


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Value:
    """ln(1 + e^(beta * x)) / beta, and x itself where beta * x > threshold."""
    if beta == 0:
        raise ArgumentError("softplus divides by beta, which must not be 0")
    return curve(input, ops.Softplus(float(beta), float(threshold)))


def softsign(input: Tensor) -> Value:
    """x / (1 + |x|)."""
    return curve(input, ops.Softsign())


def mish(input: Tensor, inplace: bool = False) -> Value:
    """x * tanh(softplus(x))."""
    return curve(input, ops.Mish())


def logsigmoid(input: Tensor) -> Value:
    """-ln(1 + e^-x)."""
    return curve(input, ops.LogSigmoid())


def tanhshrink(input: Tensor) -> Value:
    """x - tanh x."""
    return curve(input, ops.Tanhshrink())


def softshrink(input: Tensor, lambd: float = 0.5) -> Value:
    """sign(x) * max(|x| - lambd, 0)."""
    return curve(input, ops.Shrink(float(lambd), float(lambd)))


def hardshrink(input: Tensor, lambd: float = 0.5) -> Value:
    """x where |x| > lambd, else 0."""
    return symbol(input) if lambd < 0 else curve(input, ops.Shrink(float(lambd)))


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Value:
    """x where x > threshold, else value."""
    return curve(input, ops.Threshold(float(threshold), float(value)))


def softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Value:
    """`striate.ops.Softmax` along `dim`, which must be given."""
    return _along(symbol(input), ops.Softmax, dim, "softmax", dtype)


def softmin(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Value:
    """Softmax of -x along `dim`, which must be given."""
    return _along(-symbol(input), ops.Softmax, dim, "softmin", dtype)


def log_softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Value:
    """`striate.ops.LogSoftmax` along `dim`, which must be given."""
    return _along(symbol(input), ops.LogSoftmax, dim, "log_softmax", dtype)


def glu(input: Tensor, dim: int = -1) -> Value:
    """`striate.ops.GLU`: a * sigmoid(b), where a and b are the halves of x along `dim`."""
    x = symbol(input)
    return x.graph.apply(ops.GLU(ops.axis(dim, x.ndim)), x)


def maxout(input: Tensor, groups: int, dim: int = 1) -> Value:
    """The largest of each `groups` neighbours along `dim`, as in Paddle: (N, C, ...) -> (N, C / groups, ...).

    The gradient goes to the largest; equal ones share it. Source: Goodfellow et al., Maxout networks, ICML 2013.
    """
    x = symbol(input)
    at = ops.axis(dim, x.ndim)
    size = x.shape[at]
    if groups < 1 or size % groups:
        raise ShapeError(f"x {x.shape} has {size} elements along the axis {dim}: {size} / {groups} is no whole number",
                         fix=f"use a number of groups that divides {size}", place="maxout")  # fmt: skip
    return x.reshape(*x.shape[:at], size // groups, groups, *x.shape[at + 1 :]).amax(at + 1)


def _along(x: Value, op: type[ops.Softmax | ops.LogSoftmax], dim: int | None, name: str, dtype: Any) -> Value:
    """The operator along an axis; a single number is a row of one."""
    if dim is None:
        raise ArgumentError(f"{name} needs the axis along which it sums to 1; give dim=1 for classes in (N, C)")
    if dtype is not None and not str(dtype).endswith("float32"):
        raise ArgumentError(f"{name} computes in float32, got dtype={dtype}; leave dtype out")
    row = x if x.ndim else x.reshape(1)
    y = x.graph.apply(op(ops.axis(dim, row.ndim)), row)
    return y if x.ndim else y.squeeze(0)
