"""The examples run, each in a process of its own, as a reader would run them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("[0-9]*.py"))
ARGUMENTS = {"03_train_lenet.py": [[], ["--full"]], "04_read_captchas.py": [["--quick"]]}
RUNS = [(path, arguments) for path in EXAMPLES for arguments in ARGUMENTS.get(path.name, [[]])]


@pytest.mark.slow
@pytest.mark.parametrize("path, arguments", RUNS, ids=[" ".join([p.name, *a]) for p, a in RUNS])
def test_example(path, arguments, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONWARNINGS": "error"}
    done = subprocess.run([sys.executable, str(path), *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True,
                          timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip()
