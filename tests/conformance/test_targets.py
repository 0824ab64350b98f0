"""What every target keeps to, built in or brought by another package."""

from __future__ import annotations

import copy
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from sparkscore.plan.spark_application import SparkApplication, plan_spark_application
from sparkscore.targets.base import Capability, CompiledApplication, Target
from sparkscore.targets.outside import iter_problems
from sparkscore.targets.registry import DRIVER_TARGETS, TARGETS, get_target, list_target_names
from tests.targets.outside_packages import read_documented_package, write_package

OUTSIDE = "slurm"
COMPUTES = Path(__file__).parent.parent / "golden" / "computes"
EACH_TARGET = pytest.mark.parametrize("name", [*(target.name for target in TARGETS), OUTSIDE])
CONF = {"spark.executor.memory": "2g", "spark.own": "'$HOME' `id`", "spark.a": "1"}

_OF_THE_OUTSIDE_WORLD = ("open", "os.", "socket.", "subprocess.", "shutil.", "tempfile.")
_seen: list[str] | None = None


def _note(event: str, _arguments: tuple[Any, ...]) -> None:
    if _seen is not None and event.startswith(_OF_THE_OUTSIDE_WORLD):
        _seen.append(event)


@pytest.fixture(scope="session")
def audit() -> None:
    """Python never forgets an audit hook, so there is one, and it notes only where it is asked."""
    sys.addaudithook(_note)


@pytest.fixture(scope="module", autouse=True)
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The package that docs/compile.md shows is installed."""
    folder = write_package(tmp_path_factory.mktemp("site") / "packages", *read_documented_package())
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield


def plan(target: Target, *, is_full: bool) -> SparkApplication:
    """A job for ``target``, with all that it can do or with nothing special."""
    gpus = 2 if is_full and Capability.GPU in target.capabilities else 0
    folder = "s3://bucket/staging/job's 1"
    application = plan_spark_application(
        "job's 1",
        entry_point=f"{folder}/score.py",
        launch_path=f"{folder}/launch.json",
        job_folder=folder,
        machine=None,
        master=target.master,
        instance_count=3 if is_full else None,
        max_concurrency_per_instance=4 if is_full else None,
        spark_conf=CONF if is_full else {},
        py_files=(f"{folder}/sparkscore.zip",),
        uses_delta=is_full,
        gpus_per_instance=gpus,
        relay=True,
    )
    compute: dict[str, Any] = {}
    if target.compute_type is not None:
        suffix = "-gpu" if gpus and target.compute_type == "databricks" else ""
        file = COMPUTES / f"{target.compute_type}{suffix}.yml"
        compute = yaml.safe_load(file.read_text(encoding="utf-8"))
    return replace(
        application,
        platform=compute,
        staging=folder,
        max_platform_retries=2,
        timeout_seconds=3600 if is_full else None,
        input_uri="s3://bucket/in",
        output_path="s3://bucket/out",
    )


def compile_quietly(target: Target, application: SparkApplication) -> CompiledApplication:
    """The compiled application; the target may look at nothing and do nothing else."""
    global _seen
    seen: list[str] = []
    _seen = seen
    try:
        return target.compile(application)
    finally:
        _seen = None
        assert seen == []


def reverse(application: SparkApplication) -> SparkApplication:
    """An equal application whose mappings have another order."""
    conf = dict(reversed(application.conf.items()))
    platform = dict(reversed([*application.platform.items()]))
    return replace(application, conf=conf, platform=platform)


@EACH_TARGET
def test_target__declares_itself(name: str) -> None:
    target = get_target(name)
    assert [*iter_problems(target, name=name)] == []
    assert name in list_target_names()
    if Capability.RUN in target.capabilities:
        assert target in DRIVER_TARGETS or target.compute_type is not None


@EACH_TARGET
@pytest.mark.parametrize("is_full", [False, True])
def test_target__compiles_alike_and_does_nothing_else(
    name: str, is_full: bool, audit: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = get_target(name)
    application = plan(target, is_full=is_full)
    before = copy.deepcopy(application)
    first = target.compile(application)  # what it imports, it imports now
    for variable in [*os.environ]:
        monkeypatch.delenv(variable)
    again = compile_quietly(target, application)
    turned = compile_quietly(target, reverse(application))
    assert application == before
    assert first == again == turned
    assert [*first.files] == [*turned.files]


@EACH_TARGET
def test_target__names_the_launch_message(name: str) -> None:
    compiled = get_target(name).compile(plan(get_target(name), is_full=False))
    assert compiled.target == name
    assert compiled.files
    assert any("launch.json" in text for text in compiled.files.values())


@EACH_TARGET
def test_target__files_have_plain_names(name: str) -> None:
    files = get_target(name).compile(plan(get_target(name), is_full=True)).files
    assert all(os.path.basename(file) == file for file in files)
    assert not {"launch.json", "sparkscore.zip", "code", "model"} & set(files)


def test_compile_quietly__finds_what_is_looked_at(audit: None, tmp_path: Path) -> None:
    class Curious:
        def compile(self, application: SparkApplication) -> CompiledApplication:
            return CompiledApplication("curious", tuple(os.listdir(tmp_path)))

    with pytest.raises(AssertionError):
        compile_quietly(Curious(), plan(get_target("local"), is_full=False))  # type: ignore[arg-type]
