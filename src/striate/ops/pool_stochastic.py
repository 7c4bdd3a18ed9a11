"""Stochastic pooling: a pixel of each window, drawn with a probability in proportion to its value.

    a = max(x, 0)     p_i = a_i / sum of a over the window     y = a_i with probability p_i; 0 where all a are 0
    dx = dy at the pixel that was drawn, 0 elsewhere

    Drawn by a whole number w from 0 to 2^24 - 1 for each output: the last tap with a_i > 0 whose taps before it add up to at
    most w * 2^-24 * sum of a. A negative input has probability 0. w is `striate.ops.dropout`'s, so the same seed draws the
    same pixels for any number of threads.

After training the paper takes the mean of what is drawn, sum of a^2 / sum of a (`nn.functional.stochastic_pool2d`).

Source: Zeiler & Fergus, Stochastic pooling for regularization of deep convolutional neural networks, arXiv:1301.3557, section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from striate.ops.base import Array, Cost, Spec
from striate.ops.dropout import Drawn
from striate.ops.pool import Windows, flat, max_pool_gradient_of, pick, pooled, tap_cost
from striate.ops.sight import View, through, whole
from striate.ops.taps import taps


@dataclass(frozen=True)
class StochasticPool2d(Drawn):
    """x (N, C, H, W) -> y (N, C, P, Q), and tap int32 of that shape: r*S + s of the pixel drawn, R*S where there is none.

    >>> from striate.window import windows
    >>> pool, x = StochasticPool2d(windows(2, 2), stream=0), np.array([[[[1.6, 0], [0, 2.4]]]])
    >>> [pool.reference(x, np.array([0, step]))[0].item() for step in range(6)]
    [2.4, 1.6, 2.4, 2.4, 1.6, 2.4]
    """

    window: Windows
    stream: int
    name = "stochastic_pool2d"

    def infer(self, x: Spec, random: Spec) -> tuple[Spec, Spec]:
        y = pooled(super().infer(x, random), self.window)
        return y, Spec(y.shape, "int32")

    def sees(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Sequence[View]:
        return [through(self.window), whole(inputs[1].shape)]

    def reference(self, x: Array, random: Array) -> tuple[Array, Array]:
        a = flat(taps(np.maximum(x, 0), self.window), 2)
        sums = np.cumsum(a, -1)
        share = (self.draw(a.shape[:-1], random) * 2.0**-24).astype(x.dtype)
        before = np.concatenate([np.zeros_like(a[..., :1]), sums[..., :-1]], -1)
        drawn = (a > 0) & (before <= (share * sums[..., -1])[..., None])
        count = a.shape[-1]
        tap = np.where(drawn.any(-1), count - 1 - drawn[..., ::-1].argmax(-1), count)
        return np.where(tap < count, pick(a, np.minimum(tap, count - 1)), 0), tap.astype(np.int32)

    def gradient(self, g, x, y, dy):
        return [g.apply(max_pool_gradient_of(self.window, x[0].shape[2:]), dy[0], y[1]), None]

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        return tap_cost(self.window, outputs[0], inputs, outputs)
