"""Pictures of text made by the `captcha` library, without end: https://github.com/lepture/captcha.

The library draws its random numbers from the module `secrets`, which takes no seed. A private copy of its module is
given seeded numbers instead, so that a picture is a function of (seed, index), and captchas that the same process makes
to keep robots out stay as unpredictable as they were.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import itertools
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from striate.data.augment import pair
from striate.data.dataset import ArrayDataset, Dataset, as_input
from striate.data.download import replacing
from striate.errors import ArgumentError, DataError
from striate.folders import cache_folder

FONT_SIZES, FONT_HEIGHT = (42, 50, 56), 60  # the library's letters, and the height of picture that they are made for
SMALL_JOB = 500  # captchas that one process draws in about the time that it takes to start another
WORKER = "import json, sys; job = json.load(sys.stdin); sys.path[:] = job.pop('path'); "
WORKER += "from striate.data.captcha import work; work(**job)"


class SeededSecrets(threading.local):
    """The functions of `secrets` that the library calls, seeded, for each thread on its own."""

    def __init__(self):
        self.random = random.Random()

    def randbelow(self, n: int) -> int:
        return self.random.randrange(n)

    def randbits(self, k: int) -> int:
        return self.random.getrandbits(k)

    def choice(self, values: Sequence[Any]) -> Any:
        return self.random.choice(values)


class CaptchaDataset(Dataset):
    """`count` captchas of `length` random characters: x float32 [3, H, W], [1, H, W] if `grey`, y int64 [length].

    y[k] is the place of the k-th character in `alphabet`. Pictures are drawn in `width` x `height` pixels, then shrunk
    to `size` (height, width) if that is given. Item i depends on `seed` and i only, however many there are; another
    seed gives other captchas, for validation. `fonts` are paths of TrueType files, `font_sizes` in pixels.

    Drawing one takes a millisecond or two; `materialise` draws all of them at once, on every core, into an array.

    Raises ArgumentError: nothing to draw, repeated characters, characters that the font does not have;
    DataError: the library is not installed.

    >>> data = CaptchaDataset(100, alphabet="ABC", length=5, size=(30, 80), grey=True)
    >>> x, y = data[7]
    >>> x.shape, len(data.text(y))
    ((1, 30, 80), 5)
    """

    def __init__(
        self,
        count: int,
        alphabet: str = "0123456789",
        length: int = 4,
        width: int = 160,
        height: int = 60,
        size: tuple[int, int] | None = None,
        grey: bool = False,
        seed: int = 0,
        fonts: Sequence[str] | None = None,
        font_sizes: Sequence[int] | None = None,
    ):
        for name, value in (("count", count), ("length", length), ("width", width), ("height", height)):
            if value < 1:
                raise ArgumentError(f"{name} must be at least 1, got {value}")
        if not alphabet or len(set(alphabet)) < len(alphabet):
            raise ArgumentError(f"alphabet must be one or more different characters, got {alphabet!r}")
        self.alphabet, self.seed, self.grey = alphabet, seed, grey
        self.size = None if size is None else pair(size, "size")
        sizes = font_sizes or [max(1, round(size * height / FONT_HEIGHT)) for size in FONT_SIZES]
        Painter, self.numbers = library()
        self.painter = Painter(width, height, list(fonts) if fonts else None, tuple(sizes))
        check_glyphs(alphabet, self.painter.truefonts)
        self.labels = np.random.default_rng(seed % 2**64).integers(len(alphabet), size=(count, length))
        self.recipe = {  # the arguments, in JSON: for other processes, and the name in the cache
            "count": count, "alphabet": alphabet, "length": length, "width": width, "height": height, "size": size,
            "grey": grey, "seed": seed, "fonts": fonts and list(fonts), "font_sizes": font_sizes and list(font_sizes),
        }  # fmt: skip

    @property
    def classes(self) -> list[str]:
        """What the numbers in y stand for."""
        return list(self.alphabet)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one picture: (channels, height, width)."""
        return (1 if self.grey else 3, *(self.size or (self.recipe["height"], self.recipe["width"])))

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return as_input(self.draw(range(len(self))[index])), self.labels[index]

    def text(self, y: Sequence[int] | np.ndarray) -> str:
        """The characters that a label stands for.

        >>> CaptchaDataset(1, alphabet="xyz").text([2, 0, 1, 1])
        'zxyy'
        """
        return "".join(self.alphabet[k] for k in y)

    def draw(self, index: int) -> np.ndarray:
        """Picture number `index`: uint8 [C, H, W]."""
        from PIL import Image

        self.numbers.random.seed((self.seed % 2**64) << 64 | index)
        image = self.painter.generate_image(self.text(self.labels[index]))
        image = image.convert("L" if self.grey else "RGB")
        if self.size is not None:
            image = image.resize((self.size[1], self.size[0]), Image.Resampling.BILINEAR)
        array = np.asarray(image)
        return array[None] if self.grey else array.transpose(2, 0, 1)

    def materialise(self, workers: int | None = None, cache: bool = True) -> ArrayDataset:
        """The same items, drawn now by `workers` processes (by default one per core) and held in memory as bytes.

        With `cache` the pictures are kept in the cache folder, and the next call for the same ones takes no time.

        Raises DataError: a process that failed.
        """
        name = f"{self.fingerprint()}.npy"
        with ExitStack() as stack:
            folder = cache_folder() / "captcha" if cache else Path(stack.enter_context(tempfile.TemporaryDirectory()))
            x = read_cached(folder / name, (len(self), *self.shape))
            if x is None:
                with replacing(folder / name) as path:
                    self.draw_all(path, min(workers or cores(), -(-len(self) // SMALL_JOB)))
                    x = np.load(path)
        return ArrayDataset(x, self.labels, classes=self.classes)

    def fingerprint(self) -> str:
        """A name for these pictures: of what they are made, and the versions of the makers."""
        from importlib.metadata import version

        recipe = json.dumps([self.recipe, version("captcha"), version("pillow")])
        return hashlib.sha256(recipe.encode()).hexdigest()[:32]

    def draw_all(self, path: Path, workers: int) -> None:
        """Draw every picture into an .npy file, in this process or in several."""
        pictures = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(len(self), *self.shape))
        del pictures  # the file is made; each worker opens it for itself
        bounds = [len(self) * k // workers for k in range(workers + 1)]
        if workers == 1:
            return work(self.recipe, str(path), 0, len(self))
        # Not multiprocessing: fork is unsafe beside the threads that run networks, and spawn runs the user's script
        # again, which must be guarded for it.
        with ExitStack() as stack:
            processes = []
            for start, stop in itertools.pairwise(bounds):
                job = {"path": sys.path, "recipe": self.recipe, "file": str(path), "start": start, "stop": stop}
                process = stack.enter_context(
                    subprocess.Popen([sys.executable, "-c", WORKER], stdin=-1, stderr=-1, text=True)
                )
                stack.callback(process.kill)
                processes.append((process, json.dumps(job)))
            for process, job in processes:
                process.stdin.write(job)
                process.stdin.close()
            for process, _ in processes:
                complaint = process.stderr.read()
                if process.wait():
                    raise DataError(f"a process that draws captchas failed: {complaint.strip() or process.returncode}")


def work(recipe: dict[str, Any], file: str, start: int, stop: int) -> None:
    """Draw the pictures from `start` to `stop` into their places in an .npy file."""
    data = CaptchaDataset(**recipe)
    pictures = np.lib.format.open_memmap(file, mode="r+")
    for index in range(start, stop):
        pictures[index] = data.draw(index)
    pictures.flush()


def read_cached(path: Path, shape: tuple[int, ...]) -> np.ndarray | None:
    """The pictures in a file of the cache, if it is there and whole."""
    try:
        x = np.load(path)
    except (OSError, ValueError, EOFError):
        return None
    return x if x.shape == shape and x.dtype == np.uint8 else None


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@functools.cache
def library() -> tuple[type, SeededSecrets]:
    """The painter of a copy of captcha.image of our own, and the numbers that it draws at random."""
    spec = importlib.util.find_spec("captcha") and importlib.util.find_spec("captcha.image")
    if spec is None or spec.loader is None:
        raise DataError("captchas are drawn by the library captcha, which is not installed; pip install captcha")
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.secrets = SeededSecrets()

    class Painter(module.ImageCaptcha):
        """The library's, with blanks made at once; it would turn and warp them like letters, a third of its time."""

        def _draw_character(self, c: str, draw: Any, color: Any) -> Any:
            if c != " ":
                return super()._draw_character(c, draw, color)
            _, _, w, h = draw.multiline_textbbox((1, 1), c, font=module.secrets.choice(self.truefonts))
            return module.createImage("RGBA", (int(w), int(h)))

    return Painter, module.secrets


def check_glyphs(alphabet: str, fonts: Sequence[Any]) -> None:
    """Refuse characters that a font draws as nothing, or as the box that it has for unknown ones."""
    for font in fonts:
        box = bytes(font.getmask("\U0010ffff"))
        for character in alphabet:
            if bytes(font.getmask(character)) in (b"", box):
                raise ArgumentError(
                    f"the font {font.getname()[0]} has no picture of {character!r} (U+{ord(character):04X}); "
                    "leave it out of the alphabet, or give fonts=[path of a font that has it]"
                )
