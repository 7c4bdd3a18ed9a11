"""Compiled training steps beside torch.optim; what changes between steps; the same bits for any number of threads; errors."""

import copy

import numpy as np
import pytest
import torch
from tests.cpu.helpers import both, close, floats

import striate as st
from striate import nn, optim
from striate.cpu.rules import update as rules
from striate.errors import ArgumentError, DataError, DtypeError, ShapeError
from striate.nn import functional as F

CLASSES = 7
STEP = 2e-4
"""Largest error of parameters after five steps, beside the largest. Each step adds the gradients' error of 1e-5, times lr."""


def small(n):
    """Convolution, batch norm, pooling and a linear layer, for images of 3 x 8 x 7."""
    return n.Sequential(n.Conv2d(3, 9, 3, padding=1, bias=False), n.BatchNorm2d(9), n.ReLU(), n.MaxPool2d(2),
                        n.Conv2d(9, 8, 1), n.Tanh(), n.Flatten(), n.Linear(8 * 12, CLASSES))


def plain(n):
    """The same without batch norm."""
    return n.Sequential(n.Conv2d(3, 5, 3, stride=2), n.Tanh(), n.Flatten(), n.Linear(5 * 9, CLASSES))


def batch(step, size=6):
    return floats(size, 3, 8, 7, seed=10 + step), np.random.default_rng([step, size]).integers(CLASSES, size=size)


class Pair:
    """A network and PyTorch's, trained side by side."""

    def __init__(self, make, name, groups=None, clip_norm=None, **settings):
        self.net, self.twin = both(make)
        self.optimizer = getattr(optim, name)(groups(self.net) if groups else None, **settings)
        self.other = getattr(torch.optim, name)(groups(self.twin) if groups else self.twin.parameters(), **settings)
        self.step = st.compile(self.net, nn.CrossEntropyLoss(), self.optimizer, clip_norm=clip_norm)
        self.clip_norm = clip_norm

    def __call__(self, x, y):
        loss = self.step(x, y)
        self.other.zero_grad()
        wanted = torch.nn.functional.cross_entropy(self.twin(torch.tensor(x, dtype=torch.float64)), torch.tensor(y))
        wanted.backward()
        if self.clip_norm:
            torch.nn.utils.clip_grad_norm_(self.twin.parameters(), self.clip_norm)
        self.other.step()
        assert isinstance(loss, float)
        close(loss, wanted.item(), STEP, "loss")

    def same(self):
        state = self.net.state_dict()
        for name, wanted in self.twin.state_dict().items():
            close(state[name], wanted, STEP, name)


OPTIMIZERS = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "weight_decay": 0.05}),
    ("SGD", {"lr": 0.1, "momentum": 0.9}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.2}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
    ("Adam", {"lr": 0.01, "eps": 1e-4}),
    ("Adam", {"lr": 0.01, "betas": (0.8, 0.9), "eps": 1e-3, "weight_decay": 0.1}),
    ("AdamW", {"lr": 0.01, "eps": 1e-3, "weight_decay": 0.1}),
]


@pytest.mark.parametrize("name, settings", OPTIMIZERS, ids=str)
def test_five_steps_are_those_of_torch(name, settings):
    pair = Pair(small, name, **settings)
    for step in range(5):
        pair(*batch(step))
    pair.same()


@pytest.mark.parametrize("name, settings", [("SGD", {"lr": 0.5}), ("SGD", {"lr": 0.5, "momentum": 0.9}),
                                            ("Adam", {"lr": 0.01, "eps": 1e-3})], ids=str)
@pytest.mark.parametrize("limit", [0.05, 100.0])
def test_clipping_is_that_of_torch(name, settings, limit):
    pair = Pair(small, name, clip_norm=limit, **settings)
    for step in range(5):
        pair(*batch(step))
    pair.same()


def test_groups_have_settings_of_their_own():
    def groups(net):
        named = dict(net.named_parameters())
        return [{"params": [p for n, p in named.items() if n.endswith("weight")], "weight_decay": 0.1},
                {"params": [p for n, p in named.items() if n.endswith("bias")], "lr": 0.5}]

    pair = Pair(small, "SGD", groups, clip_norm=1.0, lr=0.1, momentum=0.9)
    for step in range(5):
        pair(*batch(step))
    pair.same()


