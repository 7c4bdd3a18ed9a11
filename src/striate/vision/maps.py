"""What a network sees: the kernels of its first layer, and the feature maps behind each of its convolutions.

First layers tend to learn edges and colours, middle ones parts of things, the last ones the things themselves: Zeiler &
Fergus, Visualizing and understanding convolutional networks, arXiv:1311.2901, section 4.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from striate import ops
from striate.errors import ArgumentError
from striate.graph import Graph, Node, Value
from striate.nn import Conv2d, Module
from striate.vision.pictures import side_by_side, stretched


def feature_maps(net: Module, image: np.ndarray) -> dict[str, np.ndarray]:
    """Layer -> feature maps (C, H, W) behind each convolution of a network, after its normalisation and activation.

    `image` is (C, H, W), as the network wants it. The network runs in eval mode.

    >>> from striate import nn
    >>> net = nn.Sequential(nn.Conv2d(1, 6, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 8, 3))
    >>> {name: maps.shape for name, maps in feature_maps(net, np.ones((1, 12, 12), np.float32)).items()}
    {'0': (6, 10, 10), '3': (8, 3, 3)}
    """
    from striate.ask.tracing import traced

    x = np.asarray(image, np.float32)[None]
    graph = traced(net, x.shape[1:])
    users = graph.users()
    ends = {node.module: finished(graph, users, node) for node in graph.nodes if isinstance(node.op, ops.Conv2d)}
    if not ends:
        raise ArgumentError(f"{type(net).__name__} has no convolution, so no feature maps; give a convolutional network")
    graph.outputs, graph.structure = list(ends.values()), lambda outputs: outputs
    return {name: maps[0] for name, maps in zip(ends, graph.prune().run(x))}


def finished(graph: Graph, users: dict[Value, list[Node]], convolution: Node) -> Value:
    """A convolution's output behind the operators that follow it alone and keep its shape: normalisation, activation."""
    value = convolution.output
    fixed = {*graph.parameters.values(), *graph.buffers.values()}
    while len(following := users.get(value, [])) == 1:
        node = following[0]
        others = [v for v in node.inputs if v is not value and v not in fixed and v.constant is None]
        if others or len(node.outputs) > 1 or node.output.shape != value.shape or isinstance(node.op, ops.Conv2d):
            break
        value = node.output
    return value


def show_kernels(net: Module, columns: int = 8, height: int = 48) -> Any:
    """A Pillow image of the kernels of a network's first convolution, each stretched from black to white.

    Kernels over three channels are shown in colour; over more, by their first channel.

    >>> from striate import nn
    >>> show_kernels(nn.Conv2d(3, 16, 7)).size
    (408, 144)
    """
    layer = next((module for module in net.modules() if isinstance(module, Conv2d)), None)
    if layer is None:
        raise ArgumentError(f"{type(net).__name__} has no nn.Conv2d, so no kernels to show; give a convolutional network")
    weight = layer.weight.data
    weight = weight if weight.shape[1] == 3 else weight[:, :1]
    return side_by_side([(str(k), stretched(w)) for k, w in enumerate(weight)], columns, height)


def show_maps(net: Module, image: np.ndarray, most: int = 8, height: int = 72) -> Any:
    """A Pillow image with a row for each convolution of a network: the first `most` of its feature maps of an image.

    The words below a row tell the layer, the size of its maps, and how many pixels of the image one of theirs depends on.

    >>> from striate import nn
    >>> show_maps(nn.Conv2d(1, 2, 3), np.eye(10, dtype=np.float32)[None]).size
    (168, 106)
    """
    from striate.ask.receptive import receptive_field

    found = feature_maps(net, image)
    seen = {field.layer: field.size for field in receptive_field(net, np.shape(image)).layers}
    columns = min(most, max(len(maps) for maps in found.values()))
    named: list[tuple[str, np.ndarray] | None] = []
    for name, maps in found.items():
        words = f"{name or type(net).__name__}: {times(maps.shape[1:])}, each pixel sees {times(seen[name])}"
        named += [(words if k == 0 else "", stretched(m)) for k, m in enumerate(maps[:columns])]
        named += [None] * (columns - min(columns, len(maps)))
    return side_by_side(named, columns, height)


def times(numbers: tuple[int, ...]) -> str:
    return " x ".join(map(str, numbers))
