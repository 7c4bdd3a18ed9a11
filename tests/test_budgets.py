"""Sizes that keep the code readable: files that fit in the head, functions that fit on a screen, documented names.

The numbers are near the 90th percentile of well-read projects of this field. A file or function may be larger for a reason
that is written here.
"""

import ast
import re
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "striate"
FILES = {str(path.relative_to(SOURCE)): path.read_text(encoding="utf-8") for path in sorted(SOURCE.rglob("*.py"))}
FILE_LINES, FUNCTION_LINES, KERNEL_LINES = 400, 40, 60
LARGE_FILES = {
    "nn/module.py": "Module, Parameter and state_dict share their state",
    "kernel/language.py": "the words of the language in one place, the builder's list of what each meaning must say among them",
}
LARGE_FUNCTIONS = {"cli/train.py:train": "its arguments are the command's options, with their help"}


def functions(text: str) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)]


@pytest.mark.parametrize("name", FILES)
def test_files_and_functions_fit(name):
    lines = len(FILES[name].splitlines())
    assert lines <= (500 if name in LARGE_FILES else FILE_LINES), f"{name} has {lines} lines: cut it where the subject changes"
    limit = KERNEL_LINES if name.startswith("cpu/kernels/") else FUNCTION_LINES
    for function in functions(FILES[name]):
        size = (function.end_lineno or 0) - function.lineno + 1
        assert size <= limit or f"{name}:{function.name}" in LARGE_FUNCTIONS, f"{name}: {function.name} has {size} lines"


def test_reasons_are_still_needed():
    assert all(len(FILES[name].splitlines()) > FILE_LINES for name in LARGE_FILES)


@pytest.mark.parametrize("name", FILES)
def test_every_file_says_what_it_is(name):
    assert ast.get_docstring(ast.parse(FILES[name])) or not FILES[name], f"{name} needs a head"


OUTPUT_SIZE = re.compile(r"\+ *2 *\* *pad|// *(self\.)?strides?\b *\+ *1|dilation\w*(\[\w\])? *\* *\(\w+(\[\w\])? *- *1\)")


@pytest.mark.parametrize("name", [name for name in FILES if name != "window.py"])
def test_window_arithmetic_stands_in_window(name):
    found = [line.strip() for line in FILES[name].splitlines() if OUTPUT_SIZE.search(line)]
    assert not found, f"{name} computes a window's size by itself; use striate.window.Window: {found}"
