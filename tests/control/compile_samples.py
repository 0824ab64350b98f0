"""Deployments that are compiled: a plain one, and one with all that targets must carry along."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sparkscore.control.compile import compile_deployment
from sparkscore.control.environments.build import PACKAGES_FILE
from sparkscore.control.environments.cache import CACHE_VARIABLE, get_environments_folder
from sparkscore.control.environments.job import MODE_VARIABLE
from sparkscore.control.environments.request import read_request
from sparkscore.control.options import CompileOptions, RunOptions
from sparkscore.targets.registry import get_target
from tests.control.samples import list_files, write_deployment

COMPUTES = Path(__file__).parent.parent / "golden" / "computes"
ENVIRONMENT = {
    "python_version": "3.11",
    "requirements": ["pandas==2.2.3", "pyarrow==17.0.0", "torch==2.5.1"],
}
BUILT = b"stands for the packed environment"


def compile_sample(
    place: Path,
    target: str,
    *,
    folder: Path | None = None,
    fields: dict[str, Any] | None = None,
    **options: Any,
) -> Path:
    """The compiled folder of a deployment; ``fields`` are more of its keys."""
    given = {
        "mini_batch_size": 2,
        "max_concurrency_per_instance": 2,
        "output_file_name": "results.jsonl",
        "environment_variables": {"GREETING": "it's"},
        "spark_conf": {"spark.executor.memory": "2g"},
        **(fields or {}),
    }
    run = RunOptions(
        file=write_deployment(place / "deployment", **given),
        job_folder=place / "jobs" / "nightly",
        **{
            "input": "s3://bucket/images",
            "output_path": "s3://bucket/results",
            "limit": 100,
            **options,
        },
    )
    return compile_deployment(CompileOptions(run, target, folder or place / "compiled")).folder


def compile_platform(
    place: Path, target: str, *, folder: Path | None = None, gpu: str = "", **options: Any
) -> Path:
    """The same for the target's own kind of compute, where it has one."""
    kind = get_target(target).compute_type
    if kind is not None:
        is_gpu = bool(gpu) and kind == "databricks"
        file = COMPUTES / f"{kind}{gpu if is_gpu else ''}.yml"
        options.setdefault("compute", str(file))
    return compile_sample(place, target, folder=folder, **options)


def compile_full(place: Path, target: str, *, folder: Path | None = None, **options: Any) -> Path:
    """A job with an environment, GPUs where ``target`` has them, and a Delta table as output."""
    gpus = {} if target == "local" else {"gpus": 2}
    fields = {
        "environment": ENVIRONMENT,
        "resources": {"instance_count": 3, **gpus},
        "output_format": "delta",
        "output_file_name": "predictions",
    }
    return compile_platform(place, target, folder=folder, gpu="-gpu", fields=fields, **options)


def have_environment(cache: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let the user's cache have ENVIRONMENT built and packed already; gives its digest.

    The kind of machine is part of the digest: it is the same wherever tests run.
    """
    monkeypatch.delenv(MODE_VARIABLE, raising=False)
    monkeypatch.setenv(CACHE_VARIABLE, str(cache))
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    request = read_request(ENVIRONMENT)
    assert request is not None
    built = get_environments_folder() / request.digest
    built.mkdir(parents=True)
    (built / PACKAGES_FILE).write_text("{}")
    (built.parent / f"{built.name}.tar.zst").write_bytes(BUILT)
    return request.digest


def read_files(folder: Path) -> dict[str, bytes]:
    """The content of every file of a compiled folder."""
    names = [name for name in list_files(folder) if (folder / name).is_file()]
    return {name: (folder / name).read_bytes() for name in names}
