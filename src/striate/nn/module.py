"""Modules and parameters, with PyTorch's names and habits.

A module holds parameters, buffers and other modules as attributes; `forward` says in operators and ordinary Python what
it computes. Called with arrays it runs compiled; called with symbolic values it adds its nodes to their graph.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from striate.errors import ArgumentError, ShapeError, StateDictError
from striate.graph import COMMANDS, PACKAGE, Counter, Graph, Value, place, writes
from striate.nn.placement import Placement

TRACED: ContextVar[Graph | None] = ContextVar("traced", default=None)
"""The graph of the forward that is being traced: two parameters can meet before either has met one of its values."""


changes = Counter()
"""Counts what may alter the trace of any network: compiled programs look at it before they trust what they know."""


class Table(dict):
    """Parameters, buffers or modules by name; it notes when it changes."""

    def __setitem__(self, name: str, item: Any) -> None:
        super().__setitem__(name, item)
        changes.note()

    def __delitem__(self, name: str) -> None:
        super().__delitem__(name)
        changes.note()

    def pop(self, name: str, *default: Any) -> Any:
        changes.note()
        return super().pop(name, *default)

    def clear(self) -> None:
        super().clear()
        changes.note()


class Variable:
    """An array that a module owns. Programs may keep the newest copy in their own memory; `data` fetches it.

    Inside `forward` it has the operators and methods of a Value, outside those operators of its array.
    """

    kind = "parameter"
    __array_ufunc__ = None  # ndarray * Variable must reach Variable.__rmul__

    def __init__(self, data: Any, requires_grad: bool = True):
        self._data = np.array(data, copy=True)
        if self._data.dtype == np.float64:
            self._data = self._data.astype(np.float32)
        self._requires_grad = requires_grad
        self.version = 0
        """Counts the changes; a program that holds a copy of its own compares it."""
        self.refresh: Callable[[], None] | None = None
        """Set by the program that holds the newest copy: writes it back into this variable."""

    @property
    def requires_grad(self) -> bool:
        """Whether training changes this variable; a frozen parameter has no part in the compiled backward pass."""
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, on: bool) -> None:
        self._requires_grad = bool(on)
        changes.note()

    @property
    def data(self) -> np.ndarray:
        """The array, read-only; assign to `data` to change it."""
        while True:
            if self.refresh is not None:
                self.refresh()
            array = self._data
            if self.refresh is None and array is self._data:  # no program has taken it in the meantime
                view = array.view()
                view.flags.writeable = False
                return view

    @data.setter
    def data(self, array: Any) -> None:
        new = np.asarray(array, self._data.dtype)
        if new.shape != self._data.shape:
            raise ArgumentError(f"this {self.kind} has shape {self._data.shape}, got an array of shape {new.shape}")
        if self.refresh is not None:
            self.refresh()
        self.put(new)

    def put(self, array: np.ndarray) -> None:
        """Store a copy of an array; programs see it at their next run."""
        self.adopt(np.array(array, self._data.dtype))

    def adopt(self, array: np.ndarray) -> None:
        """Store an array of this shape and dtype that nobody else changes; a large one takes its time to copy."""
        self._data = array
        self.version += 1
        writes.note()

    def lend(self, refresh: Callable[[], None]) -> None:
        """Give the memory up to a program that holds the newest copy; `refresh` brings it back."""
        self.refresh = refresh
        self._data = np.broadcast_to(np.zeros((), self._data.dtype), self._data.shape)

    @property
    def shape(self) -> tuple[int, ...]:
        return self._data.shape

    @property
    def dtype(self) -> np.dtype:
        return self._data.dtype

    @property
    def ndim(self) -> int:
        return self._data.ndim

    @property
    def size(self) -> int:
        return self._data.size

    def numel(self) -> int:
        return self._data.size

    def numpy(self) -> np.ndarray:
        """A copy of the array."""
        return self.data.copy()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.data, dtype, copy=copy)

    def lift(self, graph: Graph) -> Value:
        """This variable's value in a graph."""
        return graph.source(self, self.kind)

    def __getstate__(self) -> dict[str, Any]:
        """What a copy or a pickle takes along: the array, not the program that may hold it."""
        return {**self.__dict__, "_data": self.data, "refresh": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _data=np.array(state["_data"]))

    def __getattr__(self, name: str) -> Any:
        graph = TRACED.get()
        if graph is None or name.startswith("_"):
            hint = f"; outside forward use .data.{name}" if hasattr(Value, name) and hasattr(np.ndarray, name) else ""
            raise AttributeError(f"{type(self).__name__} has no attribute '{name}'{hint}")
        return getattr(self.lift(graph), name)

    def __repr__(self) -> str:
        return f"{type(self).__name__}{self.shape}"


