"""The store of unfinished work, whose items are keyed by their inputs and code."""

import ast
import hashlib
import importlib.util
import json
import os
import shutil
from functools import cache
from pathlib import Path

from avsed.runtime.files import atomic_write

KEY_LENGTH = 64  # hexadecimal digits of SHA-256

# Code that affects no result: editing it changes no key and runs no stage.
_EXEMPT_MODULES = frozenset({"avsed", "avsed.cli", "avsed.config", "avsed.errors", "avsed.params"})
_EXEMPT_PACKAGE = "avsed.runtime."


def store_dir() -> Path:
    """Find the store; DVC_ROOT is the main repository, also in temporary copies."""
    named = os.environ.get("AVSED_STORE")
    return Path(named) if named else Path(os.environ.get("DVC_ROOT", ".")) / ".avsed"


def is_exempt(module: str) -> bool:
    """Return whether a module of avsed is exempt from keys and from DVC's dependencies."""
    return module in _EXEMPT_MODULES or module.startswith(_EXEMPT_PACKAGE)


def source_files(module: str) -> list[Path]:
    """List the files of a module and of its imports within avsed, except exempt ones."""
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
    """Hash the inputs and the code of a piece of work.

    Args:
        made_of: parameters and inputs, as JSON types.
        modules: the modules of avsed that compute it.
    """
    digest = hashlib.sha256(json.dumps(made_of, sort_keys=True).encode())
    digest.update(code_key(modules).encode())
    return digest.hexdigest()


@cache
def code_key(modules: tuple[str, ...]) -> str:
    """Hash the code of modules and of their imports within avsed.

    The result is cached, since a process keeps the code that it has loaded if files are edited.
    """
    digest = hashlib.sha256()
    for path in sorted({path for module in modules for path in source_files(module)}):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def publish(path: Path, target: Path) -> None:
    """Link a finished item of the store to the path that DVC tracks; copy it if links fail."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        target.hardlink_to(path)
    except OSError:  # another file system, or no support for links
        with atomic_write(target) as part:
            shutil.copyfile(path, part)
