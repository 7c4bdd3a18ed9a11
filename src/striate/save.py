"""Model files: weights as safetensors, with the architecture and whatever else `predict` needs in the file's metadata.

    8 bytes n | n bytes of JSON: names, shapes, places, and "__metadata__" | the arrays

`__metadata__["striate"]` is JSON again: {"format": 1, "striate": version, "architecture": {...}, "metadata": {...}}. No
pickle, nothing in the file is run. Other programs read the weights as of any safetensors file.

A file is written beside its place and then renamed over it, so that whoever reads finds the old file or the new one,
whole, whatever happens in between.

Source: https://github.com/huggingface/safetensors, section "Format".
"""

from __future__ import annotations

import json
import os
import uuid
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as read_tensors
from safetensors.numpy import save as write_tensors

from striate.architecture import describe, rebuild
from striate.errors import ArgumentError, ModelFileError
from striate.nn.module import Module

FORMAT = 1
MAGIC = {b"PK\x03\x04": "a zip archive, as torch.save writes it", b"\x80\x02": "a pickle", b"\x89PNG": "a PNG image",
         b"\x89HDF": "an HDF5 file"}


def save(net: Module, path: str | Path, metadata: dict[str, Any] | None = None) -> None:
    """Write a network to a file; a file that was there is replaced whole, or not at all.

    `metadata` is JSON-like data that travels along, such as {"classes": ["cat", "dog"]}; `load_metadata` reads it.

    Raises ModelFileError: the file cannot be written; ArgumentError: metadata that JSON cannot express.
    """
    held = {"format": FORMAT, "striate": version(), "architecture": describe(net), "metadata": metadata or {}}
    try:
        text = json.dumps(held, default=_plain)
    except TypeError as error:
        raise ArgumentError(f"the metadata cannot be written as JSON: {error}; use numbers, texts, lists and dicts") from None
    replace(Path(path), write_tensors(net.state_dict(), {"striate": text}))


def load(path: str | Path, net: Module | None = None) -> Module:
    """The network in a file, in eval mode.

    A network of a class of your own is rebuilt by your code: give an instance as `net`, and it gets the weights. With
    `net`, any safetensors file will do whose names and shapes fit.

    Raises ModelFileError: the file is missing, truncated or of another kind; StateDictError: its weights do not fit.
    """
    data = read(Path(path))
    header = _header(data, path)
    if net is None:
        held = _held(header, path)
        if "class" in held["architecture"]:
            name = held["architecture"]["class"].rpartition(":")[2]
            raise ModelFileError(f"{path} holds the weights of a class of your own, {held['architecture']['class']}; "
                                 f"make an instance and give it: st.load(path, net={name}(...))")
        net = rebuild(held["architecture"])
    net.load_state_dict(_tensors(data, path))
    return net.eval()


def load_metadata(path: str | Path) -> dict[str, Any]:
    """The metadata that `save` was given. Raises ModelFileError as `load` does."""
    return _held(_header(read(Path(path), header_only=True), path), path)["metadata"]


def version() -> str:
    from striate import __version__

    return __version__


# files
def read(path: Path, header_only: bool = False) -> bytes:
    """The bytes of a file, or of its header."""
    try:
        with path.open("rb") as file:
            start = file.read(8)
            return start + (file.read(int.from_bytes(start, "little")) if header_only and path.stat().st_size < 1 else file.read())
    except FileNotFoundError:
        raise ModelFileError(f"there is no model file {path}; check the path") from None
    except IsADirectoryError:
        raise ModelFileError(f"{path} is a folder; give the path of a model file") from None
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror}") from error


def replace(path: Path, data: bytes) -> None:
    """Put data in the place of a file: first beside it and safely on the disk, then renamed."""
    place = Path(os.path.realpath(path))
    beside = place.with_name(f".{place.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        with beside.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, place)
    except OSError as error:
        raise ModelFileError(f"{path} could not be written: {error.strerror}; {_kept(place)}") from error
    finally:
        beside.unlink(missing_ok=True)
