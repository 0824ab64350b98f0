"""Bad input: one line, the right exit code, nothing half-made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.cli.conftest import RunCli
from tests.control.samples import list_files, write_deployment

Change = Callable[[Path], None]


def rewrite(old: str, new: str) -> Change:
    """Change the text of the deployment file."""

    def change(folder: Path) -> None:
        file = folder / "deployment.yml"
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))

    return change


def put(name: str, content: bytes) -> Change:
    """Put other content into a file of the deployment."""

    def change(folder: Path) -> None:
        (folder / name).write_bytes(content)

    return change


def remove(name: str) -> Change:
    def change(folder: Path) -> None:
        (folder / name).unlink()

    return change


def make_folder(name: str, *, with_file: str = "") -> Change:
    def change(folder: Path) -> None:
        (folder / name).mkdir(exist_ok=True)
        if with_file:
            (folder / name / with_file).touch()

    return change


def nothing(_: Path) -> None:
    return None


CASES: dict[str, tuple[Change, list[str], int, str]] = {
    "input missing": (nothing, ["--input", "nope"], 2, "INPUT_NOT_FOUND"),
    "input empty": (make_folder("empty"), ["--input", "empty"], 2, "EMPTY_INPUT"),
    "input hidden": (
        make_folder("empty", with_file=".hidden"),
        ["--input", "empty"],
        2,
        "EMPTY_INPUT",
    ),
    "input of a workspace": (nothing, ["--input", "azureml:data:1"], 2, "NO_WORKSPACE"),
    "output present": (
        make_folder("out", with_file="predictions.csv"),
        ["--output-path", "out"],
        5,
        "OUTPUT_EXISTS",
    ),
    "output is a file": (nothing, ["--output-path", "in/1.txt"], 2, "OUTPUT_NOT_A_FOLDER"),
    "output not writable": (nothing, ["--output-path", "/proc/out"], 2, "OUTPUT_NOT_WRITABLE"),
    "job folder present": (make_folder("job"), ["--job-folder", "job"], 5, "JOB_EXISTS"),
    "job folder in input": (nothing, ["--job-folder", "in/job"], 2, "JOB_FOLDER_IN_INPUT"),
    "deployment missing": (remove("deployment.yml"), [], 2, "DEPLOYMENT_FILE_NOT_FOUND"),
    "script missing": (remove("code/score.py"), [], 2, "SCRIPT_NOT_FOUND"),
    "script without run": (
        put("code/score.py", b"def init(): ..."),
        [],
        2,
        "SCRIPT_WITHOUT_RUN",
    ),
    "script with a syntax error": (put("code/score.py", b"def ("), [], 2, "SCRIPT_SYNTAX_ERROR"),
    "script outside of the code": (rewrite("score.py", "../score.py"), [], 2, "INVALID_FIELD"),
    "model missing": (rewrite("path: model", "path: nope"), [], 2, "MODEL_NOT_FOUND"),
    "model of a workspace": (
        rewrite("model:\n  path: model", "model: azureml:digits:1"),
        [],
        2,
        "NO_WORKSPACE",
    ),
    "unknown key": (rewrite("name: digits", "name: digits\nnmae: 1"), [], 2, "UNKNOWN_FIELD"),
    "wrong type": (
        rewrite("name: digits", "name: digits\nmini_batch_size: many"),
        [],
        2,
        "INVALID_FIELD",
    ),
    "wrong enum": (
        rewrite("name: digits", "name: digits\noutput_action: append"),
        [],
        2,
        "INVALID_FIELD",
    ),
    "output name leaves its folder": (
        rewrite("name: digits", "name: digits\noutput_file_name: ../a.csv"),
        [],
        2,
        "INVALID_FIELD",
    ),
    "required key missing": (rewrite("name: digits\n", ""), [], 2, "MISSING_FIELD"),
    "not UTF-8": (put("deployment.yml", b"name: \xff"), [], 2, "MALFORMED_DOCUMENT"),
    "YAML with a Python tag": (
        put("deployment.yml", b"name: !!python/object/apply:os.system [true]"),
        [],
        2,
        "MALFORMED_DOCUMENT",
    ),
    "refused Spark setting": (nothing, ["--conf", "spark.master=x"], 2, "REFUSED_CONF"),
    "unknown compute": (nothing, ["--compute", "yarn"], 3, "UNKNOWN_COMPUTE"),
    "cluster out of reach": (
        nothing,
        ["--compute", "spark://127.0.0.1:9"],
        3,
        "MASTER_UNREACHABLE",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_run__bad_input(
    run_cli: RunCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    change, flags, exit_code, condition = CASES[case]
    folder = tmp_path / "deployment"
    write_deployment(folder)
    change(folder)
    monkeypatch.chdir(folder)
    before = list_files(folder)
    given = ["--input", "in", *flags]
    answer = run_cli("batch-deployment", "run", "--file", "deployment.yml", *given)
    assert (answer.exit_code, answer.out) == (exit_code, "")
    (line,) = answer.err.splitlines()
    assert line.startswith(f"sparkscore: {condition}: ")
    assert list_files(folder) == before


def test_run__bad_yaml_names_file_line_and_nearest_key(run_cli: RunCli, tmp_path: Path) -> None:
    file = write_deployment(tmp_path / "deployment")
    file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text())) + "mini_batch_sise: 3\n")
    line = len(file.read_text().splitlines())
    answer = run_cli("batch-deployment", "run", "--file", str(file), "--input", str(tmp_path))
    assert f"{file}:{line}" in answer.err
    assert "mini_batch_size" in answer.err


@pytest.mark.parametrize(
    "flags",
    [
        ["--mini-batch-size", "0"],
        ["--limit", "many"],
        ["--nope"],
        ["surplus"],
        ["-o", "xml"],
    ],
)
def test_run__wrong_flags(
    run_cli: RunCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: list[str]
) -> None:
    file = write_deployment(tmp_path / "deployment")
    monkeypatch.chdir(file.parent)
    before = list_files(tmp_path)
    answer = run_cli("batch-deployment", "run", "-f", str(file), "--input", "in", *flags)
    assert (answer.exit_code, answer.out) == (2, "")
    assert list_files(tmp_path) == before


def test_run__flags_missing(run_cli: RunCli) -> None:
    answer = run_cli("batch-deployment", "run")
    assert (answer.exit_code, answer.out) == (2, "")
    assert "--file" in answer.err


def test_run__debug_shows_the_traceback(run_cli: RunCli, tmp_path: Path) -> None:
    answer = run_cli(
        "batch-deployment", "run", "-f", str(tmp_path / "nope"), "--input", "in", "--debug"
    )
    assert answer.exit_code == 2
    assert answer.err.startswith("Traceback")
    assert answer.err.splitlines()[-1].startswith("sparkscore: DEPLOYMENT_FILE_NOT_FOUND: ")
