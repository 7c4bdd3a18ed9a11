"""Compiled convolutions with given kernels, for the notes' worked numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from striate import nn


def layer(kernel: Any, bias: Any = None, transposed: bool = False, **settings: Any) -> nn.Module:
    """A convolution with this kernel: (R, S) of one channel, or a whole weight (K, C/G, ...)."""
    weight = np.asarray(kernel, np.float32)
    weight = weight[None, None] if weight.ndim == 2 else weight
    rank, groups = weight.ndim - 2, settings.get("groups", 1)
    kinds = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d) if transposed else (nn.Conv1d, nn.Conv2d, nn.Conv3d)
    channels = (weight.shape[0], weight.shape[1] * groups) if transposed else (weight.shape[1] * groups, weight.shape[0])
    net = kinds[rank - 1](*channels, weight.shape[2:], bias=bias is not None, **settings)
    net.weight.data = weight
    if bias is not None:
        net.bias.data = np.broadcast_to(np.asarray(bias, np.float32), net.bias.shape)
    return net


def convolve(x: Any, kernel: Any, bias: Any = None, **settings: Any) -> np.ndarray:
    """The compiled result for one image (H, W) or (C, ...): without axes of extent 1 in front where one map goes in and out."""
    image = np.asarray(x, np.float32)
    image = image[None] if image.ndim == 2 else image
    y = layer(kernel, bias, **settings)(image)
    return y[0] if np.ndim(x) == 2 and len(y) == 1 else y


def turned(kernel: Any) -> np.ndarray:
    """The kernel turned by 180 degrees."""
    return np.asarray(kernel, np.float32)[..., ::-1, ::-1].copy()
