"""Registered models, environments and data as their users wrote them. Any process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from sparkscore.spec.environment import EnvironmentSpec
from sparkscore.spec.grammar import Conflict, Document, Grammar
from sparkscore.spec.locations import credentials_conflict
from sparkscore.spec.model import InlineModel, ModelType
from sparkscore.spec.types import (
    Allowed,
    AssetName,
    AssetVersion,
    RequiredText,
    StringMap,
    Text,
)

TABULAR_DATA_NOT_SUPPORTED = "TABULAR_DATA_NOT_SUPPORTED"
"""Condition of an MLTable or a tabular dataset."""

TABULAR_TYPES = ("mltable", "tabular", "tabular_dataset", "TabularDataset")
TABULAR_HINT = (
    "tables are scored as files: give the folder of CSV or Parquet files as uri_folder, or one "
    "file as uri_file"
)

DataType = Annotated[
    Literal["uri_folder", "uri_file"],
    Allowed(
        "uri_folder or uri_file",
        hints=dict.fromkeys(TABULAR_TYPES, TABULAR_HINT),
        conditions=dict.fromkeys(TABULAR_TYPES, TABULAR_DATA_NOT_SUPPORTED),
    ),
]


class ModelSpec(InlineModel, Document):
    """A model to register."""

    grammar: ClassVar[Grammar] = Grammar(kind="model", aliases={"local_path": ("path",)})

    name: AssetName = Field(description="Name of the model.")
    version: AssetVersion | None = Field(
        default=None, description="Version of the model. The next whole number if not given."
    )
    path: RequiredText = Field(
        description="File, folder or URI of the model; relative to this file. Also written "
        "local_path."
    )
    type: ModelType = Field(
        default="custom_model",
        description="custom_model needs a scoring script, mlflow_model does not.",
    )

    def iter_conflicts(self) -> Iterator[Conflict]:
        """What the fields, valid one by one, must not say together."""
        yield from credentials_conflict(("path",), self.path)


class EnvironmentAssetSpec(EnvironmentSpec, Document):
    """An environment to register."""

    grammar: ClassVar[Grammar] = Grammar(kind="environment")

    name: AssetName = Field(description="Name of the environment.")
    version: AssetVersion | None = Field(
        default=None, description="Version of the environment. The next whole number if not given."
    )


class DataSpec(Document):
    """Data to register: a file or folder that jobs can score."""

    grammar: ClassVar[Grammar] = Grammar(
        kind="data",
        aliases={"local_path": ("path",)},
        refused={
            "paths": "write one `path`: a folder, or a file with `type: uri_file`",
        },
    )

    name: AssetName = Field(description="Name of the data asset.")
    version: AssetVersion | None = Field(
        default=None, description="Version of the data asset. The next whole number if not given."
    )
    description: Text | None = Field(default=None, description="What the data are, for people.")
    tags: StringMap = Field(default_factory=dict, description="Tags, name to value.")
    properties: StringMap = Field(default_factory=dict, description="Properties, name to value.")
    type: DataType = Field(
        default="uri_folder", description="uri_folder for all files of a folder, uri_file for one."
    )
    path: RequiredText = Field(
        description="File or folder: a path relative to this file, a URI, or "
        "azureml://datastores/<datastore>/paths/<path>. Also written local_path."
    )

    def iter_conflicts(self) -> Iterator[Conflict]:
        """What the fields, valid one by one, must not say together."""
        yield from credentials_conflict(("path",), self.path)
