"""PyTorch's networks in striate: outputs, gradients, names, and what is refused."""

import numpy as np
import pytest
import torch
import torch.nn.functional as TF
from torch import nn as tnn

import striate as st
from striate.errors import ArgumentError

torch.set_num_threads(1)


class Residual(tnn.Module):
    """Written as torch users write: attributes, in-place steps, functions and methods, a parameter of its own."""

    def __init__(self, channels, stride=1):
        super().__init__()
        self.conv1 = tnn.Conv2d(channels, 2 * channels, 3, stride, 1, bias=False)
        self.bn1 = tnn.BatchNorm2d(2 * channels)
        self.relu = tnn.ReLU(inplace=True)
        self.conv2 = tnn.Conv2d(2 * channels, 2 * channels, 3, padding="same", groups=2)
        self.short = tnn.Sequential(tnn.Conv2d(channels, 2 * channels, 1, stride), tnn.BatchNorm2d(2 * channels))
        self.scale = tnn.Parameter(torch.rand(2 * channels, 1, 1))
        self.register_buffer("shift", torch.rand(1))

    def forward(self, x):
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.conv2(out) * self.scale + self.shift
        out += self.short(x)
        return TF.relu(out, inplace=True)


class Inception(tnn.Module):
    def __init__(self, channels):
        super().__init__()
        self.one = tnn.Conv2d(channels, 3, 1)
        self.three = tnn.Sequential(tnn.Conv2d(channels, 4, 1), tnn.LeakyReLU(0.1), tnn.Conv2d(4, 5, 3, padding=1))
        self.five = tnn.Conv2d(channels, 2, (1, 5), padding=(0, 2), bias=False)

    def forward(self, x):
        ways = [self.one(x), self.three(x), self.five(x), TF.max_pool2d(x, kernel_size=3, stride=1, padding=1)]
        return torch.cat(ways, dim=1)


class Network(tnn.Module):
    def __init__(self):
        super().__init__()
        self.stem = tnn.Sequential(tnn.Conv2d(3, 6, 5, 2, 2), tnn.BatchNorm2d(6), tnn.ReLU6(), tnn.AvgPool2d(3, 2, 1))
        self.block = Residual(6, 2)
        self.mixed = Inception(12)
        self.head = tnn.Linear(22, 4)

    def forward(self, x):
        x = self.mixed(self.block(self.stem(x)))
        gate = torch.sigmoid(x.mean(dim=(2, 3), keepdim=True))
        x = TF.dropout(x * gate, 0.5, self.training)
        x = torch.flatten(TF.adaptive_avg_pool2d(x, (1, 1)), 1)
        return TF.log_softmax(self.head(x.view(x.size(0), -1)), dim=1)


class Decoder(tnn.Module):
    """Transposed convolution, upsampling, reshapes, splits, arithmetic."""

    def __init__(self):
        super().__init__()
        self.up = tnn.ConvTranspose2d(4, 4, 4, 2, 1)
        self.norm = tnn.GroupNorm(2, 4)
        self.slope = tnn.PReLU(4)
        self.interpolate = tnn.Upsample(scale_factor=2, mode="nearest")

    def forward(self, x):
        a, b = self.up(x).chunk(2, dim=1)
        y = torch.cat([a.tanh(), -b], 1)
        y = self.slope(self.norm(y)) + TF.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        n, c, h, w = y.shape
        z = y.permute(0, 2, 3, 1).reshape(n, h * w, c)
        z = TF.softmax(z, dim=-1).transpose(1, 2).contiguous().view(n, c, h, w)
        return self.interpolate(torch.abs(z) ** 2 / 3.0 + 1.0 - TF.pad(z, (1, 1))[:, :, :, 1:-1].exp())


class Words(tnn.Module):
    def __init__(self):
        super().__init__()
        self.embed = tnn.Embedding(20, 6)
        self.convs = tnn.ModuleList(tnn.Conv1d(6, 5, size) for size in (2, 3))
        self.norm = tnn.LayerNorm(10)
        self.out = tnn.Linear(10, 3)

    def forward(self, x):
        x = self.embed(x).transpose(1, 2)
        return self.out(self.norm(torch.cat([TF.relu(conv(x)).amax(dim=2) for conv in self.convs], 1)))


