"""What an optimizer is: groups of parameters, their settings, and the state that their update rule keeps.

An optimizer holds numbers, not mathematics. The update itself is an operator of ops/update.py that the engine puts behind
the gradients, in the same graph. Settings are read before every step, so that

    optimizer.param_groups[0]["lr"] = 0.01

takes effect at the next step, with nothing compiled again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from striate.errors import ArgumentError, StateDictError, message
from striate.nn.module import Buffer, Module, Parameter
from striate.ops.base import Op

Settings = dict[str, Any]


@dataclass(frozen=True)
class Group:
    """Parameters that one operator updates with the same settings.

    The operator takes (parameter, gradient, *state, hyper) and gives (parameter, *state).
    """

    parameters: list[Parameter]
    op: Op
    state_names: tuple[str, ...]
    hyper: Callable[[int], np.ndarray]
    """float32 settings of step 1, 2, 3, ..., as the operator wants them."""


class Optimizer:
    """Base of SGD, Adam and AdamW.

    `params` is None for all parameters of the network that it is used with, or an iterable of parameters, or a list of
    dicts, each with its own "params" and any settings that differ. `param_groups` lists the settings; `steps` counts the
    updates done; `state[parameter][name]` is a Buffer of the parameter's shape.
    """

    def __init__(self, params: Any, defaults: Settings):
        self.defaults = defaults
        self.param_groups: list[Settings] = []
        self.state: dict[Parameter, dict[str, Buffer]] = {}
        self.steps = 0
        self._net: Module | None = None
        for group in _groups(params, type(self).__name__):
            self.add_param_group(group)

    # what a kind of optimizer says about itself
    def check(self, settings: Settings) -> None:
        """Refuse settings that make no sense."""
        raise NotImplementedError

    def rule(self, settings: Settings) -> tuple[Op, tuple[str, ...]]:
        """The update's operator, and the names of the state that it keeps for each parameter."""
        raise NotImplementedError

    def hyper(self, settings: Settings, step: int) -> Sequence[float]:
        """The settings of step 1, 2, 3, ... as the operator wants them."""
        raise NotImplementedError

    # groups
    def add_param_group(self, group: Settings) -> None:
        """Train further parameters: {"params": parameters, "lr": 0.1, ...}."""
        unknown = sorted(set(group) - set(self.defaults) - {"params"})
        if unknown or "params" not in group:
            problem = f"unknown setting '{unknown[0]}' in a parameter group" if unknown else "a parameter group has no 'params'"
            raise ArgumentError(message(problem, f"{type(self).__name__} knows params, {', '.join(self.defaults)}"))
        settings = {**self.defaults, **group}
        self.check(settings)
        if settings["params"] is not None:
            settings["params"] = _parameters(settings["params"])
        self.param_groups.append(settings)
        held = [id(p) for g in self.param_groups for p in g["params"] or ()]
        if len(set(held)) < len(held):
            self.param_groups.pop()
            raise ArgumentError("a parameter stands in two places of the optimizer's groups; give each parameter once")

    def groups_for(self, net: Module) -> list[Group]:
        """What the engine needs: the groups, with those of their parameters that require a gradient.

        Raises ArgumentError where the optimizer and the network do not belong together, or nothing can be trained.
        """
        self._belong(net)
        groups = [self._group(s, [p for p in self._of(s) if p.requires_grad]) for s in self.param_groups]
        groups = [g for g in groups if g.parameters]
        if not groups:
            raise ArgumentError(f"no parameter of this {type(net).__name__} requires a gradient, so there is nothing to train; "
                                "call net.requires_grad_(True)")
        return groups

    def _belong(self, net: Module) -> None:
        if self._net is not None and self._net is not net and any(s["params"] is None for s in self.param_groups):
            raise ArgumentError(f"this {type(self).__name__} already trains another network; make a new one for each network")
        self._net = net
        own = {id(p) for p in net.parameters()}
        strange = sum(id(p) not in own for s in self.param_groups for p in self._of(s))
        if strange:
            raise ArgumentError(f"{strange} parameters of the optimizer are not this network's; "
                                "make the optimizer with net.parameters() of the network that you train")

    def _of(self, settings: Settings) -> list[Parameter]:
        """The parameters of a group; those of the whole network where none were named."""
        if settings["params"] is not None:
            return settings["params"]
        if self._net is None:
            raise ArgumentError("this optimizer does not know its parameters before its first step; "
                                "make it with net.parameters()")
        return list(self._net.parameters())

    def _group(self, settings: Settings, parameters: list[Parameter]) -> Group:
        op, names = self.rule(settings)

        def hyper(step: int) -> np.ndarray:
            if self.rule(settings)[0] != op:
                raise ArgumentError(f"the settings of {type(self).__name__} now need another update rule "
                                    f"({op.name} was compiled); compile the step again")
            return np.array(self.hyper(settings, step), np.float32)

        return Group(parameters, op, names, hyper)

    # state
    def state_of(self, parameter: Parameter, name: str) -> Buffer:
        """A parameter's state, such as its "momentum_buffer"; zeros when it is first asked for."""
        held = self.state.setdefault(parameter, {})
        if name not in held:
            held[name] = Buffer(np.float32(0))
            held[name].adopt(np.zeros(parameter.shape, np.float32))  # whose memory the system gives when it is first touched
        return held[name]

    def apply(self, net: Module, gradients: Mapping[str, np.ndarray]) -> None:
        """One update in NumPy from gradients by name, for a training loop of one's own with `value_and_grad`.

        Parameters whose name has no gradient keep their value.
        """
        names = {id(p): name for name, p in net.named_parameters()}
        groups = self.groups_for(net)
        self.steps += 1
        for group in groups:
            hyper = group.hyper(self.steps)
            for parameter in group.parameters:
                gradient = gradients.get(names[id(parameter)])
                if gradient is not None:
                    self._update(group, parameter, gradient, hyper)

    def _update(self, group: Group, parameter: Parameter, gradient: np.ndarray, hyper: np.ndarray) -> None:
        held = [parameter, *(self.state_of(parameter, name) for name in group.state_names)]
        made = group.op.reference(parameter.data, gradient, *(h.data for h in held[1:]), hyper)
        for variable, array in zip(held, made if isinstance(made, tuple) else (made,), strict=True):
            variable.data = array

    def zero_grad(self) -> None:
        """Nothing to do: gradients are values of a step. Kept for PyTorch's training loops."""

    def state_dict(self) -> dict[str, Any]:
        """Steps, state by the parameter's number, and settings: everything that a later run needs to go on."""
        parameters = self._all()
        numbers = {id(p): i for i, p in enumerate(parameters)}
        state = {numbers[id(p)]: {n: b.numpy() for n, b in held.items()} for p, held in self.state.items()}
        groups = [{**s, "params": [numbers[id(p)] for p in self._known(s)]} for s in self.param_groups]
        return {"steps": self.steps, "state": state, "param_groups": groups}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over what `state_dict` gave. Raises StateDictError where groups or shapes differ; nothing is changed then."""
        parameters, groups = [p for s in self.param_groups for p in self._of(s)], state_dict["param_groups"]
        sizes, wanted = [len(self._of(s)) for s in self.param_groups], [len(g["params"]) for g in groups]
        if sizes != wanted:
            raise StateDictError(f"the optimizer's groups have {sizes} parameters, the state_dict's have {wanted}")
        for i, held in state_dict["state"].items():
            for name, array in held.items():
                if np.shape(array) != parameters[i].shape:
                    raise StateDictError(f"'{name}' of parameter {i} has shape {np.shape(array)}, "
                                         f"the parameter's is {parameters[i].shape}")
        for settings, group in zip(self.param_groups, groups):
            settings.update({name: value for name, value in group.items() if name != "params"})
        for i, held in state_dict["state"].items():
            for name, array in held.items():
                self.state_of(parameters[i], name).data = array
        self.steps = state_dict["steps"]

    def _known(self, settings: Settings) -> list[Parameter]:
        return [] if settings["params"] is None and self._net is None else self._of(settings)

    def _all(self) -> list[Parameter]:
        return [p for s in self.param_groups for p in self._known(s)]

    def __repr__(self) -> str:
        lines = [", ".join(f"{k}={v}" for k, v in s.items() if k in self.defaults) for s in self.param_groups]
        return f"{type(self).__name__}({'; '.join(lines)})"


def _groups(params: Any, name: str) -> list[Settings]:
    """A list of group dicts out of whatever a user gives as `params`."""
    if params is None:
        return [{"params": None}]
    if isinstance(params, (int, float)):
        raise ArgumentError(f"the first argument of {name} is the parameters to train, got {params}; write {name}(lr={params})")
    if isinstance(params, Module):
        raise ArgumentError(f"the first argument of {name} is the parameters to train, got a {type(params).__name__}; "
                            "write net.parameters(), or nothing for all of them")
    if isinstance(params, (Parameter, dict)):
        raise ArgumentError(f"the first argument of {name} is an iterable of parameters, got one {type(params).__name__}; "
                            "put it into a list")
    given = list(params)
    if not given:
        raise ArgumentError(f"{name} got an empty list of parameters; write net.parameters(), or nothing for all of them")
    return [dict(g) for g in given] if isinstance(given[0], Mapping) else [{"params": given}]


def _parameters(items: Any) -> list[Parameter]:
    """Parameters, given as such or as (name, parameter)."""
    found = [items] if isinstance(items, Parameter) else [i[1] if isinstance(i, tuple) else i for i in items]
    for item in found:
        if not isinstance(item, Parameter):
            raise ArgumentError(f"an optimizer trains parameters, got {type(item).__name__}; write net.parameters()")
    return found


def want(settings: Settings, name: str, low: float, below: float = float("inf")) -> None:
    """Refuse a setting outside [low, below)."""
    value = settings[name]
    if not low <= value < below:
        limit = f"at least {low:g}" + (f" and less than {below:g}" if below < float("inf") else "")
        raise ArgumentError(f"{name} must be {limit}, got {value}")
