"""Environments that are really built, packed and moved."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from sparkscore.control.environments.build import (
    PACKAGES_FILE,
    build_environment,
    find_reason,
    make_build_variables,
    make_scripts_relocatable,
)
from sparkscore.control.environments.conda_command import get_conda_command
from sparkscore.control.environments.interpreter import find_interpreter
from sparkscore.control.environments.pack import check_packed, pack_environment
from sparkscore.control.environments.request import EnvironmentRequest, read_request
from sparkscore.errors import (
    CanceledError,
    InvalidFieldError,
    MissingDependencyError,
    TargetError,
)
from sparkscore.executor.archives import unpack_once
from tests.built_environments import get_other_environment, get_other_request

OWN = f"{sys.version_info[0]}.{sys.version_info[1]}"


def make_request(*requirements: str) -> EnvironmentRequest:
    request = read_request({"python_version": OWN, "requirements": list(requirements)})
    assert request is not None
    return request


def link_python(folder: Path, target: str) -> Path:
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").symlink_to(target)
    return folder


@pytest.mark.slow
def test_build_environment__by_two_at_once_is_built_once(tmp_path: Path) -> None:
    request = make_request("six==1.16.0")
    folder = tmp_path / "environments" / request.digest
    left = folder.parent / f".{folder.name}.left"
    left.mkdir(parents=True)
    logs = [tmp_path / f"{number}.log" for number in range(2)]

    def build(log_file: Path) -> None:
        build_environment(request, folder, log_file=log_file)

    threads = [threading.Thread(target=build, args=(log,)) for log in logs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(log.exists() for log in logs) == 1
    assert {path.name for path in folder.parent.iterdir()} == {folder.name, f"{folder.name}.lock"}
    built = build_environment(request, folder, log_file=tmp_path / "again.log")
    assert not (tmp_path / "again.log").exists()
    assert built.packages["six"] == "1.16.0"
    assert {"pandas", "pyarrow", "numpy"} <= set(built.packages)


@pytest.mark.slow
def test_pack_environment__runs_where_nothing_else_is(tmp_path: Path) -> None:
    environment = get_other_environment()
    packed = [tmp_path / "a.tar.zst", tmp_path / "b.tar.zst"]
    for file in packed:
        pack_environment(environment.folder, file)
    first, second = (hashlib.sha256(file.read_bytes()).hexdigest() for file in packed)
    assert first == second
    check_packed(packed[0])
    folder = unpack_once(str(packed[0]), digest=first, root=str(tmp_path / "root"))
    code = "import sys, ssl, sqlite3, ctypes, pandas; print(sys.prefix, pandas.__file__)"
    program = os.path.join(folder, "bin", f"python{get_other_request().python}")
    said = subprocess.run([program, "-c", code], env={}, capture_output=True, text=True)
    assert said.stderr == ""
    prefix, pandas = said.stdout.split()
    assert prefix == folder
    assert pandas.startswith(folder)
    script = os.path.join(folder, "bin", "f2py")
    path = {"PATH": "/usr/bin:/bin"}
    said = subprocess.run([script, "-v"], capture_output=True, text=True, env=path)
    assert said.stdout.strip() == environment.packages["numpy"]


def test_build_environment__tells_why_it_failed(tmp_path: Path) -> None:
    request = make_request("--no-index", "six==1.16.0")
    with pytest.raises(TargetError) as caught:
        build_environment(request, tmp_path / "e" / "d", log_file=tmp_path / "build.log")
    assert caught.value.condition == "ENVIRONMENT_NOT_BUILT"
    assert caught.value.attributes == {"log": str(tmp_path / "build.log")}
    assert "six" in caught.value.message
    assert "pip install" in (tmp_path / "build.log").read_text()
    assert [path.name for path in (tmp_path / "e").iterdir()] == ["d.lock"]


def test_build_environment__ends_when_it_is_canceled(tmp_path: Path) -> None:
    def cancel() -> None:
        raise CanceledError("enough")

    with pytest.raises(CanceledError):
        build_environment(
            make_request("six"), tmp_path / "e" / "d", log_file=tmp_path / "log", on_poll=cancel
        )
    assert [path.name for path in (tmp_path / "e").iterdir()] == ["d.lock"]


def test_find_interpreter__that_nobody_has(tmp_path: Path) -> None:
    with pytest.raises(MissingDependencyError) as caught:
        find_interpreter("3.99", environment={"PATH": str(tmp_path), "HOME": str(tmp_path)})
    assert caught.value.condition == "PYTHON_NOT_FOUND"
    assert caught.value.attributes == {"python": "3.99"}


def test_find_interpreter__is_not_the_one_of_a_virtual_environment() -> None:
    found = find_interpreter(OWN, environment={})
    assert not os.path.exists(os.path.join(os.path.dirname(found.program), "..", "pyvenv.cfg"))


@pytest.mark.parametrize("target", [sys.executable, "../../elsewhere/python", "nothing"])
def test_pack_environment__refuses_links_that_leave_it(target: str, tmp_path: Path) -> None:
    folder = link_python(tmp_path / "environment", target)
    with pytest.raises(InvalidFieldError) as caught:
        pack_environment(folder, tmp_path / "a.tar.zst")
    assert caught.value.condition == "ENVIRONMENT_NOT_SELF_CONTAINED"
    assert not (tmp_path / "a.tar.zst").exists()


def test_make_build_variables__hold_no_secrets() -> None:
    given = {
        "PATH": "/bin",
        "HOME": "/home/me",
        "https_proxy": "http://proxy",
        "UV_INDEX_OURS_PASSWORD": "for uv",
        "PIP_INDEX_URL": "https://index/simple",
        "PGPASSWORD": "secret",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "DATABRICKS_TOKEN": "secret",
    }
    made = make_build_variables(given)
    assert "secret" not in made.values()
    assert made["UV_DEFAULT_INDEX"] == "https://index/simple"
    assert set(made) - set(given) == {"UV_DEFAULT_INDEX"}


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (["Resolved 3", "error: no host", "  caused by: dns"], "error: no host caused by: dns"),
        (["  \N{MULTIPLICATION SIGN} No solution:", "  because x"], "No solution: because x"),
        ([], "it said nothing"),
        (["hm"], "hm"),
    ],
)
def test_find_reason__is_what_stands_from_the_first_error_on(lines: list[str], reason: str) -> None:
    assert find_reason(lines) == reason


def test_conda_command__names_channels_python_and_packages(tmp_path: Path) -> None:
    document = {
        "conda_file": {
            "channels": ["nvidia", "conda-forge"],
            "dependencies": ["python=3.10", "cudatoolkit=11.8", "pandas", {"pip": ["six"]}],
        }
    }
    request = read_request(document)
    assert request is not None
    program = shutil.copy("/bin/true", tmp_path / "micromamba")
    command = get_conda_command(request, folder=Path("/e"), environment={"PATH": str(tmp_path)})
    assert command == [
        *(str(program), "create", "--yes", "--prefix", "/e", "--override-channels"),
        *("--channel", "nvidia", "--channel", "conda-forge"),
        *("python=3.10", "pip", "cudatoolkit=11.8"),
    ]


def test_make_scripts_relocatable__starts_the_python_beside(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    script = tmp_path / "bin" / "tell"
    script.write_text("#!/none/bin/python\nimport sys\nprint(sys.argv[1:])\n")
    script.chmod(0o755)
    make_scripts_relocatable(tmp_path / "bin", python="python")
    moved = (tmp_path / "bin").rename(tmp_path / "moved here")
    said = subprocess.run([moved / "tell", "a b"], capture_output=True, text=True)
    assert (said.stdout, said.stderr) == ("['a b']\n", "")


def test_packages_file__is_what_tells_that_a_build_was_finished(tmp_path: Path) -> None:
    folder = tmp_path / "e" / "d"
    folder.mkdir(parents=True)
    with pytest.raises(TargetError):
        build_environment(make_request("--no-index", "six"), folder, log_file=tmp_path / "log")
    (folder / PACKAGES_FILE).write_text("{}")
    build_environment(make_request("--no-index", "six"), folder, log_file=tmp_path / "log")
