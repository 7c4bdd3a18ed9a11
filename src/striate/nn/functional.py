"""Operators as functions, with PyTorch's names and argument order, for use inside `forward`.

This is where arguments are normalised, once: an int becomes a pair, 'same' becomes pixels, and the operator that enters
the graph holds tuples only. What an operator computes stands in its file of `striate.ops`.

    from striate.nn import functional as F
    y = F.max_pool2d(F.relu(F.conv2d(x, weight, bias, padding=1)), 2)

Images are (N, C, H, W); convolution and pooling also take one image (C, H, W) and give one back.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from striate import ops
from striate.errors import ArgumentError, ShapeError
from striate.graph import Value
from striate.nn.module import TRACED, Variable
from striate.window import Window2d, pair, windows

Tensor = Value | Variable
"""What a function takes: a symbolic value, or a parameter or buffer that stands for one."""


# convolution and linear


def conv2d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
    groups: int = 1,
) -> Value:  # fmt: skip
    """`striate.ops.Conv2d` of x (N, C, H, W), weight (K, C/G, R, S), bias (K,) -> (N, K, P, Q).

    padding: pixels, a pair (rows, columns), (top, bottom, left, right), 'valid' or 'same' (`striate.window.windows`).
    """
    op = ops.Conv2d(_window(_weight_shape(weight, 4)[2:], stride, padding, dilation), groups)
    return _images(input, lambda x: x.graph.apply(op, x, weight, *_given(bias)))


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Value:
    """`striate.ops.Linear` of x (..., C), weight (K, C), bias (K,) -> (..., K)."""
    x = _value(input)
    return x.graph.apply(ops.Linear(), x, weight, *_given(bias))


# pooling


def max_pool2d(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False
) -> Value:
    """`striate.ops.MaxPool2d` of (N, C, H, W) -> (N, C, P, Q); the stride is the kernel's size unless given."""
    op = ops.MaxPool2d(_window(kernel_size, _stride(stride, kernel_size), padding, dilation, ceil_mode))
    return _images(input, lambda x: x.graph.apply(op, x)[0])


