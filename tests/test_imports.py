"""Imports point one way, so that every part can be read knowing only what stands before it."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src"
MAY_IMPORT = {
    "errors": "",
    "folders": "",
    "window": "errors",
    "random": "errors",
    "ops": "errors window",
    "arithmetic": "errors ops",
    "value": "errors window ops arithmetic",
    "graph": "errors ops value",
    "gradient": "graph",
    "nn": "errors window random ops graph",
    "models": "errors graph nn",
    "weights": "errors",
    "optim": "errors ops nn",
    "kernel": "errors",
    "cpu": "errors folders window ops graph kernel",
    "ask": "errors window ops graph gradient nn",
    "indices": "errors ops graph",
    "calling": "errors ops graph",
    "engine": "errors random ops graph calling indices gradient nn cpu",
    "architecture": "errors nn",
    "storage": "errors nn architecture weights",
    "data": "errors folders random",
    "train": "errors graph nn optim engine",
    "text": "errors data",
    "draw": "errors window graph nn ask vision",
    "design": "errors window nn",
    "vision": "errors window ops graph nn data",
    "cli": "errors",
    "__main__": "cli",
    "__init__": "random graph nn models optim cpu ask engine storage train",
}
"""What each part of the package may import when it is itself imported. What a function imports when it is called is free:
that is how a graph finds its targets, and how a network finds its engine."""


def imported(file: Path) -> set[str]:
    """Parts of striate that a module imports at its top level."""
    names: list[str] = []
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "striate":
            names += [f"striate.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names.append(node.module or "")
    return {name.split(".")[1] for name in names if name.startswith("striate.")}


FILES = sorted((SOURCE / "striate").rglob("*.py"))


@pytest.mark.parametrize("file", FILES, ids=[str(f.relative_to(SOURCE)) for f in FILES])
def test_imports_point_one_way(file):
    part = file.relative_to(SOURCE / "striate").parts[0].removesuffix(".py")
    assert part in MAY_IMPORT, f"say in MAY_IMPORT what '{part}' may import"
    more = imported(file) - {part} - set(MAY_IMPORT[part].split())
    assert not more, f"{part} must not import {', '.join(sorted(more))} when it is imported"


def test_the_rules_have_no_circle():
    left = {part: set(others.split()) for part, others in MAY_IMPORT.items()}
    while ready := [part for part, others in left.items() if not others]:
        left = {part: others - set(ready) for part, others in left.items() if part not in ready}
    assert not left


def test_questions_and_targets_do_not_know_each_other():
    assert "cpu" not in MAY_IMPORT["ask"].split() and "ask" not in MAY_IMPORT["cpu"].split()
