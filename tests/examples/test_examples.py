"""The examples: their files load, and the demo runs from raw data to the last query."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sparkscore.spec import load_deployment

EXAMPLES = Path(__file__).parents[2] / "conf" / "examples"


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*/deployment.yml")), ids=str)
def test_example__deployment_loads(file: Path) -> None:
    loaded = load_deployment(file)
    assert loaded.spec.name
    assert loaded.spec.endpoint_name


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """The demo's standard output and folder, run in a copy of the examples."""
    folder = tmp_path_factory.mktemp("demo") / "examples"
    ignored = shutil.ignore_patterns("data", "model", "demo-output", "__pycache__")
    shutil.copytree(EXAMPLES, folder, ignore=ignored)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [folder / "run-demo"],
        env={**os.environ, "PATH": path, "PYSPARK_PYTHON": sys.executable},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout, folder


def summary_of(folder: Path, name: str) -> dict[str, object]:
    (summary,) = (folder / "demo-output").glob(f"{name}-*/summary.json")
    content: dict[str, object] = json.loads(summary.read_text(encoding="utf-8"))
    return content


@pytest.mark.slow
@pytest.mark.spark
def test_demo__scores_every_digit_and_prints_the_accuracy(demo: tuple[str, Path]) -> None:
    output, folder = demo
    summary = summary_of(folder, "digits")
    assert summary["inputs"] == {"total": 1797, "succeeded": 1797, "failed": 0}
    (line,) = [line for line in output.splitlines() if line.strip().startswith("test ")]
    assert float(line.split()[-1]) > 0.95


@pytest.mark.slow
@pytest.mark.spark
def test_demo__scores_every_flight_into_a_table(demo: tuple[str, Path]) -> None:
    output, folder = demo
    summary = summary_of(folder, "flights")
    assert summary["inputs"] == {"total": 12, "succeeded": 12, "failed": 0}
    assert summary["rows"] == 336_776
    assert "336776" in output
