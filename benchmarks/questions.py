"""How long an answer takes: `python benchmarks/questions.py [--network resnet152]`, seconds after import, best of a few.

Nothing is run or compiled, so the numbers hold for any CPU of about this speed. Aim: the summary of ResNet-152 in 0.3 s.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import striate as st
from striate import models, optim
from striate.nn import init


def questions(net: Any, shape: Any) -> dict[str, Callable[[], Any]]:
    """Each question with its text, where it has one."""
    return {
        "summary": lambda: st.summary(net, shape, show=False).text(),
        "explain": lambda: st.explain(net, shape, show=False).text(),
        "receptive_field": lambda: st.receptive_field(net, shape).text(),
        "cost of a training step": lambda: st.cost(net, shape, batch=8, optimizer=optim.Adam()).text(),
        "memory of inference": lambda: st.memory(net, shape).text(),
        "memory of a training step": lambda: st.memory(net, shape, batch=8, optimizer=optim.Adam()).text(),
    }


def seconds(ask: Callable[[], Any], runs: int = 3) -> float:
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        ask()
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", default="resnet152")
    name = parser.parse_args().network
    with init.skipped():
        net = models.create(name)
    for question, ask in questions(net, models.input_shape(net)).items():
        print(f"{name:<12} {question:<26} {seconds(ask):7.3f} s")


if __name__ == "__main__":
    main()
