"""Sentences told apart by a convolution over their words (Kim 2014).

    python examples/10_text.py                           short reviews made by a grammar, seconds
    python examples/10_text.py --data reviews.csv        your own: a table with the columns text and label
    python examples/10_text.py --movies FILE             10,605 sentences of film reviews, with scores

The grammar writes "not good" and "not bad": words alone do not tell its reviews apart, two words side by side do. The film
reviews come with a package; FILE is movieReviewSnippets_GroundTruth.txt in hutto_ICWSM_2014.tar.gz, in additional_resources of
what `pip download --no-deps vaderSentiment==0.5` brings. About 73 % after four passes: 9,500 sentences are few for words that
nobody has explained to the network.
"""

import argparse
from pathlib import Path

import numpy as np

import striate as st
from striate import data, models, nn, optim, text


def sentences(given: argparse.Namespace) -> tuple[list[str], list[str]]:
    """Texts and labels, in random order."""
    if given.data:
        texts, labels = text.read_texts(given.data)
    elif given.movies:
        texts, scores = text.read_texts(given.movies, text=2, label=1, separator="\t")
        labels = ["good" if float(score) > 0 else "bad" for score in scores]
    else:
        texts, labels = text.sentences(2400, seed=1)
    order = np.random.default_rng(0).permutation(len(texts))
    return [texts[i] for i in order], [labels[i] for i in order]


def probabilities(net: nn.Module, dataset: text.TextDataset, texts: list[str]) -> np.ndarray:
    scores = net(dataset.encode(texts))
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def main() -> None:
    options = argparse.ArgumentParser(description="Train a TextCNN.")
    options.add_argument("--data", type=Path, help="table with the columns text and label")
    options.add_argument("--movies", type=Path, help="the film reviews of vaderSentiment")
    options.add_argument("--epochs", type=int, default=4)
    given = options.parse_args()

    st.seed(0)
    texts, labels = sentences(given)
    cut = len(texts) * 9 // 10
    train = text.TextDataset(texts[:cut], labels[:cut])
    unseen = text.TextDataset(texts[cut:], labels[cut:], train.vocabulary, train.classes)
    print(f"{len(train):,} sentences to learn from, {len(train.vocabulary):,} tokens, classes {', '.join(train.classes)}")

    net = models.textcnn(len(train.vocabulary), len(train.classes))
    trainer = st.Trainer(net, nn.CrossEntropyLoss(), optim.Adam(lr=1e-3))
    trainer.fit(data.DataLoader(train, 50, shuffle=True), data.DataLoader(unseen, 50), epochs=given.epochs, keep_best=True)
    accuracy = trainer.evaluate(data.DataLoader(unseen, 50))["accuracy"]
    print(f"{accuracy:.1%} of {len(unseen):,} new sentences are told right\n")

    # Sentences of any length become vectors of one length.
    shown = ["the soup was good", "the soup was not good", "the soup was not bad", "well , it was awful from the start"]
    shown = unseen.texts[:6] if given.data else shown
    for sentence, p in zip(shown, probabilities(net, train, shown)):
        print(f"{train.classes[p.argmax()]:>8} {p.max():6.1%}   {sentence}")
    if not (given.data or given.movies):
        assert accuracy > 0.95


if __name__ == "__main__":
    main()
