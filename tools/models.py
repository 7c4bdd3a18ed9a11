"""The table of models: docs/models.md.

    python tools/models.py
"""

from __future__ import annotations

import inspect
import sys
from pathlib import Path

from striate import models
from striate.ask.summary import summary
from striate.models.registry import MODELS
from striate.nn.init import skipped

PAGE = Path(__file__).parent.parent / "docs" / "models.md"
HEAD = """# Models

Written by `python tools/models.py`. Each model's file opens with the network, its source, and what differs from it.

`models.create(name)` or `models.NAME(...)` builds one; `weights=` takes a `.safetensors` or `.pth` file, or the name of published
weights (`models/published.py`), and `strict=False` keeps what fits where the head has other classes. MACs are
multiply-accumulates of one item at the size given; parameters include auxiliary heads where a model has them by default.

| name | input | parameters | MACs | source |
|---|---|---|---|---|
"""


def row(name: str) -> str:
    with skipped():
        net = models.create(name)
    shape = models.input_shape(net)
    size = " x ".join(map(str, getattr(shape, "shape", shape)))
    found = summary(net, shape, show=False)
    text = inspect.getdoc(inspect.getmodule(inspect.unwrap(MODELS[name]))) or ""
    source = " ".join(text[text.rindex("Source"):].partition(":")[2].split())
    return f"| {name} | {size} | {found.parameters:,} | {found.macs:,} | {source} |\n"


def page() -> str:
    return HEAD + "".join(row(name) for name in models.list() if "_tiny" not in name)


if __name__ == "__main__":
    sys.exit(PAGE.write_text(page(), encoding="utf-8") == 0)
