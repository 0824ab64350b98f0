"""A compiled job is launched again and again; each run has its own name, folder and output."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from sparkscore.errors import InvalidFieldError, PlanError, UnknownFieldError, UsageError
from sparkscore.messages.codec import from_json
from sparkscore.messages.launch import LaunchMessage, MirrorMessage
from sparkscore.plan.launch_overrides import DriverArguments, apply_arguments, read_arguments

GOLDEN = Path(__file__).parent.parent / "golden" / "compile" / "spark-submit" / "launch.json"


@pytest.fixture(scope="module")
def launch() -> LaunchMessage:
    message = from_json(LaunchMessage, GOLDEN.read_text(), where="launch.json")
    place = "s3://lake/staging/nightly"
    return replace(message, job_folder=place, mirror=MirrorMessage(place, {"region": "x"}))


def test_arguments__launch_alone(launch: LaunchMessage) -> None:
    given = read_arguments(["s3://lake/launch.json"])
    assert given == DriverArguments("s3://lake/launch.json")
    assert apply_arguments(launch, given) == launch


def test_arguments__as_a_platform_gives_them(launch: LaunchMessage) -> None:
    words = ["--run", "12", "--input", "", "--output-path", " ", "--overrides", ""]
    given = read_arguments(["L", *words])
    assert given == DriverArguments("L", run="12")
    run = apply_arguments(launch, given)
    assert (run.job_name, run.scoring.job_name) == ("nightly-12", "nightly-12")
    assert run.job_folder == "s3://lake/staging/nightly/runs/12"
    assert run.mirror == MirrorMessage("s3://lake/staging/nightly/runs/12", {"region": "x"})
    assert run.input == launch.input
    assert run.output == replace(launch.output, path="s3://bucket/results/12")
    assert run.scoring == replace(launch.scoring, job_name="nightly-12")


def test_arguments__repeated() -> None:
    words = [
        "--set",
        "description=a b",
        "--set=",
        "--option",
        "endpoint=http://h/?a=b",
        "--set",
        "x=1",
    ]
    given = read_arguments(["L", *words, "--overrides", "y=2"])
    assert given.overrides == ("description=a b", "x=1", "y=2")
    assert given.options == {"endpoint": "http://h/?a=b"}


def test_arguments__with_equals_sign() -> None:
    given = read_arguments(["L", "--input=s3://b/a=b", "--overrides=a=1 b='x y'"])
    assert (given.input, given.overrides) == ("s3://b/a=b", ("a=1", "b=x y"))


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--run", "1"],
        ["L", "M"],
        ["L", "--run"],
        ["L", "--run", "a/b"],
        ["L", "--run", "../x"],
        ["L", "--run", "1", "--run", "2"],
        ["L", "--what", "1"],
        ["L", "--overrides", "a='b"],
        ["L", "--option", "a"],
        ["L", "--option", "=a"],
    ],
)
def test_arguments__refused(words: list[str]) -> None:
    with pytest.raises(UsageError):
        read_arguments(words)


def test_output__of_the_caller(launch: LaunchMessage) -> None:
    given = DriverArguments("L", run="7", output_path="s3://other/day-{run}")
    run = apply_arguments(launch, given)
    assert run.output.path == "s3://other/day-7"
    named = apply_arguments(launch, DriverArguments("L", run="7", output_path="s3://other/x"))
    assert named.output.path == "s3://other/x"


@pytest.mark.parametrize(
    ("output", "format_", "is_refused"),
    [
        ("/Volumes/main/a/out/{run}", "delta", True),
        ("file:///Volumes/main/a", "delta", True),
        ("dbfs:/Volumes/main/a", "delta", True),
        ("/Volumes/main/a", "csv", False),
        ("/VolumesToo/a", "delta", False),
        ("s3://lake/Volumes/a", "delta", False),
    ],
)
def test_output__volumes_hold_no_delta_tables(
    launch: LaunchMessage, output: str, format_: str, is_refused: bool
) -> None:
    staged = replace(launch, staged=True, output=replace(launch.output, format=format_))
    given = DriverArguments("L", run="12", output_path=output)
    if not is_refused:
        assert apply_arguments(staged, given).output.path == output
        return
    with pytest.raises(PlanError) as caught:
        apply_arguments(staged, given)
    assert caught.value.condition == "DELTA_IN_VOLUME"
    table = replace(staged, output=replace(staged.output, table="main.a.out"))
    assert apply_arguments(table, given).output.table == "main.a.out"


def test_input__another_store_has_no_options_of_the_first(launch: LaunchMessage) -> None:
    first = replace(launch.input, options={"anon": "true"}, include=("*.jpg",), list_file="inputs")
    launch = replace(launch, input=first)
    same = apply_arguments(launch, DriverArguments("L", input="s3://bucket/other"))
    assert same.input == replace(first, uri="s3://bucket/other", list_file=None)
    other = apply_arguments(launch, DriverArguments("L", input="s3://elsewhere/images"))
    assert other.input == replace(first, uri="s3://elsewhere/images", list_file=None, options={})
    again = apply_arguments(launch, DriverArguments("L", input=first.uri))
    assert again.input == first


def test_overrides__reach_workers_and_the_record(launch: LaunchMessage) -> None:
    words = ("mini_batch_size=20", "timeout=5", "settings.error_threshold=3", "memory_limit=1g")
    run = apply_arguments(launch, DriverArguments("L", overrides=words))
    assert (run.scoring.mini_batch_size, run.scoring.timeout_seconds) == (20, 5)
    assert (run.scoring.error_threshold, run.scoring.memory_limit_bytes) == (3, 1024**3)
    assert run.settings["settings"]["mini_batch_size"] == 20
    assert run.scoring.digest != launch.scoring.digest
    unchanged = replace(
        run.scoring,
        mini_batch_size=2,
        timeout_seconds=30,
        error_threshold=-1,
        memory_limit_bytes=0,
        digest=launch.scoring.digest,
    )
    assert unchanged == launch.scoring
    assert json.loads(json.dumps(run.settings)) == run.settings


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("instance_count=4", "resources"),
        ("isolation=inline", "isolation"),
        ("model.path=other", "model"),
        ("spark_conf.spark.executor.memory=4g", "spark_conf"),
        ("environment_variables.A=b", "environment_variables"),
        ("code_configuration.scoring_script=other.py", "code_configuration"),
    ],
)
def test_overrides__what_was_compiled_stays(launch: LaunchMessage, override: str, key: str) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        apply_arguments(launch, DriverArguments("L", overrides=(override,)))
    assert (caught.value.condition, caught.value.attributes["key"]) == ("NOT_CHANGEABLE", key)


@pytest.mark.parametrize(
    ("override", "kind"),
    [
        ("mini_batch_sise=4", UnknownFieldError),
        ("mini_batch_size=none", InvalidFieldError),
        ("mini_batch_size", InvalidFieldError),
    ],
)
def test_overrides__refused(launch: LaunchMessage, override: str, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        apply_arguments(launch, DriverArguments("L", overrides=(override,)))
