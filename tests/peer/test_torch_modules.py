"""Every module that both have, called as PyTorch's own test-suite calls it: prints, keys, outputs, gradients and buffers.

PyTorch computes in float64, striate in compiled float32. Cases that PyTorch refuses are refused with an error of ours.
"""

import warnings

import pytest
import torch
from tests.peer.torch_cases import FORWARD, compare, differs, double, internals, plain, spread

from striate import nn
from striate.errors import StriateError

pytestmark = pytest.mark.slow
MOST = 5
"""Cases of one module; those between are left out."""
RANDOM = {"AlphaDropout", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "FeatureAlphaDropout", "RReLU"}
"""Modules that draw numbers in training; what they draw is looked at elsewhere."""
DIFFERENT = {
    ("PoissonNLLLoss", "full"): "the gradient of a target of 0 or less is NaN in PyTorch, where Stirling's formula has none",
    ("PoissonNLLLoss", "full_no_log_input"): "the same",
    ("SoftMarginLoss", None): "PyTorch has no gradient for the target and refuses to be asked",
    ("LPPool1d", "norm"): "of a negative number x^1.5 is NaN; PyTorch spreads it to the gradients of the whole window",
    ("LPPool2d", "norm"): "the same",
    ("LPPool3d", "norm"): "the same",
}
"""Cases where striate and PyTorch differ on purpose, or where PyTorch cannot be asked."""


def shared() -> list[str]:
    """Modules of both, by name."""
    known = [name for name in torch.nn.modules.__all__ if name in nn.__all__]
    return [name for name in known if name not in ("Module", "ModuleDict", "ModuleList", "ParameterDict", "ParameterList")]


def cases(name: str):
    """PyTorch's record of a module."""
    found = [info for info in internals("common_modules").module_db if info.module_cls is getattr(torch.nn, name)]
    return found[0] if found else pytest.skip("PyTorch's test-suite does not call it")


def described(case) -> str:
    shapes = [tuple(a.shape) if isinstance(a, torch.Tensor) else a for a in case.forward_input.args]
    return f"{case.desc or 'case'} {case.constructor_input.args} {case.constructor_input.kwargs} {shapes}"


def both(name: str, case, training: bool):
    """The module of either side, with the same weights."""
    given, named = case.constructor_input.args, case.constructor_input.kwargs
    theirs = getattr(torch.nn, name)(*double(given), **{key: double(item) for key, item in named.items()}).double()
    ours = getattr(nn, name)(*plain(given), **{key: plain(item) for key, item in named.items()})
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())
    return ours.train(training), theirs.train(training)


def problems(name: str, case, training: bool) -> list[str]:
    ours, theirs = both(name, case, training)
    inputs = [*case.forward_input.args, *case.forward_input.kwargs.values()]
    if name in RANDOM and training:
        return [] if ours(*map(plain, inputs)).shape == inputs[0].shape else ["shape"]
    found = compare(ours, theirs, double(inputs))
    state = ours.state_dict()
    return found + [text for key, buffer in theirs.named_buffers() if (text := differs(state[key], buffer, FORWARD))]


@pytest.mark.parametrize("name", shared())
@pytest.mark.filterwarnings("ignore")
def test_module(name):
    """In training, and in evaluation where that differs."""
    info = cases(name)
    found = {}
    for training in (True, False) if info.train_and_eval_differ else (True,):
        torch.manual_seed(0)
        inputs = info.module_inputs_func(info, device="cpu", dtype=torch.float32, requires_grad=True, training=training)
        alike = [case for case in inputs if (name, case.desc or None) not in DIFFERENT and (name, None) not in DIFFERENT]
        found |= {f"{described(case)} {training}": problems(name, case, training) for case in spread(alike, MOST)}
    assert not {key: texts for key, texts in found.items() if texts}


@pytest.mark.parametrize("name", shared())
def test_what_pytorch_refuses(name):
    info = cases(name)
    if info.module_error_inputs_func is None:
        pytest.skip("PyTorch's test-suite does not call it wrongly")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wrong = info.module_error_inputs_func(info, device="cpu", dtype=torch.float32, requires_grad=False, training=True)
    for case in (error.module_error_input for error in wrong):
        given, named = case.constructor_input.args, case.constructor_input.kwargs
        with pytest.raises(StriateError):
            net = getattr(nn, name)(*plain(given), **{key: plain(item) for key, item in named.items()})
            net(*map(plain, case.forward_input.args))


MISSING = {
    "AdaptiveLogSoftmaxWithLoss": "for vocabularies of language models", "LinearCrossEntropyLoss": "the same",
    "LinearCrossEntropyOptions": "the same",
    "CTCLoss": "for sequences without alignment", "CrossMapLRN2d": "an old form of LocalResponseNorm, with an error in its sums",
    "Container": "out of use", "NLLLoss2d": "out of use: NLLLoss",
    "FractionalMaxPool2d": "random regions, in no architecture here", "FractionalMaxPool3d": "the same",
    "SyncBatchNorm": "for several machines",
    **dict.fromkeys(["GRU", "GRUCell", "LSTM", "LSTMCell", "RNN", "RNNBase", "RNNCell", "RNNCellBase"], "recurrent"),
    **dict.fromkeys(["MultiheadAttention", "Transformer", "TransformerDecoder", "TransformerDecoderLayer", "TransformerEncoder",
                     "TransformerEncoderLayer"], "transformers"),
}  # fmt: skip
"""What torch.nn has and striate.nn does not, and why."""


def test_what_is_missing_is_written_down():
    theirs = {name for name in torch.nn.modules.__all__ if not name.startswith("Lazy")}  # sizes are given here, never guessed
    assert theirs - set(nn.__all__) == {name for name in MISSING if hasattr(torch.nn.modules, name)}
