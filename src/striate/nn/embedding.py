"""Embedding: a table of rows, read by number."""

from __future__ import annotations

from typing import Any

import numpy as np

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
        norm_type: float = 2.0, scale_grad_by_freq: bool = False, sparse: bool = False, _weight: Any = None,
        _freeze: bool = False,
    ):  # fmt: skip
        super().__init__()
        check_sizes(num_embeddings=num_embeddings, embedding_dim=embedding_dim)
        F.check_embedding(type(self).__name__, max_norm, scale_grad_by_freq, sparse)
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx = F.row_of(padding_idx, num_embeddings)
        self.weight = Parameter.empty((num_embeddings, embedding_dim))
        if _weight is None:
            self.reset_parameters()
        else:
            self.weight.data = np.asarray(_weight)
        self.weight.requires_grad = not _freeze

    @classmethod
    def from_pretrained(
        cls, embeddings: Any, freeze: bool = True, padding_idx: int | None = None, max_norm: float | None = None,
        norm_type: float = 2.0, scale_grad_by_freq: bool = False, sparse: bool = False,
    ) -> Embedding:  # fmt: skip
        """A table (V, D) that is there already; it is not trained unless freeze=False.

        >>> Embedding.from_pretrained(np.eye(3)).weight.requires_grad
        False
        """
        rows, columns = np.shape(embeddings)
        return cls(rows, columns, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse, embeddings, freeze)

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


class EmbeddingBag(Module):
    """(N, B) whole numbers -> (N, embedding_dim): the mean, sum or maximum of rows, `functional.embedding_bag`.

    Parameters: weight (num_embeddings, embedding_dim), normal numbers; row padding_idx starts as zeros and does not count.

    >>> EmbeddingBag(10, 3, mode="sum")
    EmbeddingBag(10, 3, mode='sum')
    """

    def __init__(
        self, num_embeddings: int, embedding_dim: int, max_norm: float | None = None, norm_type: float = 2.0,
        scale_grad_by_freq: bool = False, mode: str = "mean", sparse: bool = False, _weight: Any = None,
        include_last_offset: bool = False, padding_idx: int | None = None,
    ):  # fmt: skip
        super().__init__()
        F.check_bag(None, mode, False)
        table = Embedding(num_embeddings, embedding_dim, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse, _weight)
        self.num_embeddings, self.embedding_dim, self.mode = num_embeddings, embedding_dim, mode
        self.padding_idx, self.weight = table.padding_idx, table.weight

    def forward(self, input: Value, offsets: None = None, per_sample_weights: Value | None = None) -> Value:
        return F.embedding_bag(
            input, self.weight, offsets, mode=self.mode, per_sample_weights=per_sample_weights, padding_idx=self.padding_idx
        )

    def extra_repr(self) -> str:
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}, mode={self.mode!r}{padding}"
