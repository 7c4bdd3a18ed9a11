"""What the machine can do at the moment, and the least that a run must do: together the floor of a run's time.

    floor = max(2 * MACs / peak, bytes / bandwidth)        striate.cpu.peak.Peak.floor

MACs are those of the direct algorithm. Of the bytes only those count that no system can do without: the images, once; in
inference all parameters, read; in training all parameters and their momentum, read and written. Gradients and what one layer
hands to the next may stay in a cache, and so do the parameters of a small network: its floor can lie above its time.

`python limits.py THREADS` measures the peak in a process of its own: whenever it reads a line, it answers with FLOPs and bytes
a second, as JSON.
"""

from __future__ import annotations

import json
import sys
from math import prod

from networks import Network
from systems import MOMENTUM

import striate as st
from striate import nn, optim
from striate.cpu.peak import measured


def least(network: Network, batch: int, mode: str) -> tuple[int, int]:
    """Multiply-accumulates and bytes of one run.

    >>> from networks import NETWORKS
    >>> least(NETWORKS["lenet"], 1, "infer"), 4 * (61_706 + 28 * 28)
    ((416520, 249960), 249960)
    >>> least(NETWORKS["lenet"], 1, "train")[1], 4 * (2 * 2 * 61_706 + 28 * 28)
    (990432, 990432)
    """
    net, optimizer = network.make(nn), optim.SGD(**MOMENTUM) if mode == "train" else None
    macs = st.cost(net, network.shape, batch=batch, optimizer=optimizer).total
    times = 2 * (1 + len(optimizer.groups_for(net)[0].state_names)) if optimizer else 1
    return macs, times * sum(p.data.nbytes for p in net.parameters()) + 4 * batch * prod(network.shape)


def main() -> None:
    for _ in sys.stdin:
        found = measured(int(sys.argv[1]))
        print(json.dumps({"flops": found.flops_per_second, "bytes": found.bytes_per_second}), flush=True)


if __name__ == "__main__":
    main()
