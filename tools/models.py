"""The table of models: docs/models.md.

    python tools/models.py
"""

from __future__ import annotations

import inspect
import re
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
    source = linked(" ".join(text[text.rindex("Source"):].partition(":")[2].split()))
    file = Path(inspect.getsourcefile(inspect.unwrap(MODELS[name])) or "").name
    place = f"[{name}](../src/striate/models/{file})"
    return f"| {place} | {size} | {found.parameters:,} | {found.macs:,} | {source} |\n"


def linked(source: str) -> str:
    """arXiv and DOI numbers as links."""
    source = re.sub(r"arXiv:(\d{4}\.\d{4,5})", r"[arXiv:\1](https://arxiv.org/abs/\1)", source)
    return re.sub(r"doi:([\w./]+)", r"[doi:\1](https://doi.org/\1)", source)


def page() -> str:
    return HEAD + "".join(row(name) for name in models.list() if "_tiny" not in name)


if __name__ == "__main__":
    sys.exit(PAGE.write_text(page(), encoding="utf-8") == 0)
