"""docs/models.md is as the models are."""

import importlib.util
import inspect
import re
from pathlib import Path

import pytest

from striate.models.registry import MODELS

TOOL = Path(__file__).parents[2] / "tools" / "models.py"


def test_the_page_is_as_the_models_are():
    spec = importlib.util.spec_from_file_location("models_page", TOOL)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    assert tool.linked("He, arXiv:1512.03385; doi:10.1109/5.726791, II") == (
        "He, [arXiv:1512.03385](https://arxiv.org/abs/1512.03385); [doi:10.1109/5.726791](https://doi.org/10.1109/5.726791), II")
    assert tool.PAGE.read_text(encoding="utf-8") == tool.page(), "run: python tools/models.py"


@pytest.mark.parametrize("name", MODELS)
def test_every_model_names_its_paper(name):
    """The head of a model's file shows the network, its shapes with it, and a source that can be found."""
    head = inspect.getdoc(inspect.getmodule(inspect.unwrap(MODELS[name])))
    assert re.search(r"^    .*\((N|joint|words)\b", head, re.MULTILINE), name
    assert re.search(r"arXiv:\d{4}\.\d{4,5}|doi:10\.|https://", head[head.rindex("Source"):]), name
