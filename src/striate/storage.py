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
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from striate.architecture import describe, rebuild
from striate.errors import ArgumentError, ModelFileError
from striate.nn.module import Module
from striate.weights import read as read_weights
from striate.weights import tensors

FORMAT = 1


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
    arrays = {name: variable.data for name, variable in net._state().items()}
    replace(Path(path), tensors.pieces(arrays, {"striate": text}))


def load(path: str | Path, net: Module | None = None) -> Module:
    """The network in a file, in eval mode.

    A network of a class of your own is rebuilt by your code: give an instance as `net`, and it gets the weights. With
    `net`, any file of weights will do whose names and shapes fit: safetensors, or what torch.save wrote.

    Raises ModelFileError: the file is missing, truncated or of another kind; StateDictError: its weights do not fit.
    """
    if net is not None:
        net.load_state_dict(read_weights(path))
        return net.eval()
    header, data = tensors.read(Path(path))
    net = _built(header, path)
    net.load_state_dict(tensors.arrays(data, path))
    return net.eval()


def load_metadata(path: str | Path) -> dict[str, Any]:
    """The metadata that `save` was given. Raises ModelFileError as `load` does."""
    return _held(tensors.read(Path(path), weights=False)[0], path)["metadata"]


def version() -> str:
    """Of this striate."""
    from striate import __version__

    return __version__


def _built(header: dict[str, Any], path: str | Path) -> Module:
    architecture = _held(header, path)["architecture"]
    if "class" not in architecture:
        return rebuild(architecture)
    name = architecture["class"].rpartition(":")[2]
    raise ModelFileError(f"{path} holds the weights of {architecture['class']}, which your code has to build; "
                         f"make an instance and give it: st.load(path, net={name}(...))")


def _held(header: dict[str, Any], path: str | Path) -> dict[str, Any]:
    """What `save` wrote into the header besides the weights."""
    text = header.get("__metadata__", {}).get("striate")
    if text is None:
        raise ModelFileError(f"{path} has weights but was not written by striate, so the network is not known; "
                             "build it and give it: st.load(path, net=net)")
    held = json.loads(text)
    if held["format"] > FORMAT:
        raise ModelFileError(f"{path} has format {held['format']}, written by striate {held['striate']}, and this version reads "
                             f"{FORMAT}; install a newer striate")
    return held


def _plain(item: Any) -> Any:
    """NumPy's numbers and arrays, and sets of names, as JSON knows them."""
    if isinstance(item, (np.ndarray, np.generic)):
        return item.tolist()
    raise TypeError(f"{type(item).__name__} is not data")


def replace(path: Path, pieces: Iterable[bytes | memoryview]) -> None:
    """Put data in the place of a file: first beside it and safely on the disk, then renamed over it."""
    place = Path(os.path.realpath(path))
    beside = place.with_name(f".{place.name}.{uuid.uuid4().hex[:8]}")
    try:
        with beside.open("xb") as file:
            file.writelines(pieces)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, place)
    except OSError as error:
        kept = "the file that was there is as it was" if place.is_file() else "check the folder and the space on the disk"
        raise ModelFileError(f"{path} could not be written: {error.strerror}; {kept}") from error
    finally:
        beside.unlink(missing_ok=True)
