"""Calls of PyTorch that move a module to a device or a type."""

import numpy as np
import pytest
import torch

from striate import nn
from striate.errors import ArgumentError


def test_what_is_there_already():
    net = nn.Sequential(nn.Linear(2, 3))
    for moved in (net.cpu(), net.float(), net.to("cpu"), net.to(torch.device("cpu")), net.to(torch.float32), net.to(np.float32),
                  net.to(device="cpu", dtype=torch.float32, non_blocking=True), net.to(memory_format=torch.channels_last)):
        assert moved is net


@pytest.mark.parametrize("call, name", [
    (lambda net: net.cuda(), "cuda"), (lambda net: net.to("cuda:1"), "cuda"), (lambda net: net.to(torch.device("meta")), "meta"),
    (lambda net: net.double(), "float64"), (lambda net: net.half(), "float16"), (lambda net: net.bfloat16(), "bfloat16"),
    (lambda net: net.to(torch.float64), "float64"), (lambda net: net.to(np.float16), "float16"),
])  # fmt: skip
def test_what_is_refused(call, name):
    with pytest.raises(ArgumentError) as error:
        call(nn.Linear(2, 3))
    assert str(error.value) == f"networks compute on the CPU in float32, so they cannot go to '{name}'; leave it out"
