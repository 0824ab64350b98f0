"""The examples: their files load, and the demo runs from raw data to the last query."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sparkscore.spec import BatchEndpointSpec, load_deployment, load_document

EXAMPLES = Path(__file__).parents[2] / "conf" / "examples"


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*/deployment*.yml")), ids=str)
def test_example__deployment_loads(file: Path) -> None:
    loaded = load_deployment(file)
    assert loaded.spec.name
    assert loaded.spec.endpoint_name == file.parent.name
    assert load_document(BatchEndpointSpec, file.parent / "endpoint.yml").spec.name


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """The demo's standard output and the folder of its results, run in a copy of the examples."""
    folder = tmp_path_factory.mktemp("demo") / "examples"
    ignored = shutil.ignore_patterns("data", "model*", "demo-output", "__pycache__")
    shutil.copytree(EXAMPLES, folder, ignore=ignored)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [folder / "run-demo"],
        env={
            **os.environ,
            "PATH": path,
            "PYSPARK_PYTHON": sys.executable,
            "SPARKSCORE_CONFIG_DIR": str(folder.parent / "config"),
        },
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    (results,) = (folder / "demo-output").iterdir()
    return done.stdout, results


def read_summaries(results: Path, endpoint: str) -> dict[str, dict[str, Any]]:
    """The summaries of an endpoint's jobs by deployment."""
    files = (results / "workspace" / "jobs").glob("*/summary.json")
    summaries = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    return {
        summary["deployment"]["name"]: summary
        for summary in summaries
        if summary["deployment"]["endpoint_name"] == endpoint
    }


def iter_sparkscore_commands(text: str) -> Iterator[str]:
    """The ``sparkscore`` commands in a page's blocks, without what the shell does around them."""
    text = text.replace("\\\n", " ")
    for block in re.findall(r"^```\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            command = line.removeprefix("job=$(").removesuffix(")")
            if command.startswith("sparkscore "):
                yield " ".join(command.split())


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.spark
def test_demo__scores_every_digit_with_both_models(demo: tuple[str, Path]) -> None:
    output, results = demo
    summaries = read_summaries(results, "digits")
    assert set(summaries) == {"digits-svc", "digits-linear"}
    counts = {"total": 1797, "succeeded": 1797, "failed": 0}
    assert [summary["inputs"] for summary in summaries.values()] == [counts, counts]
    lines = [line for line in output.splitlines() if line.strip().startswith("test ")]
    first, second = (float(line.split()[-1]) for line in lines)
    assert first > second > 0.9


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.spark
def test_demo__scores_every_flight_into_a_table(demo: tuple[str, Path]) -> None:
    output, results = demo
    summary = read_summaries(results, "flights")["arrival-delay"]
    assert summary["inputs"] == {"total": 12, "succeeded": 12, "failed": 0}
    assert summary["rows"] == 336_776
    assert "336776" in output
    assert (results / "flights" / "_delta_log").is_dir()


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.spark
def test_demo__runs_the_commands_that_the_pages_show(demo: tuple[str, Path]) -> None:
    """Only the jobs' names and the run's own folder differ."""
    output, results = demo
    jobs = [folder.name for folder in (results / "workspace" / "jobs").iterdir()]
    text = output.replace(f"demo-output/{results.name}", "demo-output")
    for job in jobs:
        text = text.replace(job, "$job")
    ran = {line.removeprefix("$ ") for line in text.splitlines() if line.startswith("$ ")}
    section = (EXAMPLES.parents[1] / "README.md").read_text(encoding="utf-8")
    section = section.partition("## Real images and real tables\n")[2].partition("\n## ")[0]
    page = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    shown = [set(iter_sparkscore_commands(part)) for part in (page, section)]
    assert min(map(len, shown)) > 5
    assert [commands - ran for commands in shown] == [set(), set()]
    (accuracy,) = re.findall(r"^```\n(1797 images.*?)^```$", section, re.MULTILINE | re.DOTALL)
    assert accuracy in output
