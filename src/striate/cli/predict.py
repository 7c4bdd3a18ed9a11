"""`striate predict`: what a trained network sees in images, or reads in sentences."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import numpy as np

EXAMPLES = """
[bold]Examples[/bold]

  striate predict fashion-mnist.safetensors shoe.png shirt.jpg

  striate predict captcha.safetensors captchas/*.png

  striate predict photos.safetensors cat.jpg --top 3

  striate predict reviews.safetensors "not bad at all"
"""
BATCH = 64


def predict(
    model: Annotated[Path, typer.Argument(help="Model file that `striate train` wrote.")],
    items: Annotated[list[str], typer.Argument(help="Image files; sentences for a network of texts.", metavar="IMAGE...")],
    top: Annotated[int, typer.Option(min=1, help="How many labels to show for each.")] = 1,
) -> None:
    """Name what is on images: a label with its probability, or the text of captchas; or what class sentences are of.

    Images are scaled to the size that the network was trained on.
    """
    from rich.console import Console
    from rich.table import Table

    from striate.errors import ModelFileError
    from striate.storage import load, load_metadata

    net, told = load(model), load_metadata(model)
    if "input_shape" not in told or not ("classes" in told or "alphabet" in told):
        raise ModelFileError(f"{model} does not say what its inputs and outputs are; st.save(net, path, metadata=...) with "
                             "input_shape and classes does, as `striate train` writes them")
    table = Table("sentence" if "tokens" in told else "image", "text" if "alphabet" in told else "label", show_edge=False)
    table.add_column("probability", justify="right")
    for item, guesses in zip(items, answers(net, told, items, top)):
        for number, (label, probability) in enumerate(guesses):
            table.add_row("" if number else item, label, f"{probability:.1%}")
    console = Console()
    console.print(table, soft_wrap=not console.is_terminal)


def answers(net: Any, told: dict[str, Any], items: list[str], top: int) -> list[list[tuple[str, float]]]:
    """For each item its best labels with their probabilities."""
    found = []
    prepare = encoded if "tokens" in told else prepared
    for start in range(0, len(items), BATCH):
        scores = probabilities(net(prepare(told, items[start : start + BATCH])))
        found += [text(told, p) if "alphabet" in told else labels(told["classes"], p, top) for p in scores]
    return found


def encoded(told: dict[str, Any], sentences: list[str]) -> np.ndarray:
    """Sentences as the network was trained on them: (N, L)."""
    from striate.text import Vocabulary, padded, words

    vocabulary = Vocabulary(told["tokens"])
    return padded([vocabulary.encode(words(sentence)) for sentence in sentences], told["input_shape"][0])


def prepared(told: dict[str, Any], images: list[str]) -> np.ndarray:
    """The images as the network was trained on them: (N, C, H, W)."""
    import numpy as np

    from striate.data import Normalize, read_image
    from striate.data.dataset import as_input

    channels, height, width = told["input_shape"]
    x = as_input(np.stack([read_image(Path(path), (height, width), grey=channels == 1) for path in images]))
    return Normalize(told["mean"], told["std"])(x) if told.get("mean") else x


def probabilities(scores: np.ndarray) -> np.ndarray:
    """Softmax over the classes, axis 1."""
    import numpy as np

    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def labels(classes: list[str], probability: np.ndarray, top: int) -> list[tuple[str, float]]:
    """The most probable classes of (C,)."""
    return [(classes[k], float(probability[k])) for k in probability.argsort()[::-1][:top]]


def text(told: dict[str, Any], probability: np.ndarray) -> list[tuple[str, float]]:
    """The most probable text of (C, L), with the product of its characters' probabilities."""
    return [("".join(told["alphabet"][k] for k in probability.argmax(axis=0)), float(probability.max(axis=0).prod()))]
