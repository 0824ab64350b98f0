"""A compiled folder runs wherever it is put: moved, or copied to a store."""

from __future__ import annotations

import shutil
from pathlib import Path

from sparkscore.control.compile import compile_deployment
from sparkscore.control.options import CompileOptions, RunOptions
from sparkscore.driver.remote_start import load_launch
from sparkscore.plan.launch_overrides import DriverArguments
from tests.control.samples import write_deployment


def compile_sample(folder: Path) -> Path:
    file = write_deployment(folder / "deployment")
    run = RunOptions(file=file, input="s3://bucket/in", output_path="s3://bucket/out")
    return compile_deployment(CompileOptions(run, "spark-submit", folder / "compiled")).folder


def test_load_launch__compiled_folder_that_was_moved(tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    shutil.move(compile_sample(tmp_path), moved)
    launch, remote = load_launch(DriverArguments(launch=str(moved / "launch.json")))
    assert remote is None
    assert launch.scoring.model_folder == str(moved / "model")
    assert launch.scoring.code_folder == str(moved / "code")
    assert not launch.relay


def test_load_launch__compiled_folder_in_a_store(tmp_path: Path) -> None:
    folder = compile_sample(tmp_path)
    uri = f"file://{folder}"
    launch, remote = load_launch(DriverArguments(launch=f"{uri}/launch.json"))
    assert remote is not None
    try:
        assert launch.staged
        assert launch.relay
        assert launch.mirror is not None
        assert launch.mirror.uri == uri
        assert launch.job_folder == str(remote.place / "job")
        assert launch.scoring.model_folder == str(remote.place / "model")
    finally:
        remote.remove()
