"""How each system runs a network: a function that gives the closure of one step or one inference.

    SYSTEMS[name](network, batch, mode, threads) -> run() -> a number to compare

Every system gets the same weights and the same images, two threads, float32, and the memory layout that suits it best.
A run of inference answers with the sum of its outputs; a training step answers with its loss.
"""

from __future__ import annotations

import importlib.util
import tempfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from networks import NETWORKS, Network

Run = Callable[[], float]
CLASSES = 10
MOMENTUM: dict[str, Any] = {"lr": 0.00001, "momentum": 0.9}
"""The stochastic gradient descent of every system that trains."""


def data(network: Network, batch: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.standard_normal((batch, *network.shape), np.float32), rng.integers(0, CLASSES, batch)


def weights(network: Network) -> dict[str, np.ndarray]:
    """The same start for every system, scaled as He et al. (2015)."""
    from striate import nn

    rng, net, state = np.random.default_rng(1), network.make(nn), {}
    for key, variable in (*net.named_parameters(), *net.named_buffers()):  # a state_dict would be one more copy
        if variable.ndim > 1:
            state[key] = rng.standard_normal(variable.shape, np.float32)
            state[key] *= np.float32(np.sqrt(2 / state[key][0].size))
        else:
            state[key] = np.zeros(variable.shape, np.float32) if key.endswith("bias") else variable.numpy()
    return state


def striate(network: Network, batch: int, mode: str, threads: int) -> Run:
    import striate as st
    from striate import nn, optim

    st.set_num_threads(threads)
    state = weights(network)  # first, or its own network would lie beside this one
    net, (x, y) = network.make(nn), data(network, batch)
    net.load_state_dict(state)
    del state
    if mode == "train":
        step = st.compile(net, nn.CrossEntropyLoss(), optim.SGD(**MOMENTUM))
        return lambda: step(x, y)
    net.eval()
    return lambda: float(net(x).sum())


def torch_net(network: Network, threads: int) -> Any:
    import torch

    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)  # as striate does
    state = {k: torch.from_numpy(v) for k, v in weights(network).items()}
    net = network.make(torch.nn)
    net.load_state_dict(state)
    return net


def torch_run(network: Network, batch: int, mode: str, threads: int, compiled: bool) -> Run:
    import torch

    net, (x, y) = torch_net(network, threads).to(memory_format=torch.channels_last), data(network, batch)
    images, labels = torch.from_numpy(x).to(memory_format=torch.channels_last), torch.from_numpy(y)
    if mode == "infer":
        forward = torch.compile(net.eval()) if compiled else net.eval()

        def infer() -> float:
            with torch.no_grad():
                return float(forward(images).sum())

        return infer
    optimizer = torch.optim.SGD(net.parameters(), **MOMENTUM)
    loss_of = torch.nn.CrossEntropyLoss()

    def loss_fn(images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return loss_of(net(images), labels)

    forward_loss = torch.compile(loss_fn) if compiled else loss_fn

    def train() -> float:
        optimizer.zero_grad(set_to_none=True)
        loss = forward_loss(images, labels)
        loss.backward()
        optimizer.step()
        return float(loss)

    return train


def onnxruntime(network: Network, batch: int, mode: str, threads: int) -> Run:
    import onnxruntime as ort
    import torch

    net, (x, _) = torch_net(network, threads).eval(), data(network, batch)
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, "net.onnx"))
        torch.onnx.export(net, (torch.from_numpy(x),), path, dynamo=False, input_names=["x"])
        session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda: float(session.run(None, {"x": x})[0].sum())


def openvino(network: Network, batch: int, mode: str, threads: int) -> Run:
    import openvino as ov
    import torch

    net, (x, _) = torch_net(network, threads).eval(), data(network, batch)
    model = ov.convert_model(net, example_input=torch.from_numpy(x), input=[tuple(x.shape)])
    settings = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    compiled = ov.Core().compile_model(model, "CPU", settings)
    return lambda: float(compiled(x)[0].sum())


def ncnn(network: Network, batch: int, mode: str, threads: int) -> Run:
    """ncnn takes one image at a time."""
    import ncnn
    import pnnx
    import torch

    net, (x, _) = torch.nn.Sequential(OrderedDict(net=torch_net(network, threads))).eval(), data(network, batch)
    with tempfile.TemporaryDirectory() as folder:
        traced = str(Path(folder, "net.pt"))
        pnnx.export(net, traced, torch.from_numpy(x[:1]), fp16=False)
        loaded = ncnn.Net()
        loaded.opt.num_threads = threads
        loaded.opt.use_fp16_packed = loaded.opt.use_fp16_storage = loaded.opt.use_fp16_arithmetic = False
        loaded.load_param(str(Path(folder, "net.ncnn.param")))
        loaded.load_model(str(Path(folder, "net.ncnn.bin")))

    def infer() -> float:
        total = 0.0
        for image in x:
            extractor = loaded.create_extractor()
            extractor.input("in0", ncnn.Mat(image))
            total += float(np.asarray(extractor.extract("out0")[1]).sum())
        return total

    return infer


SYSTEMS: dict[str, Callable[[Network, int, str, int], Run]] = {
    "striate": striate,
    "torch": lambda *settings: torch_run(*settings, compiled=False),
    "torch.compile": lambda *settings: torch_run(*settings, compiled=True),
    "onnxruntime": onnxruntime,
    "openvino": openvino,
    "ncnn": ncnn,
}
TRAINING = ("striate", "torch", "torch.compile")
NEEDS = {"onnxruntime": ("onnxruntime", "onnx"), "openvino": ("openvino",), "ncnn": ("ncnn", "pnnx")}


def available(mode: str) -> list[str]:
    """The systems that are installed and can do this."""
    names = TRAINING if mode == "train" else tuple(SYSTEMS)
    return [name for name in names if all(importlib.util.find_spec(module) for module in NEEDS.get(name, ()))]


def run_of(system: str, network: str, batch: int, mode: str, threads: int) -> Run:
    return SYSTEMS[system](NETWORKS[network], batch, mode, threads)
