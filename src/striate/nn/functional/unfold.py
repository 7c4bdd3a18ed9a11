"""Windows as columns (im2col), and columns added up to an image.

    unfold   y[n, (c, r, s), (p, q)] = x[n, c, p*stride + r*dilation - pad, q*stride + s*dilation - pad]
    fold     the transpose: x[n, c, h, w] = the sum of the columns' elements that unfold reads from there

A tap (r, s) of all windows is one slice of the padded image, so both are made of slices.

Source: Chellapilla, Puri & Simard, High performance convolutional neural networks for document processing, 2006, section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from striate import ops
from striate.errors import ShapeError
from striate.graph import Value
from striate.nn.functional.arguments import Tensor, images, symbol
from striate.window import Window, pair, windows


def unfold(input: Tensor, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Value:
    """(N, C, H, W) -> (N, C*R*S, P*Q): each column is one window's pixels. An image without N gives columns without N."""
    window = windows(kernel_size, stride, padding, dilation)

    def columns(x: Value) -> Value:
        if x.ndim != 4:
            raise ShapeError(f"x {x.shape} has {x.ndim} axes", fix="give it the shape (N, C, H, W) or (C, H, W)")
        padded = x.graph.apply(ops.Pad(((0, 0), (0, 0), *(w.pads for w in window))), x)
        parts = [x.graph.apply(part, padded).unsqueeze(2) for part in tap_slices(window, padded.shape)]
        return x.graph.apply(ops.Concat(2), *parts).flatten(1, 2).flatten(2)

    return images(symbol(input), columns)


def fold(input: Tensor, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Value:
    """(N, C*R*S, P*Q) -> (N, C, H, W) of the given output_size: columns added up. (C*R*S, P*Q) gives (C, H, W)."""
    x, window, size = symbol(input), windows(kernel_size, stride, padding, dilation), pair(output_size, "output_size")
    if x.ndim == 2:
        return fold(x.unsqueeze(0), output_size, kernel_size, dilation, padding, stride).squeeze(0)
    taps, (P, Q) = window[0].size * window[1].size, (w.out(n) for w, n in zip(window, size, strict=True))
    if x.ndim != 3 or x.shape[1] % taps or x.shape[2] != P * Q:
        image = f"an image of {size[0]} x {size[1]}"
        raise ShapeError(f"x {x.shape} is not (N, C * {taps}, {P} * {Q} = {P * Q}), which {image} unfolds to",
                         fix="check output_size, kernel_size, stride, padding and dilation")
    N, C = x.shape[0], x.shape[1] // taps
    columns = x.reshape(N, C, taps, P, Q)
    padded = (N, C, *(n + sum(w.pads) for n, w in zip(size, window, strict=True)))
    total: Any = 0
    for i, part in enumerate(tap_slices(window, padded)):
        back = ops.SliceGradient(part.starts, part.stops, part.steps, padded)
        total = x.graph.apply(back, columns[:, :, i]) + total if i else x.graph.apply(back, columns[:, :, i])
    (top, _), (left, _) = (w.pads for w in window)
    return total[:, :, top : top + size[0], left : left + size[1]]


def tap_slices(window: Sequence[Window], padded: tuple[int, ...]) -> list[ops.Slice]:
    """For each tap of a window, what all positions read there of the padded image."""
    height, width = window
    slices = []
    for r in range(height.size):
        for s in range(width.size):
            reads = [range(t * w.dilation, n - w.extent + t * w.dilation + 1, w.stride)
                     for t, w, n in zip((r, s), window, padded[2:], strict=True)]
            starts, stops, steps = ([getattr(part, name) for part in reads] for name in ("start", "stop", "step"))
            slices.append(ops.Slice((0, 0, *starts), (*padded[:2], *stops), (1, 1, *steps)))
    return slices
