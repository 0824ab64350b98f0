"""Which Python a job's scripts run in: settings, warnings, refusals."""

from __future__ import annotations

import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from sparkscore.control.deployment import PreparedDeployment, prepare_deployment
from sparkscore.control.environments.cache import get_environments_folder
from sparkscore.control.environments.job import (
    choose_mode,
    is_local_master,
    settle_environment,
)
from sparkscore.control.options import RunOptions
from sparkscore.control.workspace_config import read_config
from sparkscore.errors import InvalidFieldError, MissingDependencyError, SparkscoreError
from sparkscore.messages.launch import EnvironmentMessage
from tests.control.samples import write_deployment

OWN = f"{sys.version_info[0]}.{sys.version_info[1]}"
HERE = {"python_version": OWN, "requirements": ["pandas>=1", "pyarrow>=12"]}
ELSEWHERE = {"python_version": OWN, "requirements": ["pandas==1.5.3", "pyarrow"]}


def prepare(folder: Path, **fields: Any) -> PreparedDeployment:
    file = write_deployment(folder, **fields)
    return prepare_deployment(RunOptions(file, str(folder / "in")))


def settle(
    folder: Path, environment: Any, *, mode: str = "auto", is_local: bool = True, **fields: Any
) -> tuple[EnvironmentMessage | None, tuple[str, ...]]:
    prepared = prepare(folder, environment=environment, **fields)
    settled = settle_environment(prepared, mode=mode, is_local=is_local)
    found = settled.job_environment
    return (None if found is None else found.message), settled.warnings


def pack(file: Path, *, python: bool = True, link: str = "") -> Path:
    """A packed environment, with an interpreter or a link in its place."""
    with tarfile.open(file, "w:gz") as archive:
        member = tarfile.TarInfo("bin/python")
        if link:
            member.type, member.linkname = tarfile.SYMTYPE, link
        if python or link:
            archive.addfile(member)
        archive.addfile(tarfile.TarInfo("bin/python3.9"))
    return file


def test_settle_environment__without_one(tmp_path: Path) -> None:
    assert settle(tmp_path, None) == (None, ())


@pytest.mark.parametrize("mode", ["auto", "host"])
def test_settle_environment__that_sparkscores_own_python_meets(mode: str, tmp_path: Path) -> None:
    assert settle(tmp_path, HERE, mode=mode) == (None, ())


@pytest.mark.parametrize(("mode", "environment"), [("build", HERE), ("auto", ELSEWHERE)])
def test_settle_environment__is_built_for_local_jobs(
    mode: str, environment: dict[str, Any], tmp_path: Path
) -> None:
    message, warnings = settle(tmp_path, environment, mode=mode)
    assert message is not None
    assert message.archive is None
    assert Path(message.python).parents[2] == get_environments_folder()
    assert message.python.endswith(f"{message.digest}/bin/python{OWN}")
    assert warnings == ()


def test_settle_environment__goes_to_clusters_as_an_archive(tmp_path: Path) -> None:
    message, warnings = settle(tmp_path, {"requirements": ["six"]}, is_local=False)
    assert message is not None
    assert message.archive == f"environment-{message.digest[:16]}.tar.zst"
    assert message.python == f"bin/python{OWN}"
    (note,) = warnings
    assert "pandas" in note
    assert "pyarrow" in note


def test_settle_environment__host_tells_what_differs(tmp_path: Path) -> None:
    message, (warning,) = settle(tmp_path, ELSEWHERE, mode="host")
    assert message is None
    assert warning.startswith("warning: scripts run in sparkscore's own Python")
    assert "pandas==1.5.3 was asked for" in warning


def test_settle_environment__inline_cannot_have_one(tmp_path: Path) -> None:
    message, (warning,) = settle(
        tmp_path, ELSEWHERE, settings={"isolation": "inline"}, type="model"
    )
    assert message is None
    assert "isolation is inline" in warning


def test_settle_environment__of_a_conda_file(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "conda.yml").write_text("dependencies: [python=3.10, pip, {pip: [six]}]")
    message, _ = settle(tmp_path / "d", {"conda_file": "../conda.yml"})
    assert message is not None
    assert message.python.endswith("/bin/python3.10")


