"""PyTorch's name for optim.schedule."""

from striate.optim.schedule import *  # noqa: F403
from striate.optim.schedule import __all__ as __all__
