"""Every question gives the same answer for a network of torch's and for the same network of ours."""

import pytest
import torch
from tests.models.test_against_torch import SMALL
from torch.utils.flop_counter import FlopCounterMode

import striate as st
from striate import models, optim


def both(case):
    return case.theirs(), models.create(case.name, **case.arguments)


@pytest.mark.parametrize("case", SMALL, ids=str)
def test_the_answers_are_the_same(case):
    theirs, ours, shape = *both(case), (3, *case.shape[1:])
    a, b = (st.summary(net, shape, show=False) for net in (theirs, ours))
    assert (a.macs, a.parameters, a.trainable) == (b.macs, b.parameters, b.trainable)
    assert {row.layer for row in a.rows if row.parameters} <= {name for name, _ in theirs.named_modules()}
    a, b = (st.receptive_field(net, shape) for net in (theirs, ours))
    assert (a.size, a.stride, a.start, a.padding) == (b.size, b.stride, b.start, b.padding)
    assert {f.size for f in a.layers} == {f.size for f in b.layers}
    a, b = (st.memory(net, shape, batch=2) for net in (theirs, ours))
    assert a.parts["parameters"] == b.parts["parameters"]
    a, b = (st.explain(net, shape, show=False) for net in (theirs, ours))
    assert {step.formula for step in a.steps if step.parameters} == {step.formula for step in b.steps if step.parameters}


@pytest.mark.parametrize("case", [case for case in SMALL if "aux_logits" not in case.arguments and "inception" not in case.name],
                         ids=str)
def test_training_costs_the_same(case):
    theirs, ours = both(case)
    a, b = (st.cost(net, (3, *case.shape[1:]), batch=3, optimizer=optim.Adam()) for net in (theirs, ours))
    assert (a.forward, a.backward) == (b.forward, b.backward)


@pytest.mark.parametrize("case", SMALL, ids=str)
def test_pytorch_counts_as_many_flops(case):
    """Both passes of a step in training, auxiliary heads too; with groups PyTorch's counter is wrong on the way back."""
    theirs, ours = both(case)
    count, *size = case.shape
    with FlopCounterMode(display=False) as counter:
        outputs = theirs.train()(torch.zeros(count, 3, *size))
        forward = counter.get_total_flops()
        sum(y.sum() for y in (outputs if isinstance(outputs, tuple) else (outputs,))).backward()
    found = st.cost(ours, (3, *size), batch=count, training=True)
    assert 2 * found.forward == forward
    if all(getattr(layer, "groups", 1) == 1 for layer in theirs.modules()):
        assert 2 * found.backward == counter.get_total_flops() - forward
