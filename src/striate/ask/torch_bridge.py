"""PyTorch's networks as networks of striate's: the same layers, the same weights, the same names.

torch.fx records what a module's forward does, one step after the other; a step is a layer, a function or a method. Layers
have equal names and arguments in both packages, so a layer's twin is made of what the torch layer says of itself; functions
are looked up in `striate.nn.functional` and among the methods of `striate.Value`. torch is imported only here, and only when
somebody hands over a torch module.

The forward pass is recorded in eval mode; dropout and batch normalisation follow the new module's own mode.

Source: Reed, DeVito, He, Ussery & Ansel, torch.fx: practical program capture and transformation, arXiv:2112.08429.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from striate import nn
from striate.errors import ArgumentError
from striate.graph import Value
from striate.nn import functional as F


def filled(number: float) -> Callable[..., Value]:
    """zeros_like and its kin."""
    return lambda x, **more: x.graph.constant(np.full(x.shape, number, np.float32))


def attention(query: Value, key: Value, value: Value, attn_mask: Any = None, dropout_p: float = 0.0, is_causal: bool = False,
              scale: float | None = None) -> Value:
    """softmax(q k' / sqrt(d)) v, source: Vaswani et al., arXiv:1706.03762, equation 1."""
    if is_causal or dropout_p:
        raise ArgumentError("scaled_dot_product_attention is known here without dropout and is_causal; give a mask of numbers")
    scores = (query @ key.transpose(-2, -1)) * (query.shape[-1] ** -0.5 if scale is None else scale)
    return (scores if attn_mask is None else scores + attn_mask).softmax(-1) @ value


NAMES: dict[str, Callable[..., Any]] = {
    "zeros_like": filled(0), "ones_like": filled(1), "scaled_dot_product_attention": attention,
    "addcdiv": lambda a, b, c, value=1: a + b / c * value,
}  # fmt: skip
"""What striate has under no name of its own."""
PLAIN = ("_operator", "builtins", "math")
"""Modules whose functions do the same to a Value as to a tensor."""
IGNORED = ("_stacklevel", "inplace", "memory_format", "dtype")
"""Arguments that have no meaning here, where they are not given a type."""
MODES = ("dropout", "batch_norm", "instance_norm")
"""Functions whose argument `training` follows the module's mode."""


@dataclass(frozen=True)
class Ref:
    """The result of an earlier step, by its name."""

    name: str


@dataclass(frozen=True)
class Step:
    """One recorded step: a layer or parameter by its path, a function, or a method by its name."""

    name: str
    kind: str
    target: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    place: str = ""
    """The path of the module in whose forward it stands."""
    inplace: bool = False


class FromTorch(nn.Module):
    """A recorded torch module: layers under their own paths, and the steps of its forward."""

    def __init__(self) -> None:
        super().__init__()
        self._steps: tuple[Step, ...] = ()

    def forward(self, *inputs: Any) -> Any:
        known: dict[str, Any] = {}
        given, graph, result = iter(inputs), inputs[0].graph, None
        for step in self._steps:
            args, kwargs = resolved(step.args, known), resolved(step.kwargs, known)
            with graph.inside(self.get_submodule(step.place)):
                known[step.name] = result = self._run(step, args, kwargs, given)
            if step.inplace and isinstance(step.args[0], Ref):
                known[step.args[0].name] = result
        return result

    def _run(self, step: Step, args: Any, kwargs: Any, given: Iterator[Any]) -> Any:
        if step.kind == "placeholder":
            return next(given, *args)
        if step.kind == "call_module":
            return self.get_submodule(step.target)(*args, **kwargs)
        if step.kind == "get_attr":
            path, _, name = step.target.rpartition(".")
            return getattr(self.get_submodule(path), name)
        if step.kind == "call_method":
            return method(step.target, step.name)(*args, **kwargs)
        if step.kind == "output":
            return args[0]
        follows = getattr(step.target, "__name__", "").startswith(MODES) and kwargs.get("training") is False
        return step.target(*args, **{**kwargs, "training": self.training} if follows else kwargs)


def from_torch(module: Any) -> nn.Module:
    """A striate network that computes what a torch.nn.Module computes, with a copy of its weights.

    Paths, and so the keys of state_dict, are those of the torch module; so are modes and requires_grad.

    Raises ArgumentError: a layer, function or method that striate does not have, with its place; a forward that torch.fx
    cannot follow because it decides on the values of tensors.

    >>> import torch
    >>> net = from_torch(torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU()))
    >>> net.state_dict().keys()
    dict_keys(['0.weight', '0.bias'])
    """
    from torch import fx

    title = type(module).__name__
    if type(module).__module__.startswith("torch.nn") and not list(module.children()):
        return with_variables(twin(module, title), module)
    with evaluating(module):
        try:
            recorded = fx.Tracer().trace(module)
        except Exception as error:  # whatever the user's forward raises when it meets a stand-in
            raise ArgumentError(f"torch.fx cannot follow {title}.forward: {error}; a forward may decide on shapes and attributes "
                                "but not on the values of tensors") from None
    net = named(title, FromTorch)
    used = {str(node.target) for node in recorded.nodes if node.op == "call_module"}
    for path, layer in module.named_modules():
        if path and (path in used or not list(layer.children())):
            place(net, path, layer, path in used, module)
    for node in recorded.nodes:
        if node.op == "get_attr" and node.target.startswith("_tensor_constant"):  # torch.fx keeps them in the user's module
            vars(net)[node.target] = array(vars(module).pop(node.target))
    names = function_names()
    net._steps = tuple(step_of(node, names, module) for node in recorded.nodes)
    for step in net._steps:
        folders(net, step.place, module)
    return with_variables(net, module)


def named(name: str, kind: type) -> Any:
    """A module whose class is called as torch's, so that summaries and errors show that name."""
    return type(name, (kind,), {})()


def place(net: nn.Module, path: str, layer: Any, used: bool, root: Any) -> None:
    """Put the twin of a torch layer under its path; what forward never calls is left out where there is no twin."""
    if not used and not hasattr(nn, type(layer).__name__):
        return
    folders(net, path.rpartition(".")[0], root).add_module(path.rpartition(".")[2], twin(layer, path))


def folders(net: nn.Module, path: str, root: Any) -> nn.Module:
    """The container of this path, made with those above it where they are not there yet."""
    for folder in filter(None, path.split(".")):
        root = getattr(root, folder)
        if folder not in dict(net.named_children()):
            net.add_module(folder, named(type(root).__name__, nn.Module))
        net = dict(net.named_children())[folder]
    return net


def twin(layer: Any, path: str) -> nn.Module:
    """The striate layer of the same name, with the arguments that the torch layer was made with.

    >>> import torch
    >>> twin(torch.nn.Conv2d(3, 8, 3, bias=False), "features.0")
    Conv2d(3, 8, kernel_size=(3, 3), stride=(1, 1), bias=False)
    """
    name = type(layer).__name__
    kind = getattr(nn, name, None)
    if not type(layer).__module__.startswith("torch.nn") or not (isinstance(kind, type) and issubclass(kind, nn.Module)):
        raise ArgumentError(f"torch layer '{path}' ({name}) has no counterpart in striate.nn; replace it by layers that have "
                            "one, or write it as a striate.nn.Module")
    arguments = {}
    for parameter in list(inspect.signature(kind.__init__).parameters.values())[1:]:
        if hasattr(layer, parameter.name):
            value = getattr(layer, parameter.name)
            arguments[parameter.name] = value is not None if parameter.name == "bias" and not isinstance(value, bool) else value
    return kind(**arguments)


def step_of(node: Any, names: Mapping[int, str], module: Any) -> Step:
    """A node of torch.fx as a step."""
    args, kwargs, target = plain(node.args), plain(node.kwargs), node.target
    inside = [path for path in node.meta.get("nn_module_stack", ()) if isinstance(path, str)]
    inplace = bool(kwargs.get("inplace", False))
    if node.op == "call_function":
        target = function(node, names)
        kwargs = accepted(target, kwargs, node)
    elif node.op == "call_method":
        inplace, target = target.endswith("_"), target.rstrip("_") if not target.startswith("__") else target
    elif node.op == "call_module":
        inplace = bool(getattr(module.get_submodule(target), "inplace", False))
        inside = inside[:-1]
    return Step(node.name, node.op, target, args, kwargs, inside[-1] if inside else "", inplace)


def function(node: Any, names: Mapping[int, str]) -> Callable[..., Any]:
    """What a function of torch's is here."""
    target = node.target
    if getattr(target, "__module__", "") in PLAIN:
        return target
    name = names.get(id(target), getattr(target, "__name__", str(target)))
    found = NAMES.get(name) or getattr(F, name, None) or getattr(Value, name, None)
    if found is None:
        raise ArgumentError(f"torch function '{name}' at '{node.name}' has no counterpart in striate.nn.functional; write that "
                            "part as a striate.nn.Module")
    return found


def function_names() -> dict[int, str]:
    """The public names of torch's functions; some are wrapped and do not know their own."""
    from torch.nn import functional

    return {id(item): name for name, item in vars(functional).items() if callable(item) and not name.startswith("_")}


def accepted(target: Callable[..., Any], kwargs: dict[str, Any], node: Any) -> dict[str, Any]:
    """The keyword arguments that a function here takes; those it does not know must be off."""
    try:
        known = inspect.signature(target).parameters
    except ValueError:  # a builtin
        return kwargs
    refused = [k for k, v in kwargs.items() if k not in known and v not in (None, False) and k not in IGNORED]
    if refused:
        raise ArgumentError(f"the argument {refused[0]}={kwargs[refused[0]]!r} at '{node.name}' has no counterpart here; leave "
                            "it at its default")
    return {k: v for k, v in kwargs.items() if k in known}


def method(name: str, place: str) -> Callable[..., Any]:
    """A method of tensors by its name: of the value itself, or the function of that name."""

    def call(value: Any, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(value, Value):
            return getattr(value, name)(*args, **kwargs)
        found = getattr(Value, name, None) or NAMES.get(name) or getattr(F, name, None)
        if found is None:
            raise ArgumentError(f"torch method '{name}' at '{place}' has no counterpart in striate; write that part as a "
                                "striate.nn.Module")
        return found(value, *args, **kwargs)

    return call


def plain(item: Any) -> Any:
    """Arguments without torch: nodes as Refs, tensors as arrays, sizes as tuples."""
    if isinstance(item, (tuple, list)):
        return type(item)(map(plain, item)) if type(item) in (tuple, list) else tuple(map(plain, item))
    if isinstance(item, Mapping):
        return {key: plain(value) for key, value in item.items()}
    if isinstance(item, slice):
        return slice(plain(item.start), plain(item.stop), plain(item.step))
    if type(item).__module__ == "torch.fx.node":
        return Ref(item.name)
    if getattr(item, "is_floating_point", True) is False:  # a type such as torch.int64
        raise ArgumentError(f"a network's floats cannot become {item} here; leave them as they are")
    return array(item) if hasattr(item, "detach") else item


def resolved(item: Any, known: Mapping[str, Any]) -> Any:
    """Arguments with the results of earlier steps in their places."""
    if isinstance(item, Ref):
        return known[item.name]
    if isinstance(item, (tuple, list)):
        return type(item)(resolved(i, known) for i in item)
    if isinstance(item, dict):
        return {key: resolved(value, known) for key, value in item.items()}
    if isinstance(item, slice):
        return slice(*(resolved(i, known) for i in (item.start, item.stop, item.step)))
    return item


def with_variables(net: nn.Module, module: Any) -> nn.Module:
    """The network with torch's weights and modes. Parameters and buffers that a container owns itself are made here."""
    parameters, buffers = dict(module.named_parameters()), dict(module.named_buffers())
    owned = {path for path, _ in (*net.named_parameters(), *net.named_buffers())}
    for path in [path for path in (*parameters, *buffers) if path not in owned]:
        folder, _, name = path.rpartition(".")
        owner = folders(net, folder, module)
        if type(owner).__module__ == __name__:  # of a container; a layer without a twin is left out with its weights
            data = array(parameters.get(path, buffers.get(path)))
            setattr(owner, name, nn.Parameter(data) if path in parameters else nn.Buffer(data))
    known = net.state_dict()
    net.load_state_dict({key: array(tensor) for key, tensor in module.state_dict().items() if key in known})
    for path, parameter in net.named_parameters():
        parameter.requires_grad = parameters[path].requires_grad
    modes = {path: layer.training for path, layer in module.named_modules()}
    for path, layer in net.named_modules():
        layer.training = modes.get(path, layer.training)
    return net


def array(tensor: Any) -> np.ndarray:
    """A tensor's numbers, in float32 where it holds a shorter kind of float."""
    data = tensor.detach().cpu()
    return (data.float() if data.is_floating_point() else data).numpy()


@contextmanager
def evaluating(module: Any) -> Iterator[None]:
    """A torch module in eval mode within, every part in its own mode again afterwards."""
    modes = [(layer, layer.training) for layer in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for layer, mode in modes:
            layer.training = mode
