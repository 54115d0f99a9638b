"""Rules of the house about the code itself (CONTRIBUTING.md)."""

import ast
import re
import sys
import tomllib
from importlib import metadata

import pytest

from tests.contracts.source import PACKAGES, ROOT, imports, product, suite

# Heavy, or with side effects when imported: only inside the functions that need them.
HEAVY = {
    "anthropic",
    "chainlit",
    "crewai",
    "google.genai",
    "langchain_core",
    "langgraph",
    "mcp",
    "openai",
    "openpyxl",
    "opentelemetry",
    "pandas",
    "plotly",
    "prometheus_client",
    "sklearn",
}
# Files that are themselves only ever imported inside a function, by what they are for.
HEAVY_FILES = {
    "channels/chat.py": {"chainlit"},  # Chainlit loads it as its target
    "channels/chat_data.py": {"chainlit"},
    "core/metrics.py": {"prometheus_client"},  # where metrics are served
    "core/traces.py": {"opentelemetry"},  # where there is a collector
}

MEASURING = ("evals/", "bench/")
"""Packages above app.py: they open the whole house, and may use what is installed for development."""

NEVER_AT_IMPORT = {"load_settings", "now", "today", "utcnow", "time", "getenv", "AsyncClient", "connect", "Redis"}


def project() -> dict[str, object]:
    content: dict[str, object] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return content


def test_heavy_libraries_are_imported_inside_functions_only() -> None:
    found = {
        f"{file}:{line} {name}"
        for file, tree in product().items()
        for line, name in imports(tree, top_level=True)
        for heavy in HEAVY - HEAVY_FILES.get(file, set())
        if name == heavy or name.startswith(heavy + ".")
    }
    assert found == set()


def test_nothing_is_read_or_built_when_a_module_is_imported() -> None:
    found = set()
    for file, tree in product().items():
        pending: list[ast.AST] = list(tree.body)
        while pending:
            node = pending.pop()
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                continue
            if isinstance(node, ast.If) and "__main__" in ast.dump(node.test):
                continue
            if isinstance(node, ast.Call):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                if name in NEVER_AT_IMPORT:
                    found.add(f"{file}:{node.lineno} {name}()")
            pending.extend(ast.iter_child_nodes(node))
    assert found == set()


def test_only_tests_evals_and_the_console_import_the_composition_root() -> None:
    found = {
        f"{file}:{line}"
        for file, tree in product().items()
        for line, name in imports(tree)
        if name.split(".")[0] == "app" and not file.startswith(MEASURING)
    }
    assert found == set()


def test_every_library_that_is_imported_is_named_in_pyproject() -> None:
    """What comes along with another library may go with it."""
    wanted = project()["project"]
    assert isinstance(wanted, dict)
    tools = wanted["optional-dependencies"]["dev"]
    by_import = metadata.packages_distributions()
    ours = {*PACKAGES, "app", "tests"}
    unnamed = {}
    for file, tree in product().items():
        named = _names([*wanted["dependencies"], *(tools if file.startswith(MEASURING) else [])])
        for line, full in imports(tree):
            top = full.split(".")[0]
            if top in sys.stdlib_module_names or top in ours:
                continue
            distributions = {name.lower().replace("_", "-") for name in by_import.get(top, [top])}
            if not distributions & named:
                unnamed[top] = f"{file}:{line}"
    assert unnamed == {}


def _names(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[<>=!~; ]", text)[0].lower().replace("_", "-") for text in requirements}


@pytest.mark.parametrize("contract", ["crews", "business-modules"])
def test_the_import_contracts_know_every_folder(contract: str) -> None:
    linter = project()["tool"]
    assert isinstance(linter, dict)
    modules = next(found["modules"] for found in linter["importlinter"]["contracts"] if found["id"] == contract)
    package = "crews" if contract == "crews" else "business"
    folders = {f"{package}.{path.parent.name}" for path in (ROOT / package).glob("*/__init__.py")}
    assert f"{package}.*" in modules or folders <= set(modules)


def test_test_names_are_sentences() -> None:
    short = {
        f"{file}:{node.lineno} {node.name}"
        for file, tree in suite().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if node.name.startswith("test_") and node.name.count("_") < 3
    }
    assert short == set()


def test_tests_patch_nothing_of_ours() -> None:
    """Fakes stand at the wire. What belongs to Python or to the machine (a temporary folder, say) may be set."""
    found = set()
    for file, tree in suite().items():
        ours = {
            alias.asname or alias.name.split(".")[0]
            for node in ast.walk(tree)
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in node.names
            if (node.module if isinstance(node, ast.ImportFrom) else alias.name or "").split(".")[0] in PACKAGES  # type: ignore[union-attr]
        }
        for line, name in imports(tree):
            if name.startswith("unittest.mock") or name == "mock":
                found.add(f"{file}:{line} {name}")
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and _dotted(node.func) == "monkeypatch.setattr" and node.args:
                target = ast.unparse(node.args[0]).strip("'\"").split(".")[0]
                if target in ours or target in PACKAGES:
                    found.add(f"{file}:{node.lineno} {ast.unparse(node)[:80]}")
    assert found == set()


def test_tests_wait_for_conditions_instead_of_sleeping() -> None:
    """A sleep belongs in a loop that looks again. Letting half a second pass is right where nothing must happen."""
    found = set()
    for file, tree in suite().items():
        inside = {
            id(inner) for node in ast.walk(tree) if isinstance(node, ast.While | ast.For) for inner in ast.walk(node)
        }
        tests = [node for node in ast.walk(tree) if str(getattr(node, "name", "")).startswith("test_")]
        inside |= {
            id(inner)  # of a task that a test starts: it may take as long as it likes
            for test in tests
            for task in ast.walk(test)
            if task is not test and isinstance(task, ast.FunctionDef | ast.AsyncFunctionDef)
            for inner in ast.walk(task)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and _dotted(node.func) in ("time.sleep", "asyncio.sleep"):
                length = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else 0
                if id(node) not in inside and isinstance(length, int | float) and length > 0.5:
                    found.add(f"{file}:{node.lineno} {ast.unparse(node)}")
    assert found == set()


def _dotted(function: ast.expr) -> str:
    """ "time.sleep" of the call's function; "" of what is no attribute of a name."""
    if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name):
        return f"{function.value.id}.{function.attr}"
    return ""