NETWORKS = {"residual": (lambda: Residual(4), (2, 4, 9, 9)), "network": (Network, (2, 3, 33, 29)),
            "decoder": (Decoder, (2, 4, 5, 6)),
            "one layer": (lambda: tnn.Conv2d(3, 4, 3), (1, 3, 6, 6)),
            "row": (lambda: tnn.Sequential(tnn.Conv2d(3, 4, 3), tnn.Flatten(), tnn.Linear(64, 2), tnn.Softplus()), (2, 3, 6, 6))}


def drawn(make):
    """A torch network whose batch norms have statistics of their own."""
    torch.manual_seed(0)
    net = make()
    for layer in net.modules():
        if isinstance(layer, tnn.BatchNorm2d):
            tnn.init.uniform_(layer.running_mean, -0.5, 0.5)
            tnn.init.uniform_(layer.running_var, 0.5, 1.5)
    return net


def close(got, wanted, bound=1e-5):
    assert np.max(np.abs(got - wanted)) <= bound * max(1.0, float(np.max(np.abs(wanted))))


@pytest.mark.parametrize("name", NETWORKS)
def test_outputs_and_gradients(name):
    make, shape = NETWORKS[name]
    theirs = drawn(make).eval()
    ours = st.from_torch(theirs)
    x = torch.randn(shape, requires_grad=True)
    wanted = theirs(x)
    y, pullback = st.vjp(ours, x.detach().numpy())
    close(y, wanted.detach().numpy())
    dy = torch.randn(wanted.shape)
    wanted.backward(dy)
    dx, gradients = pullback(dy.numpy())
    close(dx, x.grad.numpy(), 1e-4)
    for path, parameter in theirs.named_parameters():
        close(gradients[path], parameter.grad.numpy(), 1e-4)


@pytest.mark.parametrize("name", NETWORKS)
def test_names_modes_and_what_is_trained(name):
    theirs = drawn(NETWORKS[name][0]).train()
    next(theirs.parameters()).requires_grad = False
    ours = st.from_torch(theirs)
    assert sorted(ours.state_dict()) == sorted(theirs.state_dict())
    assert {n: p.requires_grad for n, p in ours.named_parameters()} == {n: p.requires_grad for n, p in theirs.named_parameters()}
    assert all(m.training for m in ours.modules()) and all(m.training for m in theirs.modules())
    assert type(ours).__name__ == type(theirs).__name__


def random_net(seed):
    """Layers drawn for a seed, each fitting the one before."""
    draw = np.random.default_rng(seed)
    layers, channels = [], 3
    for _ in range(6):
        out = int(draw.integers(1, 9))
        made = [
            lambda c, k: tnn.Conv2d(c, k, int(draw.integers(1, 4)), padding=2, dilation=int(draw.integers(1, 3))),
            lambda c, k: tnn.Sequential(tnn.BatchNorm2d(c), tnn.ELU(0.7), tnn.Conv2d(c, k, 3, stride=2, padding=1, bias=False)),
            lambda c, k: tnn.Sequential(tnn.MaxPool2d(3, 1, 1), tnn.Conv2d(c, k, 1), tnn.GELU()),
            lambda c, k: tnn.Sequential(tnn.Conv2d(c, c, 3, padding=1, groups=c), tnn.Conv2d(c, k, 1), tnn.Hardswish()),
            lambda c, k: tnn.Sequential(tnn.ConvTranspose2d(c, k, 2, 2, output_padding=1), tnn.SiLU(), tnn.AvgPool2d(2)),
        ][int(draw.integers(5))](channels, out)
        layers.append(made)
        channels = out
    return tnn.Sequential(*layers, tnn.AdaptiveAvgPool2d(2), tnn.Flatten(), tnn.Dropout(0.3), tnn.Linear(4 * channels, 5))


@pytest.mark.parametrize("seed", range(8))
def test_random_networks(seed):
    theirs = drawn(lambda: random_net(seed)).eval()
    x = torch.randn(2, 3, 16, 17)
    close(st.from_torch(theirs)(x.numpy()), theirs(x).detach().numpy())


