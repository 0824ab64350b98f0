"""Compiled folders are the same wherever and whenever they are made."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sparkscore.control.compile import compile_deployment
from sparkscore.control.options import CompileOptions, RunOptions
from sparkscore.errors import AlreadyExistsError, OutputNotWritableError, UnknownTargetError
from tests.control.samples import list_files, write_deployment

GOLDEN = Path(__file__).parent.parent / "golden" / "compile"
REPOSITORY = Path(__file__).parent.parent.parent


def compile_sample(place: Path, target: str, *, folder: Path | None = None, **options: Any) -> Path:
    file = write_deployment(
        place / "deployment",
        mini_batch_size=2,
        max_concurrency_per_instance=2,
        output_file_name="results.jsonl",
        environment_variables={"GREETING": "it's"},
        spark_conf={"spark.executor.memory": "2g"},
    )
    run = RunOptions(
        file=file,
        input="s3://bucket/images",
        output_path="s3://bucket/results",
        job_folder=place / "jobs" / "nightly",
        limit=100,
        **options,
    )
    return compile_deployment(CompileOptions(run, target, folder or place / "compiled")).folder


@pytest.mark.parametrize("target", ["local", "spark-submit"])
def test_compile__golden(tmp_path: Path, target: str) -> None:
    folder = compile_sample(tmp_path, target)
    golden = GOLDEN / target
    texts = ["launch.json", "submit.sh", "code/score.py", "code/helper.py"]
    for name in texts:
        text = (folder / name).read_text().replace(str(tmp_path), "/PLACE")
        assert text == (golden / name).read_text(), f"{target}/{name}"
    extra = ["score.py", "sparkscore.zip"] if target == "spark-submit" else []
    assert list_files(folder) == sorted(
        [*texts, "code", "model", "model/model", "model/model/weights.bin", *extra]
    )


def test_compile__is_deterministic(tmp_path: Path) -> None:
    contents = []
    for place in (tmp_path / "a", tmp_path / "b"):
        folder = compile_sample(place, "spark-submit")
        contents.append(
            {
                name: (folder / name).read_bytes().replace(bytes(place), b"")
                for name in list_files(folder)
                if (folder / name).is_file()
            }
        )
    assert contents[0] == contents[1]


def test_compile__packages_hold_sparkscore(tmp_path: Path) -> None:
    with zipfile.ZipFile(compile_sample(tmp_path, "spark-submit") / "sparkscore.zip") as packages:
        names = packages.namelist()
    assert {"sparkscore/__init__.py", "sparkscore/driver/main.py", "sparkscore/py.typed"} <= set(
        names
    )
    assert [name for name in names if "__pycache__" in name or name.endswith(".pyc")] == []


def test_compile__entry_point_is_the_job_file(tmp_path: Path) -> None:
    compiled = compile_sample(tmp_path, "spark-submit") / "score.py"
    assert compiled.read_text() == (REPOSITORY / "jobs" / "score.py").read_text()


def test_compile__submit_script_can_be_executed(tmp_path: Path) -> None:
    assert (compile_sample(tmp_path, "local") / "submit.sh").stat().st_mode & 0o111 == 0o111


def test_compile__model_is_a_copy(tmp_path: Path) -> None:
    folder = compile_sample(tmp_path, "local")
    source = tmp_path / "deployment" / "model" / "weights.bin"
    assert not (folder / "model" / "model" / "weights.bin").samefile(source)


def test_compile__into_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "compiled").mkdir()
    assert (compile_sample(tmp_path, "local") / "launch.json").is_file()


def test_compile__default_job_folder(tmp_path: Path, in_folder: Callable[[], Path]) -> None:
    current = in_folder()
    file = write_deployment(tmp_path / "deployment")
    options = RunOptions(file=file, input="data")
    compiled = compile_deployment(CompileOptions(options, "local", Path("compiled")))
    assert compiled.folder == current / "compiled"
    assert compiled.job_folder == current / "sparkscore-jobs" / "compiled"
    assert not (current / "sparkscore-jobs").exists()


@pytest.mark.parametrize(
    ("target", "folder", "kind"),
    [
        ("databricks", "new", UnknownTargetError),
        ("local", "present", AlreadyExistsError),
        ("local", "file", AlreadyExistsError),
        ("local", "file/below", OutputNotWritableError),
    ],
)
def test_compile__refuses(tmp_path: Path, target: str, folder: str, kind: type[Exception]) -> None:
    (tmp_path / "present").mkdir()
    (tmp_path / "present" / "x").write_text("x")
    (tmp_path / "file").write_text("x")
    with pytest.raises(kind):
        compile_sample(tmp_path, target, folder=tmp_path / folder)
    assert list_files(tmp_path / "present") == ["x"]
    assert not (tmp_path / "new").exists()
