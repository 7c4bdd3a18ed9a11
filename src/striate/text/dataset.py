"""Sentences with labels: from lists, from CSV and TSV files, or made by a small grammar.

    x  int64 [N, L], numbers of a vocabulary, padded at the end        y  int64 [N], the place of the label in `classes`
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from striate.data.dataset import Dataset, as_target, check_labels
from striate.data.draws import Draws
from striate.errors import ArgumentError, DataError
from striate.text.tokens import words
from striate.text.vocabulary import Vocabulary, padded


class TextDataset(Dataset):
    """Sentences and their labels, ready for a network with an embedding.

    texts, labels   as many of one as of the other; a label is a string or a whole number
    vocabulary      that of the texts unless given; for validation give that of the training
    classes         the sorted labels unless given; for validation give those of the training
    length          cut and pad every sentence to so many tokens; None pads to the longest of each batch, in steps of 8
    tokenise        text -> tokens

    Raises DataError: no texts, lengths that differ, a label that is not in `classes`.

    >>> data = TextDataset(["so good", "bad, bad film"], ["pos", "neg"])
    >>> x, y = data.batch([0, 1])
    >>> x.shape, y, data.classes
    ((2, 8), array([1, 0]), ['neg', 'pos'])
    """

    def __init__(self, texts: Sequence[str], labels: Sequence[str | int], vocabulary: Vocabulary | None = None,
                 classes: Sequence[str] | None = None, length: int | None = None,
                 tokenise: Callable[[str], list[str]] = words):
        if len(texts) != len(labels) or not len(texts):
            raise DataError(f"there are {len(texts)} texts and {len(labels)} labels; give one label for every text, at least one")
        sentences = [tokenise(text) for text in texts]
        self.texts, self.length = list(texts), length
        self.vocabulary = vocabulary or Vocabulary.of(sentences)
        self.classes = list(classes) if classes is not None else sorted({str(label) for label in labels})
        self.x = [self.vocabulary.encode(sentence) for sentence in sentences]
        places = {name: place for place, name in enumerate(self.classes)}
        unknown = next((k for k, label in enumerate(labels) if str(label) not in places), None)
        if unknown is not None:
            raise DataError(f"the label of text {unknown} is {str(labels[unknown])!r}, but the classes are "
                            f"{', '.join(self.classes)}; mend the label or give all classes")
        self.y = np.array([places[str(label)] for label in labels])
        check_labels(self.y, self.classes)

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        return padded([self.x[index]], self.length)[0], int(self.y[index])

    def batch(self, indices: Sequence[int] | np.ndarray, draws: Draws | None = None) -> tuple[np.ndarray, np.ndarray]:
        return padded([self.x[i] for i in indices], self.length), as_target(self.y[np.asarray(indices)])

    def encode(self, texts: Iterable[str], tokenise: Callable[[str], list[str]] = words) -> np.ndarray:
        """Other texts as a network trained on this dataset reads them, int64 [N, L]."""
        return padded([self.vocabulary.encode(tokenise(text)) for text in texts], self.length)


def read_texts(path: str | Path, text: str | int = "text", label: str | int = "label", separator: str | None = None
               ) -> tuple[list[str], list[str]]:
    """Texts and labels of a table in UTF-8.

    text, label   names of columns in the first line, or their numbers from 0 in a file that has no such line
    separator     of columns; unless given a tab for files named .tsv or .tab, else a comma, and quotes around texts

    Raises DataError: no such file, no such column, a line that is too short, an empty file; ArgumentError.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(f"{folder}/a.csv").write_text('label,text\\nham,"Well, hello"\\nspam,WIN')
    ...     read_texts(f"{folder}/a.csv")
    (['Well, hello', 'WIN'], ['ham', 'spam'])
    """
    if isinstance(text, int) != isinstance(label, int):
        raise ArgumentError(f"text and label are both names or both numbers of columns, got {text!r} and {label!r}")
    path = Path(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            sign = separator or ("\t" if path.suffix.lower() in (".tsv", ".tab") else ",")
            rows = csv.reader(file, delimiter=sign, quoting=csv.QUOTE_NONE if sign == "\t" else csv.QUOTE_MINIMAL)
            return columns(path, rows, text, label)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as a table of texts ({error}); check the path, and save it as CSV in UTF-8"
                        ) from error


def columns(path: Path, rows: Iterable[list[str]], text: str | int, label: str | int) -> tuple[list[str], list[str]]:
    """Two columns of the lines of a table."""
    lines = enumerate(rows, 1)
    if isinstance(text, str):
        _, head = next(lines, (1, []))
        missing = [name for name in (text, label) if name not in head]
        if missing:
            raise DataError(f"{path} has no column '{missing[0]}': its first line is {', '.join(head)!r}; "
                            "name the columns with text= and label=, or number them from 0 where there is no such line")
        text, label = head.index(text), head.index(str(label))
    texts, labels, least = [], [], max(int(text), int(label)) + 1
    for number, row in lines:
        if len(row) < least and row:
            raise DataError(f"line {number} of {path} has {len(row)} columns, but {least} are needed; mend it, "
                            "with quotes around texts that have the separator in them")
        if row:
            texts.append(row[int(text)])
            labels.append(row[int(label)])
    if not texts:
        raise DataError(f"{path} has no texts; give at least one line")
    return texts, labels
