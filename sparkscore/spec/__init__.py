"""Everything a user can write in a YAML file. Any process; pure but for reading that file.

``load_deployment`` and ``load_document`` read YAML in any layout, or a stored document, apply
``--set`` and flags, validate, and give a Loaded: the frozen spec (what was written, with defaults)
and where each value stands. Names are imported on first use, so that ``import sparkscore.spec``
costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sparkscore.spec.assets import DataSpec as DataSpec
    from sparkscore.spec.assets import EnvironmentAssetSpec as EnvironmentAssetSpec
    from sparkscore.spec.assets import ModelSpec as ModelSpec
    from sparkscore.spec.compute import ComputeSpec as ComputeSpec
    from sparkscore.spec.datastore import DatastoreSpec as DatastoreSpec
    from sparkscore.spec.deployment import CodeConfiguration as CodeConfiguration
    from sparkscore.spec.deployment import DeploymentSpec as DeploymentSpec
    from sparkscore.spec.deployment import ResourcesSpec as ResourcesSpec
    from sparkscore.spec.documents import DOCUMENTS as DOCUMENTS
    from sparkscore.spec.endpoint import BatchEndpointSpec as BatchEndpointSpec
    from sparkscore.spec.environment import EnvironmentSpec as EnvironmentSpec
    from sparkscore.spec.grammar import Document as Document
    from sparkscore.spec.invoke import InputSpec as InputSpec
    from sparkscore.spec.invoke import InvokeSpec as InvokeSpec
    from sparkscore.spec.invoke import OutputSpec as OutputSpec
    from sparkscore.spec.loading import Loaded as Loaded
    from sparkscore.spec.loading import LoadedDeployment as LoadedDeployment
    from sparkscore.spec.loading import load_deployment as load_deployment
    from sparkscore.spec.loading import load_document as load_document
    from sparkscore.spec.model import InlineModel as InlineModel
    from sparkscore.spec.nearest import find_closest as find_closest
    from sparkscore.spec.references import AssetReference as AssetReference
    from sparkscore.spec.references import DatastorePath as DatastorePath
    from sparkscore.spec.references import Location as Location
    from sparkscore.spec.references import MlflowReference as MlflowReference
    from sparkscore.spec.references import parse_asset as parse_asset
    from sparkscore.spec.references import parse_compute as parse_compute
    from sparkscore.spec.references import parse_data as parse_data
    from sparkscore.spec.references import parse_datastore as parse_datastore
    from sparkscore.spec.references import parse_model as parse_model
    from sparkscore.spec.references import parse_output as parse_output
    from sparkscore.spec.rendering import render_yaml as render_yaml
    from sparkscore.spec.schema import deployment_json_schema as deployment_json_schema
    from sparkscore.spec.schema import document_json_schema as document_json_schema
    from sparkscore.spec.settings import RetrySettings as RetrySettings
    from sparkscore.spec.settings import SettingsSpec as SettingsSpec
    from sparkscore.spec.spark_conf import refused_spark_conf as refused_spark_conf
    from sparkscore.spec.vocabulary import Field as Field
    from sparkscore.spec.vocabulary import iter_fields as iter_fields

_NAMES = {
    "assets": ("DataSpec", "EnvironmentAssetSpec", "ModelSpec"),
    "compute": ("ComputeSpec",),
    "datastore": ("DatastoreSpec",),
    "deployment": ("CodeConfiguration", "DeploymentSpec", "ResourcesSpec"),
    "documents": ("DOCUMENTS",),
    "endpoint": ("BatchEndpointSpec",),
    "environment": ("EnvironmentSpec",),
    "grammar": ("Document",),
    "invoke": ("InputSpec", "InvokeSpec", "OutputSpec"),
    "loading": ("Loaded", "LoadedDeployment", "load_deployment", "load_document"),
    "model": ("InlineModel",),
    "nearest": ("find_closest",),
    "references": (
        "AssetReference",
        "DatastorePath",
        "Location",
        "MlflowReference",
        "parse_asset",
        "parse_compute",
        "parse_data",
        "parse_datastore",
        "parse_model",
        "parse_output",
    ),
    "rendering": ("render_yaml",),
    "schema": ("deployment_json_schema", "document_json_schema"),
    "settings": ("RetrySettings", "SettingsSpec"),
    "spark_conf": ("refused_spark_conf",),
    "vocabulary": ("Field", "iter_fields"),
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names}

__all__ = [
    "DOCUMENTS",
    "AssetReference",
    "BatchEndpointSpec",
    "CodeConfiguration",
    "ComputeSpec",
    "DataSpec",
    "DatastorePath",
    "DatastoreSpec",
    "DeploymentSpec",
    "Document",
    "EnvironmentAssetSpec",
    "EnvironmentSpec",
    "Field",
    "InlineModel",
    "InputSpec",
    "InvokeSpec",
    "Loaded",
    "LoadedDeployment",
    "Location",
    "MlflowReference",
    "ModelSpec",
    "OutputSpec",
    "ResourcesSpec",
    "RetrySettings",
    "SettingsSpec",
    "deployment_json_schema",
    "document_json_schema",
    "find_closest",
    "iter_fields",
    "load_deployment",
    "load_document",
    "parse_asset",
    "parse_compute",
    "parse_data",
    "parse_datastore",
    "parse_model",
    "parse_output",
    "refused_spark_conf",
    "render_yaml",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
