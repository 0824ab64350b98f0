"""All documents that a user can write. Any process, pure."""

from __future__ import annotations

from sparkscore.spec.assets import DataSpec, EnvironmentAssetSpec, ModelSpec
from sparkscore.spec.compute import ComputeSpec
from sparkscore.spec.datastore import DatastoreSpec
from sparkscore.spec.deployment import DeploymentSpec
from sparkscore.spec.endpoint import BatchEndpointSpec
from sparkscore.spec.grammar import Document
from sparkscore.spec.invoke import InvokeSpec

_MODELS: tuple[type[Document], ...] = (
    DeploymentSpec,
    BatchEndpointSpec,
    ModelSpec,
    EnvironmentAssetSpec,
    DataSpec,
    DatastoreSpec,
    ComputeSpec,
    InvokeSpec,
)

DOCUMENTS: dict[str, type[Document]] = {model.grammar.kind: model for model in _MODELS}
"""Kind of document, as in ``sparkscore schema <kind>``, and its spec."""
