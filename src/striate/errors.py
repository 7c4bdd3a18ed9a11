"""Errors: every message names the operator and its place, shows the equation with its values, and says how to mend it.

A message is one or two sentences. The rules of an operator raise with what they know (the problem and its mend);
`Graph.apply` catches the error once and puts the operator's name, its module path and the user's file and line in front.
"""

from __future__ import annotations


class StriateError(Exception):
    """Base of every error that striate raises on purpose."""


class ShapeError(StriateError, ValueError):
    """Sizes that do not fit together.

    >>> raise ShapeError("x has 4 channels but the weight reads 3", fix="use in_channels=4")
    Traceback (most recent call last):
        ...
    striate.errors.ShapeError: x has 4 channels but the weight reads 3; use in_channels=4
    """

    def __init__(self, problem: str, *, fix: str = "", place: str = ""):
        self.problem, self.fix, self.place = problem, fix, place
        super().__init__(message(problem, fix, place))

    def at(self, place: str) -> ShapeError:
        """The same error, with the operator and its place in front."""
        return type(self)(self.problem, fix=self.fix, place=place)


class DtypeError(ShapeError, TypeError):
    """An array of the wrong element type."""


class ArgumentError(StriateError, ValueError):
    """An argument outside its range, or a name that is not known."""


class StateDictError(StriateError, RuntimeError):
    """A state_dict whose keys or shapes differ from the module's."""


class ModelFileError(StriateError, OSError):
    """A model file that is missing, truncated, foreign, or could not be written."""


class DataError(StriateError, ValueError):
    """A dataset that is missing, empty or broken, or labels that make no sense."""


class RangeError(DataError, IndexError):
    """A whole number that points past the end: a label that is no class, a number that is no row of an embedding."""


class KernelError(StriateError):
    """A kernel that was written wrongly: an author's error, not a user's."""


def message(problem: str, fix: str = "", place: str = "") -> str:
    """`place: problem; fix`, without the parts that are empty."""
    return (f"{place}: " if place else "") + problem + (f"; {fix}" if fix else "")
