"""A picture through a convolution with a kernel that is given, not learnt.

    kernel (R, S)         y[c] = conv(x[c], w)                   each channel on its own: (C, H, W) -> (C, P, Q)
    kernel (K, C, R, S)   y[k] = sum over c of conv(x[c], w[k,c])   (C, H, W) -> (K, P, Q)

The convolution is nn.Conv2d, so P and Q are what `striate.window` says.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from striate import nn
from striate.data.dataset import as_input
from striate.data.folder import read_image, to_mode
from striate.errors import ArgumentError
from striate.vision.kernels import kernel as kernel_of
from striate.window import windows

LUMA = (0.299, 0.587, 0.114)
"""Brightness of red, green and blue: ITU-R BT.601, as Pillow's convert('L')."""


def picture(image: Any, grey: bool = False) -> np.ndarray:
    """A picture as float32 (C, H, W): a file or a Pillow image of any mode as RGB, or grey, from 0 to 1; or an array.

    Files and Pillow images lose their alpha channel here, whatever it says: a network for RGB reads three channels. Arrays
    are (H, W) or (C, H, W) with 1 or 3 channels; bytes become fractions of 255, other numbers stay as they are.

    Raises ArgumentError, DataError.

    >>> picture(np.full((2, 4, 3), 51, np.uint8).transpose(2, 0, 1))[0, 0, 0].item()
    0.20000000298023224
    """
    if isinstance(image, (str, Path)):
        return as_input(read_image(Path(image), grey=grey))
    if hasattr(image, "getbands"):
        pixels = np.asarray(to_mode(image, "L" if grey else "RGB"))
        return as_input(pixels[None] if grey else pixels.transpose(2, 0, 1))
    array = np.asarray(image)
    array = array[None] if array.ndim == 2 else array
    if array.ndim != 3 or array.shape[0] not in (1, 3) or array.dtype.kind not in "buif":
        mend = "use image.transpose(2, 0, 1)" if array.shape[2:] == (3,) else "convert it, as Image.convert('RGB')"
        raise ArgumentError(f"a picture has shape (H, W) or (C, H, W) with 1 or 3 channels, got {np.shape(image)} "
                            f"of {array.dtype}; {mend}")
    array = as_input(array) if array.dtype == np.uint8 else array.astype(np.float32)
    return np.tensordot(LUMA, array, 1)[None].astype(np.float32) if grey and len(array) == 3 else array


def filter(image: Any, kernel: Any, padding: Any = "edge", grey: bool = False) -> np.ndarray:
    """A picture filtered with a kernel: float32 (C, P, Q), in the units of `picture(image)`, not clipped.

    image     what `picture` takes; `grey` makes it grey first
    kernel    a name of KERNELS, an array (R, S) for each channel, or (K, C, R, S) for all channels together
    padding   'edge' keeps the size and repeats the pixels at the border; 'same' keeps it with zeros, which darkens the border
              of a blur and lights up that of an edge; 'valid', pixels, or what else nn.Conv2d takes

    Raises ArgumentError, ShapeError (a kernel larger than the picture).

    >>> filter(np.eye(4, dtype=np.float32), "box_blur", padding="valid")[0].round(2)
    array([[0.33, 0.22],
           [0.22, 0.33]], dtype=float32)
    """
    x, weight = picture(image, grey), kernel_of(kernel)
    channels = len(x)
    groups = 1
    if weight.ndim == 2:
        weight, groups = np.broadcast_to(weight, (channels, 1, *weight.shape)), channels
    if padding == "edge":
        same: Any = "same"
        rows, columns = (w.pads for w in windows(weight.shape[2:], padding=same))
        x, padding = np.pad(x, ((0, 0), rows, columns), mode="edge"), 0
    layer = nn.Conv2d(weight.shape[1] * groups, len(weight), weight.shape[2:], padding=padding, groups=groups, bias=False)
    layer.weight.data = weight
    return layer(x[None])[0]