def test_groups_of_two_update_rules():
    def groups(net):
        first, *rest = net.parameters()
        return [{"params": [first], "momentum": 0.9}, {"params": rest}]

    pair = Pair(small, "SGD", groups, lr=0.1)
    for step in range(3):
        pair(*batch(step))
    pair.same()


def test_frozen_parameters_stay_and_thaw():
    pair = Pair(small, "SGD", lr=0.1, momentum=0.9)
    for net in (pair.net, pair.twin):
        net[0].weight.requires_grad = False
    before = pair.net[0].weight.numpy()
    for step in range(3):
        pair(*batch(step))
    pair.same()
    assert np.array_equal(pair.net[0].weight.data, before)
    for net in (pair.net, pair.twin):
        net[0].weight.requires_grad = True
        net[4].bias.requires_grad = False
    for step in range(3):
        pair(*batch(step))
    pair.same()


def test_batch_sizes_in_turn_share_parameters_and_state():
    pair = Pair(small, "SGD", lr=0.1, momentum=0.9)
    for step, size in enumerate((6, 6, 2, 5, 6, 2)):
        pair(*batch(step, size))
    pair.same()
    stores = {id(program.store) for program, _ in pair.step.programs.known.values()}
    assert len(pair.step.programs.known) == 3 and len(stores) == 1


def test_assigned_data_counts_from_the_next_step():
    pair = Pair(small, "Adam", lr=0.01, eps=1e-3)
    for step in range(4):
        pair(*batch(step))
        if step == 1:
            new = floats(8, 9, 1, 1) / 10
            pair.net[4].weight.data = new
            pair.twin[4].weight.data[:] = torch.tensor(new)
    pair.same()


def test_load_state_dict_in_the_middle():
    pair = Pair(small, "SGD", lr=0.1, momentum=0.9)
    start = copy.deepcopy(pair.twin.state_dict())
    for step in range(4):
        pair(*batch(step))
        if step == 1:
            pair.net.load_state_dict(start)
            pair.twin.load_state_dict(start)
    pair.same()


def test_the_optimizers_state_can_be_taken_and_given_back():
    pair = Pair(plain, "Adam", lr=0.01, eps=1e-3)
    for step in range(2):
        pair(*batch(step))
    state, weights = pair.optimizer.state_dict(), pair.net.state_dict()
    losses = [pair.step(*batch(step)) for step in (2, 3)]
    pair.optimizer.load_state_dict(state)
    pair.net.load_state_dict(weights)
    assert [pair.step(*batch(step)) for step in (2, 3)] == losses


def test_evaluation_between_steps_sees_the_new_weights():
    pair = Pair(small, "SGD", lr=0.1)
    x = floats(4, 3, 8, 7)
    for step in range(3):
        pair(*batch(step))
        for net in (pair.net, pair.twin):
            net.eval()
        close(pair.net(x), pair.twin(torch.tensor(x, dtype=torch.float64)).detach(), STEP)
        close(pair.net(x[:1]), pair.twin(torch.tensor(x[:1], dtype=torch.float64)).detach(), STEP)
        for net in (pair.net, pair.twin):
            net.train()


def test_a_forward_in_training_moves_the_running_averages_that_evaluation_uses():
    """Programs of both modes may share their memory: what one changes is new to the other."""
    net, twin = both(lambda n: n.Sequential(n.BatchNorm2d(3), n.Conv2d(3, 4, 1)))
    x = floats(4, 3, 5, 5)
    for turn in range(3):
        for training in (True, False):
            net.train(training), twin.train(training)
            y = twin(torch.tensor(x + turn, dtype=torch.float64)).detach()
            close(net(x + turn), y, 1e-5, f"turn {turn}, training {training}")


