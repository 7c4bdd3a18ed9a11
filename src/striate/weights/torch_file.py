"""Files of torch.save, read without PyTorch and without running what stands in them.

    since PyTorch 1.6     a zip archive, nothing compressed:
                          NAME/data.pkl (the structure)   NAME/data/KEY (the numbers of storage KEY)   NAME/byteorder
    before                pickles one after another: magic number, version, system, the structure, keys of the storages;
                          then for each key: 8 bytes n | n numbers

The structure is a pickle, and a pickle is a program: it names functions and calls them. This reader knows seven names, those
that a dictionary of tensors needs, and gives for them objects of its own that cannot be changed and do nothing but
remember; every other name is refused before it is looked up. A tensor is a window into a storage, and is refused where it
reaches outside.

Source: PyTorch's documentation, notes on serialization semantics.
"""

from __future__ import annotations

import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from striate.errors import ModelFileError

ZIP, PICKLE = b"PK\x03\x04", b"\x80"
MAGIC = 0x1950A86A20F9469CFC6C
TYPES = {
    "FloatStorage": "float32", "DoubleStorage": "float64", "HalfStorage": "float16", "BFloat16Storage": "bfloat16",
    "LongStorage": "int64", "IntStorage": "int32", "ShortStorage": "int16", "CharStorage": "int8", "ByteStorage": "uint8",
    "BoolStorage": "bool",
}  # fmt: skip
NESTED = ("state_dict", "model_state_dict", "model", "net")
"""Where a checkpoint of a training run keeps the weights."""

Storages = Callable[["Storage"], np.ndarray]


class Storage(NamedTuple):
    """Numbers of one type, by the key under which the file keeps them."""

    dtype: str
    key: str
    count: int


class Tensor(NamedTuple):
    """A window into a storage: element (i, j, ...) stands at offset + i * strides[0] + j * strides[1] + ..."""

    storage: Any
    offset: Any
    shape: Any
    strides: Any


class Kind(str):
    """The name of a type of storage."""

    __slots__ = ()


class Rebuild:
    """What stands for torch._utils._rebuild_tensor and its kin: remembers the tensor that it is asked to build."""

    __slots__ = ()

    def __call__(self, storage: Any, offset: Any = 0, shape: Any = (), strides: Any = (), *rest: Any) -> Any:
        return Tensor(storage, offset, shape, strides)


class Unwrap:
    """What stands for torch._utils._rebuild_parameter: a parameter is its tensor."""

    __slots__ = ()

    def __call__(self, data: Any, *rest: Any) -> Any:
        return data


NAMES: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor"): Rebuild(),
    ("torch._utils", "_rebuild_tensor_v2"): Rebuild(),
    ("torch._utils", "_rebuild_parameter"): Unwrap(),
    **{("torch", name): Kind(dtype) for name, dtype in TYPES.items()},
}


