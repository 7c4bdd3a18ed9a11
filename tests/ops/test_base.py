"""What holds for the whole set of operators."""

import dataclasses
import inspect
import sys

import pytest

from striate import ops
from striate.errors import ShapeError
from striate.ops.base import REGISTRY, Op, Spec, reduce_axes

NO_GRADIENT = {  # updates end a graph; these gradients would need operators of their own
    "adam_update", "adaptive_max_pool1d_gradient", "adaptive_max_pool2d_gradient", "adaptive_max_pool3d_gradient",
    "batch_norm_gradient", "binary_cross_entropy_gradient", "clip_scale", "cross_entropy_gradient", "curve_gradient",
    "gradient_norm", "group_norm_gradient", "increment", "layer_norm_gradient", "local_response_norm_gradient",
    "max_pool1d_gradient", "max_pool2d_gradient", "max_pool3d_gradient", "roi_pool_gradient", "sgd_plain_update", "sgd_update",
}


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_every_operator_tells_its_whole_story(name):
    op = REGISTRY[name]
    assert op.__doc__ and not op.__doc__.startswith(f"{op.__name__}("), "a docstring of its own"
    assert "Source" in sys.modules[op.__module__].__doc__
    assert getattr(ops, op.__name__) is op
    assert op.infer is not Op.infer and op.reference is not Op.reference
    assert (op.gradient is Op.gradient) == (name in NO_GRADIENT)
    assert set(op.linear_in) <= set(op.inputs)
    assert op.__dataclass_params__.frozen


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_the_reference_takes_the_named_inputs(name):
    parameters = inspect.signature(REGISTRY[name].reference).parameters
    several = any(p.kind is p.VAR_POSITIONAL for p in parameters.values())
    assert several or tuple(parameters)[1:] == REGISTRY[name].inputs


def test_operators_compare_and_hash_by_their_attributes():
    assert ops.Power(2.0) == ops.Power(2.0) and hash(ops.Power(2.0)) == hash(ops.Power(2.0)) and ops.Power(2.0) != ops.Power(3.0)
    assert ops.ReLU() == ops.ReLU() and ops.ReLU() != ops.Tanh() and ops.Sum((0,)) != ops.Mean((0,))
    with pytest.raises(dataclasses.FrozenInstanceError):
        ops.Power(2.0).exponent = 3.0


def test_exported_names_exist():
    assert len(set(ops.__all__)) == len(ops.__all__) and all(hasattr(ops, name) for name in ops.__all__)


def test_spec_sizes():
    assert (Spec((2, 3)).size, Spec((2, 3)).bytes, Spec((2,), "int64").bytes, Spec(()).size) == (6, 24, 16, 1)


def test_axes():
    assert reduce_axes((-1, 0, 2), 3) == (0, 2)
    with pytest.raises(ShapeError) as error:
        reduce_axes((0, -4), 3)
    assert error.value.args == ("axis -4 is outside an input of 3 axes; use -3 to 2",)
