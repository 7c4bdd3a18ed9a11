"""Sentences for networks: tokens, vocabularies, datasets.

tokens.py      words and characters          vocabulary.py   tokens as numbers, padding
dataset.py     TextDataset, CSV files        sentences.py    short reviews made by a grammar

    texts, labels = text.read_texts("reviews.csv")
    train = text.TextDataset(texts, labels)
    net = models.textcnn(len(train.vocabulary), len(train.classes))
"""

from striate.text.dataset import TextDataset, read_texts
from striate.text.sentences import sentences
from striate.text.tokens import TOKENISERS, characters, words
from striate.text.vocabulary import PADDING, UNKNOWN, Vocabulary, padded

__all__ = [
    "PADDING",
    "TOKENISERS",
    "UNKNOWN",
    "TextDataset",
    "Vocabulary",
    "characters",
    "padded",
    "read_texts",
    "sentences",
    "words",
]
