"""The report of the backward pass: deltas, parameters that are read twice, activations, and errors."""

import numpy as np
import pytest
import torch

import striate as st
from striate import nn
from striate.ask.backward import explain_backward
from striate.errors import ShapeError


class Twice(nn.Module):
    """One layer used twice, and an input that is added at the end."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(self, x):
        return x + self.layer(self.layer(x).tanh())


def test_it_agrees_with_vjp():
    st.seed(0)
    net = nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16, 3))
    x, labels = np.random.default_rng(0).standard_normal((5, 2, 6, 6)).astype(np.float32), np.array([0, 2, 1, 1, 0])
    found = explain_backward(net, nn.CrossEntropyLoss(), x, labels, show=False)
    cost, gradients = st.value_and_grad(net, nn.CrossEntropyLoss())(x, labels)
    assert found.cost == pytest.approx(cost, rel=1e-5)
    mine = {name: g for row in found.rows for name, g in row.gradients.items()}
    assert mine.keys() == gradients.keys()
    for name, gradient in gradients.items():
        assert mine[name] == pytest.approx(gradient, abs=1e-5)
    assert [row.layer for row in found.rows][:3] == ["0", "1", "2"] and found.of("3").output.shape == (5, 4, 2, 2)


def test_a_shared_parameter_shows_its_whole_gradient():
    st.seed(0)
    net, x = Twice(), np.ones((2, 3), np.float32)
    found = explain_backward(net, nn.HalfSquaredError(), x, 0 * x, show=False)
    _, gradients = st.value_and_grad(net, nn.HalfSquaredError())(x, 0 * x)
    rows = [row for row in found.rows if row.gradients]
    assert len(rows) == 2
    for row in rows:
        assert row.gradients["layer.weight"] == pytest.approx(gradients["layer.weight"], abs=1e-5)


def test_a_network_of_torch():
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Sigmoid(), torch.nn.Linear(4, 2))
    x, y = np.ones((5, 3), np.float32), np.zeros((5, 2), np.float32)
    found = explain_backward(net, nn.MSELoss(), x, y, show=False)
    torch.nn.functional.mse_loss(net(torch.from_numpy(x)), torch.from_numpy(y)).backward()
    for layer in ("0", "2"):
        wanted = net.get_parameter(f"{layer}.weight").grad.numpy()
        assert found.of(layer).gradients[f"{layer}.weight"] == pytest.approx(wanted, abs=1e-6)


def test_a_loss_of_many_numbers_is_refused():
    with pytest.raises(ShapeError) as error:
        explain_backward(nn.ReLU(), nn.MSELoss(reduction="none"), np.ones((2, 3)), np.ones((2, 3)))
    assert str(error.value) == ("the loss has shape (2, 3), but the backward pass starts at one number; "
                                "use reduction='mean' or 'sum'")
