"""How much faster more threads make a training step, and that they change no bit of it.

    python examples/17_threads.py

Threads share the pixels of every map, one step at a time, so they help with a single image too. What they share is cut by what is
computed, never by who comes first: losses and weights are the same for any number of threads.
"""

import os
import time

import numpy as np

import striate as st
from striate import models, nn, optim

IMAGES, SECONDS = 32, 0.5


def trained(threads: int) -> tuple[float, list[float]]:
    """Milliseconds of a step with so many threads (the median), and the losses of the first three."""
    st.set_num_threads(threads)
    st.seed(0)
    net, rng = models.small_cnn(), np.random.default_rng(0)
    x, y = rng.standard_normal((IMAGES, 1, 28, 28)).astype(np.float32), rng.integers(10, size=IMAGES)
    step = st.compile(net, nn.CrossEntropyLoss(), optim.SGD(lr=0.01))
    losses, times, end = [step(x, y) for _ in range(3)], [], time.perf_counter() + SECONDS
    while time.perf_counter() < end or len(times) < 3:
        start = time.perf_counter()
        step(x, y)
        times.append(time.perf_counter() - start)
    return 1000 * float(np.median(times)), losses


def main() -> None:
    cores = os.cpu_count() or 1
    counts = sorted({1, 2, *(n for n in (4, 8, 16, 32) if n <= cores), cores})
    found = {threads: trained(threads) for threads in counts}
    alone, losses = found[1]
    print(f"a training step of four convolutions on {IMAGES} images; this machine has {cores} cores\n")
    for threads, (milliseconds, others) in found.items():
        speed = 1000 * IMAGES / milliseconds
        print(f"{threads:3} threads {milliseconds:7.2f} ms {speed:9,.0f} images/s {alone / milliseconds:5.2f}x")
        assert others == losses
    print("\nthe losses are the same, bit for bit")


if __name__ == "__main__":
    main()
