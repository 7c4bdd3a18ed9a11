"""Sums of products by letters.

    einsum("nkctv,kvw->nctw", x, a)[n, c, t, w] = sum over k, v of x[n, k, c, t, v] * a[k, v, w]

Operands are taken two at a time: letters that both have and somebody still needs are a batch, those that nobody needs are
summed, and a pair becomes one product of matrices. Source: NumPy's einsum.
"""

from __future__ import annotations

from math import prod
from typing import Any

from striate.errors import ArgumentError, ShapeError
from striate.graph import Value
from striate.nn.functional.arguments import Tensor, symbols


def einsum(equation: str, *operands: Tensor) -> Value:
    """The sum of products that the equation names, such as "bij,bjk->bik".

    Without an arrow the result has the letters that occur once, in their order. Raises ArgumentError for `...` and for a
    letter twice in one operand; ShapeError where a letter has two sizes.
    """
    values = symbols(operands, "einsum")
    given, arrow, out = equation.replace(" ", "").partition("->")
    terms = given.split(",")
    out = out if arrow else "".join(sorted(c for c in given.replace(",", "") if given.count(c) == 1))
    _check(equation, terms, out, values)
    (value, term), *rest = zip(values, terms, strict=True)
    for i, (other, letters) in enumerate(rest):
        later = {*out, *"".join(terms[i + 2:])}
        value, term = _pair(value, term, other, letters, later)
    value, term = _without(value, term, {*out})
    return value.permute([term.index(c) for c in out])


def _check(equation: str, terms: list[str], out: str, values: list[Value]) -> None:
    if len(terms) != len(values):
        raise ArgumentError(f"'{equation}' names {len(terms)} operands, einsum got {len(values)}")
    if any(not c.isalpha() for c in "".join([*terms, out])) or any(len({*t}) < len(t) for t in [*terms, out]):
        raise ArgumentError(f"'{equation}' must name each axis of an operand by a letter of its own")
    if not {*out} <= {*"".join(terms)}:
        raise ArgumentError(f"'{equation}' has letters in its result that no operand has")
    sizes: dict[str, int] = {}
    for term, value in zip(terms, values, strict=True):
        if len(term) != value.ndim:
            raise ShapeError(f"'{term}' names {len(term)} axes, the operand {value.shape} has {value.ndim}", fix="name each axis")
        for letter, n in zip(term, value.shape, strict=True):
            if sizes.setdefault(letter, n) != n:
                raise ShapeError(f"'{letter}' of '{equation}' stands for {sizes[letter]} and for {n}", fix="give it one size")


def _without(value: Value, term: str, kept: set[str]) -> tuple[Value, str]:
    """Summed over the letters that nobody needs."""
    lost = [i for i, c in enumerate(term) if c not in kept]
    return (value.sum(lost), "".join(c for c in term if c in kept)) if lost else (value, term)


def _pair(a: Value, la: str, b: Value, lb: str, later: set[str]) -> tuple[Value, str]:
    """Two operands as one."""
    a, la = _without(a, la, {*lb, *later})
    b, lb = _without(b, lb, {*la, *later})
    batch, summed = [c for c in la if c in lb and c in later], [c for c in la if c in lb and c not in later]
    left, right = [c for c in la if c not in lb], [c for c in lb if c not in la]
    sizes = {**dict(zip(la, a.shape, strict=True)), **dict(zip(lb, b.shape, strict=True))}

    def matrices(value: Value, term: str, rows: list[str], columns: list[str]) -> Any:
        moved = value.permute([term.index(c) for c in [*batch, *rows, *columns]])
        return moved.reshape(*(sizes[c] for c in batch), prod(sizes[c] for c in rows), prod(sizes[c] for c in columns))

    y = matrices(a, la, left, summed) @ matrices(b, lb, summed, right)
    term = [*batch, *left, *right]
    return y.reshape([sizes[c] for c in term]), "".join(term)
