"""Embedding: rows of a table by their numbers.

    y[i, :] = weight[index[i], :]        dweight[v, :] = sum of dy[i, :] over all i with index[i] = v, 0 for v = padding_idx

Source: Bengio et al., A neural probabilistic language model, JMLR 2003, section 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from striate.errors import DtypeError, RangeError, ShapeError
from striate.ops.base import Array, Cost, Op, Spec, traffic, want_float, want_rank
from striate.ops.sight import SAME, View, whole


@dataclass(frozen=True)
class Embedding(Op):
    """index (...) of whole numbers 0 .. V - 1, weight (V, D) -> y (..., D).

    A number outside gives a RangeError; compiled code writes rows of NaN where it was computed, not given.

    >>> Embedding().reference(np.array([1, 1]), np.array([[0.0], [5.0]])).tolist()
    [[5.0], [5.0]]
    """

    padding_idx: int | None = None
    name = "embedding"
    inputs = ("index", "weight")
    linear_in = ("weight",)

    def infer(self, index: Spec, weight: Spec) -> Spec:
        want_float(weight=weight)
        want_rank(weight, 2, "V, D", "weight")
        if index.dtype not in ("int64", "int32", "uint8"):
            raise DtypeError(f"index has dtype {index.dtype} but holds numbers of rows", fix="convert it with astype('int64')")
        if self.padding_idx is not None and not 0 <= self.padding_idx < weight.shape[0]:
            raise ShapeError(f"padding_idx {self.padding_idx} is none of the {weight.shape[0]} rows of weight",
                             fix=f"use 0 to {weight.shape[0] - 1}")
        return Spec((*index.shape, weight.shape[1]), weight.dtype)

    def sees(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Sequence[View]:
        index, weight = inputs
        return [tuple((i, SAME) for i in range(len(index.shape))), whole(weight.shape)]

    def reference(self, index: Array, weight: Array) -> Array:
        wrong = index[(index < 0) | (index >= len(weight))]
        if wrong.size:
            raise RangeError(f"index {wrong[0]} is none of the {len(weight)} rows 0 to {len(weight) - 1} of the embedding; "
                            "use a larger num_embeddings or check the data")
        return weight[index]

    def gradient(self, g, x, y, dy):
        return [None, g.apply(EmbeddingGradient(x[1].shape[0], self.padding_idx), dy[0], x[0])]

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        return Cost(reads=outputs[0].size + inputs[0].size, writes=outputs[0].size)


@dataclass(frozen=True)
class EmbeddingGradient(Op):
    """dy (..., D), index (...) -> dweight (V, D)."""

    num_embeddings: int
    padding_idx: int | None = None
    name = "embedding_gradient"
    inputs = ("dy", "index")
    linear_in = ("dy",)

    def infer(self, dy: Spec, index: Spec) -> Spec:
        if dy.shape[:-1] != index.shape:
            raise ShapeError(f"dy {dy.shape} does not fit index {index.shape}", fix="give one row for each index")
        return Spec((self.num_embeddings, dy.shape[-1]), dy.dtype)

    def reference(self, dy: Array, index: Array) -> Array:
        dweight = np.zeros((self.num_embeddings, dy.shape[-1]), dy.dtype)
        np.add.at(dweight, index.reshape(-1), dy.reshape(-1, dy.shape[-1]))
        if self.padding_idx is not None:
            dweight[self.padding_idx] = 0
        return dweight

    def gradient(self, g, x, y, dy):
        if self.padding_idx is None:
            return [g.apply(Embedding(), x[1], dy[0]), None]
        kept = np.ones((self.num_embeddings, 1), np.float32)
        kept[self.padding_idx] = 0
        return [g.apply(Embedding(), x[1], dy[0] * kept), None]

    def cost(self, inputs: Sequence[Spec], outputs: Sequence[Spec]) -> Cost:
        return Cost(operations=inputs[0].size, **traffic(inputs, outputs))
