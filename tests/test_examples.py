"""The examples run, each in a process of its own, as a reader would run them; and the pages say what is true."""

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import striate as st
from striate import nn

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("[0-9]*.py"))
ARGUMENTS = {"03_train_lenet.py": [[], ["--full"]], "04_read_captchas.py": [["--quick"]]}
RUNS = [(path, arguments) for path in EXAMPLES for arguments in ARGUMENTS.get(path.name, [[]])]


def run(*command: str, folder: Path) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONWARNINGS": "error"}
    return subprocess.run([sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


@pytest.mark.slow
@pytest.mark.parametrize("path, arguments", RUNS, ids=[" ".join([p.name, *a]) for p, a in RUNS])
def test_example(path, arguments, tmp_path):
    done = run(str(path), *arguments, folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip()


@pytest.mark.slow
@pytest.mark.parametrize("page", ["README.md", "docs/README.zh.md"])
def test_the_readme_runs(page, tmp_path):
    text = (ROOT / page).read_text(encoding="utf-8")
    (tmp_path / "readme.py").write_text("\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL)), encoding="utf-8")
    done = run("readme.py", folder=tmp_path)
    if "DataError" in done.stderr:
        pytest.skip("no Fashion-MNIST here")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_readme_shows_an_error_as_it_is(tmp_path):
    lines = ["import striate as st", "from striate import nn", "net = nn.Sequential(", "nn.Conv2d(3, 16, 3),", "nn.ReLU(),",
             "nn.Conv2d(3, 8, 3))", "st.trace(net, (1, 3, 32, 32))"]
    (tmp_path / "net.py").write_text("\n".join(lines))
    error = run("net.py", folder=tmp_path).stderr.strip().splitlines()[-1]
    assert error.removeprefix("striate.errors.ShapeError: ") in (ROOT / "README.md").read_text(encoding="utf-8")


SHOWN = ["README.md", "docs/README.zh.md", "docs/architecture.md", "docs/cost.md", "docs/receptive_field.md"]


def sessions(page):
    """The blocks of a page that begin with a prompt, as doctest reads them: blank lines within an output have a mark there."""
    blocks = re.findall(r"^```\n(>>> .*?)^```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return "\n\n".join(re.sub(r"\n(?=\n(?!\n*>>>|\n*$))", "\n<BLANKLINE>", block) for block in blocks)


@pytest.mark.parametrize("page", SHOWN)
def test_what_a_page_shows_is_true(page):
    net = nn.Sequential(nn.Conv2d(1, 6, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(1176, 10))
    shown = doctest.DocTestParser().get_doctest(sessions(page), {"st": st, "net": net}, page, None, 0)
    result = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(shown)
    assert result.attempted > 0 and result.failed == 0


PAGES = ["README.md", "CHANGELOG.md", *(str(p.relative_to(ROOT)) for p in sorted((ROOT / "docs").glob("*.md")))]


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    path = ROOT / page
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", path.read_text(encoding="utf-8"))
    assert [link for link in links if not (path.parent / link).exists()] == []
