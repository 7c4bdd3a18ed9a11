"""One system in a process of its own: `python worker.py SYSTEM NETWORK MODE THREADS`.

Reads a line for each round and answers with the seconds of the steps of that round, as JSON. Between rounds it sleeps on
its input, so it takes no core from the others.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from networks import NETWORKS


def data(name: str) -> tuple[np.ndarray, np.ndarray]:
    _, batch, shape = NETWORKS[name]
    rng = np.random.default_rng(0)
    return rng.standard_normal((batch, *shape), np.float32), rng.integers(0, 10, batch)


def striate_run(name: str, mode: str, threads: int) -> Callable[[], float]:
    import striate as st
    from striate import nn, optim

    st.set_num_threads(threads)
    st.seed(0)
    net, (x, y) = NETWORKS[name][0](nn), data(name)
    net.load_state_dict(weights(name))
    if mode == "train":
        step = st.compile(net, nn.CrossEntropyLoss(), optim.SGD(lr=0.01, momentum=0.9))
        return lambda: step(x, y)
    net.eval()
    return lambda: float(net(x).sum())


def torch_run(name: str, mode: str, threads: int, compiled: bool) -> Callable[[], float]:
    import torch

    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)  # as striate does
    net, (x, y) = NETWORKS[name][0](torch.nn), data(name)
    net.load_state_dict({k: torch.from_numpy(v) for k, v in weights(name).items()})
    net = net.to(memory_format=torch.channels_last)
    images, labels = torch.from_numpy(x).to(memory_format=torch.channels_last), torch.from_numpy(y)
    if mode != "train":
        net.eval()
        forward = torch.compile(net) if compiled else net

        def infer() -> float:
            with torch.no_grad():
                return float(forward(images).sum())

        return infer
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
    loss_of = torch.nn.CrossEntropyLoss()

    def loss_fn(images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return loss_of(net(images), labels)

    forward_loss = torch.compile(loss_fn) if compiled else loss_fn

    def train() -> float:
        optimizer.zero_grad(set_to_none=True)
        loss = forward_loss(images, labels)
        loss.backward()
        optimizer.step()
        return float(loss)

    return train


def weights(name: str) -> dict[str, np.ndarray]:
    """The same start for every system, scaled as He et al. (2015)."""
    from striate import nn

    rng = np.random.default_rng(1)
    state = NETWORKS[name][0](nn).state_dict()
    for key, array in state.items():
        if array.ndim > 1:
            state[key] = (rng.standard_normal(array.shape) * np.sqrt(2 / array[0].size)).astype(np.float32)
        elif key.endswith("bias"):
            state[key] = np.zeros_like(array)
    return state


def main() -> None:
    system, name, mode, threads = sys.argv[1:5]
    start = time.perf_counter()
    run = striate_run(name, mode, int(threads)) if system == "striate" else \
        torch_run(name, mode, int(threads), system == "torch.compile")
    values = [run() for _ in range(3)]
    ready = time.perf_counter() - start
    print(json.dumps({"values": values, "ready": ready}), flush=True)
    for line in sys.stdin:
        seconds = float(line)
        run()  # the caches are somebody else's
        times, end = [], time.perf_counter() + seconds
        while time.perf_counter() < end or len(times) < 3:
            start = time.perf_counter()
            run()
            times.append(time.perf_counter() - start)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(json.dumps({"times": times, "peak": peak}), flush=True)


if __name__ == "__main__":
    main()
