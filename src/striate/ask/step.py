"""A training step to ask about: a network with a loss, a target of the right shape, and an optimizer of the question's own.

Cross-entropy is the loss where none is given, of all outputs where a network has auxiliary heads.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from striate.graph import Graph
from striate.nn.module import Module
from striate.ops.base import Spec

if TYPE_CHECKING:
    from striate.engine import Step
    from striate.optim.optimizer import Optimizer


def step_of(net: Module, forward: Graph, loss: Any, optimizer: Optimizer) -> Step:
    """The step of a network in train mode, whose forward pass has been traced."""
    from striate.engine import Step
    from striate.models.convs import AuxiliaryLoss
    from striate.nn import CrossEntropyLoss

    usual = AuxiliaryLoss(CrossEntropyLoss()) if len(forward.outputs) > 1 else CrossEntropyLoss()
    return Step(net, usual if loss is None else loss, optimizer)


def target_of(forward: Graph, loss: Any, target: Any) -> Spec:
    """The target for the batch that was traced: as it is given for one item; else a label for each item (and pixel) where
    the loss is cross-entropy, an array like the output for any other."""
    batch, *output = forward.outputs[0].shape
    if isinstance(target, Spec):
        return Spec((batch, *target.shape), target.dtype)
    if target is not None:
        return Spec((batch, *target))
    return Spec((batch, *output[1:]), "int64") if loss is None else Spec((batch, *output))


def own(optimizer: Optimizer) -> Optimizer:
    """A copy that may be bound to a network and be given state, while the user's stays free."""
    made = copy.copy(optimizer)
    made.state = {}
    return made
