"""Compiled folders are the same wherever and whenever they are made."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from sparkscore.control.compile import compile_deployment
from sparkscore.control.options import CompileOptions, RunOptions
from sparkscore.errors import (
    AlreadyExistsError,
    InvalidFieldError,
    OutputNotWritableError,
    PlanError,
    SparkscoreError,
    UnknownTargetError,
    UnsupportedByTargetError,
)
from sparkscore.targets.kubernetes.compile import RESOURCE_FILES
from sparkscore.targets.registry import PLATFORM_TARGETS, TARGETS, get_target
from tests.control.compile_samples import (
    COMPUTES,
    compile_full,
    compile_platform,
    compile_sample,
    have_environment,
    read_files,
)
from tests.control.samples import list_files, write_deployment
from tests.servers.crds.strict import find_problems
from tests.servers.databricks_bodies import Bundle, JobSettings, RunsSubmit, resolve_variables

GOLDEN = Path(__file__).parent.parent / "golden" / "compile"
DELTA = {"output_format": "delta", "output_file_name": None}
FULL_GOLDEN = Path(__file__).parent.parent / "golden" / "compile-full"
REPOSITORY = Path(__file__).parent.parent.parent
EACH_TARGET = pytest.mark.parametrize("target", [target.name for target in TARGETS])
EACH_PLATFORM = pytest.mark.parametrize("target", [target.name for target in PLATFORM_TARGETS])


def read_texts(folder: Path, *, place: Path) -> dict[str, str]:
    """The text files of a compiled folder, with ``place`` left out."""
    return {
        name: content.decode("utf-8").replace(str(place), "/PLACE")
        for name, content in read_files(folder).items()
        if not name.startswith("model/") and ".zip" not in name
    }


def check_golden(texts: dict[str, str], golden: Path) -> None:
    if os.environ.get("UPDATE_GOLDEN"):
        shutil.rmtree(golden, ignore_errors=True)
        for name, text in texts.items():
            (golden / name).parent.mkdir(parents=True, exist_ok=True)
            (golden / name).write_text(text, encoding="utf-8")
    assert texts == read_texts(golden, place=golden)


@EACH_TARGET
def test_compile__golden(tmp_path: Path, target: str) -> None:
    texts = read_texts(compile_platform(tmp_path, target), place=tmp_path)
    check_golden(texts, GOLDEN / target)


@EACH_TARGET
def test_compile__golden_with_environment_gpus_and_delta(
    tmp_path: Path, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files that are not those of the plain deployment, and the names of all there are."""
    have_environment(tmp_path / "cache", monkeypatch)
    folder = compile_full(tmp_path, target)
    texts = {
        name: content.decode("utf-8").replace(str(tmp_path), "/PLACE")
        for name, content in read_files(folder).items()
        if "/" not in name and not name.endswith((".zip", ".zst")) and name != "score.py"
    }
    texts["files.txt"] = "".join(f"{name}\n" for name in sorted(read_files(folder)))
    check_golden(texts, FULL_GOLDEN / target)


@pytest.mark.parametrize("golden", [GOLDEN, FULL_GOLDEN], ids=lambda golden: golden.name)
def test_golden__is_what_platforms_take(golden: Path) -> None:
    for operator, name in RESOURCE_FILES.items():
        resource = yaml.safe_load((golden / "kubernetes" / name).read_text(encoding="utf-8"))
        assert find_problems(resource, operator) == []
    databricks = golden / "databricks"
    JobSettings.model_validate_json((databricks / "create.json").read_bytes())
    RunsSubmit.model_validate_json((databricks / "submit.json").read_bytes())
    bundle = (golden / "databricks-bundle" / "databricks.yml").read_text(encoding="utf-8")
    Bundle.model_validate(resolve_variables(yaml.safe_load(bundle)))


@EACH_TARGET
def test_compile__folder(tmp_path: Path, target: str) -> None:
    files = list_files(compile_platform(tmp_path, target))
    assert {"launch.json", "code/score.py", "model/model/weights.bin"} <= set(files)
    assert {"score.py", "sparkscore.zip"} <= set(files) or target == "local"


@EACH_TARGET
def test_compile__is_deterministic(tmp_path: Path, target: str) -> None:
    contents = []
    for place in (tmp_path / "a", tmp_path / "b"):
        folder = compile_platform(place, target)
        contents.append(
            {
                name: (folder / name).read_bytes().replace(bytes(place), b"")
                for name in list_files(folder)
                if (folder / name).is_file()
            }
        )
    assert contents[0] == contents[1]


@EACH_PLATFORM
def test_compile__platform_files_name_no_path_of_this_machine(tmp_path: Path, target: str) -> None:
    folder = compile_platform(tmp_path, target)
    places = (str(tmp_path).encode(), str(REPOSITORY).encode(), str(Path.home()).encode() + b"/")
    for name in list_files(folder):
        if (folder / name).is_file() and ".zip" not in name:
            content = (folder / name).read_bytes()
            assert not [place for place in places if place in content], name


SECRET = "s3cr3t-0f-this-test"


