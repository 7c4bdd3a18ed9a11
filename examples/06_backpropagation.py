"""Back-propagation by hand, in plain NumPy, beside striate's gradients.

    python examples/06_backpropagation.py

1. The deltas of a multilayer perceptron, and the algorithm in 11 steps, which learns the exclusive or.
2. The delta of a convolution: zero padding and a filter turned by 180 degrees.
3. Pooling: an average spreads its delta evenly, a maximum sends it to where it came from.
"""

from itertools import pairwise

import numpy as np

import striate as st
from striate import nn, optim

rng = np.random.default_rng(3)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def sigmoid_slope(z):
    return sigmoid(z) * (1 - sigmoid(z))


def compare(what, ours, theirs):
    """Print the largest difference, and refuse one that is more than rounding."""
    difference = np.abs(np.asarray(ours) - theirs).max()
    print(f"    {what:<38} largest difference {difference:.1e}")
    assert difference < 1e-4 * max(1, np.abs(theirs).max())


# 1. A multilayer perceptron: z^l = W^l a^(l-1) + b^l,  a^l = sigmoid(z^l),  C = |a^L - y|^2 / 2
#
#     delta^L = (a^L - y) * sigmoid'(z^L)                       the slope of sigmoid, not of delta
#     delta^l = (W^(l+1))^T delta^(l+1) * sigmoid'(z^l)         goes back over the same weights
#     dC/dW^l = delta^l (a^(l-1))^T        dC/db^l = delta^l


def forward(weights, biases, x):
    """Every z and every a of one sample (a column)."""
    zs, activations = [], [x]
    for W, b in zip(weights, biases):
        zs.append(W @ activations[-1] + b)
        activations.append(sigmoid(zs[-1]))
    return zs, activations


def backward(weights, zs, activations, y):
    """delta of every layer, from the last to the first."""
    deltas = [(activations[-1] - y) * sigmoid_slope(zs[-1])]
    for W, z in zip(weights[:0:-1], zs[-2::-1]):
        deltas.insert(0, W.T @ deltas[0] * sigmoid_slope(z))
    return deltas


def perceptron(weights, biases):
    """The same network in striate."""
    layers = []
    for W, b in zip(weights, biases):
        layers += [nn.Linear(W.shape[1], W.shape[0]), nn.Sigmoid()]
        layers[-2].weight.data, layers[-2].bias.data = W.astype(np.float32), b.astype(np.float32)
    return nn.Sequential(*layers)


print("1. Deltas of a perceptron 4 - 5 - 3 - 2")
sizes = [4, 5, 3, 2]
weights = [rng.standard_normal((n, m)) for m, n in pairwise(sizes)]
biases = [rng.standard_normal(n) for n in sizes[1:]]
x, y = rng.standard_normal(4), rng.random(2)
zs, activations = forward(weights, biases, x)
deltas = backward(weights, zs, activations, y)

net = perceptron(weights, biases)
found = st.explain_backward(net, nn.HalfSquaredError(), x[None], y[None], show=False)
_, gradients = st.value_and_grad(net, nn.HalfSquaredError())(x[None], y[None])
for i, delta in enumerate(deltas):
    compare(f"delta^{i + 1} = dC/dz^{i + 1}", found.of(str(2 * i)).delta[0], delta)
    compare(f"dC/dW^{i + 1} = delta^{i + 1} (a^{i})^T", gradients[f"{2 * i}.weight"], np.outer(delta, activations[i]))
    compare(f"dC/db^{i + 1} = delta^{i + 1}", gradients[f"{2 * i}.bias"], delta)
print(found)

print("\nThe algorithm in 11 steps learns the exclusive or")
samples = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], float)
answers = np.array([[0], [1], [1], [0]], float)
# 1. Initial weights and biases are random.
weights = [rng.standard_normal((4, 2)), rng.standard_normal((1, 4))]
biases = [rng.standard_normal(4), rng.standard_normal(1)]
net, rate, epochs = perceptron(weights, biases), 8.0, 1000
losses = []
for _ in range(epochs):
    # 2. Take a batch, and set its sums of gradients to 0.
    dW, db, loss = [np.zeros_like(W) for W in weights], [np.zeros_like(b) for b in biases], 0.0
    for x, y in zip(samples, answers):
        # 3. Take one sample.  4. Forward: every z and a.  5. The error of the last layer.
        zs, activations = forward(weights, biases, x)
        loss += 0.5 * ((activations[-1] - y) ** 2).sum()
        # 6. The delta of the last layer.  7. Deltas backwards, layer by layer.
        deltas = backward(weights, zs, activations, y)
        # 8. Gradients of weights and biases.  9. Add them to the batch's; go on with step 3.
        for i, delta in enumerate(deltas):
            dW[i] += np.outer(delta, activations[i])
            db[i] += delta
    # 10. Update by the mean over the batch.  11. Go on with step 2.
    for i in range(len(weights)):
        weights[i] -= rate * dW[i] / len(samples)
        biases[i] -= rate * db[i] / len(samples)
    losses.append(loss / len(samples))
