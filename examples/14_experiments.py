"""What is said about convolutional networks, measured: six small experiments with a plot each.

    python examples/14_experiments.py                    all of them with few steps, a moment
    python examples/14_experiments.py --full             a quarter of an hour
    python examples/14_experiments.py rates width        some of them

    rates          batch normalisation bears larger learning rates
    starts         and a start from weights of the wrong size
    speed          batch and layer normalisation reach a loss in fewer steps
    downsampling   little by little, or all at once
    pictures       few pictures are learnt by heart, many are understood
    width          more filters tell more

Everything is one network with one thing changed. Writes out/experiment_NAME.svg and prints the numbers.

Sources: Ioffe & Szegedy, Batch normalization, arXiv:1502.03167, section 4; Ba, Kiros & Hinton, Layer normalization,
arXiv:1607.06450, section 6.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pictures import SCALED, pictures

import striate as st
from striate import draw, nn, optim

BATCH = 64
Norm = Callable[[int], nn.Module]
NORMS: dict[str, Norm] = {
    "plain": lambda channels: nn.Identity(),
    "batch norm": nn.BatchNorm2d,
    "layer norm": lambda channels: nn.GroupNorm(1, channels),
}
"""Layer norm over all channels and pixels of an image is group norm with one group."""


@dataclass(frozen=True)
class Set:
    """Images (N, 1, 28, 28) and their classes (N,)."""

    x: np.ndarray
    y: np.ndarray

    def first(self, count: int) -> "Set":
        return Set(self.x[:count], self.y[:count])


@dataclass(frozen=True)
class Effort:
    """How much an experiment may cost: steps of a training, and every how many-th point of a sweep is taken."""

    steps: int
    every: int


def convs(norm: Norm, width: int = 12, layers: int = 5) -> nn.Sequential:
    """Convolutions 3x3, each with a norm and ReLU: 28 -> 14 -> 7 pixels; a linear layer over all of them."""
    found, channels = [], 1
    for i in range(layers):
        k = width if i < 2 else 2 * width
        found += [nn.Conv2d(channels, k, 3, stride=2 if i in (0, 2) else 1, padding=1), norm(k), nn.ReLU()]
        channels = k
    return nn.Sequential(*found, nn.Flatten(), nn.Linear(channels * 49, 10))


def learn(net: nn.Module, train: Set, steps: int, rate: float = 0.05) -> np.ndarray:
    """The losses of so many steps of SGD with momentum; the rate stays as it is. Ends in eval mode."""
    step = st.compile(net.train(), nn.CrossEntropyLoss(), optim.SGD(net.parameters(), lr=rate, momentum=0.9))
    rng = np.random.default_rng(0)
    order = np.concatenate([rng.permutation(len(train.x)) for _ in range(-(-steps * BATCH // len(train.x)))])
    losses = [step(train.x[part], train.y[part]) for part in np.split(order[: steps * BATCH], steps)]
    net.eval()
    return np.array(losses)


def right(net: nn.Module, seen: Set) -> float:
    """Share of the images that are told right; a network whose weights are not finite any more tells nothing right."""
    scores = np.concatenate([net(seen.x[i : i + 500]) for i in range(0, len(seen.x), 500)])
    return float(np.mean(scores.argmax(axis=1) == seen.y) if np.isfinite(scores).all() else 0.0)


def logarithmic(values: list[float]) -> tuple[np.ndarray, dict[float, str]]:
    """Logarithms for the axis of a plot, and what is written there."""
    places = np.log10(values)
    return places, {float(place): f"{value:g}" for place, value in zip(places, values)}


def swept(axis: str, values: list[float], curves: dict[str, list[float]]) -> draw.Drawing:
    """A plot of accuracies over a logarithmic axis, and its numbers."""
    places, ticks = logarithmic(values)
    print(f"{axis:>28} " + " ".join(f"{value:>7g}" for value in values))
    for name, found in curves.items():
        print(f"{name:>28} " + " ".join(f"{value:7.3f}" for value in found))
    return draw.chart("Accuracy after the same steps", places, curves, axis, ticks=ticks)


def rates(train: Set, test: Set, effort: Effort) -> draw.Drawing:
    """The accuracy after the same steps, over learning rates, with and without batch norm."""
    tried = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0][:: effort.every]
    curves: dict[str, list[float]] = {name: [] for name in ("plain", "batch norm")}
    for name, found in curves.items():
        for rate in tried:
            st.seed(0)
            net = convs(NORMS[name])
            learn(net, train, effort.steps, rate)
            found.append(right(net, test))
    drawing = swept("learning rate", tried, curves)
    assert np.mean(curves["batch norm"]) > np.mean(curves["plain"]) + 0.1
    return drawing


def starts(train: Set, test: Set, effort: Effort) -> draw.Drawing:
    """The same over a factor on all initial weights."""
    tried = [0.1, 0.3, 1.0, 3.0, 10.0][:: effort.every]
    curves: dict[str, list[float]] = {name: [] for name in ("plain", "batch norm")}
    for name, found in curves.items():
        for factor in tried:
            st.seed(0)
            net = convs(NORMS[name])
            for parameter in net.parameters():
                if parameter.data.ndim == 4:
                    parameter.data = parameter.data * np.float32(factor)
            learn(net, train, effort.steps)
            found.append(right(net, test))
    drawing = swept("initial weights times", tried, curves)
    assert min(curves["batch norm"]) > min(curves["plain"]) + 0.2
    return drawing


def speed(train: Set, test: Set, effort: Effort) -> draw.Drawing:
    """Losses on the way, and the first of the windows of ten steps whose mean loss is below a target."""
    target, window, curves, reached = 1.0, 10, {}, {}
    for name, norm in NORMS.items():
        st.seed(0)
        losses = learn(convs(norm), train, effort.steps, rate=0.02).reshape(-1, window).mean(axis=1)
        below = np.flatnonzero(losses < target)
        curves[name], reached[name] = losses, window * (int(below[0]) + 1) if below.size else np.inf
        print(f"{name:>28} a loss of {target:g} after {reached[name]:g} steps")
    assert max(reached["batch norm"], reached["layer norm"]) < reached["plain"]
    steps = window * (np.arange(effort.steps // window) + 1)
    return draw.chart("Training loss", steps, curves, "steps", high=2.5)


def downsampling(train: Set, test: Set, effort: Effort) -> draw.Drawing:
    """Three convolutions of equal sizes, so equal parameters; 28 pixels become 4, 3 or so in three ways."""
    def block(c: int, k: int, *pools: nn.Module) -> list[nn.Module]:
        return [nn.Conv2d(c, k, 3, padding=1), nn.BatchNorm2d(k), nn.ReLU(), *pools]

    def whole(first: list[nn.Module], second: list[nn.Module], third: list[nn.Module]) -> nn.Sequential:
        """The pools behind each of the three convolutions decide how the image shrinks."""
        return nn.Sequential(*block(1, 8, *first), *block(8, 16, *second), *block(16, 32, *third), nn.Flatten(),
                             nn.Linear(32 * 9, 10))  # fmt: skip

    ways = {
        "gradually": lambda: whole([nn.MaxPool2d(2)], [nn.MaxPool2d(2)], [nn.MaxPool2d(2)]),
        "at once, first": lambda: whole([nn.MaxPool2d(8)], [], []),
        "at once, last": lambda: whole([], [], [nn.MaxPool2d(8)]),
    }
    curves, points = {}, max(2, 8 // effort.every)
    for name, make in ways.items():
        found = []
        st.seed(0)
        net = make()
        step = st.compile(net, nn.CrossEntropyLoss(), optim.SGD(net.parameters(), lr=0.05, momentum=0.9))
        rng = np.random.default_rng(0)
        for _ in range(points):
            net.train()
            for part in np.split(rng.permutation(len(train.x))[: effort.steps // points * BATCH], effort.steps // points):
                step(train.x[part], train.y[part])
            found.append(right(net.eval(), test))
        curves[name] = found
        size, work = sum(p.numel() for p in net.parameters()), st.cost(net, (1, 28, 28)).total
        print(f"{name:>28} {found[-1]:.3f} right, {size:,} parameters, {work:,} MACs an image")
    assert curves["gradually"][-1] > curves["at once, first"][-1]
    return draw.chart("Accuracy on the way", effort.steps // points * (np.arange(points) + 1), curves, "steps")


def few(train: Set, test: Set, effort: Effort) -> draw.Drawing:
    """Accuracies on what was learnt from and on what is new, over the number of images that are learnt from."""
    tried = [100, 300, 1000, 3000, 10000][:: effort.every]
    curves: dict[str, list[float]] = {"learnt from": [], "new": []}
    for count in tried:
        st.seed(0)
        net, some = convs(nn.BatchNorm2d), train.first(count)
        learn(net, some, effort.steps)
        curves["learnt from"].append(right(net, some.first(2000)))
        curves["new"].append(right(net, test))
    drawing = swept("images to learn from", [float(count) for count in tried], curves)
    gaps = [a - b for a, b in zip(curves["learnt from"], curves["new"])]
    assert gaps[0] > gaps[-1] and curves["new"][-1] > curves["new"][0]
    return drawing


def width(train: Set, test: Set, effort: Effort) -> draw.Drawing:
    """The accuracy over the number of filters in the first layers; the later ones have twice as many."""
    tried = [1, 2, 4, 8, 16, 32][:: effort.every]
    found = []
    for filters in tried:
        st.seed(0)
        net = convs(nn.BatchNorm2d, width=filters)
        learn(net, train, effort.steps, rate=0.02)
        found.append(right(net, test))
    drawing = swept("filters", [float(count) for count in tried], {"new images": found})
    assert found[-1] > found[0] + 0.05
    return drawing


EXPERIMENTS = {"rates": rates, "starts": starts, "speed": speed, "downsampling": downsampling, "pictures": few, "width": width}


def main() -> None:
    parser = argparse.ArgumentParser(description="Small experiments with a plot each.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(EXPERIMENTS)}; all unless given")
    parser.add_argument("--full", action="store_true", help="more steps and more points")
    given = parser.parse_args()
    if strange := set(given.names) - set(EXPERIMENTS):
        parser.error(f"there is no experiment {', '.join(sorted(strange))}; there are {', '.join(EXPERIMENTS)}")
    effort = Effort(400, 1) if given.full else Effort(100, 3)
    train, test = (Set(SCALED(x), y) for x, y in (part.batch(range(count)) for part, count in zip(pictures(), (20_000, 2_000))))
    for name in given.names or EXPERIMENTS:
        print(f"\n{name}: {EXPERIMENTS[name].__doc__.splitlines()[0]}", flush=True)
        print(EXPERIMENTS[name](train, test, effort).save(Path(f"out/experiment_{name}.svg")))


if __name__ == "__main__":
    main()
