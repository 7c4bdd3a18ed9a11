"""Weights for models: from a file, or published ones by name.

    models.resnet18(weights="resnet18.safetensors")     or .pth, as torch.save wrote it
    models.resnet18(weights="IMAGENET1K_V1")            downloaded once, checked, and kept in the cache folder

The names and addresses are torchvision's and timm's; the end of a file's name is the start of its SHA-256. The pictures that
these networks were trained on were scaled to 0..1, then normalised by mean (0.485, 0.456, 0.406) and standard deviation
(0.229, 0.224, 0.225); for `xception` by 0.5 and 0.5.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from striate.errors import ArgumentError, DataError, StateDictError, StriateError
from striate.nn.init import skipped
from striate.nn.module import Module

TORCHVISION = "https://download.pytorch.org/models/"
CADENE = "https://github.com/huggingface/pytorch-image-models/releases/download/v0.1-cadene/"


@dataclass(frozen=True)
class Published:
    """A file of weights: where it is, and the arguments that its network was trained with."""

    file: str
    folder: str = TORCHVISION
    arguments: dict[str, Any] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """How the file's SHA-256 starts."""
        return self.file.rpartition("-")[2].removesuffix(".pth")


V1, V2 = "IMAGENET1K_V1", "IMAGENET1K_V2"
HALF = {"transform_input": True}
PUBLISHED: dict[str, dict[str, Published]] = {
    "alexnet_owt": {V1: Published("alexnet-owt-7be5be79.pth")},
    "googlenet_bn": {V1: Published("googlenet-1378be20.pth", arguments=HALF)},
    "inception_v3": {V1: Published("inception_v3_google-0cc3c7bd.pth", arguments=HALF)},
    "mobilenet_v2": {V1: Published("mobilenet_v2-b0353104.pth"), V2: Published("mobilenet_v2-7ebf99e0.pth")},
    "resnet18": {V1: Published("resnet18-f37072fd.pth")},
    "resnet34": {V1: Published("resnet34-b627a593.pth")},
    "resnet50": {V1: Published("resnet50-0676ba61.pth"), V2: Published("resnet50-11ad3fa6.pth")},
    "resnet101": {V1: Published("resnet101-63fe2227.pth"), V2: Published("resnet101-cd907fc2.pth")},
    "resnet152": {V1: Published("resnet152-394f9c45.pth"), V2: Published("resnet152-f82ba261.pth")},
    "vgg11": {V1: Published("vgg11-8a719046.pth")},
    "vgg11_bn": {V1: Published("vgg11_bn-6002323d.pth")},
    "vgg13": {V1: Published("vgg13-19584684.pth")},
    "vgg13_bn": {V1: Published("vgg13_bn-abd245e5.pth")},
    "vgg16": {V1: Published("vgg16-397923af.pth")},
    "vgg16_bn": {V1: Published("vgg16_bn-6c64b313.pth")},
    "vgg19": {V1: Published("vgg19-dcbb9e9d.pth")},
    "vgg19_bn": {V1: Published("vgg19_bn-c79401a0.pth")},
    "xception": {V1: Published("xception-43020ad28.pth", CADENE)},
}
"""model -> name of the weights -> file."""


def load_into(name: str, make: Callable[..., Module], signature: inspect.Signature, args: tuple[Any, ...],
              kwargs: dict[str, Any], weights: str | Path, strict: bool) -> Module:
    """A model with weights from a file or by name.

    With strict=False what the file lacks, or has in another shape (a head for other classes), keeps its initial values.

    Raises ModelFileError: no such file, or a broken one; StateDictError: weights that do not fit.
    """
    from striate.weights import read

    published = PUBLISHED.get(name, {}).get(str(weights))
    if published is not None:
        given = signature.bind_partial(*args, **kwargs).arguments
        kwargs = {**kwargs, **{k: v for k, v in published.arguments.items() if k not in given}}
    state = read(located(name, weights, published))
    if not strict:
        net = make(args, kwargs)
        net.load_state_dict(fitting(net, state), strict=False)
        return net
    with skipped():
        net = make(args, kwargs)
    try:
        net.load_state_dict(completed(net, state))
    except StateDictError as error:
        raise StateDictError(f"{error}; or, to train a new head for other classes: models.{name}(weights=..., strict=False) "
                             "keeps what fits") from None
    return net


def located(name: str, weights: str | Path, published: Published | None) -> Path:
    """The file of weights; downloaded where it has a published name and is not in the cache folder yet."""
    if published is not None:
        return fetched(published)
    if isinstance(weights, str) and not Path(weights).suffix and not Path(weights).exists():
        known = ", ".join(PUBLISHED.get(name, {})) or "no published weights"
        raise ArgumentError(f"there are no weights '{weights}' for '{name}'; give the path of a .safetensors or .pth file; "
                            f"by name there are: {known}")
    return Path(weights)


def fetched(published: Published) -> Path:
    from http.client import HTTPException

    from striate.data.download import download
    from striate.folders import cache_folder

    path, url = cache_folder() / "weights" / published.file, published.folder + published.file
    if path.is_file():
        return path
    try:
        return download(url, path, published.digest, "sha256")
    except (OSError, HTTPException, StriateError) as error:
        raise DataError(f"{published.file} is not in {path.parent} and cannot be downloaded "
                        f"({getattr(error, 'reason', error)}); get it from {url} and put it into that folder") from None


def completed(net: Module, state: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A file's weights without those of heads that this network goes without, and with the counters of batches that files
    from before 2018 lack."""
    left_out = tuple(p for p in getattr(net, "not_in_file", ()) if not any(n.startswith(p) for n in net._state()))
    kept = {name: array for name, array in state.items() if not (left_out and name.startswith(left_out))}
    counters = {n: v.data for n, v in net._state().items() if n.endswith("num_batches_tracked") and n not in state}
    return kept | counters


def fitting(net: Module, state: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The part of a file's weights that has this network's names and shapes. Raises StateDictError where nothing has."""
    own = net._state()
    found = {name: array for name, array in state.items() if name in own and own[name].shape == array.shape}
    if not found:
        raise StateDictError(f"none of the file's {len(state)} arrays fits {type(net).__name__} in name and shape")
    return found
