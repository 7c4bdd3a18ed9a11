"""Every layer of torch that has a twin here, alone and inside a network; and the functions and methods of forwards."""

import numpy as np
import pytest
import torch
import torch.nn.functional as TF
from torch import nn as tnn

import striate as st
from striate.errors import ArgumentError
from striate.graph import Spec

IMAGE, SIGNAL, VOLUME = (2, 4, 6, 6), (2, 4, 9), (1, 4, 5, 5, 5)
LAYERS = {
    IMAGE: """Conv2d(4, 3, 3, padding=1) Conv2d(4,3,3,2,padding=1,padding_mode="reflect") Conv2d(4,8,3,groups=4,bias=False)
        Conv2d(4,3,(1,3),padding="same",dilation=2,padding_mode="circular") ConvTranspose2d(4,2,3,2,1,1,groups=2)
        MaxPool2d(3,2,1,ceil_mode=True) AvgPool2d(3,2,1,count_include_pad=False) AvgPool2d(3,divisor_override=4) LPPool2d(2,3)
        AdaptiveAvgPool2d((3,None)) AdaptiveMaxPool2d(3) ReflectionPad2d(2) ReplicationPad2d((1,2,0,1)) ZeroPad2d(2)
        ConstantPad2d(2,1.5) CircularPad2d(1) ELU(0.5) Hardshrink() Hardsigmoid() Hardtanh(-2.,1.) Hardswish() LeakyReLU(0.2)
        LogSigmoid() PReLU() PReLU(4) ReLU() ReLU6() RReLU() SELU() CELU(0.7) GELU() GELU("tanh") Sigmoid() SiLU() Mish()
        Softplus(2.,3.) Softshrink(0.3) Softsign() Tanh() Tanhshrink() Threshold(0.1,2.) GLU(1) Softmin(1) Softmax(1) Softmax2d()
        LogSoftmax(1) Identity() Dropout(0.3) Dropout2d() AlphaDropout() FeatureAlphaDropout() Flatten() Flatten(2)
        Unflatten(1,(2,2)) PixelShuffle(2) PixelUnshuffle(2) ChannelShuffle(2) BatchNorm2d(4) BatchNorm2d(4,affine=False)
        BatchNorm2d(4,track_running_stats=False) InstanceNorm2d(4,affine=True,track_running_stats=True) GroupNorm(2,4)
        LayerNorm((6,6)) LayerNorm(6,bias=False) LocalResponseNorm(3) RMSNorm(6) Upsample(scale_factor=2)
        Upsample(size=(9,11),mode="bilinear",align_corners=True) Upsample(scale_factor=2,mode="bicubic")
        UpsamplingNearest2d(None,2) UpsamplingBilinear2d(None,2) Unfold(3) Linear(6,3)""",
    SIGNAL: """Conv1d(4,3,3,padding=1) ConvTranspose1d(4,3,3,2,1,1) MaxPool1d(2) AvgPool1d(3,2,1) LPPool1d(2,3)
        AdaptiveAvgPool1d(3) ReflectionPad1d(2) ReplicationPad1d(2) BatchNorm1d(4) InstanceNorm1d(4) Dropout1d()
        Linear(9,2,bias=False)""",
    VOLUME: """Conv3d(4,3,3,padding="same") ConvTranspose3d(4,4,3,2,1,1,groups=2) MaxPool3d(2,ceil_mode=True) AvgPool3d(2)
        AdaptiveAvgPool3d(2) AdaptiveMaxPool3d(2) ConstantPad3d(1,2.) BatchNorm3d(4) InstanceNorm3d(4) Dropout3d()
        Upsample(scale_factor=2,mode="trilinear")""",
    (2, 18, 16): "Fold((6,6),3)",
}
CASES = [(shape, text) for shape, lines in LAYERS.items() for text in lines.replace(", ", ",").split()]


def agree(theirs, x, bound=2e-5):
    """The twin computes what the torch module computes, by the references, in eval mode."""
    wanted = theirs(x.clone()).detach().numpy()
    ours = st.from_torch(theirs)
    given = Spec(tuple(x.shape), "int64" if x.dtype == torch.int64 else "float32")
    got = st.trace(ours, given).run(x.numpy(), target="reference")
    assert got.shape == wanted.shape
    assert np.max(np.abs(got - wanted)) <= bound * max(1.0, float(np.max(np.abs(wanted))))
    return ours


