"""Find the store of unfinished work, and key its items by what made them, code included."""

import ast
import hashlib
import importlib.util
import json
import os
import shutil
from functools import cache
from pathlib import Path

from avsed.runtime.files import atomic_write

# Code that computes nothing that ends in a result: an edit of it changes no key and runs no stage.
_EXEMPT_MODULES = frozenset(
    {"avsed", "avsed.cli", "avsed.commands", "avsed.config", "avsed.errors", "avsed.params"}
)
_EXEMPT_PACKAGE = "avsed.runtime."


def store_dir() -> Path:
    """Find the store; DVC names the main repository, also to runs in a temporary copy."""
    named = os.environ.get("AVSED_STORE")
    return Path(named) if named else Path(os.environ.get("DVC_ROOT", ".")) / ".avsed"


def is_exempt(module: str) -> bool:
    """Return whether a module of avsed is exempt from keys and from DVC's dependencies."""
    return module in _EXEMPT_MODULES or module.startswith(_EXEMPT_PACKAGE)


def source_files(module: str) -> list[Path]:
    """List the files of a module of avsed and of what it imports of avsed, but for exempt ones."""
    found: dict[str, Path] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        spec = importlib.util.find_spec(name)
        if name in found or is_exempt(name) or not (spec and spec.origin):
            continue
        found[name] = Path(spec.origin)
        waiting += imported_modules(found[name])
    return sorted(path for path in found.values() if path.name != "__init__.py")


def imported_modules(path: Path) -> list[str]:
    """List the modules of avsed that a Python file imports."""
    tree = ast.parse(path.read_text("utf-8"))
    return [
        node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("avsed.")
    ]


def work_key(made_of: object, *, modules: tuple[str, ...]) -> str:
    """Hash what decides a piece of work, its code included.

    Args:
        made_of: parameters and inputs, of JSON's types.
        modules: the modules of avsed that compute it.
    """
    digest = hashlib.sha256(json.dumps(made_of, sort_keys=True).encode())
    digest.update(code_key(modules).encode())
    return digest.hexdigest()


@cache
def code_key(modules: tuple[str, ...]) -> str:
    """Hash the code of modules of avsed and of all of avsed that they import.

    Once in a process, which goes on with the code that it has loaded when the files are edited.
    """
    digest = hashlib.sha256()
    for path in sorted({path for module in modules for path in source_files(module)}):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def publish(path: Path, target: Path) -> None:
    """Put a finished item of the store where DVC expects it, without a copy where possible."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        target.hardlink_to(path)
    except OSError:  # another file system, or one without links
        with atomic_write(target) as part:
            shutil.copyfile(path, part)