class Reader(pickle.Unpickler):
    """Unpickles a structure of tensors and nothing else; `storages` are those that it refers to, by key."""

    def __init__(self, file: Any):
        super().__init__(file, encoding="utf-8")
        self.storages: dict[str, Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in NAMES:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which is no part of a dictionary of tensors")
        return NAMES[module, name]

    def persistent_load(self, pid: Any) -> Storage:
        if not isinstance(pid, tuple) or len(pid) < 5 or pid[0] != "storage" or not isinstance(pid[1], Kind):
            raise pickle.UnpicklingError("it refers to something that is no storage of numbers")
        if len(pid) > 5 and pid[5] is not None:
            raise pickle.UnpicklingError("it has a storage that is a part of another one")
        return self.storages.setdefault(str(pid[2]), Storage(str(pid[1]), str(pid[2]), int(pid[4])))


def read_zip(path: Path) -> dict[str, np.ndarray]:
    """Arrays by name of a file that PyTorch 1.6 or newer wrote. Raises ModelFileError."""
    try:
        with zipfile.ZipFile(path) as archive:
            packed = [item.filename for item in archive.infolist() if item.compress_type != zipfile.ZIP_STORED]
            structures = [name for name in archive.namelist() if name.endswith("/data.pkl")]
            if packed or len(structures) != 1:
                raise ModelFileError(f"{path} is a zip archive, but not one that torch.save wrote for weights; "
                                     "save net.state_dict() with torch.save")
            root = structures[0].removesuffix("data.pkl")
            order = archive.read(f"{root}byteorder").decode() if f"{root}byteorder" in archive.namelist() else "little"
            with archive.open(structures[0]) as file:
                found, _ = unpickle(file, path)
            return arrays(found, lambda storage: numbers(archive.read(f"{root}data/{storage.key}"), storage, order), path)
    except (zipfile.BadZipFile, EOFError, KeyError, NotImplementedError) as error:
        raise ModelFileError(f"{path} is damaged: {error}; copy or save it again") from None


def read_legacy(path: Path) -> dict[str, np.ndarray]:
    """Arrays by name of a file that PyTorch before 1.6 wrote. Raises ModelFileError."""
    with path.open("rb") as file:
        if unpickle(file, path)[0] != MAGIC:
            raise ModelFileError(f"{path} is a pickle, but not one that torch.save wrote; save net.state_dict() with torch.save")
        _, system, (found, storages), keys = (unpickle(file, path)[0], unpickle(file, path)[0], unpickle(file, path),
                                              unpickle(file, path)[0])
        order = "little" if not isinstance(system, dict) or dict.get(system, "little_endian", True) else "big"
        stored: dict[str, bytes] = {}
        for key in keys if isinstance(keys, list) else []:
            count = int.from_bytes(file.read(8), "little" if order == "little" else "big")
            if key not in storages or count != storages[key].count:
                raise ModelFileError(f"{path} is damaged: its storages are not those of its tensors; copy or save it again")
            stored[key] = file.read(count * width(storages[key].dtype))
            if len(stored[key]) < count * width(storages[key].dtype):
                raise ModelFileError(f"{path} is truncated in storage {key}; copy or save it again")
    return arrays(found, lambda storage: numbers(stored[storage.key], storage, order), path)


def unpickle(file: BinaryIO | Any, path: Path) -> tuple[Any, dict[str, Storage]]:
    """The next pickle of a file, and the storages that it refers to."""
    reader = Reader(file)
    try:
        return reader.load(), reader.storages
    except Exception as error:  # a pickle from an unknown hand can fail in any way
        reason = str(error) or type(error).__name__
        raise ModelFileError(f"{path} cannot be read as weights: {reason}; save net.state_dict() with torch.save") from None


def tensors_of(found: Any, path: Path) -> dict[str, Tensor]:
    """The tensors by name of a state_dict, or of the checkpoint that holds one."""
    for name in (None, *NESTED):
        held = found if name is None else dict.get(found, name) if isinstance(found, dict) else None
        if isinstance(held, dict):
            tensors = {k: v for k, v in dict.items(held) if isinstance(k, str) and isinstance(v, Tensor)}
            if tensors:
                return tensors
    raise ModelFileError(f"{path} holds no tensors by name; save net.state_dict() with torch.save")


def arrays(found: Any, stored: Storages, path: Path) -> dict[str, np.ndarray]:
    """Every tensor as an array of its own; each storage is read once."""
    known: dict[str, np.ndarray] = {}
    made = {}
    for name, tensor in tensors_of(found, path).items():
        storage = tensor.storage
        if not isinstance(storage, Storage):
            raise ModelFileError(f"'{name}' in {path} has no storage of numbers; copy or save the file again")
        if storage.key not in known:
            known[storage.key] = stored(storage)
        if not fits(tensor, known[storage.key].size):
            raise ModelFileError(f"'{name}' in {path} reaches outside of its storage; copy or save the file again")
        made[name] = windowed(known[storage.key], tensor)
    return made


def fits(tensor: Tensor, count: int) -> bool:
    """Whether a tensor's sizes make sense, and all of its elements stand in a storage of `count` numbers."""
    lists = (tensor.shape, tensor.strides)
    if not all(isinstance(item, tuple) and all(type(n) is int and n >= 0 for n in item) for item in lists):
        return False
    if type(tensor.offset) is not int or tensor.offset < 0 or len(tensor.shape) != len(tensor.strides):
        return False
    last = tensor.offset + sum((n - 1) * step for n, step in zip(*lists))
    return prod(tensor.shape) == 0 or (last < count and prod(tensor.shape) <= count)


def windowed(numbers: np.ndarray, tensor: Tensor) -> np.ndarray:
    if not prod(tensor.shape):
        return np.zeros(tensor.shape, numbers.dtype)
    strides = [step * numbers.itemsize for step in tensor.strides]
    return np.lib.stride_tricks.as_strided(numbers[tensor.offset :], tensor.shape, strides).copy()


def width(dtype: str) -> int:
    """Bytes of a number."""
    return 2 if dtype == "bfloat16" else np.dtype(dtype).itemsize


def numbers(data: bytes, storage: Storage, order: str) -> np.ndarray:
    """The numbers of a storage; bfloat16, which NumPy does not have, as float32 with 16 more zeros."""
    if len(data) < storage.count * width(storage.dtype):
        raise EOFError(f"storage {storage.key} has {len(data)} bytes, want {storage.count * width(storage.dtype)}")
    dtype = np.dtype("uint16" if storage.dtype == "bfloat16" else storage.dtype)
    array = np.frombuffer(data, dtype.newbyteorder("<" if order == "little" else ">"), storage.count).astype(dtype)
    return (array.astype(np.uint32) << 16).view(np.float32) if storage.dtype == "bfloat16" else array
