"""Modules that hold modules or parameters: in a row, in a list, by name."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from striate.errors import ArgumentError
from striate.nn.module import Module, Parameter, Variable, tree


class Row(Module):
    """What Sequential and ModuleList share: modules by number."""

    def _key(self, index: int) -> str:
        place = operator.index(index)
        if not -len(self) <= place < len(self):
            raise IndexError(f"index {place} is outside a {type(self).__name__} of {len(self)} modules")
        return list(self._modules)[place]

    def __getitem__(self, index: Any) -> Any:
        return self._modules[self._key(index)]

    def __setitem__(self, index: int, module: Module) -> None:
        self.add_module(self._key(index), module)

    def __delitem__(self, index: int | slice) -> None:
        keys = list(self._modules)[index] if isinstance(index, slice) else [self._key(index)]
        for key in keys:
            del self._modules[key]
        self._number(list(self._modules.values()))

    def _number(self, modules: list[Module]) -> None:
        """Hold these modules under the names '0', '1', ..."""
        self._modules.clear()
        for i, module in enumerate(modules):
            self.add_module(str(i), module)

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._modules.values())

    def append(self, module: Module) -> Any:
        """Add a module at the end; returns self."""
        self.add_module(str(len(self)), module)
        return self

    def extend(self, modules: Iterable[Module]) -> Any:
        """Add modules at the end; returns self."""
        for module in list(modules):
            self.append(module)
        return self

    def insert(self, index: int, module: Module) -> Any:
        """Put a module in front of the one at `index`; returns self."""
        modules = list(self._modules.values())
        modules.insert(index, module)
        self._number(modules)
        return self


class Sequential(Row):
    """Modules called one after another: Sequential(a, b) or Sequential({"first": a, "second": b}).

    Raises ArgumentError for what is no module.

    >>> from striate import nn
    >>> net = nn.Sequential(nn.Conv2d(1, 6, 5), nn.ReLU(), nn.Flatten())
    >>> net[:2]
    Sequential(
      (0): Conv2d(1, 6, kernel_size=(5, 5), stride=(1, 1))
      (1): ReLU()
    )
    """

    def __init__(self, *modules: Any):
        super().__init__()
        named = modules[0] if len(modules) == 1 and isinstance(modules[0], Mapping) else None
        for name, module in named.items() if named is not None else enumerate(modules):
            self.add_module(str(name), module)

    def __getitem__(self, index: Any) -> Any:
        return Sequential(dict(list(self._modules.items())[index])) if isinstance(index, slice) else super().__getitem__(index)

    def forward(self, input: Any) -> Any:
        for module in self:
            input = module(input)
        return input


class ModuleList(Row):
    """A list of modules, called by the user's own forward.

    >>> from striate import nn
    >>> nn.ModuleList(nn.Linear(8, 8) for _ in range(3))
    ModuleList(
      (0-2): 3 x Linear(in_features=8, out_features=8, bias=True)
    )
    """

    def __init__(self, modules: Iterable[Module] | None = None):
        super().__init__()
        self.extend(modules or ())

    def __getitem__(self, index: Any) -> Any:
        return ModuleList(list(self)[index]) if isinstance(index, slice) else super().__getitem__(index)

    def __iadd__(self, modules: Iterable[Module]) -> ModuleList:
        return self.extend(modules)

    def __repr__(self) -> str:
        """As PyTorch prints it: equal neighbours once, with their number."""
        children: list[tuple[int, int, str]] = []
        for i, text in enumerate(map(repr, self)):
            if children and children[-1][2] == text:
                children[-1] = (children[-1][0], i, text)
            else:
                children.append((i, i, text))
        lines = [
            (f"{first}", text) if first == last else (f"{first}-{last}", f"{last - first + 1} x {text}")
            for first, last, text in children
        ]
        return tree(type(self).__name__, self.extra_repr(), lines)


class ModuleDict(Module):
    """Modules by name, called by the user's own forward.

    >>> from striate import nn
    >>> heads = nn.ModuleDict({"coarse": nn.Linear(8, 2), "fine": nn.Linear(8, 10)})
    >>> heads["fine"].out_features
    10
    """

    def __init__(self, modules: Mapping[str, Module] | None = None):
        super().__init__()
        self.update(modules or {})

    def __getitem__(self, name: str) -> Any:
        return self._modules[name]

    def __setitem__(self, name: str, module: Module) -> None:
        self.add_module(name, module)

    def __delitem__(self, name: str) -> None:
        del self._modules[name]

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __contains__(self, name: str) -> bool:
        return name in self._modules

    def keys(self) -> Iterable[str]:
        return self._modules.keys()

    def values(self) -> Iterable[Any]:
        return self._modules.values()

    def items(self) -> Iterable[tuple[str, Any]]:
        return self._modules.items()

    def pop(self, name: str) -> Any:
        """Remove a module and return it."""
        return self._modules.pop(name)

    def clear(self) -> None:
        self._modules.clear()

    def update(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]]) -> None:
        """Add or replace modules, from a dict or from pairs."""
        for name, module in dict(modules).items():
            self.add_module(name, module)


class Parameters(Module):
    """What ParameterList and ParameterDict share: parameters under names."""

    def _hold(self, name: str, item: Any) -> None:
        if not isinstance(item, (Variable, np.ndarray)):
            raise ArgumentError(f"'{name}' of {type(self).__name__} must be a parameter or an array, got {item!r}")
        self.register_parameter(name, item if isinstance(item, Parameter) else Parameter(np.asarray(item)))

    def __len__(self) -> int:
        return len(self._parameters)

    def extra_repr(self) -> str:
        lines = (f"  ({name}): Parameter containing: [{p.dtype} of size {'x'.join(map(str, p.shape))}]"
                 for name, p in self._parameters.items())
        return "\n".join(lines)

    def __repr__(self) -> str:
        lines = self.extra_repr()
        return f"{type(self).__name__}(\n{lines}\n)" if lines else f"{type(self).__name__}()"


class ParameterList(Parameters):
    """A list of parameters, used by the user's own forward; arrays become parameters.

    >>> import numpy as np
    >>> ParameterList([np.zeros(3)])
    ParameterList(
      (0): Parameter containing: [float32 of size 3]
    )
    """

    def __init__(self, values: Iterable[Any] | None = None):
        super().__init__()
        self.extend(values or ())

    def append(self, value: Any) -> ParameterList:
        """Add a parameter at the end; returns self."""
        self._hold(str(len(self)), value)
        return self

    def extend(self, values: Iterable[Any]) -> ParameterList:
        """Add parameters at the end; returns self."""
        for value in list(values):
            self.append(value)
        return self

    def __iadd__(self, values: Iterable[Any]) -> ParameterList:
        return self.extend(values)

    def __getitem__(self, index: Any) -> Any:
        found = list(self._parameters.values())
        return ParameterList(found[index]) if isinstance(index, slice) else found[index]

    def __setitem__(self, index: int, value: Any) -> None:
        self._hold(list(self._parameters)[index], value)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._parameters.values())


class ParameterDict(Parameters):
    """Parameters by name, used by the user's own forward; arrays become parameters.

    >>> import numpy as np
    >>> list(ParameterDict({"scale": np.ones(2)}))
    ['scale']
    """

    def __init__(self, parameters: Mapping[str, Any] | Iterable[tuple[str, Any]] | None = None):
        super().__init__()
        self.update(parameters or {})

    def update(self, parameters: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> None:
        """Add or replace parameters, from a dict or from pairs."""
        for name, value in dict(parameters).items():
            self._hold(str(name), value)

    def __getitem__(self, name: str) -> Any:
        return self._parameters[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self._hold(name, value)

    def __delitem__(self, name: str) -> None:
        del self._parameters[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._parameters)

    def __contains__(self, name: str) -> bool:
        return name in self._parameters

    def keys(self) -> Iterable[str]:
        return self._parameters.keys()

    def values(self) -> Iterable[Any]:
        return self._parameters.values()

    def items(self) -> Iterable[tuple[str, Any]]:
        return self._parameters.items()

    def pop(self, name: str) -> Any:
        """Remove a parameter and return it."""
        return self._parameters.pop(name)

    def clear(self) -> None:
        self._parameters.clear()
