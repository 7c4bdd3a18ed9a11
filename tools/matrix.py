"""The matrix operator x question: docs/operators.md, and what tests/test_matrix.py checks.

    python tools/matrix.py             write the page
    python tools/matrix.py --check     say whether the page is as the code is

Rows are the operators of `ops.REGISTRY`. A column is a question that every operator must answer; where one does not,
`REASONS` says why. A cell with neither is a gap, and the test names it.
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

from striate.cpu import rules
from striate.cpu.fuse import REWRITES
from striate.cpu.kernels.pointwise import EMIT
from striate.cpu.lower import RULES
from striate.nn import functional
from striate.ops import REGISTRY
from striate.ops.base import Op
from striate.ops.shape import Movement

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "operators.md"
QUESTIONS = ("made by", "reference", "gradient", "cost", "sees", "CPU")
END = "an update is the end of a step: nobody asks for its gradient"
OWN = "its own position"
INDEX = "second derivatives through a maximum are left out"
REASONS = {
    ("increment", "gradient"): "counts whole numbers",
    ("cross_entropy_gradient", "gradient"): "second derivatives of the loss are left out; log_softmax has them",
    ("binary_cross_entropy_gradient", "gradient"): "second derivatives of the loss are left out; log and products have them",
    **{(f"{name}_norm_gradient", "gradient"): "second derivatives through statistics are left out" for name in (
        "batch", "group", "layer", "local_response")},
    **{(f"{kind}max_pool{rank}d_gradient", "gradient"): INDEX for kind in ("", "adaptive_") for rank in (1, 2, 3)},
    ("roi_pool_gradient", "gradient"): INDEX,
    ("curve_gradient", "made by"): "gradient of every curve in ops/elementwise.py",
    ("curve_gradient", "gradient"): "second derivatives of these curves are left out",
    ("sgd_update", "gradient"): END,
    ("sgd_plain_update", "gradient"): END,
    ("adam_update", "gradient"): END,
    ("gradient_norm", "gradient"): END,
    ("clip_scale", "gradient"): END,
    ("batch_norm_inference", "sees"): OWN,
    **{(name, "sees"): OWN for name in ("expand", "detach", "to_float")},
    ("tap_index", "sees"): OWN,
    **{(name, "sees"): "no part of a network's picture" for name in (
        "increment", "sgd_update", "sgd_plain_update", "adam_update", "gradient_norm", "clip_scale")},
}
"""Why an operator does not answer a question."""

HEAD = """# Operators

Written by `make matrix`; `tests/test_matrix.py` fails when it is not as the code is.

What is true of an operator stands in its file of `src/striate/ops`; what is true of a target stands in that target's folder.
A cell is a rule, or the reason why there is none.

- **made by**: the function, method or layer that puts the operator into a graph. An operator that ends in `_gradient` is made
  by the gradient of the one that it is named after.
- **reference**: NumPy, a few lines that read like the equation, float32 and float64.
- **gradient**: a rule that adds nodes to the graph. *adjoint*: linear in the inputs named, and tested by the identity
  <dy, J v> = <J' dy, v>, exactly; *differences*: tested by finite differences in float64. Both against PyTorch.
- **cost**: *own*: multiply-accumulates or operations by a formula of its own; *each*: one operation for each output element;
  *copies*: bytes, but no arithmetic.
- **sees**: what one position of the output sees of the inputs, of which receptive fields are made. *own*: a law of its own;
  *its own position*: elementwise; a gradient is asked for the field of the layer that it belongs to.
- **CPU**: *chain*: elementwise, computed at the end of another operator's kernel or in a kernel with its neighbours
  (`cpu/kernels/pointwise.py`); *rewritten*: composed of other operators before fusion (`cpu/fuse.py`); otherwise the file of
  `src/striate/cpu/rules` that chooses the kernels.
