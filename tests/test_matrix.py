"""Every operator answers every question, or says why not; and the page that shows it is as the code is."""

import importlib.util
from pathlib import Path

import pytest

from striate import ops

TOOL = Path(__file__).parent.parent / "tools" / "matrix.py"


@pytest.fixture(scope="module")
def matrix():
    spec = importlib.util.spec_from_file_location("matrix", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_no_silent_gap(matrix):
    assert matrix.gaps() == []


def test_a_new_operator_is_a_gap(matrix):
    class Forgotten(ops.Op):  # registers itself
        name = "forgotten"
        __module__ = "striate.ops.forgotten"

    try:
        found = [gap for gap in matrix.gaps() if gap.startswith(Forgotten.name)]
    finally:
        ops.REGISTRY.pop(Forgotten.name)
    assert found == [f"forgotten does not answer '{q}'" for q in ("made by", "reference", "gradient", "sees", "CPU")]


def test_the_page_is_as_the_code_is(matrix):
    assert matrix.PAGE.read_text(encoding="utf-8") == matrix.page(), "run: make matrix"
