"""What environments ask for, read from what users wrote."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkscore.control.environments.conda import read_conda
from sparkscore.control.environments.differences import find_differences
from sparkscore.control.environments.request import (
    EnvironmentRequest,
    choose_python,
    get_name,
    read_request,
    with_mlflow,
)
from sparkscore.errors import InvalidFieldError

OWN = f"{sys.version_info[0]}.{sys.version_info[1]}"


def read(**document: Any) -> EnvironmentRequest:
    request = read_request(document)
    assert request is not None
    return request


def read_dependencies(*dependencies: Any, **more: Any) -> EnvironmentRequest:
    return read(conda_file={"dependencies": list(dependencies), **more})


@pytest.mark.parametrize(
    ("spec", "version"),
    [
        ("3.9", "3.9"),
        ("=3.9.18", "3.9"),
        ("3.10.7=h12_0", "3.10"),
        ("==3.12.*", "3.12"),
        ("~=3.10", "3.10"),
        ("3.6.2", "3.6"),
        (">=3.8,<3.11", "3.10"),
        ("<3.8", "3.7"),
        (f">={OWN}", OWN),
        ("3", OWN),
        ("3.*", OWN),
        ("", OWN),
        (None, OWN),
    ],
)
def test_choose_python__of_conda_specs(spec: str | None, version: str) -> None:
    assert choose_python(spec) == version


def test_choose_python__that_is_none() -> None:
    with pytest.raises(InvalidFieldError) as caught:
        choose_python("two and a half")
    assert caught.value.condition == "INVALID_PYTHON_VERSION"
    assert caught.value.attributes["key"] == "python_version"


@given(st.text())
def test_choose_python__of_any_text(text: str) -> None:
    try:
        assert choose_python(text).count(".") == 1
    except InvalidFieldError as error:
        assert error.condition == "INVALID_PYTHON_VERSION"


def test_read_request__of_a_conda_file() -> None:
    request = read_dependencies(
        "python=3.9", "pip", "setuptools=58", {"pip": ["six==1.15.0", "pandas<2 ", " "]}
    )
    assert (request.python, request.requirements) == ("3.9", ("six==1.15.0", "pandas<2"))
    assert [get_name(line) for line in request.added] == ["pyarrow"]
    assert request.conda_packages == ()


def test_read_request__conda_packages_that_pypi_has() -> None:
    request = read_dependencies("numpy=1.26", "scipy ==1.11.4", "Pandas>=2,<3", "joblib")
    assert request.requirements == ("numpy==1.26.*", "scipy==1.11.4", "pandas>=2,<3", "joblib")


def test_read_request__of_all_that_conda_writes() -> None:
    request = read_dependencies("numpy 1.21.2 py39h", "scipy=1.11.0rc1", "joblib>=1.2|=2")
    assert request.requirements == ("numpy==1.21.2.*", "scipy==1.11.0rc1")
    assert request.conda_packages == ("joblib>=1.2|=2",)  # pip has no word for "or"


def test_read_request__packages_that_only_conda_has() -> None:
    request = read_dependencies("cudatoolkit=11.8", "conda-forge::numpy", channels=["nvidia"])
    assert request.conda_packages == ("cudatoolkit=11.8", "conda-forge::numpy")
    assert request.channels == ("nvidia",)


def test_read_request__of_requirements() -> None:
    request = read(requirements=["--pre", "torch @ https://x/torch.whl", "pyarrow==20"])
    assert request.requirements[0] == "--pre"
    assert [get_name(line) for line in request.added] == ["pandas"]
    assert request.python == OWN


@pytest.mark.parametrize("document", [{}, {"image": "python:3.9"}])
def test_read_request__of_what_needs_no_build(document: dict[str, Any]) -> None:
    assert read_request(document) is None


@pytest.mark.parametrize(
    "conda",
    [
        ["numpy"],
        {"dependencies": "numpy"},
        {"dependencies": [{"pip": "numpy"}]},
        {"dependencies": [{"npm": ["x"]}]},
        {"dependencies": [{"pip": ["x"], "npm": ["x"]}]},
        {"dependencies": [3]},
        {"dependencies": ["!!"]},
        {"channels": "conda-forge"},
    ],
)
def test_read_conda__refuses(conda: Any) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        read_conda(conda)
    assert caught.value.condition == "INVALID_CONDA_FILE"


@pytest.mark.parametrize(
    ("line", "condition"),
    [
        ("--index-url https://me:secret@host/simple", "CREDENTIALS_IN_URI"),
        ("x @ https://token@host/x.whl", "CREDENTIALS_IN_URI"),
        ("-r more.txt", "REQUIREMENT_NOT_PORTABLE"),
        ("-e .", "REQUIREMENT_NOT_PORTABLE"),
        ("./wheels/x.whl", "REQUIREMENT_NOT_PORTABLE"),
        (".", "REQUIREMENT_NOT_PORTABLE"),
    ],
)
def test_read_request__refuses_lines(line: str, condition: str) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        read(requirements=["six", line])
    assert caught.value.condition == condition
    assert "secret" not in caught.value.message


def test_digest__is_of_what_is_asked_for() -> None:
    first = read_dependencies("python=3.9", {"pip": ["six"]})
    assert first.digest == read(python_version="3.9.7", requirements=["six"]).digest
    assert first.digest != read(python_version="3.10", requirements=["six"]).digest
    assert first.digest != read(python_version="3.9", requirements=["six<2"]).digest


def test_with_mlflow__only_where_it_is_missing() -> None:
    request = read(requirements=["mlflow-skinny==3.1"])
    assert with_mlflow(request, "3.1") == request
    assert with_mlflow(read(requirements=["six"]), "3.1").added[-1] == "mlflow==3.1"


def test_find_differences__of_what_is_here() -> None:
    request = read(requirements=["--pre", "pandas>=1", "six; python_version < '3'", "PyYAML"])
    assert find_differences(request) == []


def test_find_differences__names_each() -> None:
    wheel = "https://example.com/six.whl"
    request = read_dependencies(
        "python=3.8", "cudnn", {"pip": ["pandas<1", "no-such-thing", wheel]}
    )
    python, pandas, missing, unknown, conda = find_differences(request)
    assert "3.8" in python
    assert pandas.startswith("pandas<1 was asked for")
    assert missing == "no-such-thing is not installed"
    assert unknown.startswith(wheel)
    assert "cudnn" in conda


@pytest.mark.parametrize(
    ("line", "condition"),
    [
        ("six\n-r /etc/hosts", "INVALID_REQUIREMENT"),
        ("six==${HOME}", "INVALID_REQUIREMENT"),
        ("not a requirement!!", "INVALID_REQUIREMENT"),
        ("six=1.15", "INVALID_REQUIREMENT"),
        ("wheels/six.whl", "INVALID_REQUIREMENT"),
        ("/srv/six.whl", "REQUIREMENT_NOT_PORTABLE"),
        ("six @ file:///srv/six.whl", "REQUIREMENT_NOT_PORTABLE"),
        ("--find-links=/srv", "REQUIREMENT_NOT_PORTABLE"),
        ("--find-links /srv", "REQUIREMENT_NOT_PORTABLE"),
    ],
)
def test_requirement__that_reaches_into_this_machine(line: str, condition: str) -> None:
    for document in ({"requirements": [line]}, {"conda_file": {"dependencies": [{"pip": [line]}]}}):
        with pytest.raises(InvalidFieldError) as caught:
            read_request(document)
        assert caught.value.condition == condition


@pytest.mark.parametrize(
    "line",
    [
        "six @ https://example.com/six.whl",
        "https://example.com/six.whl",
        "git+https://example.com/six.git@main",
        "--extra-index-url https://example.com/simple",
        "six[test]==1.15.0 --hash=sha256:00",
        "six ; python_version < '3.12'  # why",
        "six@https://example.com/six.whl",
        "# nothing",
    ],
)
def test_requirement__as_uv_reads_it(line: str) -> None:
    assert read(requirements=[line]).requirements == (line,)


@pytest.mark.parametrize("name", ["--file=/etc/hosts", "-p=/srv"])
def test_conda__package_that_is_an_option(name: str) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        read_dependencies(name)
    assert caught.value.condition == "INVALID_CONDA_FILE"


@pytest.mark.parametrize(
    ("channel", "condition"),
    [
        ("https://name:word@example.com/c", "CREDENTIALS_IN_URI"),
        ("https://example.com/t/abc/c", "CREDENTIALS_IN_URI"),
        ("file:///srv/c", "REQUIREMENT_NOT_PORTABLE"),
        ("--offline", "REQUIREMENT_NOT_PORTABLE"),
    ],
)
def test_conda__channel_that_others_cannot_use(channel: str, condition: str) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        read_dependencies("gdal", channels=[channel])
    assert caught.value.condition == condition
