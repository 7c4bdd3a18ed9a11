"""Rows of layers as the tree of their modules: what stands below which, and neighbours that are alike folded into one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any


@dataclass(frozen=True)
class Branch:
    """A module with all its rows, or one row alone (`leaf`)."""

    name: str
    path: str
    rows: tuple[Any, ...]
    leaf: bool

    def likeness(self, kinds: Mapping[str, str]) -> tuple[Any, ...]:
        """Equal for branches that differ in their place alone."""
        rows = tuple((r.layer[len(self.path):], r.op, r.output, r.parameters, r.macs) for r in self.rows)
        return kinds.get(self.path, ""), self.leaf, rows


def lines(rows: Sequence[Any], kinds: Mapping[str, str], fold: bool, prefix: str = "",
          depth: int = 0) -> Iterator[tuple[int, str, str, tuple[Any, ...], bool]]:
    """(depth, name, class of the module, rows below it, whether it is a row itself), from the top.

    kinds: class names by module path. fold: equal neighbours come once, with their number.
    """
    for _, alike in groupby(enumerate(branches(rows, prefix)), lambda e: e[1].likeness(kinds) if fold else e[0]):
        found = [branch for _, branch in alike]
        first, times = found[0], len(found)
        name = first.name if times == 1 else f"{first.name} .. {found[-1].name} ({times} times)".lstrip(" .")
        yield depth, name, kinds.get(first.path, "") if first.name else "", first.rows, first.leaf
        if not first.leaf:
            yield from lines(first.rows, kinds, fold, first.path, depth + 1)


def branches(rows: Sequence[Any], prefix: str) -> Iterator[Branch]:
    """The children of a module in the order of their rows; rows of the module itself come one by one."""
    start = len(prefix) + 1 if prefix else 0

    def child(item: tuple[int, Any]) -> Any:
        number, row = item
        return row.layer[start:].partition(".")[0] or number

    for name, run in groupby(enumerate(rows), child):
        found = tuple(row for _, row in run)
        if isinstance(name, int):
            yield Branch("", prefix, found, True)
            continue
        path = f"{prefix}.{name}" if prefix else name
        yield Branch(name, path, found, len(found) == 1 and found[0].layer == path)