@EACH_TARGET
def test_compile__holds_no_secret(
    tmp_path: Path, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_SECRET_ACCESS_KEY", "DATABRICKS_TOKEN", "PASSWORD", "SPARKSCORE_STAGING"):
        monkeypatch.setenv(name, SECRET)
    folder = compile_platform(tmp_path, target)
    for name in list_files(folder):
        if (folder / name).is_file():
            assert SECRET.encode() not in (folder / name).read_bytes(), name


@EACH_TARGET
def test_compile__refuses_a_secret_in_spark_conf(tmp_path: Path, target: str) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        compile_platform(tmp_path, target, conf=(f"spark.hadoop.fs.s3a.secret.key={SECRET}",))
    assert caught.value.condition == "SECRET_IN_CONF"
    assert SECRET not in caught.value.message
    assert not (tmp_path / "compiled").exists()


def test_compile__secret_by_name(tmp_path: Path) -> None:
    conf = ("spark.hadoop.fs.s3a.secret.key=${env.AWS_SECRET_ACCESS_KEY}",)
    script = (compile_sample(tmp_path, "spark-submit", conf=conf) / "submit.sh").read_text()
    assert "'spark.hadoop.fs.s3a.secret.key=${env.AWS_SECRET_ACCESS_KEY}'" in script


def test_compile__warns_of_a_variable_that_may_be_a_secret(tmp_path: Path) -> None:
    file = write_deployment(
        tmp_path / "deployment", environment_variables={"API_TOKEN": "abc", "TOKENIZERS": "x"}
    )
    run = RunOptions(file=file, input="s3://bucket/images")
    compiled = compile_deployment(CompileOptions(run, "local", tmp_path / "compiled"))
    warned = [message for message in compiled.messages if "launch.json" in message]
    assert len(warned) == 1
    assert "API_TOKEN" in warned[0]


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
        ("emr", "new", UnknownTargetError),
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


@EACH_PLATFORM
def test_compile__platform_needs_its_compute(tmp_path: Path, target: str) -> None:
    with pytest.raises(PlanError) as caught:
        compile_sample(tmp_path, target)
    assert caught.value.condition == "COMPUTE_NEEDED"


@EACH_PLATFORM
def test_compile__local_target_refuses_a_platform_compute(tmp_path: Path, target: str) -> None:
    compute = COMPUTES / f"{get_target(target).compute_type}.yml"
    with pytest.raises(PlanError) as caught:
        compile_sample(tmp_path, "local", compute=str(compute))
    assert caught.value.condition == "COMPUTE_MISMATCH"


@pytest.mark.parametrize(
    ("overrides", "capability"),
    [(("resources.gpus=1",), "GPU")],
)
def test_compile__what_local_cannot_do(
    tmp_path: Path, overrides: tuple[str, ...], capability: str
) -> None:
    with pytest.raises(UnsupportedByTargetError) as caught:
        compile_sample(tmp_path, "local", overrides=overrides)
    assert caught.value.attributes == {"target": "local", "capability": capability}


@EACH_PLATFORM
def test_compile__platform_refuses_paths_of_this_machine(tmp_path: Path, target: str) -> None:
    file = write_deployment(tmp_path / "deployment")
    compute = str(COMPUTES / f"{get_target(target).compute_type}.yml")
    run = RunOptions(file=file, input=str(tmp_path / "data"), compute=compute)
    with pytest.raises(UnsupportedByTargetError) as caught:
        compile_deployment(CompileOptions(run, target, tmp_path / "compiled"))
    assert caught.value.attributes == {"target": target, "capability": "LOCAL_PATHS"}


@pytest.mark.parametrize("target", ["databricks", "databricks-bundle"])
@pytest.mark.parametrize(
    "output", ["/Volumes/main/scoring/out", "file:///Volumes/a/b/c", "/dbfs/scored", None]
)
def test_compile__volumes_hold_no_delta_tables(
    tmp_path: Path, target: str, output: str | None
) -> None:
    with pytest.raises(UnsupportedByTargetError) as caught:
        compile_platform(tmp_path, target, output_path=output, fields=DELTA)
    assert caught.value.attributes == {"target": target, "capability": "DELTA_IN_VOLUME"}
    assert "output_table" in caught.value.message
    assert not (tmp_path / "compiled").exists()


@pytest.mark.parametrize(
    "fields",
    [
        {"output_format": "csv", "output_file_name": "out.csv"},
        {"output_table": "main.scoring.out", "output_file_name": None},
    ],
)
def test_compile__what_volumes_do_not_hinder(tmp_path: Path, fields: dict[str, str]) -> None:
    folder = compile_platform(
        tmp_path, "databricks", output_path="/Volumes/main/scoring/out", fields=fields
    )
    assert (folder / "submit.json").is_file()


def test_compile__master_of_the_compute_is_the_default(tmp_path: Path) -> None:
    compute = tmp_path / "cluster.yml"
    compute.write_text("name: cluster\ntype: spark\nmaster: spark://host-1:7077\n")
    folder = compile_sample(tmp_path, "spark-submit", compute=str(compute))
    assert "master=spark://host-1:7077" in (folder / "submit.sh").read_text()


def test_compile__compute_without_a_workspace(tmp_path: Path) -> None:
    with pytest.raises(SparkscoreError) as caught:
        compile_sample(tmp_path, "spark-submit", compute="cluster")
    assert caught.value.condition == "UNKNOWN_COMPUTE"
