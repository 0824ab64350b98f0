"""Everything a user can write in a deployment file. Any process; pure but for reading that file.

``load_deployment`` reads YAML in either layout, applies ``--set`` and flags, validates, and gives
a LoadedDeployment: the frozen spec (what was written, with defaults) and where each value stands.
Names are imported on first use, so that ``import sparkscore.spec`` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sparkscore.spec.deployment import CodeConfiguration as CodeConfiguration
    from sparkscore.spec.deployment import DeploymentSpec as DeploymentSpec
    from sparkscore.spec.deployment import ResourcesSpec as ResourcesSpec
    from sparkscore.spec.environment import EnvironmentSpec as EnvironmentSpec
    from sparkscore.spec.loading import LoadedDeployment as LoadedDeployment
    from sparkscore.spec.loading import load_deployment as load_deployment
    from sparkscore.spec.model import InlineModel as InlineModel
    from sparkscore.spec.schema import deployment_json_schema as deployment_json_schema
    from sparkscore.spec.settings import RetrySettings as RetrySettings
    from sparkscore.spec.settings import SettingsSpec as SettingsSpec
    from sparkscore.spec.spark_conf import refused_spark_conf as refused_spark_conf
    from sparkscore.spec.vocabulary import Field as Field
    from sparkscore.spec.vocabulary import iter_fields as iter_fields

_HOMES = {
    "CodeConfiguration": "deployment",
    "DeploymentSpec": "deployment",
    "EnvironmentSpec": "environment",
    "Field": "vocabulary",
    "InlineModel": "model",
    "LoadedDeployment": "loading",
    "ResourcesSpec": "deployment",
    "RetrySettings": "settings",
    "SettingsSpec": "settings",
    "deployment_json_schema": "schema",
    "iter_fields": "vocabulary",
    "load_deployment": "loading",
    "refused_spark_conf": "spark_conf",
}

__all__ = [
    "CodeConfiguration",
    "DeploymentSpec",
    "EnvironmentSpec",
    "Field",
    "InlineModel",
    "LoadedDeployment",
    "ResourcesSpec",
    "RetrySettings",
    "SettingsSpec",
    "deployment_json_schema",
    "iter_fields",
    "load_deployment",
    "refused_spark_conf",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
