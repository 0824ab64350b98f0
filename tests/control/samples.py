"""A deployment with input, code and model, and a Java that costs nothing to start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from sparkscore.control.workspace_config import CONFIG_FILE, make_workspace_folder

SCRIPT = "from helper import prefix\n\ndef init(): ...\n\ndef run(mini_batch): return mini_batch\n"


def write_deployment(folder: Path, **fields: Any) -> Path:
    """Write deployment.yml beside its ``code``, ``model`` and an input ``in`` of eight files."""
    (folder / "in").mkdir(parents=True)
    for number in range(8):
        (folder / "in" / f"{number}.txt").write_text(str(number))
    (folder / "code").mkdir()
    (folder / "code" / "score.py").write_text(SCRIPT)
    (folder / "code" / "helper.py").write_text("prefix = 'a'\n")
    (folder / "model").mkdir()
    (folder / "model" / "weights.bin").write_bytes(b"\0\1")
    content = {
        "name": "digits",
        "endpoint_name": "digit-endpoint",
        "model": {"path": "model"},
        "code_configuration": {"code": "code", "scoring_script": "score.py"},
        "compute": "azureml:cpu-cluster",
        **fields,
    }
    kept = {name: value for name, value in content.items() if value is not None}
    file = folder / "deployment.yml"
    file.write_text(yaml.safe_dump(kept), encoding="utf-8")
    return file


def make_quiet_workspace(folder: Path) -> Path:
    """A new workspace whose jobs become no MLflow runs: each costs a process that takes seconds."""
    make_workspace_folder(folder)
    file = folder / CONFIG_FILE
    file.write_text(file.read_text().replace("log_jobs = true", "log_jobs = false"))
    return folder


def write_java(folder: Path, *, version: int = 17) -> Path:
    """A Java home whose ``java`` only tells its version."""
    java = folder / "bin" / "java"
    java.parent.mkdir(parents=True, exist_ok=True)
    java.write_text(
        "#!/bin/sh\n"
        f"echo '    java.home = {folder}' >&2\n"
        f"echo '    java.specification.version = {version}' >&2\n"
    )
    java.chmod(0o755)
    return folder


def list_files(folder: Path) -> list[str]:
    """Every path below ``folder``, hidden ones too."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