def test_training_mode_uses_the_batch_and_drops():
    theirs = drawn(Network).train()
    ours = st.from_torch(theirs)
    st.seed(0)
    x = torch.randn(4, 3, 32, 32)
    before = ours.block.bn1.running_mean.numpy()
    first, second = ours(x.numpy()), ours(x.numpy())
    theirs(x)
    assert not np.allclose(first, second)  # dropout
    assert not np.allclose(before, ours.block.bn1.running_mean.numpy())
    assert ours.eval()(x.numpy()).shape == (4, 4)


def test_words_are_whole_numbers():
    theirs = drawn(Words).eval()
    x = torch.randint(0, 20, (2, 7))
    close(st.from_torch(theirs)(x.numpy()), theirs(x).detach().numpy())


def test_an_in_place_layer_changes_what_later_steps_read():
    class Aliased(tnn.Module):
        def __init__(self):
            super().__init__()
            self.relu = tnn.ReLU(inplace=True)

        def forward(self, x):
            x = x * 1
            self.relu(x)
            x.add_(1)
            return x * 2

    x = torch.randn(2, 3)
    close(st.from_torch(Aliased())(x.numpy()), Aliased()(x.clone()).numpy())


def test_questions_take_torch_networks():
    net = Network()
    ours = st.from_torch(net)
    assert st.summary(net, (3, 33, 29), show=False).macs == st.summary(ours, (3, 33, 29), show=False).macs > 0
    assert st.summary(net, (3, 33, 29), show=False).parameters == sum(p.numel() for p in net.parameters())
    found = st.receptive_field(net, (3, 33, 29), of="block")
    assert (found.size, found.stride) == ((33, 33), (8, 8)) and found.layer == "block"
    assert st.cost(net, (3, 33, 29)).total == st.cost(ours, (3, 33, 29)).total
    assert st.effective_receptive_field(net, (3, 33, 29), of="stem", samples=2).theoretical.size == (9, 9)
    assert all(m.training for m in net.modules())


class Recurrent(tnn.Module):
    def __init__(self):
        super().__init__()
        self.features = tnn.Sequential(tnn.Conv1d(2, 4, 3), tnn.ReLU())
        self.memory = tnn.LSTM(4, 4)

    def forward(self, x):
        return self.memory(self.features(x))[0]


class Odd(tnn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


REFUSED = {
    "layer": (Recurrent, "torch layer 'memory' (LSTM) has no counterpart in striate.nn; replace it by layers that have one, or "
                         "write it as a striate.nn.Module"),
    "function": (lambda: Odd(lambda x: torch.fft.fft(x)),
                 "torch function 'fft_fft' at 'fft_fft' has no counterpart in striate.nn.functional; write that part as a "
                 "striate.nn.Module"),
    "argument": (lambda: Odd(lambda x: TF.interpolate(x, scale_factor=2, mode="bilinear", antialias=True)),
                 "the argument antialias=True at 'interpolate' has no counterpart here; leave it at its default"),
    "decision": (lambda: Odd(lambda x: x if x.sum() > 0 else -x),
                 "torch.fx cannot follow Odd.forward: symbolically traced variables cannot be used as inputs to control flow; a "
                 "forward may decide on shapes and attributes but not on the values of tensors"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_unknown_is_named(name):
    make, text = REFUSED[name]
    with pytest.raises(ArgumentError) as error:
        st.from_torch(make())
    assert str(error.value) == text


def test_an_unknown_method_is_named():
    net = st.from_torch(Odd(lambda x: x.cummax(1)))
    with pytest.raises(ArgumentError) as error:
        st.trace(net, (2, 3))
    assert str(error.value) == ("torch method 'cummax' at 'cummax' has no counterpart in striate; write that part as a "
                                "striate.nn.Module")


def test_striate_does_not_import_torch():
    import subprocess
    import sys

    script = ("import sys, striate as st; from striate import nn; net = nn.Conv2d(1, 1, 3); st.receptive_field(net, (1, 9, 9)); "
              "st.summary(net, (1, 9, 9), show=False); sys.exit('torch' in sys.modules)")
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