"""


def makers() -> dict[str, list[str]]:
    """Who makes each operator: functions of nn/functional, methods of Value, optimizers, gradients of operators."""
    package = ROOT / "src" / "striate"
    helpers: dict[str, set[str]] = {}
    found: dict[str, list[str]] = {}
    for path in sorted(package.glob("ops/*.py")):
        for name, node in definitions(ast.parse(path.read_text(encoding="utf-8"))):
            if name.startswith("gradient of "):
                for kind in called(node):
                    found.setdefault(kind, []).append(name)
            else:
                helpers[name] = called(node)
    files = sorted(str(path.relative_to(package)) for path in package.glob("nn/functional/*.py"))
    for file in (*files, "nn/norm.py", "value.py", "arithmetic.py", "graph.py", "engine.py", "optim/sgd.py", "optim/adam.py"):
        for name, node in definitions(ast.parse((package / file).read_text(encoding="utf-8"))):
            for kind in sorted(set().union(*(helpers.get(c, {c}) for c in called(node, "ops") | called(node)))):
                found.setdefault(kind, []).insert(0, name)
    return {kind: list(dict.fromkeys(names)) for kind, names in found.items()}


def called(node: ast.AST, module: str = "") -> set[str]:
    """Names of what is called inside: plain names, or attributes of a module."""
    functions = [child.func for child in ast.walk(node) if isinstance(child, ast.Call)]
    if module:
        return {f.attr for f in functions if isinstance(f, ast.Attribute) and getattr(f.value, "id", "") == module}
    return {f.id for f in functions if isinstance(f, ast.Name)}


def definitions(tree: ast.Module) -> list[tuple[str, ast.AST]]:
    """Functions and classes of a module, methods of Value one by one, of operators their gradients."""
    found: list[tuple[str, ast.AST]] = []
    for node in tree.body:
        methods = [item for item in getattr(node, "body", []) if isinstance(item, ast.FunctionDef)]
        own = next((named(item) for item in getattr(node, "body", []) if named(item)), "")
        if own:
            found += [(f"gradient of {own}", method) for method in methods if method.name == "gradient"]
        elif isinstance(node, ast.ClassDef) and node.name in ("Value", "Arithmetic"):
            found += [(f"Value.{method.name}", method) for method in methods if not method.name.startswith("__r")]
        elif isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            found.append((node.name, node))
    return found


def named(item: ast.AST) -> str:
    """The operator's name where a class states one: `name = "conv2d"`."""
    if isinstance(item, ast.Assign) and getattr(item.targets[0], "id", "") == "name":
        return str(getattr(item.value, "value", ""))
    return ""


def cells(kind: type[Op], made: dict[str, list[str]]) -> dict[str, str]:
    """An operator's answer to each question; an empty text where it has none."""
    others = [n for n in made.get(kind.__name__, []) if n != f"gradient of {kind.name}"]
    makes = [n if n.startswith("gradient of") else f"`{n}`" for n in others or family(kind.name)]
    tested = f"adjoint in {', '.join(kind.linear_in)}" if kind.linear_in else "differences"
    answers = {
        "made by": ", ".join(makes[:3]) + (", ..." if len(makes) > 3 else ""),
        "reference": "yes" if kind.reference is not Op.reference else "",
        "gradient": tested if kind.gradient is not Op.gradient else "",
        "cost": cost(kind),
        "sees": sees(kind),
        "CPU": cpu(kind),
    }
    return {question: answer or REASONS.get((kind.name, question), "") for question, answer in answers.items()}


def cost(kind: type[Op]) -> str:
    """How an operator's work is counted."""
    if issubclass(kind, Movement):
        return "copies"
    return "own" if kind.cost is not Op.cost or kind.operations != 1 else "each"


def family(name: str) -> list[str]:
    """Who makes an operator that is chosen by its rank: the function of its name, or the gradient of the operator."""
    layer = re.sub("(_input|_weight)?_gradient$", "", name)
    return [f"gradient of {layer}"] if layer != name and layer in REGISTRY else [name] if name in functional.__all__ else []


def sees(kind: type[Op]) -> str:
    """What one position of the output sees."""
    if kind.sees is not Op.sees:
        return "own"
    return "asked of the layer" if kind.name.endswith("_gradient") else OWN if kind in EMIT else ""


def cpu(kind: type[Op]) -> str:
    """How the CPU target computes an operator."""
    if kind in EMIT:
        return "chain"
    if kind in RULES:
        return f"`{RULES[kind].__module__.rpartition('.')[2]}.py`"
    return "rewritten" if kind in REWRITES else ""


def matrix() -> dict[str, dict[str, str]]:
    """The answers of every operator, by name."""
    rules.load()
    made = makers()
    return {name: cells(kind, made) for name, kind in REGISTRY.items() if kind.__module__.startswith("striate.")}


def gaps() -> list[str]:
    """Cells without a rule and without a reason, and reasons for cells that have a rule."""
    table = matrix()
    empty = [f"{name} does not answer '{q}'" for name, row in table.items() for q in QUESTIONS if not row[q]]
    idle = [f"the reason for {name}, '{q}' is out of date" for (name, q), why in REASONS.items()
            if table.get(name, {}).get(q) != why]
    return empty + idle


def page() -> str:
    """The text of docs/operators.md."""
    lines, family = [HEAD], ""
    for name, row in sorted(matrix().items(), key=lambda item: (REGISTRY[item[0]].__module__, list(REGISTRY).index(item[0]))):
        file = REGISTRY[name].__module__.rpartition(".")[2]
        if file != family:
            family = file
            lines += [f"\n## [ops/{file}.py](../src/striate/ops/{file}.py)\n", "| operator | " + " | ".join(QUESTIONS) + " |",
                      "|---" * (len(QUESTIONS) + 1) + "|"]
        lines.append(f"| {name} | " + " | ".join(row[q] for q in QUESTIONS) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    text = page()
    if "--check" in sys.argv[1:]:
        sys.exit(0 if PAGE.exists() and PAGE.read_text(encoding="utf-8") == text else f"{PAGE} is out of date; run: make matrix")
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
