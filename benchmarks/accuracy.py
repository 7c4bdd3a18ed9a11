"""Trained side by side with PyTorch: `python benchmarks/accuracy.py [--steps 600] [--seeds 0 1 2] [--save docs/accuracy]`.

Three networks learn Fashion-MNIST, each with striate and with PyTorch: the same initial weights (through the state_dict), the
same batches in the same order, the same optimizer, learning rates and number of steps. What is left is rounding: the losses of
the first steps agree in all the digits that float32 has, later ones drift apart as those of any two libraries do, and the
accuracies on the test images must agree within what another seed changes. `--save` writes PATH.md, PATH.json and PATH.svg.

    resnet     residual blocks, 8 layers         He et al., arXiv:1512.03385, section 4.2
    vgg        pairs of 3x3 with batch norm      Simonyan & Zisserman, arXiv:1409.1556, section 2.1
    mobilenet  depthwise separable layers        Howard et al., arXiv:1704.04861, section 3
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from networks import normed, residual

import striate as st
from striate import data, nn, optim
from striate.draw.plot import legend, plot
from striate.draw.svg import Drawing

BATCH, RATE, EARLY = 64, 0.1, 3
"""Images in a step, the highest learning rate, and the steps whose losses are compared one by one."""


def resnet(lib: Any) -> Any:
    """Three residual blocks of 16, 32 and 64 channels on 28, 14 and 7 pixels; the shortcuts are 1x1 convolutions (option B)."""
    layers, c = [*normed(lib, 1, 16, 3), lib.ReLU()], 16
    for k, stride in ((16, 1), (32, 2), (64, 2)):
        body = [*normed(lib, c, k, 3, stride), lib.ReLU(), *normed(lib, k, k, 3)]
        layers.append(residual(lib, body, [] if stride == 1 else normed(lib, c, k, 1, stride)))
        c = k
    return lib.Sequential(*layers, lib.AdaptiveAvgPool2d(1), lib.Flatten(), lib.Linear(c, 10))


def vgg(lib: Any) -> Any:
    """Three pairs of 3x3 convolutions with batch norm, each ended by a max of 2x2; two linear layers."""
    layers, c = [], 1
    for k in (16, 32, 64):
        layers += [*normed(lib, c, k, 3), lib.ReLU(), *normed(lib, k, k, 3), lib.ReLU(), lib.MaxPool2d(2)]
        c = k
    return lib.Sequential(*layers, lib.Flatten(), lib.Linear(64 * 3 * 3, 64), lib.ReLU(), lib.Linear(64, 10))


def mobilenet(lib: Any) -> Any:
    """A 3x3 convolution and five depthwise separable ones, the second and the fourth of stride 2."""
    layers, c = [*normed(lib, 1, 16, 3), lib.ReLU()], 16
    for k, stride in ((32, 1), (64, 2), (64, 1), (128, 2), (128, 1)):
        layers += [*normed(lib, c, c, 3, stride, c), lib.ReLU(), *normed(lib, c, k, 1), lib.ReLU()]
        c = k
    return lib.Sequential(*layers, lib.AdaptiveAvgPool2d(1), lib.Flatten(), lib.Linear(c, 10))


NETWORKS: dict[str, Callable[[Any], Any]] = {"resnet": resnet, "vgg": vgg, "mobilenet": mobilenet}


@dataclass(frozen=True)
class Images:
    """Pictures (N, 1, 28, 28) of mean 0 and deviation 1, and their classes (N,)."""

    x: np.ndarray
    y: np.ndarray

    def batches(self, steps: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """So many batches in the order that the seed gives; every picture once before one comes again."""
        rng, left = np.random.default_rng(seed), np.empty(0, np.int64)
        for _ in range(steps):
            if len(left) < BATCH:
                left = rng.permutation(len(self.x))
            chosen, left = left[:BATCH], left[BATCH:]
            yield self.x[chosen], self.y[chosen]


@dataclass
class Training:
    """What came of one training: the losses of all steps, the share of test images told right, the seconds of all steps."""

    network: str
    system: str
    seed: int
    losses: list[float]
    accuracy: float
    seconds: float


def images(train: bool) -> Images:
    """Fashion-MNIST as networks read it."""
    x, y = (found := data.fashion_mnist(train=train)).batch(range(len(found)))
    return Images((x - np.float32(0.286)) / np.float32(0.353), y)


def with_striate(net: Any, train: Images, test: Images, steps: int, seed: int) -> tuple[list[float], float, float]:
    """Losses, accuracy, seconds."""
    optimizer = optim.SGD(net.parameters(), lr=RATE, momentum=0.9, weight_decay=5e-4)
    schedule = optim.lr_scheduler.OneCycleLR(optimizer, max_lr=RATE, total_steps=steps + 1, cycle_momentum=False)
    step, losses = st.compile(net.train(), nn.CrossEntropyLoss(), optimizer), []
    start = time.perf_counter()
    for x, y in train.batches(steps, seed):
        losses.append(step(x, y))
        schedule.step()
    seconds = time.perf_counter() - start
    net.eval()
    right = [(net(test.x[i : i + 500]).argmax(axis=1) == test.y[i : i + 500]).sum() for i in range(0, len(test.x), 500)]
    return losses, float(sum(right) / len(test.x)), seconds


def with_torch(net: Any, train: Images, test: Images, steps: int, seed: int) -> tuple[list[float], float, float]:
    """The same with PyTorch."""
    optimizer = torch.optim.SGD(net.parameters(), lr=RATE, momentum=0.9, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps + 1, cycle_momentum=False)
    loss_of, losses = torch.nn.CrossEntropyLoss(), []
    net.train()
    start = time.perf_counter()
    for x, y in train.batches(steps, seed):
        loss = loss_of(net(torch.from_numpy(x)), torch.from_numpy(y))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    seconds = time.perf_counter() - start
    net.eval()
    with torch.no_grad():
        right = [(net(torch.from_numpy(test.x[i : i + 500])).argmax(1).numpy() == test.y[i : i + 500]).sum()
                 for i in range(0, len(test.x), 500)]
    return losses, float(sum(right) / len(test.x)), seconds


def trainings(names: list[str], seeds: list[int], steps: int, train: Images, test: Images) -> list[Training]:
    """Each network from each seed with both systems, in turns."""
    found = []
    for name in names:
        for seed in seeds:
            torch.manual_seed(seed)
            theirs, own = NETWORKS[name](torch.nn), NETWORKS[name](nn)
            own.load_state_dict(theirs.state_dict())
            for system, run, net in (("PyTorch", with_torch, theirs), ("striate", with_striate, own)):
                time.sleep(0.5)  # the threads of the one before give their cores away
                found.append(Training(name, system, seed, *run(net, train, test, steps, seed)))
                print(f"{name:10s} seed {seed}  {system:8s} {found[-1].accuracy:.2%}  {found[-1].seconds:6.1f} s", flush=True)
    return found


# the report


def spread(values: list[float]) -> tuple[float, float]:
    """Mean and standard deviation over the seeds (0 for one seed)."""
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def table(found: list[Training]) -> list[str]:
    """Lines of Markdown, one for each network."""
    lines = ["| network | striate | PyTorch | difference | first losses differ by |", "|---|---|---|---|---|"]
    for name in dict.fromkeys(t.network for t in found):
        own, theirs = ([t for t in found if t.network == name and t.system == system] for system in ("striate", "PyTorch"))
        early = max(abs(a - b) / b for t, u in zip(own, theirs) for a, b in zip(t.losses[:EARLY], u.losses[:EARLY]))
        (ours, a), (peers, b) = (spread([t.accuracy for t in each]) for each in (own, theirs))
        lines.append(f"| {name} | {ours:.2%} ± {a:.2%} | {peers:.2%} ± {b:.2%} | {100 * (ours - peers):+.2f} points | "
                     f"{early:.0e} of themselves |")
    return lines


def curves(found: list[Training]) -> Drawing:
    """The losses of both systems, the mean over seeds and over 20 steps, one plot for each network."""
    names = list(dict.fromkeys(t.network for t in found))
    drawing = Drawing(40 + 300 * len(names), 250, "Training losses of striate and PyTorch")
    drawing.text(20, 26, drawing.title, size=15, weight="bold")
    for place, name in enumerate(names):
        lines = {system: smooth(np.mean([t.losses for t in found if (t.network, t.system) == (name, system)], axis=0))
                 for system in ("striate", "PyTorch")}
        left = 44 + 300 * place
        drawing.text(left, 50, name, size=12, weight="bold")
        steps = np.linspace(0, len(found[0].losses), len(lines["striate"]))
        plot(drawing, (left, 58, 250, 140), steps, lines, 0, 1.5)
    legend(drawing, 44, 238, ("striate", "PyTorch"))
    return drawing


def smooth(losses: np.ndarray, width: int = 20) -> np.ndarray:
    """Means of `width` steps, one after the other."""
    whole = len(losses) // width * width
    return losses[:whole].reshape(-1, width).mean(axis=1) if whole else losses


PAGE = """# As accurate as PyTorch

