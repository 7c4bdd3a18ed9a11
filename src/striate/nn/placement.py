"""Where a network computes, and in what type: on the CPU, in float32. What asks for that is served, all else is refused."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from striate.errors import ArgumentError

SERVED = {"cpu", "float32", "float", "channels_last", "contiguous_format", "preserve_format"}


class Placement:
    """PyTorch's calls that move a module, for networks that were written with them."""

    def to(self, *wishes: Any, **named: Any) -> Self:
        """This module, where "cpu" or float32 is asked for. Raises ArgumentError for other devices and types.

        >>> from striate import nn
        >>> nn.ReLU().to("cpu")
        ReLU()
        """
        for wish in (*wishes, *named.values()):
            name = np.dtype(wish).name if isinstance(wish, type) else str(wish).removeprefix("torch.").partition(":")[0]
            if name not in SERVED and not isinstance(wish, bool | None):
                raise ArgumentError(f"networks compute on the CPU in float32, so they cannot go to '{name}'; leave it out")
        return self

    def cpu(self) -> Self:
        return self

    def float(self) -> Self:
        return self

    def cuda(self, device: Any = None) -> Self:
        return self.to("cuda")

    def double(self) -> Self:
        return self.to("float64")

    def half(self) -> Self:
        return self.to("float16")

    def bfloat16(self) -> Self:
        return self.to("bfloat16")