class Parameter(Variable):
    """An array that training changes."""

    @classmethod
    def empty(cls, shape: int | tuple[int, ...]) -> Self:
        """Of a shape, its numbers undefined until something fills it; takes no time, however large."""
        made = cls(())
        made._data = np.empty(shape, np.float32)
        return made


class Buffer(Variable):
    """An array that belongs to a module's state but is not trained, such as a running mean."""

    kind = "buffer"

    def __init__(self, data: Any, persistent: bool = True):
        super().__init__(data, requires_grad=False)
        self.persistent = persistent


def _operator(name: str) -> Callable[..., Any]:
    """A Variable's operator: inside `forward` a parameter behaves like the value that it stands for."""

    def method(self: Variable, *others: Any) -> Any:
        graph = next((o.graph for o in others if isinstance(o, Value)), TRACED.get())
        if graph is not None:
            return getattr(self.lift(graph), name)(*others)
        return getattr(self.data, name)(*(o.data if isinstance(o, Variable) else o for o in others))

    return method


for _name in ("add", "sub", "mul", "truediv", "radd", "rsub", "rmul", "rtruediv", "neg", "pow", "getitem", "iter", "len"):
    setattr(Variable, f"__{_name}__", _operator(f"__{_name}__"))


class IncompatibleKeys(NamedTuple):
    """What load_state_dict(strict=False) skipped."""

    missing_keys: list[str]
    unexpected_keys: list[str]


