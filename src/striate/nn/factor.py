"""Kernels as products of columns and rows: what a two-dimensional convolution saves when its kernel has a small rank.

    kernel[r, s] = sum_m column[r, m] * row[m, s]                        rank = the fewest m
    weight[k, c, r, s] = sum_m column[m, c, r] * row[k, m, s]            a layer: the matrix (c, r) x (k, s)

The singular value decomposition gives the rank, and the nearest kernel of any smaller rank.

Sources: Eckart & Young, The approximation of one matrix by another of lower rank, Psychometrika 1936; Jaderberg, Vedaldi &
Zisserman, Speeding up convolutional neural networks with low rank expansions, arXiv:1405.3866, scheme 2.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from striate.errors import ArgumentError
from striate.nn.container import Sequential
from striate.nn.conv import Conv2d
from striate.nn.module import Module

TOLERANCE = 1e-6
"""Singular values below this share of the largest count as zero: float32's rounding."""


def kernel_rank(kernel: Any, tolerance: float = TOLERANCE) -> int:
    """The rank of a kernel (R, S): in how many column-and-row products it falls apart.

    >>> kernel_rank([[1, 0, -1], [2, 0, -2], [1, 0, -1]]), kernel_rank([[0, -1, 0], [-1, 5, -1], [0, -1, 0]])
    (1, 2)
    """
    values = np.linalg.svd(_matrix(kernel), compute_uv=False)
    return int((values > tolerance * values[0]).sum())


def low_rank(kernel: Any, rank: int) -> tuple[np.ndarray, np.ndarray]:
    """columns (R, rank) and rows (rank, S) whose product is the nearest kernel of that rank, in the sum of squares.

    >>> columns, rows = low_rank(np.ones((3, 3)) / 9, 1)
    >>> float(abs(columns @ rows - 1 / 9).max()) < 1e-12
    True
    """
    matrix = _matrix(kernel)
    if not 1 <= rank <= min(matrix.shape):
        raise ArgumentError(f"rank must be from 1 to min{matrix.shape} = {min(matrix.shape)}, got {rank}")
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    root = np.sqrt(values[:rank])
    return left[:, :rank] * root, root[:, None] * right[:rank]


def separate(kernel: Any, tolerance: float = TOLERANCE) -> tuple[np.ndarray, np.ndarray]:
    """column (R,) and row (S,) with kernel = column * row; ArgumentError where the rank is not 1. The column's sum is positive.

    >>> column, row = separate([[1, 0, -1], [2, 0, -2], [1, 0, -1]])
    >>> (column / column[0]).round(6).tolist()
    [1.0, 2.0, 1.0]
    """
    found = kernel_rank(kernel, tolerance)
    if found != 1:
        raise ArgumentError(f"a kernel of rank {found} is no column times a row; low_rank(kernel, {max(found, 1)}) gives "
                            f"{max(found, 1)} of each, low_rank(kernel, 1) the nearest")
    columns, rows = low_rank(kernel, 1)
    sign = 1.0 if columns.sum() >= 0 else -1.0
    return sign * columns[:, 0], sign * rows[0]


def separated(conv: Conv2d, rank: int | None = None) -> Sequential:
    """The layer as a column (R, 1) with `rank` outputs and a row (1, S); without a rank the smallest that is exact.

    >>> from striate import nn
    >>> conv = nn.Conv2d(1, 1, 3, padding=1)
    >>> conv.weight.data = np.outer([1, 2, 1], [1, 0, -1]).reshape(1, 1, 3, 3)
    >>> separated(conv)
    Sequential(
      (0): Conv2d(1, 1, kernel_size=(3, 1), stride=(1, 1), padding=(1, 0), bias=False)
      (1): Conv2d(1, 1, kernel_size=(1, 3), stride=(1, 1), padding=(0, 1))
    )
    """
    if conv.groups != 1:
        raise ArgumentError(f"a convolution with groups={conv.groups} is not separated; use groups=1")
    (K, C, R, S), weight = conv.weight.shape, conv.weight.numpy()
    matrix = weight.transpose(1, 2, 0, 3).reshape(C * R, K * S)
    middle = max(1, kernel_rank(matrix)) if rank is None else rank
    columns, rows = low_rank(matrix, middle)
    column = _part(conv, 0, C, middle, bias=False)
    row = _part(conv, 1, middle, K, bias=conv.bias is not None)
    column.weight.data = columns.T.reshape(middle, C, R, 1)
    row.weight.data = rows.reshape(middle, K, S).transpose(1, 0, 2)[:, :, None]
    if conv.bias is not None and row.bias is not None:
        row.bias.data = conv.bias.data
    return Sequential(column, row)


def separate_(net: Module) -> list[str]:
    """Replace every Conv2d of a network that falls apart exactly, where that takes fewer products; the paths of those replaced.

    >>> from striate import nn
    >>> net = nn.Sequential(nn.Conv2d(1, 1, 3), nn.ReLU())
    >>> net[0].weight.data = np.ones((1, 1, 3, 3))
    >>> separate_(net), net[0][0].weight.shape
    (['0'], (1, 1, 3, 1))
    """
    found = []
    for path, module in list(net.named_modules()):
        for name, child in list(module.named_children()):
            if type(child) is Conv2d and child.groups == 1:
                new = separated(child)
                if sum(part.weight.numel() for part in new) < child.weight.numel():
                    setattr(module, name, new)
                    found.append(f"{path}.{name}".lstrip("."))
    return found


def _part(conv: Conv2d, axis: int, inputs: int, outputs: int, bias: bool) -> Conv2d:
    """The layer along one axis: its window, stride, dilation and padding there, none along the other."""
    along = [tuple(n if i == axis else usual for i, n in enumerate(value))
             for value, usual in ((conv.kernel_size, 1), (conv.stride, 1), (conv.dilation, 1))]
    padding = conv.padding
    if not isinstance(padding, str):
        pads = padding if len(padding) == 4 else (padding[0], padding[0], padding[1], padding[1])
        padding = tuple(p if i // 2 == axis else 0 for i, p in enumerate(pads))
    return Conv2d(inputs, outputs, along[0], along[1], padding, along[2], 1, bias, conv.padding_mode, flip=conv.flip)


def _matrix(kernel: Any) -> np.ndarray:
    matrix = np.asarray(kernel, np.float64)
    if matrix.ndim != 2 or not matrix.size:
        raise ArgumentError(f"a kernel has two axes (R, S), got shape {matrix.shape}")
    return matrix
