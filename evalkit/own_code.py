"""Python files of a project, each loaded as a module of its own."""

from __future__ import annotations

import importlib.util
import re
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

from evalkit.hashing import bytes_id


class _FromSource(SourceFileLoader):
    """Compiles what stands in the file: bytecode on disk may be of an edit in the same second."""

    def get_code(self, fullname: str) -> CodeType:
        del fullname
        code: CodeType = self.source_to_code(self.get_data(self.path), self.path)
        return code


def module_name(path: Path, role: str) -> str:
    """The name of a file's module: two files of the same name must not replace each other."""
    stem = re.sub(r"\W", "_", path.stem)
    return f"evalkit_{role}_{stem}_{bytes_id(str(path.absolute()).encode())}"


def plain_name(module: str) -> str:
    """The last part of a module's name, without what tells files of one name apart."""
    last = module.rpartition(".")[2]
    return re.sub(r"_[0-9a-f]{20,}$", "", last) if last.startswith("evalkit_") else last


def load_module(path: Path, role: str) -> ModuleType:
    """Run a project's Python file, anew on every call; ``role`` is what it is loaded for.

    The caller has asked the user: this runs code. Raises whatever the file raises.
    """
    name = module_name(path, role)
    loader = _FromSource(name, str(path.absolute()))
    spec = importlib.util.spec_from_loader(name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickling look their module up
    try:
        loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
