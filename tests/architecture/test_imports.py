"""Who may import whom, as two exhaustive tables checked against the source."""

from __future__ import annotations

import ast
import re
import resource
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.architecture.sources import (
    PACKAGE,
    ROOT,
    module_paths,
    package_of,
    parse,
    relative_name,
)

OURS: dict[str, set[str]] = {
    "errors": set(),
    "messages": {"errors"},
    "storage": {"messages", "errors"},
    "executor": {"storage", "messages", "errors"},
    "spec": {"errors"},
    "listing": {"storage", "messages", "errors"},
    "plan": {"spec", "messages", "errors"},
    "driver": {"plan", "listing", "spec", "executor", "storage", "messages", "errors"},
    "targets": {"plan", "spec", "messages", "errors"},
    "state": {"spec", "messages", "errors"},
    "control": {
        *("targets", "state", "storage", "plan", "listing", "spec", "messages", "errors"),
    },
    "rest": {"control", "spec", "errors"},
    "studio": {"rest", "control", "spec", "errors"},
    "cli": {"studio", "rest", "control", "spec", "errors"},
}
"""Package -> our packages that it may import, anywhere in its code."""


@dataclass(frozen=True)
class Libraries:
    """Third-party packages that may be imported by a module, and only inside its functions."""

    at_module_level: frozenset[str] = frozenset()
    inside_functions: frozenset[str] = frozenset()


THEIRS: dict[str, Libraries] = {
    "errors": Libraries(),
    "messages": Libraries(),
    "storage": Libraries(inside_functions=frozenset({"aiohttp", "fsspec", "gcsfs"})),
    "executor": Libraries(
        frozenset({"numpy", "pandas", "pyarrow"}),
        frozenset({"PIL", "fsspec", "mlflow", "pyspark"}),
    ),
    "spec": Libraries(frozenset({"pydantic", "pydantic_core", "yaml"})),
    "listing": Libraries(frozenset({"fsspec", "pyarrow"})),
    "plan": Libraries(frozenset({"fsspec", "numpy", "pyarrow"})),
    "driver": Libraries(
        frozenset({"delta", "fsspec", "numpy", "pandas", "py4j", "pyarrow", "pyspark"}),
        frozenset({"mlflow"}),
    ),
    "targets": Libraries(
        inside_functions=frozenset({"databricks", "kubernetes", "urllib3", "yaml"})
    ),
    "state": Libraries(frozenset({"alembic", "sqlalchemy"})),
    "control": Libraries(
        inside_functions=frozenset(
            {"fsspec", "mlflow", "numpy", "packaging", "pandas", "pyarrow", "tomli", "uv", "yaml"}
        )
    ),
    "rest": Libraries(frozenset({"fastapi", "jwt", "starlette", "uvicorn"})),
    "studio": Libraries(frozenset({"fastapi", "jinja2", "python_multipart", "starlette"})),
    "cli": Libraries(
        frozenset({"rich", "typer"}),
        frozenset({"fastapi", "jinja2", "jmespath", "jwt", "python_multipart", "uvicorn", "yaml"}),
    ),
}
"""Package -> the libraries that it owns. pyspark and delta belong to the driver, pydantic and yaml
to spec (cli writes YAML too), sqlalchemy and alembic to state, FastAPI and its like to rest (cli
and studio (cli looks whether they are there), jinja2 to studio, typer, rich and jmespath to cli; a
library that stands nowhere here is imported nowhere."""


@dataclass(frozen=True)
class Import:
    """One imported module and whether a function or a type check must run first."""

    name: str
    line: int
    deferred: bool


def iter_imports(node: ast.AST, *, deferred: bool = False) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(alias.name, child.lineno, deferred)
        elif isinstance(child, ast.ImportFrom):
            yield from _iter_imports_from(child, deferred=deferred)
        else:
            yield from iter_imports(child, deferred=deferred or _defers(child))


def _iter_imports_from(node: ast.ImportFrom, *, deferred: bool) -> Iterator[Import]:
    module = "." * node.level + (node.module or "")
    if module != "sparkscore":
        yield Import(module, node.lineno, deferred)
        return
    for alias in node.names:
        yield Import(f"sparkscore.{alias.name}", node.lineno, deferred)


def _defers(node: ast.AST) -> bool:
    if isinstance(node, ast.If):
        return "TYPE_CHECKING" in ast.unparse(node.test)
    return isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))


def find_fault(package: str, imported: Import) -> str | None:
    """Why ``package`` may not have this import, or None if it may."""
    root, _, rest = imported.name.partition(".")
    if not root:
        return "relative import"
    if root == "sparkscore":
        other = rest.partition(".")[0]
        free = {package, "__version__", ""} | OURS[package]
        return None if other in free else f"{package} may not import sparkscore.{other}"
    if root in sys.stdlib_module_names:
        return None
    libraries = THEIRS[package]
    if root in libraries.at_module_level:
        return None
    if root in libraries.inside_functions:
        return None if imported.deferred else f"{package} may import {root} only in functions"
    return f"{package} may not import {root}"


