"""Fixtures that turn YAML text into loaded deployments."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sparkscore.errors import SpecError
from sparkscore.spec import LoadedDeployment, load_deployment

REQUIRED = "name: mnist-batch\nendpoint_name: digits\nmodel: azureml:mnist:1\n"


@pytest.fixture(scope="session")
def deployment_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("deployment") / "deployment.yml"


@pytest.fixture(scope="session")
def make_deployment(deployment_file: Path) -> Callable[..., LoadedDeployment]:
    """Load ``text`` below the three required keys; ``alone``: just ``text``."""

    def load(
        text: str | bytes = "",
        *overrides: str,
        alone: bool = False,
        flags: dict[str, object] | None = None,
    ) -> LoadedDeployment:
        content = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
        deployment_file.write_bytes(content if alone else REQUIRED.encode() + content)
        return load_deployment(deployment_file, overrides=overrides, flags=flags or {})

    return load


@pytest.fixture(scope="session")
def make_error(make_deployment: Callable[..., LoadedDeployment]) -> Callable[..., SpecError]:
    """The error of loading ``text``; takes the same arguments as make_deployment."""

    def load(*arguments: str | bytes, **keywords: object) -> SpecError:
        with pytest.raises(SpecError) as caught:
            make_deployment(*arguments, **keywords)
        return caught.value

    return load