def test_settle_environment__of_a_requirements_file(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "r.txt").write_text("# ours\npandas==1.5.3  # old\n\nsix \\\n  >=1\n")
    prepared = prepare(tmp_path / "d", environment={"requirements": "../r.txt"})
    assert prepared.environment is not None
    assert prepared.environment["requirements"] == ["pandas==1.5.3", "six    >=1"]


@pytest.mark.parametrize(
    ("environment", "kind", "condition"),
    [
        ({"conda_file": {"dependencies": ["python=3.6"]}}, InvalidFieldError, "PYTHON_TOO_OLD"),
        (
            {"conda_file": {"dependencies": ["cudatoolkit"]}},
            MissingDependencyError,
            "CONDA_PACKAGES_NEED_MICROMAMBA",
        ),
        ({"archive": "none.tar.gz"}, InvalidFieldError, "ENVIRONMENT_NOT_READABLE"),
        ({"archive": "a.zip", "requirements": []}, InvalidFieldError, "ENVIRONMENT_AMBIGUOUS"),
        ({"archive": "a.zip", "python": "/p"}, InvalidFieldError, "ENVIRONMENT_AMBIGUOUS"),
        ({"python": "/none/bin/python"}, InvalidFieldError, "PYTHON_NOT_FOUND"),
        ({"requirements": "none.txt"}, SparkscoreError, "REQUIREMENTS_NOT_FOUND"),
        ("model", SparkscoreError, "MODEL_WITHOUT_ENVIRONMENT"),
    ],
)
def test_settle_environment__refuses(
    environment: Any,
    kind: type[SparkscoreError],
    condition: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("MAMBA_EXE", "CONDA_EXE"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(kind) as caught:
        settle(tmp_path, environment)
    assert caught.value.condition == condition


@pytest.mark.parametrize(
    ("name", "content", "condition"),
    [
        ("conda.yml", "dependencies: [{npm: [x]}]", "INVALID_CONDA_FILE"),
        ("conda.yml", "dependencies: [python=two]", "INVALID_PYTHON_VERSION"),
        ("conda.yml", "dependencies: [{pip: [not a requirement!!]}]", "INVALID_REQUIREMENT"),
        ("r.txt", "six\nnot a requirement!!\n", "INVALID_REQUIREMENT"),
        ("r.txt", "--index-url https://u:p@h/simple\n", "CREDENTIALS_IN_URI"),
    ],
)
def test_prepare__names_the_file_of_what_is_wrong(
    tmp_path: Path, name: str, content: str, condition: str
) -> None:
    (tmp_path / name).write_text(content)
    key = "requirements" if name == "r.txt" else "conda_file"
    with pytest.raises(InvalidFieldError) as caught:
        prepare(tmp_path, environment={key: name})
    assert caught.value.condition == condition
    assert caught.value.attributes["key"] == key
    assert caught.value.attributes["path"] == str(tmp_path / name)
    assert caught.value.attributes["file"] == str(tmp_path / "deployment.yml")
    assert str(tmp_path / name) in caught.value.message


def test_prepare__names_the_key_of_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        prepare(tmp_path, environment={"conda_file": {"dependencies": ["python=two"]}})
    assert caught.value.condition == "INVALID_PYTHON_VERSION"
    assert "conda_file" in caught.value.message
    assert caught.value.attributes["line"] is not None


def test_settle_environment__conda_packages_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    environment = {"conda_file": {"dependencies": ["cudatoolkit=11.8", "pandas", "gdal"]}}
    with pytest.raises(MissingDependencyError) as caught:
        settle(tmp_path / "d", environment)
    assert caught.value.attributes == {"packages": ["cudatoolkit=11.8", "gdal"]}


def test_settle_environment__packed_by_its_user(tmp_path: Path) -> None:
    packed = pack(tmp_path / "mine.tar.gz", link="python3.9")
    message, warnings = settle(tmp_path / "d", {"archive": str(packed)})
    assert message is not None
    assert message.archive == f"environment-{message.digest[:16]}.tar.gz"
    assert (message.python, warnings) == ("bin/python", ())


@pytest.mark.parametrize("link", ["/usr/bin/python3", "../../usr/bin/python3", "nothing"], ids=str)
def test_settle_environment__packed_without_its_interpreter(link: str, tmp_path: Path) -> None:
    packed = pack(tmp_path / "mine.tar.gz", link=link)
    with pytest.raises(InvalidFieldError) as caught:
        settle(tmp_path / "d", {"archive": str(packed)})
    assert caught.value.condition == "ENVIRONMENT_NOT_SELF_CONTAINED"


def test_settle_environment__a_python_that_is_there(tmp_path: Path) -> None:
    message, _ = settle(tmp_path, {"python": sys.executable})
    assert message is not None
    assert (message.python, message.archive) == (sys.executable, None)
    message, _ = settle(tmp_path / "d", {"python": "/opt/python"}, is_local=False)
    assert message is not None
    assert message.python == "/opt/python"


def test_settle_environment__of_a_model(tmp_path: Path) -> None:
    model = tmp_path / "m"
    model.mkdir()
    (model / "MLmodel").write_text("flavors: {python_function: {}}\nmlflow_version: 3.1.0\n")
    (model / "requirements.txt").write_text("scikit-learn==1.0\n")
    (model / "python_env.yaml").write_text("python: 3.10.4\n")
    folder = tmp_path / "d"
    prepared = prepare(
        folder, environment="model", model={"path": str(model)}, code_configuration=None
    )
    settled = settle_environment(prepared, mode="auto", is_local=True)
    assert settled.job_environment is not None
    request = settled.job_environment.request
    assert request is not None
    assert (request.python, request.requirements) == ("3.10", ("scikit-learn==1.0",))
    assert request.added[-1] == "mlflow==3.1.0"


def test_settle_environment__asset_without_a_workspace(tmp_path: Path) -> None:
    message, (warning,) = settle(tmp_path, "azureml:sklearn:1")
    assert message is None
    assert "azureml:sklearn:1" in warning


@pytest.mark.parametrize(
    ("given", "variable", "mode"),
    [
        ((None, "host"), None, "host"),
        (("build", "host"), None, "build"),
        (("build", "host"), "auto", "auto"),
        ((None,), None, "auto"),
        ((), "", "auto"),
    ],
)
def test_choose_mode__first_of(
    given: tuple[str | None, ...], variable: str | None, mode: str
) -> None:
    variables = {} if variable is None else {"SPARKSCORE_ENVIRONMENTS": variable}
    assert choose_mode(*given, environment=variables) == mode


def test_choose_mode__refuses_others() -> None:
    with pytest.raises(InvalidFieldError) as caught:
        choose_mode(environment={"SPARKSCORE_ENVIRONMENTS": "never"})
    assert caught.value.condition == "INVALID_ENVIRONMENTS_MODE"
    assert "SPARKSCORE_ENVIRONMENTS" in caught.value.message


def test_choose_mode__refuses_others_of_a_compute() -> None:
    with pytest.raises(InvalidFieldError) as caught:
        choose_mode("never", environment={})
    assert "SPARKSCORE_ENVIRONMENTS" not in caught.value.message
    assert "sparkscore.toml" in caught.value.message


@pytest.mark.parametrize(
    ("master", "is_local"),
    [(None, True), ("local", True), ("local[2]", True), ("local-cluster[2,1,1024]", False)],
)
def test_is_local_master__shares_this_machine(master: str | None, is_local: bool) -> None:
    assert is_local_master(master) is is_local


def test_environments_folder__by_variables(tmp_path: Path) -> None:
    assert get_environments_folder({"SPARKSCORE_CACHE_DIR": "/c"}) == Path("/c/environments")
    assert get_environments_folder({"XDG_CACHE_HOME": "/x"}) == Path("/x/sparkscore/environments")
    home = get_environments_folder({"HOME": "/h"})
    assert home == Path("/h/.cache/sparkscore/environments")


def test_workspace__says_where_scripts_run(tmp_path: Path) -> None:
    (tmp_path / "sparkscore.toml").write_text('[jobs]\nenvironments = "build"\n')
    assert read_config(tmp_path).environments == "build"
    (tmp_path / "sparkscore.toml").write_text('[jobs]\nenvironments = "sometimes"\n')
    with pytest.raises(InvalidFieldError) as caught:
        read_config(tmp_path)
    assert caught.value.attributes["key"] == "jobs.environments"
