"""Sentences told apart by a convolution over their words.

    tokens                                        (N, L)            numbers of a vocabulary, 0 is padding
    embedding                                     (N, L, D)
    for each width s of 3, 4, 5:
      convolution over s words, ReLU              (N, K, L + s + 1)
      maximum over all places                     (N, K)            is the phrase somewhere in the sentence?
    joint                                         (N, 3 K)          as long for a short sentence as for a long one
    layer normalisation (an option), dropout
    linear                                        (N, num_classes)

Each convolution is padded by its width on both sides, so that one window reads padding alone whatever the sentence: how far
a batch pads a sentence then changes nothing in its answer.

Source: Kim, Convolutional neural networks for sentence classification, EMNLP 2014, arXiv:1408.5882, section 2; CNN-rand.
Widths, K = 100 and dropout 1/2 are the paper's; its limit on the norm of the weights and its second, fixed embedding are left
out.
"""

from __future__ import annotations

from collections.abc import Sequence

from striate import nn
from striate.errors import ArgumentError
from striate.graph import Spec, Value
from striate.models.registry import register
from striate.nn import functional as F


class TextCNN(nn.Module):
    """Logits (N, num_classes) of tokens (N, L), int64 numbers below num_embeddings; see the head of the file."""

    def __init__(self, num_embeddings: int, num_classes: int, embedding_dim: int, widths: Sequence[int], channels: int,
                 dropout: float, norm: bool):
        super().__init__()
        self.embedding = nn.Embedding(num_embeddings, embedding_dim, padding_idx=0)
        self.convs = nn.ModuleList([nn.Conv1d(embedding_dim, channels, width, padding=width) for width in widths])
        self.norm = nn.LayerNorm(len(widths) * channels) if norm else nn.Identity()
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(len(widths) * channels, num_classes)

    def forward(self, tokens: Value) -> Value:
        return self.head(self.dropout(self.norm(self.features(tokens))))

    def features(self, tokens: Value) -> Value:
        """What a sentence of any length is told apart by: (N, len(widths) * channels)."""
        words = self.embedding(tokens).transpose(1, 2)
        return F.cat([conv(words).relu().amax(2) for conv in self.convs], 1)


@register(input_shape=Spec((32,), "int64"))
def textcnn(num_embeddings: int = 20_000, num_classes: int = 2, embedding_dim: int = 128, widths: Sequence[int] = (3, 4, 5),
            channels: int = 100, dropout: float = 0.5, norm: bool = False) -> TextCNN:
    """Logits (N, num_classes) of tokens (N, L), any L: a class for each sentence.

    `striate.text.TextDataset` makes the tokens. Raises ArgumentError: no widths.

    >>> sum(p.numel() for p in textcnn().parameters())
    2714502
    """
    if not widths or min(widths) < 1:
        raise ArgumentError(f"widths must be one or more whole numbers from 1 up, got {tuple(widths)}; the paper has (3, 4, 5)")
    return TextCNN(num_embeddings, num_classes, embedding_dim, tuple(widths), channels, dropout, norm)
