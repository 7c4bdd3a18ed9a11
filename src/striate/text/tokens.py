"""Text in pieces: words or characters.

    words        runs of letters and digits in lower case, with apostrophes inside; other signs one by one; each character of
                 Chinese, Japanese kanji, kana and Korean on its own, because no spaces tell their words apart
    characters   every character, spaces too
"""

from __future__ import annotations

import re

PIECES = re.compile(r"[⺀-鿿가-힯豈-﫿]|(?:(?![⺀-鿿가-힯豈-﫿])\w)+(?:['’](?:(?![⺀-鿿가-힯豈-﫿])\w)+)*|[^\w\s]")
"""A character of a script without spaces, or a word, or another sign."""


def words(text: str) -> list[str]:
    """The words and signs of a text, in lower case.

    >>> words("It's NOT bad, 很好!")
    ["it's", 'not', 'bad', ',', '很', '好', '!']
    """
    return PIECES.findall(text.lower())


def characters(text: str) -> list[str]:
    """The characters of a text.

    >>> characters("a b")
    ['a', ' ', 'b']
    """
    return list(text)


TOKENISERS = {"words": words, "characters": characters}
