"""Tokens as numbers, and numbers as tokens.

    0  padding: what makes the sentences of a batch equally long
    1  unknown: a token that the vocabulary does not have
    2  the most frequent token, and so on; equally frequent ones in the order of the alphabet
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from striate.errors import ArgumentError, DataError

PADDING, UNKNOWN = 0, 1
SPECIAL = ("<padding>", "<unknown>")


class Vocabulary:
    """Known tokens; a token's number is its place among them, behind the two special ones.

    >>> vocabulary = Vocabulary(["good", "bad"])
    >>> vocabulary.encode(["good", "movie"]), vocabulary.decode([3, 0]), len(vocabulary)
    (array([2, 1]), ['bad', '<padding>'], 4)
    """

    def __init__(self, tokens: Iterable[str]):
        self.tokens = [*SPECIAL, *tokens]
        self.numbers = {token: number for number, token in enumerate(self.tokens)}
        if len(self.numbers) < len(self.tokens):
            twice = next(token for token, count in Counter(self.tokens).items() if count > 1)
            raise ArgumentError(f"the token {twice!r} stands twice in the vocabulary; give each once")

    @classmethod
    def of(cls, sentences: Iterable[Sequence[str]], most: int | None = 20_000, least: int = 1) -> Vocabulary:
        """The tokens of some sentences: the `most` frequent ones, of those that stand there `least` times or more.

        >>> Vocabulary.of([["a", "b"], ["b", "c"]], least=2).tokens[2:]
        ['b']
        """
        counts = Counter(token for sentence in sentences for token in sentence if token not in SPECIAL)
        frequent = sorted((t for t, count in counts.items() if count >= least), key=lambda t: (-counts[t], t))
        if not frequent:
            raise DataError(f"no token stands {least} times or more in the sentences; lower least, or give more text")
        return cls(frequent[:most])

    def encode(self, tokens: Sequence[str]) -> np.ndarray:
        """The numbers of tokens, int64 [L]."""
        return np.array([self.numbers.get(token, UNKNOWN) for token in tokens], np.int64)

    def decode(self, numbers: Iterable[int]) -> list[str]:
        """The tokens of numbers."""
        return [self.tokens[n] for n in numbers]

    def __len__(self) -> int:
        return len(self.tokens)

    def __repr__(self) -> str:
        return f"Vocabulary({len(self)} tokens)"


def padded(sentences: Sequence[np.ndarray], length: int | None = None, multiple: int = 8) -> np.ndarray:
    """Encoded sentences as one array int64 [N, L]: longer ones cut, shorter ones filled with padding at their end.

    `length` is L; None takes that of the longest sentence, rounded up to a `multiple`, so that a network is compiled for few
    lengths.

    >>> padded([np.array([5, 6, 7]), np.array([8])], multiple=4)
    array([[5, 6, 7, 0],
           [8, 0, 0, 0]])
    """
    if length is None:
        longest = max((len(s) for s in sentences), default=1)
        length = max(1, -(-longest // multiple)) * multiple
    if length < 1:
        raise ArgumentError(f"a sentence's length must be at least 1, got {length}; use a positive whole number")
    array = np.full((len(sentences), length), PADDING, np.int64)
    for row, sentence in zip(array, sentences):
        row[: len(sentence)] = sentence[:length]
    return array