@pytest.mark.parametrize("shape, text", CASES, ids=[text for _, text in CASES])
def test_layers(shape, text):
    torch.manual_seed(0)
    layer = eval("tnn." + text).eval()
    for parameter in layer.parameters():
        tnn.init.uniform_(parameter, -0.5, 1)
    x = torch.randn(shape)
    assert type(agree(layer, x)).__name__ == text.partition("(")[0]
    agree(tnn.Sequential(layer, tnn.Tanh()).eval(), x)


def test_embedding():
    agree(tnn.Embedding(10, 4, padding_idx=0), torch.randint(0, 10, (2, 5)))


class Forward(tnn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


FUNCTIONS = {
    "max": lambda x: x.max(dim=1)[0], "max values": lambda x: torch.max(x, 1, keepdim=True).values,
    "max of all": lambda x: x.max(), "max of two": lambda x: torch.max(x, -x),
    "min": lambda x: x.min(2)[0], "min of two": lambda x: torch.min(x, x * x),
    "amin": lambda x: x.amin((2, 3), keepdim=True), "min of all": lambda x: torch.min(x),
    "std": lambda x: x.std(dim=1), "var": lambda x: x.var(1, unbiased=False),
    "var of two": lambda x: torch.var(x, (2, 3), correction=0),
    "norm": lambda x: x.norm(dim=1), "norm 1": lambda x: x.norm(p=1, dim=(2, 3), keepdim=True),
    "einsum": lambda x: torch.einsum("nchw,ndhw->ncd", x, x),
    "addcdiv": lambda x: torch.addcdiv(x, x, x.abs() + 1, value=0.5),
    "logsumexp": lambda x: x.logsumexp(1), "logsumexp keep": lambda x: torch.logsumexp(x, (2, 3), keepdim=True),
    "select": lambda x: x.select(-1, 2), "unbind": lambda x: x.unbind(1)[3], "unflatten": lambda x: x.unflatten(-1, (2, 3)),
    "repeat_interleave": lambda x: x.repeat_interleave(2, 1), "expand_as": lambda x: x.mean((2, 3), keepdim=True).expand_as(x),
    "view_as": lambda x: x.flatten(2).view_as(x), "masked_fill": lambda x: x.masked_fill(x < 0, 2.0),
    "zeros_like": lambda x: torch.cat([x, torch.zeros_like(x)], 1), "ones_like": lambda x: x / torch.ones_like(x),
    "new_zeros": lambda x: torch.cat([x, x.new_zeros(2, 1, 6, 6)], 1), "new_ones": lambda x: x + x.new_ones((2, 4, 1, 1)),
    "float": lambda x: (x > 0).float() * x, "to": lambda x: x.to(torch.float32).clone(), "type_as": lambda x: x.type_as(x),
    "mT": lambda x: x @ x.mT, "bmm": lambda x: torch.bmm(x.flatten(2), x.flatten(2).transpose(1, 2)),
    "lerp": lambda x: torch.lerp(x, x * 2, 0.25), "addcmul": lambda x: torch.addcmul(x, x, x, value=0.5),
    "add alpha": lambda x: torch.add(x, x * x, alpha=2), "sub alpha": lambda x: x.sub(x * x, alpha=3),
    "div": lambda x: torch.div(x, 3), "neg": lambda x: torch.neg(x), "pow": lambda x: torch.pow(x, 2),
    "attention": lambda x: TF.scaled_dot_product_attention(x, x * 2, -x),
    "attention mask": lambda x: TF.scaled_dot_product_attention(x, x, x, attn_mask=x.mean(1, keepdim=True), scale=0.3),
    "a constant": lambda x: x * torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
    "a constant weight": lambda x: TF.conv2d(x, torch.ones(2, 4, 3, 3), torch.tensor([1.0, 2.0])),
    "sizes": lambda x: x.view(x.size(0), -1, x.shape[3] // 2, 2) * x.dim() / x.numel(),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name):
    torch.manual_seed(1)
    net = Forward(FUNCTIONS[name]).eval()
    before = set(vars(net))
    agree(net, torch.randn(IMAGE))
    assert set(vars(net)) == before  # the user's module keeps no trace of it


@pytest.mark.parametrize("function, text", [
    (lambda x: x.to(torch.int64), "a network's floats cannot become torch.int64 here; leave them as they are"),
    (lambda x: TF.scaled_dot_product_attention(x, x, x, is_causal=True),
     "scaled_dot_product_attention is known here without dropout and is_causal; give a mask of numbers"),
])
def test_what_is_not_known(function, text):
    with pytest.raises(ArgumentError) as error:
        st.trace(st.from_torch(Forward(function)), IMAGE)
    assert str(error.value) == text