class Module(Placement):
    """Base of every layer and network.

    >>> from striate import nn
    >>> class Block(nn.Module):
    ...     def __init__(self, channels):
    ...         super().__init__()
    ...         self.conv = nn.Conv2d(channels, channels, 3, padding=1)
    ...     def forward(self, x):
    ...         return (x + self.conv(x)).relu()
    >>> [name for name, _ in Block(4).named_parameters()]
    ['conv.weight', 'conv.bias']
    """

    training: bool
    built_at: str

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        module = super().__new__(cls)
        fields = {"training": True, "built_at": _user_line(), "_programs": {},
                  "_parameters": Table(), "_buffers": Table(), "_modules": Table(),
                  "revision": changes.note()}
        module.__dict__.update(fields)
        return module

    def __init__(self) -> None:
        pass

    def forward(self, *args: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} needs a forward method that says what it computes")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        leaves = () if len(args) == 1 and isinstance(args[0], np.ndarray) and not kwargs else _leaves((args, kwargs))
        graph = TRACED.get() or next((v.graph for v in leaves if isinstance(v, Value)), None)
        if graph is not None:
            return self._trace(graph, args, kwargs)
        from striate.engine import run_module  # the engine reads modules, so it is looked up when it is asked for

        return run_module(self, args, kwargs)

    def _trace(self, graph: Graph, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run forward on symbolic values; an error that does not know its place gets this module's."""
        token = TRACED.set(graph)
        try:
            with graph.inside(self):
                try:
                    return self.forward(*args, **kwargs)
                except ShapeError as error:
                    if error.place:
                        raise
                    here = place(type(self).__name__, graph._module(), graph._location())
                    raise error.at(here).with_traceback(error.__traceback__) from None
        finally:
            TRACED.reset(token)

    # attributes
    def __setattr__(self, name: str, value: Any) -> None:
        tables = {"_parameters": Parameter, "_buffers": Buffer, "_modules": Module}
        for table, kind in tables.items():
            known = self.__dict__[table]
            if isinstance(value, kind):
                if name not in known:  # a new one under an old name keeps its place in the order
                    self.__delattr_quietly(name)
                known[name] = value
                return
            if name in known and value is None:
                known[name] = None
                return
        if name in self._parameters:
            raise ArgumentError(
                f"'{name}' is a parameter of {type(self).__name__}; assign an nn.Parameter, or an array to .{name}.data"
            )
        if name in self._buffers:
            if self._buffers[name] is None:
                self.register_buffer(name, value)
            else:
                self._buffers[name].data = value
            return
        self.__delattr_quietly(name)
        object.__setattr__(self, name, value)
        self.revise()

    def revise(self) -> None:
        """Note that this module may compute something else from now on."""
        self.__dict__["revision"] = changes.note()

    def __getattr__(self, name: str) -> Any:
        for table in ("_parameters", "_buffers", "_modules"):
            known = self.__dict__.get(table, {})
            if name in known:
                return known[name]
        raise AttributeError(f"{type(self).__name__} has no attribute '{name}'")

    def __delattr__(self, name: str) -> None:
        if not self.__delattr_quietly(name):
            raise AttributeError(f"{type(self).__name__} has no attribute '{name}'")
        self.revise()

    def __delattr_quietly(self, name: str) -> bool:
        places = (self.__dict__, self._parameters, self._buffers, self._modules)
        return any([place.pop(name, self) is not self for place in places])

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._parameters, *self._buffers, *self._modules})

    def register_parameter(self, name: str, parameter: Parameter | None) -> None:
        """Add a parameter; None keeps the name with nothing behind it, as a layer without bias does."""
        self._parameters[name] = parameter

    def register_buffer(self, name: str, array: Any, persistent: bool = True) -> None:
        """Add a buffer; a persistent one is part of the state_dict."""
        self._buffers[name] = None if array is None else Buffer(array, persistent)

    def add_module(self, name: str, module: Module | None) -> None:
        """Add a module under a name, which may be a number, as in nn.Sequential."""
        if not isinstance(module, Module | None):
            hint = "; unpack a list with *" if isinstance(module, (list, tuple)) else ""
            raise ArgumentError(f"'{name}' of {type(self).__name__} must be a module, got {module!r}{hint}")
        if not name or "." in name:
            raise ArgumentError(f"a module's name is part of a dotted path: it must not be empty or hold a '.', got '{name}'")
        self._modules[name] = module

    register_module = add_module

    # walks
    def named_modules(self, prefix: str = "", remove_duplicate: bool = True) -> Iterator[tuple[str, Module]]:
        """Every module once, with its dotted path; this one first, as ''. Or at each path where it stands."""
        seen: set[int] = set()
        stack = [(prefix, self)]
        while stack:
            path, module = stack.pop()
            if remove_duplicate and id(module) in seen:
                continue
            seen.add(id(module))
            yield path, module
            children = [(f"{path}.{name}" if path else name, m) for name, m in module._modules.items() if m is not None]
            stack.extend(reversed(children))

    def modules(self) -> Iterator[Module]:
        return (module for _, module in self.named_modules())

    def named_children(self) -> Iterator[tuple[str, Module]]:
        return ((name, m) for name, m in self._modules.items() if m is not None)

    def children(self) -> Iterator[Module]:
        return (m for _, m in self.named_children())

    def _named(self, table: str, prefix: str, recurse: bool) -> Iterator[tuple[str, Any]]:
        seen: set[int] = set()
        for path, module in self.named_modules(prefix) if recurse else [(prefix, self)]:
            for name, item in getattr(module, table).items():
                if item is not None and id(item) not in seen:
                    seen.add(id(item))
                    yield (f"{path}.{name}" if path else name), item

    def named_parameters(self, prefix: str = "", recurse: bool = True) -> Iterator[tuple[str, Parameter]]:
        """(dotted path, parameter), each parameter once, in the order in which they were made."""
        return self._named("_parameters", prefix, recurse)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        return (p for _, p in self.named_parameters(recurse=recurse))

    def named_buffers(self, prefix: str = "", recurse: bool = True) -> Iterator[tuple[str, Buffer]]:
        return self._named("_buffers", prefix, recurse)

    def buffers(self, recurse: bool = True) -> Iterator[Buffer]:
        return (b for _, b in self.named_buffers(recurse=recurse))

    def get_submodule(self, path: str) -> Module:
        """The module at a dotted path."""
        module = self
        for name in filter(None, path.split(".")):
            if module._modules.get(name) is None:
                raise AttributeError(f"{type(module).__name__} has no module '{name}' (looking for '{path}')")
            module = module._modules[name]
        return module

    def apply(self, function: Callable[[Module], Any]) -> Module:
        """Call a function on every module, children first."""
        for child in self.children():
            child.apply(function)
        function(self)
        return self

    # state
    def train(self, mode: bool = True) -> Module:
        """Training mode for this module and all below: batch norm uses the batch, dropout drops."""
        for module in self.modules():
            module.__dict__["training"] = bool(mode)
        changes.note()
        return self

    def eval(self) -> Module:
        """Evaluation mode: batch norm uses its running statistics, dropout passes everything on."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Module:
        for parameter in self.parameters():
            parameter.requires_grad = requires_grad
        return self

    def zero_grad(self) -> None:
        """Nothing to do: gradients are values of a step, not state of a module. Kept for PyTorch's training loops."""

    def _state(self) -> dict[str, Variable]:
        found: dict[str, Variable] = {}
        for path, module in self.named_modules(remove_duplicate=False):
            items = {**module._parameters, **module._buffers}
            for name, item in items.items():
                if item is not None and getattr(item, "persistent", True):
                    found[f"{path}.{name}" if path else name] = item
        return found

    def state_dict(self) -> dict[str, np.ndarray]:
        """Copies of all parameters and persistent buffers by dotted path."""
        return {name: variable.numpy() for name, variable in self._state().items()}

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> IncompatibleKeys:
        """Take over arrays by name; returns the missing and the unexpected keys.

        Raises StateDictError that lists every difference; nothing is changed then.
        """
        own = self._state()
        missing = [name for name in own if name not in state_dict]
        unexpected = [name for name in state_dict if name not in own]
        shapes = {name: tuple(np.shape(state_dict[name])) for name in own if name in state_dict}
        wrong = [f"'{n}' has shape {shapes[n]}, the model's is {own[n].shape}" for n in shapes if shapes[n] != own[n].shape]
        problems = wrong + ([f"missing: {_listing(missing)}"] if strict and missing else [])
        problems += [f"unexpected: {_listing(unexpected)}"] if strict and unexpected else []
        if problems:
            mend = "; strict=False skips missing and unexpected keys" if strict and not wrong else ""
            raise StateDictError(f"the state_dict does not fit {type(self).__name__}: " + "; ".join(problems) + mend)
        for name in shapes:
            own[name].data = np.asarray(state_dict[name])
        return IncompatibleKeys(missing, unexpected)

    # text
    def extra_repr(self) -> str:
        return ""

    def __repr__(self) -> str:
        children = [(name, repr(m)) for name, m in self._modules.items()]
        return tree(type(self).__name__, self.extra_repr(), children)

    def __getstate__(self) -> dict[str, Any]:
        """What a copy or a pickle takes along: compiled programs stay behind."""
        return {**self.__dict__, "_programs": {}}