def test_data_assigned_between_two_shapes():
    """The second program must notice what the first one has already taken in."""
    net, _ = both(lambda n: n.Sequential(n.Conv2d(3, 4, 1), n.BatchNorm2d(4)).eval())
    x = floats(2, 3, 5, 5)
    net(x), net(x[:1])
    net[1].running_var.data = np.full(4, 9.0)
    close(net(x)[:1], net(x[:1]), 1e-6)


def test_settings_are_read_before_every_step():
    pair = Pair(small, "SGD", lr=0.1, momentum=0.9)
    for step in range(4):
        for optimizer in (pair.optimizer, pair.other):
            optimizer.param_groups[0]["lr"] = 0.1 / (step + 1)
            optimizer.param_groups[0]["momentum"] = 0.9 - 0.1 * step
        pair(*batch(step))
    pair.same()


def test_another_update_rule_needs_another_compilation():
    pair = Pair(plain, "SGD", lr=0.1)
    pair(*batch(0))
    pair.optimizer.param_groups[0]["momentum"] = 0.9
    with pytest.raises(ArgumentError) as caught:
        pair.step(*batch(1))
    assert str(caught.value) == ("the settings of SGD now need another update rule (sgd_plain_update was compiled); "
                                 "compile the step again")
    assert pair.optimizer.steps == 1


def test_the_networks_output_of_the_last_step():
    net, _ = both(plain)
    step = st.compile(net, nn.CrossEntropyLoss(), optim.SGD(lr=0.1))
    assert step.output is None
    x, y = batch(0)
    before = net(x)
    step(x, y)
    close(step.output, before, 1e-6)
    step(*batch(1, size=2))
    assert step.output.shape == (2, CLASSES)


