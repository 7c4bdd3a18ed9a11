"""From LLVM IR to object code: one pass, then the code generator.

What is emitted is nearly what runs. The one pass turns cells into registers; indices are tidy when they are emitted, and the
code generator hoists and strength-reduces them. LLVM's usual pipeline took three times as long and made nothing faster.
"""

from __future__ import annotations

import threading
from functools import cache
from typing import Any

from striate.kernel.machine import Machine

_started = threading.Lock()


@cache
def _initialize() -> None:
    import llvmlite.binding as llvm

    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()


def target_machine(machine: Machine) -> Any:
    """LLVM's code generator for a machine. Not shared between threads."""
    import llvmlite.binding as llvm

    with _started:
        _initialize()
    target = llvm.Target.from_triple(machine.triple)
    return target.create_target_machine(cpu=machine.cpu, features=machine.features, opt=2, reloc="pic", codemodel="small")


def _optimised(text: str, machine: Machine) -> tuple[Any, Any, Any]:
    import llvmlite.binding as llvm

    generator = target_machine(machine)
    context = llvm.create_context()
    module = llvm.parse_assembly(text, context)
    passes = llvm.create_new_function_pass_manager()
    passes.add_sroa_pass()
    builder = llvm.create_pass_builder(generator, llvm.create_pipeline_tuning_options())
    for function in module.functions:
        if not function.is_declaration:
            passes.run(function, builder)
    return module, generator, context


def object_code(text: str, machine: Machine) -> bytes:
    """Object code of one module of LLVM IR."""
    module, generator, _context = _optimised(text, machine)
    return generator.emit_object(module)


def assembly(text: str, machine: Machine) -> str:
    """The machine code as text: for tests that count instructions, and for the curious."""
    module, generator, _context = _optimised(text, machine)
    return generator.emit_assembly(module)
