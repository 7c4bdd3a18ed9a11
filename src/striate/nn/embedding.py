"""Embedding: a table of rows, read by number."""

from __future__ import annotations

import numpy as np

from striate.errors import ArgumentError
from striate.graph import Value
from striate.nn import functional as F
from striate.nn import init
from striate.nn.module import Module, Parameter, check_sizes


class Embedding(Module):
    """(...) whole numbers below num_embeddings -> (..., embedding_dim): `striate.ops.Embedding`.

    Row padding_idx starts as zeros and gets no gradient. Parameters: weight (num_embeddings, embedding_dim), normal numbers.
    max_norm, which would change the weight in forward, scale_grad_by_freq and sparse gradients are refused.

    >>> Embedding(10, 3, padding_idx=0)
    Embedding(10, 3, padding_idx=0)
    """

    def __init__(
        self, num_embeddings: int, embedding_dim: int, padding_idx: int | None = None, max_norm: float | None = None,
        norm_type: float = 2.0, scale_grad_by_freq: bool = False, sparse: bool = False,
    ):  # fmt: skip
        super().__init__()
        check_sizes(num_embeddings=num_embeddings, embedding_dim=embedding_dim)
        refused = {"max_norm": max_norm, "scale_grad_by_freq": scale_grad_by_freq, "sparse": sparse}
        for name, value in refused.items():
            if value:
                raise ArgumentError(f"Embedding does not support {name}, got {value}; leave it out")
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx = F.row_of(padding_idx, num_embeddings)
        self.weight = Parameter(np.empty((num_embeddings, embedding_dim), np.float32))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the table anew."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            table = np.array(self.weight.data)
            table[self.padding_idx] = 0
            self.weight.data = table

    def forward(self, input: Value) -> Value:
        return F.embedding(input, self.weight, self.padding_idx)

    def extra_repr(self) -> str:
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"
