"""Functions of nn.functional and methods of values, called as PyTorch's own test-suite calls torch.nn.functional and tensors.

PyTorch computes in float64, striate in compiled float32. What is not served is written down, with its reason, and gives an
error of ours.
"""

import inspect

import pytest
import torch
from tests.peer.torch_cases import Call, compare, double, internals, spread, taken_apart

from striate.errors import StriateError
from striate.nn import functional as F
from striate.value import Value

pytestmark = pytest.mark.slow
MOST = 5
"""Cases of one function; those between are left out."""
RANDOM = {"dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout", "rrelu"}
REFUSED = {
    "softmax.with_dtype": "the type is float32", "log_softmax.with_dtype": "the same", "softmin.with_dtype": "the same",
}  # fmt: skip
"""Functions whose cases are refused."""


def database() -> list:
    return internals("common_methods_invocations").op_db


def functions() -> list[str]:
    return sorted(name for name in F.__all__ if hasattr(torch.nn.functional, name))


def sampled(info) -> list:
    """The cases of a function that striate has numbers for: no 0-dimensional images, no other type."""
    torch.manual_seed(0)
    return spread(list(info.sample_inputs("cpu", torch.float32, requires_grad=True)), MOST)


def problems(ours, theirs, case, random: bool) -> list[str]:
    """What differs in one case; a function of all its tensors on either side."""
    leaves: list[torch.Tensor] = []
    arguments = taken_apart([case.input, list(case.args), dict(case.kwargs)], leaves)

    def called(function):
        def call(*tensors):
            first, rest, named = arguments(tensors)
            return function(first, *rest, **named)

        return call

    tensors = [double(leaf) for leaf in leaves]
    if random and case.kwargs.get("training", True):
        return [] if Call(called(ours))(*(t.float().numpy() for t in tensors)).shape == tensors[0].shape else ["shape"]
    return compare(Call(called(ours)), called(theirs), tensors, [leaf.requires_grad for leaf in leaves])


def text_of(case) -> str:
    def shown(item) -> str:
        return str(tuple(item.shape)) if isinstance(item, torch.Tensor) else repr(item)

    return " ".join(map(shown, [case.input, *case.args])) + f" {({k: shown(v) for k, v in case.kwargs.items()})}"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", functions())
def test_function(name):
    found, theirs = {}, getattr(torch.nn.functional, name)
    records = [info for info in database() if info.name == f"nn.functional.{name}"]
    if not records or name in OTHERS:
        pytest.skip("PyTorch's test-suite has no case, or calls it in another way")
    for info in records:
        refused = f"{name}.{info.variant_test_name}" in REFUSED
        for case in sampled(info):
            if refused or any(test(case) for test in CASES.get(name, ())):
                with pytest.raises(StriateError):
                    problems(getattr(F, name), theirs, case, False)
                continue
            noise = name == "normalize" and case.kwargs.get("p") == 0.5  # x / |x| of one number: its gradient is rounding alone
            if not noise and not case.kwargs.get("dropout_p"):
                found[f"{info.variant_test_name} {text_of(case)}"] = problems(getattr(F, name), theirs, case, name in RANDOM)
    assert not {key: texts for key, texts in found.items() if texts}


def cut_whole(case) -> bool:
    """An axis is cut off wholly, and what is no longer there is repeated."""
    pad, mode = (*case.args, "constant")[:2]
    lost = [max(0, -low) + max(0, -high) for low, high in zip(pad[0::2], pad[1::2], strict=True)]
    return mode != "constant" and any(cut and cut >= n for cut, n in zip(lost, reversed(case.input.shape), strict=False))


CASES = {
    "pad": [cut_whole],
    "cosine_similarity": [lambda case: not case.input.ndim],
    "batch_norm": [lambda case: case.input.ndim < 2],
}
"""Cases that are refused: vectors without an axis, images without channels."""
OTHERS = {
    "embedding": "the test-suite gives the table first", "embedding_bag": "the same", "one_hot": "and these floats",
    "triplet_margin_with_distance_loss": "a distance of PyTorch's cannot be traced",
}

MORE = {
    "batch_norm": {"unbiased"}, "dropout": {"mode"}, "relu": {"at_zero"},
}
"""Arguments that PyTorch's function does not have; they stand behind."""
LESS = {
    "interpolate": ["antialias"], "normalize": ["out"],
}  # fmt: skip
"""Arguments that only PyTorch's function has."""


