"""Machine code of kernels: compiled once, kept on disk, loaded when wanted.

An entry's key is everything that the code depends on: the kernel's specification (of a kernel from elsewhere all that it
writes), the machine, llvmlite's version, and the sources of the kernel language and the kernels. An entry carries its own
checksum; a broken one is compiled again. Files are written under another name and then renamed, so several processes may share
the folder.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, is_dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from striate.cpu.kernels.base import Kernel
from striate.folders import cache_folder
from striate.kernel.emit import Emit
from striate.kernel.machine import Machine

MAGIC = b"striate1"
SOURCES = ("window.py", "kernel/*.py", "cpu/layout.py", "cpu/kernels/*.py")


def folder() -> Path:
    """Where object code is kept."""
    return cache_folder() / "kernels"


@cache
def _sources() -> str:
    """A digest of the code that writes kernels, and of the compiler's version."""
    import llvmlite

    package = Path(__file__).parent.parent
    digest = hashlib.sha256(llvmlite.__version__.encode())
    for pattern in SOURCES:
        for path in sorted(package.glob(pattern)):
            digest.update(path.read_bytes())
    return digest.hexdigest()


class Entry:
    """What is kept of a kernel for one machine: its key, and its LLVM IR, which is written when it is first asked for."""

    def __init__(self, kernel: Kernel, machine: Machine):
        self.kernel, self.machine = kernel, machine

    @cached_property
    def key(self) -> str:
        """The name of the entry and of its function. A kernel of somebody else's is known by all that it writes."""
        known = repr(self.kernel) if ours(self.kernel) else self._written.text()
        return "k" + hashlib.sha256(f"{known}|{self.machine!r}|{_sources()}".encode()).hexdigest()[:40]

    @property
    def text(self) -> str:
        return self._written.text(self.key)

    @cached_property
    def _written(self) -> Emit:
        return written(self.kernel, self.machine)


def ours(value: Any) -> bool:
    """Whether all that a specification is made of is striate's, whose sources are part of every key."""
    if isinstance(value, (tuple, list)):
        return all(ours(item) for item in value)
    parts = [getattr(value, field.name) for field in fields(value)] if is_dataclass(value) else []
    return type(value).__module__.split(".")[0] in ("striate", "builtins") and ours(parts)


def written(kernel: Kernel, machine: Machine) -> Emit:
    """A kernel in the making: its LLVM IR but for a name."""
    k = Emit(machine, kernel.arguments)
    kernel.build(k)
    return k


def source_of(kernel: Kernel, machine: Machine) -> str:
    """A kernel's LLVM IR."""
    return written(kernel, machine).text()


def _read(path: Path) -> bytes | None:
    """An entry's object code; None where there is none, or a broken one."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    code = data[len(MAGIC) + 32:]
    return code if data[: len(MAGIC)] == MAGIC and hashlib.sha256(code).digest() == data[len(MAGIC): len(MAGIC) + 32] else None


_warned: set[str] = set()


def _write(path: Path, code: bytes) -> None:
    """Keep an entry; a folder that cannot be written costs only the time to compile again."""
    temporary = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new")
        with os.fdopen(handle, "wb") as file:
            file.write(MAGIC + hashlib.sha256(code).digest() + code)
        os.replace(temporary, path)
    except OSError as error:
        if temporary and os.path.exists(temporary):
            os.unlink(temporary)
        if str(path.parent) not in _warned:
            _warned.add(str(path.parent))
            warnings.warn(f"the kernel cache {path.parent} cannot be written ({error.strerror}), so kernels are compiled again "
                          "in every process; set STRIATE_CACHE to a folder that can", RuntimeWarning, stacklevel=2)


class Library:
    """The kernels that this process has loaded: specification -> address of its function."""

    def __init__(self) -> None:
        self.addresses: dict[tuple[Kernel, Machine], int] = {}
        self.compiled = 0
        """Kernels that were compiled rather than found on disk."""
        self._trackers: list[Any] = []

    def load(self, kernels: Sequence[Kernel], machine: Machine) -> list[int]:
        """Addresses of the kernels; what is not known is compiled, on two threads, and kept."""
        missing = [k for k in dict.fromkeys(kernels) if (k, machine) not in self.addresses]
        if missing:
            entries = [Entry(k, machine) for k in missing]
            keys = [entry.key for entry in entries]
            paths = [folder() / f"{key}.o" for key in keys]
            codes: list[bytes | None] = [_read(path) for path in paths]
            wanted = [i for i, code in enumerate(codes) if code is None]
            for i, code in zip(wanted, _compile([entries[i].text for i in wanted], machine), strict=True):
                codes[i] = code
                _write(paths[i], code)
            self.compiled += len(wanted)
            for kernel, address in zip(missing, self._link(keys, codes, machine), strict=True):
                self.addresses[kernel, machine] = address
        return [self.addresses[k, machine] for k in kernels]

    def object_of(self, name: str, text: str, machine: Machine) -> bytes:
        """Object code of a text of LLVM IR, from disk if it is there."""
        digest = hashlib.sha256(f"{text}|{machine!r}|{_sources()}".encode()).hexdigest()[:40]
        path = folder() / f"{name}-{digest}.o"
        code = _read(path)
        if code is None:
            code = _compile([text], machine)[0]
            _write(path, code)
        return code

    def _link(self, keys: Sequence[str], codes: Sequence[bytes | None], machine: Machine) -> list[int]:
        import llvmlite.binding as llvm

        from striate.kernel.compile import target_machine

        engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), target_machine(machine))
        for code in codes:
            engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        engine.finalize_object()
        self._trackers.append(engine)
        return [engine.get_function_address(key) for key in keys]


def _compile(texts: Sequence[str], machine: Machine) -> list[bytes]:
    from striate.kernel.compile import object_code

    if len(texts) < 2:
        return [object_code(text, machine) for text in texts]
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        return list(pool.map(lambda text: object_code(text, machine), texts))


library = Library()
