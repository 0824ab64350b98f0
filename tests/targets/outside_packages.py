"""Packages that bring targets, installed into a folder of their own."""

from __future__ import annotations

import re
import sys
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PAGE = Path(__file__).parents[2] / "docs" / "compile.md"


def write_package(folder: Path, name: str, source: str, targets: dict[str, str]) -> Path:
    """What pip leaves of a package with one module: the module, and its metadata."""
    module = name.replace("-", "_")
    folder.mkdir(exist_ok=True)
    (folder / f"{module}.py").write_text(source, encoding="utf-8")
    metadata = folder / f"{module}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (metadata / "INSTALLER").write_text("pip\n")
    (metadata / "RECORD").write_text(f"{module}.py,,\n{metadata.name}/METADATA,,\n")
    lines = [f"{target} = {module}:{given}" for target, given in targets.items()]
    text = "\n".join(["[sparkscore.targets]", *lines])
    (metadata / "entry_points.txt").write_text(f"{text}\n")
    return folder


def read_documented_package() -> tuple[str, str, dict[str, str]]:
    """Name, source and targets of the package that docs/compile.md shows."""
    page = PAGE.read_text(encoding="utf-8")
    section = page.partition("## Targets of other packages\n")[2].partition("\n## ")[0]
    blocks = dict(re.findall(r"^```(toml|python)\n(.*?)^```$", section, re.M | re.S))
    project = tomllib.loads(blocks["toml"])["project"]
    given = project["entry-points"]["sparkscore.targets"]
    modules = {value.partition(":")[0] for value in given.values()}
    assert modules == {project["name"].replace("-", "_")}
    targets = {name: value.partition(":")[2] for name, value in given.items()}
    return project["name"], blocks["python"], targets