outputs = np.array([forward(weights, biases, x)[1][-1] for x in samples])
print(f"    cost {losses[0]:.4f} -> {losses[-1]:.4f}, outputs {outputs.ravel().round(3)}")
assert np.array_equal(outputs > 0.5, answers == 1)

step = st.compile(net, nn.HalfSquaredError("batchmean"), optim.SGD(lr=rate))
theirs = [step(samples, answers) for _ in range(epochs)]
compare("costs of the first 100 epochs", theirs[:100], np.array(losses[:100]))
compare("outputs of the same net, st.compile", net(samples), outputs)


# 2. A convolution as networks compute it, a correlation: y = correlate(x, w)
#
#     dx = correlate(dy padded by R - 1 zeros, w turned by 180 degrees)
#     dw = correlate(x, dy)            db = sum of dy
#
# Had the forward pass been a true convolution, which turns w, the backward pass would have been a correlation with w as it is.


def correlate(x, w):
    """All positions at which the window w lies within x."""
    windows = np.lib.stride_tricks.sliding_window_view(x, w.shape)
    return np.einsum("pqrs,rs->pq", windows, w)


def turn(w):
    return np.rot90(w, 2)


print("\n2. A convolution of 6x6 with 3x3")
x, w = rng.standard_normal((6, 6)), rng.standard_normal((3, 3))
conv = nn.Conv2d(1, 1, 3)
conv.weight.data, conv.bias.data = w[None, None].astype(np.float32), np.zeros(1, np.float32)
y, pullback = st.vjp(conv, x[None, None])
dy = rng.standard_normal((4, 4))
dx, parameters = pullback(dy[None, None])
padded = np.pad(dy, 2)
compare("forward: correlation", y[0, 0], correlate(x, w))
compare("dx = pad(dy) correlated with turned w", dx[0, 0], correlate(padded, turn(w)))
compare("dw = x correlated with dy", parameters["weight"][0, 0], correlate(x, dy))
compare("db = sum of dy", parameters["bias"], dy.sum())
wrong = np.abs(dx[0, 0] - correlate(padded, w)).max()
print(f"    without the turn dx would be wrong by      {wrong:.1e}")
assert wrong > 0.1
conv.weight.data = turn(w)[None, None].astype(np.float32)  # a true convolution: the filter is turned on the way forward
dx, parameters = st.vjp(conv, x[None, None])[1](dy[None, None])
compare("true convolution: dx without a turn", dx[0, 0], correlate(padded, w))
compare("true convolution: dw turned", turn(parameters["weight"][0, 0]), turn(correlate(x, dy)))

# 3. Pooling: the sum of the deltas stays as it is.
print("\n3. Pooling 8x8 by 2x2")
x, dy = rng.standard_normal((8, 8)), rng.standard_normal((4, 4))
blocks = x.reshape(4, 2, 4, 2).transpose(0, 2, 1, 3).reshape(4, 4, 4)


def spread(values):
    """(4, 4, 4) blocks as (8, 8)."""
    return values.reshape(4, 4, 2, 2).transpose(0, 2, 1, 3).reshape(8, 8)


dx, _ = st.vjp(nn.AvgPool2d(2), x[None, None])[1](dy[None, None])
compare("average: a quarter to each of four", dx[0, 0], spread(np.repeat(dy[..., None] / 4, 4, -1)))
compare("average: the sum stays", dx.sum(), dy.sum())
print(f"    copied instead, the sum would be {np.kron(dy, np.ones((2, 2))).sum() / dy.sum():.0f} times as large")
dx, _ = st.vjp(nn.MaxPool2d(2), x[None, None])[1](dy[None, None])
winners = np.eye(4)[blocks.argmax(-1)]
compare("maximum: to the largest, 0 elsewhere", dx[0, 0], spread(winners * dy[..., None]))
compare("maximum: the sum stays", dx.sum(), dy.sum())
