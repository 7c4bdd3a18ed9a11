"""Deeper is not better by itself: plain networks learn worse as they grow, residual ones do not.

    python examples/13_degradation.py             two depths and few steps, seconds
    python examples/13_degradation.py --full      four depths, ten minutes or so

Networks of 6n + 2 layers, with and without shortcuts, learn from the same pictures in the same order. A deeper plain network
could copy a shallower one and do nothing in its further layers, so its TRAINING loss need not be worse; that it is worse all
the same is the degradation that residual networks cure: a block of theirs that learns nothing passes its input on.

Source: He, Zhang, Ren & Sun, Deep residual learning, arXiv:1512.03385, figures 1 and 6.

Writes out/degradation_depth.svg, the loss at the end over the depth, and out/degradation_steps.svg, the way there.
"""

import sys
import time
from pathlib import Path

import numpy as np
from pictures import SCALED, pictures

import striate as st
from striate import data, draw, models, nn, optim

RATE, BATCH, WINDOW = 0.1, 64, 20
"""The highest learning rate, pictures in a step, and the steps over which a loss is averaged."""


def learn(depth: int, plain: bool, batches: data.DataLoader, epochs: int) -> np.ndarray:
    """The training loss of every step."""
    st.seed(0)
    net = models.resnet_cifar(depth, plain=plain, channels=8)
    optimizer = optim.SGD(net.parameters(), lr=RATE, momentum=0.9, weight_decay=1e-4)
    schedule = optim.lr_scheduler.OneCycleLR(optimizer, max_lr=RATE, total_steps=epochs * len(batches) + 1)
    step, losses, start = st.compile(net, nn.CrossEntropyLoss(), optimizer), [], time.perf_counter()
    for _ in range(epochs):
        for x, y in batches:
            losses.append(step(np.repeat(x, 3, axis=1), y))
            schedule.step()
    kind, seconds = "plain" if plain else "residual", time.perf_counter() - start
    print(f"{kind:>8} {depth:3} layers: loss {np.mean(losses[-WINDOW:]):.3f} after {seconds:.0f} s", flush=True)
    return np.array(losses)


def means(losses: np.ndarray) -> np.ndarray:
    """Of WINDOW steps each."""
    return losses[: len(losses) // WINDOW * WINDOW].reshape(-1, WINDOW).mean(axis=1)


def main(full: bool) -> None:
    depths = (8, 20, 32, 56) if full else (8, 32)
    count, epochs = (12_800, 2) if full else (2_560, 1)
    batches = data.DataLoader(data.Subset(pictures(count)[0], range(count)), BATCH, shuffle=True, seed=0, transform=SCALED)
    found = {(kind, depth): learn(depth, kind == "plain", batches, epochs) for depth in depths for kind in ("plain", "residual")}

    ends = {kind: [found[kind, depth][-WINDOW:].mean() for depth in depths] for kind in ("plain", "residual")}
    high = np.ceil(10 * max(map(max, ends.values()))) / 10
    shown = draw.chart("Training loss after the same steps", depths, ends, "layers", high=high, ticks={d: str(d) for d in depths})
    print(shown.save(Path("out/degradation_depth.svg")))

    ways = {f"{kind} {depth}": means(found[kind, depth]) for depth in (depths[1], depths[-1]) for kind in ("plain", "residual")}
    steps = WINDOW * (np.arange(len(ways[f"plain {depths[-1]}"])) + 1)
    print(draw.chart("Training loss", steps, ways, "steps", high=2).save(Path("out/degradation_steps.svg")))
    assert ends["plain"][-1] > ends["residual"][-1]
    assert not full or ends["plain"][-1] > 1.2 * ends["plain"][0]


if __name__ == "__main__":
    main("--full" in sys.argv[1:])
