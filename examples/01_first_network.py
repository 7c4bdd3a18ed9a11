"""A first network: layers, the graph behind them, what it costs, and a forward pass.

    python examples/01_first_network.py
"""

import numpy as np

import striate as st
from striate import nn

st.seed(0)
net = nn.Sequential(nn.Conv2d(1, 6, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(6 * 14 * 14, 10))
print(net)

# Tracing calls the network once on symbolic values. Everything else that striate does is a walk over the graph that comes out.
graph = st.trace(net, (8, 1, 28, 28))
print("\nthe graph for 8 images of 1 x 28 x 28:\n")
print(graph)
print()
st.summary(net, (1, 28, 28))

# The first call for a shape compiles machine code for this CPU; it is kept in memory and on disk.
x = np.random.default_rng(0).random((8, 1, 28, 28), np.float32)
y = net(x)
print("\noutput", y.shape, y.dtype)

# Any graph can also be run by NumPy, operator by operator, in float64: the oracle that all machine code is tested against.
oracle = graph.run(x, target="reference", dtype=np.float64)
difference = np.abs(y - oracle).max()
print(f"largest difference from NumPy in float64: {difference:.1e}")
assert difference < 1e-5
