"""The concepts of convolutional networks as pictures: SVG text, nothing to install.

svg.py           lines, boxes, words             plot.py      curves
activations.py   functions and derivatives       norms.py     what is normalised together
windows.py       convolution, padding, stride, dilation, pooling, receptive field
blocks.py        dropout, residual sum, inception
network.py       any network, drawn from its graph

    draw.figure("activations").save("activations.svg")          or: striate draw activations
    draw.diagram(net, (3, 224, 224)).save("net.svg")            or: striate draw resnet18
"""

from collections.abc import Callable

from striate.draw.activations import activations
from striate.draw.blocks import dropout, inception, residual
from striate.draw.network import diagram
from striate.draw.norms import norms
from striate.draw.plot import chart
from striate.draw.svg import Drawing
from striate.draw.windows import convolution, dilation, padding, pooling, receptive, stride
from striate.errors import ArgumentError

DRAWERS = (activations, convolution, dilation, dropout, inception, norms, padding, pooling, receptive, residual, stride)
FIGURES: dict[str, Callable[[], Drawing]] = {drawer.__name__: drawer for drawer in DRAWERS}
"""Name -> the function that draws the figure."""


def figure(name: str) -> Drawing:
    """A figure by its name. Raises ArgumentError.

    >>> figure("pooling").title
    'Pooling: 2 x 2 to one'
    """
    if name not in FIGURES:
        raise ArgumentError(f"there is no figure '{name}'; there are {', '.join(FIGURES)}")
    return FIGURES[name]()


__all__ = ["FIGURES", "Drawing", "chart", "diagram", "figure"]
