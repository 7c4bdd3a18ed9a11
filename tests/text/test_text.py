"""Tokens, vocabularies, datasets of sentences, and the files that they are read from."""

import numpy as np
import pytest

from striate import data
from striate.errors import ArgumentError, DataError, StriateError
from striate.text import PADDING, UNKNOWN, TextDataset, Vocabulary, characters, padded, read_texts, sentences, words


@pytest.mark.parametrize("text, wanted", [
    ("", []),
    ("  A b\tC\n", ["a", "b", "c"]),
    ("don't 'quote' rock’n’roll", ["don't", "'", "quote", "'", "rock’n’roll"]),
    ("3.5 stars!!", ["3", ".", "5", "stars", "!", "!"]),
    ("naïve Ärger", ["naïve", "ärger"]),
    ("卷积神经网络 is CNN", ["卷", "积", "神", "经", "网", "络", "is", "cnn"]),
    ("x轴", ["x", "轴"]),
])  # fmt: skip
def test_words(text, wanted):
    assert words(text) == wanted


def test_vocabularies_count():
    vocabulary = Vocabulary.of([["b", "a", "c"], ["c", "b"], ["c"]])
    assert vocabulary.tokens == ["<padding>", "<unknown>", "c", "b", "a"]
    assert Vocabulary.of([["b", "a", "c"], ["c", "b"]], most=1).tokens[2:] == ["b"]
    np.testing.assert_array_equal(vocabulary.encode(["c", "z", "a"]), [2, UNKNOWN, 4])
    assert vocabulary.decode(vocabulary.encode(["a", "b"])) == ["a", "b"]
    assert repr(vocabulary) == "Vocabulary(5 tokens)"


def test_sentences_are_cut_and_filled():
    pieces = [np.arange(2, 13), np.array([], np.int64)]
    assert padded(pieces).shape == (2, 16) and padded([]).shape == (0, 8)
    np.testing.assert_array_equal(padded(pieces, length=4), [[2, 3, 4, 5], [PADDING] * 4])
    assert padded(pieces).dtype == np.int64


def test_a_dataset_in_batches():
    texts, labels = sentences(40, seed=1)
    train = TextDataset(texts, labels)
    batches = list(data.DataLoader(train, 16, shuffle=True, seed=3))
    assert [x.shape[0] for x, _ in batches] == [16, 16, 8]
    assert all(x.shape[1] % 8 == 0 and (x[:, 0] != PADDING).all() for x, _ in batches)
    assert sum(y.sum() for _, y in batches) == labels.count("good")
    x, y = train[7]
    assert train.vocabulary.decode(x[x != PADDING]) == words(texts[7]) and train.classes[y] == labels[7]


def test_validation_takes_over_vocabulary_and_classes():
    train = TextDataset(["a b", "c"], [1, 0], length=3)
    other = TextDataset(["c z"], [1], train.vocabulary, train.classes, length=3)
    np.testing.assert_array_equal(other[0][0], train.encode(["c z"])[0])
    np.testing.assert_array_equal(other[0][0], [train.vocabulary.numbers["c"], UNKNOWN, PADDING])
    assert other[0][1] == 1 and train.classes == ["0", "1"]


def test_characters_too():
    train = TextDataset(["ab a"], ["x"], tokenise=characters, length=4)
    assert train.vocabulary.decode(train[0][0]) == ["a", "b", " ", "a"]


def test_the_grammar_gives_the_same_for_the_same_seed_and_both_labels():
    assert sentences(50, seed=3) == sentences(50, seed=3) != sentences(50, seed=4)
    assert 10 < sentences(50, seed=3)[1].count("good") < 40


FILES = {
    "plain.csv": ('text,label\n"a, b",pos\n\nc,neg\n', {}, (["a, b", "c"], ["pos", "neg"])),
    "more.csv": ("id,stars,review\n1,5,fine\n", {"text": "review", "label": "stars"}, (["fine"], ["5"])),
    "bare.tsv": ('7\tsay "no\n8\tyes\n', {"text": 1, "label": 0}, (['say "no', "yes"], ["7", "8"])),
    "semicolons.csv": ("label;text\n1;a\n", {"separator": ";"}, (["a"], ["1"])),
    "mark.csv": ("\ufefftext,label\n很好,1\n", {}, (["很好"], ["1"])),
}


@pytest.mark.parametrize("name", FILES)
def test_tables(tmp_path, name):
    content, arguments, wanted = FILES[name]
    (tmp_path / name).write_text(content, encoding="utf-8")
    assert read_texts(tmp_path / name, **arguments) == wanted


BROKEN = {
    "text,stars\na,1\n": "{} has no column 'label': its first line is 'text, stars'; name the columns with text= and label=, or "
                         "number them from 0 where there is no such line",
    "text,label\na,1\nb\n": "line 3 of {} has 1 columns, but 2 are needed; mend it, with quotes around texts that have the "
                            "separator in them",
    "text,label\n": "{} has no texts; give at least one line",
    "": "{} has no column 'text': its first line is ''; name the columns with text= and label=, or number them from 0 where "
        "there is no such line",
}  # fmt: skip


@pytest.mark.parametrize("content", BROKEN)
def test_broken_tables(tmp_path, content):
    path = tmp_path / "a.csv"
    path.write_text(content)
    with pytest.raises(DataError) as error:
        read_texts(path)
    assert str(error.value) == BROKEN[content].format(path)


def test_no_table(tmp_path):
    with pytest.raises(DataError, match=r"cannot be read as a table of texts .*; check the path, and save it as CSV in UTF-8"):
        read_texts(tmp_path / "none.csv")
    (tmp_path / "latin.csv").write_bytes(b"text,label\ncaf\xe9,1\n")
    with pytest.raises(DataError, match="save it as CSV in UTF-8"):
        read_texts(tmp_path / "latin.csv")


WRONG = {
    "there are 1 texts and 2 labels; give one label for every text, at least one": lambda: TextDataset(["a"], [0, 1]),
    "there are 0 texts and 0 labels; give one label for every text, at least one": lambda: TextDataset([], []),
    "the label of text 1 is 'so', but the classes are yes, no; mend the label or give all classes":
        lambda: TextDataset(["a", "b"], ["no", "so"], classes=["yes", "no"]),
    "no token stands 2 times or more in the sentences; lower least, or give more text": lambda: Vocabulary.of([["a"]], least=2),
    "the token 'a' stands twice in the vocabulary; give each once": lambda: Vocabulary(["a", "b", "a"]),
    "a sentence's length must be at least 1, got 0; use a positive whole number": lambda: padded([], length=0),
    "text and label are both names or both numbers of columns, got 'text' and 1": lambda: read_texts("a.csv", label=1),
}  # fmt: skip


@pytest.mark.parametrize("message", WRONG)
def test_wrong_arguments(message):
    with pytest.raises(StriateError) as error:
        WRONG[message]()
    assert str(error.value) == message
    assert isinstance(error.value, (ArgumentError, DataError))
