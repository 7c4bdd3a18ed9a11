"""What can be learnt: captchas, published datasets, folders of labelled images, and tables of labelled texts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from striate.errors import ArgumentError

if TYPE_CHECKING:
    from striate.data import Dataset, Transform

Numbers = tuple[float, ...]
MEMORY = 2**31
"""Bytes of images that are kept decoded; larger folders are read again in every epoch."""
TABLES = (".csv", ".tsv", ".tab")
LONGEST = 128
"""Tokens of a sentence that a network reads; longer ones are cut."""
SPLITS = ("train", "val", "valid", "validation", "test")
CAPTCHAS = 20_000
"""Captchas to train on, where nobody says how many."""
VALIDATION = 5000
"""Captchas, and images of a published training set, that judge the training."""


@dataclass
class Task:
    """Datasets, how their images are prepared, and the model that is used unless another is asked for."""

    name: str
    train: Dataset
    validation: Dataset
    test: Dataset | None
    shape: tuple[int, ...]
    """(C, H, W) of one image as the network gets it."""
    mean: Numbers
    std: Numbers
    """Taken off the pixels, and what they are divided by; empty where the network takes pixels from 0 to 1."""
    model: str
    arguments: dict[str, Any]
    """What the model may want to know; each takes what it has arguments for."""
    labels: dict[str, Any]
    """What its outputs stand for: "classes", or "alphabet" and "length"."""
    augmentation: list[Transform]
    dtype: str = "float32"
    """Of one item: "int64" where it is a sentence, `shape` its length."""

    @property
    def items(self) -> str:
        """What an item is called."""
        return "sentences" if self.dtype == "int64" else "images"

    @property
    def metadata(self) -> dict[str, Any]:
        """What `striate predict` needs besides the network."""
        return {"data": self.name, "input_shape": self.shape, "mean": self.mean, "std": self.std, **self.labels}


@dataclass(frozen=True)
class Published:
    """A published dataset: its function in striate.data, the mean and deviation of its pixels, and the model that suits it.

    `shape` is what that model reads: CIFAR-10's 32 x 32 pixels are scaled to it.
    """

    function: str
    shape: tuple[int, ...]
    mean: Numbers
    std: Numbers
    model: str
    flip: bool


PUBLISHED = {
    "mnist": Published("mnist", (1, 28, 28), (0.1307,), (0.3081,), "lenet", False),
    "fashion-mnist": Published("fashion_mnist", (1, 28, 28), (0.2860,), (0.3530,), "small_cnn", True),
    "cifar10": Published("cifar10", (3, 28, 28), (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616), "small_cnn", True),
}


@dataclass(frozen=True)
class Wishes:
    """What the user may ask of the data."""

    seed: int = 0
    limit: int | None = None
    size: tuple[int, int] | None = None
    grey: bool | None = None
    alphabet: str = "0123456789"
    length: int = 4


def open_task(data: str, wishes: Wishes) -> Task:
    """The task of a name or of a folder. Raises ArgumentError for what is neither, DataError for data that is broken."""
    if data == "captcha":
        return captcha(wishes)
    if data in PUBLISHED:
        return published(data, PUBLISHED[data], wishes)
    if Path(data).is_dir():
        return folder(Path(data), wishes)
    if Path(data).suffix.lower() in TABLES and Path(data).is_file():
        return table(Path(data), wishes)
    raise ArgumentError(f"there is no folder '{data}'; give captcha, {', '.join(PUBLISHED)}, a folder with one folder "
                        "of images for each class, or a .csv file with the columns text and label")


def captcha(wishes: Wishes) -> Task:
    """Captchas drawn for the purpose: grey and small unless wished otherwise."""
    from striate.data import CaptchaDataset

    grey, size, text = wishes.grey is not False, wishes.size or (30, 80), {"alphabet": wishes.alphabet, "length": wishes.length}
    count = wishes.limit or CAPTCHAS
    held = min(VALIDATION, max(1, count // 10))
    parts = [CaptchaDataset(n, **text, size=size, grey=grey, seed=3 * wishes.seed + part)  # type: ignore[arg-type]
             for part, n in enumerate((count, held, held))]
    train, validation, test = (part.materialise() for part in parts)
    shape = parts[0].shape
    return Task("captcha", train, validation, test, shape, (), (), "captcha", {**text, **sizes(shape)}, text, [])


def published(name: str, source: Published, wishes: Wishes) -> Task:
    from striate import data

    both: Any = getattr(data, source.function)(train=True)
    test = getattr(data, source.function)(train=False)
    held = min(VALIDATION, len(both) // 10)
    train, validation = data.random_split(both, [len(both) - held, held], seed=wishes.seed)
    channels, height, width = source.shape
    shape = (channels, *(wishes.size or (height, width)))
    return Task(name, limited(train, wishes), validation, test, shape, source.mean, source.std, source.model,
                {"num_classes": len(both.classes), **sizes(shape)}, {"classes": list(both.classes)},
                augmentation(shape, source.flip))


def folder(path: Path, wishes: Wishes) -> Task:
    """A folder of classes, or of train/ and val/ (and test/) with the classes inside."""
    from striate.data import random_split

    size, grey = wishes.size or (28, 28), bool(wishes.grey)
    parts = {name: images(path / name, size, grey) for name in SPLITS if (path / name).is_dir()}
    if "train" not in parts:
        parts = {"train": images(path, size, grey)}
    test, train = parts.pop("test", None), parts.pop("train")
    classes = list(train.classes)
    for name, part in parts.items():
        if list(part.classes) != classes:
            raise ArgumentError(f"{path / name} has the classes {list(part.classes)} but {path / 'train'} has {classes}; "
                                "give both the same folders")
    validation = next(iter(parts.values()), None)
    if validation is None:
        train, validation = random_split(train, [0.8, 0.2], seed=wishes.seed)
    shape = (1 if grey else 3, *size)
    return Task(path.resolve().name, limited(train, wishes), validation, test, shape, (0.5,) * shape[0], (0.25,) * shape[0],
                "small_cnn", {"num_classes": len(classes), **sizes(shape)}, {"classes": classes}, augmentation(shape, True))


def table(path: Path, wishes: Wishes) -> Task:
    """The sentences of a CSV or TSV file with the columns text and label; a fifth of them judges the training."""
    import numpy as np

    from striate.text import TextDataset, Vocabulary, read_texts, words

    texts, labels = read_texts(path)
    order = np.random.default_rng(wishes.seed).permutation(len(texts)).tolist()
    held = max(1, len(order) // 5)
    chosen, classes = order[held:][: wishes.limit], sorted(set(labels))
    if not chosen:
        raise ArgumentError(f"{path} has {len(texts)} texts; "
                            "a network needs one to learn from and one that judges it: give two or more")
    sentences = [words(texts[i]) for i in chosen]
    vocabulary = Vocabulary.of(sentences)
    length = min(LONGEST, -(-max(map(len, sentences)) // 8) * 8)
    train, validation = (TextDataset([texts[i] for i in part], [labels[i] for i in part], vocabulary, classes, length)
                         for part in (chosen, order[:held]))
    return Task(path.stem, train, validation, None, (length,), (), (), "textcnn",
                {"num_embeddings": len(vocabulary), "num_classes": len(classes)},
                {"classes": classes, "tokens": vocabulary.tokens[2:]}, [], "int64")


def images(path: Path, size: tuple[int, int], grey: bool) -> Any:
    """The images of a folder, decoded once where they fit into memory."""
    from concurrent.futures import ThreadPoolExecutor

    import numpy as np

    from striate.data import ArrayDataset, ImageFolder, read_image

    found = ImageFolder(path, size=size, grey=grey)
    if len(found) * size[0] * size[1] * (1 if grey else 3) > MEMORY:
        return found
    with ThreadPoolExecutor() as threads:
        x = np.stack(list(threads.map(lambda sample: read_image(sample[0], size, grey), found.samples)))
    return ArrayDataset(x, [label for _, label in found.samples], classes=found.classes)


def limited(train: Any, wishes: Wishes) -> Any:
    """The first items of a training set, as many as are wished for."""
    from striate.data import Subset

    return train if wishes.limit is None else Subset(train, range(min(wishes.limit, len(train))))


def augmentation(shape: tuple[int, ...], flip: bool) -> list[Transform]:
    """Shift by an eighth of the size, and mirror where that leaves the label true."""
    from striate.data import RandomCrop, RandomHorizontalFlip

    crop = RandomCrop((shape[1], shape[2]), padding=max(shape[1:]) // 8)
    return [crop, RandomHorizontalFlip()] if flip else [crop]


def sizes(shape: tuple[int, ...]) -> dict[str, int]:
    """Channels, height and width by the names that models have for them."""
    return dict(zip(("in_channels", "height", "width"), shape))


def size_of(text: str | None) -> tuple[int, int] | None:
    """(height, width) of `64` or `60x160`."""
    numbers = None if text is None else text.lower().split("x")
    if numbers is None:
        return None
    if len(numbers) > 2 or not all(n.isdigit() and int(n) > 0 for n in numbers):
        raise ArgumentError(f"a size is a number of pixels, such as 64, or HEIGHTxWIDTH, such as 60x160; got '{text}'")
    return int(numbers[0]), int(numbers[-1])