class Several(nn.Module):
    """Two outputs, a parameter that no loss reaches, and one that two layers share."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(6, 6), nn.Linear(6, 6)
        self.second.weight = self.first.weight
        self.idle = nn.Linear(6, 2)

    def forward(self, x):
        x = self.first(x).tanh()
        return {"y": self.second(x), "idle": self.idle(x)}


def test_shared_and_idle_parameters():
    st.seed(0)
    net = Several()
    weight, idle = net.first.weight.numpy(), net.idle.weight.numpy()
    step = st.compile(net, lambda out, y: F.mse_loss(out["y"], y), optim.SGD(lr=0.1))
    x, y = floats(4, 6), floats(4, 6, seed=1)
    w = torch.tensor(weight, dtype=torch.float64, requires_grad=True)
    a, b = (torch.tensor(m.bias.numpy(), dtype=torch.float64) for m in (net.first, net.second))
    hidden = torch.tanh(torch.tensor(x, dtype=torch.float64) @ w.T + a)
    loss = ((hidden @ w.T + b - torch.tensor(y)) ** 2).mean()
    loss.backward()
    close(step(x, y), loss.item(), 1e-5)
    close(net.first.weight.data, weight - 0.1 * w.grad.numpy(), 1e-5)
    assert net.second.weight is net.first.weight and np.array_equal(net.idle.weight.data, idle)
    assert sorted(step.output) == ["idle", "y"]


def test_losses_of_other_shapes():
    """Class weights, smoothing, an ignored index, pixels, a custom loss over slices of the labels."""
    net, twin = both(lambda n: n.Conv2d(2, 5, 1))
    x, y = floats(3, 2, 4, 4), np.random.default_rng(0).integers(5, size=(3, 4, 4))
    y[0, 0] = 3
    weight = np.arange(1, 6, dtype=np.float32)
    for settings in ({}, {"ignore_index": 3, "label_smoothing": 0.1}, {"reduction": "sum"}):
        value, gradients = st.value_and_grad(net, nn.CrossEntropyLoss(weight, **settings))(x, y)
        twin.zero_grad()
        loss = torch.nn.CrossEntropyLoss(torch.tensor(weight, dtype=torch.float64), **settings)
        wanted = loss(twin(torch.tensor(x, dtype=torch.float64)), torch.tensor(y))
        wanted.backward()
        close(value, wanted.item(), 1e-5)
        for name, p in twin.named_parameters():
            close(gradients[name], p.grad, 1e-4, name)


def test_labels_may_be_sliced():
    net, _ = both(lambda n: n.Sequential(n.Linear(6, 8), n.Unflatten(1, (2, 4))))
    x, y = floats(5, 6), np.random.default_rng(0).integers(4, size=(5, 2))
    apart = st.value_and_grad(net, lambda out, y: F.cross_entropy(out[:, 0], y[:, 0]) + F.cross_entropy(out[:, 1], y[:, 1]))
    together = st.value_and_grad(net, lambda out, y: 2 * F.cross_entropy(out.transpose(1, 2), y))
    (a, first), (b, second) = apart(x, y), together(x, y)
    close(a, b, 1e-6)
    for name in first:
        close(first[name], second[name], 1e-5, name)


# large parameters, which are updated before the end


def penalized(n):
    """Weights that the loss reads too, and a layer that is used twice."""
    twice = n.Linear(24, 24)
    return n.Sequential(n.Conv2d(3, 6, 3, stride=2), n.Tanh(), n.Flatten(), n.Linear(54, 24), twice, n.Tanh(), twice,
                        n.Linear(24, CLASSES))


def trained_alone(monkeypatch, large, make, name, settings, clip_norm=None):
    """State, losses, the names of the kernels and the bytes of the gradients after steps on batches of three sizes."""
    monkeypatch.setattr(rules, "LARGE", large)
    st.seed(1)
    net = make(nn)
    cross_entropy = nn.CrossEntropyLoss()
    loss = lambda y, t: cross_entropy(y, t) + 0.1 * (net[0].weight ** 2).sum() + net[3].weight[:2].sum()  # noqa: E731
    step = st.compile(net, loss if make is penalized else cross_entropy, getattr(optim, name)(**settings), clip_norm)
    losses = [step(*batch(i, size)) for i, size in enumerate((6, 70, 1, 6, 70))]
    program = step.program(*batch(0))
    return {**net.state_dict(), "losses": losses}, [c.kernel.name for c in program.calls], program.memory.parts["gradients"]


@pytest.mark.parametrize("make", [small, penalized])
@pytest.mark.parametrize("name, settings", OPTIMIZERS[1:5:3] + OPTIMIZERS[6:], ids=str)
def test_updates_before_the_end_change_no_bit(monkeypatch, make, name, settings):
    """Each parameter waits for all that read its old value: input gradients, a penalty, another layer that shares it."""
    early, names, gradients = trained_alone(monkeypatch, 4, make, name, settings)
    late, others, all_gradients = trained_alone(monkeypatch, 2**40, make, name, settings)
    for key in late:
        assert np.array_equal(early[key], late[key]), key
    assert "GemmUpdate" in names and "GemmUpdate" not in others and gradients < all_gradients / 2


def test_clipping_wants_all_gradients_first(monkeypatch):
    early, names, gradients = trained_alone(monkeypatch, 4, small, "SGD", {"lr": 0.1}, clip_norm=0.1)
    late, others, all_gradients = trained_alone(monkeypatch, 2**40, small, "SGD", {"lr": 0.1}, clip_norm=0.1)
    assert names == others and gradients == all_gradients and all(np.array_equal(early[key], late[key]) for key in late)


# the same bits


def various():
    """Most of the kernels: direct, Winograd, depthwise and 1x1 convolutions, batch norm, both poolings, dropout."""
    return nn.Sequential(
        nn.Conv2d(3, 32, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
        nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1),
        nn.Conv2d(64, 64, 3, padding=1, groups=64), nn.ReLU(), nn.Conv2d(64, 48, 1), nn.BatchNorm2d(48), nn.Tanh(),
        nn.Dropout(0.2), nn.Conv2d(48, 64, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Dropout(0.3), nn.Linear(64, CLASSES),
    )  # fmt: skip


def run_of(threads):
    before = st.get_num_threads()
    st.set_num_threads(threads)
    try:
        st.seed(3)
        net = various()
        step = st.compile(net, nn.CrossEntropyLoss(), optim.Adam(lr=0.01), clip_norm=1.0)
        draw = np.random.default_rng(0)
        losses = [step(draw.standard_normal((size, 3, 44, 40)), draw.integers(CLASSES, size=size)) for size in (9, 9, 4, 9, 9)]
        return losses, {**net.state_dict(), "y": net.eval()(floats(3, 3, 44, 40))}
    finally:
        st.set_num_threads(before)


def test_the_same_seed_gives_the_same_bits_for_any_number_of_threads():
    """Losses and all parameters after five steps, and the output in evaluation."""
    losses, state = run_of(1)
    for threads in (2, 3):
        others, parameters = run_of(threads)
        assert others == losses
        for name, array in state.items():
            assert np.array_equal(parameters[name], array), name


def test_masks_differ_from_step_to_step_and_from_seed_to_seed():
    net = nn.Dropout(0.5)
    x = np.ones((4, 3, 5, 5), np.float32)
    st.seed(1)
    first, second = net(x), net(x)
    st.seed(1)
    assert np.array_equal(net(x), first) and not np.array_equal(first, second)
    st.seed(2)
    assert not np.array_equal(net(x), first)


# errors


def text_of(kind, call, *arguments):
    with pytest.raises(kind) as caught:
        call(*arguments)
    assert len(caught.value.args) == 1
    return str(caught.value)


def compiled():
    net, _ = both(plain)
    loss = nn.CrossEntropyLoss()
    return st.compile(net, loss, optim.SGD(lr=0.1))


@pytest.fixture
def step():
    return compiled()


def line_of(function, offset=2):
    """file:line of a function, by default of its second line below `def`, where a builder makes its modules."""
    return f"test_training.py:{function.__code__.co_firstlineno + offset}"


MEND = "mend the labels or give the last layer more outputs"


@pytest.mark.parametrize("label", [CLASSES, -1, -100 - 1])
def test_labels_outside_of_the_classes(step, label):
    x, y = batch(0)
    y[4] = label
    assert text_of(DataError, step, x, y) == (
        f"label {label} at index 4 is outside 0..6: the network has 7 classes; " + MEND)
    assert step.optimizer.steps == 0


def test_labels_of_pixels_outside_of_the_classes():
    step = st.compile(nn.Conv2d(1, 3, 1), nn.CrossEntropyLoss(), optim.SGD(lr=0.1))
    y = np.zeros((2, 4, 4), np.int64)
    y[1, 2, 3] = 5
    assert text_of(DataError, step, floats(2, 1, 4, 4), y) == (
        "label 5 at index (1, 2, 3) is outside 0..2: the network has 3 classes; " + MEND)


def test_labels_that_are_sliced_first():
    net = nn.Sequential(nn.Linear(3, 8), nn.Unflatten(1, (2, 4)))
    loss = st.value_and_grad(net, lambda out, y: F.cross_entropy(out[:, 0], y[:, 0]) + F.cross_entropy(out[:, 1], y[:, 1]))
    y = np.array([[0, 1], [2, 4], [3, 3]])
    assert text_of(DataError, loss, floats(3, 3), y) == (
        "label 4 at index 1 is outside 0..3: the network has 4 classes; " + MEND)


def test_ignored_labels_are_no_error(step):
    x, y = batch(0)
    y[2] = -100
    assert np.isfinite(step(x, y))


def test_float_labels(step):
    x, y = batch(0)
    assert text_of(DtypeError, step, x, y.astype(np.float32)) == (
        f"cross_entropy 'loss' ({line_of(compiled)}): target has dtype float32 but holds class indices; "
        "convert it with astype('int64')")


def test_targets_that_are_nan():
    step = st.compile(nn.Linear(3, 2), nn.MSELoss(), optim.SGD(lr=0.1))
    y = floats(4, 2)
    y[2, 1] = np.nan
    assert text_of(DataError, step, floats(4, 3), y) == "the target is NaN at index (2, 1); remove or mend that sample"


def test_a_batch_of_nothing(step):
    """There is nothing to learn from it; the forward pass alone gives nothing back, as in PyTorch."""
    for call in (step, st.value_and_grad(step.net, nn.CrossEntropyLoss())):
        assert text_of(ShapeError, call, np.zeros((0, 3, 8, 7)), np.zeros(0, int)) == (
            "x has shape (0, 3, 8, 7), which holds no numbers; give a batch of at least one image")
    assert step.net(np.zeros((0, 3, 8, 7))).shape == (0, 7)


def test_batches_that_differ(step):
    assert text_of(ShapeError, step, floats(6, 3, 8, 7), np.zeros(5, int)).startswith("cross_entropy 'loss'")


def test_a_wrong_rank(step):
    assert text_of(ShapeError, step, floats(6, 56), np.zeros(6, int)) == (
        f"conv2d '0' ({line_of(plain)}): x has 2 axes, shape (6, 56), but needs 4: (N, C, H, W); reshape x to (N, C, H, W)")


def test_wrong_channels(step):
    assert text_of(ShapeError, step, floats(6, 1, 8, 7), np.zeros(6, int)) == (
        f"conv2d '0' ({line_of(plain)}): x has 1 channels but the weight (5, 3, 3, 3) with groups=1 reads 3 * 1 = 3; "
        "use in_channels=1")


def test_a_wrong_size(step):
    assert text_of(ShapeError, step, floats(6, 3, 9, 9), np.zeros(6, int)) == (
        f"linear '3' ({line_of(plain)}): x (6, 80) does not end in the 45 features that the weight (7, 45) reads; "
        "use in_features=80")


def test_whole_numbers_as_images(step):
    assert text_of(DtypeError, step.net, np.zeros((6, 3, 8, 7), np.uint8)) == (
        f"conv2d '0' ({line_of(plain)}): x has dtype int64 but needs float32; convert x with astype('float32')")


def test_text_as_images(step):
    assert text_of(DtypeError, step.net, np.array(["a"])) == (
        "x has dtype <U1; give an array of numbers, float32 for images and int64 for labels")


def test_a_changed_loss_is_traced_again():
    net, loss = nn.Linear(3, 4), nn.CrossEntropyLoss()
    evaluate = st.value_and_grad(net, loss)
    x, y = floats(5, 3), np.zeros(5, np.int64)
    before, _ = evaluate(x, y)
    loss.label_smoothing = 0.5
    after, _ = evaluate(x, y)
    fresh, _ = st.value_and_grad(net, nn.CrossEntropyLoss(label_smoothing=0.5))(x, y)
    assert after == fresh != before


def test_a_loss_that_is_no_number():
    step = st.compile(nn.Linear(3, 2), nn.MSELoss(reduction="none"), optim.SGD(lr=0.1))
    assert text_of(ShapeError, step, floats(4, 3), floats(4, 2)) == (
        "the loss has shape (4, 2), but training needs one number; use reduction='mean' or 'sum'")


def test_a_limit_that_is_no_norm():
    assert text_of(ArgumentError, st.compile, nn.Linear(3, 2), nn.MSELoss(), optim.SGD(lr=0.1), 0) == (
        "clip_norm must be greater than 0, got 0")


def test_nothing_to_train():
    net = nn.Linear(3, 2).requires_grad_(False)
    assert text_of(ArgumentError, st.compile, net, nn.MSELoss(), optim.SGD(lr=0.1)) == (
        "no parameter of this Linear requires a gradient, so there is nothing to train; call net.requires_grad_(True)")


def test_a_loss_that_no_parameter_reaches():
    step = st.compile(nn.Linear(3, 2), lambda y, t: (t * t).mean(), optim.SGD(lr=0.1))
    assert text_of(ArgumentError, step, floats(4, 3), floats(4, 2)) == (
        "no trained parameter reaches the loss; look at the network's forward and at requires_grad")


def test_a_seed_of_another_shape():
    _, pullback = st.vjp(nn.ReLU(), floats(2, 3))
    assert text_of(ShapeError, pullback, np.ones(2)) == "dy has shape (2,) but the output has (2, 3); give dy the output's shape"


def test_a_call_without_inputs():
    assert text_of(ArgumentError, nn.ReLU()) == "ReLU was called without an input; give it an array"
