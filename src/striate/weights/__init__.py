"""Files of weights, read without running anything that stands in them.

    read(path)      arrays by name, of a safetensors file or of a file that torch.save wrote
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from striate.errors import ModelFileError
from striate.weights import tensors, torch_file

__all__ = ["read"]


def read(path: str | Path) -> dict[str, np.ndarray]:
    """The arrays in a file of weights, by name: `.safetensors`, or `.pth` and `.pt` as torch.save writes them.

        net.load_state_dict(striate.weights.read("resnet18-f37072fd.pth"))

    PyTorch is not needed, and no code in the file is run. bfloat16 becomes float32.

    Raises ModelFileError: the file is missing, truncated, of another kind, or holds more than tensors.
    """
    place = Path(path)
    try:
        with place.open("rb") as file:
            start = file.read(9)
    except OSError as error:
        if not place.exists():
            raise ModelFileError(f"there is no file of weights {path}; check the path") from None
        raise ModelFileError(f"{path} cannot be read: {error.strerror}") from None
    if start.startswith(torch_file.ZIP):
        return torch_file.read_zip(place)
    if start.startswith(torch_file.PICKLE) and start[8:] != b"{":  # a header's length may start with the same byte
        return torch_file.read_legacy(place)
    _, data = tensors.read(place)
    return tensors.arrays(data, place)