@pytest.mark.parametrize("name", functions())
def test_functions_take_the_same_arguments(name):
    theirs = getattr(torch.nn.functional, name)
    theirs = getattr(theirs, "__wrapped__", theirs)
    try:
        wanted = [(p.name, p.default) for p in inspect.signature(theirs).parameters.values()]
    except (TypeError, ValueError):
        pytest.skip("written in C++: its arguments are not to be seen")
    if [key for key, _ in wanted] == ["args", "kwargs"]:
        pytest.skip("its arguments are not to be seen")
    wanted = [pair for pair in wanted if pair[0] not in LESS.get(name, ())]
    own = [(p.name, p.default) for p in inspect.signature(getattr(F, name)).parameters.values()]
    assert own[: len(wanted)] == wanted
    assert {key for key, _ in own[len(wanted):]} == MORE.get(name, set())


MISSING = {
    "adaptive_max_pool1d_with_indices adaptive_max_pool2d_with_indices adaptive_max_pool3d_with_indices "
    "max_pool1d_with_indices max_pool2d_with_indices max_pool3d_with_indices": "return_indices=True",
    "celu_ elu_ hardtanh_ leaky_relu_ relu_ rrelu_ selu_ threshold_": "values are not changed in place",
    "fractional_max_pool2d fractional_max_pool3d fractional_max_pool2d_with_indices fractional_max_pool3d_with_indices":
        "random regions, in no architecture here",
    "affine_grid grid_sample": "sampling at places that are computed",
    "ctc_loss": "sequences without alignment", "linear_cross_entropy": "for vocabularies of language models",
    "gumbel_softmax": "draws from a distribution",
    "multi_head_attention_forward": "transformers", "grouped_mm scaled_mm scaled_grouped_mm": "the same, in few bits",
    "conv_tbc": "an order of axes of its own", "assert_int_or_pair": "no function of tensors",
}  # fmt: skip
"""What torch.nn.functional has and striate has not, and why."""


def test_what_is_missing_is_written_down():
    theirs = {name for name, item in vars(torch.nn.functional).items()
              if not name.startswith("_") and callable(item) and getattr(item, "__module__", "") in (None, "torch.nn.functional")
              and not isinstance(item, type)}  # fmt: skip
    missing = {name for names in MISSING for name in names.split()}
    assert missing.isdisjoint(F.__all__)
    assert theirs - set(F.__all__) <= missing


METHODS = [
    "abs", "add", "addcmul", "amax", "amin", "argmax", "argmin", "bmm", "broadcast_to", "ceil", "chunk", "clamp", "clamp_max",
    "clamp_min", "clone", "contiguous", "cos", "cumsum", "div", "erf", "exp", "expand", "expand_as", "flatten", "flip", "floor",
    "index_select", "lerp", "log", "log10", "log2", "logsumexp", "matmul", "max", "maximum", "mean", "min", "minimum", "mm",
    "movedim", "mul", "narrow", "neg", "norm", "permute", "pow", "prod", "ravel", "reciprocal", "repeat", "reshape", "reshape_as",
    "roll", "round", "rsqrt", "select", "sigmoid", "sign", "sin", "split", "sqrt", "square", "squeeze", "std", "sub", "sum", "t",
    "tanh", "tile", "transpose", "tril", "triu", "trunc", "unbind", "unflatten", "unfold", "unsqueeze", "var", "view", "view_as",
    "eq", "ne", "gt", "ge", "lt", "le", "isnan", "masked_fill", "where", "swapaxes", "moveaxis", "__radd__", "__rsub__",
    "__rmul__", "__rdiv__", "__rpow__", "__rmatmul__", "__getitem__",
]  # fmt: skip
"""Methods of a tensor that a value has."""


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", METHODS)
def test_method(name):
    found, own = {}, {"__rdiv__": "__rtruediv__"}.get(name, name)
    for info in [info for info in database() if info.name == name]:
        theirs = getattr(torch.Tensor, name)
        for case in sampled(info):
            if own_form(name, case):
                continue
            found[f"{info.variant_test_name} {text_of(case)}"] = problems(getattr(Value, own), theirs, case, False)
    assert not {key: texts for key, texts in found.items() if texts}


def own_form(name: str, case) -> bool:
    """Cases that values have no counterpart of: axes of a single number, places that are not known while tracing."""
    tensors = [item for item in case.args if isinstance(item, torch.Tensor)]
    several = name == "__getitem__" and sum(isinstance(item, list) for item in case.args[0]) > 1
    places = name in ("index_select", "narrow", "__getitem__") and (bool(tensors) or isinstance(case.args[0], torch.Tensor))
    axis = not case.input.ndim and (bool(case.args) or bool(case.kwargs))
    return several or places or axis or "nuc" in case.args or "dtype" in case.kwargs
