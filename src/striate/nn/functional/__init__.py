"""Operators as functions, with PyTorch's names and argument order, for use inside `forward`.

This is where arguments are normalised, once: an int becomes a pair, 'same' becomes pixels, and the operator that enters
the graph holds tuples only. What an operator computes stands in its file of `striate.ops`.

    from striate.nn import functional as F
    y = F.max_pool2d(F.relu(F.conv2d(x, weight, bias, padding=1)), 2)

Images are (N, C, H, W); convolution and pooling also take one image (C, H, W) and give one back.
"""

from striate.nn.functional.activation import dropout, log_softmax, relu, sigmoid, softmax, tanh
from striate.nn.functional.arguments import Tensor
from striate.nn.functional.convolution import conv2d, linear
from striate.nn.functional.loss import check_reduction, cross_entropy, l1_loss, mse_loss, nll_loss
from striate.nn.functional.normalization import batch_norm, update
from striate.nn.functional.pooling import adaptive_avg_pool2d, adaptive_max_pool2d, adaptive_size, avg_pool2d, max_pool2d
from striate.nn.functional.shape import cat, concat, concatenate, flatten, pad, stack

__all__ = [
    "Tensor",
    "adaptive_avg_pool2d",
    "adaptive_max_pool2d",
    "adaptive_size",
    "avg_pool2d",
    "batch_norm",
    "cat",
    "check_reduction",
    "concat",
    "concatenate",
    "conv2d",
    "cross_entropy",
    "dropout",
    "flatten",
    "l1_loss",
    "linear",
    "log_softmax",
    "max_pool2d",
    "mse_loss",
    "nll_loss",
    "pad",
    "relu",
    "sigmoid",
    "softmax",
    "stack",
    "tanh",
    "update",
]