Written by `python benchmarks/accuracy.py --save docs/accuracy`: three small networks learn Fashion-MNIST, {steps} steps of
{batch} images, with striate and with PyTorch {version}. Initial weights, batches and their order, optimizer (SGD, momentum 0.9,
weight decay 0.0005) and learning rates (one cycle up to {rate}) are the same. Right answers among the 10,000 test images, mean
and standard deviation over {seeds} seeds:

{table}

![losses]({name}.svg)

The losses of the first {early} steps differ by rounding only. Later the weights drift apart, as they do between any two ways
of adding the same numbers; what stands behind ± is how much another seed changes.
"""


def save(found: list[Training], steps: int, path: Path) -> None:
    """PATH.md with the table, PATH.svg with the losses, PATH.json with every loss and accuracy."""
    every = [{**asdict(t), "losses": np.round(t.losses, 5).tolist()} for t in found]
    path.with_suffix(".json").write_text(json.dumps(every) + "\n", encoding="utf-8")
    curves(found).save(path.with_suffix(".svg"))
    page = PAGE.format(steps=steps, batch=BATCH, rate=RATE, early=EARLY, seeds=len({t.seed for t in found}), name=path.name,
                       version=torch.__version__.partition("+")[0], table="\n".join(table(found)))
    path.with_suffix(".md").write_text(page, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="*", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--save", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    st.set_num_threads(options.threads)
    found = trainings(options.networks, options.seeds, options.steps, images(train=True), images(train=False))
    print("\n".join(table(found)))
    if options.save:
        save(found, options.steps, options.save)


if __name__ == "__main__":
    main()
