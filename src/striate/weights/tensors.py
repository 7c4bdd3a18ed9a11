"""Safetensors files: their header, checked before anything is read, and their arrays.

    8 bytes n | n bytes of JSON: names, shapes, places, and "__metadata__" | the arrays

Source: https://github.com/huggingface/safetensors, section "Format".
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load

from striate.errors import ModelFileError

DTYPES = {"float64": "F64", "int64": "I64", "float32": "F32", "int32": "I32", "float16": "F16", "int16": "I16", "int8": "I8",
          "uint64": "U64", "uint32": "U32", "uint16": "U16", "uint8": "U8", "bool": "BOOL"}
FOREIGN = {b"PK\x03\x04": "a zip archive, as torch.save writes it", b"\x80\x02": "a pickle", b"\x89PNG": "a PNG image",
           b"\x89HDF": "an HDF5 file"}


def arrays(data: bytes, path: str | Path) -> dict[str, np.ndarray]:
    """The arrays by name, out of what `read` gave."""
    try:
        return load(data)
    except (SafetensorError, KeyError, TypeError) as error:
        raise ModelFileError(f"the weights in {path} cannot be read: {error}; "
                             "the file is damaged, or of a newer format") from None


def pieces(arrays: Mapping[str, np.ndarray], metadata: dict[str, str]) -> Iterator[bytes | memoryview]:
    """A file's bytes one after another: the head, then the arrays, which are not copied. Wide numbers first, so all are aligned.

    >>> b"".join(pieces({"a": np.float32([1])}, {}))[8:]
    b'{"__metadata__": {}, "a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}       \\x00\\x00\\x80?'
    """
    header: dict[str, Any] = {"__metadata__": metadata}
    ordered = dict(sorted(arrays.items(), key=lambda item: -item[1].itemsize))
    end = 0
    for name, array in ordered.items():
        start, end = end, end + array.nbytes
        header[name] = {"dtype": DTYPES[array.dtype.name], "shape": array.shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    yield len(text).to_bytes(8, "little") + text
    for array in ordered.values():
        yield np.ascontiguousarray(array, array.dtype.newbyteorder("<")).reshape(-1).view(np.uint8).data


def read(path: Path, weights: bool = True) -> tuple[dict[str, Any], bytes]:
    """The header of a file and, with `weights`, all of its bytes."""
    try:
        with path.open("rb") as file:
            start, size = file.read(9), os.fstat(file.fileno()).st_size
            length = int.from_bytes(start[:8], "little")
            kind = next((kind for magic, kind in FOREIGN.items() if start.startswith(magic)), "")
            if start[8:] != b"{":
                raise ModelFileError(f"{path} is not a model file{f' but {kind}' if kind else ''}; "
                                     "st.load reads what st.save wrote, and safetensors files")
            _whole(path, 8 + length, size)
            text = start[8:] + file.read(length - 1)
            header = _parsed(text, path)
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
            _whole(path, 8 + length + max(ends, default=0), size)
            file.seek(0)
            return header, file.read() if weights else b""
    except ModelFileError:
        raise
    except FileNotFoundError:
        raise ModelFileError(f"there is no model file {path}; check the path") from None
    except IsADirectoryError:
        raise ModelFileError(f"{path} is a folder; give the path of a model file") from None
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror}") from error


def _whole(path: Path, expected: int, found: int) -> None:
    if found < expected:
        raise ModelFileError(f"{path} is truncated: expected {expected:,} bytes, found {found:,}; copy or save it again")


def _parsed(text: bytes, path: Path) -> dict[str, Any]:
    try:
        return json.loads(text)
    except ValueError:
        raise ModelFileError(f"the header of {path} is damaged; copy or save the file again") from None
