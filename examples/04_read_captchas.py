"""Reads captchas: draws some thousand, trains a network to read them, and shows what it reads. This is `make demo`.

    python examples/04_read_captchas.py              a few minutes on two cores
    python examples/04_read_captchas.py --quick      a moment; reads little

Writes out/captcha.safetensors, the network, and out/captchas.png, captchas with what was read. Any picture can be read then:

    striate predict out/captcha.safetensors PICTURE...
"""

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

import striate as st
from striate import data, models, nn, optim

ALPHABET, LENGTH, HEIGHT, WIDTH = "0123456789", 4, 30, 80
UNSEEN = 1_000
GOAL = 0.95
"""Share of the unseen captchas that must be read whole: all four digits right."""


@dataclass
class Reading:
    """A captcha in colour (H, W, 3), what it says, what was read, and how sure the network is of all characters together."""

    number: int
    picture: np.ndarray
    truth: str
    read: str
    confidence: float

    @property
    def right(self) -> bool:
        return self.truth == self.read


def captchas(count: int, seed: int) -> data.CaptchaDataset:
    """Grey captchas of half size, for the network. Another seed gives other captchas."""
    return data.CaptchaDataset(count, ALPHABET, LENGTH, size=(HEIGHT, WIDTH), grey=True, seed=seed)


def train(count: int, epochs: int, file: Path) -> st.Trainer:
    """A network trained on `count` captchas, written to a file."""
    print(f"drawing {count:,} captchas to learn from ...", flush=True)
    net = models.create("captcha", alphabet=ALPHABET, length=LENGTH, height=HEIGHT, width=WIDTH)
    batches = data.DataLoader(captchas(count, seed=1).materialise(cache=False), batch_size=64, shuffle=True, num_workers=1)
    optimizer = optim.AdamW(lr=4e-3)
    schedule = optim.lr_scheduler.OneCycleLR(optimizer, max_lr=4e-3, total_steps=epochs * len(batches))
    trainer = st.Trainer(net, nn.CrossEntropyLoss(), optimizer, schedule=schedule, schedule_every="batch")
    trainer.fit(batches, captchas(500, seed=2).materialise(cache=False), epochs=epochs)
    st.save(net, file, {"input_shape": (1, HEIGHT, WIDTH), "alphabet": ALPHABET, "length": LENGTH})
    return trainer


def read_all(net: nn.Module, unseen: data.CaptchaDataset) -> list[Reading]:
    """What the network reads in captchas that it was not trained on."""
    x, y = unseen.materialise(cache=False).batch(range(len(unseen)))
    scores = np.concatenate([net(x[first : first + 50]) for first in range(0, len(x), 50)])
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    probability = powers / powers.sum(axis=1, keepdims=True)  # (N, characters, places)
    coloured = data.CaptchaDataset(len(unseen), ALPHABET, LENGTH, seed=unseen.seed)  # the same ones as a person sees them
    found = []
    for i, (truth, p) in enumerate(zip(y, probability)):
        picture = coloured.draw(i).transpose(1, 2, 0)
        found.append(Reading(i, picture, unseen.text(truth), unseen.text(p.argmax(axis=0)), float(p.max(axis=0).prod())))
    return found


def chosen(readings: list[Reading], plain: int = 15, hard: int = 5) -> list[Reading]:
    """The first ones as they come, then some that were read wrongly or with the least confidence."""
    return readings[:plain] + sorted(readings[plain:], key=lambda r: (r.right, r.confidence))[:hard]


def table(readings: list[Reading]) -> Table:
    shown = Table("captcha", "says", "read as", show_edge=False)
    shown.add_column("confidence", justify="right")
    for r in readings:
        colour = "green" if r.right else "bold red"
        shown.add_row(str(r.number), r.truth, f"[{colour}]{r.read}", f"{r.confidence:.1%}")
    return shown


def draw(readings: list[Reading], title: str, file: Path) -> None:
    """A picture of captchas with what was read below each: green where right, red with the truth where wrong."""
    from matplotlib.figure import Figure
    from PIL import Image

    columns = 5
    rows = -(-len(readings) // columns)
    figure = Figure(figsize=(1.9 * columns, 1.1 * rows + 0.5), dpi=100, layout="constrained")
    figure.suptitle(title, fontsize=12)
    for place, r in zip(figure.subplots(rows, columns).flat, readings):
        place.imshow(r.picture)
        place.set(xticks=[], yticks=[])
        place.spines[:].set_color("#cccccc")
        text, colour = (r.read, "#1a7f37") if r.right else (f"{r.read}, not {r.truth}", "#cf222e")
        place.set_xlabel(text, color=colour, fontsize=13, fontfamily="monospace", fontweight="bold")
    figure.savefig(file)
    Image.open(file).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(file, optimize=True)  # a third of the bytes


def main() -> None:
    options = argparse.ArgumentParser(description="Train a reader of captchas and look at what it reads.")
    options.add_argument("--quick", action="store_true", help="few captchas, one pass: shows that it works, reads little")
    options.add_argument("--out", type=Path, default=Path("out"), help="folder for the network and the picture")
    given = options.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    file, picture = given.out / "captcha.safetensors", given.out / "captchas.png"

    start = time.perf_counter()
    st.seed(0)
    count, epochs, unseen = (640, 1, 40) if given.quick else (20_000, 6, UNSEEN)
    trainer = train(count, epochs, file)
    readings = read_all(trainer.net, captchas(unseen, seed=3))
    share = sum(r.right for r in readings) / len(readings)
    minutes = (time.perf_counter() - start) / 60

    some = chosen(readings)
    print(f"\ncaptchas that it has never seen, the last ones the hardest of {len(readings):,}:\n")
    Console().print(table(some))
    result = f"{share:.1%} of {len(readings):,} unseen captchas read whole after {minutes:.1f} minutes"
    draw(some, f"{result}; last row: the hardest", picture)
    print(f"\n{result}\nthe network is in {file}, a picture in {picture}")
    if share < GOAL and not given.quick:
        raise SystemExit(f"fewer than {GOAL:.0%}")


if __name__ == "__main__":
    main()