def avg_pool2d(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> Value:  # fmt: skip
    """`striate.ops.AvgPool2d` of (N, C, H, W) -> (N, C, P, Q); the stride is the kernel's size unless given."""
    if divisor_override == 0:
        raise ArgumentError("divisor_override must not be 0; None divides by the number of taps")
    window = _window(kernel_size, _stride(stride, kernel_size), padding, 1, ceil_mode)
    op = ops.AvgPool2d(window, count_include_pad, divisor_override)
    return _images(input, lambda x: x.graph.apply(op, x))


def adaptive_avg_pool2d(input: Tensor, output_size: Any) -> Value:
    """Means over a grid of output_size = (P, Q) parts of (N, C, H, W); None keeps the input's size.

    `striate.ops.AvgPool2d` where P divides H and Q divides W, `striate.ops.AdaptiveAvgPool2d` elsewhere.
    """

    def pool(x: Value) -> Value:
        size = adaptive_size(output_size, x.shape[-2:])
        window = _even_window(x.shape[-2:], size)
        return x.graph.apply(ops.AvgPool2d(window) if window else ops.AdaptiveAvgPool2d(size), x)

    return _images(input, pool)


def adaptive_max_pool2d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """Maxima over a grid of output_size = (P, Q) parts of (N, C, H, W); None keeps the input's size.

    `striate.ops.MaxPool2d` where P divides H and Q divides W, `striate.ops.AdaptiveMaxPool2d` elsewhere. The indices
    (int32, h * W + w) come with the second only, so asking for them uses it.
    """

    def pool(x: Value) -> tuple[Value, Value]:
        size = adaptive_size(output_size, x.shape[-2:])
        window = None if return_indices else _even_window(x.shape[-2:], size)
        return x.graph.apply(ops.MaxPool2d(window) if window else ops.AdaptiveMaxPool2d(size), x)

    both = _images(input, pool)
    return both if return_indices else both[0]


def adaptive_size(output_size: Any, size: Sequence[int]) -> tuple[int, int]:
    """(P, Q) out of a number or a pair, in which None keeps the input's size.

    >>> adaptive_size((None, 3), (7, 9))
    (7, 3)
    """
    wanted = output_size if isinstance(output_size, (tuple, list)) else (output_size,) * 2
    if len(wanted) != 2:
        raise ArgumentError(f"output_size must be a number or a pair, got {output_size}")
    height, width = pair([n if given is None else given for given, n in zip(wanted, size, strict=True)], "output_size")
    if min(height, width) < 1:
        raise ArgumentError(f"output_size must be at least 1, got {output_size}")
    return height, width


def _even_window(size: Sequence[int], output_size: tuple[int, int]) -> Window2d | None:
    """The window that pools `size` pixels to `output_size` where that comes out even; None elsewhere."""
    if any(n == 0 or n % out for n, out in zip(size, output_size)):
        return None
    step = tuple(n // out for n, out in zip(size, output_size))
    return _window(step, step)


# normalisation and dropout


def batch_norm(
    input: Tensor, running_mean: Tensor | None, running_var: Tensor | None, weight: Tensor | None = None,
    bias: Tensor | None = None, training: bool = False, momentum: Any = 0.1, eps: float = 1e-5,
) -> Value:  # fmt: skip
    """`striate.ops.BatchNorm` of (N, C, ...) in training, `striate.ops.BatchNormInference` otherwise.

    Training updates the running averages, if there are any, when the graph has run:

        running_mean = (1 - momentum) * running_mean + momentum * mean
        running_var  = (1 - momentum) * running_var  + momentum * variance * M / (M - 1)      M values a channel
    """
    x = _value(input)
    channels = running_mean.shape if running_mean is not None else x.shape[1:2]
    scale = weight if weight is not None else np.ones(channels, np.float32)
    shift = bias if bias is not None else np.zeros(channels, np.float32)
    if not training:
        if running_mean is None or running_var is None:
            raise ArgumentError("batch_norm outside training needs running_mean and running_var")
        return x.graph.apply(ops.BatchNormInference(eps), x, scale, shift, running_mean, running_var)
    y, mean, variance = x.graph.apply(ops.BatchNorm(eps), x, scale, shift)
    count = x.numel() // x.shape[1]
    if running_mean is not None:
        update(running_mean, lambda old: (1 - momentum) * old + momentum * mean)
    if running_var is not None:
        update(running_var, lambda old: (1 - momentum) * old + (momentum * (count / (count - 1))) * variance)
    return y


def update(variable: Tensor, step: Callable[[Value], Value]) -> Value:
    """Let a buffer take a new value, step(its value), when the graph has run; steps in one forward follow each other."""
    value = _value(variable)
    updates = value.graph.updates
    updates[value] = step(updates.get(value, value))
    return updates[value]


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Value:
    """`striate.ops.Dropout` in training, each call with a mask of its own; otherwise the input. inplace is ignored."""
    x = _value(input)
    if not training or p == 0:
        return x
    graph = x.graph
    used = [node.op.stream for node in graph.nodes if isinstance(node.op, ops.Dropout)]
    return graph.apply(ops.Dropout(p, max(used, default=-1) + 1), x, graph.random_state())


# activations


def relu(input: Tensor, inplace: bool = False) -> Value:
    """max(x, 0): `striate.ops.ReLU`. inplace is ignored: memory is planned for the whole graph."""
    return _value(input).relu()


def tanh(input: Tensor) -> Value:
    """`striate.ops.Tanh`."""
    return _value(input).tanh()


def sigmoid(input: Tensor) -> Value:
    """1 / (1 + exp(-x)): `striate.ops.Sigmoid`."""
    return _value(input).sigmoid()


def softmax(input: Tensor, dim: int | None = None) -> Value:
    """`striate.ops.Softmax` along `dim`, which must be given."""
    return _value(input).softmax(_dim(dim, "softmax"))


def log_softmax(input: Tensor, dim: int | None = None) -> Value:
    """`striate.ops.LogSoftmax` along `dim`, which must be given."""
    return _value(input).log_softmax(_dim(dim, "log_softmax"))


# losses


def cross_entropy(
    input: Tensor, target: Any, weight: Any = None, size_average: None = None, ignore_index: int = -100,
    reduce: None = None, reduction: str = "mean", label_smoothing: float = 0.0,
) -> Value:  # fmt: skip
    """`striate.ops.CrossEntropy` of logits (N, C, ...) and class indices (N, ...).

    A target of the logits' own shape and float type holds a probability for each class, as in mixup.
    """
    check_reduction(reduction, size_average, reduce)
    x = _value(input)
    goal, classes = x.graph.lift(target), _class_weight(weight)
    if goal.dtype.startswith("float") and goal.shape == x.shape:
        return _cross_entropy_of_probabilities(x, goal, classes, reduction, label_smoothing)
    op = ops.CrossEntropy(label_smoothing, ignore_index, reduction)
    return x.graph.apply(op, x, goal, *_given(classes))


def _cross_entropy_of_probabilities(x: Value, target: Value, weight: Any, reduction: str, label_smoothing: float) -> Value:
    """-sum over the classes of weight * target * log_softmax(x); the mean is over N and all other axes but the classes."""
    if label_smoothing:
        target = (1 - label_smoothing) * target + label_smoothing / x.shape[1]
    each = target * x.log_softmax(1)
    if weight is not None:
        each = each * x.graph.lift(weight).reshape(-1, *(1,) * (x.ndim - 2))
    return _reduced(-each.sum(1), reduction)


def nll_loss(
    input: Tensor, target: Any, weight: Any = None, size_average: None = None, ignore_index: int = -100,
    reduce: None = None, reduction: str = "mean",
) -> Value:  # fmt: skip
    """-weight[t] * x[t] of log-probabilities x (N, C, ...) and class indices t (N, ...).

    Composed: cross-entropy is ln sum_c exp(x_c) - x_t, and of logits that are all 0 it is ln C, which tells the weights.
    """
    check_reduction(reduction, size_average, reduce)
    x, op = _value(input), ops.CrossEntropy(0.0, ignore_index, "none")
    classes = _given(_class_weight(weight))
    even = np.zeros(x.shape, np.float32)
    counted = x.graph.apply(op, even, target, *classes) / math.log(x.shape[1])
    log_sum = (x - x.log_softmax(1)).mean(1)
    each = x.graph.apply(op, x, target, *classes) - counted * log_sum
    return each.sum() / counted.sum() if reduction == "mean" else _reduced(each, reduction)


def mse_loss(input: Tensor, target: Any, size_average: None = None, reduce: None = None, reduction: str = "mean") -> Value:
    """(x - target)^2, of two equal shapes; its mean, sum, or 'none' for each element."""
    check_reduction(reduction, size_average, reduce)
    difference = _difference(input, target)
    return _reduced(difference * difference, reduction)


def l1_loss(input: Tensor, target: Any, size_average: None = None, reduce: None = None, reduction: str = "mean") -> Value:
    """|x - target|, of two equal shapes; its mean, sum, or 'none' for each element."""
    check_reduction(reduction, size_average, reduce)
    return _reduced(_difference(input, target).abs(), reduction)


def check_reduction(reduction: str, size_average: None = None, reduce: None = None) -> None:
    """Refuse unknown reductions, and PyTorch's two forgotten arguments."""
    if size_average is not None or reduce is not None:
        raise ArgumentError("size_average and reduce are out of use; say reduction='mean', 'sum' or 'none'")
    if reduction not in ("mean", "sum", "none"):
        raise ArgumentError(f"reduction must be 'mean', 'sum' or 'none', got {reduction!r}")


def _reduced(each: Value, reduction: str) -> Value:
    return each if reduction == "none" else each.sum() if reduction == "sum" else each.mean()


def _difference(input: Tensor, target: Any) -> Value:
    """x - target, which must not broadcast: (N, 1) and (N,) would silently compare everything with everything."""
    x = _value(input)
    goal = x.graph.lift(target)
    if x.shape != goal.shape:
        raise ShapeError(f"the input has shape {x.shape} but the target {goal.shape}", fix="give both the same shape")
    return x - goal


def _class_weight(weight: Any) -> Any:
    return weight if weight is None or isinstance(weight, Tensor) else np.asarray(weight, np.float32)


# shapes


def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Value:
    """The axes start_dim to end_dim, both included, as one."""
    return _value(input).flatten(start_dim, end_dim)


def cat(tensors: Sequence[Tensor], dim: int = 0) -> Value:
    """Values one after another along an axis: `striate.ops.Concat`."""
    values = _values(tensors, "cat")
    return values[0].graph.apply(ops.Concat(ops.axis(dim, values[0].ndim)), *values)


concat = concatenate = cat


def stack(tensors: Sequence[Tensor], dim: int = 0) -> Value:
    """Values of one shape side by side along a new axis."""
    values = _values(tensors, "stack")
    at = ops.axis(dim, values[0].ndim + 1)
    return cat([v.unsqueeze(at) for v in values], at)


def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Value:
    """`striate.ops.Pad`: (low, high) for the last axis, then for the one before it, and so on; whole numbers from 0.

    `F.pad(x, (1, 2))` adds a column in front and two behind.
    """
    x, amounts = _value(input), [int(p) for p in pad]
    if mode != "constant":
        raise ArgumentError(f"padding mode '{mode}' is not supported; use mode='constant'")
    if len(amounts) % 2 or len(amounts) > 2 * x.ndim or min(amounts, default=0) < 0:
        raise ArgumentError(
            f"pad takes (low, high) from 0 up for at most {x.ndim} axes, the last one first, got {tuple(amounts)}; "
            "crop with a slice"
        )
    pairs = list(zip(amounts[0::2], amounts[1::2], strict=True))
    pads = ((0, 0),) * (x.ndim - len(pairs)) + tuple(reversed(pairs))
    return x.graph.apply(ops.Pad(pads, float(value or 0)), x)


# helpers


def _value(item: Any) -> Value:
    """The symbolic value of an input."""
    if isinstance(item, Value):
        return item
    graph = TRACED.get()
    if graph is None:
        raise ArgumentError(
            f"functions of nn.functional take symbolic values, got {type(item).__name__}; use them inside a module's "
            "forward and call the module with arrays"
        )
    return graph.lift(item)


def _values(items: Sequence[Any], name: str) -> list[Value]:
    values = [_value(item) for item in items]
    if not values:
        raise ArgumentError(f"{name} got no values; give it at least one")
    return values


def _images(input: Tensor, function: Callable[[Value], Any]) -> Any:
    """Call a function of (N, C, H, W); one image (C, H, W) goes in and comes out as a batch of one."""
    x = _value(input)
    if x.ndim != 3:
        return function(x)
    y = function(x.unsqueeze(0))
    return tuple(v.squeeze(0) for v in y) if isinstance(y, tuple) else y.squeeze(0)


def _window(kernel_size: Any, stride: Any, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False) -> Window2d:
    """The windows of height and width."""
    height, width = windows(kernel_size, stride, padding, dilation, ceil_mode)
    return height, width


def _given(item: Any) -> tuple[Any, ...]:
    return () if item is None else (item,)


def _stride(stride: Any, kernel_size: Any) -> Any:
    return kernel_size if stride is None else stride


def _dim(dim: int | None, name: str) -> int:
    if dim is None:
        raise ArgumentError(f"{name} needs the axis along which it sums to 1; give dim=1 for classes in (N, C)")
    return dim


def _weight_shape(weight: Tensor, rank: int) -> tuple[int, ...]:
    if len(weight.shape) != rank:
        raise ShapeError(f"the weight has {len(weight.shape)} axes, shape {weight.shape}, but needs {rank}: (K, C/G, R, S)",
                         fix="reshape it")  # fmt: skip
    return weight.shape
