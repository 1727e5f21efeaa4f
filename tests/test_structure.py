"""dvc.yaml covers the code of each stage, imports point one way, and no data file is executed."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from avsed.runtime.store import imported_modules, is_exempt, source_files
from tests.conftest import ROOT

STAGES: dict[str, Any] = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]

# A package or module of avsed imports from lines below its own, never from its own line.
LAYERS = """
cli
commands
export
report prediction store
training evaluation zero_shot labels
features model sources
dataset config
runtime variants
framing params
errors
"""


def code_behind(script: Path) -> set[str]:
    return {
        str(path.relative_to(ROOT))
        for module in imported_modules(script)
        if not is_exempt(module)
        for path in source_files(module)
    } | {str(script.relative_to(ROOT))}


def covered(entry: str, files: set[str]) -> set[str]:
    return {file for file in files if file == entry or file.startswith(f"{entry}/")}


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_the_packages_of_its_code(stage: str) -> None:
    definition = STAGES[stage].get("do", STAGES[stage])
    entries = [dep for dep in definition["deps"] if dep.startswith(("src/", "stages/"))]
    script = definition["cmd"].split()[1]
    behind = code_behind(ROOT / script)
    assert set().union(*(covered(entry, behind) for entry in entries)) == behind
    assert all(covered(entry, behind) for entry in entries)


def test_a_stage_script_is_thin() -> None:
    for path in (ROOT / "stages").glob("*.py"):
        assert len(path.read_text().splitlines()) <= 40


def test_imports_point_one_way() -> None:
    rows = [line.split() for line in LAYERS.split("\n") if line]
    rank = {name: row for row, names in enumerate(rows) for name in names}
    package = ROOT / "src" / "avsed"
    for path in package.rglob("*.py"):
        part = path.relative_to(package).with_suffix("").parts[0]
        for imported in imported_modules(path):
            other = imported.split(".")[1]
            if path.parent != package or path.name != "__init__.py":
                assert part == other or rank[other] > rank[part], f"{path} imports {imported}"


# Beside what ruff's rules S refuse: pickle, dill, shelve and marshal that load, eval and exec,
# unsafe YAML of PyYAML, shells.
RUN_WHAT_THEY_LOAD = {"cloudpickle", "dill", "joblib", "marshal", "shelve", "torch.hub"}
OF_PICKLE = {"UnpicklingError"}  # to catch what a loader without pickles raises


def executes(tree: ast.AST) -> Iterator[str]:
    """Yield the names and calls that could execute code from a file."""
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Attribute):
            names = [ast.unparse(node)]
        yield from (name for name in names if name in RUN_WHAT_THEY_LOAD)
        yield from (
            name
            for name in names
            if name.startswith("pickle.") and name.removeprefix("pickle.") not in OF_PICKLE
        )
        if isinstance(node, ast.Call):
            call = ast.unparse(node)
            given = {word.arg: ast.unparse(word.value) for word in node.keywords}
            if ast.unparse(node.func) == "torch.load" and given.get("weights_only") != "True":
                yield call
            if given.get("allow_pickle", "False") != "False" or "unsafe" in given.get("typ", ""):
                yield call


@pytest.mark.parametrize(
    "source",
    [
        *(
            "import joblib",
            "from cloudpickle import loads",
            "import torch.hub",
            "torch.hub.load(a)",
        ),
        *("pickle.load(a)", "from pickle import load", "from torch import hub", "import dill as x"),
        *("torch.load(a)", "torch.load(a, weights_only=False)", "np.load(a, allow_pickle=True)"),
        *("np.load(a, allow_pickle=b)", "YAML(typ='unsafe')"),
    ],
)
def test_what_executes_a_file_is_seen(source: str) -> None:
    assert list(executes(ast.parse(source)))


def test_nothing_executes_what_a_file_holds() -> None:
    for folder in ("src", "stages", "benchmarks"):
        for path in (ROOT / folder).rglob("*.py"):
            text = path.read_text("utf-8")
            assert not list(executes(ast.parse(text))), path
            # Of ruff's security rules, only the one about random numbers may be disabled in a line.
            assert text.count("noqa: S") == text.count("noqa: S311") + text.count("noqa: SIM"), path
