"""The explanation of every size: equations that hold, and what is said where sizes do not fit."""

import re
from itertools import product

import pytest

from striate import explain, models, nn, summary
from striate.ask.shapes import keeping
from striate.nn import functional as F
from striate.nn import init
from striate.window import Window


def holds(equation: str) -> bool:
    """Does the left side give the right one?"""
    left, right = equation.split(": ")[-1].split(" = ")
    return eval(left, {"floor": lambda v: int(v // 1), "ceil": lambda v: -int(-v // 1)}) == int(right)


def test_equations_of_windows_hold():
    for size, stride, dilation, low, high, ceil in product((1, 2, 3, 5), (1, 2, 3), (1, 2), (0, 1, 2), (0, 1), (False, True)):
        window = Window(size, stride, dilation, (low, high), ceil)
        for n in (5, 9, 16):
            if n + low + high >= window.extent:
                assert holds(re.sub(r" \([a-z][^)]*\)", "", window.formula(n))), (window, n)


def test_equations_of_transposed_windows_hold():
    for size, stride, low, extra, n in product((1, 2, 3, 4), (1, 2, 3), (0, 1), (0, 1), (1, 2, 7)):
        window = Window(size, stride, pads=(low, low))
        if (n - 1) * stride - 2 * low + size + extra >= 1:
            out = window.grown(n, extra)
            for shown in (window, window.reaching(extra)):
                assert holds(shown.growth(n, out)), (shown, n)


def test_every_step_of_a_network():
    found = explain(models.create("lenet"), (1, 28, 28), show=False)
    assert found.error is None and found.mends == ()
    assert repr(found) == "Explanation(lenet: 12 steps, output 10)"
    assert str(found.steps[0]) == ("0  conv2d: 1 x 28 x 28 -> 6 x 28 x 28\n"
                                   "    height, width: (28 + 2 + 2 - 5) / 1 + 1 = 28\n"
                                   "    parameters: 6 * 1 * 5 * 5 + 6 = 156")
    assert found.steps[6].formula == "16 * 5 * 5 = 400"
    assert (found.steps[7].formula, found.steps[7].parameters) == ("400 features read, 120 made", "120 * 400 + 120 = 48120")


@pytest.mark.parametrize("name", models.list())
def test_every_model_is_explained(name):
    with init.skipped():
        net = models.create(name)
    item = models.input_shape(net)
    found = explain(net, item, show=False)
    assert found.error is None and len(found.steps) > 5
    assert sum(int(step.parameters.rpartition(" = ")[2]) for step in found.steps if step.parameters) == \
        sum(row.parameters for row in summary(net, item, show=False).rows)
    moves = [step for step in found.steps if step.op.startswith(("conv", "max_pool", "avg_pool"))]
    for equation in [part for step in moves for part in step.formula.split("; ") if " = " in part]:
        assert holds(equation), equation


def test_steps_of_other_operators():
    class Branches(nn.Module):
        def __init__(self):
            super().__init__()
            self.down = nn.Conv2d(2, 4, 3, stride=2, padding=(1, 0))
            self.up = nn.ConvTranspose2d(4, 2, 3, 2, 1, 1)

        def forward(self, x):
            return F.cat([self.up(self.down(x)), x[:, :, :, 1:]], dim=1)

    found = explain(Branches(), (2, 7, 8), show=False)
    assert "conv_transpose2d" in found.text()
    steps = {step.op: step.formula for step in found.steps}
    assert steps["conv2d"] == "height: (7 + 1 + 1 - 3) / 2 + 1 = 4; width: floor((8 - 3) / 2) + 1 = 3"
    assert steps["conv_transpose2d"] == "height: (4 - 1) * 2 - 1 - 1 + 3 + 1 = 8; width: (3 - 1) * 2 - 1 - 1 + 3 + 1 = 6"
    assert found.error is not None and "axis" in str(found.error)


def test_it_prints_the_chain_up_to_the_failure(capsys):
    net = nn.Sequential(nn.Conv2d(3, 16, 5), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(4096, 10))
    explain(net, (3, 32, 32))
    place = r"linear '3' \(test_shapes.py:\d+\)"
    wanted = re.escape(
        "Sequential on 3 x 32 x 32\n"
        "0  conv2d: 3 x 32 x 32 -> 16 x 28 x 28\n"
        "    height, width: (32 - 5) / 1 + 1 = 28\n"
        "    parameters: 16 * 3 * 5 * 5 + 16 = 1216\n"
        "1  max_pool2d: 16 x 28 x 28 -> 16 x 14 x 14\n"
        "    height, width: (28 - 2) / 2 + 1 = 14\n"
        "2  reshape: 16 x 14 x 14 -> 3136\n"
        "    16 * 14 * 14 = 3136\n"
        "does not fit:\n"
        "    PLACE: x (1, 3136) does not end in the 4096 features that the weight (10, 4096) reads; use in_features=3136\n"
        "to keep sizes on the way:\n"
        "    0: padding=2 keeps 32 x 32\n").replace("PLACE", place)
    assert re.fullmatch(wanted, capsys.readouterr().out)


def test_the_mends_mend():
    wrong = nn.Sequential(nn.Conv2d(3, 16, 5), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(4096, 10))
    assert explain(wrong, (3, 32, 32), show=False).error is not None
    for net in (nn.Sequential(nn.Conv2d(3, 16, 5), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(3136, 10)),
                nn.Sequential(nn.Conv2d(3, 16, 5, padding=2), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(4096, 10))):
        assert explain(net, (3, 32, 32), show=False).error is None


def test_a_residual_sum_that_has_shrunk():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(4, 4, (3, 5))

        def forward(self, x):
            return x + self.conv(x)

    found = explain(Block(), (4, 8, 8), show=False)
    assert "do not broadcast" in str(found.error)
    assert found.mends == ("conv: padding=(1, 2) keeps 8 x 8",)
    assert repr(found).startswith("Explanation(Block: 1 steps, fails: add")


def test_a_window_larger_than_what_is_left():
    found = explain(nn.Sequential(*(nn.Conv2d(1, 1, 3) for _ in range(3))), (1, 6, 6), show=False)
    assert [step.output for step in found.steps] == [(1, 4, 4), (1, 2, 2)]
    assert "does not fit in 2" in str(found.error)
    assert found.mends == ("0: padding=1 keeps 6 x 6", "1: padding=1 keeps 4 x 4")


class Skip(nn.Module):
    """Down and up again, beside what was there before."""

    def __init__(self, ceil_mode=False, output_padding=0):
        super().__init__()
        self.down = nn.MaxPool2d(2, ceil_mode=ceil_mode)
        self.up = nn.ConvTranspose2d(4, 4, 3, 2, padding=1 if ceil_mode else 0, output_padding=output_padding)

    def forward(self, x):
        return F.cat([x, self.up(self.down(x))], 1)


def test_what_a_stride_leaves_over_can_be_mended():
    assert explain(Skip(), (4, 16, 16), show=False).mends == ("up: output_padding=1 makes 18 x 18",)
    found = explain(Skip(ceil_mode=True), (4, 16, 16), show=False)
    assert "(1, 4, 15, 15)" in str(found.error) and found.mends == ("up: output_padding=1 makes 16 x 16",)
    assert explain(Skip(ceil_mode=True, output_padding=1), (4, 16, 16), show=False).error is None
    odd = explain(Skip(), (4, 15, 16), show=False)
    assert odd.mends == ("down: ceil_mode=True makes 8 x 8", "up: output_padding=1 makes 16 x 18")
    assert explain(Skip(ceil_mode=True), (4, 15, 15), show=False).error is None


@pytest.mark.parametrize("padding", [0, 1])
def test_a_shortcut_with_a_stride(padding):
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.short = nn.Conv2d(4, 8, 3, 2, padding), nn.Conv2d(4, 8, 1, 2)

        def forward(self, x):
            return self.conv(x) + self.short(x)

    found = explain(Block(), (4, 16, 18), show=False)
    assert found.mends == (() if padding else ("conv: padding=1 makes 8 x 9",))
    assert (found.error is None) == bool(padding)


@pytest.mark.parametrize("size, dilation, wanted", [(3, 1, "1"), (5, 1, "2"), (3, 2, "2"), (4, 1, "'same'"), (4, 2, "3")])
def test_padding_that_keeps_the_size(size, dilation, wanted):
    assert keeping((Window(size, dilation=dilation),) * 2) == wanted
    padding = "same" if wanted == "'same'" else int(wanted)
    found = explain(nn.Conv2d(1, 1, size, padding=padding, dilation=dilation), (1, 9, 10), show=False)
    assert found.steps[-1].output == (1, 9, 10)
