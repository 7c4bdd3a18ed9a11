"""Gradients: of any output with respect to inputs and parameters, and of a loss, checked against formulas on paper.

    python examples/02_gradients.py
"""

import numpy as np

import striate as st
from striate import nn

st.seed(0)
rng = np.random.default_rng(0)
N, C, K = 4, 3, 5
net = nn.Linear(C, K)
x = rng.standard_normal((N, C)).astype(np.float32)

# vjp: the output, and a function that carries a gradient of the output back to inputs and parameters.
#     y = x W^T + b    so    dx = dy W,    dW = dy^T x,    db = sum over the batch of dy
y, pullback = st.vjp(net, x)
dy = rng.standard_normal(y.shape).astype(np.float32)
dx, dparams = pullback(dy)
W = net.weight.data
np.testing.assert_allclose(dx, dy @ W, rtol=1e-4, atol=1e-6)
np.testing.assert_allclose(dparams["weight"], dy.T @ x, rtol=1e-4, atol=1e-6)
np.testing.assert_allclose(dparams["bias"], dy.sum(axis=0), rtol=1e-4, atol=1e-6)
print("dx", dx.shape, " dW", dparams["weight"].shape, " db", dparams["bias"].shape, " as on paper")

# value_and_grad: a loss and the gradients of all parameters, by name.
#     L = -mean log p[label],  p = softmax(y)    so    dL/dy = (p - one_hot(label)) / N
labels = np.array([0, 4, 2, 2])
loss, grads = st.value_and_grad(net, nn.CrossEntropyLoss())(x, labels)
p = np.exp(y) / np.exp(y).sum(axis=1, keepdims=True)
np.testing.assert_allclose(loss, -np.log(p[np.arange(N), labels]).mean(), rtol=1e-5)
np.testing.assert_allclose(grads["weight"], ((p - np.eye(K)[labels]) / N).T @ x, rtol=1e-4, atol=1e-6)
print(f"loss {loss:.4f}, and its gradient of the weights is (p - one_hot)^T x / N")

# A step against the gradient makes the loss smaller.
for name, parameter in net.named_parameters():
    parameter.data = parameter.data - 0.5 * grads[name]
after, _ = st.value_and_grad(net, nn.CrossEntropyLoss())(x, labels)
print(f"one step of gradient descent: loss {loss:.4f} -> {after:.4f}")
assert after < loss