def tree(head: str, extra: str, children: list[tuple[str, str]]) -> str:
    """A module and its children as PyTorch prints them.

    >>> print(tree("Net", "", [("0", "ReLU()")]))
    Net(
      (0): ReLU()
    )
    """
    lines = [extra] if extra else []
    lines += [f"({name}): {text}" for name, text in children]
    if not children:
        return f"{head}({extra})"
    body = "\n".join(lines).replace("\n", "\n  ")
    return f"{head}(\n  {body}\n)"


def _leaves(args: Any) -> Iterator[Any]:
    for item in args:
        if isinstance(item, (tuple, list)):
            yield from _leaves(item)
        elif isinstance(item, dict):
            yield from _leaves(item.values())
        else:
            yield item


def _listing(names: list[str], most: int = 6) -> str:
    shown = ", ".join(f"'{n}'" for n in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")


def check_sizes(**sizes: int) -> None:
    """Refuse sizes that are no whole numbers from 1 up."""
    for name, size in sizes.items():
        if not hasattr(size, "__index__") or size < 1:
            raise ArgumentError(f"{name} must be a whole number from 1 up, got {size!r}")


def _user_line() -> str:
    """file:line of the user's code that builds a module; empty where the command line does."""
    frame = sys._getframe(2)
    while frame is not None and frame.f_code.co_filename.startswith(PACKAGE):
        if frame.f_code.co_filename.startswith(COMMANDS):
            return ""
        frame = frame.f_back
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}" if frame is not None else ""
