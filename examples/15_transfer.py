"""A network that has learnt five kinds of clothes learns five others from a few pictures of each.

    python examples/15_transfer.py             4,000 pictures for the first task, seconds
    python examples/15_transfer.py --full      30,000 pictures for the first task, a minute or two

Three ways to learn the second task: from new weights; with a new head on the old body, which is frozen; and with the whole
network trained, the body at a tenth of the head's learning rate. What is frozen costs nothing on the way back: the compiled
step has no gradients for it, nor for anything below the lowest layer that is trained.

Source: Yosinski et al., How transferable are features in deep neural networks?, arXiv:1411.1792.
"""

import sys
import time

import numpy as np
from pictures import SCALED, pictures

import striate as st
from striate import data, nn, optim

SHOTS, STEPS = 2, 60
"""Pictures of each new class, and steps on all of them together."""


def half(dataset: data.ArrayDataset, second: bool, count: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The pictures of the classes 0 to 4, or of 5 to 9 with labels 0 to 4; of each class the first `count`."""
    chosen = [np.flatnonzero(dataset.y == k)[:count] for k in (range(5, 10) if second else range(5))]
    x, y = dataset.batch(np.concatenate(chosen))
    return SCALED(x), y % 5


def fresh() -> nn.Sequential:
    """Four convolutions with batch norm, and a head for five classes."""
    def block(c: int, k: int) -> list[nn.Module]:
        return [nn.Conv2d(c, k, 3, padding=1, bias=False), nn.BatchNorm2d(k), nn.ReLU()]

    return nn.Sequential(*block(1, 12), *block(12, 12), nn.MaxPool2d(2), *block(12, 24), *block(24, 24), nn.MaxPool2d(2),
                         nn.Flatten(), nn.Linear(24 * 7 * 7, 5))


def from_old(old: nn.Sequential) -> nn.Sequential:
    """The old body under a new head."""
    net = fresh()
    head = f"{len(net) - 1}."
    net.load_state_dict({name: a for name, a in old.state_dict().items() if not name.startswith(head)}, strict=False)
    return net


def learn(net: nn.Module, optimizer: optim.Optimizer, few: tuple[np.ndarray, np.ndarray]) -> float:
    """Train on a few pictures; milliseconds of a step."""
    step, times = st.compile(net, nn.CrossEntropyLoss(), optimizer), []
    for _ in range(STEPS):
        start = time.perf_counter()
        step(*few)
        times.append(time.perf_counter() - start)
    net.eval()
    return 1000 * float(np.median(times))


def main(full: bool) -> None:
    st.seed(0)
    train, test = pictures()
    old = fresh()
    many = half(train, second=False, count=None if full else 800)
    st.Trainer(old, nn.CrossEntropyLoss(), optim.Adam(lr=2e-3)).fit(many, half(test, second=False, count=200), epochs=2)

    few, unseen = half(train, second=True, count=SHOTS), half(test, second=True, count=500)
    st.seed(1)
    new, frozen, tuned = fresh(), from_old(old), from_old(old)
    frozen[:-1].requires_grad_(False).eval()
    tuned[:-1].eval()  # batch norm keeps the statistics of many pictures: a few would tell it little
    groups = [{"params": tuned[:-1].parameters(), "lr": 1e-4}, {"params": tuned[-1].parameters()}]
    ways = {"new weights": (new, optim.Adam(lr=1e-3)), "frozen body": (frozen, optim.Adam(lr=1e-3)),
            "slow body": (tuned, optim.Adam(groups, lr=1e-3))}  # fmt: skip
    found = {}
    print(f"\n{SHOTS} pictures of each of five new classes, {STEPS} steps:\n")
    for name, (net, optimizer) in ways.items():
        work = st.cost(net, (1, 28, 28), batch=5 * SHOTS, training=True)
        milliseconds = learn(net, optimizer, few)
        found[name] = st.Trainer(net, nn.CrossEntropyLoss(), optim.SGD(lr=0), progress=False).evaluate(unseen)["accuracy"]
        print(f"{name:>12}  {found[name]:6.1%} of {len(unseen[1]):,} right   backward pass {work.backward / 1e6:7.1f} million "
              f"MACs   {milliseconds:5.1f} ms a step")
    assert min(found["frozen body"], found["slow body"]) > found["new weights"]


if __name__ == "__main__":
    main("--full" in sys.argv[1:])
