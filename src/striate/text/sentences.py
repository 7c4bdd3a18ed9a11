"""Short reviews made by a grammar: something to learn where there is no real set of sentences.

    review   -> opening thing verb [adverb] judgement [closing]
    judgement -> praise | blame | "not" praise | "not" blame | "anything but" praise ...

The words of a review do not tell its label: "not good" is bad, "not bad" is good. Two words side by side do, so a network
with windows of two and more learns it, and one that only counts words cannot do better than about three in four.
"""

from __future__ import annotations

import numpy as np

from striate.data.draws import default_seed

OPENINGS = ("", "", "to be honest ,", "after all ,", "my friends say", "in my opinion", "well ,")
THINGS = ("the film", "this book", "the soup", "that camera", "the second act", "our hotel", "the whole story", "her new song")
VERBS = ("was", "is", "seems", "felt")
ADVERBS = ("", "", "really", "quite", "so", "truly")
PRAISE = ("good", "wonderful", "clever", "moving", "fresh", "brilliant", "charming")
BLAME = ("bad", "awful", "dull", "boring", "stale", "clumsy", "tiresome")
TURNS = ("not", "never", "hardly", "anything but")
CLOSINGS = ("", "", ".", "!", "from the start", "and much longer than the last one", ", as we had expected of it")


def sentences(count: int, seed: int | None = None) -> tuple[list[str], list[str]]:
    """`count` reviews, and "good" or "bad" for each; by seed.

    >>> for text, label in zip(*sentences(7, seed=4)):
    ...     print(f"{label}: {text}")
    bad: well , the film is quite tiresome
    good: well , this book seems really fresh , as we had expected of it
    bad: well , her new song felt really not brilliant and much longer than the last one
    good: my friends say the soup seems really moving , as we had expected of it
    good: after all , that camera felt quite moving .
    bad: after all , the second act seems truly anything but wonderful , as we had expected of it
    good: that camera is so charming
    """
    rng = np.random.default_rng((default_seed() if seed is None else seed) % 2**64)
    texts, labels = [], []
    for _ in range(count):
        turned, praised = map(bool, rng.random(2) < 0.5)
        judgement = [str(rng.choice(TURNS))] * turned + [str(rng.choice(PRAISE if praised else BLAME))]
        parts = [*map(str, map(rng.choice, (OPENINGS, THINGS, VERBS, ADVERBS))), *judgement, str(rng.choice(CLOSINGS))]
        texts.append(" ".join(filter(None, parts)))
        labels.append("good" if praised != turned else "bad")
    return texts, labels
