"""Our own source as the contract tests read it: files and syntax trees, never imported."""

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = (
    "agents",
    "bench",
    "business",
    "channels",
    "core",
    "crews",
    "evals",
    "integrations",
    "llm",
    "memory",
    "prompts",
    "tools",
    "wiring",
)
FAILURES = {"MutiraoError", "ArgumentsWrong", "Refused", "OutcomeUnknown", "Unavailable", "SetupError"}
"""The kinds of core/errors.py. Their subclasses are found by `failure_kinds`."""


def tracked_files() -> list[Path]:
    """Every file that git knows; without git (a downloaded archive) every file that is not hidden or installed."""
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if done.returncode == 0 and done.stdout:
        found = [ROOT / name for name in done.stdout.decode().split("\0") if name]
    else:
        found = [path for path in ROOT.rglob("*") if not {".venv", "var", ".git"} & set(path.parts)]
    return [path for path in found if path.is_file() and not path.is_symlink()]


@cache
def product() -> dict[str, ast.Module]:
    """Path (from the root) → syntax tree of every module of the product: the packages and app.py."""
    files = [path for name in PACKAGES for path in sorted((ROOT / name).rglob("*.py"))]
    if (ROOT / "app.py").exists():
        files.append(ROOT / "app.py")
    return {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text(encoding="utf-8")) for path in files}


@cache
def calls() -> list[tuple[str, ast.Call]]:
    """(path, call) of everything that the product calls: half the tests look through these."""
    return [(name, node) for name, tree in product().items() for node in ast.walk(tree) if isinstance(node, ast.Call)]


@cache
def suite() -> dict[str, ast.Module]:
    files = sorted((ROOT / "tests").rglob("*.py"))
    return {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text(encoding="utf-8")) for path in files}


@cache
def failure_kinds() -> frozenset[str]:
    """The names of all exception classes with a code: those of core/errors.py and what is derived from them."""
    bases = {
        node.name: {base.id for base in node.bases if isinstance(base, ast.Name)}
        for tree in product().values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }
    kinds = set(FAILURES)
    while more := {name for name, above in bases.items() if above & kinds} - kinds:
        kinds |= more
    return frozenset(kinds)


def raised_codes() -> Iterator[tuple[str, int, str, set[str] | None]]:
    """(file, line, code, names of its parameters) of every failure built with a literal code. None: not known (**).

    A bare `MutiraoError` is no kind of failure: it carries a code and parameters somewhere (an outcome, say).
    """
    kinds = failure_kinds() - {"MutiraoError"}
    for name, node in calls():
        if not (isinstance(node.func, ast.Name) and node.func.id in kinds):
            continue
        if node.args and isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str):
            names = {keyword.arg for keyword in node.keywords}
            known = None if None in names else {str(found) for found in names}
            yield name, node.lineno, node.args[0].value, known


def imports(tree: ast.Module, *, top_level: bool = False) -> Iterator[tuple[int, str]]:
    """(line, full name) of every import; with `top_level` only those that run when the module is imported."""
    pending: list[ast.AST] = list(tree.body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.lineno, node.module
        elif not (top_level and _runs_later(node)):
            pending.extend(ast.iter_child_nodes(node))


def _runs_later(node: ast.AST) -> bool:
    if isinstance(node, ast.If):
        return "TYPE_CHECKING" in ast.dump(node.test)
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
