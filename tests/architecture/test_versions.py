"""Tables of tested versions are what the locks hold, and the bounds are those versions."""

from __future__ import annotations

import re

import pytest

from tests.architecture.sources import ROOT

NEWEST, OLDEST = "requirements.lock", "requirements-spark35.lock"
BETWEEN = "requirements-spark40.lock"
_ROW = re.compile(r"^\|(?P<cells>.*)\|$", re.MULTILINE)


def _rows() -> list[list[str]]:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    table = text[text.index("| | pyspark |") :].split("\n\n")[0]
    return [[cell.strip() for cell in match["cells"].split("|")] for match in _ROW.finditer(table)]


@pytest.mark.parametrize(("row", "lock"), [(2, NEWEST), (3, OLDEST), (4, BETWEEN)])
def test_readme__has_the_versions_of_the_lock(row: int, lock: str) -> None:
    names, versions = _rows()[0][1:], _rows()[row][1:]
    assert len(names) == 5
    locked = (ROOT / lock).read_text(encoding="utf-8")
    missing = [
        f"{name}=={version}"
        for name, version in zip(names, versions, strict=True)
        if not re.search(rf"^{name}=={re.escape(version)}[ ;\\]", locked, re.MULTILINE)
    ]
    assert missing == []


@pytest.mark.parametrize("name", ["pyspark", "delta-spark", "pandas", "pyarrow"])
def test_lower_bound__is_the_version_that_the_core_suite_runs_on(name: str) -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    bound = re.search(rf'^    "{name}>=([\d.]+)', project, re.MULTILINE)
    locked = re.search(rf"^{name}==([\d.]+)", (ROOT / OLDEST).read_text("utf-8"), re.MULTILINE)
    assert bound is not None
    assert locked is not None
    parts = bound[1].split(".")
    assert locked[1].split(".")[: len(parts)] == parts


@pytest.mark.parametrize("name", ["spark35", "spark40"])
def test_databricks_page__has_the_versions_that_its_runtimes_were_tried_with(name: str) -> None:
    page = (ROOT / "docs" / "databricks.md").read_text(encoding="utf-8")
    (row,) = re.findall(rf"^\|.*\(`make {name}`\) \|$", page, re.MULTILINE)
    versions = re.findall(r"([a-z]+(?:-[a-z]+)*) (\d+\.\d+\.\d+)", row)
    assert [package for package, _ in versions] == ["pyspark", "delta-spark", "pandas", "pyarrow"]
    locked = (ROOT / f"requirements-{name}.lock").read_text(encoding="utf-8")
    for package, version in versions:
        assert re.search(rf"^{package}=={re.escape(version)} ", locked, re.MULTILINE), package