def test_tables__name_every_package_once() -> None:
    packages = {package_of(path) for path in module_paths()} - {"__init__"}
    assert packages <= set(OURS), "a package that the import table does not know"
    assert set(OURS) == set(THEIRS)


def test_tables__have_no_cycle() -> None:
    remaining = {package: set(others) for package, others in OURS.items()}
    while remaining:
        free = {package for package, others in remaining.items() if not others & set(remaining)}
        assert free, f"these import each other: {sorted(remaining)}"
        for package in free:
            del remaining[package]


@pytest.mark.parametrize("path", module_paths(), ids=relative_name)
def test_imports__stand_in_the_tables(path: Path) -> None:
    package = package_of(path)
    if package == "__init__":
        assert list(iter_imports(parse(path))) == []
        return
    faults = [
        f"{relative_name(path)}:{imported.line}: {fault}"
        for imported in iter_imports(parse(path))
        if (fault := find_fault(package, imported)) is not None
    ]
    assert faults == []


@pytest.mark.parametrize(
    ("package", "code", "fault"),
    [
        ("plan", "import sparkscore.driver", "plan may not import sparkscore.driver"),
        ("cli", "from sparkscore import plan", "cli may not import sparkscore.plan"),
        ("spec", "def f():\n    import pyspark", "spec may not import pyspark"),
        ("executor", "from . import task", "relative import"),
        ("executor", "import mlflow.pyfunc", "executor may import mlflow only in functions"),
        ("executor", "def f():\n    import mlflow.pyfunc", None),
        ("executor", "if TYPE_CHECKING:\n    import mlflow", None),
        ("driver", "from sparkscore.executor.task import f", None),
        ("driver", "from sparkscore import __version__", None),
        ("errors", "import sqlalchemy", "errors may not import sqlalchemy"),
    ],
)
def test_find_fault__examples(package: str, code: str, fault: str | None) -> None:
    (imported,) = iter_imports(ast.parse(code))
    assert find_fault(package, imported) == fault


def test_documentation__has_the_same_table() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \|[^|]*\| ([^|]*) \|$", text, re.MULTILINE)
    documented = {
        package: set() if others == "nothing of ours" else set(others.split(", "))
        for package, others in rows
    }
    assert documented == OURS


def test_job_file__imports_driver_and_spark_only() -> None:
    names = {imported.name for imported in iter_imports(parse(ROOT / "jobs" / "score.py"))}
    others = {name for name in names if name.partition(".")[0] not in sys.stdlib_module_names}
    assert {".".join(name.split(".")[:2]) for name in others} == {"pyspark", "sparkscore.driver"}


def run_without(blocked: set[str], code: str) -> subprocess.CompletedProcess[str]:
    """Run ``code`` in a fresh interpreter in which these libraries cannot be imported."""
    block = f"import sys; sys.modules.update(dict.fromkeys({sorted(blocked)!r}))\n"
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", block + code],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_executor__needs_no_other_library() -> None:
    modules = [
        relative_name(path).removesuffix(".py").replace("/", ".")
        for path in module_paths(PACKAGE / "executor")
        if path.name not in {"__main__.py"}
    ]
    blocked = {"pyspark", "pydantic", "yaml", "mlflow", "sqlalchemy", "fsspec", "typer", "rich"}
    code = "import importlib\n" + "\n".join(f"importlib.import_module({m!r})" for m in modules)
    done = run_without(blocked, code)
    assert (done.returncode, done.stderr) == (0, "")


def test_listing_location__needs_no_arrow() -> None:
    code = "from sparkscore.listing.location import find_local_path; print(find_local_path('/a'))"
    done = run_without({"pyarrow"}, code)
    assert (done.returncode, done.stdout, done.stderr) == (0, "/a\n", "")


@pytest.mark.parametrize(
    "module", ["batch_deployments", "batch_endpoints", "data", "datastores", "jobs", "models"]
)
def test_workspace_managers__need_no_arrow_to_be_made(module: str, tmp_path: Path) -> None:
    code = (
        "from sparkscore.control.workspace import Workspace\n"
        f"Workspace.open({str(tmp_path)!r}, environment={{'HOME': {str(tmp_path)!r}}}).{module}\n"
    )
    done = run_without({"pyarrow", "mlflow"}, code)
    assert (done.returncode, done.stderr) == (0, "")


def test_cli_help__is_quick_and_needs_no_engine() -> None:
    code = "from sparkscore.cli.main import main; sys.argv[1:] = ['--help']; sys.exit(main())"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    blocked = {"pyspark", "pandas", "mlflow", "pyarrow", "delta", "sqlalchemy", "alembic"}
    done = run_without(blocked, code)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert (done.returncode, done.stderr) == (0, "")
    assert "batch-deployment" in done.stdout
    cpu_seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert cpu_seconds < 1.5
